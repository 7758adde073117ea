"""What is wrong with single events, lane by lane: each symptom is seen where it is, and in the long run told."""

from functools import partial

import numpy as np
import pytest
from tape_slices import read_in_turns

from tradeworthy.core.denials import DenialCode
from tradeworthy.core.events import Gap, Kind, events_from_columns, merge
from tradeworthy.core.instruments import Instrument
from tradeworthy.judge.monitor.input_quality import InputQualityMonitor, InputSettings

DESK = [Instrument(symbol="ABC", tick=0.01), Instrument(symbol="DEF", tick=0.25)]
SECOND = 1_000_000_000
N = 60
"""Events of a clean lane, more than enough for its usual spacing, move and lag to be believed."""


def prices(n, tick=0.01, seed=1):
    """Return (n,) prices on the grid that move at each step."""
    steps = np.random.default_rng(seed).choice([-3, -2, -1, 1, 2, 3], n)
    return (10_000 + np.cumsum(steps)) * tick


def times(n):
    """Return (n,) event times, a second apart."""
    return SECOND * (1 + np.arange(n))


def bars(closes, instrument=0, ts_ns=None, changes=None):
    """Return bars whose four prices are equal, but for what is changed."""
    columns = (
        dict.fromkeys(("open", "high", "low", "close"), closes) | {"volume": np.ones(len(closes))} | (changes or {})
    )
    return events_from_columns(Kind.BAR, instrument, times(len(closes)) if ts_ns is None else ts_ns, columns)


def quotes(bids, asks, kind=Kind.QUOTE):
    """Return quotes, or books of one level, of one size."""
    ones = np.ones(len(bids))
    if kind is Kind.BOOK:
        named = {"bid_1": bids, "ask_1": asks, "bid_size_1": ones, "ask_size_1": ones}
        return events_from_columns(kind, 0, times(len(bids)), named, names=tuple(named))
    return events_from_columns(
        kind, 0, times(len(bids)), {"bid": bids, "ask": asks, "bid_size": ones, "ask_size": ones}
    )


def lost(ts_ns, kind, cause=Gap.LOST, instrument=0):
    """Return what a feed says of a lane that misses events."""
    columns = {"cause": [float(cause)], "kind": [float(kind)], "missed": [np.nan]}
    return events_from_columns(Kind.GAP, instrument, np.array([ts_ns]), columns)


def seen(whole, split=0):
    """Return how often each symptom was seen in each lane, without those that were not."""
    monitor = InputQualityMonitor(DESK)
    for batch in (whole[:split], whole[split:]):
        monitor.observe(batch)
    return {
        f"{line.instrument} {line.kind}": {name: count for name, count in line.symptoms.items() if count}
        for line in monitor.summary()
    }


def test_a_clean_lane_has_no_symptom():
    """Prices on the grid that move, events in time: nothing is wrong with any of them."""
    assert seen(bars(prices(N))) == {"ABC bar": {}}
    bids = prices(N)
    assert seen(quotes(bids, bids + 0.01)) == {"ABC quote": {}}


@pytest.mark.parametrize("kind", [Kind.QUOTE, Kind.BOOK])
def test_crossed_and_locked_are_told_apart_in_quotes_and_books(kind):
    """A bid above the ask is crossed, one at the ask is locked."""
    bids, asks = prices(N), prices(N) + 0.01
    asks[30], asks[40] = bids[30] - 0.01, bids[40]
    found = seen(quotes(bids, asks, kind))[f"ABC {kind.name.lower()}"]
    assert (found["crossed"], found["locked"]) == (1, 1)


@pytest.mark.parametrize("place", ["open", "high", "low", "close"])
def test_a_price_between_two_ticks_is_off_the_grid(place):
    """Whichever price of a bar it is; what is exact in decimals alone is on it."""
    closes = prices(N)
    changed = closes.copy()
    changed[30] += {"low": -0.004}.get(place, 0.004)
    changes = {place: changed} | ({"high": np.maximum(closes, changed)} if place in ("open", "close") else {})
    assert seen(bars(closes, changes=changes))["ABC bar"]["off_grid"] == 1


def test_the_grid_is_that_of_the_instrument():
    """A cent is a step of one and between two of the other; nothing is said of an instrument that is not the desk's."""
    closes = prices(N)
    off = int((np.abs(closes / 0.25 - np.rint(closes / 0.25)) > 1e-4).sum())
    assert 0 < off < N
    assert seen(bars(closes, 1))["DEF bar"]["off_grid"] == off
    assert seen(bars(closes, 2)) == {}


