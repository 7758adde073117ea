"""The smallest change of a row that would have flipped the decision.

Idea:   a decision flips where the score leaves its stretch, upwards or downwards; of both, the cheaper change is
        reported. Values stay inside what training saw, and what cannot change (immutable features, missing numbers,
        categories) stays. For trees the search is exact, and says so; for other models it tries one feature after
        another and cannot promise that nothing smaller exists.
Cost:   sum over features of the distance moved, in widths of the middle 90% of training.
Means:  what the model would have said; not what the market would have done.
"""

from collections.abc import Sequence
from math import isfinite
from typing import NamedTuple

import msgspec
import numpy as np

from tradeworthy.core.errors import NotFound, near
from tradeworthy.judge.explain.attribution import Floats
from tradeworthy.judge.explain.boxes import Found, Wanted, cheapest, cost_of, movable
from tradeworthy.judge.explain.explaining import width_of
from tradeworthy.judge.explain.margins import margin_of
from tradeworthy.judge.explain.sides import side_of, stretches
from tradeworthy.model.manifest import Signal
from tradeworthy.model.predictors.base import Predictor
from tradeworthy.model.predictors.tree_table import Link
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.model.profile import Profile

BOXES_MAX = 8_000
FEATURES_MAX = 2
BISECTIONS = 30
SEEMS_ZERO = 1e-30
"""LightGBM cuts at 1e-35 where it tells zero from what lies above; no market feature is so small."""

PAST = 1e-9
"""How far past a threshold's margin counts as past it: the link between margin and score rounds."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One feature's move, and its length in widths of the middle 90% of training."""

    feature: str
    before: float
    after: float
    widths: float


class Counterfactual(msgspec.Struct, frozen=True, kw_only=True):
    """The smallest change that flips a decision.

    Attributes
    ----------
    side : str
        The side that the changed row would want; empty where no change within reach flips it.
    score : float
        Its score; NaN where there is none.
    changes : list of Change
        What has to move, the longest way first.
    cost, cost_lower : float
        Widths moved in all; and what is proven: nothing that costs less flips the decision.
    exact : bool
        Whether nothing smaller exists (or, without changes, nothing at all), proven.
    sentence : str
        All of it in words.
    """

    side: str
    score: float
    changes: list[Change]
    cost: float
    cost_lower: float
    exact: bool
    sentence: str


def counterfactual(
    predictor: Predictor,
    signal: Signal,
    profile: Profile,
    row: Floats,
    names: Sequence[str],
    *,
    held: float,
    immutable: Sequence[str] = (),
    features_max: int = FEATURES_MAX,
    boxes_max: int = BOXES_MAX,
) -> Counterfactual:
    """Return the smallest change of a row that flips the side which its score wants.

    Parameters
    ----------
    predictor, signal, profile : Predictor, Signal, Profile
        The version's.
    row : (n,) float64
        What the decision was made on.
    names : sequence of str
        The features' names.
    held : float
        The position held when it was decided.
    immutable : sequence of str
        Features that may not be changed.
    features_max : int
        How many features may move together.
    boxes_max : int
        How many boxes the exact search may look at, in each direction.

    Raises
    ------
    NotFound
        An immutable feature is none of the version's.
    """
    unknown = [name for name in immutable if name not in names]
    if unknown:
        raise NotFound(f"the version has no feature {unknown[0]!r}{near(unknown[0], names)}; it has {', '.join(names)}")
    score = float(predictor.one(row)[0])
    part = next(each for each in stretches(signal, held) if each.holds(score))
    start = _Start(row, tuple(names.index(name) for name in immutable), features_max, boxes_max)
    edges = [
        (_beyond(part.high, closed=part.high_closed, up=True), 1.0),
        (_beyond(part.low, closed=part.low_closed), -1.0),
    ]
    tries = [_towards(predictor, profile, start, edge, sign) for edge, sign in edges if isfinite(edge)]
    if not tries:
        return _nothing(Found(None, np.inf, np.inf, proven=True, boxes=0), features_max)
    best = min(tries, key=lambda found: found.cost)
    lower = min(found.lower for found in tries)
    found = best._replace(lower=lower, proven=lower >= best.cost or all(each.proven for each in tries))
    if found.row is None:
        return _nothing(found, features_max)
    changes = _changes(row, found.row, names, width_of(profile))
    moved_score = float(predictor.one(found.row)[0])
    side = side_of(signal, moved_score, held)
    return Counterfactual(
        side=side,
        score=moved_score,
        changes=changes,
        cost=found.cost,
        cost_lower=found.lower,
        exact=found.proven,
        sentence=_sentence(changes, side, moved_score, found, features_max),
    )


class _Start(NamedTuple):
    """Where a search begins: the row, the features that stay, how many may move, and how long it may take."""

    row: Floats
    fixed: tuple[int, ...]
    features_max: int
    boxes_max: int


def _beyond(edge: float, *, closed: bool, up: bool = False) -> float:
    """Return the first score past the edge of a stretch."""
    return float(np.nextafter(edge, np.inf if up else -np.inf)) if closed else edge


