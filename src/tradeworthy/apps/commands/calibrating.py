"""What the monitors of a version can be expected to see, as one table."""

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from tradeworthy.change.watch.monitors import monitor_settings, monitors_of
from tradeworthy.core.decisions import version_number
from tradeworthy.core.errors import near
from tradeworthy.judge.monitor.control_charts.delays import MonitorTable, drift_table, performance_table
from tradeworthy.judge.monitor.drift import DriftMonitor, DriftSettings
from tradeworthy.judge.monitor.group_fairness import FairnessMonitor
from tradeworthy.judge.monitor.grouping import OF_DECISIONS
from tradeworthy.judge.monitor.performance import PerformanceMonitor
from tradeworthy.model.profile import Profile

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project


class Calibrated(msgspec.Struct, frozen=True, kw_only=True):
    """The operating table of a version's monitors.

    Attributes
    ----------
    version : str
        Its digest.
    monitors : list of MonitorTable
        Those whose limits were set on the version's own reference.
    notes : list of str
        What the tables cannot say.
    """

    version: str
    monitors: list[MonitorTable]
    notes: list[str]


def calibrate_version(project: "Project", word: str) -> Calibrated:
    """Calibrate a version's monitors as the watcher does, and measure what they can see.

    Raises
    ------
    NotFound
        There is no such version.
    """
    digest = project.resolve(word)
    version, candidate = project.registry.load(digest), project.registry.candidate(digest)
    monitors = monitors_of(
        project.registry, version_number(digest), project.settings.instrument, project.settings.monitor
    )
    settings = monitor_settings(candidate, project.settings.monitor)
    tables, notes = [], []
    for name, monitor in monitors.items():
        match monitor:
            case DriftMonitor():
                shift, profile = settings.drift.charts.shift_sd, version.profile
                sample = monitor.season.taken_out(profile.sample, profile.sample_times)
                tables.append(drift_table(monitor.charts, sample, shift_asked_sd=shift))
                notes.append(f"{name}: {season_words(profile, settings.drift)}")
            case PerformanceMonitor(reference=None):
                notes.append(f"{name}: too few out-of-fold outcomes to test for harm; it is measured, not judged")
            case PerformanceMonitor(reference=reference) if reference is not None:
                walk, rng = candidate.walk, np.random.default_rng(settings.performance.seed)
                tables.append(performance_table(reference, (walk.scores, walk.labels), settings.performance, rng=rng))
            case FairnessMonitor(unknown=[column, *_]):
                known = (*OF_DECISIONS, *version.program.names, *version.program.row_fields)
                said = f"{column!r} makes no groups{near(column, known)}: it is no column of this version's rows"
                notes.append(f"{name}: {said}")
            case _:
                notes.append(f"{name}: no operating table; its limits are not charts over a reference")
    return Calibrated(version=digest, monitors=tables, notes=notes)


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
    return f"what is usual at an hour of the week is taken out of {changed} of {profile.n_features} features"
