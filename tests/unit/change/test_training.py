"""Walk-forward training and what it hands on."""

import msgspec
import numpy as np
import pytest
from change_desk import INSTRUMENTS, START_NS, STRATEGY, TRAINING, market, trained, write_strategy

from tradeworthy.change.train.candidate import load_candidate, save_candidate
from tradeworthy.change.train.source import source_parameters, source_scores
from tradeworthy.change.train.strategy import load_strategy
from tradeworthy.change.train.training import BASELINE, train
from tradeworthy.core.errors import BundleRefused, DataInvalid, ModelMismatch, NotFound
from tradeworthy.core.time import VirtualClock
from tradeworthy.judge.metrics import auc, log_loss


def fit(tmp_path, text, events=None, settings=TRAINING):
    """Train a changed strategy on a short market."""
    strategy = load_strategy(write_strategy(tmp_path, text))
    events = market(400) if events is None else events
    return train(strategy, events, INSTRUMENTS, settings, clock=VirtualClock(START_NS))


def test_out_of_fold_scores_find_the_edge():
    """On a market with an edge the interval of the AUC lies above chance."""
    found = trained().performance
    assert found.auc_low > 0.5
    assert found.auc_low < found.auc < found.auc_high
    assert found.baseline_name == BASELINE
    assert found.log_loss < found.baseline_log_loss


def test_figures_follow_from_the_scores():
    """The figures are those of the out-of-fold scores, no others."""
    candidate = trained()
    walk = candidate.walk
    assert candidate.performance.n == len(walk.scores)
    assert candidate.performance.auc == pytest.approx(auc(walk.scores, walk.labels), abs=1e-12)
    assert candidate.performance.log_loss == pytest.approx(log_loss(walk.scores, walk.labels), abs=1e-12)
    assert (np.diff(walk.ts_event_ns) > 0).all()
    assert set(walk.fold) == {0, 1, 2}


def test_our_predictor_gives_the_librarys_scores():
    """Golden rows score the same in serving and in LightGBM."""
    candidate = trained()
    ours = candidate.predictor.many(candidate.golden_rows)[:, 0]
    np.testing.assert_allclose(ours, candidate.golden_scores, rtol=0, atol=1e-12)


def test_a_later_future_does_not_change_earlier_folds(tmp_path):
    """Scores of the first fold are the same when the last label of the record is turned around."""
    events = market(400)
    turned = events.copy()
    turned["values"][-1, :4] *= 0.5
    first = fit(tmp_path, STRATEGY, events).walk
    second = fit(tmp_path, STRATEGY, turned).walk
    of_first = first.fold == 0
    np.testing.assert_array_equal(first.scores[of_first], second.scores[of_first])


def test_a_test_rows_own_label_never_reaches_its_model(tmp_path):
    """A model that remembers its training labels scores nothing better than chance on noise."""
    text = STRATEGY.replace('"num_leaves": 4', '"num_leaves": 64, "min_data_in_leaf": 1').replace(
        "num_boost_round=12", "num_boost_round=30"
    )
    rng = np.random.default_rng(5)
    events = market(600, seed=5)
    events["values"][:, 3] = 300 * np.exp(np.cumsum(0.004 * rng.standard_normal(600)))
    found = fit(tmp_path, text, events).performance
    assert found.auc_low < 0.5 < found.auc_high


def test_lineage_says_where_the_candidate_comes_from():
    """Data, code, parameters, rows and figures are all written down."""
    lineage = trained().lineage
    assert len(lineage.data_digest) == 64
    assert lineage.parameters["library"] == "lightgbm"
    assert lineage.parameters["num_leaves"] == "4"
    assert lineage.trained_on_rows == 1_500 - 12 - 3
    assert lineage.first_ts_ns < lineage.last_ts_ns
    assert {"fold_0_auc", "fold_2_rows", "log_loss_gain_low"} <= set(lineage.fold_metrics)


def test_training_twice_gives_the_same_candidate(tmp_path):
    """Same events, same strategy, same clock: same bytes."""
    first, second = fit(tmp_path, STRATEGY), fit(tmp_path, STRATEGY)
    assert first.predictor.to_files() == second.predictor.to_files()
    assert first.profile.to_bytes() == second.profile.to_bytes()
    assert first.lineage == second.lineage


def test_a_window_keeps_the_latest_rows(tmp_path):
    """A sliding window trains on so many rows and no more."""
    settings = msgspec.structs.replace(TRAINING, rows_max=200)
    assert fit(tmp_path, STRATEGY, settings=settings).lineage.trained_on_rows == 200


def test_progress_is_told_from_none_to_all(tmp_path):
    """Stages come in order, and the share done never falls."""
    told = []
    strategy = load_strategy(write_strategy(tmp_path))
    train(
        strategy,
        market(300),
        INSTRUMENTS,
        TRAINING,
        clock=VirtualClock(1),
        report=lambda stage, done: told.append((stage, done)),
    )
    shares = [done for _, done in told]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert [stage for stage, _ in told][1] == "fold 1 of 3"


def test_a_regression_is_judged_by_its_ranking(tmp_path):
    """A forward return has an AUC by sign; its log loss is not a number, so the gate finds it missing."""
    text = STRATEGY.replace("forward_direction", "forward_return").replace('"binary"', '"regression"')
    found = fit(tmp_path, text)
    assert not found.walk.binary
    assert found.performance.auc > 0.5
    assert np.isnan(found.performance.log_loss)
    save_candidate(found, tmp_path / "candidate")
    assert np.isnan(load_candidate(tmp_path / "candidate").performance.log_loss)


