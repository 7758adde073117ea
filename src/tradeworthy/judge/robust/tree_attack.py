"""An attack on trees: one lever at a time to where it helps most, then an exact search where that gets stuck.

Idea:   each pass looks at every position worth trying of every lever (`tree_moves`), on what is left of the trees
        within the box (`reachable`), and takes the one that brings the score furthest (for its cost, where moves cost
        anything). Where that gets stuck it starts again from random places. What it does not break is searched box by
        box (`tree_boxes`), which finds what greed misses, or proves that there is nothing.
Sound:  what is found is a row, and it was scored by the very kernel that serves: a success is a fact. What is neither
        broken nor proved safe is undecided.
Reference: greedy search after Cheng et al. (2019) and Andriushchenko and Hein (2019), extended to coupled features,
        one-sided reach, steps and costs.
"""
# ruff: noqa: PLR0917 - kernels have no keyword arguments

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.core.kernel import kernel, leaf
from tradeworthy.judge.robust.levers import Floats, Levers, moved_rows
from tradeworthy.judge.robust.reachable import Reach, Roots, Turns, index_turns, reach_row, room_for
from tradeworthy.judge.robust.tree_bounds import bound_row
from tradeworthy.judge.robust.tree_boxes import FOUND, UNKNOWN, Boxes, room_for_boxes, search_boxes
from tradeworthy.judge.robust.tree_moves import (
    Moves,
    list_moves,
    list_trees,
    place_lever,
    room_for_moves,
    sum_over_moves,
)
from tradeworthy.model.predictors.tree_table import TreeTable, first_score, read_slots
from tradeworthy.model.predictors.trees import Trees

PASSES_MAX = 12
BOXES_MAX = 2_000
"""Boxes that the exact search looks at, a row and cut."""

_TINY = 1e-12


class Search(NamedTuple):
    """What stays the same for all rows of an attack, and room for one of them."""

    turns: Turns
    levers: Levers
    reach: Reach
    moves: Moves
    boxes: Boxes
    budget: float
    starts: Floats  # (k, l) in 0 to 1: among a lever's positions, where each try begins; a NaN is at rest
    boxes_max: int


@leaf
def _spent(search: Search) -> float:
    levers, moves, spent = search.levers, search.moves, 0.0
    for lever in range(levers.low.shape[0]):
        spent += levers.cost[lever] * abs(moves.position[moves.first[lever] + moves.now[lever]])
    return spent


@leaf
def _best_move(table: TreeTable, search: Search, sign: float) -> tuple[int, int]:
    """Return the lever and its position that bring the score furthest for their cost; (-1, 0) if none does."""
    levers, moves, spent = search.levers, search.moves, _spent(search)
    chosen, place, most = -1, 0, 0.0
    for lever in range(levers.low.shape[0]):
        if moves.size[lever] == 1 or moves.tree_first[lever] == moves.tree_first[lever + 1]:
            continue
        sum_over_moves(table, search.turns, levers, search.reach, moves, lever)
        first, cost = moves.first[lever], levers.cost[lever]
        before, now = moves.change[moves.now[lever]], abs(moves.position[first + moves.now[lever]])
        for each in range(moves.size[lever]):
            gain = sign * (moves.change[each] - before)
            if gain <= _TINY:
                continue
            price = cost * (abs(moves.position[first + each]) - now)
            merit = gain / (1.0 + max(price, 0.0))
            if merit > most and spent + price <= search.budget:
                chosen, place, most = lever, each, merit
    return chosen, place


@leaf
def _climb(table: TreeTable, search: Search, origin: Floats, sign: float, cut: float) -> bool:
    """Move levers one after the other until the score has reached the cut (`sign` 1) or fallen below it (-1)."""
    for _ in range(PASSES_MAX):
        read_slots(table, search.moves.row, search.reach.numbers)
        score = first_score(table, search.reach.numbers)
        if (sign > 0.0 and score >= cut) or (sign < 0.0 and score < cut):
            return True
        lever, place = _best_move(table, search, sign)
        if lever < 0:
            return False
        place_lever(search.turns, search.levers, origin, search.reach, search.moves, lever, place)
    return False


