"""The page: first paint and chart over a long tape, how soon what happens is on it, what ten pages cost a decision.

Idea:   an engine in this process, on the last core, decides real trades at a thousand a second; the page and those who
        look at it are processes of their own on the first. The tape holds a hundred thousand decisions already.
Limits: no version is registered here, so the page shows a desk without a champion or a watcher.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
import numpy.typing as npt
from desks import BenchDesk, desk, ticks_version
from harness import HERE, Aim, Report, Setting, pin, unpin
from measure import Estimate, median_of, quantile_interval, ratio_of

from tradeworthy.apps.commands.project import Project
from tradeworthy.core.events import EventBatch, Kind
from tradeworthy.core.time import NS_PER_MS, NS_PER_S, SystemClock
from tradeworthy.live.feeds.emini import EMINI, read_emini
from tradeworthy.record.reader import TapeReader

if TYPE_CHECKING:
    from playwright.sync_api import Page

AIMS = {
    "page_first_paint_ms": Aim("ms", "lower", 1_000.0),
    "page_answer_ms": Aim("ms", "lower", 250.0),
    "page_pan_ms": Aim("ms", "lower", 16.7),
    "page_zoom_ms": Aim("ms", "lower", 250.0),
    "page_update_lag_ms_p99": Aim("ms", "lower", 1_000.0),
    "page_ten_open_p99_ratio": Aim("times", "lower", 1.2),
}
DECISIONS = 100_000
EVENTS_PER_S = 1_000
OPEN = 10
ROUNDS, ROUND_S = 5, 4.0
ANSWER_S_MAX = 60.0
CLOCK = SystemClock()
PASSWORD = "a password of the bench"  # noqa: S105
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SETTINGS = f"""\
[desk]
name = "bench"

[[instrument]]
symbol = "{EMINI.symbol}"
tick = {EMINI.tick}
lot = {EMINI.lot}
multiplier = {EMINI.multiplier}
"""

MOVED = """async () => {
    const plot = uPlot.sync("desk").plots[0], pans = [], zooms = [], tasks = [];
    const frame = () => new Promise(requestAnimationFrame);
    new PerformanceObserver((list) => tasks.push(...list.getEntries().map((each) => each.duration)))
        .observe({ entryTypes: ["longtask"] });
    const { min, max } = plot.scales.x, half = (max - min) / 2;
    for (let turn = 0; turn < 60; turn++) {
        await frame();
        const from = min + half * turn / 60, start = performance.now();
        plot.batch(() => plot.setScale("x", { min: from, max: from + half }));
        pans.push(performance.now() - start);
    }
    const drawn = () => new Promise((done) => new MutationObserver((_, me) => { me.disconnect(); done(); })
        .observe(document.body, { attributes: true, attributeFilter: ["data-drawn"] }));
    for (let turn = 0; turn < 20; turn++) {
        const seen = drawn(), start = performance.now();
        plot.setSelect({ left: 100 + 20 * turn, top: 0, width: 200, height: plot.over.clientHeight });
        await seen;
        await frame();
        zooms.push(performance.now() - start);
        const whole = drawn();
        plot.over.dispatchEvent(new MouseEvent("dblclick"));
        await whole;
    }
    return { pans, zooms, tasks };
}"""
"""Moves the chart as a hand would, and says in milliseconds what each move took."""

Floats = npt.NDArray[np.float64]


def run(setting: Setting, report: Report) -> None:
    """Measure the family."""
    decisions = setting.count(DECISIONS)
    with tempfile.TemporaryDirectory(dir=setting.folder) as name:
        project = _project(Path(name) / "project")
        events, _ = read_emini()
        version = ticks_version(Path(name) / "versions", events)
        with desk(project.places.root, [version], instruments=(EMINI,)) as made:
            made.feed(events[:decisions])
            with _served(project) as address:
                cookies = _signed_in(address)
                unpin()
                _first_sight(setting, report, address, cookies, decisions)
                pin(-1)
                _at_work(setting, report, made, events[decisions:], (address, cookies))


def _project(folder: Path) -> Project:
    """Make a project whose tape the engine of this family writes."""
    folder.mkdir(parents=True)
    (folder / "tradeworthy.toml").write_text(SETTINGS, "utf-8")
    project = Project(folder)
    project.people.add("ada", ["trader"], PASSWORD, actor="bench", reason="bench")
    return project


@contextmanager
def _served(project: Project) -> Iterator[str]:
    """Serve the page from a process on the first core; yield its address."""
    command = [sys.executable, "-m", "tradeworthy.apps.cli", "page", "--port", "0", "--json"]
    with _beside([*command, "--project", str(project.folder)]) as lines:
        yield next(lines).strip()


@contextmanager
def _beside(command: Sequence[str]) -> Iterator[Iterator[str]]:
    """Run a process on the first core while a block lasts; yield the lines that it prints."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process.pid, {0})
    try:
        yield iter(process.stdout or ())
    finally:
        process.terminate()
        process.wait()


