"""What the desk holds goes on under the next champion's monitors."""

import numpy as np
import pytest

from tradeworthy.core.events import Kind, events_from_columns
from tradeworthy.core.instruments import Instrument
from tradeworthy.judge.monitor.input_quality import InputQualityMonitor
from tradeworthy.judge.monitor.standing import of_desk, succeed
from tradeworthy.judge.monitor.trading import TradingMonitor, TradingSettings

SYMBOLS = [Instrument(symbol="ABC", multiplier=2.0)]


def bars(*closes: float):
    """Bars with these closes, one a second."""
    price = np.array(closes)
    columns = {"open": price, "high": price, "low": price, "close": price, "volume": np.ones(len(price))}
    return events_from_columns(Kind.BAR, 0, np.arange(len(price), dtype=np.int64), columns)


def filled(quantity, price):
    """One fill, without a fee."""
    columns = {
        "quantity": np.array([quantity]),
        "price": np.array([price]),
        "fee": np.zeros(1),
        "execution": np.ones(1),
    }
    return events_from_columns(Kind.FILL, 0, np.zeros(1, np.int64), columns)


@pytest.fixture
def before():
    """A monitor of a desk that bought 3 at 100 and has lost since."""
    monitor = TradingMonitor(SYMBOLS, TradingSettings(drawdown_value=1e9))
    for records in (bars(100.0), filled(3.0, 100.0), bars(120.0, 90.0)):
        monitor.observe(records)
    return monitor


def successor(before, limit):
    """The monitor of the next champion."""
    after = TradingMonitor(SYMBOLS, TradingSettings(drawdown_value=limit))
    known = of_desk({"trading": before, "inputs": InputQualityMonitor(SYMBOLS)})
    assert set(known) == {"trading"}
    succeed({"trading": after, "inputs": InputQualityMonitor(SYMBOLS)}, known)
    return after


def test_the_position_goes_on_and_profit_counts_from_here(before):
    """The next champion is not blamed for what was lost before, and is for what is lost on what it took over."""
    assert before.summary().drawdown_value == 180.0
    after = successor(before, 100.0)
    assert (after.summary().equity, after.summary().drawdown_value) == (0.0, 0.0)
    assert after.summary().exposure_value == 3.0 * 90.0 * 2.0
    after.observe(bars(80.0))
    assert after.summary().drawdown_value == 60.0
    [finding] = after.findings()
    assert (finding.subject, finding.observed) == ("drawdown", 60.0)
    near = [each.value for each in after.gauges() if (each.family, each.subject) == ("evidence", finding.subject)]
    assert near == [finding.statistic / finding.threshold]


def test_what_is_closed_later_is_closed(before):
    """Selling what was taken over leaves the desk flat, not short."""
    after = successor(before, None)
    after.observe(filled(-3.0, 95.0))
    after.observe(bars(50.0))
    assert after.summary().exposure_value == 0.0
    assert after.summary().equity == 30.0


def test_a_desk_with_other_instruments_starts_anew(before):
    """Positions of another list of instruments are nobody's."""
    after = TradingMonitor([*SYMBOLS, Instrument(symbol="DEF")])
    after.inherit(before.state())
    assert after.summary().exposure_value == 0.0


def test_without_monitors_before_nothing_is_taken_over():
    """The first champion's monitors begin at nothing."""
    after = TradingMonitor(SYMBOLS)
    succeed({"trading": after}, {})
    assert after.summary().equity == 0.0


def test_a_trip_belongs_to_the_regime_that_the_monitor_before_opened_it_in(before):
    """How wild a market is, and in what a position was opened, goes on; trips count from the change."""
    swings = 100.0 + np.where(np.arange(130) % 2, 0.1, -0.1)
    for records in (bars(*swings), filled(-3.0, 110.0), filled(1.0, 100.0)):
        before.observe(records)
    after = successor(before, 1e9)
    assert np.isnan(after.summary().hit_rate)
    for records in (filled(-1.0, 120.0), filled(1.0, 100.0), filled(-1.0, 99.0)):
        after.observe(records)
    rates = after.summary().hit_rates
    assert rates.pop("usual") == after.summary().hit_rate == 0.5
    assert all(np.isnan(rate) for rate in rates.values())
