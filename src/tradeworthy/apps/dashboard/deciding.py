"""Recorded decisions as a person looks through them: the newest first, those that a filter wants.

Idea:   the list is read backwards from the newest, in windows of the tape that grow until enough was found, so a page
        of it costs the same on a short and on a long tape.
Units:  times as ISO 8601 UTC; quantities in units of the instrument; prices in its currency.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.apps.deployment.keeping import recorded
from tradeworthy.apps.explain.finding_decisions import utc_ns
from tradeworthy.core.decisions import Role, version_name
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import NotFound, SettingsInvalid, near
from tradeworthy.core.time import iso
from tradeworthy.record.reader import TapeReader

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

Records = npt.NDArray[Any]

WINDOW = 20_000
PAGE = 50
OUTCOMES = ("all", "orders", "refused", "no_order")
SIDES = ("", "buy", "sell")
ROLES = (*(role.name.lower() for role in Role), "any")
SIDES_SIGN = {"buy": 1.0, "sell": -1.0}
LONG_AGO_NS, FAR_AHEAD_NS = -(2**63), 2**63 - 1
CODES = ("", *(code.name for code in DenialCode if code))


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which decisions are wanted.

    Attributes
    ----------
    before : int or None
        Only those with a lower tape sequence.
    outcome : str
        ``all``, ``orders`` (one was sent), ``refused``, or ``no_order`` (nothing to do).
    instrument, version : str
        A symbol; the beginning of a version's name. Empty for any.
    role : str
        ``champion`` (who acted, a canary too), ``shadow`` or ``any``.
    side : str
        ``buy`` or ``sell``: only orders of that side.
    code : str
        Only what was refused with this code, as ``PRICE_COLLAR``.
    since, until : str
        UTC times, as ``2019-09-30T12:00``: from the first on, and before the second.
    """

    before: int | None = None
    outcome: str = "all"
    instrument: str = ""
    version: str = ""
    role: str = "champion"
    side: str = ""
    code: str = ""
    since: str = ""
    until: str = ""


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """One decision; `quantity` is that of the order sent, `verdict` why none was, with what its check observed."""

    sequence: int
    input_sequence: int
    time: str
    instrument: str
    version: str
    role: str
    score: float | None
    target: float | None
    position: float
    price: float | None
    quantity: float
    verdict: str
    verdict_text: str
    observed: float | None
    limit: float | None

    @classmethod
    def of(cls, decision: np.void, symbols: list[str]) -> Self:
        """Read a decision record; what is undefined is None."""
        number, code = int(decision["instrument"]), DenialCode(int(decision["verdict"]))
        numbers = {name: _known(decision[name]) for name in ("score", "target", "price", "observed", "limit")}
        return cls(
            sequence=int(decision["sequence"]),
            input_sequence=int(decision["input_sequence"]),
            time=iso(int(decision["ts_event_ns"])),
            instrument=symbols[number] if number < len(symbols) else str(number),
            version=version_name(int(decision["version"])),
            role=Role(int(decision["role"])).name.lower(),
            position=float(decision["position"]),
            quantity=float(decision["quantity"]),
            verdict=code.name,
            verdict_text=code.text,
            **numbers,
        )


def decisions_before(project: "Project", wanted: Filter, *, count: int = PAGE) -> list[Decided]:
    """Return the newest decisions that are wanted, the newest first.

    Raises
    ------
    SettingsInvalid
        The filter names no outcome, role or instrument that there is.
    NotFound
        There is no record yet.
    """
    symbols = symbols_of(project)
    _check(wanted, symbols)
    reader, since_ns = recorded(project), _ns(wanted.since, LONG_AGO_NS)
    found: list[Decided] = []
    for decisions in _windows(reader, wanted.before):
        kept = decisions[_mask(decisions, wanted, symbols)]
        found += [Decided.of(each, symbols) for each in kept[::-1][: count - len(found)]]
        if len(found) >= count or (decisions.size and decisions["ts_event_ns"].max() < since_ns):
            break
    return found


def _windows(reader: TapeReader, before: int | None) -> Iterator[Records]:
    """Yield the decisions below a sequence in stretches that grow, the newest first."""
    if "decisions" not in reader.streams():
        return
    end, width = (reader.last_sequence() + 1) if before is None else before, WINDOW
    while end > 1:
        start = max(0, end - 1 - width)
        records = reader.read("decisions", after=start, limit=width)
        yield records[records["sequence"] < end]
        end, width = start + 1, 2 * width


def _mask(decisions: Records, wanted: Filter, symbols: list[str]) -> npt.NDArray[np.bool_]:
    """Tell which decisions are wanted."""
    keep = np.ones(len(decisions), np.bool_)
    if wanted.role != "any":
        keep &= decisions["role"] == Role[wanted.role.upper()]
    if wanted.outcome == "orders":
        keep &= decisions["quantity"] != 0.0
    elif wanted.outcome == "refused":
        keep &= decisions["verdict"] != DenialCode.NONE
    elif wanted.outcome == "no_order":
        keep &= (decisions["verdict"] == DenialCode.NONE) & (decisions["quantity"] == 0.0)
    if wanted.side:
        keep &= decisions["quantity"] * SIDES_SIGN[wanted.side] > 0.0
    if wanted.code:
        keep &= decisions["verdict"] == DenialCode[wanted.code]
    if wanted.since or wanted.until:
        keep &= (decisions["ts_event_ns"] >= _ns(wanted.since, LONG_AGO_NS)) & (
            decisions["ts_event_ns"] < _ns(wanted.until, FAR_AHEAD_NS)
        )
    if wanted.instrument:
        keep &= decisions["instrument"] == symbols.index(wanted.instrument)
    if wanted.version:
        known = {int(number) for number in np.unique(decisions["version"])}
        chosen = [number for number in known if version_name(number).startswith(wanted.version[:16])]
        keep &= np.isin(decisions["version"], np.array(chosen, np.uint64))
    return keep


def _check(wanted: Filter, symbols: list[str]) -> None:
    """Refuse a filter that could never find anything."""
    allowed = {"outcome": OUTCOMES, "role": ROLES, "instrument": ("", *symbols), "side": SIDES, "code": CODES}
    for name, options in allowed.items():
        value = getattr(wanted, name)
        if value not in options:
            words = ", ".join(option or "(any)" for option in options)
            raise SettingsInvalid(f"{name} is {value!r}{near(value, options)}; allowed are {words}")


def _ns(text: str, missing: int) -> int:
    """Read a time of the filter; one that is not given is `missing`."""
    try:
        return utc_ns(text) if text else missing
    except NotFound:
        raise SettingsInvalid(f"time is {text!r}, allowed is a UTC time such as 2019-09-30T12:00") from None


def symbols_of(project: "Project") -> list[str]:
    """Return the desk's instruments, at the places of their numbers."""
    return [instrument.symbol for instrument in project.settings.instrument]


def _known(value: float) -> float | None:
    """Return a number, or None for what is undefined: JSON has no NaN."""
    return float(value) if np.isfinite(value) else None
