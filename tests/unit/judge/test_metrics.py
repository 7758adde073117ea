"""Classification metrics: values by hand, and what is undefined."""

import math

import numpy as np
import pytest

from tradeworthy.judge import metrics


def test_counts_and_shares_by_hand():
    """Two true positives, one false one, three true negatives and two misses give the textbook figures."""
    labels = [1, 1, 0, 0, 0, 0, 1, 1]
    scores = [0.9, 0.8, 0.7, 0.1, 0.2, 0.3, 0.4, 0.5]
    counts = metrics.confusion(scores, labels)
    assert (counts.true_positive, counts.false_positive, counts.true_negative, counts.false_negative) == (2, 1, 3, 2)
    assert counts.precision == pytest.approx(2 / 3)
    assert counts.recall == pytest.approx(1 / 2)
    assert counts.specificity == pytest.approx(3 / 4)
    assert counts.f1 == pytest.approx(4 / 7)
    assert counts.balanced_accuracy == pytest.approx(5 / 8)
    assert counts.accuracy == pytest.approx(5 / 8)


def test_a_score_at_the_cut_predicts_nothing():
    """Only a score above the cut predicts the positive class."""
    assert metrics.confusion([0.5], [1]).false_negative == 1


def test_auc_counts_pairs_and_half_of_ties():
    """Of four pairs, two won and one tied make an AUC of 5/8."""
    assert metrics.auc([0.2, 0.6, 0.6, 0.4], [0, 0, 1, 1]) == pytest.approx(5 / 8)


def test_midranks_share_ranks_among_equals():
    """Equal values share the mean of the ranks that they take."""
    assert metrics.midranks(np.array([3.0, 1.0, 3.0, 2.0])).tolist() == [3.5, 1.0, 3.5, 2.0]


@pytest.mark.parametrize("labels", [[1, 1], [0, 0]])
def test_metrics_of_one_class_are_undefined_where_they_need_two(labels):
    """AUC and balanced accuracy are NaN when a class is absent; accuracy is not."""
    found = metrics.classification([0.2, 0.9], labels)
    assert math.isnan(found.auc)
    assert math.isnan(found.balanced_accuracy)
    assert found.accuracy == pytest.approx(0.5)


def test_metrics_of_nothing_are_undefined():
    """With no labelled score every metric is NaN, and none raises."""
    found = metrics.classification([], [])
    assert found.n == 0
    assert all(math.isnan(v) for v in (found.accuracy, found.auc, found.brier, found.log_loss, found.f1))


def test_unknown_labels_are_left_out():
    """A label or score that is NaN takes its pair with it."""
    whole = metrics.classification([0.2, 0.9, 0.8], [0, 1, 0])
    gaps = metrics.classification([0.2, 0.9, 0.5, math.nan, 0.8], [0, 1, math.nan, 1, 0])
    assert gaps == whole


def test_different_lengths_are_refused():
    """Scores and labels that do not pair up are a caller's mistake, said with both lengths."""
    with pytest.raises(ValueError, match="3 scores but 2 labels"):
        metrics.auc([1, 2, 3], [0, 1])


def test_hit_rate_leaves_out_what_did_not_move():
    """A score of 0.6 calls a rise; a market that stood still counts neither way."""
    assert metrics.hit_rate([0.6, 0.4, 0.6, 0.7], [0.01, -0.02, -0.01, 0.0]) == pytest.approx(2 / 3)
    assert math.isnan(metrics.hit_rate([0.6], [0.0]))


def test_brier_and_log_loss_by_hand():
    """A score of 0.8 for a 1 costs 0.04 and ln(1/0.8)."""
    assert metrics.brier([0.8], [1]) == pytest.approx(0.04)
    assert metrics.log_loss([0.8], [1]) == pytest.approx(math.log(1.25))
