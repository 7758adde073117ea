"""Data drift: whether the very rows that were scored have moved: levels, spreads, tails, relations, code frequencies.

Idea:   calibrated charts over what is looked at (`looks`), one memory an instrument. The asked false-alarm rate is
        that of all charts together; what moves with the first alarm is told in the same finding. What is usual at an
        hour of the week is taken out first (`Season`), so that a Monday open is no drift.
Flow:   rows + decisions -> pairs -> at a usual hour -> charts -> finding (feature, since when, how far in its units).
State:  charts, memories, unpaired records and findings not yet taken.
Time:   after an alarm a chart is quiet for a while, twice as long each time the same shift is told again.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.allowed import require
from tradeworthy.core.errors import DataInvalid
from tradeworthy.core.findings import Finding
from tradeworthy.core.kernel import entry
from tradeworthy.judge.monitor.base import SOME_TIMES, FindingQueue, Records, State, by_instrument, part_of, to_bytes
from tradeworthy.judge.monitor.control_charts.calibration import Charts, ChartSettings, Operating, calibrate
from tradeworthy.judge.monitor.control_charts.chart_table import (
    ALARM,
    AWAKE,
    COLUMN,
    LIMIT_UP,
    N_UP,
    PARTNER,
    QUIET,
    REPEATS,
    SINCE_UP,
    SUM_UP,
    TOTAL_UP,
    VIEW,
    ChartState,
)
from tradeworthy.judge.monitor.control_charts.cusum import watch
from tradeworthy.judge.monitor.control_charts.lanes import PAIR
from tradeworthy.judge.monitor.control_charts.looks import Kind
from tradeworthy.judge.monitor.drift_words import Moved, sentence_of, unit_of
from tradeworthy.judge.monitor.effect import ExpectedLoss
from tradeworthy.judge.monitor.gauges import Gauge
from tradeworthy.judge.monitor.joins.pairing import RowPairing
from tradeworthy.model.season import Season

Floats = npt.NDArray[np.float64]

NAME = "drift"
KIND = "data_drift"
LEANING = 0.5
"""A chart past this share of its limit is named in another's finding."""

REPEATS_MAX = 10


class DriftSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``[monitor.drift]`` of tradeworthy.toml.

    Attributes
    ----------
    false_alarms_per_10k : float
        Asked of all features together, per 10,000 scored rows without change.
    quiet_rows : int
        How long a feature is quiet after its first alarm.
    group_rows : int
        Alarms of one instrument within so many rows are one finding.
    seed : int
        Of the bootstrap that sets the limits.
    watch : tuple of str
        What of the rows is watched beside levels.
    harmful_only : bool
        Only findings whose rows are expected to raise the loss are told, judged from their scores (`effect`); needs a
        model of directions. What it leaves out stays visible in the figures of how near an alarm is.
    season : bool
        Whether what training showed to be usual at an hour of the week is taken out first.
    charts : ChartSettings
        How charts are fitted.
    """

    false_alarms_per_10k: float = 1.0
    quiet_rows: int = 500
    group_rows: int = 50
    seed: int = 7
    watch: tuple[Kind, ...] = ("level", "spread", "tail", "pair", "category", "joint")
    harmful_only: bool = False
    season: bool = True
    charts: ChartSettings = ChartSettings()

    def __post_init__(self) -> None:
        """Refuse numbers that let nothing be seen."""
        require(self, "monitor.drift")


class _About(msgspec.Struct, frozen=True):
    """What a monitor was made with."""

    version: int
    instruments: list[str]
    quiet_rows: int
    group_rows: int


class DriftMonitor:
    """Watches the feature rows of one version.

    Parameters
    ----------
    charts : Charts
        From `calibrate_drift`.
    version : int
        The version's number.
    instruments : sequence of str
        Symbols in the desk's order, for the findings' words.
    quiet_rows, group_rows : int
        As in `DriftSettings`.
    pairing : RowPairing, optional
        Shared with other monitors of the same rows.
    season : Season, optional
        Taken out of the rows, as it was of the charts' reference.
    expected : ExpectedLoss, optional
        What the loss of rows is expected to be; without it findings do not say how harmful they are.
    """

    def __init__(
        self,
        charts: Charts,
        version: int,
        instruments: Sequence[str],
        *,
        quiet_rows: int = 500,
        group_rows: int = 50,
        pairing: RowPairing | None = None,
        season: Season | None = None,
        expected: ExpectedLoss | None = None,
    ) -> None:
        self._expected = expected
        self._charts, self._season = charts, season or Season.unknown(len(charts.columns))
        self._about = _About(version, list(instruments), quiet_rows, group_rows)
        self._pairing = pairing or RowPairing(version, len(charts.columns))
        rows = np.empty((2, 2 * len(charts.columns)))[:, ::2]  # of any layout, as a pairing gives them
        self._step = entry(watch, charts.table, charts.start(), rows, SOME_TIMES, 0)
        self._memories: dict[int, ChartState] = {}
        self._group_left: dict[int, int] = {}
        self._queue = FindingQueue()

    @classmethod
    def resume(cls, state: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Make a monitor from a state alone, without calibrating again."""
        about = msgspec.json.decode(state["monitor"].tobytes(), type=_About)
        monitor = cls(
            Charts.from_arrays(part_of(state, "charts.")),
            about.version,
            about.instruments,
            quiet_rows=about.quiet_rows,
            group_rows=about.group_rows,
        )
        monitor.restore(state)
        return monitor

    @property
    def charts(self) -> Charts:
        """The calibrated charts, with what each can be expected to see."""
        return self._charts

    @property
    def operating(self) -> list[Operating]:
        """What each chart can be expected to do."""
        return self._charts.operating

    @property
    def season(self) -> Season:
        """What is taken out of the rows."""
        return self._season

    def observe(self, records: Records) -> None:
        """Take decisions and rows; anything else is left."""
        heads, rows = self._pairing.pair(records)
        level = self._season.taken_out(rows, heads["ts_event_ns"])
        for instrument, own in by_instrument(heads):
            self._watch(instrument, heads[own], level[own], rows[own])

    def findings(self) -> list[Finding]:
        """Return what was found since the last call."""
        return self._queue.take()

    def gauges(self) -> list[Gauge]:
        """Return how near to its limit each chart is, by feature and instrument."""
        limits, names = self._charts.constants[:, LIMIT_UP : LIMIT_UP + 2], self._charts.names
        symbols = self._about.instruments
        found = []
        for instrument, memory in sorted(self._memories.items()):
            symbol = symbols[instrument] if instrument < len(symbols) else str(instrument)
            shares = (memory.sums[:, SUM_UP : SUM_UP + 2] / limits).max(axis=1)
            pairs = zip(names, shares.tolist(), strict=True)
            found += [Gauge(family="evidence", subject=n, instrument=symbol, value=v) for n, v in pairs]
        return found

    def state(self) -> State:
        """Return charts, memories, unpaired records and findings not yet taken."""
        state: State = {"monitor": to_bytes(self._about), "findings": self._queue.to_array()}
        state |= {f"charts.{name}": array for name, array in self._charts.to_arrays().items()}
        state |= {f"pairing.{name}": array for name, array in self._pairing.state().items()}
        state |= {f"season.{name}": array for name, array in self._season.to_arrays().items()}
        for instrument, memory in self._memories.items():
            state[f"sums.{instrument}"] = memory.sums.copy()
            state[f"counts.{instrument}"] = memory.counts.copy()
            state[f"group.{instrument}"] = np.array([self._group_left.get(instrument, 0)])
        if self._expected is not None:
            state |= {f"recent.{name}": rows for name, rows in self._expected.state().items()}
        return state

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from a state; its charts and its season replace those that the monitor was made with.

        Raises
        ------
        DataInvalid
            The state belongs to another version or to other features.
        """
        charts = Charts.from_arrays(part_of(state, "charts."))
        about = msgspec.json.decode(state["monitor"].tobytes(), type=_About)
        if charts.names != self._charts.names or about.version != self._about.version:
            raise DataInvalid(
                f"the state is of version {about.version:016x} with {len(charts.names)} features, this monitor watches "
                f"{self._about.version:016x} with {len(self._charts.names)}; resume the state's own monitor"
            )
        self._charts = charts
        season = part_of(state, "season.")  # states written before there were seasons have none
        self._season = Season.from_arrays(season) if season else Season.unknown(len(charts.columns))
        self._pairing.restore(part_of(state, "pairing."))
        self._queue.from_array(state["findings"])
        self._memories = {
            int(key): ChartState(sums.copy(), state[f"counts.{key}"].copy())
            for key, sums in part_of(state, "sums.").items()
        }
        self._group_left = {int(key): int(left[0]) for key, left in part_of(state, "group.").items()}
        if self._expected is not None:
            self._expected.restore(part_of(state, "recent."))

    def _watch(self, instrument: int, heads: Records, rows: Floats, as_they_were: Floats) -> None:
        """Step one instrument's charts through its rows at a usual hour; tell what alarms."""
        if instrument not in self._memories:
            self._memories[instrument] = self._charts.start()
        memory = self._memories[instrument]
        ts_ns = heads["ts_event_ns"]
        left, start = self._group_left.get(instrument, 0), 0
        while start < len(rows):
            at = self._step(self._charts.table, memory, rows, ts_ns, start)
            left = max(0, left - (at - start))
            if at < len(rows):
                if left == 0:
                    self._put(instrument, memory, heads[at], as_they_were[: at + 1])
                    left = self._about.group_rows
                self._quieten(memory)
                left = max(0, left - 1)
            start = at + 1
        self._group_left[instrument] = left
        if self._expected is not None:
            self._expected.keep(instrument, as_they_were)

    def _quieten(self, memory: ChartState) -> None:
        """Start what alarmed afresh, after a pause that doubles while the shift stays.

        Other looks at the same column are quiet for as long: they would tell the same shift again.
        """
        for chart in np.flatnonzero(memory.counts[:, ALARM]):
            again = memory.counts[chart, AWAKE] < 2 * self._about.quiet_rows
            repeats = min(int(memory.counts[chart, REPEATS]) + 1, REPEATS_MAX) if again else 0
            pause = self._about.quiet_rows * 2**repeats
            related = self._related(int(chart))
            memory.counts[related, QUIET] = np.maximum(memory.counts[related, QUIET], pause)
            memory.counts[related, AWAKE] = 0
            memory.counts[related, REPEATS] = np.maximum(memory.counts[related, REPEATS], repeats)
            memory.counts[chart, REPEATS] = repeats
            memory.sums[related, SUM_UP : SUM_UP + 2] = 0.0

    def _related(self, chart: int) -> npt.NDArray[np.intp]:
        """Return the charts that look at a column of this one, itself and all columns together among them."""
        own, column = self._charts.constants[chart], self._charts.constants[:, COLUMN]
        is_pair = self._charts.constants[:, VIEW] == PAIR
        columns = {own[COLUMN], float(len(self._charts.columns))} | ({own[PARTNER]} if own[VIEW] == PAIR else set())
        wanted = np.isin(column, list(columns)) | (is_pair & (self._charts.constants[:, PARTNER] == own[COLUMN]))
        return np.flatnonzero(wanted)

    def _put(self, instrument: int, memory: ChartState, head: np.void, rows: Floats) -> None:
        """Tell the alarms of one row, with the effect that the rows since then are expected to have on the loss."""
        finding, since = self._finding(instrument, memory, head)
        if self._expected is not None:
            effect = self._expected.of(instrument, rows, since)
            if self._expected.harmful_only and not effect.is_harmful:
                return
            finding = msgspec.structs.replace(finding, sentence=f"{finding.sentence[:-1]}; {effect.words}.")
        self._queue.put(finding)

    def _finding(self, instrument: int, memory: ChartState, head: np.void) -> tuple[Finding, int]:
        """Put the alarms of one row into one finding, named by the chart furthest past its limit; and rows since."""
        ratios = memory.sums[:, SUM_UP : SUM_UP + 2] / self._charts.constants[:, LIMIT_UP : LIMIT_UP + 2]
        alarmed, highest = memory.counts[:, ALARM] != 0, ratios.max(axis=1)
        lead = int(np.argmax(np.where(alarmed, highest, -1.0)))
        side = 0 if memory.counts[lead, ALARM] > 0 else 1
        points, leaning = self._charts.operating, np.flatnonzero(highest > LEANING)
        point = points[lead]
        others = [points[i].name for i in leaning[np.argsort(-highest[leaning])] if i != lead]
        with_it = f"; with it moved {', '.join(others[:5])}" if others else ""
        symbols = self._about.instruments
        moved = Moved(
            name=point.name,
            kind=point.kind,
            instrument=symbols[instrument] if instrument < len(symbols) else "",
            up=side == 0,
            since_ns=int(memory.counts[lead, SINCE_UP + side]),
            now=float(memory.sums[lead, TOTAL_UP + side]) / max(1, int(memory.counts[lead, N_UP + side])),
            training=float(self._charts.means[lead]),
            deviation=float(self._charts.deviations[lead]),
        )
        finding = Finding(
            monitor=NAME,
            subject=point.name,
            kind=KIND,
            sequence=int(head["sequence"]),
            ts_event_ns=int(head["ts_event_ns"]),
            since_ns=moved.since_ns,
            observed=moved.now,
            reference=moved.training,
            unit=unit_of(point.name, point.kind),
            statistic=float(memory.sums[lead, SUM_UP + side]),
            threshold=float(self._charts.constants[lead, LIMIT_UP + side]),
            false_alarms_per_10k=self._charts.false_alarms_per_10k,
            sentence=f"{sentence_of(moved)}{with_it}{self._season_words(lead)}.",
        )
        return finding, int(memory.counts[lead, N_UP + side])

    def _season_words(self, chart: int) -> str:
        """Say so where a season was taken out of what a chart looks at."""
        own, changes = self._charts.constants[chart], self._season.changes
        columns = [int(own[COLUMN]), *([int(own[PARTNER])] if own[VIEW] == PAIR else [])]
        seasonal = changes.any() if columns[0] == len(changes) else changes[columns].any()
        return "; what is usual at that hour of the week is taken out" if seasonal else ""


