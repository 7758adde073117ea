"""Operations: each one's value against an independent calculation, and where it is undefined."""

import math
import statistics

import numpy as np
import pytest
from feature_market import START_NS, bars, rows_of, walk

from tradeworthy.core.time import NS_PER_DAY, NS_PER_HOUR
from tradeworthy.model.features.expressions import (
    atr,
    bar,
    corr,
    day_of_week_cos,
    day_of_week_sin,
    log_return,
    time_of_day_cos,
    time_of_day_sin,
    where,
)

NAN = math.nan


def close_to(found, wanted, tolerance=1e-12):
    """Compare two columns, NaN where NaN is wanted."""
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance, equal_nan=True)


@pytest.mark.parametrize(
    ("formula", "wanted"),
    [
        (bar.close + bar.volume, [5.0, 1.0]),
        (bar.close - bar.volume, [3.0, -3.0]),
        (bar.close * bar.volume, [4.0, -2.0]),
        (bar.close / bar.volume, [4.0, -0.5]),
        (bar.close**2, [16.0, 1.0]),
        (-bar.close, [-4.0, 1.0]),
        (bar.close.abs(), [4.0, 1.0]),
        (bar.close.sign(), [1.0, -1.0]),
        (bar.close.exp().log(), [4.0, -1.0]),
        (bar.close.abs().sqrt(), [2.0, 1.0]),
        (bar.close.minimum(bar.volume), [1.0, -1.0]),
        (bar.close.maximum(bar.volume), [4.0, 2.0]),
        (bar.close.clip(0.0, 3.0), [3.0, 0.0]),
        (bar.close.clip(bar.volume, 3.0), [3.0, 2.0]),
    ],
)
def test_arithmetic_works_value_by_value(formula, wanted):
    """One value at a time: arithmetic, powers, signs, bounds."""
    close_to(rows_of(formula, bars([4.0, -1.0], volume=[1.0, 2.0])), wanted)


@pytest.mark.parametrize(
    ("formula", "wanted"),
    [
        (bar.close > 2, [0.0, 0.0, 1.0, NAN]),
        (bar.close >= 2, [0.0, 1.0, 1.0, NAN]),
        (bar.close < 2, [1.0, 0.0, 0.0, NAN]),
        (bar.close <= 2, [1.0, 1.0, 0.0, NAN]),
        (bar.close.equal(2), [0.0, 1.0, 0.0, NAN]),
        ((bar.close > 1) & (bar.close < 3), [0.0, 1.0, 0.0, NAN]),
        ((bar.close < 2) | (bar.close > 2), [1.0, 0.0, 1.0, NAN]),
        (~(bar.close > 2), [1.0, 1.0, 0.0, NAN]),
        (where(bar.close > 1, 10, bar.close), [1.0, 10.0, 10.0, NAN]),
    ],
)
def test_conditions_are_one_zero_or_undefined(formula, wanted):
    """A condition over an undefined value is undefined, and so is a choice by it."""
    close_to(rows_of(formula, bars([1.0, 2.0, 3.0, NAN])), wanted)


def test_undefined_values_travel():
    """0/0, the log of a negative and a missing value give NaN, never an error."""
    close_to(rows_of(bar.close.log(), bars([-1.0])), [NAN])
    close_to(rows_of((bar.close - bar.close) / (bar.close - bar.close), bars([1.0])), [NAN])
    close_to(rows_of(bar.close.minimum(1.0), bars([NAN])), [NAN])
    assert rows_of(bar.close / 0.0, bars([1.0]))[0] == math.inf


def test_lags_and_changes_reach_back():
    """Lag, difference and log return are undefined until the past is there."""
    events = bars([1.0, 2.0, 4.0, 8.0])
    close_to(rows_of(bar.close.lag(2), events), [NAN, NAN, 1.0, 2.0])
    close_to(rows_of(bar.close.diff(), events), [NAN, 1.0, 2.0, 4.0])
    close_to(rows_of(log_return(bar.close, 2), events), [NAN, NAN, math.log(4), math.log(4)])


@pytest.mark.parametrize("n", [2, 3, 7, 8, 9, 31, 32, 33])
def test_windows_agree_with_exact_statistics(n):
    """Every window operation, at windows around powers of two, against Python's exact fractions."""
    close, volume = walk(80, seed=n), walk(80, seed=n + 100)
    events = bars(close, volume=volume)
    found = {
        "sum": rows_of(bar.close.sum(n), events),
        "mean": rows_of(bar.close.mean(n), events),
        "std": rows_of(bar.close.std(n), events),
        "min": rows_of(bar.close.min(n), events),
        "max": rows_of(bar.close.max(n), events),
        "zscore": rows_of(bar.close.zscore(n), events),
        "corr": rows_of(corr(bar.close, bar.volume, n), events),
    }
    for i in range(len(close)):
        x, y = close[max(i + 1 - n, 0) : i + 1].tolist(), volume[max(i + 1 - n, 0) : i + 1].tolist()
        if len(x) < n:
            assert all(math.isnan(column[i]) for column in found.values())
            continue
        mean, std = statistics.fmean(x), statistics.stdev(x)
        wanted = {"sum": math.fsum(x), "mean": mean, "std": std, "min": min(x), "max": max(x)}
        wanted |= {"zscore": (x[-1] - mean) / std, "corr": statistics.correlation(x, y)}
        for name, value in wanted.items():
            assert found[name][i] == pytest.approx(value, rel=1e-11, abs=1e-11), (name, i)


