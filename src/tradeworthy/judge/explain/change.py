"""What a change is made of: which features moved, what it costs, and which of them account for it.

Idea:   out of fold it was learned which loss a score leads to. So the loss to expect of rows without labels is known,
        if scores still mean what they meant; its change from the training rows to those now is what *moved inputs*
        cost. It is split between the features by Shapley values: pairs of a row then and a row now, features switched
        from one to the other in random order. What realised losses show beyond that is the *rest*: a relation that
        has changed, or chance; no feature's move explains it.
Sum:    contributions add up exactly to the expected change over the same pairs.
Units:  nats of log loss a decision for a direction; squared error in the label's unit otherwise. Contributions to
        scores are margin units.
Undefined: without labels realised figures and the rest are None.
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import DataInvalid
from tradeworthy.judge.explain.explaining import make_explainer
from tradeworthy.judge.explain.permutation import paired_gains
from tradeworthy.judge.metrics import log_losses
from tradeworthy.judge.metrics_interval import Interval, mean_interval
from tradeworthy.judge.monitor.label_shift import fit_platt
from tradeworthy.model.predictors.base import Predictor
from tradeworthy.model.profile import Profile

Floats = npt.NDArray[np.float64]

PAIRS, REASON_ROWS, BINS, LOSS_BINS = 1_000, 500, 24, 20
ROWS_MIN = 30
EDGE = 1e-12
METHOD = (
    "Shapley values of the expected loss over {pairs} pairs of a training row and a row now, walked both ways; "
    "baseline: {rows} rows of the training profile; expected loss by score as learned out of fold"
)


class FeatureChange(msgspec.Struct, frozen=True, kw_only=True):
    """One feature then and now.

    Attributes
    ----------
    name : str
        The feature.
    mean_then, mean_now, deviation : float
        Its means, and its standard deviation over all training rows.
    moved : float
        Distance between both distributions (Wasserstein), in those deviations: hears location, spread and tails.
    edges : list of float
        Of the bins of both histograms; the outer bins hold what lies beyond.
    then, now : list of float
        Shares of rows by bin.
    reason_then, reason_now : float
        Mean size of its contribution to the scores.
    loss, loss_error : float
        Of the expected change of the loss what is due to this feature, and the standard error of that.
    """

    name: str
    mean_then: float
    mean_now: float
    deviation: float
    moved: float
    edges: list[float]
    then: list[float]
    now: list[float]
    reason_then: float
    reason_now: float
    loss: float
    loss_error: float


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What a change costs.

    Attributes
    ----------
    loss : str
        ``log loss`` or ``squared error``.
    method : str
        How it was split between features, and against which baseline.
    expected_then, expected_now : float
        Mean expected losses of the pairs' rows; their difference is `change`, with its 95% interval.
    realised_then, realised_now : float or None
        Mean losses: out of fold, and of decisions since the change whose labels are known.
    realised_low, realised_high : float or None
        95% interval of the latter.
    labelled : int
        How many those are.
    rest : float or None
        Realised change less expected change.
    """

    loss: str
    method: str
    expected_then: float
    expected_now: float
    change: float
    low: float
    high: float
    realised_then: float
    realised_now: float | None
    realised_low: float | None
    realised_high: float | None
    labelled: int
    rest: float | None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A change explained: its features, the one that moved furthest first, and its effect."""

    rows: int
    reasons: str
    features: list[FeatureChange]
    effect: Effect


class Model(NamedTuple):
    """What is asked of a version: its predictor, profile and features, and its (m,) out-of-fold scores and labels."""

    predictor: Predictor
    profile: Profile
    names: tuple[str, ...]
    walk_scores: Floats
    walk_labels: Floats
    binary: bool
    horizon: int


def explain_change(model: Model, rows: Floats, realised: tuple[Floats, Floats], *, seed: int = 0) -> Change:
    """Explain how rows now differ from training, and what of a change of the loss that accounts for.

    Parameters
    ----------
    model : Model
        The version.
    rows : (n, p) float64
        Scored since the change, in the order of time.
    realised : tuple of (m,) float64
        Scores and labels of decisions since the change whose labels are known, in the order of time.
    seed : int
        Of pairs, walks and intervals.

    Raises
    ------
    DataInvalid
        There are too few rows to compare distributions.
    """
    if len(rows) < ROWS_MIN:
        raise DataInvalid(f"found {len(rows)} scored rows since the change, allowed are {ROWS_MIN} or more")
    rng = np.random.default_rng(seed)
    then, reasons = model.profile.sample, make_explainer(model.predictor, model.profile)
    expected = expected_loss(model)
    gains, effect = _effect(model, rows, realised, expected, rng)
    before, after = (reasons.explain(_thinned(part, REASON_ROWS)) for part in (then, rows))
    sizes = [np.abs(part.contributions).mean(axis=0) for part in (before, after)]
    error = gains.std(axis=0, ddof=1) / np.sqrt(len(gains))
    features = [
        _feature(model, place, rows, (sizes[0][place], sizes[1][place]), (gains[:, place].mean(), error[place]))
        for place in range(rows.shape[1])
    ]
    features.sort(key=lambda each: -each.moved)
    return Change(rows=len(rows), reasons=after.method, features=features, effect=effect)


def expected_loss(model: Model) -> Callable[[Floats], Floats]:
    """Return what tells the loss to expect of (n,) scores, as learned out of fold."""
    scores, labels = model.walk_scores, model.walk_labels
    if model.binary:
        platt = fit_platt(scores, labels)

        def of_direction(given: Floats) -> Floats:
            p, s = platt(given), np.clip(given, EDGE, 1.0 - EDGE)
            losses: Floats = -(p * np.log(s) + (1.0 - p) * np.log1p(-s))
            return losses

        return of_direction
    order = np.argsort(scores, kind="stable")
    parts = np.array_split(order, min(LOSS_BINS, len(order)))
    centres = np.array([scores[part].mean() for part in parts])
    means = np.array([np.square(scores[part] - labels[part]).mean() for part in parts])
    return lambda given: np.interp(given, centres, means)


def _effect(
    model: Model,
    rows: Floats,
    realised: tuple[Floats, Floats],
    expected: Callable[[Floats], Floats],
    rng: np.random.Generator,
) -> tuple[Floats, Effect]:
    """Return the (pairs, p) Shapley gains of the expected loss, and the effect in all."""

    def loss_of(points: Floats) -> Floats:
        return expected(model.predictor.many(points)[:, 0])

    now = _thinned(rows, PAIRS)
    then = model.profile.sample[rng.integers(0, len(model.profile.sample), len(now))]
    gains = paired_gains(loss_of, then, now, rng)
    interval = mean_interval(gains.sum(axis=1), horizon=model.horizon, rng=rng)
    base, (scores, labels) = float(loss_of(then).mean()), realised
    before = float(_losses(model, model.walk_scores, model.walk_labels).mean())
    shown: Interval | None = None
    if len(scores):
        shown = mean_interval(_losses(model, scores, labels), horizon=model.horizon, rng=rng)
    return gains, Effect(
        loss="log loss" if model.binary else "squared error",
        method=METHOD.format(pairs=len(now), rows=len(model.profile.sample)),
        expected_then=base,
        expected_now=base + interval.estimate,
        change=interval.estimate,
        low=interval.low,
        high=interval.high,
        realised_then=before,
        realised_now=shown.estimate if shown else None,
        realised_low=shown.low if shown else None,
        realised_high=shown.high if shown else None,
        labelled=len(scores),
        rest=shown.estimate - before - interval.estimate if shown else None,
    )


def _losses(model: Model, scores: Floats, labels: Floats) -> Floats:
    losses: Floats = log_losses(scores, labels) if model.binary else np.square(scores - labels)
    return losses


def _feature(
    model: Model, place: int, rows: Floats, sizes: tuple[float, float], loss: tuple[float, float]
) -> FeatureChange:
    """Compare one feature then and now."""
    then, now = model.profile.sample[:, place], rows[:, place]
    deviation, levels = float(model.profile.std[place]), np.linspace(0.005, 0.995, 199)
    far = float(np.abs(np.quantile(now, levels) - np.quantile(then, levels)).mean())
    edges = _edges(then, now)
    return FeatureChange(
        name=model.names[place],
        mean_then=float(model.profile.mean[place]),
        mean_now=float(now.mean()),
        deviation=deviation,
        moved=far / deviation if deviation > 0.0 else (1.0 if far > 0.0 else 0.0),
        edges=edges.tolist(),
        then=_shares(then, edges),
        now=_shares(now, edges),
        reason_then=float(sizes[0]),
        reason_now=float(sizes[1]),
        loss=float(loss[0]),
        loss_error=float(loss[1]),
    )


def _edges(then: Floats, now: Floats) -> Floats:
    """Return the ends of bins that show the bulk of both."""
    low = min(np.quantile(then, 0.005), np.quantile(now, 0.005))
    high = max(np.quantile(then, 0.995), np.quantile(now, 0.995))
    if not high > low:
        high = low + max(abs(low), 1.0) * 1e-6
    return np.linspace(low, high, BINS + 1)


def _shares(values: Floats, edges: Floats) -> list[float]:
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    shares: list[float] = (counts / len(values)).tolist()
    return shares


def _thinned(rows: Floats, count: int) -> Floats:
    """Return at most `count` rows, spread evenly."""
    return rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(np.int64)]
