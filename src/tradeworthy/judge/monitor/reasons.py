"""Attribution drift: whether the reasons behind the scores have changed, in the very rows that were scored.

Idea:   each row's margin is split into exact Shapley contributions. What is watched is by how much a feature moves the
        score, the size of its contribution: it hears changes that matter to the model, a wider spread and interactions
        included, and is deaf to a feature that the model does not use. One calibrated chart a feature, of mean sizes
        of short blocks of rows: where volatility clusters sizes persist for hundreds of rows, and only of blocks can an
        autoregression know that. Charts of single rows alarmed five times as often as asked.
Flow:   rows + decisions -> pairs -> contributions -> blocks -> charts -> finding (feature, since when, then and now).
State:  charts' memories, unpaired records, rows of open blocks, blocks still to pass until the next finding, findings
        not yet taken.
Units:  margin units of the model, log-odds for a direction.
Reference: Lundberg et al. (2020), From local explanations to global understanding with explainable AI for trees:
           monitoring by the values of an explanation.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from tradeworthy.core.allowed import require
from tradeworthy.core.errors import DataInvalid
from tradeworthy.core.findings import Finding
from tradeworthy.core.time import iso
from tradeworthy.judge.explain.attribution import Explainer
from tradeworthy.judge.monitor.base import FindingQueue, Records, State, followed_by, part_of, to_bytes
from tradeworthy.judge.monitor.control_charts.calibration import REFERENCE_MIN, ChartSettings, Operating, calibrate
from tradeworthy.judge.monitor.control_charts.series import SeriesAlarm, SeriesWatch
from tradeworthy.judge.monitor.gauges import Gauge
from tradeworthy.judge.monitor.joins.pairing import RowPairing
from tradeworthy.model.profile import Profile

Floats = npt.NDArray[np.float64]

NAME = "reasons"
KIND = "attribution_drift"
UNIT = "margin units"
CAUTION = 0.4
"""The share of the asked rate that limits are set to: of a few hundred blocks of clustering sizes an autoregression
finds too little persistence, and charts alarm two to three times as often as they were set to."""

NAMED = 4
"""So many other features are named in a finding."""


class ReasonSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``[monitor.reasons]`` of tradeworthy.toml.

    Attributes
    ----------
    false_alarms_per_10k : float
        Asked of all features together, per 10,000 scored rows without change.
    features_max : int
        Only so many features are watched: those with the largest contributions in training.
    quiet_rows : int
        How long a feature is quiet after its first alarm; doubles while the change stays.
    group_rows : int
        Alarms of one instrument within so many rows are one finding.
    block_rows : int
        Rows of one mean; fewer where training showed less than 200 blocks of them.
    seed : int
        Of the bootstrap that sets the limits.
    charts : ChartSettings
        How charts are fitted.
    """

    false_alarms_per_10k: float = 1.0
    features_max: int = 8
    quiet_rows: int = 500
    group_rows: int = 500
    block_rows: int = 20
    seed: int = 7
    charts: ChartSettings = ChartSettings()

    def __post_init__(self) -> None:
        """Refuse a monitor that would watch nothing."""
        require(self, "monitor.reasons", counts=["features_max", "block_rows"])


class _Open(NamedTuple):
    """Rows of one instrument whose block is not full: their heads, and the sizes of their contributions."""

    heads: Records
    sizes: Floats


class _Alarmed(NamedTuple):
    """An alarm of one of the watched features."""

    feature: int
    alarm: SeriesAlarm


