"""What a run says of itself when it ends, kept beside the tape: figures on the real clock that no replay can give."""

from typing import TYPE_CHECKING

import msgspec

from tradeworthy.live.summary import RunSummary, SwapSummary

if TYPE_CHECKING:
    from tradeworthy.apps.project import Project


def keep_summary(project: "Project", summary: RunSummary) -> None:
    """Write a run's summary under the time of its end."""
    folder = project.places.runs
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{project.clock.now_ns()}.json").write_bytes(msgspec.json.encode(summary))


def read_swaps(project: "Project") -> list[SwapSummary]:
    """Return the changes of champion of every run, the earliest first."""
    paths = sorted(project.places.runs.glob("*.json"))
    runs = [msgspec.json.decode(path.read_bytes(), type=RunSummary) for path in paths]
    return [swap for run in runs for swap in run.swaps]
