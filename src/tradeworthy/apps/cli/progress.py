"""What a person sees while a command works: a bar where the share done is known, else a clock that moves.

Idea:   all of it goes to the error stream and vanishes at the end, so that standard output holds the result alone.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn, TimeElapsedColumn

Report = Callable[[str, float], None]
"""``report(what goes on, share done from 0 to 1)``."""

BAR_WIDTH = 24


def columns() -> list[ProgressColumn]:
    """Return what every bar of ours consists of."""
    return [
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=BAR_WIDTH),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
    ]


@contextmanager
def bar(title: str, console: Console | None = None) -> Iterator[Report]:
    """Show a bar around a block; what is yielded moves it."""
    with Progress(*columns(), console=console or Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=1.0)
        yield lambda stage, done: progress.update(task, completed=done, description=stage)


@contextmanager
def waiting(title: str, console: Console | None = None) -> Iterator[None]:
    """Show that a block is at work, and for how long."""
    shown = [SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()]
    with Progress(*shown, console=console or Console(stderr=True), transient=True) as progress:
        progress.add_task(title, total=None)
        yield
