"""A page that a browser can visit: a small project that has traded, served by a process of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tradeworthy.apps.commands.project import Project
from tradeworthy.core import facts
from tradeworthy.core.findings import Finding
from tradeworthy.testing.projects import write_project

PASSWORD = "a long enough password"  # noqa: S105
SCRIPT = "<script>document.title = 'owned'</script>"
SYMBOL, ALERTS = f"ABC{SCRIPT}", "told.jsonl"
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
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


def make_desk(folder: Path) -> Project:
    """Trade a small project on paper, a shadow beside it; an instrument, a reason and a finding carry a script."""
    project = Project(_hostile(write_project(folder)))
    for role, rounds in (("champion", 20), ("shadow", 35)):
        strategy = folder / "strategy.py"
        strategy.write_text(
            strategy.read_text("utf-8").replace("num_boost_round=20", f"num_boost_round={rounds}"), "utf-8"
        )
        project.train()
        project.register(name=f"of {rounds} trees", actor="ada")
        project.gate(actor="ada")
        project.promote("newest", to=role, actor="ada", reason="first")
    project.run(watch=False)
    for name, role in (("tom", "trader"), ("rita", "risk"), ("paul", "approver"), ("adam", "admin"), ("lou", "trader")):
        project.people.add(name, [role], PASSWORD, actor="test", reason=f"joins {SCRIPT}")
    now_ns = project.clock.now_ns()
    finding = Finding(
        monitor="drift",
        subject=f"return_1 {SCRIPT}",
        kind="data_drift",
        sequence=100,
        ts_event_ns=now_ns,
        since_ns=now_ns,
        observed=0.5,
        reference=0.0,
        unit="sd",
        statistic=9.0,
        threshold=5.0,
        false_alarms_per_10k=1.0,
        sentence=f"The level of return_1 has moved by half a deviation {SCRIPT}.",
    )
    project.ledger.append(facts.FindingRaised(finding=finding), actor="watcher", reason="drift")
    return project


def _hostile(folder: Path) -> Path:
    """Give the instrument a name that would like to be run, and alerts a place to go."""
    path = folder / "tradeworthy.toml"
    text = path.read_text("utf-8").replace('"ABC"', f'"{SYMBOL}"')
    path.write_text(f'{text}\n[[alert]]\nto = "file"\nname = "log-book"\npath = "{ALERTS}"\n', "utf-8")
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
