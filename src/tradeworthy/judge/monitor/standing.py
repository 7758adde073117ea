"""The monitors that every version is watched with, made from the version itself.

Idea:   the reference profile and the out-of-fold scores say what is normal; nothing else is needed to start watching.
        What no version carries (habits of the feed, of the venue, of the machine) is learned from the first events.
State:  `resume` puts a set back to where its saved states were; a monitor without a saved state starts afresh.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.allowed import RATE
from tradeworthy.core.errors import DataInvalid, SettingsInvalid, near
from tradeworthy.core.instruments import Instrument
from tradeworthy.judge.explain.treeshap import TreeShap
from tradeworthy.judge.monitor.adaptive import AdaptiveCalibration, LastRows
from tradeworthy.judge.monitor.base import Heir, Monitor, Restorable, State
from tradeworthy.judge.monitor.class_balance import BalanceSettings, ClassBalanceMonitor
from tradeworthy.judge.monitor.drift import DriftMonitor, DriftSettings, drift_monitor
from tradeworthy.judge.monitor.effect import ExpectedLoss
from tradeworthy.judge.monitor.estimated import EstimatedPerformanceMonitor, EstimatedSettings
from tradeworthy.judge.monitor.group_fairness import FairnessMonitor, FairnessSettings
from tradeworthy.judge.monitor.grouping import Trained
from tradeworthy.judge.monitor.input_quality import InputQualityMonitor, InputSettings
from tradeworthy.judge.monitor.joins.joined import ForwardingJoin
from tradeworthy.judge.monitor.joins.outcomes import MarketLabel, OutcomeJoin
from tradeworthy.judge.monitor.joins.pairing import RowPairing
from tradeworthy.judge.monitor.label_shift import fit_platt
from tradeworthy.judge.monitor.latency import LatencyMonitor, LatencySettings
from tradeworthy.judge.monitor.performance import PerformanceMonitor, PerformanceSettings, performance_reference
from tradeworthy.judge.monitor.ranges import RangeMonitor, RangeSettings
from tradeworthy.judge.monitor.reasons import ReasonSettings, ReasonsMonitor
from tradeworthy.judge.monitor.reliability import ReliabilityMonitor, ReliabilitySettings
from tradeworthy.judge.monitor.trading import TradingMonitor, TradingSettings
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.model.season import Season
from tradeworthy.model.version import Version

WALK_MIN = 500
"""With fewer out-of-fold scores performance is measured, but harm is not tested, nor is the class mix."""

OF_DIRECTIONS = f"a model of directions (labels 0 and 1) and {WALK_MIN} out-of-fold scores"
NEEDS = {"reasons": "a model of trees"} | dict.fromkeys(("class_balance", "estimated", "reliability"), OF_DIRECTIONS)
"""What monitors need of a version; of any other they are silent: they are not even made."""

Walk = tuple[npt.ArrayLike, npt.ArrayLike]
Times = npt.NDArray[np.int64]
Makers = Mapping[str, Callable[[], Monitor]]
"""What makes each monitor, by name; calibrating is most of it."""


LABELLED = ("class_balance", "estimated", "reliability", "fairness")
"""Monitors that hear of labels from the join of the performance monitor."""


class MonitorSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``[monitor]`` of tradeworthy.toml.

    Attributes
    ----------
    false_alarms_per_day : float, optional
        Asked of all monitors together; split in proportion to their own ``false_alarms_per_10k``. Left out, these hold.
    off : tuple of str
        Monitors that are not run, by name. Of those that are, ``class_balance``, ``estimated`` and ``reliability`` are
        silent without a model of directions and 500 out-of-fold scores, ``reasons`` without one of trees. Those of
        directions and ``fairness`` have their labels from ``performance``, so it is off only with them.
    """

    false_alarms_per_day: float | None = None
    off: tuple[str, ...] = ()
    drift: DriftSettings = DriftSettings()
    performance: PerformanceSettings = PerformanceSettings()
    inputs: InputSettings = InputSettings()
    range: RangeSettings = RangeSettings()
    reasons: ReasonSettings = ReasonSettings()
    class_balance: BalanceSettings = BalanceSettings()
    estimated: EstimatedSettings = EstimatedSettings()
    reliability: ReliabilitySettings = ReliabilitySettings()
    trading: TradingSettings = TradingSettings()
    latency: LatencySettings = LatencySettings()
    fairness: FairnessSettings = FairnessSettings()

    def __post_init__(self) -> None:
        """Refuse a budget that is none, of all monitors together or of one that is on, and what is no monitor."""
        for name in set(self.off) - set(names := self.__struct_fields__[2:]):
            raise SettingsInvalid(f"monitor.off names {name!r}{near(name, names)}; allowed are {', '.join(names)}")
        if "performance" in self.off and (deaf := [name for name in LABELLED if name not in self.off]):
            raise SettingsInvalid(
                f"monitor.off names 'performance', from whose join {', '.join(deaf)} have their labels; allowed is to "
                "leave it on, or to name these too"
            )
        budgets = {f"{name}.{RATE}": rate for name, rate in self.rates.items()}
        for name, rate in ({"false_alarms_per_day": self.false_alarms_per_day} | budgets).items():
            if rate is not None and not 0.0 < rate < math.inf:
                raise DataInvalid(
                    f"monitor.{name} is {rate:g}; allowed is more than 0: no monitor that hears anything is never "
                    "wrong (those that are not wanted stand in monitor.off)"
                )

    @property
    def rates(self) -> dict[str, float]:
        """What each monitor that is on asks for, per 10,000 of its events, by name."""
        parts = {name: getattr(self, name) for name in self.__struct_fields__ if name not in self.off}
        return {name: getattr(part, RATE) for name, part in parts.items() if hasattr(part, RATE)}


