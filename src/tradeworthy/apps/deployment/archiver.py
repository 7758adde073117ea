"""The archiver process: archives, deletes and watches the disk budget again and again while a desk runs.

Idea:   what `tradeworthy archive` does, by itself, in a niced process of its own: the engine's time and memory are not
        touched, and only sealed segments are.
Flow:   ``python -m tradeworthy.apps.deployment.archiver FOLDER PARENT`` works every ``[archive] every_s`` until it
        is told to stop (SIGTERM, SIGINT) or the process that started it, PARENT, is gone.
State:  none; killed at any moment, the next one goes on (`record.archive`).
"""

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tradeworthy.core.errors import TradeworthyError
from tradeworthy.core.time import Stop, StopFlag

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

ACTOR = "archiver"
REASON = "[archive] every_s of tradeworthy.toml"
NICE = 10


def archive_on(project: "Project", every_s: float, stop: Stop, *, parent: int | None = None) -> int:
    """Archive every `every_s` seconds until told to stop, or until the parent process has ended.

    What cannot be done now (nothing recorded yet, somebody else archives) is said and tried again the next time.

    Parameters
    ----------
    project : Project
        Whose record it is.
    every_s : float
        Seconds between two rounds.
    stop : Stop
        Tells when it is enough.
    parent : int, optional
        The process that started it, which may have ended before this begins; the present parent, if left out.

    Returns
    -------
    int
        How many segments went.
    """
    started_by, segments = os.getppid() if parent is None else parent, 0
    while not stop.wait(every_s) and os.getppid() == started_by:
        try:
            done = project.archive(actor=ACTOR, reason=REASON)
        except TradeworthyError as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)  # noqa: T201
            continue
        segments += done.segments
        for problem in done.problems:
            print(problem, file=sys.stderr, flush=True)  # noqa: T201
    return segments


def main(arguments: list[str]) -> int:
    """Archive one project as its settings say, until told to stop."""
    from tradeworthy.apps.commands.project import Project  # noqa: PLC0415  # it imports who starts this process

    stop = StopFlag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    os.nice(NICE)
    project = Project(Path(arguments[0]))
    if project.settings.archive.every_s is not None:
        archive_on(project, project.settings.archive.every_s, stop, parent=int(arguments[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
