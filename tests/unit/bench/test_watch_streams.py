"""The streams of the detection table are what they say, and what is written of a monitor's alarms is right."""

import numpy as np
import pytest
import watch_detection
from watch_detection import CHANGE, heard, null_line, of_errors, of_mix
from watch_streams import errors, labelled

from tradeworthy.judge.metrics import auc


def test_labels_change_their_share_and_nothing_else():
    """Before the change half of the labels are 1, after it seven tenths; scores tell them apart as well as before."""
    rows = labelled(0.5, 40_000, 3, change=20_000, after=0.7)
    for part, share in ((rows[:20_000], 0.5), (rows[20_000:], 0.7)):
        assert part[:, 1].mean() == pytest.approx(share, abs=0.015)
        assert auc(part[:, 0], part[:, 1]) == pytest.approx(0.76, abs=0.01)


@pytest.mark.parametrize("horizon", [1, 20])
def test_errors_keep_their_rate_however_they_overlap(horizon):
    """The share of errors is the asked one; they are dependent up to the horizon and no further."""
    stream = errors(0.45, horizon, 60_000, 4)
    centred = stream - stream.mean()
    assert stream.mean() == pytest.approx(0.45, abs=0.02)
    assert (np.mean(centred[1:] * centred[:-1]) > 0.1) == (horizon > 1)
    assert abs(np.mean(centred[25:] * centred[:-25])) < 0.01


def test_a_change_of_the_mix_is_heard_by_the_monitor_itself():
    """Scores and labels go through a class-balance monitor; a share of 80% is heard soon after its change."""
    rows = labelled(0.5, 5_000, 5, change=3_500, after=0.8)
    alarms = of_mix(rows[:3_000])(rows[3_000:])
    assert 500 <= alarms[0] < 700


def test_both_tests_of_errors_are_quiet_after_an_alarm():
    """Flipped labels are told, and told again only after the pause."""
    stream = errors(0.2, 1, 6_000, 6, change=3_500, after=0.8)[:, None]
    alarms = of_errors(1)(stream[:3_000])(stream[3_000:])
    assert 500 <= alarms[0] < 540
    assert np.diff(alarms).min() > watch_detection.QUIET_EVENTS


def test_a_rate_has_an_interval_from_its_runs():
    """The mean over runs, and how far the runs scatter; a rate is never below zero."""
    streams = [np.full((watch_detection.REFERENCE + 1, 1), place) for place in (0, 0, 1, 3)]
    (line,) = null_line(
        "x", streams, lambda reference: lambda rows: [len(rows) - 1] * int(reference[0, 0]), peers=False
    )
    assert line["false_alarms_per_10k"] == 1.0
    assert line["interval"][0] == 0.0
    assert line["interval"][1] == pytest.approx(1.0 + 1.96 * np.sqrt(2.0) / 2.0, rel=1e-3)


def test_delays_count_from_the_change_and_early_alarms_are_false():
    """Alarms before the change are counted apart; a run that hears nothing is endless, and so may be the interval."""
    line = heard([[3, CHANGE + 9], [CHANGE + 19], [CHANGE + 29], []])
    assert (line["detected"], line["median_delay"], line["false_alarms_before"]) == (0.75, 20, 1)
    assert line["interval"][1] is None
    assert heard([[], [], [CHANGE]])["median_delay"] is None