@pytest.mark.parametrize("bad", [NAN, math.inf, 1e200])
def test_a_window_recovers_when_an_undefined_value_has_left(bad):
    """Values that cannot enter a window make it undefined while they are in it, and leave no trace."""
    close = walk(30)
    broken = close.copy()
    broken[10] = bad
    for formula in (bar.close.sum(4), bar.close.std(4), bar.close.min(4), bar.close.max(4), bar.close.zscore(4)):
        clean, found = rows_of(formula, bars(close)), rows_of(formula, bars(broken))
        assert np.isnan(found[10:14]).all()
        np.testing.assert_array_equal(np.isnan(found[14:]), np.isnan(clean[14:]))
        close_to(found[14:], clean[14:])
    with_hole = rows_of(corr(bar.close, bar.volume, 4), bars(broken, volume=walk(30, 2)))
    close_to(with_hole[14:], rows_of(corr(bar.close, bar.volume, 4), bars(close, volume=walk(30, 2)))[14:])


def test_a_window_that_does_not_move_has_no_spread():
    """The deviation of equal values is exactly 0, so its z-score and correlation are undefined."""
    events = bars([0.1] * 9, volume=walk(9))
    assert (rows_of(bar.close.std(3), events)[2:] == 0.0).all()
    assert np.isnan(rows_of(bar.close.zscore(3), events)).all()
    assert np.isnan(rows_of(corr(bar.close, bar.volume, 3), events)).all()


def test_correlation_stays_within_one():
    """A line has correlation 1 or -1, never beyond, however far from zero it lies."""
    close = 1e9 + walk(50)
    assert rows_of(corr(bar.close, bar.close, 5), bars(close))[4:] == pytest.approx(np.ones(46), abs=1e-9)
    found = rows_of(corr(bar.close, bar.volume, 5), bars(close, volume=-close))[4:]
    assert (np.abs(found) <= 1.0).all()
    assert found == pytest.approx(-np.ones(46), abs=1e-9)


def test_exponential_averages_start_at_the_first_value():
    """The average is the textbook recursion, and is withheld until `n` values were seen."""
    close = walk(40)
    average, wanted = close[0], [NAN] * 4
    for i, x in enumerate(close[1:], start=1):
        average += (x - average) * 2 / 6
        if i >= 4:
            wanted.append(average)
    close_to(rows_of(bar.close.ema(5), bars(close)), wanted)


def test_an_exponential_average_skips_undefined_values():
    """An undefined value gives an undefined average and is otherwise forgotten."""
    close = walk(30)
    broken = np.insert(close, 20, NAN)
    for formula in (bar.close.ema(5), bar.close.ewm_std(5)):
        found = rows_of(formula, bars(broken))
        assert math.isnan(found[20])
        close_to(np.delete(found, 20), rows_of(formula, bars(close)))


def test_rsi_is_wilders():
    """RSI is 100 for a market that only rises, 0 for one that only falls, 50 for even steps."""
    assert rows_of(bar.close.rsi(5), bars(np.arange(1.0, 20.0)))[-1] == 100.0
    assert rows_of(bar.close.rsi(5), bars(np.arange(20.0, 1.0, -1.0)))[-1] == 0.0
    close = walk(200)
    gain = loss = None
    for change in np.diff(close):
        up, down = max(change, 0.0), max(-change, 0.0)
        gain = up if gain is None else gain + (up - gain) / 14
        loss = down if loss is None else loss + (down - loss) / 14
    assert rows_of(bar.close.rsi(), bars(close))[-1] == pytest.approx(100 * gain / (gain + loss))


def test_atr_counts_the_gap_from_the_close_before():
    """The true range reaches to the previous close, and Wilder's average follows."""
    events = bars([10.0, 20.0, 20.0], high=[11.0, 21.0, 21.0], low=[9.0, 19.0, 18.0])
    close_to(rows_of(atr(1), events), [NAN, 11.0, 3.0])
    close_to(rows_of(atr(2), events), [NAN, NAN, 11.0 + (3.0 - 11.0) / 2])


def test_the_time_turns_once_a_day_and_once_a_week():
    """Time of day and of week are places on a circle, UTC, Monday first."""
    midnight = START_NS - START_NS % NS_PER_DAY
    weekday = (midnight // NS_PER_DAY + 3) % 7
    for hour in (0, 6, 17):
        event = bars([1.0], start_ns=midnight + hour * NS_PER_HOUR)
        assert rows_of(time_of_day_sin(), event)[0] == pytest.approx(math.sin(2 * math.pi * hour / 24), abs=1e-12)
        assert rows_of(time_of_day_cos(), event)[0] == pytest.approx(math.cos(2 * math.pi * hour / 24), abs=1e-12)
        assert rows_of(day_of_week_sin(), event)[0] == pytest.approx(math.sin(2 * math.pi * weekday / 7), abs=1e-12)
        assert rows_of(day_of_week_cos(), event)[0] == pytest.approx(math.cos(2 * math.pi * weekday / 7), abs=1e-12)


def test_the_first_of_january_2024_was_a_monday():
    """The week starts on Monday, at the top of the circle."""
    monday = 1_704_067_200_000_000_000
    assert rows_of(day_of_week_cos(), bars([1.0], start_ns=monday))[0] == pytest.approx(1.0)
    assert rows_of(day_of_week_sin(), bars([1.0], start_ns=monday))[0] == pytest.approx(0.0)


def test_time_mixes_with_prices():
    """The time keeps the pace of whatever it is combined with."""
    found = rows_of((time_of_day_sin() * bar.close).mean(2), bars([1.0, 2.0], start_ns=START_NS))
    assert math.isnan(found[0])
    assert math.isfinite(found[1])
