"""How robust a predictor's decisions are: attack success and certified share, at each epsilon.

Idea:   what counts is the decision, not the score: a row is broken when its score crosses a threshold of the signal.
        An attack gives a lower bound of the truth, a certificate an upper one; the share between them is undecided,
        and is said.
Undefined: networks have no certificate: certified and undecided shares are None.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.judge.robust.levers import Floats, Levers
from tradeworthy.judge.robust.search import Target, decision_attack, gradient_attack
from tradeworthy.judge.robust.tree_attack import attack_trees
from tradeworthy.model.manifest import Signal
from tradeworthy.model.predictors.base import Predictor
from tradeworthy.model.predictors.trees import Trees


class AtEpsilon(msgspec.Struct, frozen=True, kw_only=True):
    """What was found at one epsilon.

    Attributes
    ----------
    epsilon : float
        Share of the levers' reach.
    rows : int
        Rows attacked.
    broken : float
        Share of rows whose decision an attack changed.
    certified : float or None
        Share of rows whose decision no move in the box can change; None where there is no certificate.
    undecided : float or None
        The rest.
    """

    epsilon: float
    rows: int
    broken: float
    certified: float | None
    undecided: float | None


def cuts_of(signal: Signal) -> Floats:
    """Return the scores, ascending, at which a flat desk decides otherwise: a score of at least a cut is beyond it."""
    if signal.allow_short:
        return np.array([np.nextafter(signal.enter_short, np.inf), signal.enter_long])
    return np.array([signal.enter_long])


def cuts_around(scores: Floats, cuts: Floats) -> tuple[Floats, Floats]:
    """Return, for (m,) scores, the highest cut at or below each and the lowest above it; infinite where none is."""
    walls = np.concatenate([[-np.inf], cuts, [np.inf]])
    place = np.searchsorted(cuts, scores, side="right")
    return walls[place], walls[place + 1]


def measure(
    predictor: Predictor,
    levers: Levers,
    rows: Floats,
    cuts: Floats,
    *,
    epsilons: Sequence[float],
    budget: float = np.inf,
    seed: int,
) -> list[AtEpsilon]:
    """Attack rows at each epsilon, and certify what can be certified.

    Parameters
    ----------
    predictor : Predictor
        Trees get the greedy attack and the certificate; others the gradient and the decision attack.
    levers : Levers
        What can be moved, at epsilon 1.
    rows : (m, n) float64
    cuts : (c,) float64
        Scores at which the decision changes, ascending.
    epsilons : sequence of float
    budget : float
        What all moves of one row together may cost.
    seed : int
        Of the attacks' random places.
    """
    rows = np.ascontiguousarray(rows, np.float64)
    below, above = cuts_around(predictor.many(rows)[:, 0], cuts)
    return [
        _at(
            predictor,
            levers.at(epsilon, budget),
            rows,
            (below, above),
            epsilon=epsilon,
            budget=budget,
            rng=np.random.default_rng(seed),
        )
        for epsilon in epsilons
    ]


def _at(
    predictor: Predictor,
    levers: Levers,
    rows: Floats,
    cuts: tuple[Floats, Floats],
    *,
    epsilon: float,
    budget: float,
    rng: np.random.Generator,
) -> AtEpsilon:
    if not isinstance(predictor, Trees):
        broken = attack_any(predictor, levers, rows, cuts, budget=budget, rng=rng)
        share = float(np.mean(broken))
        return AtEpsilon(epsilon=epsilon, rows=len(rows), broken=share, certified=None, undecided=None)
    found = attack_trees(predictor, levers, rows, *cuts, budget=budget, rng=rng)
    return AtEpsilon(
        epsilon=epsilon,
        rows=len(rows),
        broken=float(np.mean(found.broken)),
        certified=float(np.mean(found.safe)),
        undecided=float(np.mean(~found.safe & ~found.broken)),
    )


def attack_any(
    predictor: Predictor,
    levers: Levers,
    rows: Floats,
    cuts: tuple[Floats, Floats],
    *,
    budget: float = np.inf,
    rng: np.random.Generator,
) -> npt.NDArray[np.bool_]:
    """Attack each of (m, n) rows along the gradient, then from decisions alone; return where one succeeded."""
    broken = np.zeros(len(rows), bool)
    for number, row in enumerate(rows):
        target = Target(
            score=lambda asked: predictor.many(asked)[:, 0],
            row=row,
            levers=levers,
            below=float(cuts[0][number]),
            above=float(cuts[1][number]),
            budget=budget,
        )
        found = gradient_attack(target, rng=rng)
        if found is None:
            found, _ = decision_attack(target, rng=rng)
        broken[number] = found is not None
    return broken
