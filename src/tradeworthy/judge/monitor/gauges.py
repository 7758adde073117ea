"""Figures that a monitor shows while it watches: how near to an alarm, and what it measures.

Idea:   two families serve every monitor, so that a dashboard made today shows the monitors of tomorrow: `evidence`, a
        share of the alarm's limit (1 is an alarm), and `value`, a measurement in its own unit.
"""

import math
from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

import msgspec

from tradeworthy.judge.monitor.control_charts.calibration import Operating


class Gauge(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of one subject (a feature, a metric); NaN where there is none yet.

    Beside evidence of rates stands how many events a harm takes to be heard (`RateCharts.delays`).
    """

    family: Literal["evidence", "value"]
    subject: str
    instrument: str = ""
    value: float
    delay_events: float = math.nan


@runtime_checkable
class Gauged(Protocol):
    """A monitor that shows figures."""

    def gauges(self) -> Sequence[Gauge]:
        """Return the present figures; cheap, and without a change of state."""


@runtime_checkable
class Fitted(Protocol):
    """A monitor whose charts were fitted to a reference."""

    @property
    def operating(self) -> Sequence[Operating]:
        """What each chart can be expected to do."""


def symbol_of(symbols: Sequence[str], instrument: int) -> str:
    """Return what an instrument is called; its number where the desk's list does not have it."""
    return symbols[instrument] if instrument < len(symbols) else str(instrument)
