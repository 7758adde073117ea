"""What readers fill: one tree's arrays, gathered into a forest."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import ModelMismatch
from tradeworthy.model.predictors.forest import Forest
from tradeworthy.model.predictors.tree_table import Link


def class_names(count: int, names: Iterable[object] = ()) -> tuple[str, ...]:
    """Name the scores: `score` where there is one, else each class by its name or number."""
    named = tuple(str(name) for name in names) or tuple(str(place) for place in range(count))
    return ("score",) if count == 1 else named


@dataclass
class TreeParts:
    """One tree while it is read; attributes as in `Forest`, children counted from the tree's own root."""

    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    feature: npt.NDArray[np.int64]
    reading: npt.NDArray[np.int64]
    missing_left: npt.NDArray[np.bool_]
    threshold: npt.NDArray[np.float64]
    value: npt.NDArray[np.float64]
    cover: npt.NDArray[np.float64]
    category: npt.NDArray[np.int64]

    @classmethod
    def empty(cls, count: int) -> Self:
        """Return `count` nodes that are all leaves of value zero."""
        none = np.full(count, -1, np.int64)
        return cls(
            left=none.copy(),
            right=none.copy(),
            feature=np.zeros(count, np.int64),
            reading=np.ones(count, np.int64),
            missing_left=np.zeros(count, np.bool_),
            threshold=np.zeros(count),
            value=np.zeros(count),
            cover=np.zeros(count),
            category=none,
        )


class ForestParts:
    """Trees gathered one by one."""

    def __init__(self) -> None:
        self._trees: list[TreeParts] = []
        self._outputs: list[int] = []
        self._sets: list[npt.NDArray[np.int64]] = []

    def add_set(self, members: npt.NDArray[np.int64]) -> int:
        """Keep a set of categories and return its place."""
        self._sets.append(np.asarray(members, np.int64))
        return len(self._sets) - 1

    def add(self, tree: TreeParts, output: int = 0) -> None:
        """Keep a finished tree, which adds to one of the model's outputs."""
        count = len(tree.left)
        for name in ("left", "right"):
            child = getattr(tree, name)
            if np.any(child >= count) or np.any((child < 0) & (child != -1)):
                raise ModelMismatch(f"tree {len(self._trees)} of the model names a child that does not exist")
        self._trees.append(tree)
        self._outputs.append(output)

    def forest(
        self,
        *,
        source: str,
        n_features: int,
        outputs: Sequence[str] = ("score",),
        bases: Sequence[float] = (0.0,),
        scale: float = 1.0,
        link: Link = Link.IDENTITY,
    ) -> Forest:
        """Join the trees; children then count from the first node of all."""
        if not self._trees:
            raise ModelMismatch(f"the {source} model has no trees; train it first")
        sizes = np.array([len(tree.left) for tree in self._trees])
        offset = np.repeat(np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes)
        joined = {f.name: np.concatenate([getattr(tree, f.name) for tree in self._trees]) for f in fields(TreeParts)}
        for name in ("left", "right"):
            joined[name] = np.where(joined[name] >= 0, joined[name] + offset, -1)
        numbers = np.repeat(np.arange(len(sizes)), sizes)
        return Forest(
            source=source,
            n_features=n_features,
            tree=numbers,
            sets=self._sets,
            outputs=tuple(outputs),
            output=np.array(self._outputs, np.int64),
            bases=tuple(float(base) for base in bases),
            scale=scale,
            link=link,
            **joined,
        )