def standing_set(
    version: Version,
    instruments: Sequence[Instrument],
    *,
    label: MarketLabel | None = None,
    walk: Walk | None = None,
    walk_times: Times | None = None,
    settings: MonitorSettings | None = None,
) -> dict[str, Monitor]:
    """Return the calibrated monitors of one version, by name.

    Parameters
    ----------
    version : Version
        Whose decisions are watched; its profile is the reference for drift and ranges.
    instruments : sequence of Instrument
        The desk's list.
    label : MarketLabel, optional
        How labels are read from the market; without it only OUTCOME events bring them.
    walk : tuple of (m,) arrays, optional
        Out-of-fold scores and labels in time order: the reference for harm and, where labels are 0 and 1, for the class
        mix and for estimated performance.
    walk_times : (m,) int64, optional
        When their events happened; what training showed of groups is known where they are.
    settings : MonitorSettings, optional
        Defaults if left out.
    """
    settings = settings or MonitorSettings()
    symbols, reach = [each.symbol for each in instruments], label.reach if label is not None else 1
    known = trained_of(version, *walk, walk_times) if walk is not None and walk_times is not None else None
    pairing = RowPairing(version.number, len(version.program.names))
    rows = partial(_last_rows, version, known, pairing)
    classes = _of_classes(version, symbols, walk, settings, horizon=reach, rows=rows)
    fairness = partial(_fairness, version, symbols, label, known, settings.fairness)
    listeners = _made({**classes, "fairness": fairness}, settings)
    join = ForwardingJoin(label, instruments=instruments, versions=[version.number], listeners=[*listeners.values()])
    return {
        **_made(_of_rows(version, symbols, walk, settings, pairing), settings),
        **_made({"performance": partial(_performance, join, label, walk, settings.performance)}, settings),
        **listeners,
        **_made(
            {
                "inputs": partial(InputQualityMonitor, instruments, settings.inputs),
                "trading": partial(TradingMonitor, instruments, settings.trading),
                "latency": partial(LatencyMonitor, symbols, settings.latency),
            },
            settings,
        ),
    }


def _made(makers: Makers, settings: MonitorSettings) -> dict[str, Monitor]:
    """Make the monitors that the settings do not switch off: the others are not even calibrated."""
    return {name: make() for name, make in makers.items() if name not in settings.off}


def _of_rows(
    version: Version, symbols: list[str], walk: Walk | None, settings: MonitorSettings, pairing: RowPairing
) -> Makers:
    """Return what makes the monitors of feature rows."""
    names, profile = list(version.program.names), version.profile
    ranges = partial(
        RangeMonitor,
        profile.minimum,
        profile.maximum,
        profile.sample,
        names,
        version=version.number,
        instruments=symbols,
        settings=settings.range,
        pairing=pairing,
    )
    drift = partial(_drift, version, symbols, walk, settings.drift, pairing)
    return {"drift": drift, "range": ranges, **_of_reasons(version, symbols, settings)}


def _drift(
    version: Version, symbols: list[str], walk: Walk | None, settings: DriftSettings, pairing: RowPairing
) -> DriftMonitor:
    """Return the monitor of drift, calibrated on the profile's sample."""
    names, profile = list(version.program.names), version.profile
    season = profile.season if settings.season else Season.unknown(len(names))
    return drift_monitor(
        season.taken_out(profile.sample, profile.sample_times),
        names,
        version=version.number,
        instruments=symbols,
        settings=settings,
        places=profile.sample_places,
        pairing=pairing,
        season=season,
        expected=_expected_loss(version, walk, settings),
    )


