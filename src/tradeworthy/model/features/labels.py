"""Labels: what a model learns to foresee, the only formulas that may look forward.

Idea:   a price that moves, or an outcome that somebody reports. An outcome stands in a column of its row right
        behind the fields that features may read, so no feature can name it.
Time:   the label of a decision at event i is known `horizon` decisions later; where the record ends earlier there is
        none. Horizons count events of the price's own kind and instrument (rows, for an outcome).
Units:  values are log returns; `cost_bps` is in hundredths of a percent, one way there and back together.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import UNDECODABLE, FeatureInvalid
from tradeworthy.core.events import FIELDS, EventBatch, Kind
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.kernel import leaf
from tradeworthy.model.features.expressions import row
from tradeworthy.model.features.formula import Expression
from tradeworthy.model.features.kernel import Floats, Words
from tradeworthy.model.features.program import Program, compile_program
from tradeworthy.model.features.runtime import FeatureState

BPS = 1e-4
HORIZON_MAX = 1_000_000


class Label(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happens in the next `horizon` events; from `forward_return`, `forward_direction` or `outcome`.

    A label that reads rows needs the desk's `row_fields`, all of them in their order; a strategy's label gets them from
    the strategy. The column of an outcome is the one behind them.
    """

    looks_ahead: ClassVar[bool] = True

    kind: Literal["forward_return", "forward_direction", "outcome"]
    horizon: int
    price: Expression
    cost_bps: float = 0.0
    row_fields: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a horizon or a cost that means nothing."""
        if isinstance(self.horizon, bool) or not isinstance(self.horizon, int):
            raise FeatureInvalid(f"{self.kind}: horizon is {self.horizon!r}, allowed is a whole number of events")
        if not 1 <= self.horizon <= HORIZON_MAX:
            raise FeatureInvalid(f"{self.kind}: horizon is {self.horizon}, allowed is 1 to {HORIZON_MAX}")
        if not 0.0 <= self.cost_bps < np.inf:
            raise FeatureInvalid(f"{self.kind}: cost_bps is {self.cost_bps}, allowed is zero or more")
        if not isinstance(self.price, Expression):
            raise FeatureInvalid(f"{self.kind}: price is {self.price!r}, allowed is an expression such as bar.close")
        _kind(self.price)

    def __repr__(self) -> str:
        """Write the label as Python."""
        if self.is_reported:
            return f"outcome({self.columns[-1]!r}, {self.horizon})"
        cost = f", cost_bps={self.cost_bps:g}" if self.cost_bps else ""
        return f"{self.kind}({self.price}, {self.horizon}{cost})"

    @property
    def trigger(self) -> Kind:
        """The kind of event at which the price is known."""
        return _kind(self.price)

    @property
    def is_reported(self) -> bool:
        """Whether it is an outcome: it stands in the row's file, or an OUTCOME event brings it at any time."""
        return self.kind == "outcome"

    @property
    def reach(self) -> int:
        """How many rows share the moments of one label: its horizon, and 1 of outcomes, each of which is its own."""
        return 1 if self.is_reported else self.horizon

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a file of rows must begin with: the fields, and behind them the outcome."""
        return (*self.row_fields, self.price.name.partition(".")[2]) if self.is_reported else self.row_fields

    def compute(
        self, events: EventBatch, instrument: int, instruments: Sequence[Instrument]
    ) -> tuple[Floats, Floats, Words]:
        """Label every event of one instrument whose future is in the batch.

        Parameters
        ----------
        events : (n,) events
            In the order consumed.
        instrument : int
            Place in `instruments`.
        instruments : sequence of Instrument
            The desk's list.

        Returns
        -------
        labels : (m,) float64
            The log return; 1 (up by more than the cost) and 0 (not worth it); or the outcome.
        values : (m,) float64
            Forward log returns; the outcome again.
        places : (m,) int64
            The events that they belong to.
        """
        prices, places = self.prices(events, instrument, self.memory(instrument, instruments))
        labels, values = self.ahead(prices)
        known = np.isfinite(values)
        return labels[known], values[known], places[: -self.horizon][known]

    def memory(self, instrument: int, instruments: Sequence[Instrument]) -> FeatureState | None:
        """Return what the price of one instrument remembers before its first event; None of a field as it stands."""
        if self._column is not None:
            return None
        desk = [msgspec.structs.replace(each, traded=i == instrument) for i, each in enumerate(instruments)]
        return FeatureState(_program(self.price, self.row_fields), desk)

    def prices(self, events: EventBatch, instrument: int, memory: FeatureState | None) -> tuple[Floats, Words]:
        """Return the price (or outcome) at each of the next events of its kind, NaN where undefined, and their places.

        `memory` moves on: batches one after the other give what they give as one.
        """
        if memory is not None:
            prices, places = memory.asked(events)
            return prices[:, 0], places
        column, prices, places = self._column, np.empty(len(events)), np.empty(len(events), np.int64)
        asked = (int(self.trigger), instrument, -1 if column is None else column)
        n = read_field((events["kind"], events["instrument"], events["values"]), asked, prices, places)
        return prices[:n], places[:n]

    def ahead(self, prices: Floats) -> tuple[Floats, Floats]:
        """Return the labels and values of all but the last `horizon` of (n,) prices; values are NaN where unknown."""
        if self.is_reported:
            return prices[: -self.horizon], prices[: -self.horizon]
        with np.errstate(invalid="ignore", divide="ignore"):
            levels = np.log(prices)
            values = levels[self.horizon :] - levels[: -self.horizon]
        return (values if self.kind == "forward_return" else (values > self.cost_bps * BPS).astype(np.float64)), values

    @property
    def _column(self) -> int | None:
        """The place of the price among an event's values, if it is a field as it stands, which needs no program."""
        if self.is_reported:
            return len(self.row_fields)
        fields = FIELDS.get(self.trigger, ())
        name = self.price.name.partition(".")[2] if self.price.op == "field" else ""
        return fields.index(name) if name in fields else None

    def to_json(self) -> bytes:
        """Return the label as canonical JSON."""
        return msgspec.json.encode(self)

    @staticmethod
    def from_json(data: bytes) -> "Label":
        """Read a stored label.

        Raises
        ------
        FeatureInvalid
            The bytes are not a label.
        """
        try:
            return msgspec.json.decode(data, type=Label)
        except UNDECODABLE as error:
            raise FeatureInvalid(f"these bytes are not a stored label: {error}") from error


