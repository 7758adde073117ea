"""Rows outside the training range, value by value and all together: told when more come than training itself showed."""

import numpy as np
import pytest
from drift_streams import stream

from tradeworthy.core.decisions import DECISION, row_dtype
from tradeworthy.core.time import NS_PER_MINUTE
from tradeworthy.judge.monitor.ranges import TOGETHER, Axes, RangeMonitor, RangeSettings, outside_of_others
from tradeworthy.testing.monitors import run

VERSION, N = 0xABC, 4_000
NAMES = ["one", "other", "third"]


def related(n, seed, flip=None):
    """Return (n, 3) rows whose second value follows the first; from `flip` on it goes against it."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, 3))
    rows[:, 1] = rows[:, 0] + 0.1 * rows[:, 1]
    if flip is not None:
        rows[flip:, 1] *= -1.0
    return rows


def monitor(sample, rate=0.2):
    """Return a monitor of a sample."""
    settings = RangeSettings(false_alarms_per_10k=rate)
    known = {"version": VERSION, "instruments": ["ETH"], "settings": settings}
    return RangeMonitor(sample.min(axis=0), sample.max(axis=0), sample, NAMES[: sample.shape[1]], **known)


def tape(rows):
    """Return decisions with their rows."""
    n = len(rows)
    decisions, records = np.zeros(n, DECISION), np.zeros(n, row_dtype(rows.shape[1], 1))
    decisions["sequence"], decisions["ts_event_ns"] = 10 * np.arange(n) + 10, NS_PER_MINUTE * (1 + np.arange(n))
    decisions["version"] = VERSION
    records["sequence"], records["decision"], records["row"] = decisions["sequence"] + 1, decisions["sequence"], rows
    return [decisions, records]


def test_rows_that_are_odd_only_together_are_told():
    """Every value stays inside its own range, but they no longer go together: found soon after, by the distance."""
    rows = np.clip(related(N, 1, flip=2_000), -3.0, 3.0)
    found = run(monitor(related(2_000, 2)), tape(rows))
    assert found[0].subject == TOGETHER
    assert 20_000 <= found[0].sequence <= 20_500
    assert "distance of all features of ETH lies outside its training range (0 to " in found[0].sentence


def test_a_value_outside_its_own_range_is_told_by_its_name():
    """A feature of a new scale leads the finding; what else lies outside with it is named."""
    rows = related(N, 3)
    rows[2_000:, 2] *= 10.0
    [first, *_] = run(monitor(related(2_000, 4)), tape(rows))
    assert first.subject in {"third", TOGETHER}
    assert "third" in first.sentence
    assert TOGETHER in first.sentence


@pytest.mark.parametrize("law", ["gauss", "garch", "ar1"])
def test_false_alarms_stay_near_the_asked_rate(law):
    """Rows like those of training, dependent or wild in turns, leave its range no more often than it told of itself."""
    told, runs = 0, 12
    for seed in range(runs):
        rows = np.column_stack([stream(law, 3_000 + 10_000, 100 * seed + place) for place in range(3)])
        told += len(run(monitor(rows[:3_000], rate=2.0), tape(rows[3_000:])))
    assert told / runs <= 4.0


def test_values_that_are_no_numbers_are_outside():
    """A missing value is in no range, and has no distance."""
    rows = related(1_000, 5)
    rows[500:, 0] = np.nan
    [first, *_] = run(monitor(related(2_000, 6)), tape(rows))
    assert first.subject in {"one", TOGETHER}
    assert "nan" in first.sentence


@pytest.mark.parametrize("width", [1, 3])
def test_where_nothing_varies_with_another_there_is_no_distance(width):
    """One feature, or one among constants, has its own range and no other."""
    sample = np.zeros((500, width))
    sample[:, 0] = np.random.default_rng(7).standard_normal(500)
    assert not Axes.of(sample).directions.any()
    assert not outside_of_others(sample)[:, -1].any()
    calm = np.tile(sample.mean(axis=0), (300, 1))
    assert run(monitor(sample), tape(calm)) == []
    calm[100:, 0] = np.nan  # what is not a number lies outside the feature's own range alone
    finding = run(monitor(sample), tape(calm))[0]
    assert (finding.subject, TOGETHER in finding.sentence) == (NAMES[0], False)


def test_a_distance_is_one_on_average_and_the_same_in_other_units():
    """Directions have a deviation of 1 in training, whatever units features are in."""
    rows = related(5_000, 8)
    there, scaled = Axes.of(rows), Axes.of(rows * [1.0, 1e-6, 1e6])
    assert np.mean(there.distances(rows) ** 2) == pytest.approx(1.0, rel=1e-3)
    np.testing.assert_allclose(scaled.distances(rows * [1.0, 1e-6, 1e6]), there.distances(rows), rtol=1e-6)


def test_each_block_of_training_is_seen_along_the_directions_of_the_others():
    """A block that breaks a relation which the others keep is outside, though its values are all inside."""
    rows = np.clip(related(2_000, 9, flip=1_800), -3.0, 3.0)
    outside = outside_of_others(rows)
    assert outside[1_800:, -1].mean() > 0.5
    assert outside[:1_800, -1].mean() < 0.01


def test_a_state_without_distances_is_gone_on_from():
    """What a monitor of single ranges left behind: its findings are told, and its charts begin afresh."""
    rows = related(N, 10)
    rows[2_000:, 2] *= 10.0
    before = monitor(related(2_000, 11))
    for records in tape(rows):
        before.observe(records)
    state = before.state()
    for name in ("chances", "usual", "weights", "sums", "marks", "memory", "tally"):
        state[f"charts.{name}"] = state[f"charts.{name}"][:-1]
    after = monitor(related(2_000, 11))
    after.restore(state)
    assert after.findings() == before.findings() != []
    assert [gauge.subject for gauge in after.gauges()] == [*NAMES, TOGETHER]


@pytest.mark.parametrize("width", [2, 8, 33])
def test_the_distance_of_a_row_does_not_depend_on_the_rows_it_comes_with(width):
    """One row, a few and all give the very same bits, whatever the memory's layout: the mean square along the axes."""
    sample = np.random.default_rng(1).standard_normal((500, width)) @ np.random.default_rng(2).random((width, width))
    axes = Axes.of(sample)
    whole = axes.distances(sample)
    for size in (1, 7, 64):
        parts = [axes.distances(sample[first : first + size]) for first in range(0, len(sample), size)]
        assert np.concatenate(parts).tobytes() == whole.tobytes()
    assert axes.distances(np.asfortranarray(sample)).tobytes() == whole.tobytes()
    along = (sample - sample.mean(axis=0)) @ axes.directions
    np.testing.assert_allclose(whole, np.sqrt((along**2).sum(axis=1)), rtol=1e-6, atol=1e-9)
    odd = sample[:2].copy()
    odd[0, 0] = np.nan
    assert np.isnan(axes.distances(odd)).tolist() == [True, False]


@pytest.mark.parametrize("width", [2, 7, 8, 33])
def test_a_distance_has_the_bits_of_plain_arithmetic(width):
    """However many sums become one vector, none of them is added in another order or rounded once less."""
    rng = np.random.default_rng(width)
    rows, sample = rng.standard_normal((20, width)), rng.standard_normal((500, width))
    rows[3, 0], rows[7, -1] = np.nan, np.inf
    axes = Axes.of(sample)
    starts = axes.start.tolist()
    for row, far in zip(rows.tolist(), axes.distances(rows), strict=True):
        squares = 0.0
        for start, axis in zip(starts, axes.directions.T.tolist(), strict=True):
            place = start
            for x, share in zip(row, axis, strict=True):
                place += x * share
            squares += place * place
        np.testing.assert_array_equal(far, np.sqrt(squares))