def _signed_in(address: str) -> str:
    """Sign in, and return the cookies of it as one header."""
    with httpx.Client(base_url=address, timeout=ANSWER_S_MAX) as client:
        token = client.get("/signin").text.partition('name="_csrf_token" value="')[2].partition('"')[0]
        client.post("/signin", data={"_csrf_token": token, "name": "ada", "password": PASSWORD})
        return "; ".join(f"{name}={value}" for name, value in client.cookies.items())


def _first_sight(setting: Setting, report: Report, address: str, cookies: str, decisions: int) -> None:
    """Measure the first paint in a browser, and the server's answer alone."""
    note = f"{decisions:,} decisions on the tape; loopback"
    with httpx.Client(base_url=address, headers={"cookie": cookies}, timeout=ANSWER_S_MAX) as client:
        took = [_answer_ms(client) for _ in range(setting.repeats(20))]
    report.add(
        "page_answer_ms", median_of(took[1:]), note=f"{note}; the first one, which reads the tape: {took[0]:.0f} ms"
    )
    if BROWSER is None:
        for name in ("page_first_paint_ms", "page_pan_ms", "page_zoom_ms"):
            report.add(name, None, note="no chromium here")
        return
    painted = _painted_ms(address, cookies, setting.repeats(20))
    report.add("page_first_paint_ms", median_of(painted), note=f"{note}; Chromium, first contentful paint")
    pans, zooms, longest = _chart_ms(address, cookies)
    said = f"{note}; Chromium, the price at 1440 pixels; longest task {longest:.0f} ms"
    report.add("page_pan_ms", median_of(pans), note=f"a redraw, of {len(pans)}; {said}")
    report.add("page_zoom_ms", median_of(zooms), note=f"from the drag to the drawn part, of {len(zooms)}; {said}")


def _chart_ms(address: str, cookies: str) -> tuple[list[float], list[float], float]:
    """Move the price's window sixty times and look closer twenty times; return what each took, and the longest task."""
    with _browsing(address, cookies) as opened:
        page = opened()
        page.set_viewport_size({"width": 1440, "height": 900})
        page.goto(address)
        page.wait_for_selector("body[data-drawn]")
        told = page.evaluate(MOVED)
    return told["pans"], told["zooms"], max(told["tasks"], default=0.0)


def _answer_ms(client: httpx.Client) -> float:
    start = time.perf_counter_ns()
    client.get("/").raise_for_status()
    return (time.perf_counter_ns() - start) / NS_PER_MS


def _painted_ms(address: str, cookies: str, repeats: int) -> list[float]:
    """Open the desk anew so often, and return the browser's own times of the first paint."""
    painted = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
    found = []
    with _browsing(address, cookies) as opened:
        for _ in range(repeats):
            page = opened()
            page.goto(address)
            page.wait_for_function(f"({painted}) !== null")
            found.append(float(page.evaluate(painted)))
            page.context.close()
    return found


