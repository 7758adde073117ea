"""The out-of-fold scores traded on paper: the version's own signal over the walk-forward, after costs.

Idea:   a fitted model flatters itself on the rows that it learned from, so money is counted where it had not seen the
        row: each score is that of a model that was fitted on the past only. The signal's kernel is the live one.
Time:   a position that a score at event t asks for earns the price's move from t to the next event; with a delay of d,
        the move that begins d events later.
Units:  log returns of the price on one unit of capital, long 1 to short -1; costs in basis points of the value traded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.events import EventBatch, Kind
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import NS_PER_DAY
from tradeworthy.live.signal import sides_of
from tradeworthy.model.features.labels import Label
from tradeworthy.model.manifest import Signal

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

BPS = 1e-4
NS_PER_YEAR = 365.25 * NS_PER_DAY
REGIME_EVENTS = 96
"""How far back the movement is measured that makes a regime."""


@dataclass(frozen=True, eq=False, kw_only=True)
class PaperWalk:
    """What trading the out-of-fold scores would have brought.

    Attributes
    ----------
    ts_event_ns : (n,) int64
        When each score was given.
    steps : (n,) float64
        The price's log return to the next event.
    past : (n,) float64
        The price's log return from the event before; NaN where there was none.
    sizes : (n,) float64
        What was traded in the event, or shown at its best prices; NaN where its kind has no size.
    sides : (n,) float64
        What the signal wants after the score: 1, 0 or -1.
    cost_bps : float
        Of the value traded, one way.
    """

    ts_event_ns: Longs
    steps: Floats
    past: Floats
    sizes: Floats
    sides: Floats
    cost_bps: float

    def __len__(self) -> int:
        """Return the number of periods."""
        return len(self.steps)

    @property
    def periods_per_year(self) -> float:
        """How many periods a year has, at the pace of this walk."""
        span = float(self.ts_event_ns[-1] - self.ts_event_ns[0])
        return len(self) / span * NS_PER_YEAR if span > 0 else float("nan")

    @cached_property
    def traded(self) -> Floats:
        """The value traded in each period, in units of capital."""
        return np.abs(np.diff(self.sides, prepend=0.0))

    def net(self, *, costs: float = 1.0, delay: int = 0) -> Floats:
        """Return the return of each period after `costs` times the costs, acting `delay` events late."""
        held = np.concatenate([np.zeros(delay), self.sides[: len(self) - delay]])
        traded = np.abs(np.diff(held, prepend=0.0))
        found: Floats = held * self.steps - costs * self.cost_bps * BPS * traded
        return found

    @cached_property
    def volatility(self) -> Floats:
        """The root mean square of the last moves before each score; NaN until there are enough."""
        return np.sqrt(_rolling_mean(np.square(self.past)))

    @cached_property
    def liquidity(self) -> Floats:
        """The mean size of the last events before each score; NaN until there are enough, or where there is none."""
        return _rolling_mean(self.sizes) if np.isfinite(self.sizes).any() else np.full(len(self), np.nan)

    @cached_property
    def trend(self) -> Floats:
        """The mean of the last moves before each score; NaN until there are enough."""
        return _rolling_mean(self.past)


def paper_walk(
    scores: Floats,
    ts_event_ns: Longs,
    *,
    signal: Signal,
    label: Label,
    events: EventBatch,
    instruments: Sequence[Instrument],
    number: int,
    cost_bps: float,
) -> PaperWalk:
    """Trade scores on paper.

    Parameters
    ----------
    scores : (n,) float64
        In the order of time.
    ts_event_ns : (n,) int64
        The times of their events.
    signal : Signal
        Of the version.
    label : Label
        Whose price is traded.
    events : (k,) event records
        Of the market.
    instruments, number
        The desk's list, and the place in it of what is traded.
    cost_bps : float
        Of the value traded, one way.
    """
    one_step = msgspec.structs.replace(label, kind="forward_return", horizon=1, cost_bps=0.0)
    moves, _, places = one_step.compute(events, number, instruments)
    stamps = events["ts_event_ns"][places]
    where = np.searchsorted(stamps, ts_event_ns)
    known = (where < len(stamps)) & (stamps[np.minimum(where, len(stamps) - 1)] == ts_event_ns)
    where = where[known]
    return PaperWalk(
        ts_event_ns=ts_event_ns[known],
        steps=moves[where],
        past=np.where(where > 0, moves[where - 1], np.nan),
        sizes=_sizes(events[places[where]], label.trigger),
        sides=sides_of(signal, scores)[known],
        cost_bps=cost_bps,
    )


def _sizes(events: EventBatch, kind: Kind) -> Floats:
    """Return what was traded in events of one kind, or shown at their best prices; NaN for other kinds."""
    columns = {Kind.BAR: [4], Kind.TRADE: [1], Kind.QUOTE: [2, 3], Kind.BOOK: [2, 3]}.get(kind)
    if columns is None:
        return np.full(len(events), np.nan)
    found: Floats = events["values"][:, columns].sum(axis=1)
    return found


def _rolling_mean(values: Floats) -> Floats:
    """Return the mean of the last values up to each one; NaN until there are enough."""
    sums = np.cumsum(np.nan_to_num(values))
    found = np.full(len(values), np.nan)
    found[REGIME_EVENTS:] = (sums[REGIME_EVENTS:] - sums[:-REGIME_EVENTS]) / REGIME_EVENTS
    return found
