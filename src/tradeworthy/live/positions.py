"""What the desk holds and what it has earned: a projection of fills, kept beside the orders that are not yet done.

State:  one `POSITION` an instrument, one `ACCOUNT`, and the open orders, packed at the front of their table.
Flow:   an approved order is *placed* before the venue sees it and counts at once; fills and rejects *settle* it.
Undefined: a mark is NaN until the instrument's first price. Values then are NaN and refuse every order that needs them.
Units:  quantities in units of the instrument, positive is long; money in its currency. `pnl` is after fees.
"""

# ruff: noqa: PLR0917 - kernels have no keyword arguments

import numpy as np
import numpy.typing as npt

from tradeworthy.core.denials import DenialCode
from tradeworthy.core.kernel import kernel

Records = npt.NDArray[np.void]

POSITION = np.dtype(
    [
        ("quantity", "<f8"),  # filled
        ("buying", "<f8"),  # in flight, zero or more
        ("selling", "<f8"),  # in flight, zero or more
        ("average_price", "<f8"),  # at which the open quantity was bought or sold
        ("realised", "<f8"),  # before fees
        ("fees", "<f8"),
        ("pnl", "<f8"),  # realised and unrealised, after fees
        ("mark", "<f8"),  # the price at which it is valued
        ("ts_mark_ns", "<i8"),  # when that price was made; 0 where it is not known any more
        ("repeated_side", "<f8"),  # of the orders sent in a row
        ("repeated_orders", "<i8"),  # how many in a row
        ("halted", "<i8"),
    ]
)

ACCOUNT = np.dtype(
    [
        ("equity", "<f8"),  # the sum of pnl: what the desk has earned since it started
        ("peak", "<f8"),  # the highest equity seen, at least 0
        ("open_orders", "<i8"),  # how many
        ("orders_sent", "<i8"),  # messages ever sent: the next place in the ring of sent messages
        ("latched", "<i8"),  # 1: switched off by repeated execution until a person resumes
        ("halted", "<i8"),
    ]
)

OPEN_ORDER = np.dtype(
    [
        ("order", "<i8"),  # its id: the sequence of its decision
        ("remaining", "<f8"),  # signed
        ("instrument", "<i8"),
        ("ts_fill_ns", "<i8"),  # the last fill, to know it when it comes again without a number
        ("fill_quantity", "<f8"),
        ("fill_price", "<f8"),
    ]
)

HEARD = np.dtype([("order", "<i8"), ("execution", "<i8")])
"""A fill that was booked, by its order and the venue's own number of it."""

OPEN_ORDERS_MAX = 256
HEARD_MAX = 1024
"""How many booked fills are remembered by number; a repeat of an older one must fit into its order to be believed."""

_NONE = int(DenialCode.NONE)
_DUPLICATE = int(DenialCode.INPUT_DUPLICATE)
_INCONSISTENT = int(DenialCode.INPUT_INCONSISTENT)
_NOT_FINITE = int(DenialCode.INPUT_NOT_FINITE)
_NOT_POSITIVE = int(DenialCode.INPUT_NOT_POSITIVE)


def new_positions(n_instruments: int) -> Records:
    """Return flat positions without a mark, one an instrument."""
    positions = np.zeros(n_instruments, POSITION)
    positions["mark"] = np.nan
    return positions


@kernel
def on_grid(steps: float, step: float) -> float:
    """Return `steps` whole steps; a step of 1/n divides by n, so that 303 steps of 0.01 are 3.03 exactly."""
    inverse = np.round(1.0 / step)
    if inverse >= 1.0 and abs(inverse * step - 1.0) < 1e-9:
        return float(steps / inverse)
    return steps * step


@kernel
def revalue(position: np.void, account: np.void, multiplier: float) -> None:
    """Bring a position's profit, the equity and its peak up to date with the mark."""
    unrealised = 0.0
    if position["quantity"] != 0.0:
        unrealised = position["quantity"] * multiplier * (position["mark"] - position["average_price"])
    pnl = position["realised"] - position["fees"] + unrealised
    account["equity"] += pnl - position["pnl"]
    position["pnl"] = pnl
    if account["equity"] > account["peak"]:  # noqa: PLR1730  # max of a NaN would lose the peak
        account["peak"] = account["equity"]


@kernel
def mark_position(position: np.void, account: np.void, multiplier: float, price: float, ts_price_ns: int) -> None:
    """Value a position at a new price."""
    position["mark"] = price
    position["ts_mark_ns"] = ts_price_ns
    if position["quantity"] != 0.0:
        revalue(position, account, multiplier)