@contextmanager
def _browsing(address: str, cookies: str) -> Iterator[Callable[[], "Page"]]:
    """Start Chromium; yield what opens a page of a new visitor with these cookies."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    pairs = [pair.split("=", 1) for pair in cookies.split("; ")]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])

        def opened() -> "Page":
            context = browser.new_context()
            context.add_cookies([{"name": name, "value": value, "url": address} for name, value in pairs])
            return context.new_page()

        yield opened
        browser.close()


def _at_work(setting: Setting, report: Report, made: BenchDesk, events: EventBatch, visitor: tuple[str, str]) -> None:
    """Decide at a fixed pace, in turn with nobody and with ten looking; measure the decisions and what is seen."""
    seconds = ROUND_S / 2 if setting.quick else ROUND_S
    count, place = int(seconds * EVENTS_PER_S), 0
    call = made.consumer(events)
    alone: list[float] = []
    watched: list[float] = []
    lags: list[float] = []
    for _ in range(1 if setting.quick else ROUNDS):
        alone.append(_p99(_paced(call, place, count)[0]))
        place += count
        with _looked_at(*visitor) as seen:
            took, at_ns = _paced(call, place, count)
            time.sleep(1.5)
        watched.append(_p99(took))
        lags += _lags_ms(made.folder / "tape", at_ns, seen)
        place += count
    note = f"{EVENTS_PER_S:,} events a second, {len(alone)} times {seconds:g} s each; page on another core"
    report.add(
        "page_update_lag_ms_p99", quantile_interval(np.array(lags), 0.99), note=f"event to browser's socket; {note}"
    )
    value: Estimate = ratio_of(watched, alone)
    said = f"p99 {np.median(watched):.0f} us beside {OPEN} pages, {np.median(alone):.0f} us alone"
    report.add("page_ten_open_p99_ratio", value, note=f"{said}; {note}")


@contextmanager
def _looked_at(address: str, cookies: str) -> Iterator[list[tuple[int, int]]]:
    """Open ten pages; what the first one saw, and when, is in the list after the block."""
    seen: list[tuple[int, int]] = []
    with _beside([sys.executable, str(HERE / "page_readers.py"), address, cookies, str(OPEN)]) as lines:
        next(lines)
        yield seen
        left = lines
    seen += [(int(at), int(count)) for at, count in (line.split() for line in left)]


def _paced(call: object, first: int, count: int) -> tuple[Floats, list[int]]:
    """Hand over events at the fixed pace; return the microseconds of each, and when each was done."""
    took, at_ns = np.empty(count), []
    begin = CLOCK.monotonic_ns()
    for turn in range(count):
        wait_ns = begin + turn * NS_PER_S // EVENTS_PER_S - CLOCK.monotonic_ns()
        if wait_ns > 0:
            time.sleep(wait_ns / NS_PER_S)
        start = time.perf_counter_ns()
        call(first + turn)  # type: ignore[operator]
        took[turn] = (time.perf_counter_ns() - start) / 1e3
        at_ns.append(CLOCK.monotonic_ns())
    return took, at_ns


def _p99(took: Floats) -> float:
    return float(np.quantile(took, 0.99))


def _lags_ms(tape: Path, at_ns: Sequence[int], seen: Sequence[tuple[int, int]]) -> list[float]:
    """Return how long each event took to be seen: until the first moment that counts it."""
    inputs = TapeReader(tape).read("inputs")
    counted = np.flatnonzero(inputs["kind"] == Kind.TRADE)[-len(at_ns) :] + 1
    times, counts = np.array([at for at, _ in seen]), np.array([count for _, count in seen])
    places = np.searchsorted(counts, counted)
    known = places < len(counts)
    lags: Floats = (times[places[known]] - np.array(at_ns)[known]) / NS_PER_MS
    return lags.tolist()
