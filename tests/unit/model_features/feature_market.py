"""Small markets for the tests of features."""

import numpy as np
import numpy.typing as npt

from tradeworthy.core.events import EventBatch, Kind, events_from_columns
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import NS_PER_MINUTE
from tradeworthy.model.features.formula import Expression
from tradeworthy.model.features.program import compile_program
from tradeworthy.model.features.runtime import FeatureState

ETH = Instrument(symbol="ETH")
BTC = Instrument(symbol="BTC", traded=False)
DESK = (ETH, BTC)
START_NS = 1_500_000_000_000_000_000
PERIOD_NS = 30 * NS_PER_MINUTE

Floats = npt.NDArray[np.float64]


def stamps(n: int, start_ns: int = START_NS, period_ns: int = PERIOD_NS) -> npt.NDArray[np.int64]:
    """Return `n` times, one a period."""
    return start_ns + period_ns * np.arange(n, dtype=np.int64)


def bars(close: npt.ArrayLike, instrument: int = 0, start_ns: int = START_NS, **columns: npt.ArrayLike) -> EventBatch:
    """Return bars with these closes; the other fields follow the close unless given."""
    close = np.asarray(close, np.float64)
    fields = {"open": close, "high": close, "low": close, "close": close, "volume": np.ones_like(close), **columns}
    return events_from_columns(Kind.BAR, instrument, stamps(len(close), start_ns), fields)


def quotes(bid: npt.ArrayLike, instrument: int = 0, start_ns: int = START_NS) -> EventBatch:
    """Return quotes with these bids, a spread of 1 and sizes of 1."""
    bid = np.asarray(bid, np.float64)
    one = np.ones_like(bid)
    fields = {"bid": bid, "ask": bid + 1.0, "bid_size": one, "ask_size": one}
    return events_from_columns(Kind.QUOTE, instrument, stamps(len(bid), start_ns), fields)


def rows_of(
    expression: Expression, events: EventBatch, trigger: Kind = Kind.BAR, row_fields: tuple[str, ...] = ()
) -> Floats:
    """Return one expression's value at every event that asks for a row, NaN where it is undefined."""
    program = compile_program({"x": expression}, trigger=trigger, row_fields=row_fields)
    rows, _ = FeatureState(program, DESK).asked(events)
    return rows[:, 0]


def walk(n: int, seed: int = 1) -> Floats:
    """Return a price path with moves of about one percent."""
    return 100.0 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0.0, 0.01, n)))
