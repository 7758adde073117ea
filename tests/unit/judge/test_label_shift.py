"""Label shift: known class mixes are recovered within their intervals, and a calibration does not lie."""

import numpy as np
import pytest

from tradeworthy.judge.monitor.label_shift import LabelShift, bbse, confusion, fit_platt


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


def test_scores_that_persist_widen_the_interval_by_themselves():
    """Scores of which twenty in a row are the same make the estimate less sure than the same ones shuffled."""
    rng = np.random.default_rng(3)
    scores, labels = (np.repeat(each, 20) for each in drawn(rng, 150, 0.5))
    now, order = np.repeat(drawn(rng, 100, 0.5)[0], 20), rng.permutation(3_000)
    widths = []
    for reference in ((scores, labels), (scores[order], labels[order])):
        mix = LabelShift(*reference, rng=np.random.default_rng(4), draws=60).by_likelihood(now)
        widths.append(mix.high[1] - mix.low[1])
    assert widths[0] > 2.0 * widths[1]


def test_few_scores_are_drawn_in_parts():
    """An interval of fewer scores than a block of the reference has is not a point."""
    rng = np.random.default_rng(3)
    scores, labels = (np.repeat(each, 100) for each in drawn(rng, 60, 0.5))
    mix = LabelShift(scores, labels, rng=rng, draws=60).by_likelihood(drawn(rng, 60, 0.5)[0])
    assert 0.0 < mix.high[1] - mix.low[1] < 1.0


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_mix_is_never_said_to_be_none(share):
    """Whatever part of the cases is of class 1, the scores lie between those of both classes."""
    rng = np.random.default_rng(8)
    shift = LabelShift(*drawn(rng, 3_000, 0.5), rng=rng, draws=60)
    assert shift.unmixed(drawn(rng, 1_000, share)[0]) is None


@pytest.mark.parametrize(("moved", "beyond"), [(-0.2, "least"), (0.2, "most")])
def test_scores_outside_both_classes_are_no_mix(moved, beyond):
    """Scores of a weak model that all moved lie beyond what any mix makes, and it is said how far that reaches."""
    rng = np.random.default_rng(9)
    labels = (rng.random(4_000) < 0.5).astype(float)
    scores = np.clip(0.5 + 0.02 * (labels - 0.5) + 0.1 * rng.standard_normal(4_000), 0.01, 0.99)
    shift = LabelShift(scores[:3_000], labels[:3_000], rng=rng, draws=60)
    assert shift.unmixed(scores[3_000:]) is None
    found = shift.unmixed(np.clip(scores[3_000:] + moved, 0.0, 1.0))
    assert found.mean == pytest.approx(0.5 + moved, abs=0.02)
    assert found.least == pytest.approx(0.49, abs=0.01)
    assert found.most == pytest.approx(0.51, abs=0.01)
    assert (found.mean - getattr(found, beyond)) * moved > 0.0


@pytest.mark.parametrize("now", [np.empty(0), np.full(50, 0.9)])
def test_without_both_classes_nothing_is_said_of_a_mix(now):
    """No scores, or a reference of one class alone, say nothing of what a mix makes."""
    scores = np.random.default_rng(5).uniform(0.3, 0.5, 600)
    labels = np.ones(600) if len(now) else np.tile([0.0, 1.0], 300)
    assert LabelShift(scores, labels, rng=np.random.default_rng(6), draws=5).unmixed(now) is None


def test_the_inverted_matrix_gives_the_mix_of_several_classes():
    """With exact rates of confusion the mix of three classes is exact."""
    labels = np.repeat([0, 1, 2], 1_000)
    predicted = np.concatenate([np.repeat([0, 1, 2], n) for n in ((800, 100, 100), (100, 700, 200), (50, 150, 800))])
    shares = np.array([0.2, 0.3, 0.5])
    rates = np.array([[0.8, 0.1, 0.05], [0.1, 0.7, 0.15], [0.1, 0.2, 0.8]])
    now = np.repeat([0, 1, 2], np.round(10_000 * rates @ shares).astype(int))
    found = bbse(confusion(predicted, labels, 3), np.bincount(now, minlength=3).astype(np.float64))
    assert found == pytest.approx(shares, abs=1e-6)


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
