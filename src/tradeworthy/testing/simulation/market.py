"""A simulated day with a feed at its worst: events twice, late, out of order, impossible, or of kinds it may not bring.

Flow:   `live.feeds.simulated` gives the market; here a share of its events is repeated, delayed and spoilt.
Time:   events come in the order of delivery; their arrival is stamped by whoever delivers them.
"""

import numpy as np

from tradeworthy.core.events import EventBatch, Kind
from tradeworthy.live.feeds.simulated import Regime, SimulatedSettings, simulate
from tradeworthy.testing.desks import INSTRUMENTS, START_NS
from tradeworthy.testing.simulation.mortal import drawn

SPOILT = (np.nan, np.inf, -np.inf, 0.0, -0.0, -1.0, 1e308, -1e308, 5e-324)
FOREIGN_KINDS = (0, Kind.BOOK, Kind.FILL, Kind.REJECT, Kind.CONTROL, Kind.TIMER, 99)
BARS_MIN, BARS_MAX = 15, 45
_DISPLACED_MAX = 12.0


def dirty_market(rng: np.random.Generator) -> EventBatch:
    """Return one day's events in order of delivery, faults included."""
    bars = int(rng.integers(BARS_MIN, BARS_MAX))
    settings = SimulatedSettings(
        regimes=(Regime(bars=bars), Regime(bars=bars // 3, volatility_bps=drawn(rng, 20.0, 40.0, 160.0))),
        start_ns=START_NS,
        start_price=300.0,
        steps_per_bar=2,
        quotes=bool(rng.random() < 0.4),
        gap_rate=0.01,
        stale_rate=0.02,
        crossed_rate=0.02,
    )
    events = simulate(settings, INSTRUMENTS, rng).events
    return spoil(displace(events, rng, drawn(rng, 0.0, 0.02, 0.1)), rng, drawn(rng, 0.0, 0.01, 0.05))


def displace(events: EventBatch, rng: np.random.Generator, rate: float) -> EventBatch:
    """Deliver a share of the events late, and a share once more a little later."""
    places = np.arange(len(events), dtype=np.float64)
    late = rng.random(len(events)) < rate
    again = np.flatnonzero(rng.random(len(events)) < rate)
    when = places + np.where(late, rng.uniform(1.0, _DISPLACED_MAX, len(events)), 0.0)
    when = np.concatenate([when, again + rng.uniform(0.5, _DISPLACED_MAX, len(again))])
    delivered: EventBatch = events[np.concatenate([np.arange(len(events)), again])[np.argsort(when, kind="stable")]]
    return delivered


def spoil(events: EventBatch, rng: np.random.Generator, rate: float) -> EventBatch:
    """Put impossible numbers into a share of the events, and kinds, instruments and times that cannot be."""
    bad = np.flatnonzero(rng.random(len(events)) < rate)
    for place in bad.tolist():
        if rng.random() < 0.7:
            events["values"][place, rng.integers(5)] = drawn(rng, *SPOILT)
        elif rng.random() < 0.5:
            events["kind"][place] = drawn(rng, *FOREIGN_KINDS)
            events["reference"][place] = rng.integers(0, 1 << 62)
        elif rng.random() < 0.5:
            events["instrument"][place] = drawn(rng, 2, 77, 2**32 - 1)
        else:
            events["ts_event_ns"][place] = drawn(rng, 0, -1, 2**62, -(2**62))
    return events
