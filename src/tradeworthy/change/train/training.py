"""Walk-forward training: out-of-fold scores that are honest about time, then one model fitted on everything.

Flow:   strategy + events → dataset → folds (fit, score what comes after) → figures → final fit → our predictor.
Time:   every out-of-fold score comes from a model that saw only labels that had ended before the scored span.
Units:  log losses in nats a row.
Undefined: a regression's scores are no probabilities: its log loss and Brier score are NaN, which the gate reads as
        missing.
"""

import math
import platform
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from tradeworthy import __version__
from tradeworthy.change.train.candidate import Candidate, OutOfFold
from tradeworthy.change.train.dataset import Dataset, Floats, Places, Training, build_dataset, traded_instrument
from tradeworthy.change.train.folds import Fold, out_of_fold, walk_forward
from tradeworthy.change.train.groups import weights_of
from tradeworthy.change.train.source import source_parameters, source_scores
from tradeworthy.change.train.strategy import Strategy, how_to_install
from tradeworthy.change.train.window import (
    Choice,
    Model,
    Walked,
    Weights,
    Window,
    choices_of,
    every_row,
    learned,
    walk_choices,
)
from tradeworthy.core.allowed import require
from tradeworthy.core.errors import DataInvalid, ModelMismatch, SettingsInvalid
from tradeworthy.core.events import EventBatch
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import Clock, zone_of
from tradeworthy.judge.metrics import auc, brier, log_losses
from tradeworthy.judge.metrics_interval import auc_interval, mean_interval
from tradeworthy.judge.validate.performance import Performance
from tradeworthy.model.features.labels import Label
from tradeworthy.model.features.program import compile_program
from tradeworthy.model.manifest import Lineage
from tradeworthy.model.predictors.base import Predictor
from tradeworthy.model.predictors.importing import import_model
from tradeworthy.model.profile import Profile

Report = Callable[[str, float], None]
"""``report(stage, share done of all training, 0 to 1)``."""

FULL_ROWS = "window full: rows"
"""In a lineage's figures where a window was chosen: how many rows there were to choose from."""
BASELINE = "base rate of the training rows"
REWEIGHED = "reweighed by"
"""The parameter of a version's lineage that names the columns; absent where nothing was reweighed."""


class TrainingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[training]` section.

    Attributes
    ----------
    share : float
        Share of the market files' events, 0 to 1, that is trained on; the rest is traded.
    folds : int
        Walk-forward test spans.
    embargo : int or None
        Trigger events kept free between training and test, besides the purge; the label's horizon if left out.
    first_train_share : float
        Share of rows that no fold tests.
    rows_max : int or None
        Learn from at most so many of the latest rows (a sliding window); all if left out.
    window : str
        ``full`` learns from all those rows. ``validated`` tries their latest half and quarter too, and what came after
        the change that a finding has dated, and takes what foresaw best in the walk-forward.
    weights : str
        ``covariate`` or ``label`` also tries each window with rows weighted by how much they are like the latest ones;
        ``none`` does not.
    instrument : str or None
        Whose rows to learn from; the first traded instrument if left out.
    reweigh : tuple of str
        Columns whose groups are to be made alike in what is learned: features, or fields of the rows. Each row is
        weighed so that no group has more of either label than the others; ``train(rows, labels, weights)`` is told.
    time_zone : str
        By whose clocks hours of the week are told where the season is learned, an IANA name such as
        ``America/New_York``: a change to summer time is then no change.
    golden_rows : int
        Rows kept with the version to compare scores.
    level : float
        Confidence level of intervals.
    seed : int
        Of every draw that training itself makes; the model's own seed is the strategy's.
    """

    share: float = 0.6
    folds: int = 5
    embargo: int | None = None
    first_train_share: float = 1 / 3
    rows_max: int | None = None
    window: Window = "full"
    weights: Weights = "none"
    instrument: str | None = None
    reweigh: tuple[str, ...] = ()
    time_zone: str = "UTC"
    golden_rows: int = 256
    level: float = 0.95
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse clocks that nobody keeps, and parts of the history that are none."""
        zone_of(self.time_zone)
        shares = ("share", "first_train_share", "level")
        require(self, "training", counts=("folds", "rows_max", "golden_rows"), positive=shares, shares=shares)


def train(
    strategy: Strategy,
    events: EventBatch,
    instruments: Sequence[Instrument],
    settings: TrainingSettings | None = None,
    *,
    clock: Clock,
    parent: str | None = None,
    changed_ns: int | None = None,
    report: Report | None = None,
) -> Candidate:
    """Train a candidate from history.

    Parameters
    ----------
    strategy : Strategy
        Features, label and the user's train function.
    events : (k,) event records
        The history to learn from, in the order of time.
    instruments : sequence of Instrument
        The desk's list.
    settings : TrainingSettings, optional
        The defaults if left out.
    clock : Clock
        Stamps the candidate.
    parent : str, optional
        Digest of the version that this one is to replace.
    changed_ns : int, optional
        When what is to be learned changed, as far as is known; a window to try begins there.
    report : callable, optional
        Told the stage and the share done.

    Raises
    ------
    DataInvalid
        There is too little history, or the labels are all alike.
    ModelMismatch
        The model cannot be represented exactly, or is not one.
    """
    settings = settings or TrainingSettings()
    tell = report or _silent
    tell("features and labels", 0.0)
    program = compile_program(strategy.features, trigger=strategy.trigger, row_fields=strategy.row_fields)
    number = traded_instrument(instruments, settings.instrument)
    whole = build_dataset(program, strategy.label, events, instruments, number)
    dataset = _latest(whole, settings.rows_max).grouped(settings.reweigh, program, strategy.label, events)
    folds = training_folds(dataset, strategy.label, settings)
    walk, walked = _walk(strategy, dataset, folds, choices_of(settings.window, settings.weights, changed_ns), tell)
    tell("final fit", len(folds) / (len(folds) + 1))
    model = fit(strategy, dataset.training(learned(walked.best, dataset, every_row(dataset))[0]))
    predictor = import_model(model, len(program.names), acts_on=strategy.acts_on)
    rng = np.random.default_rng(settings.seed)
    kept = dataset.last(len(walked.best.taken(every_row(dataset), dataset.ts_event_ns)))
    golden = kept.rows[_spread(len(kept), settings.golden_rows)]
    candidate = Candidate(
        created_ns=clock.now_ns(),
        program=program,
        label=strategy.label,
        predictor=predictor,
        profile=_profile(dataset, predictor, folds, walk, rows=len(kept), time_zone=settings.time_zone),
        golden_rows=golden,
        golden_scores=source_scores(model, golden, strategy.acts_on),
        walk=walk,
        performance=measure(walk, strategy.label.reach, rng, settings.level),
        lineage=_lineage(
            strategy,
            kept,
            source_parameters(model) | _reweighed(settings.reweigh) | chosen_window(walked),
            walk_metrics(walk, strategy.label.reach, rng) | window_metrics(walked),
            parent,
        ),
        movable=strategy.movable,
        movable_budget=strategy.movable_budget,
    )
    tell("trained", 1.0)
    return candidate


def training_folds(dataset: Dataset, label: Label, settings: TrainingSettings) -> list[Fold]:
    """Return the walk-forward that `train` makes over a dataset."""
    return walk_forward(
        dataset.starts,
        dataset.ends,
        folds=settings.folds,
        embargo=label.horizon if settings.embargo is None else settings.embargo,
        first_train_share=settings.first_train_share,
    )


def measure(walk: OutOfFold, horizon: int, rng: np.random.Generator, level: float = 0.95) -> Performance:
    """Return how right out-of-fold scores were, with an interval valid under overlapping labels.

    A label of a forward return is judged by its sign for the AUC, and by squared errors; it has no log loss (NaN).
    """
    interval = auc_interval(walk.scores, walk.up, horizon=horizon, rng=rng, level=level)
    losses = _losses(walk, walk.scores)
    baseline = _losses(walk, walk.baseline)
    return Performance(
        n=len(walk.scores),
        auc=interval.estimate,
        auc_low=interval.low,
        auc_high=interval.high,
        log_loss=float(losses.mean()),
        brier=brier(walk.scores, walk.labels) if walk.binary else math.nan,
        baseline_name=BASELINE,
        baseline_log_loss=float(baseline.mean()),
        level=level,
        block=interval.block,
        squared_error=None if walk.binary else float(np.mean((walk.scores - walk.labels) ** 2)),
        baseline_squared_error=None if walk.binary else float(np.mean((walk.baseline - walk.labels) ** 2)),
    )


def walk_metrics(walk: OutOfFold, horizon: int, rng: np.random.Generator) -> dict[str, float]:
    """Return the AUC and the rows of every fold, and the gain in log loss over the baseline with its 95% interval.

    The interval of the gain is wide where the edge is small: it is kept with the version for people to see.
    """
    up = walk.up
    found: dict[str, float] = {}
    for number in np.unique(walk.fold):
        of_fold = walk.fold == number
        found[f"fold_{number}_auc"] = auc(walk.scores[of_fold], up[of_fold])
        found[f"fold_{number}_rows"] = float(of_fold.sum())
    if walk.binary:
        gain = mean_interval(_losses(walk, walk.baseline) - _losses(walk, walk.scores), horizon=horizon, rng=rng)
        found |= {"log_loss_gain": gain.estimate, "log_loss_gain_low": gain.low, "log_loss_gain_high": gain.high}
    return {name: value for name, value in found.items() if not math.isnan(value)}


def chosen_window(walked: Walked) -> dict[str, str]:
    """Return what the card says of the window, where there was a choice."""
    return {"window": walked.best.name} if len(walked.tried) > 1 else {}


def window_metrics(walked: Walked) -> dict[str, float]:
    """Return how every choice of a window fared, where there was more than one: loss, rows, what they are worth."""
    found: dict[str, float] = {}
    for tried in walked.tried if len(walked.tried) > 1 else ():
        name = f"window {tried.choice.name}"
        known = tried.losses[np.isfinite(tried.losses)]
        found |= {f"{name}: folds": float(len(known)), f"{name}: rows": float(tried.rows)}
        found |= {f"{name}: effective rows": tried.effective_rows}
        found |= {f"{name}: loss": float(known.mean())} if len(known) else {}
    return found


def _walk(
    strategy: Strategy, dataset: Dataset, folds: Sequence[Fold], choices: Sequence[Choice], tell: Report
) -> tuple[OutOfFold, Walked]:
    """Fit on each fold's past and score its future, by every choice of window."""

    def fitted(places: Places) -> Model:
        model = fit(strategy, dataset.training(places))
        return lambda tested: source_scores(model, tested, strategy.acts_on)

    def told(at: int) -> None:
        tell(f"fold {at + 1} of {len(folds)}", at / (len(folds) + 1))

    binary = bool(np.isin(dataset.labels, (0.0, 1.0)).all())
    if not binary and any(choice.weights == "label" for choice in choices):
        raise SettingsInvalid("training.weights is 'label', which needs labels of 1 and 0; use 'covariate' for returns")
    walked = walk_choices(fitted, dataset, folds, choices, told)
    baselines = [np.full(len(fold.test), dataset.labels[fold.train].mean()) for fold in folds]
    tested = out_of_fold(list(folds))
    walk = OutOfFold(
        scores=walked.scores,
        labels=dataset.labels[tested],
        values=dataset.values[tested],
        baseline=np.concatenate(baselines),
        ts_event_ns=dataset.ts_event_ns[tested],
        fold=np.repeat([fold.number for fold in folds], [len(fold.test) for fold in folds]).astype(np.int64),
        binary=binary,
    )
    return walk, walked


def _profile(
    dataset: Dataset, predictor: Predictor, folds: Sequence[Fold], walk: OutOfFold, *, rows: int, time_zone: str
) -> Profile:
    """Describe the latest rows; scores are out-of-fold where a fold tested the row, since live scores are so too."""
    scores, kept = predictor.many(dataset.rows), dataset.last(rows)
    scores[out_of_fold(list(folds)), 0] = walk.scores
    return Profile.of(kept.rows, scores[len(dataset) - rows :], kept.labels, kept.ts_event_ns, time_zone=time_zone)


def reweighed_by(lineage: Lineage) -> tuple[str, ...]:
    """Return the columns by whose groups a version's training was reweighed."""
    said = lineage.parameters.get(REWEIGHED, "")
    return tuple(said.split(", ")) if said else ()


def _reweighed(names: Sequence[str]) -> dict[str, str]:
    """Return what a lineage says of reweighing: nothing where there was none."""
    return {REWEIGHED: ", ".join(names)} if names else {}


def fit(strategy: Strategy, training: Training) -> object:
    """Call the user's train function on copies, so that it cannot change what is tested.

    Raises
    ------
    DataInvalid
        The labels are all alike.
    ModelMismatch
        The function failed, returned nothing, or takes no weights where there are some.
    """
    rows, labels, groups = training
    if groups is not None and not strategy.weighs:
        raise ModelMismatch(
            "train(rows, labels) takes no weights, and reweighing by groups needs them; "
            "write def train(rows, labels, weights=None) and hand them to the model"
        )
    if np.ptp(labels) == 0:
        raise DataInvalid(f"all {len(labels)} training labels are {labels[0]:g}; use more history or another label")
    try:
        weights = {} if groups is None else {"weights": weights_of(groups, labels)}
        model: object = strategy.train(rows.copy(), labels.copy(), **weights)
    except Exception as error:
        raise ModelMismatch(
            f"train() failed on {rows.shape[0]} rows of {rows.shape[1]} features: {type(error).__name__}: {error}"
            f"{how_to_install(error)}"
        ) from error
    if model is None:
        raise ModelMismatch("train() returned nothing; end it with `return model`")
    if isinstance(model, (str, Path)):  # a saved model scores by our own reading of it: its library is not here
        return import_model(model, rows.shape[1], acts_on=strategy.acts_on)
    return model


def _losses(walk: OutOfFold, scores: Floats) -> Floats:
    """Return log losses of probabilities; NaN where scores are none."""
    if not walk.binary:
        return np.full(len(scores), np.nan)
    return log_losses(scores, walk.labels)


def _lineage(
    strategy: Strategy, dataset: Dataset, parameters: dict[str, str], metrics: dict[str, float], parent: str | None
) -> Lineage:
    """Write down where the candidate comes from."""
    return Lineage(
        data_digest=dataset.digest,
        code_version=f"tradeworthy {__version__}, strategy {strategy.digest[:16]}",
        parameters=parameters,
        device=f"cpu {platform.machine()}",
        trained_on_rows=len(dataset),
        first_ts_ns=int(dataset.ts_event_ns[0]),
        last_ts_ns=int(dataset.ts_event_ns[-1]),
        fold_metrics=metrics,
        parent=parent,
    )


def _latest(dataset: Dataset, rows_max: int | None) -> Dataset:
    """Keep only the latest rows, if a window is set."""
    return dataset if rows_max is None else dataset.last(rows_max)


def _spread(n: int, wanted: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return up to `wanted` places spread evenly over `n`."""
    return np.unique(np.linspace(0, n - 1, min(n, wanted)).astype(np.int64))


def _silent(stage: str, done: float) -> None:
    """Report to nobody."""
