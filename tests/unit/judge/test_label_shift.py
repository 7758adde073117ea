"""Label shift: known class mixes are recovered within their intervals, and a calibration does not lie."""

import numpy as np
import pytest

from tradeworthy.judge.monitor.label_shift import LabelShift, bbse, fit_platt


def drawn(rng, n, share):
    """Return scores of overlapping classes, calibrated for equal shares, and labels."""
    labels = (rng.random(n) < share).astype(float)
    return 1.0 / (1.0 + np.exp(-rng.normal(0.5 * (2.0 * labels - 1.0), 1.0))), labels


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("way", ["by_confusion", "by_likelihood"])
def test_a_known_mix_lies_within_its_interval(share, way):
    """Of twenty 95% intervals at least sixteen hold the true share, and the estimates are near it on average."""
    held, estimates = 0, []
    for seed in range(20):
        rng = np.random.default_rng([seed, int(100 * share)])
        shift = LabelShift(*drawn(rng, 2_000, 0.5), rng=rng, draws=60)
        mix = getattr(shift, way)(drawn(rng, 1_500, share)[0])
        held += mix.low[1] <= share <= mix.high[1]
        estimates.append(mix.shares[1])
    assert held >= 16
    assert np.mean(estimates) == pytest.approx(share, abs=0.04)


def test_scores_that_are_not_probabilities_are_calibrated_first():
    """Overconfident scores give the same likeliest mix as honest ones."""
    rng = np.random.default_rng(1)
    scores, labels = drawn(rng, 3_000, 0.5)
    now = drawn(rng, 2_000, 0.75)[0]
    honest = LabelShift(scores, labels, rng=np.random.default_rng(2), draws=5).by_likelihood(now).shares[1]
    sure = [1.0 / (1.0 + ((1.0 - s) / s) ** 3) for s in (scores, now)]
    bold = LabelShift(sure[0], labels, rng=np.random.default_rng(2), draws=5).by_likelihood(sure[1]).shares[1]
    assert bold == pytest.approx(honest, abs=0.01)


def test_overlapping_labels_widen_the_interval():
    """Blocks of dependent scores make the estimate less sure than the same number of independent ones."""
    rng = np.random.default_rng(3)
    scores, labels = (np.repeat(each, 20) for each in drawn(rng, 150, 0.5))
    now = np.repeat(drawn(rng, 100, 0.5)[0], 20)
    widths = []
    for block in (1, 40):
        mix = LabelShift(scores, labels, rng=np.random.default_rng(4), block=block, draws=60).by_likelihood(now)
        widths.append(mix.high[1] - mix.low[1])
    assert widths[1] > 2.0 * widths[0]


def test_the_inverted_matrix_gives_the_mix_of_several_classes():
    """With exact rates of confusion the mix of three classes is exact."""
    labels = np.repeat([0, 1, 2], 1_000)
    predicted = np.concatenate([np.repeat([0, 1, 2], n) for n in ((800, 100, 100), (100, 700, 200), (50, 150, 800))])
    shares = np.array([0.2, 0.3, 0.5])
    rates = np.array([[0.8, 0.1, 0.05], [0.1, 0.7, 0.15], [0.1, 0.2, 0.8]])
    now = np.repeat([0, 1, 2], np.round(10_000 * rates @ shares).astype(int))
    assert bbse(predicted, labels, now, 3) == pytest.approx(shares, abs=1e-6)


@pytest.mark.parametrize("now", [np.empty(0), np.full(50, 0.7)])
def test_what_cannot_be_estimated_is_not_a_number(now):
    """No scores, or predictions that tell nothing of the class, give NaN."""
    scores, labels = np.full(600, 0.5), np.tile([0.0, 1.0], 300)
    shift = LabelShift(scores, labels, rng=np.random.default_rng(6), draws=5)
    assert np.isnan(shift.by_confusion(now).shares).all()


def test_a_calibration_recovers_the_odds():
    """Scores whose odds were squared are brought back."""
    rng = np.random.default_rng(7)
    p = rng.uniform(0.05, 0.95, 20_000)
    labels = rng.random(20_000) < p
    platt = fit_platt(1.0 / (1.0 + ((1.0 - p) / p) ** 2), labels)
    assert platt.slope == pytest.approx(0.5, abs=0.03)
    assert platt.shift == pytest.approx(0.0, abs=0.05)
