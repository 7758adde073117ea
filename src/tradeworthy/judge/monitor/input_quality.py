"""Input quality: missing, late, out of order, duplicate, crossed, jumping, gapping, stuck or off-grid market data.

Idea:   one chart of rates a symptom and lane (an instrument's bars, trades, quotes, books or rows). A feed has its own
        bad habits: an alarm is a rate, or a run, that training data (or the feed's first events) does not explain.
        Events of instruments that the desk does not declare have no lane; one chart over all events counts them.
Flow:   inputs -> symptoms (`symptoms`) -> charts of rates (`rates`) -> one finding a lane, led by the worst symptom.
State:  lanes, charts, counts in all, findings not yet taken.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.allowed import require
from tradeworthy.core.events import EventBatch, Kind
from tradeworthy.core.findings import Finding
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.kernel import entry
from tradeworthy.core.time import iso
from tradeworthy.judge.monitor.base import SOME_EVENTS, FindingQueue, Records, State, are_events, inputs_of
from tradeworthy.judge.monitor.control_charts.rate_kernels import Longs
from tradeworthy.judge.monitor.control_charts.rates import RateAlarm, RateCharts, RateWords, of_10k
from tradeworthy.judge.monitor.gauges import Gauge
from tradeworthy.judge.monitor.symptoms import (
    CROSSED,
    DUPLICATE,
    KINDS,
    MALFORMED,
    OUT_OF_ORDER,
    SYMPTOMS,
    WORDS,
    Hits,
    Memory,
    Tolerances,
    empty_lanes,
    find_symptoms,
)

NAME = "inputs"
UNDECLARED = "undeclared instruments"
KIND = "input_quality"
WIDTH = len(SYMPTOMS)
FAULTS = (MALFORMED, CROSSED, OUT_OF_ORDER, DUPLICATE)
"""Without training data these are not learned from the feed itself: it may be bad from the first event."""


class InputSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``[monitor.inputs]`` of tradeworthy.toml.

    Attributes
    ----------
    false_alarms_per_10k : float
        Asked of all symptoms of all lanes together, per 10,000 market events.
    usual_faults : float
        Share of malformed, crossed, unordered and duplicate events that is put up with where training shows none.
    learn : int
        Events from which a lane learns its habits where there is no training data.
    quiet : int
        How long a symptom is quiet after its first alarm; doubles while it stays.
    gap, jump, late : float
        How far is far, in multiples of the lane's usual spacing, move and lag.
    late_ms : float
        No lag under this many milliseconds is late.
    """

    false_alarms_per_10k: float = 0.2
    usual_faults: float = 0.001
    learn: int = 1_000
    quiet: int = 1_000
    gap: float = 1.8
    jump: float = 15.0
    late: float = 5.0
    late_ms: float = 5.0

    def __post_init__(self) -> None:
        """Refuse numbers that let nothing be seen."""
        require(self, "monitor.inputs", counts=["learn"], positive=["gap", "jump", "late"], shares=["usual_faults"])


class InputSummary(msgspec.Struct, frozen=True, kw_only=True):
    """How often each symptom was seen in one lane, in all."""

    instrument: str
    kind: str
    events: int
    symptoms: dict[str, int]


