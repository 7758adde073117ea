"""``tradeworthy watch`` and ``tradeworthy calibrate``: a desk at one glance, and what its monitors can see."""

import contextlib
import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tradeworthy.apps.cli.findings import STYLES
from tradeworthy.apps.cli.options import HERE, Folder, Json, Version, open_project
from tradeworthy.apps.cli.progress import waiting
from tradeworthy.apps.cli.show import console, show

if TYPE_CHECKING:
    from tradeworthy.apps.captions import Caption
    from tradeworthy.apps.commands.calibrating import Calibrated
    from tradeworthy.apps.dashboard.following import Frame
    from tradeworthy.judge.monitor.control_charts.delays import MonitorTable

RATES = "\nFalse alarms over {:,.0f} events a day, asked and found on parts of the reference that were held out:"
HARMS = "\nTypical harms, put into the reference; delays in rows, of accuracy in labelled outcomes:"
CASES_MAX = 5
BEFORE = 2
"""So many captions before the present one are shown."""

CHAMPION = 12
"""So many of the newest cases, and of a champion's digest, are shown: a frame fits 80 columns."""

SILENT_S = 5.0
"""A watcher that has said nothing for so long beside a running engine is silent."""


def add_to(app: typer.Typer) -> None:
    """Add both commands."""
    app.command()(watch)
    app.command()(calibrate)


def watch(
    project: Folder = HERE,
    *,
    once: Annotated[bool, typer.Option("--once", help="Print one frame and end.")] = False,
    every: Annotated[float, typer.Option(help="Seconds between two frames.", min=0.05)] = 0.5,
    as_json: Json = False,
) -> None:
    """Watch a desk, running or finished; Ctrl-C ends. With --json one frame is printed as one document."""
    from tradeworthy.apps.dashboard.following import Follower  # noqa: PLC0415

    follower = Follower(open_project(project))
    if as_json:
        show(follower.frame(), as_json=True)
        return
    if once:
        console.print(frame_view(follower.frame()))
        return
    pause, first = threading.Event(), frame_view(follower.frame())
    with (
        contextlib.suppress(KeyboardInterrupt),
        Live(first, console=console, auto_refresh=False, screen=console.is_terminal) as live,
    ):
        while not pause.wait(every):
            live.update(frame_view(follower.frame()), refresh=True)


