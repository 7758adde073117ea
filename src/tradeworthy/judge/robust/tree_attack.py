"""An attack on trees: the cheapest-looking move of one lever at a time, until the score crosses a cut.

Idea:   a tree's score changes only where a feature crosses a threshold, so the moves worth trying are known: just
        beyond each threshold within reach. Each pass tries them all, evaluates only the trees that look at what moves,
        and keeps the one that brings the score furthest (for its cost, where moves cost anything). Where that gets
        stuck it starts again from random places in the box.
Sound:  what is found is a row, and it was scored by the very kernel that serves: a success is a fact. Not finding one
        proves nothing; `tree_bounds` does.
Reference: greedy search after Cheng et al. (2019) and Andriushchenko and Hein (2019), extended to coupled features,
        one-sided reach, steps and costs.
"""
# ruff: noqa: PLR0917 - kernels have no keyword arguments

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.core.kernel import kernel, leaf
from tradeworthy.judge.robust.levers import Floats, Ints, Levers, moved_rows
from tradeworthy.judge.robust.tree_bounds import certify
from tradeworthy.model.predictors.tree_table import Link, Reading, TreeTable, first_score, read_slot, read_slots
from tradeworthy.model.predictors.trees import Trees

CANDIDATES_MAX = 24
"""Thresholds tried a feature and pass; where there are more, they are spread evenly."""

PASSES_MAX = 12
_BEYOND = 2.4e-7
"""How far beyond a threshold a move ends, as a share of it: two roundings to float32."""

_TINY = 1e-12
_NEGATED = int(Reading.NEGATED)


class TreeIndex(NamedTuple):
    """What a lever touches: its trees, its slots, and the values at which a tree's answer changes.

    Attributes
    ----------
    tree_first : (l + 1,) int64, tree : (t,) int64
        Roots of the trees that look at a lever's features.
    weight : (t,) float64
        Which way each tree's leaves move the first score: 1 for its own, less than 0 where it competes for shares.
    slot_first : (l + 1,) int64, slot : (s,) int64
        Slots that read them.
    edge_first : (e + 1,) int64, edge : (k,) float64
        For each feature of `Levers`, the thresholds in ascending order, in the feature's own units.
    """

    tree_first: Ints
    tree: Ints
    weight: Floats
    slot_first: Ints
    slot: Ints
    edge_first: Ints
    edge: Floats


class Search(NamedTuple):
    """What stays the same for all rows of an attack; `position` and the others are scratch."""

    touched: TreeIndex
    levers: Levers
    budget: float
    starts: Floats  # (k, l) in 0 to 1: where in the box each try begins; a NaN is the row itself
    position: Floats  # (l,)
    row: Floats  # (n,)
    numbers: Floats  # (slots,)


def index_trees(trees: Trees, levers: Levers) -> TreeIndex:
    """Look up what each lever touches."""
    table = trees.table
    slot_of_node = table.nodes["slot"].astype(np.int64)
    inner = np.flatnonzero(slot_of_node > 0)
    root_of_node = trees.roots[np.searchsorted(trees.roots, inner, side="right") - 1].astype(np.int64)
    slot_feature = table.slots["feature"].astype(np.int64)
    slot_feature[0] = -1
    found_trees, found_slots = [], []
    for lever in range(len(levers.low)):
        features = levers.feature[levers.first[lever] : levers.first[lever + 1]]
        slots = np.flatnonzero(np.isin(slot_feature, features))
        found_slots.append(slots)
        found_trees.append(np.unique(root_of_node[np.isin(slot_of_node[inner], slots)]))
    edges = [_edges(table, slot_of_node, np.flatnonzero(slot_feature == feature)) for feature in levers.feature]
    touched = np.concatenate(found_trees)
    competes = -1.0 / (trees.n_outputs - 1) if trees.table.link == Link.SOFTMAX else 0.0
    return TreeIndex(
        tree_first=_firsts(found_trees),
        tree=touched,
        weight=np.where(trees.output[np.searchsorted(trees.roots, touched)] == 0, 1.0, competes),
        slot_first=_firsts(found_slots),
        slot=np.concatenate(found_slots),
        edge_first=_firsts(edges),
        edge=np.concatenate(edges),
    )


def _edges(table: TreeTable, slot_of_node: Ints, slots: Ints) -> Floats:
    """Return the finite thresholds at which slots of one feature change their answer, ascending."""
    values = []
    for slot in slots:
        thresholds = table.nodes["threshold"][slot_of_node == slot]
        values.append(-thresholds if table.slots["reading"][slot] & _NEGATED else thresholds)
    edges = np.unique(np.concatenate([*values, np.empty(0)]))
    finite: Floats = edges[np.isfinite(edges)]
    return finite


