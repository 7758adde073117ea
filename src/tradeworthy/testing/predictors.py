"""The promise of a predictor, as checks to run over one's own; and small forests to run them with.

Idea:   a predictor and some rows are all it takes; each check raises `ContractBroken` with what was broken.
        `check_predictor` runs them all.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import ModelMismatch
from tradeworthy.model.predictors.base import Predictor
from tradeworthy.model.predictors.forest import Forest
from tradeworthy.model.predictors.readers.parts import ForestParts, TreeParts
from tradeworthy.model.predictors.tree_table import Link, Reading
from tradeworthy.testing.contract import require

Floats = npt.NDArray[np.float64]
Load = Callable[[Path], Predictor]

READINGS = (Reading.PLAIN, Reading.MISSING_IS_ZERO, Reading.ZERO_IS_MISSING, Reading.FLOAT32)
CATEGORIES = 70


def check_shapes(predictor: Predictor, rows: Floats) -> None:
    """Check that one row gives (k,) and many give (m, k) float64 scores, none for no rows."""
    k = predictor.n_outputs
    one, many, none = predictor.one(rows[0]), predictor.many(rows), predictor.many(rows[:0])
    require(one.shape == (k,), f"one(row) gave shape {one.shape}, promised is ({k},)")
    require(many.shape == (len(rows), k), f"many(rows) gave shape {many.shape}, promised is ({len(rows)}, {k})")
    require(none.shape == (0, k), f"many of no rows gave shape {none.shape}, promised is (0, {k})")
    require(one.dtype == many.dtype == np.float64, f"scores are {one.dtype} and {many.dtype}, promised is float64")


def check_one_is_many(predictor: Predictor, rows: Floats) -> None:
    """Check that a row alone and in a batch, at any place and in any order, gives the same bits."""
    many = predictor.many(rows)
    alone = np.array([predictor.one(row) for row in rows])
    require(alone.tobytes() == many.tobytes(), "one(row) and many(rows) differ in their bits")
    backwards = np.ascontiguousarray(predictor.many(rows[::-1])[::-1])
    require(backwards.tobytes() == many.tobytes(), "the order of rows in a batch changes a score's bits")


def check_rows_are_left(predictor: Predictor, rows: Floats) -> None:
    """Check that rows are only read, and that a score once returned is not written again."""
    before = rows.copy()
    kept = predictor.one(rows[0])
    bits = kept.tobytes()
    predictor.many(rows)
    predictor.one(rows[-1])
    require(rows.tobytes() == before.tobytes(), "the predictor wrote into the rows that it was given")
    require(kept.tobytes() == bits, "a later call changed a score that was returned before")


def check_any_layout(predictor: Predictor, rows: Floats) -> None:
    """Check that strided rows and column-major rows give the scores of contiguous ones."""
    many = predictor.many(rows)
    wide = np.repeat(rows, 2, axis=1)[:, ::2]
    require(predictor.many(wide).tobytes() == many.tobytes(), "strided rows give other scores")
    require(predictor.many(np.asfortranarray(rows)).tobytes() == many.tobytes(), "column-major rows give other scores")
    require(predictor.one(wide[0]).tobytes() == many[0].tobytes(), "a strided row gives another score")


def check_width(predictor: Predictor, rows: Floats) -> None:
    """Check that rows of another width are refused with `ModelMismatch`, never scored."""
    short: list[tuple[str, Callable[[], Floats]]] = [
        ("one", lambda: predictor.one(rows[0][:-1])),
        ("many", lambda: predictor.many(rows[:, :-1])),
    ]
    for name, call in short:
        try:
            call()
        except ModelMismatch:
            continue
        require(kept=False, promise=f"{name} scored rows that are one feature short")


def check_storage(predictor: Predictor, rows: Floats, folder: Path, load: Load) -> None:
    """Check that what was saved and loaded gives the same bits, and that saving twice gives the same files."""
    bits = predictor.many(rows).tobytes()
    files = []
    for name in ("first", "second"):
        (folder / name).mkdir(parents=True)
        predictor.save(folder / name)
        files.append({path.name: path.read_bytes() for path in (folder / name).iterdir()})
    require(files[0] and files[0] == files[1], "saving twice gave different files")
    loaded = load(folder / "first")
    require(loaded.many(rows).tobytes() == bits, "the loaded predictor gives other bits")
    require((loaded.n_features, loaded.n_outputs) == (predictor.n_features, predictor.n_outputs), "widths were lost")
    require(loaded.format == predictor.format, "the loaded predictor has another format")


def check_predictor(predictor: Predictor, rows: Floats, folder: Path, load: Load) -> None:
    """Check everything that a predictor promises.

    Parameters
    ----------
    predictor : Predictor
        The one to check.
    rows : (m, n) float64
        Rows that it can score, at least 2 of at least 2 features.
    folder : Path
        An empty folder.
    load : callable
        Reads what the predictor saved into a folder.
    """
    check_shapes(predictor, rows)
    check_one_is_many(predictor, rows)
    check_rows_are_left(predictor, rows)
    check_any_layout(predictor, rows)
    check_width(predictor, rows)
    check_storage(predictor, rows, folder, load)


def random_forest(
    rng: np.random.Generator,
    *,
    trees: int = 12,
    leaves: int = 8,
    n_features: int = 4,
    categories: bool = False,
    link: Link = Link.SIGMOID,
    outputs: tuple[str, ...] = ("score",),
) -> Forest:
    """Draw a forest whose splits read features in every way that a library knows."""
    parts = ForestParts()
    for place in range(trees):
        tree = _random_tree(rng, parts, int(rng.integers(1, leaves + 1)), n_features, categories=categories)
        parts.add(tree, place % len(outputs))
    bases = rng.normal(size=len(outputs)).tolist()
    return parts.forest(source="drawn", n_features=n_features, outputs=outputs, bases=bases, link=link)


def random_rows(rng: np.random.Generator, count: int, n_features: int = 4) -> Floats:
    """Draw rows with missing numbers, zeros, tiny and huge numbers, infinities and category codes."""
    rows = rng.normal(size=(count, n_features))
    odd = np.array([np.nan, 0.0, -0.0, 1e-36, -1e-36, 1e300, -1e300, np.inf, -np.inf, 0.1, -0.5, 3.0, 69.0, 2.0**31])
    place = rng.random(rows.shape) < 0.3
    rows[place] = rng.choice(odd, int(place.sum()))
    codes = rng.random(rows.shape) < 0.2
    rows[codes] = rng.integers(-2, CATEGORIES + 5, int(codes.sum()))
    return rows


def _random_tree(
    rng: np.random.Generator, parts: ForestParts, leaves: int, n_features: int, *, categories: bool
) -> TreeParts:
    tree = TreeParts.empty(2 * leaves - 1)
    open_nodes, used = [0], 1
    for _ in range(leaves - 1):
        node = open_nodes.pop(int(rng.integers(len(open_nodes))))
        tree.left[node], tree.right[node] = used, used + 1
        open_nodes += [used, used + 1]
        used += 2
        tree.feature[node] = rng.integers(n_features)
        tree.reading[node] = rng.choice(READINGS)
        tree.missing_left[node] = rng.random() < 0.5
        tree.threshold[node] = rng.choice(
            [float(rng.normal()), 0.0, np.inf, float(np.float32(0.1))], p=[0.8, 0.1, 0.05, 0.05]
        )
        if categories and rng.random() < 0.5:
            tree.category[node] = parts.add_set(np.flatnonzero(rng.random(CATEGORIES) < 0.4))
            in_set = rng.choice([0, Reading.MISSING_IN_SET])
            tree.reading[node] = rng.choice([Reading.CATEGORY, Reading.CATEGORY_FLOAT32]) | in_set
    tree.value[open_nodes] = rng.normal(size=len(open_nodes))
    _draw_cover(rng, tree)
    return tree


def _draw_cover(rng: np.random.Generator, tree: TreeParts) -> None:
    """Draw cover for leaves, some of them empty, and add it up; children stand behind their parents."""
    leaf = tree.left < 0
    tree.cover[leaf] = np.maximum(rng.integers(-3, 50, int(leaf.sum())), 0)
    tree.cover[np.flatnonzero(leaf)[-1]] += 1
    for node in np.flatnonzero(~leaf)[::-1]:
        tree.cover[node] = tree.cover[tree.left[node]] + tree.cover[tree.right[node]]
