"""What the monitors of a version can be expected to see, as one table."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from tradeworthy.change.train.candidate import Candidate
from tradeworthy.change.watch.monitors import CALIBRATIONS, KEPT, monitor_settings, monitors_of
from tradeworthy.core.decisions import version_number
from tradeworthy.core.errors import near
from tradeworthy.core.instruments import Instrument
from tradeworthy.judge.monitor.base import Monitor
from tradeworthy.judge.monitor.budget import Counted, events_per_day, rate_of, verdict
from tradeworthy.judge.monitor.class_balance import ClassBalanceMonitor
from tradeworthy.judge.monitor.control_charts.calibration import Operating
from tradeworthy.judge.monitor.control_charts.delays import (
    FALLS,
    MonitorTable,
    SeriesTable,
    drift_table,
    fall_name,
    performance_table,
    reliability_table,
)
from tradeworthy.judge.monitor.control_charts.kept import calibrations_kept
from tradeworthy.judge.monitor.control_charts.rates import HARM_ODDS, HARM_SHARE
from tradeworthy.judge.monitor.drift import DriftMonitor, DriftSettings
from tradeworthy.judge.monitor.estimated import EstimatedPerformanceMonitor
from tradeworthy.judge.monitor.gauges import Gauge
from tradeworthy.judge.monitor.group_fairness import FairnessMonitor
from tradeworthy.judge.monitor.grouping import OF_DECISIONS
from tradeworthy.judge.monitor.held_out import LIVE, Walked, held_out
from tradeworthy.judge.monitor.labelled_delays import (
    OF_LABELLED,
    balance_table,
    groups_table,
)
from tradeworthy.judge.monitor.performance import PerformanceMonitor
from tradeworthy.judge.monitor.ranges import RangeMonitor
from tradeworthy.judge.monitor.reasons import ReasonsMonitor
from tradeworthy.judge.monitor.reliability import ReliabilityMonitor
from tradeworthy.judge.monitor.standing import NEEDS, MonitorSettings, trained_of
from tradeworthy.model.profile import Profile
from tradeworthy.model.version import Version

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project


WORTH = "harm worth an alarm"
OFTEN = f"{HARM_ODDS:g} times the odds, at least {HARM_SHARE:.0%}"
"""What the charts of monitors without a typical harm are asked to hear."""

TYPICAL = (
    {fall_name(*fall): fall_name(*fall) for fall in FALLS}
    | {
        "mean +0.1 sd": "mean +0.1 sd",
        "mean +0.5 sd": "mean +0.5 sd",
        "volatility x1.5": "spread x1.5",
        "volatility x2": "spread x2",
        "correlation flip": "correlation flip",
    }
    | {name: name for name in OF_LABELLED}
)
"""Typical harms, and what the tables of monitors call them."""


class RateLine(msgspec.Struct, frozen=True, kw_only=True):
    """The false alarms of one monitor, or of all together, a day.

    Attributes
    ----------
    monitor : str
        Its name.
    asked_per_day, asked_per_10k : float
        What it was calibrated to, a day and per 10,000 of its events; all together have no single second figure.
    events, alarms : int, optional
        Held-out events without change, and what was told of them; None for what learns from the live feed.
    per_day, low, high : float, optional
        The rate that was seen, with its 95% interval; None where nothing was held out.
    said : str
        What the data cannot support, in words; empty where all is well.
    """

    monitor: str
    asked_per_day: float
    asked_per_10k: float | None = None
    events: int | None = None
    alarms: int | None = None
    per_day: float | None = None
    low: float | None = None
    high: float | None = None
    said: str = ""


class HarmLine(msgspec.Struct, frozen=True, kw_only=True):
    """What one typical harm takes to be heard, beside how often the monitor that hears it is wrong.

    Attributes
    ----------
    harm : str
        What happens.
    monitor : str
        Who hears it; empty where none of this version's does.
    delay : float, optional
        Rows, or labelled outcomes, until an alarm: the middle over all series that it may befall; None where fewer than
        half of them hear it.
    heard, series : int
        How many of how many series hear it at all.
    rate : RateLine, optional
        The monitor's false alarms, asked and seen on what was held out.
    """

    harm: str
    monitor: str = ""
    delay: float | None = None
    heard: int = 0
    series: int = 0
    rate: RateLine | None = None


class Calibrated(msgspec.Struct, frozen=True, kw_only=True):
    """The operating table of a version's monitors.

    Attributes
    ----------
    version : str
        Its digest.
    events_per_day : float
        Of the version's walk-forward, on a day that has any.
    rates : list of RateLine
        False alarms a day: of every monitor that is on, and of all of them last.
    harms : list of HarmLine
        Every typical harm, whether anything hears it or not.
    monitors : list of MonitorTable
        Those whose limits were set on the version's own reference.
    notes : list of str
        What the tables cannot say.
    """

    version: str
    events_per_day: float
    rates: list[RateLine]
    harms: list[HarmLine]
    monitors: list[MonitorTable]
    notes: list[str]


def calibrate_version(project: "Project", word: str, false_alarms_per_day: float | None = None) -> Calibrated:
    """Calibrate a version's monitors as the watcher does; measure what they can see, and how often they are wrong.

    Parameters
    ----------
    project : Project
        Whose version, and whose settings.
    word : str
        Names the version.
    false_alarms_per_day : float, optional
        Asked of all monitors together in the place of the settings', to try it.

    Raises
    ------
    NotFound
        There is no such version.
    DataInvalid
        More false alarms are asked for than can be.
    """
    digest = project.resolve(word)
    version, candidate = project.registry.load(digest), project.registry.candidate(digest)
    wanted = project.settings.monitor
    if false_alarms_per_day is not None:
        wanted = msgspec.structs.replace(wanted, false_alarms_per_day=false_alarms_per_day)
    settings = monitor_settings(candidate, wanted)
    with calibrations_kept(project.places.watcher / CALIBRATIONS / KEPT):
        monitors = monitors_of(project.registry, version_number(digest), project.settings.instrument, wanted)
        rates = rate_lines(version, candidate, project.settings.instrument, settings)
    looked = _Looked(version, candidate, settings)
    tables = [table for name, monitor in monitors.items() if (table := _table(name, monitor, looked)) is not None]
    said = {name: _said(name, monitor, looked) for name, monitor in monitors.items()}
    said |= silent_words(settings, monitors)
    return Calibrated(
        version=digest,
        events_per_day=events_per_day(candidate.walk.ts_event_ns),
        rates=rates,
        harms=harm_lines(tables, rates),
        monitors=tables,
        notes=[f"{name}: {words}" for name, words in said.items() if words],
    )


class _Looked(NamedTuple):
    """Whose monitors are looked at, and how they are set."""

    version: Version
    candidate: Candidate
    settings: MonitorSettings


def _table(name: str, monitor: Monitor, looked: _Looked) -> MonitorTable | None:
    """Return what a monitor can see; None where its limits rest on nothing that training showed."""
    version, candidate, settings = looked
    walk = candidate.foreseen.scores, candidate.foreseen.labels
    match monitor:
        case DriftMonitor():
            sample = monitor.season.taken_out(version.profile.sample, version.profile.sample_times)
            return drift_table(monitor.charts, sample, shift_asked_sd=settings.drift.charts.shift_sd)
        case PerformanceMonitor(reference=reference) if reference is not None:
            rng = np.random.default_rng(settings.performance.seed)
            return performance_table(reference, walk, settings.performance, rng=rng)
        case ReliabilityMonitor() | ClassBalanceMonitor() | FairnessMonitor():
            return _labelled(monitor, looked)
        case ReasonsMonitor() | EstimatedPerformanceMonitor():
            return _fitted(name, getattr(settings, name).false_alarms_per_10k, monitor.operating)
        case RangeMonitor():
            return _counted(name, settings.range.false_alarms_per_10k, monitor.gauges())
    return None


def _labelled(
    monitor: ReliabilityMonitor | ClassBalanceMonitor | FairnessMonitor, looked: _Looked
) -> MonitorTable | None:
    """Return what a monitor of promises, of the class mix, or of groups can see in the version's out-of-fold cases."""
    walk, settings = looked.candidate.foreseen, looked.settings
    trained = trained_of(looked.version, walk.scores, walk.labels, walk.ts_event_ns)
    if isinstance(monitor, FairnessMonitor):
        rng = np.random.default_rng(settings.performance.seed)
        return groups_table(monitor, trained, settings.fairness, rng=rng)
    if isinstance(monitor, ClassBalanceMonitor):
        rng = np.random.default_rng(settings.class_balance.seed)
        return balance_table(monitor, trained, settings.class_balance.false_alarms_per_10k, rng=rng)
    rng, rate = np.random.default_rng(settings.reliability.seed), settings.reliability.false_alarms_per_10k
    return reliability_table(monitor, (walk.scores, walk.labels), rate, rng=rng)


