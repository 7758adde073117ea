"""Classification metrics agree with scikit-learn to 1e-12."""

import numpy as np
import pytest
from sklearn import metrics as peer

from tradeworthy.judge import metrics

CASES = {
    "plain": (400, 0.5, 6),
    "with many ties": (400, 0.5, 1),
    "rare positives": (1_000, 0.03, 6),
    "few rows": (7, 0.5, 2),
}


@pytest.fixture(params=CASES)
def scored(request):
    """Return scores and labels of a case, both classes present."""
    n, share, digits = CASES[request.param]
    rng = np.random.default_rng(n)
    labels = (rng.random(n) < share).astype(float)
    labels[:2] = 0.0, 1.0
    return np.round(np.clip(rng.normal(0.45 + 0.1 * labels, 0.15), 0.001, 0.999), digits), labels


@pytest.mark.parametrize("cut", [0.3, 0.5])
def test_predicted_classes_are_judged_as_scikit_learn_does(scored, cut):
    """Accuracy, precision, recall, F1 and balanced accuracy are scikit-learn's."""
    scores, labels = scored
    ours, said = metrics.classification(scores, labels, cut), scores > cut
    assert ours.accuracy == pytest.approx(peer.accuracy_score(labels, said), abs=1e-12)
    assert ours.balanced_accuracy == pytest.approx(peer.balanced_accuracy_score(labels, said), abs=1e-12)
    assert ours.recall == pytest.approx(peer.recall_score(labels, said), abs=1e-12)
    if said.any():
        assert ours.precision == pytest.approx(peer.precision_score(labels, said), abs=1e-12)
        assert ours.f1 == pytest.approx(peer.f1_score(labels, said), abs=1e-12)


def test_scores_are_judged_as_scikit_learn_does(scored):
    """AUC (ties included), Brier score and log loss are scikit-learn's."""
    scores, labels = scored
    ours = metrics.classification(scores, labels)
    assert ours.auc == pytest.approx(peer.roc_auc_score(labels, scores), abs=1e-12)
    assert ours.brier == pytest.approx(peer.brier_score_loss(labels, scores), abs=1e-12)
    assert ours.log_loss == pytest.approx(peer.log_loss(labels, np.clip(scores, 1e-15, 1 - 1e-15)), abs=1e-12)


def test_certain_scores_have_a_finite_log_loss_as_in_scikit_learn():
    """A wrong score of exactly 0 or 1 costs what scikit-learn says it costs."""
    scores, labels = np.array([0.0, 1.0, 0.4]), np.array([1.0, 0.0, 1.0])
    assert metrics.log_loss(scores, labels) == pytest.approx(peer.log_loss(labels, scores), abs=1e-12)
