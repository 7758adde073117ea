"""How the demo looks in a terminal: chapters, sentences, verdicts, a progress bar, and one live line of figures."""

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.progress import Progress, TextColumn
from rich.table import Table
from rich.text import Text

from tradeworthy.apps.cli.progress import Report, bar, columns
from tradeworthy.apps.cli.show import MARKS, cell
from tradeworthy.change.release.standing import Standing
from tradeworthy.core.time import iso
from tradeworthy.live.summary import RunSummary


class LiveView:
    """The live part: a bar, and a line of what the desk holds."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
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

    def tell(self, key: str, sentence: str) -> None:
        """Print a sentence above the bar, once for each key."""
        if key not in self._told:
            self._told.add(key)
            self._progress.console.print(Text.assemble(("  • ", "cyan"), sentence))


class Stage:
    """Where the story is shown."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._number = 0

    def chapter(self, title: str, about: str) -> None:
        """Open the next chapter."""
        self._number += 1
        self.console.print(Text.assemble("\n", (f"{self._number}. {title}", "bold cyan"), f"  {about}"))

    def say(self, sentence: str) -> None:
        """Say one thing."""
        self.console.print(Text.assemble(("  • ", "cyan"), sentence))

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
            yield LiveView(progress)

    def end(self, summary: Any, page: str) -> None:
        """Show the summary and where the report is."""
        table = Table(show_header=False, box=None)
        for name in summary.__struct_fields__:
            table.add_row(name.replace("_", " "), cell(getattr(summary, name)))
        self.console.print(Panel(table, title="What happened", title_align="left"))
        self.console.print(Text.assemble("Report: ", (page, "bold underline")), soft_wrap=True)


def stay_open(page: Path, console: Console) -> None:
    """Serve the folder of a page on this machine's loopback until interrupted."""
    handler = functools.partial(_Quiet, directory=str(page.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/{page.name}"
        console.print(Text.assemble("Open ", (address, "bold underline"), "   (Ctrl-C ends)"), soft_wrap=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            console.print("ended")
        finally:
            server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line for each request."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
        """Say nothing."""
