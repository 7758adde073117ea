"""From score to wanted position to order: thresholds with hysteresis, sizing, the worst price accepted.

Idea:   the side follows from the score and the side held now, so that nothing has to be remembered: a version that
        takes over, or an order that was refused, needs no repair. While the side stays, the size stays.
Undefined: without a price there is no size: NaN, which the risk checks refuse. A notional of 0 wants
        no position and so needs no price.
Units:  quantities in units of the instrument on its lot grid; prices in its currency on its tick grid.
"""

# ruff: noqa: PLR0917 - kernels have no keyword arguments

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import Rule
from tradeworthy.core.kernel import kernel
from tradeworthy.live.positions import on_grid
from tradeworthy.model.manifest import Signal
from tradeworthy.model.thresholds import GroupThresholds

_NOW = ("share", "rule", "base_rate")
SIGNAL = np.dtype([(name, "<f8") for name in (*Signal.__struct_fields__, *_NOW)])
"""A version's signal parameters as kernels read them; `share` is the part of its full size that it may take now,
`rule` the `Rule` that decides in its place, `base_rate` the score by which one of them does."""

_NONE, _FLAT, _HOLD, _BASE_RATE = (float(rule) for rule in Rule)

GROUP = np.dtype([("place", "<i8"), ("value", "<f8")])
"""A group with a threshold of its own: the place in a row's values that tells it, and what it holds there."""

_TOO_LARGE = 1.1
"""A position over so many times a reduced size is cut; a smaller excess is left, or every price would trade."""

_GRID_SLACK = 1e-9
_BPS_PER_ONE = 10_000.0


def signal_record(signal: Signal, base_rate: float = np.nan) -> npt.NDArray[np.void]:
    """Return signal parameters as a (1,) record: in full, and without a rule."""
    own = (float(getattr(signal, name)) for name in Signal.__struct_fields__)
    return np.array([(*own, 1.0, _NONE, base_rate)], SIGNAL)


@kernel
def needs_no_score(signal: np.void) -> bool:
    """Tell whether what is wanted does not follow from the model: a rule decides, or the version is to be flat."""
    return bool(signal["rule"] != _NONE or signal["share"] == 0.0)


@kernel
def standing_in(signal: np.void) -> float:
    """Return the score that stands in for the model's where none is needed; NaN if the base rate is not known."""
    return float(signal["base_rate"]) if signal["rule"] == _BASE_RATE else 0.0


def group_records(thresholds: GroupThresholds | None, row_fields: Sequence[str]) -> npt.NDArray[np.void]:
    """Return the groups that have thresholds of their own as (g,) records, in the order of their numbers."""
    if thresholds is None:
        return np.zeros(0, GROUP)
    place = list(row_fields).index(thresholds.column)
    return np.array([(place, each.value) for each in thresholds.group], GROUP)


@kernel
def wanted_side(signal: np.void, score: float, held: float) -> float:
    """Return 1 for long, -1 for short, 0 for flat: enter beyond one threshold, stay until a second is crossed."""
    if score >= signal["enter_long"]:
        return 1.0
    may_short = signal["allow_short"] != 0.0
    if may_short and score <= signal["enter_short"]:
        return -1.0
    if held > 0.0 and score >= signal["exit_long"]:
        return 1.0
    return -1.0 if may_short and held < 0.0 and score <= signal["exit_short"] else 0.0


@kernel
def _fill_sides(signal: np.void, scores: npt.NDArray[np.float64], sides: npt.NDArray[np.float64]) -> None:
    """Fill `sides` with what is wanted after each score."""
    held = 0.0
    for i in range(scores.shape[0]):
        held = wanted_side(signal, scores[i], held)
        sides[i] = held


def sides_of(signal: Signal, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return what (n,) scores in the order of time make one want: 1, 0 or -1, flat before the first."""
    sides = np.zeros(len(scores))
    _fill_sides(signal_record(signal)[0], scores, sides)
    return sides


@kernel
def sized(notional: float, price: float, multiplier: float, lot: float) -> float:
    """Return the largest quantity on the lot grid whose value is at most `notional`; NaN without a price."""
    if not price > 0.0:
        return np.nan
    return on_grid(np.floor(notional / (price * multiplier) / lot + _GRID_SLACK), lot)


@kernel
def wanted_position(signal: np.void, score: float, held: float, price: float, multiplier: float, lot: float) -> float:
    """Return the target position: what is held while its side is wanted, else a new size.

    While the size is reduced, a position that is too large for it is cut; a share of 0 wants to be flat, and so does a
    notional of 0. The rules flat and hold ask nobody.
    """
    if signal["rule"] == _HOLD and signal["share"] > 0.0:
        return held
    side = wanted_side(signal, score, held)
    if side == 0.0 or signal["notional"] == 0.0 or signal["rule"] == _FLAT:
        return 0.0
    keeps = side * held > 0.0
    if keeps and signal["share"] == 1.0:
        return held
    fresh = sized(signal["notional"] * signal["share"], price, multiplier, lot)
    return held if keeps and abs(held) <= _TOO_LARGE * fresh else side * fresh


@kernel
def worst_price(quantity: float, price: float, allowance_bps: float, tick: float) -> float:
    """Return the worst price at which an order may fill, on the tick grid and never beyond the allowance."""
    if quantity > 0.0:
        steps = np.floor(price * (1.0 + allowance_bps / _BPS_PER_ONE) / tick + _GRID_SLACK)
    else:
        steps = np.ceil(price * (1.0 - allowance_bps / _BPS_PER_ONE) / tick - _GRID_SLACK)
    return on_grid(steps, tick)
