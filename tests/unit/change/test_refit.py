"""Fitting again in other processes: the same models as here, in order, and an end however it comes."""

import numpy as np
import pytest
from change_desk import INSTRUMENTS, START_NS, STRATEGY, TRAINING, desk, market, trained, write_strategy
from change_lender import STRATEGY as LENDER

from tradeworthy.change.evidence.context import Context, NotGathered
from tradeworthy.change.train.dataset import Training
from tradeworthy.change.train.refit import Refits
from tradeworthy.change.train.strategy import load_strategy
from tradeworthy.change.train.training import fit
from tradeworthy.core.errors import ModelMismatch
from tradeworthy.core.limits import Limits
from tradeworthy.judge.validate.gate import GateSettings
from tradeworthy.model.predictors.importing import import_model

RNG_SEED = 3


def data(count=4, rows=300):
    """Return trainings, each its own."""
    rng = np.random.default_rng(RNG_SEED)
    drawn = [rng.standard_normal((rows, 3)) for _ in range(count)]
    return [Training(each, (each[:, 0] + rng.standard_normal(rows) > 0).astype(float)) for each in drawn]


def test_fits_are_those_of_this_process_in_the_order_given(tmp_path):
    """Two workers, four fits: each predictor scores as a fit made here does, and nothing is left in the folder."""
    path = write_strategy(tmp_path)
    (tmp_path / "fits").mkdir()
    strategy = load_strategy(path)
    with Refits(path, tmp_path / "fits") as refits:
        found = list(refits.fits(data()))
    for predictor, training in zip(found, data(), strict=True):
        here = import_model(fit(strategy, training), 3)
        np.testing.assert_array_equal(predictor.many(training.rows), here.many(training.rows))
    assert refits.spent_ns > 0
    assert list((tmp_path / "fits").iterdir()) == []


def test_what_a_strategy_prints_is_no_answer(tmp_path):
    """Output of the user's code does not disturb the fits."""
    path = write_strategy(
        tmp_path, STRATEGY.replace("    settings =", "    print('done', flush=True)\n    settings =", 1)
    )
    (tmp_path / "fits").mkdir()
    with Refits(path, tmp_path / "fits", workers=1) as refits:
        assert len(list(refits.fits(data(2)))) == 2


def test_a_consumer_that_stops_early_leaves_the_workers_usable(tmp_path):
    """What was made ahead and not wanted is not taken for a later fit."""
    path = write_strategy(tmp_path)
    (tmp_path / "fits").mkdir()
    with Refits(path, tmp_path / "fits") as refits:
        first = next(iter(refits.fits(data())))
        again = list(refits.fits(data()[2:]))
    rows = data()[2][0]
    assert not np.array_equal(first.many(rows), again[0].many(rows))
    assert len(again) == 2


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ("raise ValueError('too few')", "too few"),
        ("import os; os._exit(7)", "ended with 7"),
        ("return None", "returned nothing"),
    ],
)
def test_a_strategy_that_does_not_fit_is_told(tmp_path, spoil, words):
    """A failing, dying or empty train function becomes one sentence."""
    path = write_strategy(tmp_path, STRATEGY.replace("    settings =", f"    {spoil}\n    settings =", 1))
    (tmp_path / "fits").mkdir()
    with Refits(path, tmp_path / "fits", workers=1) as refits, pytest.raises(ModelMismatch, match=words):
        list(refits.fits(data(1)))


@pytest.fixture
def context(tmp_path):
    """A registered version on the events that it was trained on, without a strategy."""
    home = desk(tmp_path / "desk")
    version = home.registry.load(home.registered())
    yield Context(
        version=version,
        candidate=trained(),
        instruments=INSTRUMENTS,
        limits=Limits(),
        events=market(),
        profile="full",
        training=TRAINING,
        registry=home.registry,
        settings=GateSettings(),
        now_ns=START_NS,
    )
    home.close()


def test_the_training_rows_are_made_again(context):
    """Rows and folds are those of training: the walk's labels are found at the folds' test rows."""
    tested = np.concatenate([fold.test for fold in context.folds])
    np.testing.assert_array_equal(context.dataset.labels[tested], trained().walk.labels)
    np.testing.assert_array_equal(context.dataset.ts_event_ns[tested], trained().walk.ts_event_ns)


def test_later_events_do_not_change_the_training_rows(context):
    """A history that went on gives the rows of the training span."""
    longer = Context(**{**vars(context), "events": market(1_700)})
    np.testing.assert_array_equal(longer.dataset.rows, context.dataset.rows)


def test_another_history_is_no_evidence(context):
    """Rows of another market are refused, not taken for those it was trained on."""
    other = Context(**{**vars(context), "events": market(seed=9)})
    with pytest.raises(NotGathered, match="give the history that it was trained on"):
        _ = other.dataset


def test_without_a_strategy_nothing_is_fitted(context):
    """The reason is told."""
    with pytest.raises(NotGathered, match="no strategy file"):
        _ = context.fold_predictors


def test_fold_predictors_score_the_walk(context, tmp_path):
    """Fitted again on the folds, the models give the walk's own scores."""
    (tmp_path / "fits").mkdir()
    with Refits(write_strategy(tmp_path), tmp_path / "fits") as refits:
        able = Context(**{**vars(context), "refits": refits})
        scores = [
            p.many(able.dataset.rows[f.test])[:, 0] for p, f in zip(able.fold_predictors, able.folds, strict=True)
        ]
    np.testing.assert_allclose(np.concatenate(scores), trained().walk.scores, atol=1e-12)


def test_reweighed_fits_are_those_of_this_process(tmp_path):
    """Groups travel with rows and labels: the worker weighs as training does, and a fit without them weighs nothing."""
    path = write_strategy(tmp_path, LENDER)
    (tmp_path / "fits").mkdir()
    (rows, labels, _), groups = data(1)[0], np.arange(300) % 2
    wanted = [Training(rows[:, :2], labels, groups), Training(rows[:, :2], labels)]
    with Refits(path, tmp_path / "fits", workers=1) as refits:
        found = [each.many(rows[:, :2]) for each in refits.fits(wanted)]
    here = [import_model(fit(load_strategy(path), each), 2).many(rows[:, :2]) for each in wanted]
    np.testing.assert_array_equal(found, here)
    assert not np.array_equal(*found)
