"""Floors: the walk in C, compiled once where a compiler is found (null without one), and a bare write of a record."""

import ctypes
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from harness import HERE, KEPT
from jobs import Floats

from tradeworthy.record.disk import Disk

SOURCE = HERE / "floor.c"
NODE = np.dtype([("threshold", "<f4"), ("feature", "<i4"), ("child", "<i4")])
GROUP = 8


def library() -> ctypes.CDLL | None:
    """Return the compiled floors; None without gcc."""
    compiler = shutil.which("gcc")
    if compiler is None:
        return None
    path = KEPT / f"floor-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]}.so"
    if not path.exists():
        KEPT.mkdir(exist_ok=True)
        flags = ["-O3", "-march=native", "-shared", "-fPIC"]
        subprocess.run([compiler, *flags, str(SOURCE), "-o", str(path), "-lm"], check=True)  # noqa: S603
    found = ctypes.CDLL(str(path))
    found.walk.restype = found.shapley.restype = ctypes.c_double
    return found


class Walk:
    """The trees of a LightGBM model as the C floor walks them.

    Parameters
    ----------
    found : CDLL
        From `library`.
    model : lightgbm.Booster
        Numerical splits only.
    """

    def __init__(self, found: ctypes.CDLL, model: Any) -> None:
        self._call = found.walk
        self._nodes: list[tuple[float, int, int]] = []
        self._leaves: list[float] = []
        trees = sorted((self._tree(tree["tree_structure"]) for tree in model.dump_model()["tree_info"]), reverse=True)
        spare = -len(trees) % GROUP
        trees += [(0, self._leaf(0.0, self._room(2)))] * spare
        self.nodes = np.array(self._nodes, NODE)
        self.leaves = np.array(self._leaves, np.float64)
        self.roots = np.array([root for _, root in trees], np.int32)
        self.steps = np.array([depth for depth, _ in trees], np.int32).reshape(-1, GROUP).max(axis=1).copy()

    def seconds(self, rows: npt.NDArray[np.float32], block: int = 1) -> tuple[float, Floats]:
        """Score (n, width) rows, so many at once; return the seconds inside C and the scores."""
        scores = np.empty(len(rows))
        arrays = [self.nodes, self.leaves, self.roots, self.steps, rows, scores]
        places = [ctypes.c_void_p(array.ctypes.data) for array in arrays]
        taken = self._call(*places[:4], len(self.steps), places[4], rows.shape[1], len(rows), block, places[5])
        return float(taken), scores

    def _room(self, count: int) -> int:
        self._nodes += [(float("inf"), 0, 0)] * count
        self._leaves += [0.0] * count
        return len(self._nodes) - count

    def _leaf(self, value: float, at: int) -> int:
        self._nodes[at] = (float("inf"), 0, at)
        self._leaves[at] = value
        return at

    def _tree(self, root: dict[str, Any]) -> tuple[int, int]:
        """Lay out one tree level by level; return its depth and its root's place."""
        first, depth = self._room(1), 0
        front = [(root, first)]
        while front:
            after = []
            for node, at in front:
                if "left_child" not in node:
                    self._leaf(node["leaf_value"], at)
                    continue
                child = self._room(2)
                self._nodes[at] = (_round_down(node["threshold"]), node["split_feature"], child)
                after += [(node["left_child"], child), (node["right_child"], child + 1)]
            depth += bool(after)
            front = after
        return depth, first


def _round_down(threshold: float) -> float:
    """Return the largest float32 at most `threshold`: the same split for float32 rows."""
    single = np.float32(threshold)
    return float(single if float(single) <= threshold else np.nextafter(single, np.float32(-np.inf)))


class Sweep:
    """The sweeps of exact Shapley values as the C floor does them, on the very tables of ours.

    Parameters
    ----------
    found : CDLL
        From `library`.
    table : ShapTable
        One table of all trees.
    trees : Trees
        Whose it is.
    """

    def __init__(self, found: ctypes.CDLL, table: Any, trees: Any) -> None:
        self._call, self._table, self._trees = found.shapley, table, trees
        widest = int(np.diff(table.starts).max())
        self._room = [np.zeros((widest, 6)), np.zeros((widest, 6)), np.zeros(widest, np.uint8)]

    def seconds(self, numbers: Floats) -> tuple[float, Floats]:
        """Explain (n, slots) slot numbers; return the seconds inside C and the (n, features) contributions."""
        table, features = self._table, self._trees.n_features
        gains = np.zeros((len(numbers), features, 6))
        fixed = [table.edges, table.starts, table.down, table.up, table.weights, numbers, *self._room, gains]
        edges, starts, down, up, weights, rows, *rest = [ctypes.c_void_p(array.ctypes.data) for array in fixed]
        counts = (numbers.shape[1], features, len(numbers))
        taken = self._call(edges, starts, len(table.starts) - 1, down, up, weights, rows, *counts, *rest)
        return float(taken), gains.sum(axis=2)


@contextmanager
def bare_file(path: Path, size: int) -> Iterator[Callable[[npt.NDArray[np.void]], None]]:
    """Give a function that writes records one after the other into a zeroed file, from its start again at the end."""
    Disk().preallocate(path, size)
    file, place = os.open(path, os.O_WRONLY), 0
    os.fsync(file)

    def write(records: npt.NDArray[np.void]) -> None:
        nonlocal place
        place = (place + os.pwrite(file, records, place)) % (size - records.nbytes)

    try:
        yield write
    finally:
        os.close(file)