def _said(name: str, monitor: Monitor, looked: _Looked) -> str:
    """Say what the table of a monitor cannot, or why it has none; empty where all is said."""
    version, _, settings = looked
    match monitor:
        case DriftMonitor():
            return season_words(version.profile, settings.drift)
        case PerformanceMonitor(reference=None):
            return "too few out-of-fold outcomes to test for harm; it is measured, not judged"
        case FairnessMonitor(unknown=[column, *_]):
            fields = settings.fairness.columns or version.program.row_fields
            known = (*OF_DECISIONS, *version.program.names, *fields)
            return f"{column!r} makes no groups{near(column, known)}: it is no column of this version's rows"
        case FairnessMonitor():
            untold = [grouping.by for grouping in monitor.groupings if not grouping.is_in_training]
            looks = f"it looks once in {settings.fairness.window:,} labelled decisions"
            return f"{looks}; training does not know its groups by {', '.join(untold)}" if untold else looks
    return "no operating table before it has seen the feed; then its page has one" if name in LIVE else ""


def silent_words(settings: MonitorSettings, made: Iterable[str]) -> dict[str, str]:
    """Say what monitors that are on, and were not made for a version, need of one."""
    silent = settings.rates.keys() - set(made)
    return {name: f"silent, it needs {needs}" for name, needs in NEEDS.items() if name in silent}


