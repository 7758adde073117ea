"""What a run leaves behind: the tape, and what it says of itself on the real clock, which no replay can give."""

from typing import TYPE_CHECKING

import msgspec

from tradeworthy.core.errors import NotFound
from tradeworthy.live.summary import RunSummary, SwapSummary
from tradeworthy.record.reader import TapeReader

if TYPE_CHECKING:
    from tradeworthy.apps.commands.opened import Opened


STREAMS = "streams"


def recorded(project: "Opened") -> TapeReader:
    """Open the tape for reading.

    Raises
    ------
    NotFound
        Nothing was recorded yet.
    """
    if not (project.places.tape / STREAMS).is_dir():
        raise NotFound(f"nothing was recorded in {project.places.tape} yet; run: tradeworthy run")
    return TapeReader(project.places.tape)


def keep_summary(project: "Opened", summary: RunSummary) -> None:
    """Write a run's summary under the time of its end."""
    folder = project.places.runs
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{project.clock.now_ns()}.json").write_bytes(msgspec.json.encode(summary))


def read_swaps(project: "Opened") -> list[SwapSummary]:
    """Return the changes of champion of every run, the earliest first."""
    paths = sorted(project.places.runs.glob("*.json"))
    runs = [msgspec.json.decode(path.read_bytes(), type=RunSummary) for path in paths]
    return [swap for run in runs for swap in run.swaps]
