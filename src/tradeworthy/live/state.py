"""The desk's whole state in a few arrays: what kernels change, checkpoints keep and replay rebuilds.

Idea:   the state of trading is data. One NamedTuple of arrays is all that decides, beside the versions' own state, what
        the next event leads to; copy it and you have a second desk.
Shape:  n instruments; tables that grow with use (open orders, sent messages) have a fixed room.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

import msgspec
import numpy as np
import numpy.typing as npt
from numba.experimental import structref

from tradeworthy.core.allowed import require
from tradeworthy.core.errors import DataInvalid
from tradeworthy.core.events import Kind
from tradeworthy.core.held import Handle, HandleType, declare
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.kernel import kernel
from tradeworthy.core.limits import LIMIT_FIELDS, Limits
from tradeworthy.live.positions import ACCOUNT, HEARD, HEARD_MAX, OPEN_ORDER, OPEN_ORDERS_MAX, new_positions
from tradeworthy.live.risk.sent import SENT, SENT_MAX

Records = npt.NDArray[np.void]

GRID = np.dtype([("tick", "<f8"), ("lot", "<f8"), ("multiplier", "<f8"), ("traded", "<i8")])
"""What an instrument can be traded in."""

RULES = np.dtype(
    [
        ("jump_bps_max", "<f8"),
        ("input_age_ms_max", "<f8"),
        ("limit_price_bps", "<f8"),
        ("row_fields", "<i8"),
    ]
)

LANE_KINDS = int(Kind.ROW) + 1
"""Input lanes an instrument has: one for each kind of market data and rows, and the unused 0."""

LANE_WORDS = 11
_ADDED = ("suspicions", "heard", "heard_count", "manners")  # what checkpoints of earlier releases lack

MANNERS = 3
"""The edition of the rules that decide to the last bit. A tape goes on under the edition of its checkpoint until an
engine starts on it, so that records of every release replay. 0: orders were what target and position differ by, and an
event sent again confirmed its own jump. 1: orders lie on the lot grid, and it does not. 2: a price is as old as its
event, not as its arrival, and a feed may tell of gaps. 3: a share of nothing closes a position without a score."""
DENIALS_MAX = 512


class CheckSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the desk believes of its inputs, and how it prices orders.

    Attributes
    ----------
    jump_bps_max : float or None
        A price further from the last one is refused, until a second price near it confirms it. Not set: off.
    input_age_ms_max : float or None
        An event that happened longer ago than this when it is seen, or lies as far in the future, is refused. Not set:
        off (as for history).
    limit_price_bps : float
        How much worse than the reference price an order may fill.
    range_margin : float or None
        A feature outside the range seen in training by more than this many widths of that range refuses the
        decision. Not set: off.
    """

    jump_bps_max: float | None = 2_000.0
    input_age_ms_max: float | None = None
    limit_price_bps: float = 100.0
    range_margin: float | None = 1.0

    def __post_init__(self) -> None:
        """Refuse a check that would pass or refuse everything: leaving one out is said by leaving it out."""
        require(self, "engine.checks", positive=("jump_bps_max", "input_age_ms_max"))


class DeskState(NamedTuple):
    """The arrays. All are changed in place by kernels."""

    grid: Records  # (n,) GRID
    rules: Records  # (1,) RULES
    lanes: npt.NDArray[np.int64]  # (n, LANE_KINDS, LANE_WORDS): what was consumed last, see live.inputs
    suspects: npt.NDArray[np.float64]  # (n,) a price that jumped and waits to be confirmed; NaN for none
    suspicions: npt.NDArray[np.int64]  # (n, 3) its event's kind, time and reference
    positions: Records  # (n,) POSITION
    account: Records  # (1,) ACCOUNT
    orders: Records  # (OPEN_ORDERS_MAX,) OPEN_ORDER
    sent: Records  # (SENT_MAX,) SENT
    heard: Records  # (HEARD_MAX,) HEARD: a ring of the fills booked last
    heard_count: npt.NDArray[np.int64]  # (1,) how many ever
    limits: npt.NDArray[np.float64]  # (n, LIMIT_FIELDS) what each instrument's orders are held to; NaN is not set
    manners: npt.NDArray[np.int64]  # (1,) by which edition of the rules it decides, see MANNERS
    observed: npt.NDArray[np.float64]  # what the checks of the last order observed
    denials: npt.NDArray[np.int64]  # (DENIALS_MAX,) how often each code refused