@kernel
def held_quantity(position: np.void, lot: float) -> float:
    """Return filled plus in-flight quantity; less than half a lot is nothing."""
    held = position["quantity"] + position["buying"] - position["selling"]
    return 0.0 if abs(held) < 0.5 * lot else held


@kernel
def place_order(positions: Records, account: np.void, orders: Records, instrument: int, quantity: float) -> int:
    """Count an order as in flight, and return its place among the open ones.

    Its id is written there once its decision has one. The caller has made sure that there is room.
    """
    place = account["open_orders"]
    account["open_orders"] = place + 1
    order = orders[place]
    order["order"] = 0
    order["remaining"] = quantity
    order["instrument"] = instrument
    order["ts_fill_ns"] = 0
    order["fill_quantity"] = 0.0
    order["fill_price"] = 0.0
    fly(positions[instrument], quantity)
    return int(place)


@kernel
def fly(position: np.void, quantity: float) -> None:
    """Add a signed quantity to what is in flight on its side."""
    if quantity > 0.0:
        position["buying"] += quantity
    else:
        position["selling"] -= quantity


@kernel
def land(position: np.void, quantity: float, lot: float) -> None:
    """Take a signed quantity out of what is in flight on its side."""
    if quantity > 0.0:
        left = position["buying"] - quantity
        position["buying"] = 0.0 if left < 0.5 * lot else left
    else:
        left = position["selling"] + quantity
        position["selling"] = 0.0 if left < 0.5 * lot else left


@kernel
def find_order(account: np.void, orders: Records, order_id: int) -> int:
    """Return the place of an open order, or -1."""
    for place in range(account["open_orders"]):
        if orders[place]["order"] == order_id:
            return int(place)
    return -1


@kernel
def close_order(account: np.void, orders: Records, place: int) -> None:
    """Forget an order that is done; the last one takes its place."""
    last = account["open_orders"] - 1
    account["open_orders"] = last
    if place != last:
        orders[place] = orders[last]


@kernel
def was_heard(heard: Records, count: int, order_id: int, execution: float) -> bool:
    """Tell whether a fill with this number was booked, among the last `HEARD_MAX` of `count`."""
    for place in range(min(count, heard.shape[0])):
        if heard[place]["order"] == order_id and heard[place]["execution"] == execution:
            return True
    return False


@kernel
def note_heard(heard: Records, count: int, order_id: int, execution: float) -> None:
    """Remember booked fill number `count` (counted from 0)."""
    place = count % heard.shape[0]
    heard[place]["order"] = order_id
    heard[place]["execution"] = np.int64(execution)


@kernel
def check_fill(
    order: np.void, lot: float, ts_event_ns: int, quantity: float, price: float, fee: float, execution: float
) -> int:
    """Return why a fill of an open order cannot be believed, or `DenialCode.NONE`; its number is looked up elsewhere.

    Without a number, a fill like the last one of its order, at the same time, is taken for the same.
    """
    if not (np.isfinite(quantity) and np.isfinite(price) and np.isfinite(fee)):
        return _NOT_FINITE
    if price <= 0.0:
        return _NOT_POSITIVE
    if quantity * order["remaining"] <= 0.0 or abs(quantity) > abs(order["remaining"]) + 0.5 * lot:
        return _INCONSISTENT
    if execution > 0.0:
        return _NONE
    same = order["ts_fill_ns"] == ts_event_ns and order["fill_quantity"] == quantity and order["fill_price"] == price
    return _DUPLICATE if same else _NONE


@kernel
def book_fill(position: np.void, lot: float, multiplier: float, quantity: float, price: float, fee: float) -> None:
    """Change a position by a fill: average price while it grows, realised profit while it shrinks."""
    before = position["quantity"]
    after = np.round((before + quantity) / lot)
    after = on_grid(after, lot)
    if before * quantity >= 0.0:
        position["average_price"] = (abs(before) * position["average_price"] + abs(quantity) * price) / (
            abs(before) + abs(quantity)
        )
    else:
        closed = min(abs(before), abs(quantity))
        gain = price - position["average_price"]
        position["realised"] += closed * multiplier * (gain if before > 0.0 else -gain)
        if before * after < 0.0:
            position["average_price"] = price
    if after == 0.0:
        position["average_price"] = 0.0
    position["quantity"] = after
    position["fees"] += fee
    if not position["mark"] > 0.0:
        position["mark"] = price
