"""The guard of the order path: a list of declared checks, one rule, one answer.

Idea:   `observe_order` lets every check measure; `first_refusal` compares each with its limit, in the declared order.
        To add a control: one function in `checks`, one line in `CHECKS`, one in `observe_order`, one limit.
Undefined: a limit that is not set and a measure that is not a number refuse (fail closed): nothing here asks whether a
        value is too big, only whether it is known to be small enough.
Time:   `now_ns` is the time of the decision; what was approved before counts from that moment, filled or not.
"""

# ruff: noqa: PLR0917 - kernels have no keyword arguments

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.core.denials import DenialCode, Denied
from tradeworthy.core.kernel import kernel
from tradeworthy.core.limits import LIMIT_FIELDS
from tradeworthy.live.positions import OPEN_ORDERS_MAX, held_quantity, place_order
from tradeworthy.live.risk import checks
from tradeworthy.live.risk.sent import messages_last_minute, note_message, twin_age_ms
from tradeworthy.live.state import DeskState, hold_desk


class Check(NamedTuple):
    """One control: the code of its refusal, the limit it is held to, the unit of both."""

    code: DenialCode
    limit: str
    unit: str
    at_least: bool = False  # the limit is a least value, not a greatest


CHECKS: tuple[Check, ...] = (
    Check(DenialCode.PRICE_COLLAR, "price_collar_bps_max", "bps"),
    Check(DenialCode.ORDER_VALUE, "order_value_max", "currency"),
    Check(DenialCode.ORDER_QUANTITY, "order_quantity_max", "units"),
    Check(DenialCode.MESSAGE_RATE, "orders_per_minute_max", "messages"),
    Check(DenialCode.REPEATED_EXECUTION, "repeated_orders_max", "orders"),
    Check(DenialCode.DUPLICATE_ORDER, "duplicate_window_ms", "ms", at_least=True),
    Check(DenialCode.POSITION_QUANTITY, "position_quantity_max", "units"),
    Check(DenialCode.POSITION_VALUE, "position_value_max", "currency"),
    Check(DenialCode.DRAWDOWN, "drawdown_value_max", "currency"),
    Check(DenialCode.MARKET_STALE, "market_age_ms_max", "ms"),
)
"""The controls, in the order in which they are asked; each stands at the place of its limit in `LIMIT_FIELDS`."""

_CODES = np.array([check.code for check in CHECKS], np.int64)
_AT_LEAST = np.array([check.at_least for check in CHECKS], np.bool_)
_NONE = int(DenialCode.NONE)
_HALTED = int(DenialCode.HALTED)
_LIMIT_MISSING = int(DenialCode.LIMIT_MISSING)
_REFERENCE_MISSING = int(DenialCode.REFERENCE_MISSING)
_REPEATED = int(DenialCode.REPEATED_EXECUTION)
_MESSAGE_RATE = int(DenialCode.MESSAGE_RATE)
_DUPLICATE_WINDOW = LIMIT_FIELDS.index("duplicate_window_ms")
_RATE = LIMIT_FIELDS.index("orders_per_minute_max")

PASSED = -1
"""`first_refusal` found nothing to refuse."""


@kernel
def observe_order(
    desk: DeskState, instrument: int, quantity: float, limit_price: float, reference_price: float, now_ns: int
) -> None:
    """Write what each check measures into `desk.observed`."""
    position, account, grid = desk.positions[instrument], desk.account[0], desk.grid[instrument]
    multiplier, sent, count = grid["multiplier"], desk.sent, account["orders_sent"]
    held = held_quantity(position, grid["lot"])
    exposure = checks.exposure_quantity(quantity, position["quantity"], position["buying"], position["selling"])
    window_ms = desk.limits[instrument, _DUPLICATE_WINDOW]
    seen = desk.observed
    seen[0] = checks.price_collar_bps(limit_price, reference_price)
    seen[1] = checks.order_value(quantity, limit_price, reference_price, multiplier)
    seen[2] = checks.order_quantity(quantity)
    seen[3] = messages_last_minute(sent, count, now_ns)
    seen[4] = checks.repeated_orders(
        np.sign(quantity), position["repeated_side"], position["repeated_orders"], account["latched"]
    )
    seen[5] = twin_age_ms(sent, count, now_ns, window_ms, instrument, quantity, limit_price)
    seen[6] = exposure
    seen[7] = checks.exposure_value(exposure, limit_price, reference_price, multiplier)
    seen[8] = checks.drawdown_value(account["equity"], account["peak"], quantity, held)
    seen[9] = checks.market_age_ms(now_ns, position["ts_mark_ns"])


