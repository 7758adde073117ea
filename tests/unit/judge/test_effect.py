"""How harmful a drift is: told from the scores of the rows since it began, and a reason to keep silent if asked."""

import numpy as np
import pytest
from tape_slices import VERSION, bars, decisions_on, rows_of

from tradeworthy.judge.monitor.control_charts.calibration import ChartSettings
from tradeworthy.judge.monitor.drift import DriftSettings, drift_monitor
from tradeworthy.judge.monitor.effect import ROWS_MAX, ExpectedLoss
from tradeworthy.testing.monitors import check_monitor, run

CHARTS = ChartSettings(runs=20, run_length=2_000)


def losses(rows):
    """Return the expected losses of a model that knows more, the farther its first feature is from nought."""
    p = 1.0 / (1.0 + np.exp(-3.0 * rows[:, 0]))
    return p * (1.0 - p)


def noise(n, seed):
    """Return rows without change."""
    return np.random.default_rng(seed).standard_normal((n, 2))


def moved(way):
    """Return rows of which the first feature comes nearer to nought, goes farther, or the second one moves."""
    rows = noise(2_000, 3)
    if way == "other":
        rows[1_000:, 1] += 1.5
    else:
        rows[1_000:, 0] *= {"harder": 0.3, "easier": 3.0}[way]
    return rows


def monitor(*, harmful_only=False):
    """Return a drift monitor that knows what rows expect of their loss."""
    reference = noise(2_000, 0)
    expected = ExpectedLoss(losses, reference, harmful_only=harmful_only)
    settings = DriftSettings(false_alarms_per_10k=0.1, charts=CHARTS)
    return drift_monitor(
        reference, ["a", "b"], version=VERSION, instruments=["ETH"], settings=settings, expected=expected
    )


def slices(rows):
    """Return decisions and rows in slices."""
    decisions = decisions_on(bars(np.ones(len(rows))), 0.5)
    streams = decisions, rows_of(decisions, rows)
    return [part for stream in streams for part in np.array_split(stream, 4)]


@pytest.mark.parametrize(("way", "sign"), [("harder", "+"), ("easier", "-")])
def test_a_finding_says_what_the_rows_expect_of_the_loss(way, sign):
    """The sign is that of the harm, and the words say what such an estimate cannot see."""
    sentence = run(monitor(), slices(moved(way)))[0].sentence
    assert f"foretell a squared distance {sign}0." in sentence
    assert sentence.endswith("from labels, which cannot see concept drift.")


@pytest.mark.parametrize(("way", "told"), [("harder", True), ("easier", False), ("other", False)])
def test_harmful_only_leaves_out_what_is_no_harm(way, told):
    """Asked for harm alone, a drift that makes cases easier, or that the model does not read, is not told."""
    assert bool(run(monitor(harmful_only=True), slices(moved(way)))) is told
    assert run(monitor(), slices(moved(way)))


def test_what_is_left_out_stays_visible():
    """The figures show how near to an alarm each feature is, whatever is told."""
    watching = monitor(harmful_only=True)
    run(watching, slices(moved("other"))[:-1])
    assert {gauge.subject for gauge in watching.gauges()} >= {"a", "b", "spread of b"}


def test_it_keeps_the_promise_of_every_monitor():
    """Slices and restarts do not change an effect, nor what is left out."""
    check_monitor(monitor, slices(moved("harder")))
    check_monitor(lambda: monitor(harmful_only=True), slices(moved("harder")))


def test_an_effect_is_the_difference_of_expected_losses():
    """Of the rows since the change and those of training; its error shrinks with their number."""
    reference, rows = noise(4_000, 0), 0.3 * noise(600, 1)
    expected = ExpectedLoss(losses, reference)
    expected.keep(0, rows[:300])
    effect = expected.of(0, rows[300:], since=ROWS_MAX)
    assert effect.change == pytest.approx(losses(rows[-ROWS_MAX:]).mean() - losses(reference).mean())
    assert effect.is_harmful
    assert expected.of(0, rows[300:], since=1).error > effect.error
    assert not expected.of(1, noise(600, 2), since=500).is_harmful


def test_instruments_are_kept_apart():
    """Rows of one instrument say nothing of another's."""
    expected = ExpectedLoss(losses, noise(1_000, 0))
    expected.keep(0, np.zeros((500, 2)))
    assert expected.of(1, 5.0 * np.ones((10, 2)), since=500).change < 0.0
