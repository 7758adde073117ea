"""Which part of the past is learned from, and how it is weighted: each choice judged by what it foresaw."""

from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from change_desk import INSTRUMENTS, STRATEGY, TRAINING, market, write_strategy

from tradeworthy.change.evidence.window import gather_window
from tradeworthy.change.train.dataset import Dataset
from tradeworthy.change.train.folds import walk_forward
from tradeworthy.change.train.strategy import load_strategy
from tradeworthy.change.train.training import FULL_ROWS, train
from tradeworthy.change.train.window import (
    ROWS_MIN,
    WEIGHT_MAX,
    Choice,
    Model,
    choices_of,
    covariate_weights,
    effective_size,
    every_row,
    label_weights,
    learned,
    repeated,
    walk_choices,
)
from tradeworthy.core.errors import SettingsInvalid
from tradeworthy.core.time import NS_PER_S, VirtualClock
from tradeworthy.judge.validate.window import TrainingWindow

ROWS, CHANGED = 4_000, 2_000
SINCE = Choice("since", since_ns=CHANGED * NS_PER_S)
FULL = Choice("full")


def dataset(changed=CHANGED, rows=ROWS):
    """Return rows whose feature foretells the label, the other way round from a row on."""
    rng = np.random.default_rng(1)
    values = rng.standard_normal((rows, 1))
    way = np.where(np.arange(rows) < changed, 1.0, -1.0)
    labels = (way * values[:, 0] + rng.standard_normal(rows) > 0.0).astype(np.float64)
    places = np.arange(rows, dtype=np.int64)
    return Dataset(values, labels, labels, places * NS_PER_S, places, places, places + 1, "digest")


def folds_of(data):
    return walk_forward(data.starts, data.ends, folds=4)


def linear(data):
    """Return a fit by least squares, whose scores are kept within what a probability may be."""

    def fit(places) -> Model:
        slope, level = np.polyfit(data.rows[places, 0], data.labels[places], 1)
        return lambda rows: np.clip(slope * rows[:, 0] + level, 0.05, 0.95)

    return fit


def walked(data, choices):
    return walk_choices(linear(data), data, folds_of(data), choices, lambda _: None)


def test_after_a_change_the_time_since_is_chosen():
    """What came before foretells the opposite; where nothing came after it yet, the choice could not be tried."""
    found = walked(dataset(), [FULL, SINCE])
    full, since = found.tried
    assert found.best == SINCE
    assert np.isfinite(full.losses).all()
    assert np.isnan(since.losses).tolist() == [True, True, False, False]
    assert (since.losses[2:] < full.losses[2:]).all()
    assert (full.rows, since.rows) == (ROWS, ROWS - CHANGED)


def test_without_a_change_all_of_history_is_kept():
    """A choice that was never tried, for want of rows, is not taken."""
    found = walked(dataset(changed=ROWS), [FULL, Choice("late", since_ns=(ROWS - 50) * NS_PER_S)])
    assert found.best == FULL
    assert np.isnan(found.tried[1].losses).all()


def test_scores_of_a_fold_are_of_what_was_best_before_it():
    """A choice that shows its worth in the third fold counts from the fourth on: no score knows its fold's answers."""
    data = dataset()
    chosen, full = (walked(data, choices).scores for choices in ([FULL, SINCE], [FULL]))
    fold = folds_of(data)[-1]
    last, taken = len(fold.test), SINCE.taken(fold.train, data.ts_event_ns)
    assert np.array_equal(chosen[:-last], full[:-last])
    assert np.array_equal(chosen[-last:], linear(data)(taken)(data.rows[fold.test]))
    assert not np.array_equal(chosen[-last:], full[-last:])


def test_one_choice_is_the_walk_as_it_always_was():
    """Nothing is compared, nothing is left out, and rows are in their order."""
    data = dataset()
    again = [linear(data)(fold.train)(data.rows[fold.test]) for fold in folds_of(data)]
    assert np.array_equal(walked(data, [FULL]).scores, np.concatenate(again))
    assert np.array_equal(learned(FULL, data, every_row(data))[0], np.arange(ROWS))


def test_what_is_tried_follows_from_settings_and_finding():
    """Alone, with windows, with the change that a finding dated, each with its weighted twin."""
    names = [each.name for each in choices_of("validated", "none", 0)]
    assert names == ["full", "latest half", "latest quarter", "since 1970-01-01T00:00"]
    assert choices_of("full", "none", 5) == [FULL]
    twins = choices_of("full", "label", None)
    assert [(each.name, each.weights) for each in twins] == [("full", "none"), ("full, label weights", "label")]


def test_windows_are_the_latest_rows_of_a_past():
    """A share is rounded up; a moment belongs to what came after it."""
    places, times = np.arange(9), np.arange(9) * 10
    assert Choice("half", 0.5).taken(places, times).tolist() == [4, 5, 6, 7, 8]
    assert Choice("since", since_ns=70).taken(places, times).tolist() == [7, 8]
    assert Choice("since", since_ns=90).taken(places, times).tolist() == []