def _fitted(name: str, rate: float, points: Sequence[Operating]) -> MonitorTable:
    """Return what charts can see of the harm that each was fitted to hear."""
    series = [
        SeriesTable(
            name=point.name,
            shift_seen_sd=point.shift_seen_sd if point.watched else None,
            delays={WORTH: point.delay_events if point.watched else None},
        )
        for point in points
    ]
    return MonitorTable(monitor=name, false_alarms_per_10k=rate, series=series)


def _counted(name: str, rate: float, gauges: Sequence[Gauge]) -> MonitorTable:
    """Return what charts of rates can see, the same for every instrument."""
    delays = {gauge.subject: gauge.delay_events for gauge in gauges if gauge.family == "evidence"}
    series = [
        SeriesTable(name=subject, shift_seen_sd=None, delays={OFTEN: delay if math.isfinite(delay) else None})
        for subject, delay in delays.items()
    ]
    return MonitorTable(monitor=name, false_alarms_per_10k=rate, series=series)


def rate_lines(
    version: Version, candidate: Candidate, instruments: Sequence[Instrument], settings: MonitorSettings
) -> list[RateLine]:
    """Return the false alarms a day of each monitor, asked and seen on what was held out, and of all together."""
    walk, per_day = candidate.foreseen, events_per_day(candidate.walk.ts_event_ns)
    walked = Walked(walk.scores, walk.labels, walk.ts_event_ns)
    counts = held_out(version, instruments, label=candidate.label, walk=walked, settings=settings)
    asked = {name: rate for name, rate in settings.rates.items() if name in counts or name in LIVE}
    lines = [_rate_line(name, rate, counts.get(name), per_day) for name, rate in asked.items()]
    seen = {name: count for name, count in counts.items() if count.events}
    whole = RateLine(monitor="all together", asked_per_day=sum(line.asked_per_day for line in lines))
    if not seen:
        return [*lines, whole]
    events, alarms = sum(each.events for each in seen.values()), sum(each.alarms for each in seen.values())
    rate = rate_of(seen, per_day)._asdict()
    return [*lines, msgspec.structs.replace(whole, events=events, alarms=alarms, **_named(rate))]


def harm_lines(tables: Sequence[MonitorTable], rates: Sequence[RateLine]) -> list[HarmLine]:
    """Return one line for every typical harm, from the tables of the monitors that can hear it."""
    found = []
    for harm, word in TYPICAL.items():
        for table in tables:
            waits = [line.delays[word] for line in table.series if word in line.delays]
            if waits:
                heard = [wait for wait in waits if wait is not None]
                middle = float(np.median([*heard, *[np.inf] * (len(waits) - len(heard))]))
                line = HarmLine(
                    harm=harm,
                    monitor=table.monitor,
                    delay=middle if np.isfinite(middle) else None,
                    heard=len(heard),
                    series=len(waits),
                    rate=next((rate for rate in rates if rate.monitor == table.monitor), None),
                )
                break
        else:
            line = HarmLine(harm=harm)
        found.append(line)
    return found


def _rate_line(name: str, rate: float, found: Counted | None, per_day: float) -> RateLine:
    """Return one monitor's line."""
    asked = rate * per_day / 1e4
    line = RateLine(monitor=name, asked_per_day=asked, asked_per_10k=rate, said=verdict(asked, found, per_day))
    if found is None or found.events == 0:
        return line
    seen = rate_of({name: found}, per_day)._asdict()
    return msgspec.structs.replace(line, events=found.events, alarms=found.alarms, **_named(seen))


def _named(rate: dict[str, float]) -> dict[str, float]:
    """Return a rate's parts by their names in a line."""
    return {"per_day": rate["value"], "low": rate["low"], "high": rate["high"]}


def season_words(profile: Profile, settings: DriftSettings) -> str:
    """Say whether the hours of the week are allowed for."""
    if not settings.season:
        return "every hour of the week is held against the same reference (season = false in [monitor.drift])"
    if not profile.season.is_known:
        return (
            "this version was made before profiles kept times, so every hour of the week is held against the same "
            "reference; train a new version to allow for what is usual at an hour"
        )
    changed = int(profile.season.changes.sum())
    of = f"{changed} of {profile.n_features} features, by the clocks of {profile.season.time_zone}"
    return f"what is usual at an hour of the week is taken out of {of}"
