"""`make bench`: run families of figures, each in a process of its own, and write what they found.

Idea:   a family runs alone on the last core, so that no other family's caches, threads or garbage colour it; what it
        measures against (retraining, readers, syncers) runs on the first core. Results of families not run are kept if
        they come from this machine.

    make bench BENCH_ARGS="--quick --only trees"
"""

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from harness import HERE, RESULTS, ROOT, Report, Setting, context, go_first, merge, pin, read_records, write_records
from table import page

FAMILIES = (
    "trees",
    "features",
    "tape",
    "decision",
    "feed",
    "replay",
    "archive",
    "start",
    "scaling",
    "watch",
    "explain",
    "serve",
    "overload",
    "page",
    "attack",
)
DOCUMENT = ROOT / "docs" / "benchmarks.md"
_ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}


def family(name: str) -> ModuleType:
    """Return a family's module: `AIMS`, and `run(setting, report)`."""
    return importlib.import_module(f"families.{name}")


def chosen(only: Sequence[str]) -> list[str]:
    """Return the families that were asked for, by their own name or a figure's.

    Raises
    ------
    SystemExit
        A name is neither.
    """
    owners = {figure: name for name in FAMILIES for figure in family(name).AIMS} | {name: name for name in FAMILIES}
    unknown = [name for name in only if name not in owners]
    if unknown:
        raise SystemExit(f"there is no family or figure {unknown}; families are {', '.join(FAMILIES)}")
    wanted = {owners[name] for name in only} or set(FAMILIES)
    return [name for name in FAMILIES if name in wanted]


def run_here(name: str, setting: Setting, core: int, *, realtime: bool) -> list[dict[str, Any]]:
    """Run a family in this process and return its records; a failure becomes nulls that say why."""
    pin(core)
    realtime = realtime and go_first()
    module, reason = family(name), "not measured"
    report = Report(module.AIMS)
    about = context(quick=setting.quick, realtime=realtime)
    try:
        module.run(setting, report)
    except Exception as error:  # noqa: BLE001 - whatever a family meets, its record must say so
        traceback.print_exc()
        reason = f"failed: {type(error).__name__}: {error}"
    return [figure.record() | {"family": name} | about for figure in report.close(reason)]


def run_apart(name: str, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Run a family in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "records.json"
        flags = ["--quick"] * arguments.quick + ["--peers"] * arguments.peers + ["--realtime"] * arguments.realtime
        command = [sys.executable, str(HERE / "run.py"), "--family", name, "--records", str(out), *flags]
        subprocess.run([*command, "--core", str(arguments.core)], check=False, env=os.environ | _ONE_THREAD)  # noqa: S603
        return read_records(out)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="bench/run.py", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer repeats; under a minute in all")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="a family or a figure; repeatable")
    parser.add_argument("--peers", action="store_true", help="also run the peers that `make bench-peers` installed")
    parser.add_argument("--realtime", action="store_true", help="ask that nothing else may take the core (root only)")
    parser.add_argument("--core", type=int, default=-1, help="core to measure on, counted among those allowed")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where to write the records")
    parser.add_argument("--document", type=Path, default=DOCUMENT, help="where to write the table")
    parser.add_argument("--family", choices=FAMILIES, help=argparse.SUPPRESS)
    parser.add_argument("--records", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; 0 unless a family failed."""
    asked = parse(arguments)
    if asked.family:
        setting = Setting(quick=asked.quick, peers=asked.peers)
        write_records(asked.records, run_here(asked.family, setting, asked.core, realtime=asked.realtime))
        return 0
    new = []
    for name in chosen(asked.only):
        start = time.perf_counter_ns()
        new += run_apart(name, asked)
        print(f"{name}: {(time.perf_counter_ns() - start) / 1e9:.0f} s", flush=True)
    order = [figure for name in FAMILIES for figure in family(name).AIMS]
    records = merge(read_records(asked.output), new, order)
    write_records(asked.output, records)
    asked.document.write_text(page(records, titles()), encoding="utf-8")
    return int(any(record["note"].startswith("failed") for record in new))


def titles() -> dict[str, str]:
    """Return each family's first sentence: what its figures are about."""
    return {name: (family(name).__doc__ or "").splitlines()[0] for name in FAMILIES}


if __name__ == "__main__":
    raise SystemExit(main())