def _towards(predictor: Predictor, profile: Profile, start: _Start, score: float, sign: float) -> Found:
    """Search for the cheapest row whose score reaches `score` from below (sign 1) or from above (sign -1)."""
    row, fixed, features_max, boxes_max = start
    may = movable(predictor, row, fixed) if isinstance(predictor, Trees) else np.isfinite(row)
    may[list(fixed)] = False
    low = np.where(may, np.fmin(profile.minimum, row), row)
    high = np.where(may, np.fmax(profile.maximum, row), row)
    margin = margin_of(predictor, score) if _is_exact(predictor) else score
    margin += sign * PAST * (1.0 + abs(margin))
    wanted = Wanted(row, margin, sign, low, high, width_of(profile), features_max)
    if isinstance(predictor, Trees) and _is_exact(predictor):
        return cheapest(predictor, wanted, boxes_max=boxes_max)
    return _one_after_another(predictor, wanted, profile)


def _is_exact(predictor: Predictor) -> bool:
    """Tell whether the score is a margin's own: trees, but no share among several classes."""
    return isinstance(predictor, Trees) and predictor.table.link != Link.SOFTMAX


def _one_after_another(predictor: Predictor, wanted: Wanted, profile: Profile) -> Found:
    """Move the feature that helps most to a quantile of training, then another; take back what is not needed."""
    row, tried = wanted.row.copy(), 0
    left = [int(feature) for feature in np.flatnonzero(wanted.low < wanted.high)]
    for _ in range(min(wanted.features_max, len(left))):
        rows, features = _moves(row, left, profile)
        scores = predictor.many(rows)[:, 0]
        tried += len(rows)
        passed = np.flatnonzero(wanted.sign * scores >= wanted.sign * wanted.margin)
        if len(passed):
            cheap = min(passed, key=lambda place: cost_of(wanted, rows[place]))
            nearest = _taken_back(predictor, wanted, rows[cheap])
            return Found(nearest, cost_of(wanted, nearest), 0.0, proven=False, boxes=tried)
        best = int(np.argmax(wanted.sign * scores))
        row = rows[best]
        left.remove(features[best])
    return Found(None, np.inf, 0.0, proven=False, boxes=tried)


def _moves(row: Floats, features: Sequence[int], profile: Profile) -> tuple[Floats, list[int]]:
    """Return rows with one of the features at one of training's quantiles, and that feature."""
    levels = len(profile.quantiles)
    rows = np.repeat(row[None, :], levels * len(features), axis=0)
    moved = np.repeat(np.array(features), levels)
    rows[np.arange(len(rows)), moved] = profile.quantiles[:, features].T.ravel()
    return rows, [int(feature) for feature in moved]


def _taken_back(predictor: Predictor, wanted: Wanted, row: Floats) -> Floats:
    """Move every changed feature back towards the row as far as the change still passes."""
    row = row.copy()
    for feature in np.flatnonzero(row != wanted.row):
        back, kept = wanted.row[feature], row[feature]
        for _ in range(BISECTIONS):
            row[feature] = 0.5 * (back + kept)
            if wanted.sign * predictor.one(row)[0] >= wanted.sign * wanted.margin:
                kept = row[feature]
            else:
                back = row[feature]
        row[feature] = kept
    return row


def _nothing(found: Found, features_max: int) -> Counterfactual:
    """Say that nothing flips the decision: proven, or only not found."""
    known = f"No change of at most {features_max} features within what training saw flips it."
    return Counterfactual(
        side="",
        score=float("nan"),
        changes=[],
        cost=found.cost,
        cost_lower=found.lower,
        exact=found.proven,
        sentence=known if found.proven else "The search found no change that flips it; one may exist.",
    )


def _changes(row: Floats, moved: Floats, names: Sequence[str], widths: Floats) -> list[Change]:
    """Return what moved, the longest way first."""
    changes = [
        Change(
            feature=names[place],
            before=float(row[place]),
            after=float(moved[place]),
            widths=float(abs(moved[place] - row[place]) / widths[place]),
        )
        for place in np.flatnonzero((moved != row) & np.isfinite(row)).tolist()
    ]
    return sorted(changes, key=lambda change: -change.widths)


def written(value: float, digits: int = 6) -> str:
    """Write a feature's value; one that a tree tells from zero by its sign alone, in words.

    >>> written(0.25), written(-1e-35)
    ('0.25', 'just below 0')
    """
    if 0.0 < abs(value) < SEEMS_ZERO:
        return f"just {'above' if value > 0.0 else 'below'} 0"
    return f"{value:.{digits}g}"


def _sentence(changes: Sequence[Change], side: str, score: float, found: Found, features_max: int) -> str:
    """Say what has to move, where to, and how sure it is that nothing smaller does."""
    moves = " and ".join(
        f"{each.feature} been {written(each.after)} instead of {written(each.before)}" for each in changes
    )
    if found.proven:
        surely = f"no smaller change of at most {features_max} features within what training saw flips it"
    elif found.lower > 0.0:
        surely = (
            f"the search ended early: anything smaller moves at least {found.lower:.3g} widths, this {found.cost:.3g}"
        )
    else:
        surely = "the search was bounded: a smaller change may exist"
    return f"Had {moves}, the score would have been {score:.4f} and the side {side}; {surely}."
