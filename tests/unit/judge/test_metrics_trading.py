"""Money metrics: values by hand, and what is undefined."""

import math

import numpy as np
import pytest

from tradeworthy.judge import metrics_trading as money


def test_profit_is_position_times_change_less_costs():
    """A short position gains when the price falls, and costs are taken off."""
    assert money.pnl([1, -2, 0], [3.0, -1.0, 5.0], [0.5, 0.25, 0.0]).tolist() == [2.5, 1.75, 0.0]


def test_sharpe_is_annualised_by_the_root_of_periods():
    """Returns of mean 1 and standard deviation 1 give the root of the periods in a year."""
    assert money.sharpe([0.0, 1.0, 2.0], 365.0) == pytest.approx(math.sqrt(365.0))


@pytest.mark.parametrize("returns", [[], [1.0], [0.5, 0.5, 0.5]])
def test_sharpe_without_spread_is_undefined(returns):
    """No spread, no ratio."""
    assert math.isnan(money.sharpe(returns, 252.0))


def test_drawdown_is_the_deepest_fall_from_the_highest_so_far():
    """From 12 to 6 is deeper than from 10 to 7, and later heights do not count."""
    fall = money.drawdown([10.0, 7.0, 12.0, 6.0, 9.0, 30.0])
    assert (fall.value, fall.share, fall.peak, fall.trough) == (6.0, 0.5, 2, 3)


def test_a_curve_that_only_rises_has_no_drawdown():
    """The drawdown of a rising curve is zero; of nothing it is undefined."""
    assert money.drawdown([1.0, 2.0, 3.0]).value == 0.0
    assert math.isnan(money.drawdown([]).value)


def test_turnover_counts_both_ways():
    """Buying and selling back one unit at 50 turns a capital of 100 over once."""
    assert money.turnover([1.0, -1.0], [50.0, 50.0], 100.0) == 1.0


def test_all_money_metrics_of_one_curve():
    """Profit, drawdown from the starting capital, hit rate of active periods and turnover agree with each other."""
    found = money.trading([-10.0, 0.0, 30.0, -5.0], capital=100.0, periods_per_year=4.0, value_traded=250.0)
    assert (found.periods, found.pnl, found.drawdown_value, found.turnover) == (4, 15.0, 10.0, 2.5)
    assert found.drawdown_share == pytest.approx(0.1)
    assert found.hit_rate == pytest.approx(1 / 3)
    assert found.sharpe == pytest.approx(money.sharpe(np.array([-0.1, 0.0, 0.3, -0.05]), 4.0))
