"""What a version is for, as its signed bundle says it: what cannot be asked of it follows from that alone.

Idea:   a model that scores applications for loans earns nothing, so what it earns cannot be judged; a setting that
        switched such checks off would switch them off for those that trade as well. A version that wants no position
        cannot come to trade later: its signal is signed.
"""

import msgspec


class Purpose(msgspec.Struct, frozen=True, kw_only=True):
    """What a version does with what.

    Attributes
    ----------
    wants_positions : bool
        Whether its signal has a notional above 0.
    foresees_prices : bool
        Whether its label is a price that moves, and not an outcome that somebody reports.
    reads_market : bool
        Whether a feature reads bars, trades, quotes or books, and not only rows that were made elsewhere.
    foresees_classes : bool
        Whether its label is one thing or the other, so that a score is a probability; not a return.
    """

    wants_positions: bool
    foresees_prices: bool
    reads_market: bool
    foresees_classes: bool


def to_all(_purpose: Purpose) -> str:
    """Say nothing: the requirement applies whatever the version is for."""
    return ""


def to_traders(purpose: Purpose) -> str:
    """Say why money cannot be counted: it wants no position, and what it foresees has no price."""
    if purpose.wants_positions or purpose.foresees_prices:
        return ""
    return "the version only scores (its notional is 0) and foresees an outcome that has no price: there is no money"


def to_market_readers(purpose: Purpose) -> str:
    """Say why market events cannot mislead it: it reads none."""
    if purpose.reads_market:
        return ""
    return "its features read rows that were made elsewhere, and no market event; what can move them is for `movable`"


def to_classifiers(purpose: Purpose) -> str:
    """Say why a score cannot be held against a share of positives: it foresees a return."""
    return "" if purpose.foresees_classes else "it foresees a return, so its scores are no probabilities"