def calibrate_drift(
    reference: npt.ArrayLike,
    names: Sequence[str],
    settings: DriftSettings | None = None,
    places: npt.NDArray[np.int64] | None = None,
) -> Charts:
    """Calibrate the charts of a drift monitor.

    Parameters
    ----------
    reference : (n, p) array
        Feature rows of training, in time order. 5,000 rows or more are wanted; the longer the reference and the less
        persistent the features, the smaller the shift that can be told from noise.
    names : sequence of str
        Features, one a column.
    settings : DriftSettings, optional
        Defaults if left out.
    places : (n,) int64, optional
        Which training rows these are (a profile's `sample_places`); consecutive ones if left out.
    """
    settings = settings or DriftSettings()
    return calibrate(
        reference,
        names,
        false_alarms_per_10k=settings.false_alarms_per_10k,
        rng=np.random.default_rng(settings.seed),
        settings=settings.charts,
        places=places,
        kinds=settings.watch,
    )


def drift_monitor(
    reference: npt.ArrayLike,
    names: Sequence[str],
    *,
    version: int,
    instruments: Sequence[str],
    settings: DriftSettings | None = None,
    places: npt.NDArray[np.int64] | None = None,
    pairing: RowPairing | None = None,
    season: Season | None = None,
    expected: ExpectedLoss | None = None,
) -> DriftMonitor:
    """Return a calibrated monitor (see `calibrate_drift`) of one version; a season is taken out of live rows alone."""
    settings = settings or DriftSettings()
    charts = calibrate_drift(reference, names, settings, places)
    return DriftMonitor(
        charts,
        version,
        instruments,
        quiet_rows=settings.quiet_rows,
        group_rows=settings.group_rows,
        pairing=pairing,
        season=season,
        expected=expected,
    )