class InputQualityMonitor:
    """Watches the market events of all instruments.

    Parameters
    ----------
    instruments : sequence of Instrument
        The desk's list: symbols for the findings, and the grids of prices.
    settings : InputSettings, optional
        Defaults if left out.
    training : (n,) events, optional
        Where given, it says what is usual; a lane that it does not show learns from its own first events.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        settings: InputSettings | None = None,
        training: EventBatch | None = None,
    ) -> None:
        self._instruments = [each.symbol for each in instruments]
        self._ticks = np.array([each.tick for each in instruments])
        self._settings = settings or InputSettings()
        each = self._settings
        self._tolerances = Tolerances(each.gap, each.jump, each.late, each.late_ms)
        n_lanes = len(self._instruments) * KINDS
        rate = each.false_alarms_per_10k
        self._charts = RateCharts(n_lanes * WIDTH, false_alarms_per_10k=rate, learn=each.learn, quiet=each.quiet)
        for chart in range(n_lanes * WIDTH):
            if chart % WIDTH in FAULTS:
                self._charts.set_usual(chart, each.usual_faults)
        share = rate / max(1, n_lanes * WIDTH)  # as much as any other chart has
        self._undeclared = RateCharts(1, false_alarms_per_10k=share, quiet=each.quiet)
        self._undeclared.set_usual(0, each.usual_faults)
        self._has_undeclared = False
        self._lanes = empty_lanes(len(self._instruments))
        self._totals = np.zeros((n_lanes, WIDTH + 1), np.int64)
        self._taught = np.zeros(n_lanes, np.bool_)
        memory = Memory(self._lanes, self._totals, self._ticks)
        self._find = entry(find_symptoms, inputs_of(SOME_EVENTS), memory, self._tolerances, Hits.room(2))
        self._queue = FindingQueue()
        if training is not None:
            self._learn(training)

    def observe(self, records: Records) -> None:
        """Take market events; anything else is left."""
        if not are_events(records):
            return
        hits, strange = self._symptoms(records, self._totals)
        for at in self._charts.alarms(*hits, records["ts_event_ns"]):
            self._queue.put(self._finding(int(hits.first[at]) // WIDTH, records[at]))
        if strange or self._has_undeclared:
            self._count_undeclared(records)

    def findings(self) -> list[Finding]:
        """Return what was found since the last call."""
        return self._queue.take()

    def gauges(self) -> list[Gauge]:
        """Return how near to its limit each symptom is, in every lane that had events."""
        undeclared = self._undeclared.gauges({0: (UNDECLARED, "")} if self._has_undeclared else {})
        return undeclared + self._charts.gauges(
            {
                lane * WIDTH + place: (f"{self._lane_name(lane)} {symptom}", self._instruments[lane // KINDS])
                for lane in np.flatnonzero(self._totals[:, WIDTH]).tolist()
                for place, symptom in enumerate(SYMPTOMS)
            }
        )

    def summary(self) -> list[InputSummary]:
        """Return what was seen in every lane that had events."""
        return [
            InputSummary(
                instrument=self._instruments[lane // KINDS],
                kind=Kind(lane % KINDS + 1).name.lower(),
                events=int(self._totals[lane, WIDTH]),
                symptoms=dict(zip(SYMPTOMS, self._totals[lane, :WIDTH].tolist(), strict=True)),
            )
            for lane in np.flatnonzero(self._totals[:, WIDTH]).tolist()
        ]

    def state(self) -> State:
        """Return lanes, charts, counts and findings not yet taken."""
        return {
            "lanes": self._lanes.copy(),
            "totals": self._totals.copy(),
            "taught": self._taught.copy(),
            "findings": self._queue.to_array(),
            "has_undeclared": np.array([self._has_undeclared]),
        } | (self._charts.export("charts.") | self._undeclared.export("undeclared."))

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from a state that `state` returned; of one that knew other symptoms or lanes only findings are left."""
        self._queue.from_array(state["findings"])
        if state["totals"].shape != self._totals.shape or state["lanes"].shape != self._lanes.shape:
            return
        self._lanes, self._totals = state["lanes"].copy(), state["totals"].copy()
        self._taught = state["taught"].copy()
        self._charts.take_back(state, "charts.")
        if "has_undeclared" in state:
            self._has_undeclared = bool(state["has_undeclared"][0])
            self._undeclared.take_back(state, "undeclared.")

    def _count_undeclared(self, events: EventBatch) -> None:
        """Chart how many market events are of instruments without a lane, from the first on: most desks see none."""
        strange = events["instrument"] >= len(self._instruments)
        of_market = (events["kind"] >= Kind.BAR) & (events["kind"] <= Kind.ROW)
        if not self._has_undeclared:
            first = np.flatnonzero(strange & of_market)
            self._has_undeclared = len(first) > 0
            begun = slice(first[0] if len(first) else len(events), None)
            events, strange, of_market = events[begun], strange[begun], of_market[begun]
        hits = np.where(of_market, 0, -1), np.ascontiguousarray(strange.astype(np.uint8)[:, None])
        for at in self._undeclared.alarms(*hits, events["ts_event_ns"]):
            alarm = self._undeclared.take_alarms(0, 1)[0]
            words = RateWords(
                monitor=NAME,
                subject=UNDECLARED,
                kind=KIND,
                unit="per 10,000 events",
                sentence=(
                    f"Events of instruments that the desk does not declare are {of_10k(alarm.share)} per 10,000 since "
                    f"{iso(alarm.since_ns)} ({alarm.hits} of {alarm.seen}, the last of number "
                    f"{int(events['instrument'][at])} of {len(self._instruments)}); every one is refused: declare the "
                    "instrument, or have the feed leave it out."
                ),
                per=1e4,
            )
            self._queue.put(self._undeclared.finding(alarm, events[at], words))

    def _symptoms(self, events: EventBatch, counts: Longs) -> tuple[Hits, int]:
        """Return what is seen of inputs, and count it; and how many are of instruments without a lane."""
        hits = Hits.room(len(events))
        memory = Memory(self._lanes, counts, self._ticks)
        return hits, self._find(inputs_of(events), memory, self._tolerances, hits)

    def _learn(self, training: EventBatch) -> None:
        """Take training data as what is usual; the lanes keep their usual spacing, but not their last event."""
        hits, _ = self._symptoms(training, np.zeros_like(self._totals))
        self._charts.learn_from(*hits)
        self._taught[np.unique(hits.first[hits.first >= 0]) // WIDTH] = True
        self._lanes = empty_lanes(len(self._instruments))

    def _lane_name(self, lane: int) -> str:
        return f"{self._instruments[lane // KINDS]} {Kind(lane % KINDS + 1).name.lower()}"

    def _finding(self, lane: int, event: np.void) -> Finding:
        """Put what alarmed in a lane into one finding."""
        first = lane * WIDTH
        leaning = self._charts.leaning(first, WIDTH)
        alarm = self._charts.take_alarms(first, WIDTH)[0]
        others = [WORDS[SYMPTOMS[chart - first]] for chart in leaning if chart != alarm.chart]
        symptom = SYMPTOMS[alarm.chart - first]
        usual = float(self._charts.state.usual[alarm.chart])
        words = RateWords(
            monitor=NAME,
            subject=f"{self._lane_name(lane)} {symptom}",
            kind=KIND,
            unit="per 10,000 events",
            sentence=self._sentence(lane, alarm, symptom, usual)
            + (f"; also {', '.join(others)}" if others else "")
            + ".",
            per=1e4,
        )
        return self._charts.finding(alarm, event, words)

    def _sentence(self, lane: int, alarm: RateAlarm, symptom: str, usual: float) -> str:
        """Say what happens how often, since when, and what was usual."""
        where = f"{self._instruments[lane // KINDS]} {Kind(lane % KINDS + 1).name.lower()}s"
        known = "in training" if self._taught[lane] else "put up with" if SYMPTOMS.index(symptom) in FAULTS else ""
        return (
            f"{where}: {WORDS[symptom]} are {of_10k(alarm.share)} per 10,000 since {iso(alarm.since_ns)} "
            f"({alarm.hits} of {alarm.seen}, at most {alarm.longest} in a row), "
            f"{of_10k(usual)} {known or 'among the first events of this feed'}"
        )
