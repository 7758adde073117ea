"""A page that a browser can visit: a small project that has traded, served by a process of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page

from tradeworthy.apps.commands.project import Project
from tradeworthy.apps.reports.monitored import explainer_of
from tradeworthy.change.watch.findings import read_cases
from tradeworthy.change.watch.monitors import monitors_of
from tradeworthy.change.watch.sight import LOOK_EVERY_NS, SightKeeper
from tradeworthy.change.watch.watch import Watch
from tradeworthy.core import facts
from tradeworthy.core.decisions import Role, version_number
from tradeworthy.core.findings import Finding
from tradeworthy.core.time import NS_PER_HOUR, VirtualClock
from tradeworthy.record.reader import TapeReader
from tradeworthy.testing.projects import write_project

WITHIN_MS = 60_000
"""How long a page is waited for: a busy machine is slow, and that is no fault of the page's."""

PASSWORD = "a long enough password"  # noqa: S105
SCRIPT = "<script>document.title = 'owned'</script>"
SYMBOL, ALERTS = f"ABC{SCRIPT}", "told.jsonl"
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUICK_MONITORS = """
[monitor]
off = ["class_balance", "estimated", "reasons"]

[monitor.drift.charts]
runs = 20
run_length = 2000

[monitor.performance.charts]
runs = 20
run_length = 2000
"""
"""Calibrations that take little time."""

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def need_browser() -> None:
    """Skip without a browser; where everything must be tested, fail instead."""
    if BROWSER is None and os.environ.get("CI") == "true":
        pytest.fail("no chromium here; .ci/run installs it")
    if BROWSER is None:
        pytest.skip("needs chromium: apt-get install chromium")


def notice(page: Page) -> Locator:
    """Return what the page answered to a form; charts have a status of their own, which comes with their lines."""
    return page.locator("p[role=status]")


def picture(page: Page, name: str, kind: str) -> None:
    """Keep a picture of a whole view where the run asks for it, as `make test` does."""
    if folder := os.environ.get("TRADEWORTHY_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}-{kind}.png"), full_page=True)


def make_desk(folder: Path) -> Project:
    """Trade a small project on paper, a shadow beside it; an instrument, a reason and a finding carry a script."""
    project = Project(_hostile(write_project(folder)))
    for role, rounds in (("champion", 20), ("shadow", 35)):
        strategy = folder / "strategy.py"
        strategy.write_text(
            strategy.read_text("utf-8").replace("num_boost_round=20", f"num_boost_round={rounds}"), "utf-8"
        )
        project.train()
        project.register(name=f"of {rounds} trees {SCRIPT}", actor="ada")
        project.gate(actor="ada")
        project.promote("newest", to=role, actor="ada", reason=f"first {SCRIPT}")
    project.run(watch=False)
    for name, role in (("tom", "trader"), ("rita", "risk"), ("paul", "approver"), ("adam", "admin"), ("lou", "trader")):
        project.people.add(name, [role], PASSWORD, actor="test", reason=f"joins {SCRIPT}")
    project.people.add("eve", ["trader", "risk", "approver", "admin"], PASSWORD, actor="test", reason="sees every form")
    made = TapeReader(project.places.tape).read("decisions")
    made = made[made["role"] == Role.CHAMPION]
    finding = Finding(
        monitor="drift",
        subject=f"return_1 {SCRIPT}",
        kind="data_drift",
        sequence=int(made["sequence"][-1]),
        ts_event_ns=int(made["ts_event_ns"][-1]),
        since_ns=int(made["ts_event_ns"][-400]),
        observed=0.5,
        reference=0.0,
        unit="sd",
        statistic=9.0,
        threshold=5.0,
        false_alarms_per_10k=1.0,
        sentence=f"The level of return_1 has moved by half a deviation {SCRIPT}.",
    )
    project.ledger.append(facts.FindingRaised(finding=finding), actor="watcher", reason="drift")
    _watch(project)
    return project


def _watch(project: Project) -> None:
    """Let the champion's monitors read the whole tape, some hundred records a look, and explain what was found."""
    watch = Watch(
        project.places.watcher,
        project.places.tape,
        project.ledger,
        lambda number: monitors_of(project.registry, number, project.settings.instrument, project.settings.monitor),
        clock=project.clock,
        batch=400,
    )
    digest = project.registry.standing().champion
    clock = VirtualClock(project.clock.now_ns() - NS_PER_HOUR)
    keeper = SightKeeper(project.places.watcher, lambda _: project.settings.monitor, clock=clock)
    while watch.step(version_number(digest)):
        clock.advance_to(clock.now_ns() + LOOK_EVERY_NS)
        keeper.look(digest[:16], watch.market_ns, watch.monitors)
    keeper.write(watch.monitors)
    for case in read_cases(project.ledger).unsettled():
        explainer_of(project).now(case)


def _hostile(folder: Path) -> Path:
    """Give the instrument a name that would like to be run, and alerts a place to go."""
    path = folder / "tradeworthy.toml"
    text = path.read_text("utf-8").replace('"ABC"', f'"{SYMBOL}"')
    path.write_text(f'{text}\n[[alert]]\nto = "file"\nname = "log-book"\npath = "{ALERTS}"\n{QUICK_MONITORS}', "utf-8")
    return folder


@contextmanager
def served(project: Project) -> Iterator[str]:
    """Serve a project's page from a process of its own; yield its address."""
    command = [sys.executable, "-m", "tradeworthy.apps.cli", "page", "--project", str(project.folder), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        assert "http://127.0.0.1:" in line, line
        yield line.split("at ", 1)[1].split()[0]
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.stdout.close()
        if process.poll() is None:
            process.kill()
            process.wait()
