"""PAPE: performance foreseen with a calibration for the rows of late, right where CBPE is not, blind where it is."""

import numpy as np
import pytest
from tape_slices import VERSION, bars, decisions_on, outcomes_of, rows_of

from tradeworthy.judge.monitor.adaptive import AdaptiveCalibration, LastRows
from tradeworthy.judge.monitor.control_charts.calibration import ChartSettings
from tradeworthy.judge.monitor.estimated import EstimatedPerformanceMonitor, EstimatedSettings, estimate
from tradeworthy.judge.monitor.joins.joined import ForwardingJoin
from tradeworthy.judge.monitor.joins.pairing import RowPairing
from tradeworthy.judge.monitor.label_shift import fit_platt
from tradeworthy.testing.monitors import check_monitor, run

SETTINGS = EstimatedSettings(false_alarms_per_10k=1.0, charts=ChartSettings(shift_sd=0.3, runs=20, run_length=3_000))


def predict(rows):
    """Return the scores of a model that reads the first feature alone."""
    return 1.0 / (1.0 + np.exp(-1.5 * rows[:, 0]))


def cases(n, seed, *, second=0.0, third=0.0, concept=1.0):
    """Return rows and labels; what the second feature does to a label the model does not know."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, 3)) + np.array([0.0, second, third])
    margin = concept * 1.5 * rows[:, 0] + 1.2 * rows[:, 1]
    return rows, (rng.random(n) < 1.0 / (1.0 + np.exp(-margin))).astype(float)


def calibration(seed=1):
    """Return the adaptive calibration of 5,000 training rows."""
    rows, labels = cases(5_000, seed)
    return AdaptiveCalibration(rows, predict(rows), labels, predict)


def realised(rows, labels, p):
    """Return the Brier loss of probabilities, and the share of class 1."""
    return float(np.mean((p - labels) ** 2)), float(labels.mean())


def test_under_covariate_shift_it_is_right_where_cbpe_is_not():
    """A feature that the model does not read moves: the share of class 1 and the loss are foreseen all the same."""
    rows, labels = cases(4_000, 2, second=1.5)
    train, known = cases(5_000, 1)
    plain = fit_platt(predict(train), known)(predict(rows))
    adapted = calibration().foreseen(rows).probabilities
    loss, share = realised(rows, labels, adapted)
    assert abs(plain.mean() - share) > 0.15
    assert abs(adapted.mean() - share) < 0.03
    assert abs(estimate(adapted).brier - loss) < 0.01
    assert abs(estimate(plain, adapted).brier - realised(rows, labels, plain)[0]) < 0.01
    assert loss < realised(rows, labels, plain)[0] - 0.02


@pytest.mark.parametrize("third", [0.0, 1.0])
def test_without_a_shift_that_matters_it_is_cbpe(third):
    """Rows like those of training, or moved where it changes nothing, are calibrated as before."""
    rows, labels = cases(4_000, 3, third=third)
    train, known = cases(5_000, 1)
    said = fit_platt(predict(train), known)(predict(rows))
    plain, adapted = estimate(said), estimate(said, calibration().foreseen(rows).probabilities)
    assert adapted.accuracy == pytest.approx(plain.accuracy, abs=0.02)
    assert adapted.auc == pytest.approx(plain.auc, abs=0.02)
    assert adapted.accuracy == pytest.approx(np.mean((predict(rows) > 0.5) == labels), abs=0.03)


def test_it_cannot_see_concept_drift():
    """A model that reads the wrong way round is foreseen to be as good as ever: only labels show it."""
    rows, labels = cases(4_000, 4, concept=-1.0)
    p = calibration().foreseen(rows).probabilities
    assert estimate(p).accuracy > 0.6
    assert np.mean((p > 0.5) == labels) < 0.4


@pytest.mark.parametrize(("rows", "train"), [(99, 5_000), (500, 99)])
def test_too_little_foresees_nothing(rows, train):
    """With fewer than 100 rows on either side there is no estimate."""
    trained, labels = cases(train, 1)
    adaptive = AdaptiveCalibration(trained, predict(trained), labels, predict)
    assert len(adaptive.foreseen(cases(rows, 2)[0]).scores) == 0


def test_rows_that_are_not_known_are_left_out():
    """Training rows of which no sample is kept do not count, nor do rows of late with something missing."""
    rows, labels = cases(5_000, 1)
    scores = predict(rows)
    rows[::2] = np.nan
    whole = AdaptiveCalibration(rows[1::2], scores[1::2], labels[1::2], predict)
    partial = AdaptiveCalibration(rows, scores, labels, predict)
    late = cases(300, 5)[0]
    gappy = np.concatenate([late, np.full((1, 3), np.nan)])
    np.testing.assert_array_equal(partial.foreseen(gappy).probabilities, whole.foreseen(late).probabilities)


def harder(n=2_400):
    """Return the slices of a tape whose second half has scores nearer to one half, and a moved second feature."""
    rows, _ = cases(n, 6)
    rows[n // 2 :] *= np.array([0.3, 1.0, 1.0])
    rows[n // 2 :, 1] += 1.5
    margin = 1.5 * rows[:, 0] + 1.2 * rows[:, 1]
    labels = (np.random.default_rng(7).random(n) < 1.0 / (1.0 + np.exp(-margin))).astype(float)
    events = bars(np.ones(n), stride=4)
    decisions = decisions_on(events, predict(rows))
    outcomes = outcomes_of(decisions, labels, at=2)
    join = ForwardingJoin(versions=[VERSION])
    join.observe(decisions)
    join.observe(outcomes)
    inputs = np.sort(np.concatenate([events, outcomes]), order="sequence")
    streams = inputs, decisions, join.take(), rows_of(decisions, rows)
    return [part for stream in streams for part in np.array_split(stream, 3)]


def monitor():
    """Return a monitor of estimated performance that knows rows."""
    rows, labels = cases(4_000, 1)
    last = LastRows(calibration(), RowPairing(VERSION, 3))
    return EstimatedPerformanceMonitor(
        predict(rows), labels, version=VERSION, instruments=["ETH"], settings=SETTINGS, rows=last
    )


def test_a_finding_has_both_estimates_and_what_was_realised():
    """Beside the foreseen figure stand the adapted one, realised performance and what none of both can see."""
    finding = run(monitor(), harder())[0]
    assert "Calibrated for the last" in finding.sentence
    assert "(PAPE)" in finding.sentence
    assert "Realised over the last" in finding.sentence
    assert finding.sentence.endswith("cannot see concept drift; only labels can.")


def test_it_keeps_the_promise_of_every_monitor():
    """However the tape is sliced, restarts and all, the same is told."""
    check_monitor(monitor, harder())


def test_the_summary_shows_all_three():
    """Foreseen, adapted and realised stand side by side."""
    watching = monitor()
    run(watching, harder())
    shown = watching.summary()
    assert shown.adapted is not None
    assert shown.adapted.decisions == shown.estimated.decisions == SETTINGS.window
    assert shown.adapted.brier == pytest.approx(shown.realised.brier, abs=0.04)
    assert shown.adapted.accuracy == pytest.approx(shown.realised.accuracy, abs=0.05)