THREE = (
    STRATEGY.replace("forward_direction", "forward_return")
    .replace("    settings = {", "    classes = np.digitize(labels, np.quantile(labels, [0.4, 0.6]))\n    settings = {")
    .replace('"objective": "binary"', '"objective": "multiclass", "num_class": 3')
    .replace("lightgbm.Dataset(rows, labels)", "lightgbm.Dataset(rows, classes)")
    .replace("import lightgbm", "import lightgbm\nimport numpy as np")
)


def test_one_of_three_classes_acts(tmp_path):
    """The class that the strategy names gives the scores of the folds, of the golden rows and of the predictor."""
    found = fit(tmp_path, THREE + '\n\nacts_on = "2"\n')
    assert found.predictor.outputs == ("2", "0", "1")
    np.testing.assert_allclose(found.predictor.many(found.golden_rows)[:, 0], found.golden_scores, rtol=1e-12)
    assert found.performance.auc > 0.5
    save_candidate(found, tmp_path / "candidate")
    assert load_candidate(tmp_path / "candidate").predictor.outputs == ("2", "0", "1")


def test_several_classes_need_one_that_acts(tmp_path):
    """Without a name, or with one that the model does not know, training is refused and says what to write."""
    with pytest.raises(ModelMismatch, match='write acts_on = "2"'):
        fit(tmp_path, THREE)
    with pytest.raises(ModelMismatch, match="acts on 'up'"):
        fit(tmp_path, THREE + '\n\nacts_on = "up"\n')


@pytest.mark.parametrize(
    ("before", "after", "error", "said"),
    [
        ("    return lightgbm", "    lightgbm", ModelMismatch, "returned nothing"),
        ("    return lightgbm", "    return 1.0\n    lightgbm", ModelMismatch, "cannot predict"),
        (
            "    return lightgbm",
            "    raise ValueError('no')\n    lightgbm",
            ModelMismatch,
            "failed on .* ValueError: no",
        ),
        ("bar.close, 3)", "bar.close, 3, 1e6)", DataInvalid, "training labels are 0"),
    ],
)
def test_a_strategy_that_does_not_train_is_refused(tmp_path, before, after, error, said):
    """The message says what train() did and what to change."""
    with pytest.raises(error, match=said):
        fit(tmp_path, STRATEGY.replace(before, after))


def test_train_cannot_change_what_is_tested(tmp_path):
    """A train function that scribbles over its arguments changes only its own copy."""
    again = "\n\nold = train\n\n\ndef train(rows, labels):\n    model = old(rows, labels)\n"
    scribble = STRATEGY + again + "    rows[:] = 0\n    labels[:] = 0\n    return model\n"
    np.testing.assert_array_equal(fit(tmp_path, STRATEGY).walk.labels, fit(tmp_path, scribble).walk.labels)


class Classifier:
    """Gives three classes."""

    def predict_proba(self, rows):
        """Return a column for each class."""
        return np.full((len(rows), 3), 1 / 3)


class Columns:
    """Gives two scores a row."""

    def predict(self, rows):
        """Return two columns."""
        return np.zeros((len(rows), 2))


@pytest.mark.parametrize(("model", "said"), [(Classifier(), "for the classes"), (Columns(), "acts on None")])
def test_models_of_another_shape_are_refused(model, said):
    """Which of several scores is meant has to be said, and the classes known."""
    with pytest.raises(ModelMismatch, match=said):
        source_scores(model, np.zeros((4, 2)))


def test_xgboost_and_scikit_learn_score_by_their_own_means():
    """Boosters, wrappers and estimators give P(class 1), and their parameters as text."""
    import xgboost  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    rng = np.random.default_rng(0)
    rows = rng.standard_normal((200, 2))
    labels = (rows[:, 0] > 0).astype(float)
    wrapper = xgboost.XGBClassifier(n_estimators=3, max_depth=2, n_jobs=1).fit(rows, labels)
    linear = LogisticRegression().fit(rows, labels)
    for model in (wrapper, wrapper.get_booster(), linear):
        scores = source_scores(model, rows)
        assert scores.dtype == np.float64
        assert auc(scores, labels) > 0.9
        assert all(isinstance(value, str) for value in source_parameters(model).values())
    assert source_parameters(wrapper.get_booster())["library"] == "xgboost"


def test_a_candidate_survives_its_folder(tmp_path):
    """Saved and loaded, a candidate is the same in every part."""
    candidate = trained()
    save_candidate(candidate, tmp_path / "candidate")
    again = load_candidate(tmp_path / "candidate")
    assert again.lineage == candidate.lineage
    assert again.performance == candidate.performance
    assert again.program.digest == candidate.program.digest
    assert again.label == candidate.label
    np.testing.assert_array_equal(again.walk.scores, candidate.walk.scores)
    np.testing.assert_array_equal(
        again.predictor.many(candidate.golden_rows), candidate.predictor.many(candidate.golden_rows)
    )


def test_a_later_candidate_replaces_the_earlier_one(tmp_path):
    """The folder holds the newest candidate and nothing else."""
    save_candidate(trained(1), tmp_path / "candidate")
    save_candidate(trained(2), tmp_path / "candidate")
    assert load_candidate(tmp_path / "candidate").created_ns == trained(2).created_ns
    assert [path.name for path in tmp_path.iterdir()] == ["candidate"]


def test_no_candidate_or_a_damaged_one_is_named(tmp_path):
    """The message says how to make a candidate."""
    with pytest.raises(NotFound, match="tradeworthy train"):
        load_candidate(tmp_path / "candidate")
    save_candidate(trained(), tmp_path / "candidate")
    (tmp_path / "candidate" / "candidate.json").write_text("{}")
    with pytest.raises(BundleRefused, match="train again"):
        load_candidate(tmp_path / "candidate")