class ReasonsMonitor:
    """Watches by how much the most important features of one version move its scores.

    Parameters
    ----------
    explainer : Explainer
        Of the version.
    profile : Profile
        Of the version; its sample is the reference.
    names : sequence of str
        Its features.
    version : int
        The version's number.
    instruments : sequence of str
        Symbols in the desk's order, for the findings' words.
    settings : ReasonSettings, optional
        Defaults if left out.
    """

    def __init__(
        self,
        explainer: Explainer,
        profile: Profile,
        names: Sequence[str],
        *,
        version: int,
        instruments: Sequence[str],
        settings: ReasonSettings | None = None,
    ) -> None:
        self._settings = settings = settings or ReasonSettings()
        self._explainer, self._symbols = explainer, list(instruments)
        self._pairing = RowPairing(version, len(names))
        sizes = np.abs(explainer.explain(profile.sample).contributions)
        self._watched = np.argsort(-sizes.mean(axis=0), kind="stable")[: settings.features_max]
        self._watched = self._watched[sizes[:, self._watched].any(axis=0)]
        self._names = [names[place] for place in self._watched]
        self._block = max(1, min(settings.block_rows, len(sizes) // REFERENCE_MIN))
        means, places = _blocks(sizes[:, self._watched], self._block), profile.sample_places // self._block
        self._charts = [
            self._chart(means[:, at], name, places[:: self._block][: len(means)]) for at, name in enumerate(self._names)
        ]
        self._open: dict[int, _Open] = {}
        self._group_left: dict[int, int] = {}
        self._queue = FindingQueue()

    def _chart(self, sizes: Floats, name: str, places: npt.NDArray[np.int64]) -> SeriesWatch:
        settings = self._settings
        charts = calibrate(
            sizes[:, None],
            [name],
            false_alarms_per_10k=CAUTION * settings.false_alarms_per_10k / len(self._watched) * self._block,
            rng=np.random.default_rng(settings.seed),
            settings=settings.charts,
            places=places,
        )
        return SeriesWatch(charts, max(1, settings.quiet_rows // self._block))

    @property
    def operating(self) -> list[Operating]:
        """What each feature's chart can be expected to do; delays in rows."""
        points = [point for chart in self._charts for point in chart.operating]
        return [
            point if (blocks := point.delay_events) is None else replace(point, delay_events=blocks * self._block)
            for point in points
        ]

    def observe(self, records: Records) -> None:
        """Take decisions and rows; anything else is left."""
        self._pairing.add(records)
        heads, rows = self._pairing.take()
        if len(rows) == 0:
            return
        sizes = np.abs(self._explainer.explain(rows).contributions[:, self._watched])
        for instrument in np.unique(heads["instrument"]):
            own = heads["instrument"] == instrument
            self._take(int(instrument), _Open(heads[own], sizes[own]))

    def findings(self) -> list[Finding]:
        """Return what was found since the last call."""
        return self._queue.take()

    def gauges(self) -> list[Gauge]:
        """Return how near to its limit each chart is, by feature and instrument."""
        return [
            Gauge(family="evidence", subject=name, instrument=self._symbol(instrument), value=share)
            for name, chart in zip(self._names, self._charts, strict=True)
            for instrument, share in chart.shares().items()
        ]

    def state(self) -> State:
        """Return the charts' memories, unpaired records, open groups and findings not yet taken."""
        groups = np.array([*self._group_left.items()], np.int64).reshape(-1, 2)
        state: State = {"names": to_bytes(self._names), "findings": self._queue.to_array(), "groups": groups}
        state |= {f"pairing.{name}": array for name, array in self._pairing.state().items()}
        for instrument, rest in self._open.items():
            state |= {f"heads.{instrument}": rest.heads.copy(), f"sizes.{instrument}": rest.sizes.copy()}
        for place, chart in enumerate(self._charts):
            state |= chart.export(f"chart{place}.")
        return state

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from a state.

        Raises
        ------
        DataInvalid
            The state is that of other features.
        """
        names = msgspec.json.decode(state["names"].tobytes(), type=list[str])
        if names != self._names:
            raise DataInvalid(f"the state watches {', '.join(names)}; this version has {', '.join(self._names)}")
        self._pairing.restore(part_of(state, "pairing."))
        for place, chart in enumerate(self._charts):
            chart.take_back(state, f"chart{place}.")
        self._open = {
            int(key): _Open(heads.copy(), state[f"sizes.{key}"].copy())
            for key, heads in part_of(state, "heads.").items()
        }
        self._group_left = {int(instrument): int(left) for instrument, left in state["groups"]}
        self._queue.from_array(state["findings"])

    def _take(self, instrument: int, fresh: _Open) -> None:
        """Put an instrument's next rows behind those of its open block; watch the blocks that are full."""
        before = self._open.get(instrument)
        heads, sizes = fresh
        if before is not None:
            heads, sizes = followed_by(before.heads, heads), np.concatenate([before.sizes, sizes])
        full = len(heads) // self._block * self._block
        self._open[instrument] = _Open(heads[full:], sizes[full:])
        if full:
            self._watch(instrument, heads[:full].reshape(-1, self._block), _blocks(sizes[:full], self._block))

    def _watch(self, instrument: int, blocks: Records, sizes: Floats) -> None:
        """Step one instrument's charts over (n, block) heads; alarms that come together are one finding.

        A change is dated at the first row of a block, and told at its last.
        """
        heads, ts_ns = blocks[:, -1], np.ascontiguousarray(blocks["ts_event_ns"][:, 0])
        by_place: dict[int, list[_Alarmed]] = {}
        for feature, chart in enumerate(self._charts):
            for alarm in chart.watch(instrument, sizes[:, feature], ts_ns):
                by_place.setdefault(alarm.place, []).append(_Alarmed(feature, alarm))
        left, reached = self._group_left.get(instrument, 0), 0
        for place, alarmed in sorted(by_place.items()):
            left -= place - reached
            reached = place
            if left <= 0:
                self._queue.put(self._finding(instrument, alarmed, heads[place]))
                left = self._settings.group_rows // self._block
        self._group_left[instrument] = max(0, left - (len(heads) - reached))

    def _finding(self, instrument: int, alarmed: list[_Alarmed], head: np.void) -> Finding:
        """Put the alarms of one row into one finding, named by the chart furthest past its limit."""
        lead = max(alarmed, key=lambda found: found.alarm.statistic / found.alarm.threshold)
        name, alarm, before = self._names[lead.feature], lead.alarm, self._charts[lead.feature].mean
        others = [self._names[found.feature] for found in alarmed if found is not lead][:NAMED]
        more = f"; so do {', '.join(others)}" if others else ""
        of = f" of {symbol}" if (symbol := self._symbol(instrument)) else ""
        way = "more" if alarm.up else "less"
        return Finding(
            monitor=NAME,
            subject=name,
            kind=KIND,
            sequence=int(head["sequence"]),
            ts_event_ns=int(head["ts_event_ns"]),
            since_ns=alarm.since_ns,
            observed=alarm.mean,
            reference=before,
            unit=UNIT,
            statistic=alarm.statistic,
            threshold=alarm.threshold,
            false_alarms_per_10k=self._settings.false_alarms_per_10k,
            sentence=(
                f"The reasons have changed: {name} moves the scores{of} {way} than it did, by "
                f"{alarm.mean:.4g} on average since {iso(alarm.since_ns)}, {before:.4g} in training ({UNIT}){more}."
            ),
        )

    def _symbol(self, instrument: int) -> str:
        return self._symbols[instrument] if instrument < len(self._symbols) else str(instrument)


def _blocks(sizes: Floats, rows: int) -> Floats:
    """Return the (n, k) means of whole blocks of (m, k) sizes; a rest is left out."""
    means: Floats = sizes[: len(sizes) // rows * rows].reshape(-1, rows, sizes.shape[1]).mean(axis=1)
    return means
