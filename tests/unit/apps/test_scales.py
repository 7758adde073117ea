"""From data to the page: scales, round ticks, calendar ticks, numbers in words."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeworthy.apps.reports import formats
from tradeworthy.apps.reports.scales import (
    Scale,
    day,
    extent,
    minute,
    number_label,
    round_step,
    round_ticks,
    signed,
    time_ticks,
    widened,
)
from tradeworthy.core.time import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_MS, NS_PER_S

NOON = 1_560_513_600_000_000_000  # 2019-06-14 12:00
RANGES = st.tuples(st.floats(-1e9, 1e9), st.floats(1e-6, 1e6)).map(lambda t: (t[0], t[0] + t[1] * (1 + abs(t[0]))))
MINUS = "\N{MINUS SIGN}"


def test_a_scale_draws_one_value_like_many():
    """One value and an array of values are drawn at the same places."""
    scale = Scale(0.0, 10.0, 100.0, 0.0)
    assert scale.at(2.5) == 75.0
    assert scale.many([0.0, 2.5, 10.0]).tolist() == [100.0, 75.0, 0.0]


def test_the_extent_skips_what_is_undefined():
    """NaN and infinity do not stretch an axis; values to be shown do."""
    assert extent([np.array([1.0, np.nan, np.inf, 3.0])], [0.0]) == (0.0, 3.0)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], (0.0, 1.0)), ([5.0, 5.0], (4.75, 5.25)), ([0.0], (-1.0, 1.0)), ([100.0, 100.0 + 1e-12], (95.0, 105.0))],
)
def test_the_extent_is_never_empty(values, expected):
    """No values, or one value only, still give a range that can be drawn."""
    assert extent([np.array(values)]) == pytest.approx(expected)


@given(RANGES)
def test_round_ticks_lie_inside_and_are_even(span):
    """Ticks lie within the range, one step apart, and are neither few nor many."""
    low, high = span
    ticks = round_ticks(low, high, 5)
    step = round_step(high - low, 5)
    assert 2 <= len(ticks) <= 8
    assert all(low - 1e-6 * step <= t <= high + 1e-6 * step for t in ticks)
    assert np.allclose(np.diff(ticks), step)


@given(RANGES)
def test_a_widened_range_holds_the_range_and_ends_on_ticks(span):
    """Widening only ever adds room, less than two steps of it."""
    low, high = widened(*span)
    step = round_step(span[1] - span[0], 5)
    slack = 1e-6 * step
    assert low <= span[0] + slack
    assert high >= span[1] - slack
    assert high - low <= span[1] - span[0] + 2 * step + slack


@pytest.mark.parametrize(
    ("value", "step", "label"),
    [
        (1500.0, 500.0, "1,500"),
        (-0.5, 0.25, f"{MINUS}0.50"),
        (0.575, 0.025, "0.575"),
        (-1e-9, 0.1, "0.0"),
        (0.02, 0.02, "0.02"),
    ],
)
def test_tick_labels_have_the_decimals_of_their_step(value, step, label):
    """A label is as fine as its step, with a true minus and no minus zero."""
    assert number_label(value, step) == label


@pytest.mark.parametrize(
    ("span", "first_label"),
    [
        (50 * NS_PER_MS, "00:00.000"),
        (40 * NS_PER_S, "12:00:00"),
        (90 * NS_PER_MINUTE, "12:00"),
        (12 * NS_PER_HOUR, "12:00"),
        (5 * NS_PER_DAY, "15 Jun"),
        (200 * NS_PER_DAY, "Jul"),
        (2000 * NS_PER_DAY, "2020"),
    ],
)
def test_calendar_ticks_are_as_fine_as_the_span(span, first_label):
    """From milliseconds to years, a handful of ticks stand on round times."""
    ticks = time_ticks(NOON, NOON + span)
    assert 2 <= len(ticks) <= 9
    assert ticks[0][1] == first_label
    assert all(NOON <= ns <= NOON + span for ns, _ in ticks)


@given(st.integers(0, 4_000_000_000), st.integers(1, 3_000_000_000))
def test_calendar_ticks_ascend_inside_any_span(start_s, length_s):
    """For any span, ticks ascend, stay inside, and are not too many to read."""
    low, high = start_s * NS_PER_S, (start_s + length_s) * NS_PER_S
    times = [ns for ns, _ in time_ticks(low, high)]
    assert times == sorted(set(times))
    assert all(low <= ns <= high for ns in times)
    assert len(times) <= 16


def test_a_day_shows_its_date_at_midnight():
    """Among hours, midnight carries the day."""
    labels = [label for _, label in time_ticks(NOON, NOON + 18 * NS_PER_HOUR)]
    assert "15 Jun" in labels


def test_moments_are_written_in_words():
    """A day and a minute are written as people write them."""
    assert day(NOON) == "14 Jun 2019"
    assert minute(NOON + NS_PER_MINUTE) == "14 Jun 2019 12:01"


def test_numbers_are_written_as_people_write_them():
    """Counts, amounts, sizes and shares carry separators, a true minus and their unit."""
    assert formats.count(1234567) == "1,234,567"
    assert formats.amount(-1234.5) == f"{MINUS}1,234.50"
    assert formats.amount(123456.7) == "123,457"
    assert formats.size(14_020_311) == "14.0 MB"
    assert formats.size(12) == "12 bytes"
    assert formats.size(5e12) == "5,000.0 GB"
    assert formats.share(1, 8) == "12.5%"
    assert formats.plural(1, "fill") == "1 fill"
    assert formats.plural(2, "entry", "entries") == "2 entries"
    assert formats.compact(-0.000123456) == f"{MINUS}0.0001235"
    assert formats.interval(-0.1, 0.25, 2) == f"{MINUS}0.10 to 0.25"
    assert signed("-0.00") == "0.00"


def test_what_is_undefined_is_a_dash():
    """NaN and a share of nothing are written as a dash."""
    assert {formats.decimal(math.nan), formats.amount(math.nan), formats.compact(math.nan), formats.share(1, 0)} == {
        formats.DASH
    }