@kernel
def first_refusal(observed: npt.NDArray[np.float64], limits: npt.NDArray[np.float64]) -> int:
    """Return the place of the first check that is not known to hold, or `PASSED`."""
    for place in range(observed.shape[0]):
        held = observed[place] >= limits[place] if _AT_LEAST[place] else observed[place] <= limits[place]
        if not held:
            return place
    return PASSED


@kernel
def refusal_code(observed: float, limit: float, place: int) -> int:
    """Name a refusal: the limit is missing, the measure is missing, or the check itself refuses."""
    if np.isnan(limit):
        return _LIMIT_MISSING
    return _REFERENCE_MISSING if np.isnan(observed) else int(_CODES[place])


@kernel
def judge(
    desk: DeskState, instrument: int, quantity: float, limit_price: float, reference_price: float, now_ns: int
) -> tuple[int, int]:
    """Judge one order, changing nothing but `desk.observed`.

    Returns
    -------
    code, place : int
        The verdict, and the place of the check that refused (`PASSED` for none).
    """
    observe_order(desk, instrument, quantity, limit_price, reference_price, now_ns)
    limits = desk.limits[instrument]
    place = first_refusal(desk.observed, limits)
    if place != PASSED:
        return refusal_code(desk.observed[place], limits[place], place), place
    if desk.account[0]["open_orders"] >= OPEN_ORDERS_MAX:
        desk.observed[_RATE] = np.inf
        return _MESSAGE_RATE, _RATE
    return _NONE, PASSED


@kernel
def latch_if_repeated(desk: DeskState, code: int) -> None:
    """Switch the strategy off once it repeats itself; only a person's resume clears the latch."""
    if code == _REPEATED:
        desk.account[0]["latched"] = 1


@kernel
def send_order(desk: DeskState, instrument: int, quantity: float, limit_price: float, now_ns: int) -> int:
    """Count an approved order everywhere before anybody else sees it; return its place among the open orders."""
    account, position = desk.account[0], desk.positions[instrument]
    note_message(desk.sent, account["orders_sent"], now_ns, instrument, quantity, limit_price)
    account["orders_sent"] += 1
    side = np.sign(quantity)
    position["repeated_orders"] = position["repeated_orders"] + 1 if side == position["repeated_side"] else 1
    position["repeated_side"] = side
    return place_order(desk.positions, account, desk.orders, instrument, quantity)


@kernel
def send_cancel(desk: DeskState, instrument: int, now_ns: int) -> None:
    """Count a cancel as a message."""
    account = desk.account[0]
    note_message(desk.sent, account["orders_sent"], now_ns, instrument, 0.0, np.nan)
    account["orders_sent"] += 1


@kernel
def is_halted(desk: DeskState, instrument: int) -> bool:
    """Tell whether the desk or the instrument is halted."""
    return bool(desk.account[0]["halted"] != 0 or desk.positions[instrument]["halted"] != 0)


def judge_order(
    desk: DeskState, instrument: int, quantity: float, limit_price: float, reference_price: float, now_ns: int
) -> Denied | None:
    """Judge one order as the engine would, for people and tests.

    Parameters
    ----------
    desk : DeskState
        Read; only its scratch `observed` changes.
    instrument : int
        Its number.
    quantity : float
        Signed, in units of the instrument.
    limit_price, reference_price : float
        The worst price accepted; the price believed.
    now_ns : int
        UTC nanoseconds of the decision.

    Returns
    -------
    Denied or None
        The first refusal, or nothing.
    """
    held = hold_desk(desk)
    if is_halted(held, instrument):
        return Denied(DenialCode.HALTED, 1.0, 0.0, "halts")
    code, place = judge(held, instrument, quantity, limit_price, reference_price, now_ns)
    if code == _NONE:
        return None
    return Denied(
        DenialCode(code), float(desk.observed[place]), float(desk.limits[instrument, place]), CHECKS[place].unit
    )
