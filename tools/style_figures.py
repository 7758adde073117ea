"""Measure our source against the aims of the house style, and fail when one is missed.

Usage:  python tools/style_figures.py
Idea:   quality shows in the tail: the longest file, the 90th percentile, the loops. So these are printed on each check.
"""

import argparse
import ast
import math
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
from exempt import LONG_KERNELS
from source_tree import ROOT, SOURCE, SourceFile, python_files

FILE_LINES_MAX = 400
BODY_LINES_MAX = 60
BODY_LINES_P90_MAX = 20
DOCSTRINGS_MODULE_MIN = 1.0
DOCSTRINGS_PUBLIC_MIN = 0.9
TYPED_ARGUMENTS_MIN = 1.0
TEST_RATIO_AIM = 1.3
TEST_RATIO_HELD = 0.6
"""What the check holds while the aim is not reached: raise it as tests are added, never lower it."""


@dataclass(frozen=True)
class Figure:
    """One line of the table: what was measured, the aim, and the places that miss it.

    A figure that misses its aim fails the check, unless it is `held` at what was reached before.
    """

    name: str
    measured: str
    aim: str = ""
    met: bool = True
    places: Sequence[str] = field(default=())
    held: bool = False


def percentile(values: Sequence[int], share: float) -> int:
    """Return the nearest-rank percentile: the smallest value that `share` of the values do not pass; 0 for none."""
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else 0


def size_figures(files: Sequence[SourceFile]) -> list[Figure]:
    """Return the sizes of files and of function bodies."""
    lines = [file.lines for file in files]
    bodies = [(f"{file.place}::{f.name}", f.body_lines) for file in files for f in file.functions if f.body_lines]
    sizes = [size for _, size in bodies]
    long_files = [f"{file.place} {file.lines}" for file in files if file.lines > FILE_LINES_MAX]
    long_bodies = [f"{name} {size}" for name, size in bodies if size > BODY_LINES_MAX and name not in LONG_KERNELS]
    p90 = percentile(sizes, 0.9)
    return [
        Figure("files / lines", f"{len(files)} / {sum(lines):,}"),
        Figure("file median lines", f"{statistics.median(lines):.0f}"),
        Figure("file max lines", f"{max(lines)}", f"<= {FILE_LINES_MAX}", not long_files, long_files),
        Figure("function bodies", f"{len(sizes):,}"),
        Figure("body median lines", f"{statistics.median(sizes):.0f}"),
        Figure("body p90 lines", f"{p90}", f"<= {BODY_LINES_P90_MAX}", p90 <= BODY_LINES_P90_MAX),
        Figure("body max lines", f"{max(sizes)}", f"<= {BODY_LINES_MAX}", not long_bodies, long_bodies),
        Figure("kernels exempt by name", f"{len(LONG_KERNELS)}"),
    ]


def share_figure(
    name: str, files: Sequence[SourceFile], lacking: Callable[[SourceFile], tuple[list[str], int]], aim: float
) -> Figure:
    """Return the share of things that do not lack something, over all files."""
    missing, total = [], 0
    for file in files:
        names, count = lacking(file)
        missing += [f"{file.place}: {what}" for what in names]
        total += count
    share = 1 - len(missing) / max(total, 1)
    return Figure(name, f"{share:.1%} of {total:,}", f">= {aim:.0%}", share >= aim, missing)


def has_no_docstring(file: SourceFile) -> tuple[list[str], int]:
    """Return the file's own name if it opens without a docstring."""
    return ([] if ast.get_docstring(file.tree) else ["module"]), 1


def import_loops(package: str) -> list[str]:
    """Return one import loop as a chain of module names, or nothing; imports for types alone do not count."""
    graph = grimp.build_graph(package, exclude_type_checking_imports=True, cache_dir=None)
    sorter = TopologicalSorter({module: graph.find_modules_directly_imported_by(module) for module in graph.modules})
    try:
        sorter.prepare()
    except CycleError as loop:
        return [" -> ".join(loop.args[1])]
    return []


def figures() -> list[Figure]:
    """Measure everything."""
    files = python_files(SOURCE)
    test_lines = sum(file.lines for file in python_files(ROOT / "tests"))
    ratio = test_lines / sum(file.lines for file in files)
    loops = import_loops("tradeworthy")
    return [
        *size_figures(files),
        share_figure("docstrings, modules", files, has_no_docstring, DOCSTRINGS_MODULE_MIN),
        share_figure("docstrings, public", files, SourceFile.undocumented, DOCSTRINGS_PUBLIC_MIN),
        share_figure("typed arguments", files, SourceFile.untyped, TYPED_ARGUMENTS_MIN),
        Figure(
            "test : source lines",
            f"{ratio:.2f}",
            f">= {TEST_RATIO_AIM}",
            ratio >= TEST_RATIO_AIM,
            held=ratio >= TEST_RATIO_HELD,
        ),
        Figure("import loops", f"{len(loops)}", "0", not loops, loops),
    ]


def print_table(rows: Sequence[Figure], places_shown: int) -> None:
    """Print the table, then the places that miss an aim."""
    for row in rows:
        print(f"{row.name:<24} {row.measured:>16}  {row.aim:<8} {'' if row.met else 'MISSED'}".rstrip())
    for row in rows:
        if row.met:
            continue
        for place in row.places[:places_shown]:
            print(f"  {row.name}: {place}")
        if len(row.places) > places_shown:
            print(f"  {row.name}: and {len(row.places) - places_shown} more (--all shows them)")


def main(arguments: Sequence[str]) -> int:
    """Print the figures; return 1 if an aim is missed and not held."""
    parser = argparse.ArgumentParser(description="Measure the source against the aims of the house style.")
    parser.add_argument("--all", action="store_true", help="show every place that misses an aim")
    wanted = parser.parse_args(arguments)
    rows = figures()
    print_table(rows, sys.maxsize if wanted.all else 12)
    return 0 if all(row.met or row.held for row in rows) else 1


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main(sys.argv[1:]))
