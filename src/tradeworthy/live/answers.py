"""What the venue answers: fills and rejects change positions, once.

Flow:   `settle` judges one answer, writes the verdict into its flags and, if it is believed, books it.
Policy: an answer for an order that is not open, a fill of more than is left or on the wrong side, and a fill seen
        before (known by the venue's number of it, where it has one) change nothing. So an answer may come twice, and
        a foreign one cannot move the desk's positions.
"""

# ruff: noqa: PLR0917 - kernels have no keyword arguments

from tradeworthy.core.denials import DenialCode
from tradeworthy.core.events import Kind
from tradeworthy.core.kernel import kernel
from tradeworthy.live.inbox import REFERENCE, TS_EVENT, VALUES, Numbers, Words, kind_of, set_flags
from tradeworthy.live.positions import (
    book_fill,
    check_fill,
    close_order,
    find_order,
    land,
    note_heard,
    revalue,
    was_heard,
)
from tradeworthy.live.state import DeskState

_FILL = int(Kind.FILL)
_REJECT = int(Kind.REJECT)
_NONE = int(DenialCode.NONE)
_DUPLICATE = int(DenialCode.INPUT_DUPLICATE)
_NOT_AN_ANSWER = int(DenialCode.INPUT_NOT_AN_ANSWER)


@kernel
def settle_fill(
    desk: DeskState, place: int, ts_event_ns: int, quantity: float, price: float, fee: float, execution: float
) -> int:
    """Book a fill of the open order at `place`, or return why not."""
    order, account = desk.orders[place], desk.account[0]
    instrument = order["instrument"]
    position, grid = desk.positions[instrument], desk.grid[instrument]
    if execution > 0.0 and was_heard(desk.heard, desk.heard_count[0], order["order"], execution):
        return _DUPLICATE
    code = check_fill(order, grid["lot"], ts_event_ns, quantity, price, fee, execution)
    if code != _NONE:
        return code
    if execution > 0.0:
        note_heard(desk.heard, desk.heard_count[0], order["order"], execution)
        desk.heard_count[0] += 1
    book_fill(position, grid["lot"], grid["multiplier"], quantity, price, fee)
    revalue(position, account, grid["multiplier"])
    land(position, quantity, grid["lot"])
    order["remaining"] -= quantity
    order["ts_fill_ns"] = ts_event_ns
    order["fill_quantity"] = quantity
    order["fill_price"] = price
    if abs(order["remaining"]) < 0.5 * grid["lot"]:
        close_order(account, desk.orders, place)
    return _NONE


@kernel
def settle_reject(desk: DeskState, place: int) -> int:
    """Take what is left of the open order at `place` out of flight."""
    order = desk.orders[place]
    instrument = order["instrument"]
    land(desk.positions[instrument], order["remaining"], desk.grid[instrument]["lot"])
    close_order(desk.account[0], desk.orders, place)
    return _NONE


@kernel
def settle(desk: DeskState, words: Words, numbers: Numbers, place: int) -> int:
    """Judge and book one answer; returns a `DenialCode`, written into its flags."""
    kind = kind_of(words, place)
    found = find_order(desk.account[0], desk.orders, words[place, REFERENCE])
    if kind not in (_FILL, _REJECT):
        code = _NOT_AN_ANSWER
    elif found < 0:
        code = _DUPLICATE
    elif kind == _REJECT:
        code = settle_reject(desk, found)
    else:
        quantity, price, fee = numbers[place, VALUES], numbers[place, VALUES + 1], numbers[place, VALUES + 2]
        execution = numbers[place, VALUES + 3]
        code = settle_fill(desk, found, words[place, TS_EVENT], quantity, price, fee, execution)
    set_flags(words, place, code)
    if code != _NONE:
        desk.denials[code] += 1
    return code
