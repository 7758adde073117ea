"""What could go wrong before it does: this machine, the installed parts, and one project."""

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path

import msgspec

from tradeworthy.apps.commands.settings import FILE_NAME, Settings, load_settings
from tradeworthy.change.train.strategy import imported_by, packages_of
from tradeworthy.core.errors import TradeworthyError
from tradeworthy.core.kernel_cache import cache_folder, fingerprint

DISK_FREE_MIN_GB = 2.0


class Item(msgspec.Struct, frozen=True):
    """One thing looked at."""

    name: str
    ok: bool
    found: str
    advice: str = ""


class Examination(msgspec.Struct, frozen=True):
    """Everything looked at; healthy while nothing needs mending."""

    healthy: bool
    items: list[Item]


def examine(folder: Path) -> Examination:
    """Look at the machine and, where `folder` holds one, at the project."""
    items = [_python(), _packages(), _cores(), _kernels(), _disk(folder)]
    if (folder / FILE_NAME).exists():
        items.extend(_project(folder))
    return Examination(healthy=all(item.ok for item in items), items=items)


def _python() -> Item:
    """Compare Python with the oldest supported."""
    good = sys.version_info >= (3, 11)
    return Item("python", good, platform.python_version(), "" if good else "install Python 3.11 or newer")


def _packages() -> Item:
    """Look for every declared dependency that is missing."""
    missing = []
    for line in requires("tradeworthy") or []:
        name = line.split(";")[0].split(">")[0].split("=")[0].split("<")[0].strip()
        try:
            version(name)
        except PackageNotFoundError:
            if "extra ==" not in line:
                missing.append(name)
    advice = "pip install tradeworthy" if missing else ""
    return Item("packages", not missing, f"missing {missing}" if missing else "all there", advice)


def _cores() -> Item:
    """Want a core for the engine and one for everything else."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Item("cores", cores >= 2, str(cores), "" if cores >= 2 else "the watcher will share the engine's core")


def _kernels() -> Item:
    """Say whether compiled kernels are cached: without them the first start takes up to half a minute longer."""
    count = sum(1 for _ in cache_folder().rglob("*.nbc")) if cache_folder().exists() else 0
    return Item("compiled kernels", True, f"{count} cached for {fingerprint()}")


def _disk(folder: Path) -> Item:
    """Want room for the tape."""
    there = folder if folder.exists() else Path()
    free = shutil.disk_usage(there).free / 1e9
    good = free >= DISK_FREE_MIN_GB
    return Item("disk", good, f"{free:.1f} GB free", "" if good else f"free at least {DISK_FREE_MIN_GB} GB")


def _project(folder: Path) -> Iterator[Item]:
    """Look at one project's settings, files and keys."""
    try:
        settings = load_settings(folder)
    except TradeworthyError as error:
        yield Item("settings", False, str(error), f"mend {FILE_NAME}")
        return
    yield Item("settings", True, f"desk {settings.desk.name}, {settings.desk.env}")
    checks: list[Callable[[Path, Settings], Item]] = [_strategy, _market_files, _columns, _limits, _key, _feed]
    for check in checks:
        yield check(folder, settings)


def _strategy(folder: Path, settings: Settings) -> Item:
    """Want the strategy file and every package that it imports; it is not run here."""
    path = folder / settings.desk.strategy
    if not path.is_file():
        return Item("strategy", False, str(path), "write it, or mend [desk] strategy")
    try:
        missing = sorted(name for name in imported_by(path.read_text("utf-8")) if find_spec(name) is None)
    except (SyntaxError, UnicodeDecodeError) as error:
        return Item("strategy", False, f"{path}: {error}", "mend it; then: tradeworthy features")
    found = f"{path} imports {', '.join(missing)}, not installed here" if missing else str(path)
    return Item("strategy", not missing, found, f"pip install {' '.join(packages_of(missing))}" if missing else "")


def _market_files(folder: Path, settings: Settings) -> Item:
    """Want every declared file of market data or rows."""
    paths = [file.path for file in settings.market] + [file.path for file in settings.rows]
    missing = [path for path in paths if not (folder / path).is_file()]
    found = f"missing {missing}" if missing else f"{len(paths)} there"
    return Item("data files", not missing, found, f"put them into {folder}, or mend their paths" if missing else "")


def _columns(folder: Path, settings: Settings) -> Item:
    """Want rows to be there where groups are made of their columns; which they are is held against `[[rows]]`."""
    named, path = settings.monitor.fairness.columns, folder / settings.desk.strategy
    if settings.rows or not named or (path.is_file() and "row_fields" in path.read_text("utf-8", errors="replace")):
        return Item("columns of groups", True, ", ".join(named) or "none")
    found = f"[monitor.fairness] columns {list(named)}, but nothing reads rows: no [[rows]], no row_fields in {path}"
    return Item("columns of groups", False, found, "leave columns out, or declare the rows")


def _limits(_folder: Path, settings: Settings) -> Item:
    """Want every limit set, because a missing one refuses."""
    missing = settings.limits.missing()
    found = f"missing {missing}" if missing else "all set"
    advice = "set them in [limits]; a missing limit refuses every order" if missing else ""
    return Item("limits", not missing, found, advice)


def _key(folder: Path, settings: Settings) -> Item:
    """Want the signing key to be readable by its owner alone."""
    path = folder / settings.desk.state / "keys" / "author.key"
    if not path.exists():
        return Item("signing key", True, "none yet; made by the first `tradeworthy register`")
    mode = path.stat().st_mode & 0o777
    return Item("signing key", mode == 0o600, f"mode {mode:o}", "" if mode == 0o600 else f"chmod 600 {path}")


def _feed(folder: Path, settings: Settings) -> Item:
    """Want an exchange that answers, and a clock like ours; files are looked at as data files."""
    if settings.feed.kind == "files":
        return Item("feed", True, "market files")
    try:
        from tradeworthy.apps.feed.looking import look_at_feed  # noqa: PLC0415  # an optional package
    except ImportError as error:
        return Item("feed", False, f"a package is missing: {error}", "pip install 'tradeworthy[feed]'")
    return Item("feed", *look_at_feed(folder, settings))