@pytest.mark.parametrize("seed", range(3))
def test_rows_are_repeated_as_they_are_weighted(seed):
    """Each stands there as often as its weight says, to one; as many as there were, in order, nothing drawn."""
    weights = np.random.default_rng(seed).gamma(0.5, size=300)
    weights /= weights.mean()
    places = repeated(weights)
    assert len(places) == 300
    assert (np.diff(places) >= 0).all()
    assert (np.abs(np.bincount(places, minlength=300) - weights) <= 1.0).all()
    assert np.array_equal(repeated(np.ones(300)), np.arange(300))


def test_covariate_weights_make_the_past_look_like_now():
    """The weighted mean of a shifted feature comes to the recent one; where nothing moved, every row counts alike."""
    rng = np.random.default_rng(2)
    past, now = rng.standard_normal((5_000, 2)), rng.standard_normal((5_000, 2)) + np.array([0.8, 0.0])
    weights = covariate_weights(past, now)
    assert weights.mean() == pytest.approx(1.0)
    assert (past * weights[:, None]).mean(axis=0) == pytest.approx([0.8, 0.0], abs=0.15)
    assert weights.max() < 2.0 * WEIGHT_MAX
    assert 1_000 < effective_size(weights) < 4_000
    assert effective_size(covariate_weights(past, rng.standard_normal((5_000, 2)))) > 4_900


def test_a_feature_that_tells_now_from_then_is_bounded():
    """Where the latest rows lie apart from all others no weight runs away, and a constant feature breaks nothing."""
    past = np.column_stack([np.random.default_rng(3).standard_normal(400), np.ones(400)])
    weights = covariate_weights(past, past[:40] + np.array([50.0, 0.0]))
    assert np.isfinite(weights).all()
    assert weights.mean() == pytest.approx(1.0)


def test_label_weights_bring_the_classes_to_their_share_now():
    """A class that became rare counts less; one that is not there any more not at all; none at all is no weight."""
    labels = np.repeat([0.0, 1.0], [500, 500])
    weights = label_weights(labels, np.repeat([0.0, 1.0], [80, 20]))
    assert np.average(labels, weights=weights) == pytest.approx(0.2)
    gone = label_weights(labels, np.zeros(9))
    assert (gone[labels == 1.0] == 0.0).all()
    assert label_weights(np.zeros(5), np.ones(3)).tolist() == [1.0] * 5


def test_too_few_rows_are_not_weighted():
    """A handful of rows has no density to be estimated."""
    data = dataset(rows=ROWS_MIN - 1)
    places, worth = learned(Choice("full", weights="covariate"), data, every_row(data))
    assert (len(places), worth) == (ROWS_MIN - 1, ROWS_MIN - 1)


def candidate(folder, text=STRATEGY, changed_ns=None, **settings: object):
    chosen, strategy = msgspec.structs.replace(TRAINING, **settings), load_strategy(write_strategy(folder, text))
    return train(strategy, market(1_500), INSTRUMENTS, chosen, clock=VirtualClock(1), changed_ns=changed_ns)


def test_a_training_says_what_it_tried_and_took(tmp_path):
    """Every choice's loss, its rows and what they are worth go into the lineage, and so onto the card."""
    changed = int(market(1_500)["ts_event_ns"][700])
    made = candidate(tmp_path, changed_ns=changed, window="validated", weights="covariate")
    told = made.lineage.fold_metrics
    names = {name.partition(": ")[0].removeprefix("window ") for name in told if name.startswith("window ")}
    assert len(names) == 8
    assert made.lineage.parameters["window"] in names
    assert made.lineage.trained_on_rows <= told[FULL_ROWS] == told["window full: effective rows"]
    assert 0.0 < told["window full, covariate weights: effective rows"] < told["window full: rows"]
    assert made.profile.rows == made.lineage.trained_on_rows


def test_the_gate_reads_what_a_training_took_and_tried(tmp_path):
    """The chosen window with its rows and their worth, and a line for every other; without a choice there is none."""
    for settings, chosen in (({"window": "validated", "weights": "covariate"}, True), ({}, False)):
        lineage = candidate(tmp_path, **settings).lineage
        version = SimpleNamespace(manifest=SimpleNamespace(lineage=lineage))
        part = gather_window(SimpleNamespace(version=version), None)
        assert (part.chosen != "") == chosen
        if not chosen:
            assert part == TrainingWindow()
            continue
        [table] = part.tables
        told = {row[0]: row for row in table.rows}
        assert part.chosen in told
        assert told[part.chosen][3:] == [part.rows, part.effective_rows]
        assert 0.0 < part.effective_rows <= part.rows
        assert {"full", "latest half", "full, covariate weights"} <= set(told)


def test_a_training_that_was_asked_for_no_choice_says_nothing_of_it(tmp_path):
    """The lineage, and so the version's name, is as it was before there were choices."""
    made = candidate(tmp_path)
    assert "window" not in made.lineage.parameters
    assert not any(name.startswith("window") for name in made.lineage.fold_metrics)


def test_what_cannot_be_chosen_is_refused(tmp_path):
    """Settings allow the words that there are, and label weights need classes."""
    with pytest.raises(msgspec.ValidationError, match="window"):
        msgspec.convert({"window": "best"}, type(TRAINING))
    with pytest.raises(SettingsInvalid, match="labels of 1 and 0"):
        candidate(tmp_path, STRATEGY.replace("forward_direction", "forward_return"), weights="label")
