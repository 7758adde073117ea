"""Thresholds by group agree with fairlearn's post-processing, at the share that it chooses."""

import numpy as np
import pytest
from fairlearn.metrics import demographic_parity_ratio, selection_rate
from fairlearn.postprocessing import ThresholdOptimizer
from sklearn.base import BaseEstimator, ClassifierMixin

from tradeworthy.change.evidence import fairness
from tradeworthy.change.evidence.mitigation import _cuts
from tradeworthy.change.train.groups import weights_of


class Scored(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose one feature is its score."""

    def fit(self, rows, labels):
        """Learn nothing but the width."""
        self.n_features_in_ = rows.shape[1]
        self.classes_ = np.unique(labels)
        return self

    def predict_proba(self, rows):
        """Return the scores as chances."""
        return np.column_stack([1.0 - rows[:, 0], rows[:, 0]])


def scored(seed, n=6_000):
    """Return two groups, scores of which one group's are lower, and labels that come of them."""
    rng = np.random.default_rng(seed)
    groups = (rng.random(n) < 0.35).astype(np.int64)
    scores = 1.0 / (1.0 + np.exp(-(rng.standard_normal(n) * 1.3 - 1.1 * groups + 0.4)))
    return groups, scores, (rng.random(n) < scores).astype(float)


@pytest.mark.parametrize("seed", range(3))
def test_thresholds_that_select_alike_select_whom_fairlearn_selects(seed):
    """At fairlearn's own selection rate both choose the same rows, but for those between which it draws lots."""
    groups, scores, labels = scored(seed)
    peer = ThresholdOptimizer(
        estimator=Scored().fit(scores[:, None], labels),
        constraints="demographic_parity",
        prefit=True,
        predict_method="predict_proba",
    ).fit(scores[:, None], labels, sensitive_features=groups)
    theirs = peer.predict(scores[:, None], sensitive_features=groups, random_state=seed)
    share = selection_rate(labels, theirs)
    selected = scores >= np.quantile(scores, 1.0 - share)
    tested = fairness.Tested(scores, labels, scores[:, None], selected)
    ours = scores >= _cuts(groups, tested, np.ones(len(groups), bool))[groups]
    assert np.mean(ours == (theirs > 0)) > 0.95
    assert demographic_parity_ratio(labels, ours, sensitive_features=groups) > 0.98
    assert demographic_parity_ratio(labels, selected, sensitive_features=groups) < 0.8


def test_weighed_labels_are_fair_to_fairlearn():
    """Under our weights fairlearn finds the same share of positives in every group of the labels themselves."""
    groups, _, labels = scored(7)
    plain = demographic_parity_ratio(labels, labels, sensitive_features=groups)
    weighed = demographic_parity_ratio(
        labels, labels, sensitive_features=groups, sample_weight=weights_of(groups, labels)
    )
    assert plain < 0.8
    assert weighed == pytest.approx(1.0, abs=1e-12)
