"""A budget of false alarms a day is split over all monitors, and held against what was counted."""

import msgspec
import numpy as np
import pytest

from tradeworthy.core.errors import DataInvalid
from tradeworthy.core.time import NS_PER_DAY, NS_PER_HOUR
from tradeworthy.judge.monitor.budget import (
    Counted,
    budgeted,
    events_per_day,
    poisson_interval,
    rate_of,
    verdict,
)
from tradeworthy.judge.monitor.drift import DriftSettings
from tradeworthy.judge.monitor.standing import LABELLED, MonitorSettings


def test_the_rates_of_all_monitors_add_up_to_the_budget():
    """A tenth of an alarm a day over 48 events: so many per 10,000 in all, in the proportions asked before."""
    before = MonitorSettings(false_alarms_per_day=0.1, drift=DriftSettings(false_alarms_per_10k=3.0))
    after = budgeted(before, 48.0)
    rates, asked = after.rates, before.rates
    assert sum(rates.values()) * 48.0 / 1e4 == pytest.approx(0.1)
    assert rates["drift"] / rates["performance"] == pytest.approx(3.0)
    assert set(rates) == set(asked)
    assert after.drift.charts == before.drift.charts


def test_a_monitor_that_is_off_gets_no_share():
    """What is switched off leaves its share to the others."""
    settings = MonitorSettings(false_alarms_per_day=0.1, off=("drift", "class_balance"))
    after = budgeted(settings, 48.0)
    assert {"drift", "class_balance"}.isdisjoint(after.rates)
    assert after.drift == settings.drift
    assert sum(after.rates.values()) * 48.0 / 1e4 == pytest.approx(0.1)


def test_without_a_budget_nothing_changes():
    """The monitors' own rates hold, whatever a day brings."""
    settings = MonitorSettings()
    assert budgeted(settings, 0.0) is settings


@pytest.mark.parametrize("per_day", [0.0, 9.0])
def test_a_budget_beyond_one_alarm_in_a_hundred_events_is_refused(per_day):
    """The message says what was found, what is allowed, and what to do."""
    with pytest.raises(DataInvalid, match=r"is 0\.1 over .* allowed is at most .* ask for fewer"):
        budgeted(MonitorSettings(false_alarms_per_day=0.1), per_day)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan")])
def test_a_budget_of_none_is_refused(rate):
    """No monitor that hears anything is never wrong."""
    with pytest.raises(DataInvalid, match="more than 0"):
        MonitorSettings(false_alarms_per_day=rate)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan")])
@pytest.mark.parametrize("name", sorted(MonitorSettings(off=()).rates))
def test_no_monitor_that_is_on_is_asked_never_to_be_wrong(name, rate):
    """It is refused by its own name, as soon as settings are read; one that is off may say what it likes."""
    part = msgspec.structs.replace(getattr(MonitorSettings(), name), false_alarms_per_10k=rate)
    with pytest.raises(DataInvalid, match=rf"monitor\.{name}\.false_alarms_per_10k is .* more than 0.*monitor\.off"):
        MonitorSettings(**{"off": (), name: part})
    assert name not in MonitorSettings(**{"off": (name, *LABELLED), name: part}).rates


def test_a_budget_is_read_from_settings():
    """It stands in [monitor] like any other setting, and a word in its place is refused."""
    assert msgspec.toml.decode(b"false_alarms_per_day = 0.1", type=MonitorSettings).false_alarms_per_day == 0.1
    with pytest.raises(msgspec.ValidationError):
        msgspec.toml.decode(b'false_alarms_per_day = "few"', type=MonitorSettings)


def test_events_a_day_are_those_of_days_that_have_any():
    """Weekends without an event do not dilute a day; short first and last days hardly count."""
    hours = np.arange(24 * 28) * NS_PER_HOUR
    weekdays = hours[hours // NS_PER_DAY % 7 < 5]
    assert events_per_day(weekdays[20:-20]) == 24.0
    assert events_per_day(np.empty(0, np.int64)) == 0.0


@pytest.mark.parametrize(("count", "low", "high"), [(0, 0.0, 3.689), (1, 0.025, 5.572), (10, 4.795, 18.39)])
def test_poisson_intervals_are_the_exact_ones(count, low, high):
    """Byar's approximation agrees with the tables of exact limits."""
    found = poisson_interval(count)
    assert found[0] == pytest.approx(low, abs=0.02)
    assert found[1] == pytest.approx(high, rel=0.005)


def test_rates_of_monitors_with_different_references_add_up():
    """Each counts over its own events; the interval covers the sum and shrinks with what was counted."""
    counts = {"a": Counted(1_000, 2), "b": Counted(4_000, 4)}
    rate = rate_of(counts, 100.0)
    assert rate.value == pytest.approx(100.0 * (2 / 1_000 + 4 / 4_000))
    assert rate.low < rate.value < rate.high
    more = rate_of({name: Counted(100 * n, 100 * k) for name, (n, k) in counts.items()}, 100.0)
    assert more.high - more.low < 0.2 * (rate.high - rate.low)


def test_nothing_counted_is_not_never():
    """Without an alarm the upper end is that of the shortest reference."""
    rate = rate_of({"a": Counted(1_000, 0), "b": Counted(4_000, 0)}, 100.0)
    assert (rate.value, rate.low) == (0.0, 0.0)
    assert rate.high == pytest.approx(100.0 * 3.689 / 1_000)


def test_the_interval_covers_the_rate_that_it_was_drawn_from():
    """Of intervals of counts drawn from a known rate nineteen in twenty hold it."""
    rng, per_event, held = np.random.default_rng(0), 3e-3, 0
    for _ in range(400):
        counts = {name: Counted(n, int(rng.poisson(per_event * n))) for name, n in (("a", 1_000), ("b", 3_000))}
        rate = rate_of(counts, 1.0)
        held += rate.low <= 2.0 * per_event <= rate.high
    assert 0.92 <= held / 400 <= 1.0


def test_a_verdict_says_what_was_found_what_was_asked_and_what_to_do():
    """Too many alarms, too few events, nothing to check on, and a rate that is borne out."""
    assert "asked were 0.01" in verdict(0.01, Counted(5_000, 9), 48.0)
    assert "ask for at least" in verdict(0.01, Counted(5_000, 9), 48.0)
    assert "17,708 events would show it" in verdict(0.01, Counted(2_000, 0), 48.0)
    assert "live feed" in verdict(0.01, None, 48.0)
    assert "train on more rows" in verdict(0.01, Counted(0, 0), 48.0)
    assert verdict(0.1, Counted(5_000, 6), 48.0) == ""