def _firsts(parts: list[Ints] | list[Floats]) -> Ints:
    """Return where each part begins when they stand one after the other, and where the last one ends."""
    return np.cumsum([0, *(len(part) for part in parts)]).astype(np.int64)


@leaf
def _place_lever(table: TreeTable, search: Search, origin: Floats, lever: int, position: float) -> None:
    """Move one lever from the `origin` row: its features, and the slots that read them."""
    levers, index = search.levers, search.touched
    for at in range(levers.first[lever], levers.first[lever + 1]):
        feature = levers.feature[at]
        search.row[feature] = origin[feature] + levers.scale[at] * position
    for at in range(index.slot_first[lever], index.slot_first[lever + 1]):
        search.numbers[index.slot[at]] = read_slot(table, index.slot[at], search.row)


@leaf
def _sum_of_trees(table: TreeTable, search: Search, lever: int) -> float:
    """Return the weighted sum of the leaves of the trees that a lever touches."""
    index, nodes, numbers, total = search.touched, table.nodes, search.numbers, 0.0
    for at in range(index.tree_first[lever], index.tree_first[lever + 1]):
        place = index.tree[at]
        while nodes[place].slot != 0:
            node = nodes[place]
            place = np.int64(node.child) + (0 if numbers[node.slot] <= node.threshold else 1)
        total += index.weight[at] * nodes[place].threshold
    return total


@leaf
def _onto_step(position: float, now: float, step: float) -> float:
    """Return a position on the lever's steps that lies at least as far from `now`."""
    if step <= 0.0:
        return position
    count = position / step
    return float(np.ceil(count) if position > now else np.floor(count)) * step


@leaf
def _candidate(search: Search, origin: Floats, lever: int, at: int, edge: int) -> float:
    """Return the lever's position just beyond a threshold of its feature `at`, seen from where it is; NaN if none."""
    levers, now = search.levers, search.position[lever]
    value, scale = search.touched.edge[edge], levers.scale[at]
    if scale == 0.0:
        return np.nan
    position = (value - origin[levers.feature[at]]) / scale
    away = 1.0 if position >= now else -1.0
    position += away * (abs(value) * _BEYOND + _TINY) / abs(scale)
    position = _onto_step(position, now, levers.step[lever])
    return position if levers.low[lever] <= position <= levers.high[lever] else np.nan


