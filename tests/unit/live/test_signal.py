"""Signal: sides with hysteresis, sizes on the lot grid, prices on the tick grid."""

import numpy as np
import pytest

from tradeworthy.live.signal import signal_record, sized, wanted_position, wanted_side, worst_price
from tradeworthy.model.version import Signal

LONG_ONLY = signal_record(Signal(enter_long=0.6, exit_long=0.5, enter_short=0.4, exit_short=0.5))[0]
BOTH = signal_record(Signal(enter_long=0.6, exit_long=0.5, enter_short=0.4, exit_short=0.5, allow_short=True))[0]


@pytest.mark.parametrize(
    ("score", "held", "side"),
    [
        (0.6, 0.0, 1.0),
        (0.59, 0.0, 0.0),
        (0.5, 3.0, 1.0),
        (0.49, 3.0, 0.0),
        (0.4, 0.0, 0.0),
        (0.1, 3.0, 0.0),
        (0.3, -3.0, 0.0),
    ],
)
def test_long_only_enters_and_leaves_at_different_scores(score, held, side):
    """Between the thresholds a position is kept but not opened; a short is never wanted."""
    assert wanted_side(LONG_ONLY, score, held) == side


@pytest.mark.parametrize(
    ("score", "held", "side"),
    [(0.4, 0.0, -1.0), (0.41, 0.0, 0.0), (0.5, -3.0, -1.0), (0.51, -3.0, 0.0), (0.6, -3.0, 1.0), (0.4, 3.0, -1.0)],
)
def test_shorts_mirror_longs(score, held, side):
    """A version that may be short enters, holds and turns on the other side."""
    assert wanted_side(BOTH, score, held) == side


def test_undefined_score_wants_nothing():
    """NaN crosses no threshold, so nothing is opened or kept."""
    assert wanted_side(BOTH, np.nan, 0.0) == 0.0
    assert wanted_side(BOTH, np.nan, 2.0) == 0.0


@pytest.mark.parametrize(
    ("price", "multiplier", "lot", "quantity"),
    [(300.0, 1.0, 0.001, 3.333), (250.0, 1.0, 0.001, 4.0), (300.0, 50.0, 1.0, 0.0), (0.37, 1.0, 1.0, 2702.0)],
)
def test_size_is_the_largest_on_the_grid(price, multiplier, lot, quantity):
    """The value never passes the notional, and a whole number of lots is the very float."""
    assert sized(1_000.0, price, multiplier, lot) == quantity


@pytest.mark.parametrize("price", [np.nan, 0.0, -1.0])
def test_no_price_no_size(price):
    """A size without a price is undefined, which the risk checks refuse."""
    assert np.isnan(sized(1_000.0, price, 1.0, 0.001))


def test_position_keeps_its_size_while_its_side_stays():
    """A moving price does not trade by itself."""
    assert wanted_position(LONG_ONLY, 0.7, 3.3, 500.0, 1.0, 0.001) == 3.3
    assert wanted_position(LONG_ONLY, 0.7, 0.0, 500.0, 1.0, 0.001) == 2.0
    assert wanted_position(BOTH, 0.1, 3.3, 500.0, 1.0, 0.001) == -2.0
    assert wanted_position(LONG_ONLY, 0.1, 3.3, np.nan, 1.0, 0.001) == 0.0


@pytest.mark.parametrize(
    ("quantity", "price", "tick", "worst"),
    [(1.0, 300.0, 0.01, 303.0), (-1.0, 300.0, 0.01, 297.0), (1.0, 300.0, 0.25, 303.0), (1.0, 299.0, 0.25, 301.75)],
)
def test_worst_price_is_on_the_grid_and_within_the_allowance(quantity, price, tick, worst):
    """A limit price never lies beyond the allowance of 100 basis points."""
    assert worst_price(quantity, price, 100.0, tick) == worst


def test_worst_price_of_no_price_is_undefined():
    """Without a reference there is no limit price."""
    assert np.isnan(worst_price(1.0, np.nan, 100.0, 0.01))


@pytest.mark.parametrize("price", [np.nan, 300.0])
@pytest.mark.parametrize("held", [0.0, 3.0])
def test_a_notional_of_none_wants_no_position(price, held):
    """A version that only scores needs no price, and leaves what another version held."""
    signal = signal_record(Signal(enter_long=0.6, exit_long=0.5, notional=0.0))[0]
    assert wanted_position(signal, 0.9, held, price, 1.0, 0.001) == 0.0
