"""Reliability: broken promises of the scores are told, with their size; kept ones and better ones are not."""

import numpy as np
import pytest
from tape_slices import STEP_NS, VERSION

from tradeworthy.judge.monitor.control_charts.calibration import ChartSettings
from tradeworthy.judge.monitor.joins.outcomes import JOINED
from tradeworthy.judge.monitor.reliability import ReliabilityMonitor, ReliabilitySettings, calibration_error
from tradeworthy.testing.monitors import check_monitor, run

N, HALF = 6_000, 3_000
SETTINGS = ReliabilitySettings(false_alarms_per_10k=0.2, charts=ChartSettings(shift_sd=0.2, runs=40, run_length=4_000))


def promised(n, seed, *, slope=1.0, shift=0.0, base=0.0):
    """Return scores, and labels whose log-odds are `slope` times those of the scores, and `shift` more."""
    rng = np.random.default_rng(seed)
    margin = base + rng.standard_normal(n)
    labels = (rng.random(n) < 1.0 / (1.0 + np.exp(-(slope * margin + shift)))).astype(float)
    return 1.0 / (1.0 + np.exp(-margin)), labels


def joined(scores, labels):
    """Return joined outcomes, one a step, each label known a step later."""
    records = np.zeros(len(scores), JOINED)
    records["sequence"] = 2 * np.arange(len(scores)) + 2
    records["decision"] = records["sequence"] - 1
    records["ts_event_ns"] = STEP_NS * (1 + np.arange(len(scores)))
    records["ts_known_ns"] = records["ts_event_ns"] + STEP_NS
    records["version"], records["score"], records["label"] = VERSION, scores, labels
    return records


def changed(after=None):
    """Return outcomes whose promise is kept in the first half, and what it became in the second."""
    parts = promised(HALF, 2), promised(HALF, 3, **(after or {}))
    return joined(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def monitor(shift=0.0):
    """Return a monitor of 4,000 scores out of fold."""
    return ReliabilityMonitor(*promised(4_000, 1, shift=shift), version=VERSION, instruments=["ETH"], settings=SETTINGS)


def slices(records):
    """Return outcomes in slices."""
    return np.array_split(records, 7)


@pytest.mark.parametrize(
    ("after", "subject", "words"),
    [
        ({"shift": 0.6}, "bias", "happens more often than they say"),
        ({"shift": -0.6}, "bias", "happens less often than they say"),
        ({"slope": 0.2}, "confidence", "are too sure of themselves"),
        ({"slope": 3.0}, "confidence", "are not sure enough of themselves"),
    ],
)
def test_a_broken_promise_is_told(after, subject, words):
    """Each way of breaking it is heard after the change, dated near it, in its own words."""
    finding = run(monitor(), slices(changed(after)))[0]
    assert (finding.kind, finding.subject) == ("calibration_error", subject)
    assert finding.ts_event_ns > HALF * STEP_NS
    assert abs(finding.since_ns / STEP_NS - HALF) < 600
    assert words in finding.sentence
    assert "out of fold" in finding.sentence
    assert abs(finding.observed) > abs(finding.reference)


def test_a_kept_promise_is_quiet():
    """Scores that stay as right as out of fold raise nothing, wherever the scores themselves go."""
    assert run(monitor(), slices(changed())) == []
    assert run(monitor(), slices(changed({"base": 1.0}))) == []


def test_a_promise_that_is_kept_better_is_quiet():
    """Misses that shrink towards nothing are a change, and no harm."""
    assert run(monitor(shift=0.8), slices(joined(*promised(N, 4)))) == []


def test_it_keeps_the_promise_of_every_monitor():
    """Slices, restarts, foreign records: the contract kit's checks."""
    check_monitor(monitor, slices(changed({"shift": -0.6})))


def test_instruments_do_not_hide_each_other():
    """A broken promise of one instrument is told of it alone."""
    records = np.concatenate([changed({"shift": 0.8}), changed()])
    records["instrument"] = np.repeat([0, 1], N)
    records = records[np.argsort(records["ts_event_ns"], kind="stable")]
    records["sequence"] = np.arange(1, 2 * N + 1)
    watching = ReliabilityMonitor(*promised(4_000, 1), version=VERSION, instruments=["ETH", "BTC"], settings=SETTINGS)
    found = run(watching, [records])
    assert found
    assert all("of ETH" in each.sentence for each in found)
    errors = {each.instrument: each.value for each in watching.gauges() if each.subject == "calibration_error"}
    assert errors["ETH"] > 2.0 * errors["BTC"]


@pytest.mark.parametrize(
    ("scores", "labels", "error"),
    [
        ([0.5, 0.5], [0.0, 1.0], 0.0),
        ([0.9, 0.9], [0.0, 1.0], 0.4),
        (np.repeat([0.2, 0.8], 100), np.repeat([0.0, 1.0], 100), 0.2),
    ],
)
def test_the_error_is_the_mean_distance_of_promise_and_fact(scores, labels, error):
    """Over bins of scores, weighted by their cases."""
    assert calibration_error(scores, labels) == pytest.approx(error)


def test_the_error_of_nothing_is_not_a_number():
    """No outcome, no error."""
    assert np.isnan(calibration_error([], []))
