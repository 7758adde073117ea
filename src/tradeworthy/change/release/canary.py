"""Which part of a desk a canary acts on: a share of order size on every instrument, or in full on some instruments.

Idea:   a share of size needs no second instrument, but changes how orders fill; a share of instruments trades as a
        champion would, and is judged on these instruments alone. A share is drawn by the version's digest: the same
        draw whoever repeats it, another one for another version, so that no instrument bears every trial.
"""

import hashlib
import math
from collections.abc import Sequence

from tradeworthy.core.errors import ReleaseRefused, SettingsInvalid, near
from tradeworthy.core.instruments import Instrument

CANARY_SHARE = 0.1
"""What a canary takes of its full size where nobody says otherwise."""

_ROUNDING = 1e-9


def symbols_in(text: str) -> list[str]:
    """Return the symbols that people write in one line.

    >>> symbols_in("ETH, BTC")
    ['ETH', 'BTC']
    """
    return text.replace(",", " ").split()


def part_of(
    desk: Sequence[Instrument],
    digest: str,
    role: str,
    *,
    share: float | None = None,
    instruments: Sequence[str] | None = None,
    instrument_share: float | None = None,
) -> tuple[float, list[str]]:
    """Return the share of its size that a version takes in a role, and the instruments that it alone acts on.

    Parameters
    ----------
    desk : sequence of Instrument
        The desk's list.
    digest, role : str
        Which version, and what it is to be; only a canary acts on a part.
    share : float, optional
        Of order size, above 0 and below 1; `CANARY_SHARE` where a canary's part is not said otherwise.
    instruments : sequence of str, optional
        Symbols, some of those traded, not all.
    instrument_share : float, optional
        Of the instruments traded, above 0 and below 1; at most so many of them are drawn.

    Returns
    -------
    float, list of str
        1 and none for a version that acts in full; the instruments stand as in the desk's list.

    Raises
    ------
    ReleaseRefused
        There is no such part.
    """
    said = [part is not None for part in (share, instruments, instrument_share)]
    if role != "canary":
        if any(said):
            raise ReleaseRefused(f"a part is said for the role {role}; only a canary acts on a part")
        return 1.0, []
    if sum(said) > 1:
        raise ReleaseRefused(
            "a canary acts on all instruments at a share of size, or on some instruments in full; say one of share, "
            "instruments and instrument share"
        )
    if instruments is not None:
        return 1.0, _named(_traded(desk), instruments)
    if instrument_share is not None:
        return 1.0, _drawn(_traded(desk), digest, instrument_share)
    return _size(CANARY_SHARE if share is None else share), []


def require_part(desk: Sequence[Instrument], instrument_share: float | None) -> None:
    """Refuse a policy's share of the instruments that this desk cannot give.

    Raises
    ------
    SettingsInvalid
        It trades one alone, or the share is less than one of them.
    """
    if instrument_share is None:
        return
    try:
        part_of(desk, "", "canary", instrument_share=instrument_share)
    except ReleaseRefused as error:
        raise SettingsInvalid(f"policy.canary_instrument_share: {error}") from None


def in_words(share: float, instruments: Sequence[str]) -> str:
    """Write a part after what acts on it; nothing where it acts in full.

    >>> in_words(0.1, []), in_words(1.0, ["ETH", "BTC"]), in_words(1.0, [])
    (' at 10% of its size', ' on ETH, BTC alone', '')
    """
    if instruments:
        return f" on {', '.join(instruments)} alone"
    return f" at {share:.0%} of its size" if share < 1.0 else ""


def _size(share: float) -> float:
    if not 0.0 < share < 1.0:
        raise ReleaseRefused(f"share is {share:g}, allowed for a canary is above 0 and below 1, such as 0.1")
    return share


def _traded(desk: Sequence[Instrument]) -> list[str]:
    """Return the symbols that a canary and a champion can share."""
    traded = [each.symbol for each in desk if each.traded]
    if len(traded) < 2:  # one for each of them
        raise ReleaseRefused(
            f"this desk trades {', '.join(traded) or 'nothing'} alone, so a canary and a champion cannot share its "
            f"instruments; let the canary take a share of its size instead, such as {CANARY_SHARE:g}"
        )
    return traded


def _named(traded: Sequence[str], wanted: Sequence[str]) -> list[str]:
    if not wanted:
        raise ReleaseRefused(f"no instrument is named; allowed are some of {', '.join(traded)}")
    for symbol in wanted:
        if symbol not in traded:
            allowed = ", ".join(traded)
            raise ReleaseRefused(f"{symbol!r} is not traded here{near(symbol, traded)}; allowed are some of {allowed}")
    if set(wanted) == set(traded):
        raise ReleaseRefused(
            f"{', '.join(traded)} is all that this desk trades, which leaves the champion nothing; name fewer, or "
            "make the version champion"
        )
    return [symbol for symbol in traded if symbol in wanted]


def _drawn(traded: Sequence[str], digest: str, share: float) -> list[str]:
    if not 0.0 < share < 1.0:
        raise ReleaseRefused(f"instrument share is {share:g}, allowed is above 0 and below 1, such as 0.2")
    count = math.floor(share * len(traded) + _ROUNDING)
    if not count:
        raise ReleaseRefused(
            f"{share:.3g} of the {len(traded)} instruments traded here is none; allowed is "
            f"{math.ceil(1_000 / len(traded)) / 1_000:g} or more, or name them"
        )
    ranks = {symbol: hashlib.sha256(f"{digest}:{symbol}".encode()).digest() for symbol in traded}
    drawn = sorted(traded, key=ranks.__getitem__)[:count]
    return [symbol for symbol in traded if symbol in drawn]
