"""Text of an exchange becomes whole ticks and nearest doubles, or is refused."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeworthy.core.errors import DataInvalid
from tradeworthy.live.feeds.exchange.exact import TickGrid, size_of

TICKS = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 0.001, 1e-8]


@given(st.sampled_from(TICKS), st.integers(1, 10**12), st.integers(0, 6))
def test_a_price_on_the_grid_is_its_ticks_and_its_nearest_double(tick, count, zeros):
    """Written with any number of trailing zeros, it is the same count and the double that Python reads."""
    exact = Decimal(repr(tick)) * count
    text = f"{exact:f}" + ("." if "." not in f"{exact:f}" else "") + "0" * zeros
    grid = TickGrid(tick)
    assert grid.ticks(text) == count
    assert grid.price(count) == float(exact)


@given(st.sampled_from(TICKS[:7]), st.integers(1, 10**9))
def test_a_price_between_two_ticks_is_refused(tick, count):
    """It is never rounded to one."""
    between = Decimal(repr(tick)) * count + Decimal(repr(tick)) / 2
    with pytest.raises(DataInvalid, match="no whole number of ticks"):
        TickGrid(tick).ticks(f"{between:f}")


@pytest.mark.parametrize(
    "text",
    ["", ".", "-1.00", "+1.00", "1e3", "nan", "NaN", "inf", "1_0", " 1", "1 ", "0x1", "1,5", "1.2.3", "٣", "9" * 31],
)
def test_what_is_no_plain_decimal_is_refused(text):
    """Signs, exponents, spaces, other digits and endless ones are no prices and no sizes."""
    with pytest.raises(DataInvalid):
        TickGrid(0.01).ticks(text)
    with pytest.raises(DataInvalid):
        size_of(text)


@given(st.decimals(min_value=0, max_value=10**9, places=8, allow_nan=False, allow_infinity=False))
def test_a_size_is_the_nearest_double(size):
    """As Python reads the same text."""
    assert size_of(f"{size:f}") == float(f"{size:f}")


def test_whole_numbers_and_zero_need_no_point():
    """``30000`` and ``0.000`` are as good as any."""
    assert TickGrid(0.01).ticks("30000") == 3_000_000
    assert size_of("0.000") == 0.0
    assert size_of("5") == 5.0
