"""How soon a changed class mix and an unfair group are heard: more harm sooner, and what is not seen is said."""

import numpy as np
import pytest

from tradeworthy.core.time import NS_PER_HOUR
from tradeworthy.judge.monitor.class_balance import SUBJECTS, BalanceSettings, ClassBalanceMonitor
from tradeworthy.judge.monitor.control_charts.calibration import ChartSettings
from tradeworthy.judge.monitor.group_fairness import FairnessMonitor, FairnessSettings
from tradeworthy.judge.monitor.grouping import Trained
from tradeworthy.judge.monitor.labelled_delays import (
    LOST_POINTS,
    MORE_POINTS,
    OF_LABELLED,
    SELECTED_NAME,
    balance_table,
    groups_table,
    lost_name,
    more_name,
)

N = 4_000
BY_LABELS, BY_SCORES = SUBJECTS["labels"], SUBJECTS["scores"]
CHARTS = ChartSettings(runs=20, run_length=2_000, shift_sd=0.3)


def trained(skill=1.0, cut=0.0):
    """Return out-of-fold cases an hour apart with two features, of which the first makes no difference."""
    rng = np.random.default_rng(3)
    up = rng.random(N) < 0.5
    odds = rng.normal(skill * (2.0 * up - 1.0), 1.0)
    rows = rng.standard_normal((N, 2))
    scores, labels = (1.0 / (1.0 + np.exp(-odds)), up.astype(float)) if cut else (odds, np.where(up, 1.0, -1.0))
    return Trained(scores, labels, NS_PER_HOUR * np.arange(N), rows)


def rng():
    """Return where what is drawn comes from."""
    return np.random.default_rng(0)


def balance(skill):
    """Return the table of a monitor of the mix for a model of a skill."""
    known = trained(skill, 0.5)
    settings = BalanceSettings(charts=CHARTS)
    monitor = ClassBalanceMonitor(known.scores, known.labels, version=1, settings=settings)
    return {line.name: line for line in balance_table(monitor, known, 0.5, rng=rng()).series}, monitor


def groups(known=None, **chosen: object):
    """Return the table of a monitor of groups."""
    known = known or trained(cut=0.5)
    settings = FairnessSettings(**{"by": ("fast", "session"), "window": 1_000, **chosen})
    monitor = FairnessMonitor(
        version=1, instruments=["ETH"], features=["fast", "slow"], fields=["f"], trained=known, settings=settings
    )
    return groups_table(monitor, known, settings, rng=rng()), monitor


def test_a_larger_change_of_the_mix_is_heard_sooner():
    """By labels and, where scores tell much, without them; before labels it takes no less."""
    lines, monitor = balance(1.0)
    assert list(lines) == [point.name for point in monitor.operating]
    for subject, line in lines.items():
        less, more = (line.delays[more_name(points, subject)] for points in MORE_POINTS)
        assert 1.0 <= more < less <= N
        assert line.said == ""
    assert lines[BY_SCORES].delays[more_name(20, BY_SCORES)] >= lines[BY_LABELS].delays[more_name(20)]


def test_what_weak_scores_do_not_tell_waits_for_labels():
    """Scores that hardly differ between the classes show a mix late or never; its labels show it as before."""
    lines, _ = balance(0.02)
    by_labels, by_scores = lines[BY_LABELS].delays[more_name(20)], lines[BY_SCORES].delays[more_name(20, BY_SCORES)]
    assert by_scores is None or by_scores > 5.0 * by_labels
    unseen = [harm for harm, delay in lines[BY_SCORES].delays.items() if delay is None]
    assert all(harm in lines[BY_SCORES].said for harm in unseen)


def test_a_harmed_group_is_heard_at_a_look():
    """A group that loses much accuracy is told at the end of a window; a little is put up with, and that is said."""
    table, _ = groups()
    lines = {line.name: line.delays for line in table.series}
    assert set(lines) == {"fast", "session"}
    for delays in lines.values():
        assert delays[lost_name(5)] is None
        assert delays[SELECTED_NAME] is None or delays[SELECTED_NAME] % 1_000 == 0
    assert 1_000 <= lines["fast"][lost_name(20)] <= N
    assert lost_name(5) in table.series[0].said
    assert table.reference_rows == N


def test_a_longer_look_sees_smaller_gaps():
    """What a short window does not see a longer one does, and no look fits into a window beyond the reference."""
    seen = [groups(window=window)[0].series[0].delays[SELECTED_NAME] for window in (100, 1_000, 2 * N)]
    assert seen[0] is None or seen[0] >= seen[1]
    assert seen[1] is not None
    assert seen[2] is None


def test_a_model_of_returns_has_groups_too():
    """Labels on the other side of nought are wrong calls; calibration is not compared."""
    table, _ = groups(trained(), score_cut=0.0, label_cut=0.0)
    assert table.series[0].delays[lost_name(20)] is not None


def test_the_monitor_is_left_fresh():
    """Playing leaves neither counts nor findings behind."""
    _, monitor = groups()
    assert monitor.findings() == []
    assert all(
        not part.any() for name, part in monitor.state().items() if name.startswith(("totals", "window", "seen"))
    )


@pytest.mark.parametrize("by", [("regime",), ("f",), ("instrument",)])
def test_groups_that_training_does_not_know_have_no_table(by):
    """Without its groups there is nothing to put a harm into; beside known ones they do not hold these up."""
    assert groups(by=by)[0] is None
    together, _ = groups(by=("fast", *by))
    assert [line.name for line in together.series] == ["fast"]
    assert together.series[0].delays[lost_name(20)] is not None


def test_every_harm_has_one_name():
    """The names that tables and typical harms share are all different."""
    assert len(set(OF_LABELLED)) == len(OF_LABELLED) == 2 * len(MORE_POINTS) + len(LOST_POINTS) + 1
