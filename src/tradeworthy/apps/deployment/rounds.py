"""What is done again and again beside a running desk, in a niced process of its own: archiving, surveillance.

Flow:   a process of ``python -m MODULE FOLDER PARENT`` works every so many seconds until it is told to stop (SIGTERM,
        SIGINT) or the process that started it, PARENT, is gone.
State:  none; killed at any moment, the next one goes on.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tradeworthy.core.errors import TradeworthyError
from tradeworthy.core.time import Stop, StopFlag

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

NICE = 10

Work = Callable[[], Iterable[str]]
"""One round; what it could not do, in words."""

Rounds = Callable[["Project", Stop, int], object]
"""Works for a project until told to stop, or until the process with this number is not the parent any more."""


def in_rounds(work: Work, every_s: float, stop: Stop, *, parent: int | None = None) -> None:
    """Work every `every_s` seconds until told to stop, or until the parent process has ended.

    What cannot be done now (nothing recorded yet, somebody else does it) is said and tried again the next time.

    Parameters
    ----------
    work : callable
        One round.
    every_s : float
        Seconds between two rounds.
    stop : Stop
        Tells when it is enough.
    parent : int, optional
        The process that started it, which may have ended before this begins; the present parent, if left out.
    """
    started_by = os.getppid() if parent is None else parent
    while not stop.wait(every_s) and os.getppid() == started_by:
        try:
            problems = list(work())
        except TradeworthyError as error:
            problems = [f"{type(error).__name__}: {error}"]
        for problem in problems:
            print(problem, file=sys.stderr, flush=True)  # noqa: T201


def run_rounds(arguments: list[str], rounds: Rounds) -> int:
    """Work for the project of a command line until told to stop."""
    from tradeworthy.apps.commands.project import Project  # noqa: PLC0415  # it imports who starts this process

    stop = StopFlag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    os.nice(NICE)
    rounds(Project(Path(arguments[0])), stop, int(arguments[1]))
    return 0
