"""Attacks on any predictor: along an estimated gradient, and from decisions alone.

Idea:   an attacker of a network that he cannot open can still ask it. With scores he estimates a gradient from
        differences (every lever up and down, or a few random directions where there are many levers: SPSA) and walks
        it within the box. With decisions only he starts from any row in the box that is decided otherwise and walks
        along the boundary, ever closer to where he started (HopSkipJump).
Sound:  as with trees, a success is a row that the predictor itself scores across the cut; failing proves nothing, and
        there is no certificate for networks here.
Reference: Madry et al. (2018), projected gradient descent; Spall (1992), SPSA; Chen, Jordan and Wainwright (2020),
        HopSkipJumpAttack.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradeworthy.judge.robust.levers import Floats, Levers, moved_rows, settle

Scores = Callable[[Floats], Floats]
"""(m, n) rows to (m,) scores."""

FULL_DIFFERENCES_MAX = 24
"""With more levers than this, a gradient is estimated from random directions."""

_DIFFERENCE = 0.05
"""A difference is taken over this share of the box."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One row under attack: broken when its score falls under `below` or reaches `above` (infinite for none)."""

    score: Scores
    row: Floats
    levers: Levers
    below: float
    above: float
    budget: float = np.inf

    def scores_at(self, positions: Floats) -> Floats:
        """Return the scores of (m, l) positions."""
        return self.score(moved_rows(np.repeat(self.row[None], len(positions), axis=0), self.levers, positions))

    def broken_at(self, positions: Floats) -> npt.NDArray[np.bool_]:
        """Return where (m, l) positions bring the score across a cut."""
        scores = self.scores_at(positions)
        return (scores < self.below) | (scores >= self.above)

    def held(self, positions: Floats) -> Floats:
        """Return (m, l) positions brought into box, steps and budget."""
        return settle(self.levers, positions, self.budget)

    @property
    def width(self) -> Floats:
        """How far each lever can go in all."""
        return self.levers.high - self.levers.low


def gradient_attack(target: Target, *, steps: int = 12, rng: np.random.Generator) -> Floats | None:
    """Walk along the estimated gradient towards the nearer cut, then towards the other.

    Returns
    -------
    (l,) float64 or None
        Positions at which the row is broken; none if the walk found none.
    """
    score = float(target.scores_at(np.zeros((1, len(target.width))))[0])
    for sign in (1.0, -1.0) if target.above - score < score - target.below else (-1.0, 1.0):
        if np.isfinite(target.above if sign > 0 else target.below):
            found = _walk(target, sign, steps, rng)
            if found is not None:
                return found
    return None


def _walk(target: Target, sign: float, steps: int, rng: np.random.Generator) -> Floats | None:
    position = np.zeros(len(target.width))
    for step in range(steps):
        slope = sign * estimated_gradient(target, position, rng) * target.width
        if not np.any(slope):
            slope = rng.normal(size=len(slope))
        stride = 0.5 * target.width * (1.0 - step / (2.0 * steps))
        trial = target.held((position + stride * np.sign(slope))[None])
        corner = target.held(np.where(slope > 0, target.levers.high, target.levers.low)[None])
        broken = target.broken_at(np.concatenate([trial, corner]))
        if broken.any():
            found: Floats = (trial if broken[0] else corner)[0]
            return found
        position = trial[0]
    return None


def estimated_gradient(target: Target, position: Floats, rng: np.random.Generator) -> Floats:
    """Return the score's (l,) slope for each lever: by central differences, or by SPSA where there are many levers."""
    count, width = len(position), _DIFFERENCE * target.width
    if count <= FULL_DIFFERENCES_MAX:
        moves = np.diag(width)
    else:
        moves = rng.choice([-1.0, 1.0], (FULL_DIFFERENCES_MAX, count)) * width
    scores = target.scores_at(np.concatenate([position + moves, position - moves]))
    change = scores[: len(moves)] - scores[len(moves) :]
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = np.where(moves != 0.0, change[:, None] / (2.0 * moves), 0.0)
    total: Floats = slopes.sum(axis=0)
    return total if count <= FULL_DIFFERENCES_MAX else total / len(moves)


def decision_attack(
    target: Target, *, queries: int = 400, rounds: int = 6, rng: np.random.Generator
) -> tuple[Floats | None, float]:
    """Look for the smallest move that is decided otherwise, asking for decisions only.

    Parameters
    ----------
    queries : int
        Decisions asked for, about.
    rounds : int
        Steps along the boundary.

    Returns
    -------
    positions : (l,) float64 or None
        None where no row in the box was found that is decided otherwise.
    distance : float
        Its size as a share of the box, largest lever first (the L-infinity norm); infinite if none.
    """
    share = max(queries // (rounds + 2), 8)
    start = _start(target, share, rng)
    if start is None:
        return None, np.inf
    best = _to_boundary(target, start)
    for number in range(rounds):
        normal = _boundary_normal(target, best, share, rng)
        stride = _size(target, best) / np.sqrt(number + 1.0)
        while stride > 1e-3:
            trial = target.held((best + stride * np.sign(normal) * _half(target))[None])
            if target.broken_at(trial)[0]:
                closer = _to_boundary(target, trial[0])
                best = closer if _size(target, closer) < _size(target, best) else best
                break
            stride /= 2.0
    return best, _size(target, best)


def _half(target: Target) -> Floats:
    """Return the larger side of the box: what the size of a move is measured by."""
    return np.maximum(-target.levers.low, target.levers.high)


def _size(target: Target, position: Floats) -> float:
    half = _half(target)
    return float(np.max(np.abs(position[half > 0]) / half[half > 0], initial=0.0))


def _start(target: Target, tries: int, rng: np.random.Generator) -> Floats | None:
    """Return the smallest of some random moves that is decided otherwise; corners of the box among them."""
    random = target.levers.low + rng.random((tries, len(target.width))) * target.width
    corners = np.where(rng.random((tries, len(target.width))) < 0.5, target.levers.low, target.levers.high)
    tried = target.held(np.concatenate([random, corners]))
    broken = np.flatnonzero(target.broken_at(tried))
    return min((tried[place] for place in broken), key=lambda each: _size(target, each), default=None)


def _to_boundary(target: Target, broken: Floats, halvings: int = 10) -> Floats:
    """Return the point nearest the row on the way to a broken one, found by halving."""
    low, high = 0.0, 1.0
    for _ in range(halvings):
        middle = 0.5 * (low + high)
        if target.broken_at(target.held((middle * broken)[None]))[0]:
            high = middle
        else:
            low = middle
    found: Floats = target.held((high * broken)[None])[0]
    return found if target.broken_at(found[None])[0] else broken


def _boundary_normal(target: Target, position: Floats, count: int, rng: np.random.Generator) -> Floats:
    """Return the direction in which most random neighbours are decided otherwise."""
    directions = rng.normal(size=(count, len(position)))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    broken = target.broken_at(position + 0.1 * directions * _half(target)).astype(np.float64)
    weights = broken - broken.mean() if 0.0 < broken.mean() < 1.0 else 2.0 * broken - 1.0
    normal: Floats = weights @ directions
    return normal