@structref.register
class DeskType(HandleType):
    """The compiled type of a desk's handle."""


class DeskHandle(Handle):
    """What kernels hold of a `DeskState`."""


declare(DeskHandle, DeskType, DeskState._fields)


@kernel
def _hold(desk: DeskState) -> DeskHandle:
    return DeskHandle(*desk)  # type: ignore[no-untyped-call]


def hold_desk(desk: DeskState) -> DeskState:
    """Return the handle of a desk, for kernels: they see the same fields and the same arrays."""
    return cast(DeskState, _hold(desk))


def new_desk(
    instruments: Sequence[Instrument],
    limits: Limits | None = None,
    settings: CheckSettings | None = None,
    *,
    row_fields: int = 0,
) -> DeskState:
    """Return the state of a desk that has seen nothing.

    Parameters
    ----------
    instruments : sequence of Instrument
        In the order of their numbers.
    limits : Limits, optional
        None set if left out, so that every order is refused.
    settings : CheckSettings, optional
    row_fields : int
        How many values a row event carries.
    """
    n = len(instruments)
    settings = settings or CheckSettings()
    rules = np.zeros(1, RULES)
    rules["jump_bps_max"] = np.nan if settings.jump_bps_max is None else settings.jump_bps_max
    rules["input_age_ms_max"] = np.nan if settings.input_age_ms_max is None else settings.input_age_ms_max
    rules["limit_price_bps"] = settings.limit_price_bps
    rules["row_fields"] = row_fields
    lanes = np.zeros((n, LANE_KINDS, LANE_WORDS), np.int64)
    lanes[:, :, 0] = np.iinfo(np.int64).min
    return DeskState(
        grid=_grid(instruments),
        rules=rules,
        lanes=lanes,
        suspects=np.full(n, np.nan),
        suspicions=np.zeros((n, 3), np.int64),
        positions=new_positions(n),
        account=np.zeros(1, ACCOUNT),
        orders=np.zeros(OPEN_ORDERS_MAX, OPEN_ORDER),
        sent=np.zeros(SENT_MAX, SENT),
        heard=np.zeros(HEARD_MAX, HEARD),
        heard_count=np.zeros(1, np.int64),
        limits=np.tile((limits or Limits()).as_array(), (n, 1)),
        manners=np.full(1, MANNERS, np.int64),
        observed=np.full(len(LIMIT_FIELDS), np.nan),
        denials=np.zeros(DENIALS_MAX, np.int64),
    )


def _grid(instruments: Sequence[Instrument]) -> Records:
    grid = np.zeros(len(instruments), GRID)
    for place, one in enumerate(instruments):
        grid[place] = (one.tick, one.lot, one.multiplier, one.traded)
    return grid


def dump_desk(desk: DeskState) -> dict[str, npt.NDArray[np.generic]]:
    """Copy the state for a checkpoint; rings and tables are kept only as far as they are used."""
    arrays = {name: array.copy() for name, array in desk._asdict().items()}
    account = desk.account[0]
    arrays["orders"] = desk.orders[: account["open_orders"]].copy()
    arrays["sent"] = desk.sent[: account["orders_sent"]].copy()
    arrays["heard"] = desk.heard[: desk.heard_count[0]].copy()
    return arrays


def restore_desk(desk: DeskState, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
    """Put a checkpoint's state into a desk of the same instruments; what an older release did not keep stays as new.

    Raises
    ------
    DataInvalid
        The checkpoint is of another shape.
    """
    for name, array in desk._asdict().items():
        stored = arrays.get(name)
        if stored is None and name in _ADDED:
            if name == "manners":
                array[:] = 0
            continue
        if stored is not None and name == "limits" and stored.ndim == 1:  # from before instruments had limits
            stored = np.tile(stored, (len(array), 1))
        shrinks = name in {"orders", "sent", "heard"}
        fits = stored is not None and stored.dtype == array.dtype and (shrinks or stored.shape == array.shape)
        if stored is None or not fits:
            raise DataInvalid(
                f"the checkpoint's {name} is {None if stored is None else stored.shape}, this desk has {array.shape}; "
                "start a new tape for a changed list of instruments"
            )
        array[: len(stored)] = stored
