"""Realised performance is measured as labels arrive, and told when it is worse than the gate measured."""

import math

import numpy as np
import pytest
from tape_slices import VERSION, bars, decisions_on, outcomes_of

from tradeworthy.core.errors import DataInvalid
from tradeworthy.core.time import NS_PER_HOUR
from tradeworthy.judge.metrics import classification
from tradeworthy.judge.monitor.control_charts.calibration import ChartSettings
from tradeworthy.judge.monitor.control_charts.chart_table import CLIP
from tradeworthy.judge.monitor.joins.outcomes import OutcomeJoin
from tradeworthy.judge.monitor.performance import (
    PerformanceMonitor,
    PerformanceSettings,
    losses_of,
    performance_reference,
)

QUICK = ChartSettings(shift_sd=0.2, runs=30, run_length=4_000)
BRIER = PerformanceSettings(charts=QUICK)
ERROR = PerformanceSettings(loss="error", charts=QUICK)


def calls(n, skill, seed):
    """Return scores of 0.3 or 0.7 that are right in a share of cases, with their labels."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.5).astype(float)
    right = rng.random(n) < skill
    return np.where(right == (labels > 0.5), 0.7, 0.3), labels


@pytest.fixture(scope="module", params=[BRIER, ERROR], ids=["brier", "error"])
def setting_and_reference(request):
    """Return settings and a reference of a model that is right in 70% of cases."""
    return request.param, performance_reference(*calls(3_000, 0.7, 1), horizon=1, settings=request.param)


def feed(monitor, scores, labels, start=1, horizon=2):
    """Give a monitor decisions and their outcomes, known so many bars later; return its findings."""
    decisions = decisions_on(bars(np.ones(len(scores)), first_sequence=start), scores)
    outcomes = outcomes_of(decisions, labels)
    outcomes["ts_event_ns"] = decisions["ts_event_ns"] + horizon * NS_PER_HOUR // 2
    monitor.observe(decisions)
    monitor.observe(outcomes)
    return monitor.findings()


def watcher(setting_and_reference):
    """Return a monitor of this version."""
    settings, reference = setting_and_reference
    return PerformanceMonitor(OutcomeJoin(versions=[VERSION]), reference, settings)


def test_a_model_as_good_as_at_the_gate_raises_nothing(setting_and_reference):
    """The same skill gives no finding."""
    assert feed(watcher(setting_and_reference), *calls(3_000, 0.7, 2)) == []


def test_a_better_model_raises_nothing(setting_and_reference):
    """Only harm is told."""
    assert feed(watcher(setting_and_reference), *calls(3_000, 0.95, 3)) == []


def test_lost_skill_is_told(setting_and_reference):
    """A model that falls to coin tossing is told, with the loss before and now, and since when."""
    good, bad = calls(1_000, 0.7, 4), calls(1_500, 0.5, 5)
    scores, labels = (np.concatenate(pair) for pair in zip(good, bad, strict=True))
    found = feed(watcher(setting_and_reference), scores, labels)
    assert 1 <= len(found) <= 2
    finding, reference = found[0], setting_and_reference[1]
    assert (finding.monitor, finding.kind, finding.severity) == ("performance", "performance", "critical")
    assert finding.reference == reference.mean
    assert finding.observed > reference.upper
    changed_ns, alarm_ns = 1_000 * NS_PER_HOUR // 2, 1_500 * NS_PER_HOUR // 2
    assert abs(finding.since_ns - changed_ns) < 100 * NS_PER_HOUR
    assert changed_ns < finding.ts_event_ns < alarm_ns
    assert "the gate measured" in finding.sentence


def test_the_summary_is_what_arrived(setting_and_reference):
    """Totals count every outcome; rolling metrics are those of the last ones."""
    settings, _ = setting_and_reference
    monitor = watcher(setting_and_reference)
    scores, labels = calls(1_500, 0.7, 6)
    feed(monitor, scores, labels)
    summary = monitor.summary()
    assert (summary.outcomes, summary.waiting, summary.given_up) == (1_500, 0, 0)
    assert summary.accuracy == pytest.approx(np.mean((scores > 0.5) == (labels > 0.5)))
    assert summary.mean_loss == pytest.approx(losses_of(scores, labels, settings).mean())
    assert summary.rolling == classification(scores[-settings.window :], labels[-settings.window :])


def test_nothing_arrived_is_not_a_number():
    """Before the first label there is no performance, and no error."""
    summary = PerformanceMonitor(OutcomeJoin()).summary()
    assert summary.outcomes == 0
    assert math.isnan(summary.accuracy)
    assert math.isnan(summary.rolling.auc)


def test_without_a_reference_performance_is_measured_only():
    """No gate figure, no test for harm: the summary is there, findings are not."""
    monitor = PerformanceMonitor(OutcomeJoin())
    assert feed(monitor, *calls(2_000, 0.1, 7)) == []
    assert monitor.summary().accuracy < 0.2


def test_unknown_labels_are_left_out():
    """An outcome without a label counts nowhere."""
    monitor = PerformanceMonitor(OutcomeJoin())
    feed(monitor, [0.3, 0.7], [0.0, math.nan])
    assert monitor.summary().outcomes == 1


def test_a_model_of_returns_is_judged_by_its_sign():
    """With both cuts at zero a wrong sign is an error."""
    settings = PerformanceSettings(loss="error", score_cut=0.0, label_cut=0.0)
    assert losses_of([0.01, -0.02, 0.03], [0.5, 0.1, -0.1], settings).tolist() == [0.0, 1.0, 1.0]


def test_the_bound_of_the_reference_covers_overlap():
    """Ten copies of each outcome are known less well than as many fresh ones, so the bound is further up."""
    settings = PerformanceSettings(loss="error", charts=ChartSettings(runs=5, run_length=500))
    copies = performance_reference(*np.repeat(calls(300, 0.7, 8), 10, axis=1), horizon=10, settings=settings)
    fresh = performance_reference(*calls(3_000, 0.7, 8), horizon=1, settings=settings)
    assert copies.upper - copies.mean > 2 * (fresh.upper - fresh.mean) > 0.0


def test_too_short_a_walk_is_refused():
    """A reference of a hundred scores says nothing, and is refused."""
    with pytest.raises(DataInvalid, match="at least 200"):
        performance_reference(*calls(100, 0.7, 9), horizon=1)


def rare(n, seed, share, harmed_from=None):
    """Return calibrated scores of a class that few cases are of, and labels; harmed, its odds are three times these."""
    rng = np.random.default_rng(seed)
    margin = np.log(share / (1.0 - share)) - 0.3 + rng.standard_normal(n)
    harm = 0.0 if harmed_from is None else np.log(3.0) * (np.arange(n) >= harmed_from)
    labels = (rng.random(n) < 1.0 / (1.0 + np.exp(-(margin + harm)))).astype(float)
    return 1.0 / (1.0 + np.exp(-margin)), labels


@pytest.mark.parametrize(("share", "within"), [(0.08, 600), (0.02, 1_000), (0.005, 4_000)])
def test_harm_to_a_rare_class_is_heard_by_default(share, within):
    """Odds three times what the scores say are heard by the default loss, without alarms before."""
    settings = PerformanceSettings(
        false_alarms_per_10k=0.2, charts=ChartSettings(shift_sd=0.3, runs=30, run_length=4_000)
    )
    assert settings.loss == "brier"
    reference = performance_reference(*rare(8_000, 1, share), horizon=1, settings=settings)
    found = feed(watcher((settings, reference)), *rare(9_000, 3, share, harmed_from=5_000))
    heard = (found[0].ts_event_ns - 2 * NS_PER_HOUR // 2) // (NS_PER_HOUR // 2) - 5_000
    assert 0 < heard < within


def test_losses_of_a_rare_class_are_not_cut():
    """The chart of losses knows every loss of the reference whole; a robust scale would cut those of the class at 3."""
    scores, labels = rare(8_000, 1, 0.02)
    losses = losses_of(scores, labels)
    charts = performance_reference(scores, labels, horizon=1, settings=BRIER).charts
    largest = (losses.max() - losses.mean()) / losses.std()
    assert charts.constants[0, CLIP] == pytest.approx(largest)
    assert largest > 5.0


def overlapping(n, seed, *, turned=None):
    """Return scores and labels of calls that are wrong in 45% of cases, from `turned` on in 55%, 20 labels at once."""
    rng = np.random.default_rng(seed)
    ahead = np.convolve(rng.standard_normal(n + 19), np.ones(20), "valid") / math.sqrt(20)
    cut = np.full(n, -0.12566)
    if turned is not None:
        cut[turned:] = 0.12566
    return np.full(n, 0.4), (ahead < cut).astype(float)


def test_harm_under_overlapping_labels_is_heard_and_calm_is_not():
    """With 20 labels overlapping 45% of errors raise nothing in most runs; 55% are heard within 5,000 in nearly all."""
    settings = PerformanceSettings(loss="error", charts=ChartSettings(shift_sd=0.25, own_reach=1.0, runs=40))
    false, heard = [], []
    for seed in range(6):
        reference = performance_reference(*overlapping(5_000, seed), horizon=20, settings=settings)
        for turned, told in ((None, false), (0, heard)):
            monitor = PerformanceMonitor(OutcomeJoin(versions=[VERSION]), reference, settings)
            told.append(len(feed(monitor, *overlapping(5_000, 100 + seed, turned=turned), horizon=20)) > 0)
    assert sum(false) <= 3
    assert sum(heard) >= 5
