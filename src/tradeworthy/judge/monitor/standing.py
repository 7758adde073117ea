"""The monitors that every version is watched with, made from the version itself.

Idea:   the reference profile and the out-of-fold scores say what is normal; nothing else is needed to start watching.
State:  `resume` puts a set back to where its saved states were; a monitor without a saved state starts afresh.
"""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.instruments import Instrument
from tradeworthy.judge.monitor.base import Monitor, Restorable, State
from tradeworthy.judge.monitor.drift import DriftSettings, drift_monitor
from tradeworthy.judge.monitor.outcomes import MarketLabel, OutcomeJoin
from tradeworthy.judge.monitor.performance import PerformanceMonitor, PerformanceSettings, performance_reference
from tradeworthy.model.version import Version

WALK_MIN = 500
"""With fewer out-of-fold scores performance is measured, but harm is not tested."""


class MonitorSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``[monitor]`` of tradeworthy.toml."""

    drift: DriftSettings = DriftSettings()
    performance: PerformanceSettings = PerformanceSettings()


def standing_set(
    version: Version,
    instruments: Sequence[Instrument],
    *,
    label: MarketLabel | None = None,
    walk: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    settings: MonitorSettings | None = None,
) -> dict[str, Monitor]:
    """Return the calibrated monitors of one version, by name.

    Parameters
    ----------
    version : Version
        Whose decisions are watched; its profile is the reference for drift.
    instruments : sequence of Instrument
        The desk's list.
    label : MarketLabel, optional
        How labels are read from the market; without it only OUTCOME events bring them.
    walk : tuple of (m,) arrays, optional
        Out-of-fold scores and labels in time order: the reference for harm.
    settings : MonitorSettings, optional
        Defaults if left out.
    """
    settings = settings or MonitorSettings()
    names = list(version.program.names)
    drift = drift_monitor(
        version.profile.sample,
        names,
        version=version.number,
        instruments=[each.symbol for each in instruments],
        settings=settings.drift,
        places=version.profile.sample_places,
    )
    join = OutcomeJoin(label, instruments=instruments, versions=[version.number])
    return {"drift": drift, "performance": _performance(join, label, walk, settings.performance)}


def _performance(
    join: OutcomeJoin,
    label: MarketLabel | None,
    walk: tuple[npt.ArrayLike, npt.ArrayLike] | None,
    settings: PerformanceSettings,
) -> PerformanceMonitor:
    """Return a performance monitor, with a reference where there are enough out-of-fold scores."""
    reference = None
    if walk is not None and np.size(walk[0]) >= WALK_MIN:
        horizon = label.horizon if label is not None else 1
        reference = performance_reference(*walk, horizon=horizon, settings=settings)
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