def test_a_row_has_neither_grid_nor_price():
    """Values of rows are no prices."""
    rows = events_from_columns(Kind.ROW, 0, times(N), {"x": np.full(N, 0.123_456)}, names=("x",))
    assert seen(rows) == {"ABC row": {}}


def test_what_a_feed_says_it_lost_is_a_symptom_of_the_next_event_of_that_lane():
    """One event of the lane, whenever it comes; a lane that was only cut and other lanes have none."""
    trades = events_from_columns(
        Kind.TRADE, 0, times(N), {"price": prices(N), "size": np.ones(N), "side": np.full(N, np.nan)}
    )
    gaps = [lost(30 * SECOND + 1, Kind.TRADE), lost(40 * SECOND + 1, Kind.TRADE, Gap.CUT)]
    whole = merge([bars(prices(N)), trades, *gaps])
    assert seen(whole) == {"ABC bar": {}, "ABC trade": {"lost": 1}}
    assert seen(whole, 70) == seen(whole)


@pytest.mark.parametrize("kind", [0.0, 9.0, np.nan, -4.0])
def test_a_gap_of_no_lane_is_left(kind):
    """A gap event that names no kind of market event says nothing of any lane, nor does one of no known instrument."""
    gaps = [lost(30 * SECOND + 1, kind), lost(30 * SECOND + 2, Kind.BAR, instrument=7)]
    assert seen(merge([bars(prices(N)), *gaps])) == {"ABC bar": {}}


def test_faults_of_time_and_price_are_seen_once_each():
    """Again, late, before the last one, after a gap, far away, not moving: a bar of each."""
    closes, ts_ns = prices(N), times(N)
    closes[25:] -= closes[25] - closes[24]
    closes[30:] += 50.0
    ts_ns[40:] += 5 * SECOND
    ts_ns[45], ts_ns[50] = ts_ns[43], ts_ns[49]
    ts_ns[46:] -= SECOND
    ts_ns[51:] -= SECOND
    batch = bars(closes, ts_ns=ts_ns)
    batch["ts_recv_ns"][55] += SECOND
    expected = ("stuck", "jump", "gap", "out_of_order", "duplicate", "late")
    assert seen(batch)["ABC bar"] == dict.fromkeys(expected, 1)


def test_the_engines_own_verdict_counts_too():
    """An event that the engine refused has the symptom, whatever its values look like now."""
    batch = bars(prices(N))
    batch["flags"][20] = int(DenialCode.INPUT_INCONSISTENT)
    batch["flags"][30] = int(DenialCode.INPUT_JUMP)
    assert seen(batch)["ABC bar"] == {"malformed": 1, "jump": 1}