def calibrate(
    version: Version = "champion",
    project: Folder = HERE,
    *,
    false_alarms_per_day: Annotated[
        float | None, typer.Option(help="Asked of all monitors together, in the place of the settings'.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what the monitors of a version can see: false alarms asked and held out, smallest shift, expected delays."""
    desk = open_project(project)
    with waiting("calibrating on the reference and on parts of it, then harming it to measure delays"):
        found = desk.calibrate(version, false_alarms_per_day)
    if as_json:
        show(found, as_json=True)
        return
    console.print(calibration_view(found))


def frame_view(frame: "Frame") -> Group:
    """Lay out one moment of a desk."""
    parts = [Panel(_figures(frame), title=f"{frame.desk} ({frame.env})", title_align="left")]
    if frame.caption is not None:
        parts.insert(0, Panel(_caption(frame.caption), title=f"The story: {frame.caption.chapter}", title_align="left"))
    latest = Table("time", "", "version", "score", "target", "position", "order", "verdict", box=None, pad_edge=False)
    for line in frame.latest:
        latest.add_row(
            line.time[5:19],
            line.instrument,
            line.version[:8],
            f"{line.score:.4f}",
            f"{line.target:+.4g}",
            f"{line.position:+.4g}",
            f"{line.quantity:+.4g}" if line.quantity else "-",
            "" if line.verdict == "NONE" else line.verdict,
        )
    parts.append(Panel(latest, title="Latest decisions", title_align="left"))
    if frame.last_act is not None:
        told = f"{frame.last_act.said}\nwhy: tradeworthy explain {frame.last_act.decision}"
        parts.append(Panel(Text(told), title="Last order", title_align="left"))
    parts.append(Panel(_findings(frame), title=f"Open findings: {len(frame.findings)}", title_align="left"))
    return Group(*parts)


def _caption(told: "Caption") -> Text:
    """Lay out what a story tells now, where it can be looked at, and the words before it."""
    view = Text(told.about, style="bold")
    if told.link:
        view.append(f"\non the page: {told.link}", style="dim")
    for before in told.before[:BEFORE]:
        view.append(f"\n{before.chapter}: {before.about}", style="dim")
    return view


def _findings(frame: "Frame") -> Table | Text:
    """Lay out the newest open cases, words beside their number; the rest are counted."""
    if not frame.findings:
        return Text("nothing is open")
    table = Table.grid(padding=(0, 1))
    for case in reversed(frame.findings[-CASES_MAX:]):
        times = "" if case.count == 1 else f", {case.count:,} findings"
        head = (f"{case.kind.replace('_', ' ')}, {case.state}{times}", STYLES[case.state])
        grave = (f" {case.severity}", "bold red" if case.severity == "critical" else "dim")
        table.add_row(Text(str(case.number), style="bold"), Text.assemble(head, grave, "\n", case.sentence))
    left = len(frame.findings) - CASES_MAX
    if left > 0:
        table.add_row("", Text(f"and {left:,} more: tradeworthy findings --open", style="dim"))
    return table


def _figures(frame: "Frame") -> Group:
    """Lay out the figures, two pairs a line."""
    running = frame.engine == "running"
    trading = Text(frame.trading, style="bold red" if frame.trading != "yes" else "")
    age = "" if frame.champion_age_s is None else f" for {duration(frame.champion_age_s)}"
    rate = "" if frame.decisions_per_s is None else f", {frame.decisions_per_s:,.1f}/s"
    denials = ", ".join(f"{code} {count:,}" for code, count in frame.denials.items()) or "none"
    since = f" since {frame.since[:16]}" if frame.since else ""
    held = ", ".join(f"{quantity:+.6g} {symbol}" for symbol, quantity in frame.positions.items()) or "flat"
    table = Table.grid(padding=(0, 2))
    table.add_row("engine", Text(frame.engine, style="green" if running else "dim"), "trading", trading)
    table.add_row(
        "champion", f"{frame.champion[:CHAMPION] or 'none'}{age}", "event time", frame.event_time[:19] or "none yet"
    )
    table.add_row("P&L after costs", f"{frame.pnl_after_costs:+,.2f}", "fees", f"{frame.fees:,.2f}")
    table.add_row("position", held, "fills", f"{frame.fills:,}")
    table.add_row("decisions", f"{frame.decisions:,}{rate}{since}", "findings", f"{len(frame.findings):,} open")
    table.add_row("watcher", _watcher(frame), "alerts", _alerts(frame))
    wide = Table.grid(padding=(0, 2))
    wide.add_row("challenger", frame.change)
    wide.add_row("denials", denials)
    return Group(table, wide)


def _watcher(frame: "Frame") -> Text:
    if frame.watcher is None:
        return Text("never ran", style="yellow")
    silent = frame.engine == "running" and frame.watcher.heard_s_ago > SILENT_S
    words = f"{duration(frame.watcher.heard_s_ago)} ago, {frame.behind_records:,} behind"
    return Text(words, style="bold red" if silent else "")


def _alerts(frame: "Frame") -> Text:
    if frame.watcher is None:
        return Text("none")
    found = frame.watcher
    failed = f", {found.alerts_failed:,} failed" if found.alerts_failed else ""
    words = f"{found.alerts_sent:,} sent{failed}, up to {found.alert_delay_s_max:.1f} s"
    return Text(words, style="" if found.alerts_in_time else "bold red")


def duration(seconds: float) -> str:
    """Write a duration for a person.

    >>> duration(5), duration(200), duration(7_300), duration(200_000)
    ('5 s', '3 min', '2 h', '2 d')
    """
    for size, word in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {word}"
    return f"{seconds:.0f} s"


def calibration_view(found: "Calibrated") -> Group:
    """Lay out the operating table of every monitor."""
    parts: list[Text | Table] = [Text(f"version {found.version[:16]}", style="bold")]
    parts += [Text(RATES.format(found.events_per_day)), _rates(found)]
    parts += [
        Text(f"{', '.join(names)}: {said}")
        for said, names in _said((line.monitor, line.said) for line in found.rates).items()
    ]
    parts += [Text(HARMS), _harms(found)]
    for monitor in found.monitors:
        parts += [_heading(monitor), _operating(monitor)]
        by_words = _said((series.name, series.said) for series in monitor.series)
        parts += [Text(f"{', '.join(names)}: {said}") for said, names in by_words.items()]
    parts += [Text("")] + [Text(note) for note in found.notes]
    return Group(*parts)


def _rates(found: "Calibrated") -> Table:
    """Lay out false alarms a day, asked and held out."""
    table = Table("monitor", "asked a day", "per 10,000", "held out", "alarms", "a day (95%)", box=None, pad_edge=False)
    for line in found.rates:
        seen = "" if line.per_day is None else f"{line.per_day:.3g} ({line.low:.3g} to {line.high:.3g})"
        rate = "" if line.asked_per_10k is None else f"{line.asked_per_10k:.3g}"
        counted = ("", "") if line.events is None else (f"{line.events:,}", f"{line.alarms}")
        table.add_row(line.monitor, f"{line.asked_per_day:.3g}", rate, *counted, seen)
    return table


def _harms(found: "Calibrated") -> Table:
    """Lay out the delay of every typical harm beside how often its monitor is wrong."""
    table = Table("harm", "heard by", "series", "delay", "asked a day", "a day (95%)", box=None, pad_edge=False)
    for line in found.harms:
        rate = line.rate
        asked = "" if rate is None else f"{rate.asked_per_day:.3g}"
        seen = "" if rate is None or rate.per_day is None else f"{rate.per_day:.3g} ({rate.low:.3g} to {rate.high:.3g})"
        delay = "-" if line.delay is None else f"{line.delay:,.0f}"
        count = f"{line.heard} of {line.series}" if line.series else "none"
        table.add_row(line.harm, line.monitor or "nobody", count, delay, asked, seen)
    return table


def _said(lines: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return what the data cannot support, and for which names; those without words are left out."""
    found: dict[str, list[str]] = {}
    for name, said in lines:
        if said:
            found.setdefault(said, []).append(name)
    return found


def _heading(monitor: "MonitorTable") -> Text:
    played = ""
    if monitor.reference_rows is not None:
        played = f"; on its reference of {monitor.reference_rows:,} rows it alarms {monitor.reference_alarms} times"
    said = f": asked {monitor.false_alarms_per_10k:g} false alarms per 10,000{played}. Delays in rows; - is not seen."
    return Text.assemble("\n", (monitor.monitor, "bold cyan"), said)


def _wait(delays: Mapping[str, float | None], harm: str) -> str:
    """Write a delay; nothing for a harm that is none of this series, a dash for one that it does not see."""
    if harm not in delays:
        return ""
    delay = delays[harm]
    return "-" if delay is None else f"{delay:,.0f}"


def _operating(monitor: "MonitorTable") -> Table:
    harms = list(dict.fromkeys(harm for series in monitor.series for harm in series.delays))
    table = Table("series", "smallest shift seen", *harms, box=None, pad_edge=False)
    for series in monitor.series:
        shift = "-" if series.shift_seen_sd is None else f"{series.shift_seen_sd:.2f} sd"
        delays = (_wait(series.delays, harm) for harm in harms)
        table.add_row(series.name, shift, *delays)
    return table