@leaf
def read_field(
    events: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint32], Floats],
    asked: tuple[int, int, int],
    prices: Floats,
    places: Words,
) -> int:
    """Write one field of the events of one kind and instrument, NaN where there is no such column, and their places.

    Parameters
    ----------
    events : tuple of (n,) uint8, (n,) uint32, (n, w) float64
        Kinds, instruments and values.
    asked : tuple of int
        Kind, instrument and column.
    prices, places : (n,) float64, (n,) int64
        Where they are written.

    Returns
    -------
    int
        How many such events there are.
    """
    (kinds, instruments, values), (kind, instrument, column), found = events, asked, 0
    for i in range(len(kinds)):
        if kinds[i] == kind and instruments[i] == instrument:
            prices[found] = values[i, column] if 0 <= column < values.shape[1] else np.nan
            places[found] = i
            found += 1
    return found


def forward_return(price: Expression, horizon: int) -> Label:
    """Return the label log(price `horizon` events later / price now)."""
    return Label(kind="forward_return", horizon=horizon, price=price)


def forward_direction(price: Expression, horizon: int, cost_bps: float = 0.0) -> Label:
    """Return the label 1 where the price rises by more than the cost within `horizon` events, else 0."""
    return Label(kind="forward_direction", horizon=horizon, price=price, cost_bps=float(cost_bps))


def outcome(column: str, known_after: int) -> Label:
    """Return the label that the file of rows holds in a column, 1 (it happened) or 0.

    Parameters
    ----------
    column : str
        Its column, behind the strategy's `row_fields`; empty where the outcome is not known yet.
    known_after : int
        Rows that come before it is known. Training keeps so many rows between what it learns from and what it is
        tested on; monitors wait so many rows before they look.
    """
    return Label(kind="outcome", horizon=known_after, price=row(column))


@lru_cache(maxsize=64)
def _program(price: Expression, row_fields: tuple[str, ...]) -> Program:
    """Compile the price on the kind of event that it keeps the pace of."""
    if _kind(price) == Kind.ROW and not row_fields:
        raise FeatureInvalid(f"the price {price} reads rows, whose fields are not declared; give the label row_fields")
    return compile_program({"price": price}, trigger=_kind(price), row_fields=row_fields)


def _kind(price: Expression) -> Kind:
    """Return the one kind of event that a price reads; refuse one that has no pace of its own."""
    kinds = {name.partition(".")[0] for name in _field_names(price)}
    if len(kinds) != 1 or price.is_condition:
        raise FeatureInvalid(f"a label's price reads fields of one kind of its own instrument, found {price}")
    return Kind[kinds.pop().upper()]


def _field_names(price: Expression) -> set[str]:
    """Return the fields that a price reads of its own instrument."""
    names: set[str] = set()
    seen: set[int] = set()
    left = [price]
    while left:
        tree = left.pop()
        if tree.op == "on":
            raise FeatureInvalid(
                f"a label's price is its own instrument's, found {tree}; label that instrument instead"
            )
        if tree.op == "field":
            names.add(tree.name)
        left += [each for each in tree.inputs if id(each) not in seen]
        seen.update(id(each) for each in tree.inputs)
    return names