def half_off(n):
    """Return bars of a feed that begins to round otherwise half way."""
    closes = prices(n)
    closes[n // 2 :] += 0.005
    return bars(closes)


def test_a_feed_that_leaves_the_grid_is_told_soon():
    """After its first events were on the grid, a feed of half ticks is one finding, within a few events."""
    monitor = InputQualityMonitor(DESK, InputSettings(learn=500))
    batch = half_off(2_000)
    batch["sequence"] = np.arange(2_000)
    monitor.observe(batch)
    [finding] = monitor.findings()
    assert finding.subject == "ABC bar off_grid"
    assert 1_000 <= finding.sequence <= 1_040
    assert "prices between two ticks are 10,000 per 10,000" in finding.sentence


def test_a_feed_that_was_never_on_the_grid_is_left_alone():
    """What the first events show is usual: a tick that is set too wide is no news for ever."""
    monitor = InputQualityMonitor(DESK, InputSettings(learn=500))
    monitor.observe(bars(prices(2_000) + 0.005))
    assert monitor.findings() == []


def test_a_state_of_other_symptoms_leaves_its_findings_and_a_fresh_start():
    """A monitor that knows more than the one that stopped tells what that had found, and learns anew."""
    before = InputQualityMonitor(DESK, InputSettings(learn=500))
    before.observe(half_off(2_000))
    state = before.state()
    for name in ("lanes", "totals"):
        state[name] = state[name][:, :-1]
    after = InputQualityMonitor(DESK, InputSettings(learn=500))
    after.restore(state)
    assert [finding.subject for finding in after.findings()] == ["ABC bar off_grid"]
    assert after.summary() == []
    after.observe(bars(prices(100)))
    assert [line.events for line in after.summary()] == [100]


def nasty(n=1_500, seed=8):
    """Return events of every kind and of instruments known and not; faults of every sort grow at two thirds."""
    rng = np.random.default_rng(seed)
    often = np.where(np.arange(n) > 2 * n // 3, 0.15, 0.005)
    events = np.concatenate([bars(prices(n, seed=seed)), quotes(prices(1), prices(1))])[:n]
    events["sequence"], events["instrument"] = np.arange(n), rng.choice(3, n, p=[0.6, 0.35, 0.05])
    events["kind"] = rng.choice([*range(1, 12)], n, p=[0.7] + [0.03] * 10)
    events["ts_recv_ns"] = events["ts_event_ns"] + rng.integers(0, 1_000_000, n)
    events["ts_event_ns"] -= 3 * SECOND * (rng.random(n) < often)
    events["ts_recv_ns"] += 50_000_000 * (rng.random(n) < often)
    events["flags"] = np.where(rng.random(n) < often, rng.integers(20, 45, n), 0)
    events["values"][rng.random(n) < often, 3] = np.nan
    events["values"][rng.random(n) < often, 0] += 0.005
    events["values"][events["kind"] == Kind.GAP, :2] = rng.integers(
        0, 7, (np.count_nonzero(events["kind"] == Kind.GAP), 2)
    )
    return events


@pytest.mark.parametrize("size", [1, 7, 100, 1_500])
def test_what_is_seen_and_told_is_the_same_however_inputs_are_cut(size):
    """Counts and findings are those of one slice, with empty slices between and a restart after each."""
    events, settings = nasty(), InputSettings(learn=200, quiet=100, false_alarms_per_10k=5.0)
    whole = InputQualityMonitor(DESK, settings)
    whole.observe(events)
    parts, told = read_in_turns(partial(InputQualityMonitor, DESK, settings), [events], size, restarts=True)
    expected = whole.findings()
    assert len(expected) > 5
    assert told == expected
    assert parts.summary() == whole.summary()
    assert sum(line.events for line in whole.summary()) == np.count_nonzero(
        (events["instrument"] < len(DESK)) & (events["kind"] <= Kind.ROW)
    )


def mixed(n, strange, seed=0):
    """Return bars of a declared instrument among which, from the middle on, a share is of one that is not."""
    events = bars(prices(n))
    events["sequence"] = 1 + np.arange(n)
    late = np.arange(n) >= n // 2
    events["instrument"][late & (np.random.default_rng(seed).random(n) < strange)] = 7
    return events


@pytest.mark.parametrize("parts", [1, 7, 400])
def test_instruments_that_the_desk_does_not_declare_are_told(parts):
    """They have no lane; one chart tells how many come, wherever the record is cut and the monitor is restarted."""
    events, monitor = mixed(2_000, 0.2), InputQualityMonitor(DESK)
    found = []
    for part in np.array_split(events, parts):
        monitor.observe(part)
        found += monitor.findings()
        state, monitor = monitor.state(), InputQualityMonitor(DESK)
        monitor.restore(state)
    told = [finding for finding in found if finding.subject == "undeclared instruments"]
    whole = InputQualityMonitor(DESK)
    whole.observe(events)
    assert told == [finding for finding in whole.findings() if finding.subject == "undeclared instruments"]
    assert 1_000 < told[0].sequence < 1_200
    assert told[0].observed > 10.0 * told[0].reference == 100.0
    assert "number 7 of 2" in told[0].sentence
    assert told[0].sentence.endswith("declare the instrument, or have the feed leave it out.")
    assert "undeclared instruments" in {each.subject for each in monitor.gauges()}


@pytest.mark.parametrize("kind", [Kind.BAR, Kind.CONTROL])
def test_a_stray_event_and_what_is_no_market_event_are_left(kind):
    """One event of an unknown instrument among thousands, or controls that name none, are no finding."""
    events = mixed(4_000, 0.0)
    events["instrument"][500 if kind is Kind.BAR else slice(500, 600)] = 7
    events["kind"][events["instrument"] == 7] = kind
    monitor = InputQualityMonitor(DESK)
    monitor.observe(events)
    assert [finding.subject for finding in monitor.findings() if "undeclared" in finding.subject] == []


def test_a_state_of_an_earlier_release_goes_on():
    """One that knew nothing of undeclared instruments starts their chart afresh, and keeps the rest."""
    before, after = InputQualityMonitor(DESK), InputQualityMonitor(DESK)
    before.observe(mixed(200, 0.0))
    after.restore({name: part for name, part in before.state().items() if "undeclared" not in name})
    assert after.summary() == before.summary()