def _expected_loss(version: Version, walk: Walk | None, settings: DriftSettings) -> ExpectedLoss | None:
    """Return what rows of a model of directions expect of their loss, their scores calibrated out of fold."""
    if walk is None or not _is_binary(*walk):
        return None
    calibration, predictor = fit_platt(*walk), version.predictor

    def losses(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        p = calibration(predictor.many(np.ascontiguousarray(rows))[:, 0])
        return p * (1.0 - p)

    return ExpectedLoss(losses, version.profile.sample, harmful_only=settings.harmful_only)


def _of_reasons(version: Version, symbols: list[str], settings: MonitorSettings) -> Makers:
    """Return what makes the monitor of reasons, where they are exact: others cost too much at every row."""
    trees = version.predictor
    if not isinstance(trees, Trees):
        return {}

    def make() -> Monitor:
        names = list(version.program.names)
        shap, each = TreeShap(trees), settings.reasons
        return ReasonsMonitor(shap, version.profile, names, version=version.number, instruments=symbols, settings=each)

    return {"reasons": make}


def _of_classes(
    version: Version,
    symbols: list[str],
    walk: Walk | None,
    settings: MonitorSettings,
    *,
    horizon: int,
    rows: Callable[[], LastRows | None],
) -> Makers:
    """Return what makes the monitors that need a reference of directions."""
    if walk is None or not _is_binary(*walk):
        return {}
    scores, labels = walk
    shared: dict[str, Any] = {"version": version.number, "instruments": symbols}

    def estimated() -> Monitor:
        return EstimatedPerformanceMonitor(scores, labels, **shared, settings=settings.estimated, rows=rows())

    return {
        "class_balance": partial(
            ClassBalanceMonitor, scores, labels, **shared, horizon=horizon, settings=settings.class_balance
        ),
        "estimated": estimated,
        "reliability": partial(ReliabilityMonitor, scores, labels, **shared, settings=settings.reliability),
    }


def trained_of(version: Version, scores: npt.ArrayLike, labels: npt.ArrayLike, ts_ns: Times) -> Trained:
    """Return what training showed out of fold; rows are known where the profile's sample has their time."""
    profile, rows = version.profile, np.full((len(ts_ns), len(version.program.names)), np.nan)
    times = profile.sample_times
    if len(times):
        at = np.minimum(np.searchsorted(times, ts_ns), len(times) - 1)
        found = times[at] == ts_ns
        rows[found] = profile.sample[at[found]]
    return Trained(np.asarray(scores, np.float64), np.asarray(labels, np.float64), ts_ns, rows)


def _last_rows(version: Version, trained: Trained | None, pairing: RowPairing) -> LastRows | None:
    """Return what adapts a calibration to rows, where enough training rows are known with their labels."""
    if trained is None or np.isfinite(trained.rows).all(axis=1).sum() < WALK_MIN:
        return None
    predictor = version.predictor
    adaptive = AdaptiveCalibration(
        trained.rows, trained.scores, trained.labels, lambda rows: predictor.many(np.ascontiguousarray(rows))[:, 0]
    )
    return LastRows(adaptive, pairing)


def _fairness(
    version: Version,
    symbols: list[str],
    label: MarketLabel | None,
    trained: Trained | None,
    settings: FairnessSettings,
) -> FairnessMonitor:
    """Return the monitor of groups."""
    program = version.program
    return FairnessMonitor(
        version=version.number,
        instruments=symbols,
        features=list(program.names),
        fields=list(program.row_fields),
        horizon=label.reach if label is not None else 1,
        trained=trained,
        outcomes=label is None or label.is_reported,
        settings=settings,
    )


def _is_binary(scores: npt.ArrayLike, labels: npt.ArrayLike) -> bool:
    """Whether enough scores are there, all finite, and labels are zeros and ones, both seen."""
    y = np.asarray(labels, np.float64)
    return y.size >= WALK_MIN and bool(np.isfinite(scores).all()) and set(np.unique(y).tolist()) == {0.0, 1.0}


def _performance(
    join: OutcomeJoin,
    label: MarketLabel | None,
    walk: Walk | None,
    settings: PerformanceSettings,
) -> PerformanceMonitor:
    """Return a performance monitor, with a reference where there are enough out-of-fold scores."""
    reference = None
    if walk is not None and np.size(walk[0]) >= WALK_MIN:
        reach = label.reach if label is not None else 1
        reference = performance_reference(*walk, horizon=reach, settings=settings)
    return PerformanceMonitor(join, reference, settings)


def resume(monitors: Mapping[str, Monitor], states: Mapping[str, State]) -> None:
    """Put monitors back to where their saved states were.

    Raises
    ------
    DataInvalid
        A state belongs to another version or to other features.
    """
    for name, monitor in monitors.items():
        if name in states and isinstance(monitor, Restorable):
            monitor.restore(states[name])


def of_desk(monitors: Mapping[str, Monitor]) -> dict[str, State]:
    """Return the states of monitors that know of the desk what the next champion's need, such as its positions."""
    return {name: monitor.state() for name, monitor in monitors.items() if isinstance(monitor, Heir)}


def succeed(monitors: Mapping[str, Monitor], before: Mapping[str, State]) -> None:
    """Let the monitors of a new champion take over what those before knew of the desk (`of_desk`)."""
    for name, monitor in monitors.items():
        if name in before and isinstance(monitor, Heir):
            monitor.inherit(before[name])
