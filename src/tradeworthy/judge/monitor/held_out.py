"""What calibrated monitors tell of stretches that they were not calibrated on: the check of their false-alarm rates.

Idea:   a version's reference is cut into stretches of time. For each the whole standing set is calibrated on the
        others, just as the watcher does it, and then fed the one left out as if it came from the tape. Training is
        without drift by definition, so all that is found there is a false alarm.
Flow:   sample and walk-forward -> stretches -> standing set of the rest -> decisions, rows, outcomes -> findings.
Limits: what monitors learn from the live feed (inputs, fills, lags) no version carries, so it cannot be held out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import DECISION, row_dtype
from tradeworthy.core.events import Kind, event_dtype
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import NS_PER_HOUR
from tradeworthy.judge.monitor.base import Records
from tradeworthy.judge.monitor.budget import Counted
from tradeworthy.judge.monitor.joins.outcomes import MarketLabel
from tradeworthy.judge.monitor.standing import WALK_MIN, MonitorSettings, standing_set, trained_of
from tradeworthy.model.profile import Profile
from tradeworthy.model.version import Version

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

STRETCHES = 4
ROWS_MIN = 1_000
OF_ROWS = frozenset({"drift", "range", "reasons"})
"""Monitors of feature rows; their reference is the profile's sample."""

OF_WALK = frozenset(MonitorSettings().rates) - {*OF_ROWS}
"""Monitors of scores and labels; their reference is the walk-forward."""

LIVE = ("inputs", "trading", "latency")
"""Monitors that learn from the live feed."""


class Walked(NamedTuple):
    """(m,) out-of-fold scores, labels and times, in order of time."""

    scores: Floats
    labels: Floats
    ts_event_ns: Longs

    def part(self, wanted: npt.NDArray[np.bool_]) -> "Walked":
        """Return some of them."""
        return Walked(self.scores[wanted], self.labels[wanted], self.ts_event_ns[wanted])


def held_out(
    version: Version,
    instruments: Sequence[Instrument],
    *,
    label: MarketLabel,
    walk: Walked,
    settings: MonitorSettings,
) -> dict[str, Counted]:
    """Return what each monitor told of the stretches left out, by name; no event where the reference is too short.

    Parameters
    ----------
    version, instruments, label, settings
        As of `standing_set`.
    walk : Walked
        The version's walk-forward.
    """
    enough = len(version.profile.sample) >= ROWS_MIN, len(walk.scores) >= 2 * WALK_MIN
    found: dict[str, Counted] = {}
    for stretch in range(STRETCHES):
        rows_out = _stretch(len(version.profile.sample), stretch) & enough[0]
        walk_out = _stretch(len(walk.scores), stretch) & enough[1]
        rest, kept = walk.part(~walk_out), replace(version, profile=_without(version.profile, rows_out))
        monitors = standing_set(
            kept,
            instruments,
            label=label,
            walk=(rest.scores, rest.labels),
            walk_times=rest.ts_event_ns,
            settings=settings,
        )
        left = {name: monitor for name, monitor in monitors.items() if name not in LIVE}
        for records, names in _tape(version, rows_out, walk.part(walk_out), label.horizon):
            for name in names & left.keys():
                left[name].observe(records)
        for name, monitor in left.items():
            events, alarms = found.get(name, Counted(0, 0))
            seen = int((rows_out if name in OF_ROWS else walk_out).sum())
            found[name] = Counted(events + seen, alarms + len(monitor.findings()))
    return found


def _stretch(n: int, place: int) -> npt.NDArray[np.bool_]:
    """Return which of n belong to one of the stretches."""
    mine: npt.NDArray[np.bool_] = np.arange(n) * STRETCHES // max(1, n) == place
    return mine


def _without(profile: Profile, out: npt.NDArray[np.bool_]) -> Profile:
    """Return a profile as if some rows of its sample had never been."""
    if not out.any():
        return profile
    sample = profile.sample[~out]
    return replace(
        profile,
        sample=sample,
        sample_scores=profile.sample_scores[~out],
        sample_places=profile.sample_places[~out],
        sample_times=profile.sample_times[~out] if len(profile.sample_times) else profile.sample_times,
        minimum=sample.min(axis=0),
        maximum=sample.max(axis=0),
    )


def _tape(
    version: Version, rows_out: npt.NDArray[np.bool_], walk: Walked, horizon: int
) -> Iterator[tuple[Records, frozenset[str]]]:
    """Yield what the tape would hold of a stretch, and for which monitors it is."""
    profile = version.profile
    times = profile.sample_times if len(profile.sample_times) else NS_PER_HOUR * profile.sample_places
    decisions = _decisions(version, times[rows_out], profile.sample_scores[rows_out, 0])
    rows = np.zeros(len(decisions), row_dtype(profile.n_features, profile.sample_scores.shape[1]))
    rows["sequence"], rows["decision"] = decisions["sequence"] + 1, decisions["sequence"]
    rows["row"], rows["scores"] = profile.sample[rows_out], profile.sample_scores[rows_out]
    yield decisions, OF_ROWS
    yield rows, OF_ROWS
    decisions = _decisions(version, walk.ts_event_ns, walk.scores)
    outcomes = np.zeros(max(0, len(decisions) - horizon), event_dtype())
    outcomes["kind"], outcomes["reference"] = Kind.OUTCOME, decisions["sequence"][: len(outcomes)]
    outcomes["sequence"] = decisions["sequence"][horizon:] + 2
    outcomes["ts_event_ns"] = outcomes["ts_recv_ns"] = walk.ts_event_ns[horizon:]
    outcomes["values"][:, 0] = walk.labels[: len(outcomes)]
    yield _known_rows(version, walk, decisions), frozenset({"fairness"})
    yield decisions, OF_WALK
    yield outcomes, OF_WALK


def _known_rows(version: Version, walk: Walked, decisions: Records) -> Records:
    """Return the row of each decision of the walk, by which groups are told; NaN where the sample does not have it."""
    rows = np.zeros(len(decisions), row_dtype(version.profile.n_features, version.profile.sample_scores.shape[1]))
    rows["sequence"], rows["decision"] = decisions["sequence"] + 1, decisions["sequence"]
    rows["row"] = trained_of(version, walk.scores, walk.labels, walk.ts_event_ns).rows
    return rows


def _decisions(version: Version, ts_event_ns: Longs, scores: Floats) -> Records:
    """Return a champion's decisions at these times."""
    decisions = np.zeros(len(scores), DECISION)
    decisions["sequence"] = 4 * np.arange(len(scores)) + 2
    decisions["input_sequence"] = decisions["sequence"] - 1
    decisions["ts_event_ns"] = decisions["ts_decided_ns"] = ts_event_ns
    decisions["version"], decisions["role"], decisions["score"] = version.number, 1, scores
    return decisions
