"""How the demo looks in a terminal: chapters, sentences, verdicts, a progress bar, and one live line of figures."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.progress import Progress, TextColumn
from rich.table import Table
from rich.text import Text

from tradeworthy.apps.captions import Caption, write_caption
from tradeworthy.apps.cli.progress import Report, bar, columns
from tradeworthy.apps.cli.show import MARKS, cell
from tradeworthy.change.release.standing import Standing
from tradeworthy.core.time import iso
from tradeworthy.live.summary import RunSummary


class LiveView:
    """The live part: a bar, and a line of what the desk holds."""

    def __init__(self, progress: Progress, caption: Callable[[str, str], None]) -> None:
        self._progress, self._caption = progress, caption
        self._task = progress.add_task("waiting for the first event", total=1.0, figures="")
        self._told: set[str] = set()

    def update(self, done: float, now: RunSummary, standing: Standing, doing: str) -> None:
        """Show one moment; `done` is the share of the feed delivered."""
        held = ", ".join(f"{quantity:+.3f} {symbol}" for symbol, quantity in now.positions.items() if quantity)
        figures = (
            f"{iso(now.ts_event_ns)[:10]}  {now.decisions:,} decisions  {now.fills} fills  "
            f"{now.equity:+,.0f} USD  {held or 'flat'}  {len(standing.findings)} findings"
        )
        self._progress.update(self._task, completed=done, description=doing, figures=figures)

    def tell(self, key: str, sentence: str, link: str = "") -> None:
        """Print a sentence above the bar, and show it on the page with where to look, once for each key."""
        if key not in self._told:
            self._told.add(key)
            self._caption(sentence, link)
            self._progress.console.print(Text.assemble(("  • ", "cyan"), sentence))


class Stage:
    """Where the story is shown: a terminal, and the page where `captions` names the file that it reads.

    Parameters
    ----------
    console : Console
        The terminal.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.captions: Path | None = None
        self._number, self._chapter = 0, ""
        self._told: Caption | None = None

    def chapter(self, title: str, about: str) -> None:
        """Open the next chapter."""
        self._number += 1
        self._chapter = f"{self._number}. {title}"
        self.console.print(Text.assemble("\n", (self._chapter, "bold cyan"), f"  {about}"))
        self._caption(about)

    def say(self, sentence: str) -> None:
        """Say one thing."""
        self.console.print(Text.assemble(("  • ", "cyan"), sentence))

    def point(self, sentence: str, link: str) -> None:
        """Say one thing, and show it on the page with where to look."""
        self.say(sentence)
        self._caption(sentence, link)

    def verdict(self, verdict: str, sentence: str) -> None:
        """Say how something was judged."""
        mark, style = MARKS[verdict]
        self.console.print(Text.assemble((f"  {mark} ", style), sentence))

    @contextmanager
    def progress(self, title: str) -> Iterator[Report]:
        """Show a bar; the callable is told the stage and the share done."""
        with bar(title, self.console) as report:
            yield report

    @contextmanager
    def live(self) -> Iterator[LiveView]:
        """Show the live part."""
        figures = TextColumn("{task.fields[figures]}")
        with Progress(*columns(), figures, console=self.console, transient=True) as progress:
            yield LiveView(progress, self._caption)

    def open(self, address: str) -> None:
        """Say where the desk's page is."""
        said = Text.assemble("Watch it on the page: ", (address, "bold underline"))
        self.console.print(said, soft_wrap=True)

    def wait(self) -> None:
        """Keep everything open until interrupted."""
        self._chapter = "The end"
        self._caption("the desk stays as it is: look at its decisions, its findings, its versions, its record")
        self.console.print("The page stays open.   (Ctrl-C ends)")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            self.console.print("ended")

    def _caption(self, about: str, link: str = "") -> None:
        """Show on the page what is told now."""
        if self.captions is not None:
            self._told = write_caption(self.captions, self._chapter, about, link=link, before=self._told)

    def end(self, summary: Any, page: str) -> None:
        """Show the summary and where the report is."""
        table = Table(show_header=False, box=None)
        for name in summary.__struct_fields__:
            if not isinstance(value := getattr(summary, name), list):  # what was told as it happened
                table.add_row(name.replace("_", " "), cell(value))
        self.console.print(Panel(table, title="What happened", title_align="left"))
        self.console.print(Text.assemble("Report: ", (page, "bold underline")), soft_wrap=True)
