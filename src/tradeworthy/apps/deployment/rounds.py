"""What is done again and again beside a running desk, in a niced process of its own: archiving, surveillance.

Flow:   a process of ``python -m MODULE FOLDER PARENT`` works every so many seconds until it is told to stop (SIGTERM,
        SIGINT) or the process that started it, PARENT, is gone.
State:  none; killed at any moment, the next one goes on.
"""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tradeworthy.core.errors import TradeworthyError
from tradeworthy.core.time import Stop, StopFlag

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project
    from tradeworthy.apps.commands.settings import Settings

NICE = 10


class Round(NamedTuple):
    """How much one round did, and what it has to say."""

    done: int
    said: Sequence[str] = ()


def in_rounds(work: Callable[[], Round], every_s: float, stop: Stop, *, parent: int | None = None) -> int:
    """Work every `every_s` seconds until told to stop, or until the parent process has ended; return how much was done.

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
    started_by, done = os.getppid() if parent is None else parent, 0
    while not stop.wait(every_s) and os.getppid() == started_by:
        try:
            made = work()
        except TradeworthyError as error:
            made = Round(0, [f"{type(error).__name__}: {error}"])
        done += made.done
        for sentence in made.said:
            print(sentence, file=sys.stderr, flush=True)  # noqa: T201
    return done


def run_rounds(
    arguments: list[str], work: Callable[["Project"], Round], every_s: Callable[["Settings"], float | None]
) -> int:
    """Work for the project of a command line as often as its settings say, if they do, until told to stop."""
    from tradeworthy.apps.commands.project import Project  # noqa: PLC0415  # it imports who starts this process

    stop = StopFlag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    os.nice(NICE)
    project = Project(Path(arguments[0]))
    pause_s = every_s(project.settings)
    if pause_s is not None:
        in_rounds(lambda: work(project), pause_s, stop, parent=int(arguments[1]))
    return 0