@leaf
def _try_lever(
    table: TreeTable, search: Search, origin: Floats, lever: int, sign: float, spent: float, best: Floats
) -> None:
    """Try a lever's candidates; `best` (4,) holds merit, lever, position and gain of the best move so far."""
    levers, index, now = search.levers, search.touched, search.position[lever]
    before = _sum_of_trees(table, search, lever)
    cost = levers.cost[lever]
    for at in range(levers.first[lever], levers.first[lever + 1]):
        one = origin[levers.feature[at]] + levers.scale[at] * levers.low[lever]
        other = origin[levers.feature[at]] + levers.scale[at] * levers.high[lever]
        edges = index.edge[index.edge_first[at] : index.edge_first[at + 1]]
        start = np.searchsorted(edges, min(one, other)) + index.edge_first[at]
        stop = np.searchsorted(edges, max(one, other)) + index.edge_first[at]
        for edge in range(start, stop, max(1, (stop - start + CANDIDATES_MAX - 1) // CANDIDATES_MAX)):
            position = _candidate(search, origin, lever, at, edge)
            price = cost * (abs(position) - abs(now))
            if np.isnan(position) or spent + price > search.budget:
                continue
            _place_lever(table, search, origin, lever, position)
            gain = sign * (_sum_of_trees(table, search, lever) - before)
            merit = gain / (1.0 + max(price, 0.0))
            if gain > _TINY and merit > best[0]:
                best[0], best[1], best[2], best[3] = merit, lever, position, gain
    _place_lever(table, search, origin, lever, now)


@leaf
def _climb(table: TreeTable, search: Search, origin: Floats, sign: float, cut: float, best: Floats) -> bool:
    """Move levers one after the other until the score has reached the cut (`sign` 1) or fallen below it (-1)."""
    levers = search.levers
    for _ in range(PASSES_MAX):
        read_slots(table, search.row, search.numbers)
        score = first_score(table, search.numbers)
        if (sign > 0.0 and score >= cut) or (sign < 0.0 and score < cut):
            return True
        spent = 0.0
        for lever in range(levers.low.shape[0]):
            spent += levers.cost[lever] * abs(search.position[lever])
        best[0], best[1] = 0.0, -1.0
        for lever in range(levers.low.shape[0]):
            _try_lever(table, search, origin, lever, sign, spent, best)
        if best[1] < 0.0:
            return False
        lever = int(best[1])
        search.position[lever] = best[2]
        _place_lever(table, search, origin, lever, best[2])
    return False


@leaf
def _begin(table: TreeTable, search: Search, origin: Floats, start: int) -> None:
    """Put the levers where a try begins: at rest, or at a random place within box, steps and budget."""
    levers = search.levers
    spent = 0.0
    for lever in range(levers.low.shape[0]):
        share = search.starts[start, lever]
        position = 0.0 if np.isnan(share) else levers.low[lever] + share * (levers.high[lever] - levers.low[lever])
        search.position[lever] = position
        spent += levers.cost[lever] * abs(position)
    shrink = search.budget / spent if spent > search.budget else 1.0
    for feature in range(origin.shape[0]):
        search.row[feature] = origin[feature]
    read_slots(table, origin, search.numbers)
    for lever in range(levers.low.shape[0]):
        position, step = search.position[lever] * shrink, levers.step[lever]
        search.position[lever] = np.trunc(position / step) * step if step > 0.0 else position
        _place_lever(table, search, origin, lever, search.position[lever])


@kernel
def attack_rows(table: TreeTable, search: Search, rows: Floats, below: Floats, above: Floats, positions: Floats) -> int:
    """Attack (m, n) rows and write the levers' (m, l) positions; NaN where no attack was found. Return how many were.

    A row is broken when its score falls under `below` (m,) or reaches `above` (m,); infinite where there is no cut.
    """
    broken = 0
    best = np.zeros(4, np.float64)
    for number in range(rows.shape[0]):
        origin, found = rows[number], False
        read_slots(table, origin, search.numbers)
        score = first_score(table, search.numbers)
        first = 1.0 if above[number] - score < score - below[number] else -1.0
        for attempt in range(2 * search.starts.shape[0]):
            sign = first if attempt % 2 == 0 else -first
            cut = above[number] if sign > 0.0 else below[number]
            if not np.isinf(cut):
                _begin(table, search, origin, attempt // 2)
                found = _climb(table, search, origin, sign, cut, best)
            if found:
                break
        broken += found
        for lever in range(positions.shape[1]):
            positions[number, lever] = search.position[lever] if found else np.nan
    return broken


@dataclass(frozen=True, eq=False)
class TreeAttack:
    """What was found for (m,) rows.

    Attributes
    ----------
    adversarial : (m, n) float64
        The moved rows; the row itself where no attack was found.
    broken : (m,) bool
        Where one was found, told by the predictor's own score of the moved row.
    safe : (m,) bool
        Where the certificate proves that there is none.
    """

    adversarial: Floats
    broken: npt.NDArray[np.bool_]
    safe: npt.NDArray[np.bool_]


def attack_trees(
    trees: Trees,
    levers: Levers,
    rows: Floats,
    below: Floats,
    above: Floats,
    *,
    budget: float = np.inf,
    starts: int = 3,
    rng: np.random.Generator,
) -> TreeAttack:
    """Look for moves within the box that bring each row's score across a cut; a cut proved out of reach is not tried.

    Parameters
    ----------
    trees : Trees
    levers : Levers
        At one epsilon (`Levers.at`).
    rows : (m, n) float64
    below, above : (m,) float64
        The row is broken if its score falls under `below` or reaches `above`; infinite for none.
    budget : float
        What all moves of one row together may cost.
    starts : int
        Tries from a random place, after the one from the row itself.
    rng : Generator
        Chooses those places.
    """
    rows = np.ascontiguousarray(rows, np.float64)
    count = len(levers.low)
    low, high = certify(trees, levers, rows)
    places = np.concatenate([np.full((1, count), np.nan), rng.random((starts, count))])
    scratch = (np.empty(count), np.empty(rows.shape[1]), np.empty(len(trees.table.slots)))
    search = Search(index_trees(trees, levers), levers, float(budget), places, *scratch)
    positions = np.empty((len(rows), count))
    reachable = np.where(low >= below, -np.inf, below), np.where(high < above, np.inf, above)
    attack_rows(trees.table, search, rows, *reachable, positions)
    adversarial = moved_rows(rows, levers, np.nan_to_num(positions))
    scores = trees.many(adversarial)[:, 0]
    return TreeAttack(adversarial, (scores < below) | (scores >= above), (low >= below) & (high < above))
