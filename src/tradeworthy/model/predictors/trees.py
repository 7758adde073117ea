"""Tree ensembles as data: `Trees` from LightGBM, XGBoost, CatBoost and scikit-learn, served without any of them.

Idea:   a library's rules are read once, at training; the table that results is arrays, checked before a kernel may
        touch it, and stored without pickle. Structure and cover stay in it, for exact Shapley values.
Reference: `tree_table` for the walk, `readers` for the libraries' rules.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import UNDECODABLE, BundleRefused, ModelMismatch, near
from tradeworthy.core.kernel import entry
from tradeworthy.model.arrays import pack, unpack
from tradeworthy.model.predictors.base import Floats, as_row, as_rows
from tradeworthy.model.predictors.forest import FIRST_NODE, Forest, Layout, layout
from tradeworthy.model.predictors.tree_table import (
    NODE,
    SLOT,
    TREES_PER_GROUP,
    Link,
    Reading,
    TreeTable,
    margin_row,
    score_row,
    score_rows,
)

__all__ = ["TREES_FILE", "TreeTable", "Trees", "margin_row", "score_row", "score_rows"]

TREES_FILE = "trees.npz"
NODES_MAX = 20_000_000
SLOTS_MAX = 1_000_000
DEPTH_MAX = 1_000
FEATURES_MAX = 100_000
OUTPUTS_MAX = 1_000
_ARRAYS = ("nodes", "slots", "categories", "roots", "covers", "numbers", "counts")
_OF_OUTPUTS = ("output", "names")  # in the file only where there are several
_READINGS = (1, 2, 3, 4, 5, 6, 17, 19, 20, 37, 38)


class Trees:
    """An ensemble of decision trees with one output, or one for each class; a desk acts on the first.

    Parameters
    ----------
    parts : Layout
        Nodes in the order of the table.
    n_features : int
        Width of a row.
    outputs : tuple of str
        Names of the scores.
    bases : sequence of float
        Added to the sum of each output's leaves.
    scale : float
        Factor inside the sigmoid.
    link : Link
        How scores follow from margins.

    Attributes
    ----------
    table : TreeTable
        What the kernels read.
    covers : (nodes,) float64
        Weight of training rows that reached each node of ``table.nodes``.
    roots : (trees,) uint32
        Place of each tree's root; a tree's nodes stand together, parents before children.

    Raises
    ------
    BundleRefused
        The arrays are not a forest: a child points backwards, a slot or feature does not exist, a number is NaN.
    """

    format = "trees"

    def __init__(
        self,
        parts: Layout,
        *,
        n_features: int,
        outputs: tuple[str, ...] = ("score",),
        bases: Sequence[float] = (0.0,),
        scale: float = 1.0,
        link: Link = Link.IDENTITY,
    ) -> None:
        depths = check(parts, n_features)
        _check_outputs(parts, outputs, bases, link)
        if not np.isfinite([*bases, scale]).all():
            raise BundleRefused(f"the trees' bases {list(bases)} or scale {scale} is not finite")
        self.n_features, self.n_outputs, self.outputs = n_features, len(outputs), outputs
        self._parts = parts
        self.covers = parts.covers
        self.roots = parts.roots
        groups, ends = _groups(parts, depths, len(outputs))
        begin = np.array(bases, np.float64)
        self.table = TreeTable(parts.nodes, groups, parts.slots, parts.categories, begin, ends, float(scale), int(link))
        self._freeze()
        row, scores = np.zeros(n_features), np.zeros(self.n_outputs)
        self._score = entry(score_row, self.table, row, scores)

    @classmethod
    def from_forest(cls, forest: Forest) -> Self:
        """Build from what a reader found."""
        return cls(
            layout(forest),
            n_features=forest.n_features,
            outputs=forest.outputs,
            bases=forest.bases,
            scale=forest.scale,
            link=forest.link,
        )

    def acting_on(self, output: str) -> Self:
        """Return the same trees with another score first: the one that a desk acts on.

        Raises
        ------
        ModelMismatch
            There is no score of this name.
        """
        if output not in self.outputs:
            raise ModelMismatch(
                f"the model has no score {output!r}; it has {list(self.outputs)}{near(output, self.outputs)}"
            )
        names = (output, *(name for name in self.outputs if name != output))
        places = [self.outputs.index(name) for name in names]
        return type(self)(
            replace(self._parts, output=np.argsort(places).astype(np.uint32)[self._parts.output]),
            n_features=self.n_features,
            outputs=names,
            bases=self.table.bases[places].tolist(),
            scale=self.table.scale,
            link=Link(self.table.link),
        )

    def shifted(self, margin: float) -> Self:
        """Return the same trees, whose first output's sum starts higher by `margin`."""
        first, *others = self.table.bases.tolist()
        return type(self)(
            self._parts,
            n_features=self.n_features,
            outputs=self.outputs,
            bases=[first + margin, *others],
            scale=self.table.scale,
            link=Link(self.table.link),
        )

    @property
    def output(self) -> npt.NDArray[np.uint32]:
        """The output that each tree adds to, (trees,)."""
        return self._parts.output

    def one(self, row: Floats) -> Floats:
        """Return the (k,) scores of one (n_features,) row."""
        scores = np.empty(self.n_outputs)
        self._score(self.table, as_row(row, self.n_features), scores)
        return scores

    def many(self, rows: Floats) -> Floats:
        """Return the (m, k) scores of (m, n_features) rows."""
        rows = as_rows(rows, self.n_features)
        scores = np.empty((len(rows), self.n_outputs))
        score_rows(self.table, rows, scores)
        return scores

    def margin(self, row: Floats) -> float:
        """Return the first output's raw sum, before the link, of one (n_features,) row."""
        return float(margin_row(self.table, as_row(row, self.n_features)))

    def to_files(self) -> dict[str, bytes]:
        """Return the predictor's files as bytes by name."""
        table = self.table
        arrays: dict[str, npt.NDArray[Any]] = {
            "nodes": table.nodes,
            "slots": table.slots,
            "categories": table.categories,
            "roots": self.roots,
            "covers": self.covers,
            "numbers": np.array([*table.bases, table.scale]),
            "counts": np.array([self.n_features, table.link], np.int64),
        }
        if self.n_outputs > 1:
            names = np.frombuffer(msgspec.json.encode(self.outputs), np.uint8)
            arrays |= {"output": self._parts.output, "names": names}
        return {TREES_FILE: pack(arrays)}

    def save(self, folder: Path) -> None:
        """Write the predictor's file into an existing folder."""
        for name, data in self.to_files().items():
            (folder / name).write_bytes(data)

    @classmethod
    def from_files(cls, files: dict[str, bytes]) -> Self:
        """Build from the bytes of `to_files`; anything that is not a forest is refused."""
        arrays: dict[str, Any] = unpack(files[TREES_FILE], TREES_FILE, expected=_ARRAYS, optional=_OF_OUTPUTS)
        _check_types(arrays)
        counts, numbers, trees = arrays["counts"], arrays["numbers"], len(arrays["roots"])
        if not 0 <= counts[1] < len(Link):
            raise BundleRefused(f"{TREES_FILE}: link {counts[1]} is unknown to this release")
        output = arrays["output"] if "output" in arrays else np.zeros(trees, np.uint32)
        kept = {name: arrays[name] for name in ("nodes", "slots", "categories", "roots", "covers")}
        return cls(
            Layout(**kept, output=output),
            n_features=int(counts[0]),
            outputs=_names(arrays["names"]) if "names" in arrays else ("score",),
            bases=numbers[:-1].tolist(),
            scale=float(numbers[-1]),
            link=Link(int(counts[1])),
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the file that `save` wrote."""
        return cls.from_files({TREES_FILE: (folder / TREES_FILE).read_bytes()})

    def _freeze(self) -> None:
        table = self.table
        for array in (*table[:6], self.covers, self.roots, self._parts.output):
            array.flags.writeable = False


def _check_types(arrays: dict[str, npt.NDArray[Any]]) -> None:
    if ("output" in arrays) != ("names" in arrays):
        raise BundleRefused(f"{TREES_FILE}: outputs have names without trees, or trees without names")
    types: dict[str, np.dtype[Any]] = {
        "nodes": NODE,
        "slots": SLOT,
        "categories": np.dtype("<u4"),
        "roots": np.dtype("<u4"),
        "covers": np.dtype("<f8"),
        "numbers": np.dtype("<f8"),
        "counts": np.dtype("<i8"),
        "output": np.dtype("<u4"),
        "names": np.dtype("u1"),
    }
    for name, array in list(arrays.items()):
        dtype = types[name]
        if array.ndim != 1 or re.sub(r"\s", "", str(array.dtype.descr)) != re.sub(r"\s", "", str(dtype.descr)):
            raise BundleRefused(f"{TREES_FILE}: {name} is {array.dtype} of {array.ndim} dimensions, allowed is {dtype}")
        arrays[name] = array.view(dtype)  # the aligned type, which kernels are compiled for
    if len(arrays["numbers"]) < 2 or len(arrays["counts"]) != 2:
        raise BundleRefused(f"{TREES_FILE}: numbers and counts must hold two entries or more, and two")


def _names(text: npt.NDArray[np.uint8]) -> tuple[str, ...]:
    try:
        return msgspec.json.decode(text.tobytes(), type=tuple[str, ...])
    except UNDECODABLE as error:
        raise BundleRefused(f"{TREES_FILE}: the outputs' names are not a list of texts: {error}") from error


def _check_outputs(parts: Layout, outputs: tuple[str, ...], bases: Sequence[float], link: Link) -> None:
    """Refuse outputs that do not fit the trees, so that no kernel writes beyond the scores."""
    count = len(outputs)
    _refuse(not 1 <= count <= OUTPUTS_MAX, f"{count} outputs, allowed are 1 to {OUTPUTS_MAX}")
    _refuse(len(bases) != count, f"{len(bases)} bases for {count} outputs")
    _refuse(len(set(outputs)) != count or not all(outputs), "an output has no name, or the name of another")
    _refuse(len(parts.output) != len(parts.roots), "outputs and trees differ in number")
    _refuse(bool(np.any(parts.output >= count)), "a tree adds to an output that does not exist")
    _refuse(link is Link.SOFTMAX and count == 1, "shares of one output are always one")


def check(parts: Layout, n_features: int) -> npt.NDArray[np.int64]:
    """Refuse arrays that are not a forest, and return each tree's depth.

    After this no kernel can read outside an array or walk in a circle: every split's children stand behind it, in
    its own tree, and have no other parent.
    """
    _check_sizes(parts, n_features)
    _check_slots(parts, n_features)
    nodes, count = parts.nodes, len(parts.nodes)
    place = np.arange(count)
    child = nodes["child"].astype(np.int64)
    leaf = nodes["slot"] == 0
    _refuse(np.any(child[leaf] + 1 != np.maximum(place[leaf], 1)), "a leaf does not point at itself")
    _refuse(np.any(nodes["slot"] >= len(parts.slots)), "a split asks for a slot that does not exist")
    _refuse(not np.isfinite(nodes["threshold"][leaf]).all(), "a leaf's value is not finite")
    _refuse(not (np.isfinite(parts.covers).all() and (parts.covers >= 0).all()), "a cover is negative or not finite")
    inner = place[~leaf]
    tree = np.searchsorted(parts.roots, place, side="right")
    below = child[inner]
    _refuse(np.any(below <= inner) or np.any(below + 1 >= count), "a child stands before its parent: cycle")
    _refuse(np.any(tree[below] != tree[inner]) or np.any(tree[below + 1] != tree[inner]), "trees share nodes")
    parents = np.bincount(np.concatenate([below, below + 1, parts.roots]), minlength=count)
    _refuse(np.any(parents[FIRST_NODE:] != 1), "a node has no parent or more than one")
    return _depths(inner, below, parts.roots, count)


def _check_sizes(parts: Layout, n_features: int) -> None:
    _refuse(not 1 <= n_features <= FEATURES_MAX, f"{n_features} features, allowed are 1 to {FEATURES_MAX}")
    _refuse(not FIRST_NODE < len(parts.nodes) <= NODES_MAX, f"{len(parts.nodes)} nodes, allowed are up to {NODES_MAX}")
    _refuse(not 1 <= len(parts.slots) <= SLOTS_MAX, f"{len(parts.slots)} slots, allowed are 1 to {SLOTS_MAX}")
    _refuse(len(parts.covers) != len(parts.nodes), "covers and nodes differ in number")
    roots = parts.roots.astype(np.int64)
    ordered = len(roots) > 0 and roots[0] == FIRST_NODE and bool(np.all(np.diff(roots) > 0))
    _refuse(not ordered or roots[-1] >= len(parts.nodes), "roots are not in ascending order among the nodes")
    _refuse(np.any(parts.nodes["slot"][:FIRST_NODE] != 0), "the empty leaf is not a leaf")
    _refuse(np.any(parts.nodes["threshold"][:FIRST_NODE] != 0), "the empty leaf has a value")


def _check_slots(parts: Layout, n_features: int) -> None:
    slots = parts.slots
    _refuse(slots["reading"][0] != Reading.LEAF, "slot 0 is not the leaf's")
    _refuse(not np.isin(slots["reading"][1:], _READINGS).all(), "a slot's reading is unknown to this release")
    _refuse(np.any(slots["feature"] >= n_features), "a slot reads a feature that does not exist")
    end = slots["first"].astype(np.int64) + slots["words"]
    _refuse(np.any(end > len(parts.categories)), "a set of categories lies outside its words")


def _depths(
    inner: npt.NDArray[np.int64], below: npt.NDArray[np.int64], roots: npt.NDArray[np.uint32], count: int
) -> npt.NDArray[np.int64]:
    child = np.full(count, -1, np.int64)
    child[inner] = below
    tree, front = np.arange(len(roots)), roots.astype(np.int64)
    depths = np.zeros(len(roots), np.int64)
    for depth in range(1, DEPTH_MAX + 2):
        keep = child[front] >= 0
        tree, front = np.repeat(tree[keep], 2), np.repeat(child[front[keep]], 2)
        if not len(front):
            return depths
        front[1::2] += 1
        depths[tree] = depth
    raise BundleRefused(f"{TREES_FILE}: a tree is deeper than {DEPTH_MAX}; train shallower trees")


def _groups(
    parts: Layout, depths: npt.NDArray[np.int64], outputs: int
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Return (groups, 9) of depth and eight roots, and where each output's groups end: like depths walk together."""
    made = []
    for output in range(outputs):
        own = np.flatnonzero(parts.output == output)
        order = own[np.argsort(depths[own], kind="stable")]
        count = -(-len(own) // TREES_PER_GROUP)
        members, steps = np.ones(count * TREES_PER_GROUP, np.uint32), np.zeros(count * TREES_PER_GROUP, np.int64)
        members[: len(own)], steps[: len(own)] = parts.roots[order], depths[order]
        groups = np.zeros((count, 1 + TREES_PER_GROUP), np.uint32)
        groups[:, 1:] = members.reshape(count, TREES_PER_GROUP)
        groups[:, 0] = steps.reshape(count, TREES_PER_GROUP).max(axis=1)
        made.append(groups)
    return np.concatenate(made), np.cumsum([len(groups) for groups in made])


def _refuse(broken: bool | np.bool_, what: str) -> None:  # noqa: FBT001 - reads as a sentence
    if broken:
        raise BundleRefused(f"{TREES_FILE} does not hold trees: {what}; train and register the version again")