@leaf
def _begin(search: Search, origin: Floats, start: int) -> None:
    """Put the levers where a try begins: at rest, or at random positions within the budget."""
    levers, moves = search.levers, search.moves
    for lever in range(levers.low.shape[0]):
        share, count, first = search.starts[start, lever], moves.size[lever], moves.first[lever]
        rest = np.searchsorted(moves.position[first : first + count], 0.0)
        moves.now[lever] = rest if np.isnan(share) else int(share * count)
    spent = _spent(search)
    shrink = search.budget / spent if spent > search.budget else 1.0
    for lever in range(levers.low.shape[0]):
        first, place = moves.first[lever], moves.now[lever]
        within = shrink * abs(moves.position[first + place])
        while levers.cost[lever] > 0.0 and abs(moves.position[first + place]) > within:
            place += 1 if moves.position[first + place] < 0.0 else -1
        place_lever(search.turns, levers, origin, search.reach, moves, lever, place)


@leaf
def _greedy(table: TreeTable, search: Search, origin: Floats, below: float, above: float) -> bool:
    """Try the nearer cut, then the other, from each start."""
    score = first_score(table, search.reach.numbers)
    first = 1.0 if above - score < score - below else -1.0
    for attempt in range(2 * search.starts.shape[0]):
        sign = first if attempt % 2 == 0 else -first
        cut = above if sign > 0.0 else below
        if not np.isinf(cut):
            _begin(search, origin, attempt // 2)
            if _climb(table, search, origin, sign, cut):
                return True
    return False


@kernel
def _exact(table: TreeTable, search: Search, origin: Floats, below: float, above: float) -> int:
    """Search the whole box for each cut; found, none, or unknown."""
    turns, levers, reach, moves, boxes = search.turns, search.levers, search.reach, search.moves, search.boxes
    answer = 0
    for sign in (1.0, -1.0):
        cut = above if sign > 0.0 else below
        if np.isinf(cut):
            continue
        told = search_boxes(
            table, turns, levers, origin, reach, moves, boxes, sign, cut, search.budget, search.boxes_max
        )
        if told == FOUND:
            return told
        answer = UNKNOWN if told == UNKNOWN else answer
    return answer


@kernel
def attack_rows(
    table: TreeTable,
    roots: Roots,
    search: Search,
    rows: Floats,
    below: Floats,
    above: Floats,
    positions: Floats,
    safe: npt.NDArray[np.bool_],
) -> None:
    """Attack (m, n) rows and write the levers' (m, l) positions, NaN where no attack was found; and what is safe.

    A row is broken when its score falls under `below` (m,) or reaches `above` (m,); infinite where there is no cut.
    """
    turns, levers, reach, moves = search.turns, search.levers, search.reach, search.moves
    margins = np.empty((3, table.bases.shape[0]))
    for number in range(rows.shape[0]):
        positions[number], origin = np.nan, rows[number]
        end = reach_row(table, roots, turns, levers, origin, reach)
        least, most = bound_row(table, turns, reach, margins)
        low = below[number] if least < below[number] else -np.inf
        high = above[number] if most >= above[number] else np.inf
        safe[number] = np.isinf(low) and np.isinf(high)
        if safe[number]:
            continue
        list_trees(turns, reach, end, moves)
        moves.row[:] = origin
        list_moves(turns, levers, origin, reach, moves)
        found = _greedy(table, search, origin, low, high)
        if not found and search.boxes_max > 0:
            told = _exact(table, search, origin, low, high)
            found, safe[number] = told == FOUND, told == 0
        if found:
            for lever in range(positions.shape[1]):
                positions[number, lever] = moves.position[moves.first[lever] + moves.now[lever]]


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
        Where it is proved that there is none.
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
    boxes_max: int = BOXES_MAX,
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
    boxes_max : int
        Boxes that the exact search looks at, a row and cut, where the tries found nothing; 0 leaves it out.
    rng : Generator
        Chooses those places.
    """
    rows = np.ascontiguousarray(rows, np.float64)
    count = len(levers.low)
    turns, reach = index_turns(trees, levers), room_for(trees, levers)
    search = Search(
        turns,
        levers,
        reach,
        room_for_moves(turns, levers, len(trees.roots), reach, rows.shape[1]),
        room_for_boxes(turns, len(levers.feature), len(trees.roots), trees.n_outputs, len(reach.stack)),
        float(budget),
        np.concatenate([np.full((1, count), np.nan), rng.random((starts, count))]),
        int(boxes_max),
    )
    cuts = np.ascontiguousarray(below, np.float64), np.ascontiguousarray(above, np.float64)
    positions, safe = np.empty((len(rows), count)), np.zeros(len(rows), np.bool_)
    attack_rows(trees.table, trees.roots, search, rows, *cuts, positions, safe)
    adversarial = moved_rows(rows, levers, np.nan_to_num(positions))
    scores = trees.many(adversarial)[:, 0]
    return TreeAttack(adversarial, (scores < below) | (scores >= above), safe)
