"""What the policy has begun and not finished: read from the facts, and from the folder of the process that works."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tradeworthy.change.attempts import Attempt
from tradeworthy.change.release.challengers import challenger_judging, retraining
from tradeworthy.change.watch.pulse import read_pulse
from tradeworthy.core.decisions import SHORT
from tradeworthy.core.time import iso

if TYPE_CHECKING:
    from tradeworthy.apps.commands.opened import Opened

TAKEN_UP = "tradeworthy run takes it up"


class UnderWay(NamedTuple):
    """What is under way, in words, and the share done, 0 to 1."""

    said: str
    done: float


def under_way(project: "Opened") -> UnderWay | None:
    """Return which training or judgement of a challenger is not over; None where none is."""
    standing, folder = project.registry.standing(), project.places.watcher
    if (retrain := standing.open_retrain) is not None:
        why = retrain.started.trigger.partition(":")[0]
        began = f"retraining {retrain.number}, begun {iso(retrain.started_ns)[:16]} ({why})"
        return _worked_on(began, retraining(folder, retrain), "to be registered")
    if (version := standing.unjudged) is not None:
        return _worked_on(f"gate of challenger {version[:SHORT]}", _last_judging(folder, version), "to be recorded")
    return None


def unfinished(project: "Opened") -> str:
    """Say what a run that has ended left undone, and what takes it up; empty where all was seen through."""
    work, pulse = under_way(project), read_pulse(project.places.watcher)
    if work is not None:
        return f"{work.said}; {TAKEN_UP}"
    return "" if pulse is None or pulse.is_settled else f"what the watcher has not read; {TAKEN_UP}"


def _last_judging(folder: Path, version: str) -> Attempt:
    """Return the newest attempt at a judgement; the first where none was made."""
    number, last = 2, challenger_judging(folder, version, 1)
    while (following := challenger_judging(folder, version, number)).state != "absent":
        number, last = number + 1, following
    return last


def _worked_on(what: str, work: Attempt, then: str) -> UnderWay:
    """Say how far the process of an attempt has come."""
    match work.state:
        case "running":
            progress = work.progress
            return UnderWay(f"{what}: {progress.stage}, {progress.done:.0%}", progress.done)
        case "done":
            return UnderWay(f"{what}: done, {then}", 1.0)
        case "failed":
            return UnderWay(f"{what}: {work.error}", 1.0)
        case "absent":
            return UnderWay(f"{what}: to be started", 0.0)
