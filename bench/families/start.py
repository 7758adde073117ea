"""A cold start of `tradeworthy run`: seconds to the first decision on the tape, and the engine's peak memory."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import KEPT, Aim, Report, Setting, unpin
from measure import median_of

from tradeworthy.core.errors import TradeworthyError
from tradeworthy.record.reader import TapeReader

AIMS = {
    "cold_start_s": Aim("s", "lower", 3.0),
    "cold_start_without_kernels_s": Aim("s", "lower", 30.0),
    "peak_memory_mb": Aim("MB", "lower", 300.0),
}
COMMAND = Path(sys.executable).with_name("tradeworthy")
WAIT_S = 180.0
LIBRARIES = ("numba", "polars", "sqlalchemy", "typer", "rich.progress", "cryptography.hazmat.primitives.serialization")
STEPS = (
    ("train",),
    ("register",),
    ("gate",),
    ("promote", "newest", "--to", "champion", "--reason", "a benchmark"),
)


def run(setting: Setting, report: Report) -> None:
    """Measure the family."""
    unpin()
    with tempfile.TemporaryDirectory(dir=setting.folder) as name:
        folder = Path(name)
        project = warmed(folder)
        count = 1 if setting.quick else 7
        found = [first_start(project, folder / f"run-{k}", os.environ) for k in range(count)]
        note = (
            "process start to first decision on the tape; 20 features, 200 trees; syncer and watcher beside, any core; "
            "floor: Python importing the libraries alone"
        )
        floor_s = min(_libraries_s() for _ in range(3))
        report.add("cold_start_s", median_of([seconds for seconds, _ in found]), floor=floor_s, note=note)
        report.add("peak_memory_mb", median_of([mb for _, mb in found]), note="resident, the engine's process alone")
        if setting.quick:
            report.add("cold_start_without_kernels_s", None, note="not in a quick run")
            return
        fresh = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
        seconds, _ = first_start(project, folder / "bare", fresh | {"XDG_CACHE_HOME": str(folder / "cache")})
        report.add("cold_start_without_kernels_s", seconds, note="every kernel compiled on the way; taken once")


def first_start(project: Path, copy: Path, environment: "os._Environ[str] | dict[str, str]") -> tuple[float, float]:
    """Start a run on a copy of the project; return the seconds to its first decision and its peak memory in MB."""
    shutil.copytree(project, copy)
    start = time.perf_counter_ns()
    process = subprocess.Popen(  # noqa: S603
        [str(COMMAND), "run", "--speed", "2000"],
        cwd=copy,
        env=dict(environment),
        stdout=subprocess.DEVNULL,
    )
    try:
        while not _decided(copy):
            if process.poll() is not None or _seconds_since(start) > WAIT_S:
                raise RuntimeError(f"`tradeworthy run` made no decision; it ended with {process.returncode}")
            time.sleep(0.01)
        seconds = _seconds_since(start)
        time.sleep(1.0)
    finally:
        process.send_signal(signal.SIGINT)
    _, _, used = os.wait4(process.pid, 0)
    return seconds, used.ru_maxrss / 1024


def _libraries_s() -> float:
    """Return how long Python takes to start and import what the command is built on."""
    start = time.perf_counter_ns()
    subprocess.run([sys.executable, "-c", f"import {', '.join(LIBRARIES)}"], check=True)  # noqa: S603
    return _seconds_since(start)


def _seconds_since(start_ns: int) -> float:
    return (time.perf_counter_ns() - start_ns) / 1e9


def _decided(project: Path) -> bool:
    tape = next(project.glob("desk/**/tape"), None)
    if tape is None:
        return False
    try:
        return bool(len(TapeReader(tape).read("decisions", limit=1)))
    except (TradeworthyError, OSError):
        return False


def warmed(folder: Path) -> Path:
    """Return a project with a champion, after one run; it is made once and kept, and again where it runs no more."""
    kept = KEPT / "project"
    try:
        if kept.exists():
            first_start(kept, folder / "warm", os.environ)
            return kept
    except RuntimeError:
        shutil.rmtree(kept)
    project = _project(folder, kept)
    first_start(project, folder / "warmed", os.environ)
    return project


def _project(folder: Path, kept: Path) -> Path:
    """Make a project with a champion, as a person does, and keep it."""
    made = folder / "project"
    for step in (("init", str(made)), *STEPS):
        if not _ran([str(COMMAND), *step], made if made.exists() else folder):
            raise RuntimeError(f"`tradeworthy {' '.join(step)}` failed")
    KEPT.mkdir(exist_ok=True)
    return Path(shutil.copytree(made, kept))


def _ran(command: list[str], folder: Path) -> bool:
    return subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=False).returncode == 0  # noqa: S603
