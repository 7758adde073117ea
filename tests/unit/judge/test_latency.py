"""Lags of inputs and decisions are those that a list says, on streams as bad as streams get."""

from functools import partial

import msgspec
import numpy as np
import pytest
from tape_slices import bars, decisions_on, read_in_turns

from tradeworthy.core.decisions import ORDER, Role
from tradeworthy.core.events import OUR_REJECTS, Kind
from tradeworthy.core.time import NS_PER_MS
from tradeworthy.judge.monitor.lags import LAGS
from tradeworthy.judge.monitor.latency import LatencyMonitor, LatencySettings

N, LEARN, LEARN_ORDERS = 900, 60, 30
DESK = ["ETH", "BTC"]
SETTINGS = LatencySettings(
    learn=LEARN, learn_orders=LEARN_ORDERS, alarm_on_orders=True, quiet=50, false_alarms_per_10k=5.0
)


def tape(seed=0):
    """Return inputs of three instruments, one of them unknown, and decisions; lags grow at two thirds.

    Some inputs answer orders: twice, too late to be read, of shadows, of nothing on the tape, disbelieved, or our own.
    """
    rng = np.random.default_rng(seed)
    events, late = bars(np.full(N, 100.0)), np.arange(N) > 2 * N // 3
    events["instrument"] = rng.integers(0, 3, N)
    events["kind"][rng.random(N) < 0.1] = Kind.CONTROL
    events["ts_recv_ns"] += (NS_PER_MS * rng.gamma(2.0, np.where(late, 30.0, 1.0))).astype(np.int64)
    decisions = decisions_on(events, 0.5)
    asked = np.maximum.accumulate(np.clip(np.arange(N) - rng.integers(0, 3, N), 0, None))
    decisions["input_sequence"] = events["sequence"][asked] + (rng.random(N) < 0.05)  # some of nothing on the tape
    decisions["ts_decided_ns"] = events["ts_recv_ns"][asked] + rng.integers(0, NS_PER_MS, N) * np.where(late, 40, 1)
    decisions["quantity"] = rng.choice([-1.0, 0.0, 1.0], N, p=[0.45, 0.1, 0.45])
    decisions["role"][rng.random(N) < 0.1] = Role.SHADOW
    answers = np.flatnonzero(rng.random(N) < 0.6)
    back = np.where(late[answers], rng.integers(9, 15, len(answers)), rng.integers(1, 4, len(answers)))
    about = np.clip(answers - back, 0, None)
    events["kind"][answers] = rng.choice([Kind.FILL, Kind.REJECT], len(answers))
    events["instrument"][answers] = events["instrument"][about]
    events["reference"][answers] = decisions["sequence"][about] + (rng.random(len(answers)) < 0.05)
    events["reference"][answers[rng.random(len(answers)) < 0.03]] = 1 << 60
    events["flags"][answers[rng.random(len(answers)) < 0.05]] = 31
    events["values"][answers, 0] = rng.choice([1.0, OUR_REJECTS, OUR_REJECTS + 1.0, np.nan], len(answers))
    decisions["ts_decided_ns"] += np.where(decisions["quantity"] == 0.0, 0, 1)
    return events, decisions[rng.random(N) < 0.8]


def is_answer(event):
    """Whether an input is what a venue says of an order before it, and the engine believed it."""
    if event["flags"] or event["reference"] >= event["sequence"]:
        return False
    return event["kind"] == Kind.FILL or (event["kind"] == Kind.REJECT and not event["values"][0] >= OUR_REJECTS)


def plainly(events, decisions):
    """Return the lags in milliseconds of each lag of each instrument, in order."""
    found = {(symbol, lag): [] for symbol in DESK for lag in LAGS}
    for event in events:
        if event["kind"] == Kind.BAR and event["instrument"] < len(DESK):
            lag_ns = int(event["ts_recv_ns"]) - int(event["ts_event_ns"])
            found[DESK[event["instrument"]], LAGS[0]].append(lag_ns / NS_PER_MS)
    seen = dict(zip(events["sequence"].tolist(), events["ts_recv_ns"].tolist(), strict=True))
    for each in decisions:
        if int(each["input_sequence"]) in seen and each["instrument"] < len(DESK):
            lag_ns = int(each["ts_decided_ns"]) - seen[int(each["input_sequence"])]
            found[DESK[each["instrument"]], LAGS[1]].append(lag_ns / NS_PER_MS)
    waiting = {int(d["sequence"]): d for d in decisions if d["quantity"] and d["role"] != Role.SHADOW}
    for event in events:
        order = waiting.pop(int(event["reference"]), None) if is_answer(event) else None
        if order is not None and event["instrument"] < len(DESK):
            lag_ns = int(event["ts_recv_ns"]) - int(order["ts_decided_ns"])
            found[DESK[event["instrument"]], LAGS[2]].append(lag_ns / NS_PER_MS)
    return found


def read(events, decisions, *, step=N, decisions_first=False, restarts=False):
    """Return a monitor that has read slices of both streams in turn, and what it found."""
    streams, made = [events, decisions, np.zeros(N, ORDER)], partial(LatencyMonitor, DESK, SETTINGS)
    monitor, found = read_in_turns(made, streams, step, restarts=restarts, backwards=decisions_first)
    return monitor, sorted(found, key=lambda finding: (finding.sequence, finding.subject))


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("decisions_first", [False, True])
@pytest.mark.parametrize("step", [4, 33, N])
def test_lags_are_what_a_list_says_however_streams_are_cut(step, decisions_first, restarts):
    """Count, mean, percentiles, worst and the learned limit of every lag, whichever stream is first, with restarts."""
    events, decisions = tape()
    monitor, _ = read(events, decisions, step=step, decisions_first=decisions_first, restarts=restarts)
    expected = plainly(events, decisions)
    assert [(each.instrument, each.lag) for each in monitor.summary()] == list(expected)
    for each in monitor.summary():
        lags = expected[each.instrument, each.lag]
        assert (each.count, each.worst_ms) == (len(lags), max(lags))
        assert each.mean_ms == pytest.approx(np.mean(lags), rel=1e-12)
        learned = lags[: LEARN_ORDERS if each.lag == "order lag" else LEARN]
        assert each.slow_ms == pytest.approx(max(1.5 * float(np.quantile(learned, 0.99)), SETTINGS.least_ms))
        for found, share in ((each.p50_ms, 0.5), (each.p99_ms, 0.99)):
            exact = float(np.quantile(lags, share, method="inverted_cdf"))
            assert found == pytest.approx(max(exact, 2.0**-10), rel=1 / 32)


@pytest.mark.parametrize("step", [4, 33, 100])
def test_slow_lags_are_told_alike_however_streams_are_cut(step):
    """Findings are the same to the last word, with a restart after every slice."""
    events, decisions = tape(1)
    _, whole = read(events, decisions)
    assert {finding.subject for finding in whole} == {f"{symbol} {lag}" for symbol in DESK for lag in LAGS}
    assert all(finding.ts_event_ns > events["ts_event_ns"][2 * N // 3] for finding in whole)
    assert read(events, decisions, step=step, restarts=True)[1] == whole


def test_a_state_holds_what_was_learned_from_and_nothing_else():
    """A lag that learns no limit keeps no first lags; of one that does, those until now."""
    events, decisions = tape()
    monitor = LatencyMonitor(DESK, msgspec.structs.replace(SETTINGS, alarm_on_orders=False))
    for stream in (events[:12], decisions):
        monitor.observe(stream)
    state, counts = monitor.state(), {(each.instrument, each.lag): each.count for each in monitor.summary()}
    assert counts[DESK[0], "order lag"] > 0
    assert len(state["first.2"]) == 0
    assert len(state["first.0"]) == counts[DESK[0], "feed lag"] > 0


def test_decisions_that_ask_in_falling_order_are_measured():
    """Each finds its own input; what is left waiting is what nobody has read yet."""
    events = bars(np.full(6, 100.0))
    decisions = decisions_on(events, 0.5)
    decisions["input_sequence"] = decisions["input_sequence"][[2, 0, 1, 4, 3, 5]]
    decisions["ts_decided_ns"] = events["ts_recv_ns"][[2, 0, 1, 4, 3, 5]] + 2 * NS_PER_MS
    monitor = LatencyMonitor(DESK, SETTINGS)
    monitor.observe(decisions)
    monitor.observe(events[:5])
    feed, decided = monitor.summary()  # nothing was ordered
    assert (feed.count, decided.count, decided.mean_ms, decided.worst_ms) == (5, 5, 2.0, 2.0)
    assert monitor.state()["decisions"]["sequence"].tolist() == [int(decisions["sequence"][5])]


def answer(order, kind=Kind.FILL, after=6, value=1.0, late_ms=5.0):
    """Return one input that answers an order (by its decision), seen so many ms after that decision."""
    event = bars([100.0], first_sequence=int(order["sequence"]) + after)
    event["kind"], event["reference"], event["instrument"] = kind, order["sequence"], order["instrument"]
    event["ts_recv_ns"] = order["ts_decided_ns"] + int(late_ms * NS_PER_MS)
    event["values"][0, 0] = value
    return event


def orders_on(events):
    """Return decisions that each send an order as they stand."""
    decisions = decisions_on(events, 0.5)
    decisions["quantity"], decisions["ts_decided_ns"] = 1.0, events["ts_recv_ns"] + NS_PER_MS
    return decisions


def lag_of(monitor, lag):
    """Return what a monitor says of one lag of the first instrument, or None."""
    return next((each for each in monitor.summary() if (each.instrument, each.lag) == (DESK[0], lag)), None)


def test_the_first_word_on_an_order_is_its_answer():
    """Fills that follow the first, and a reject of the rest, are no lag; an order without an answer has none."""
    events = bars(np.full(3, 100.0))
    orders = orders_on(events)
    monitor = LatencyMonitor(DESK, SETTINGS)
    monitor.observe(orders)
    for part in (answer(orders[1], late_ms=7.0), answer(orders[0], late_ms=3.0), answer(orders[1], late_ms=90.0)):
        monitor.observe(part)
    monitor.observe(answer(orders[0], Kind.REJECT, after=9, late_ms=99.0))
    found = lag_of(monitor, "order lag")
    assert (found.count, found.mean_ms, found.worst_ms) == (2, 5.0, 7.0)
    assert monitor.state()["orders"]["sequence"].tolist() == [int(orders[2]["sequence"])]
    assert [each.value for each in monitor.gauges() if each.subject == "orders_unanswered"] == [1.0]


def test_an_answer_that_is_read_before_its_order_waits_for_it():
    """Streams are read one after the other: the answer keeps, across a restart too, until its decision is read."""
    orders = orders_on(bars(np.full(3, 100.0)))
    monitor = LatencyMonitor(DESK, SETTINGS)
    monitor.observe(answer(orders[2], late_ms=4.0))
    monitor.observe(orders[:2])
    assert lag_of(monitor, "order lag") is None
    after = LatencyMonitor(DESK, SETTINGS)
    after.restore(monitor.state())
    after.observe(orders[2:])
    assert lag_of(after, "order lag").mean_ms == 4.0
    assert len(after.state()["answers"]) == 0


@pytest.mark.parametrize(
    "said",
    [
        {"kind": Kind.REJECT, "value": OUR_REJECTS},
        {"kind": Kind.REJECT, "value": OUR_REJECTS + 1.0},
        {"kind": Kind.TRADE},
        {"after": 0},
    ],
)
def test_what_is_no_word_of_the_venue_is_no_answer(said):
    """A reject of our own after a restart, a trade, a fill that stands where its order does; the real one counts."""
    orders = orders_on(bars(np.full(2, 100.0)))
    monitor = LatencyMonitor(DESK, SETTINGS)
    monitor.observe(orders)
    monitor.observe(answer(orders[0], **said, late_ms=500.0))
    assert lag_of(monitor, "order lag") is None
    monitor.observe(answer(orders[0], Kind.REJECT, late_ms=2.0))
    assert lag_of(monitor, "order lag").worst_ms == 2.0


def test_percentiles_are_figures_under_each_instrument():
    """Median and 99th of 1 to 100 ms, beside how near an alarm is and, once that is learned, how soon it comes."""
    orders = orders_on(bars(np.full(400, 100.0)))
    monitor = LatencyMonitor(DESK, LatencySettings(alarm_on_orders=True))
    monitor.observe(orders)
    for place, order in enumerate(orders):
        monitor.observe(answer(order, late_ms=1.0 + place % 100))
    shown = {(each.family, each.subject, each.instrument): each for each in monitor.gauges()}
    assert shown["value", "order_lag_p50_ms", "ETH"].value == pytest.approx(50.0, rel=1 / 32)
    assert shown["value", "order_lag_p99_ms", "ETH"].value == pytest.approx(99.0, rel=1 / 32)
    assert not any(family == "value" and symbol == "BTC" for family, _, symbol in shown)
    assert shown["evidence", "ETH order lag", "ETH"].delay_events > 0.0
    assert np.isnan(shown["evidence", "BTC order lag", "BTC"].delay_events)


@pytest.mark.parametrize(("ms", "shown"), [(-3.0, 0.0), (0.0, 0.0), (1e-6, 1e-6), (1e12, 1e12)])
def test_lags_beyond_all_buckets_are_in_the_first_or_the_last(ms, shown):
    """A clock that runs behind the venue's, and one that is thirty years ahead, break no percentile."""
    monitor = LatencyMonitor(DESK, SETTINGS)
    events = bars([100.0])
    events["ts_event_ns"], events["ts_recv_ns"] = 0, int(ms * NS_PER_MS)
    monitor.observe(events)
    found = lag_of(monitor, "feed lag")
    assert found.p50_ms == shown


@pytest.mark.parametrize("name", ["wanted", "learn", "instruments"])
def test_a_state_of_other_lags_leaves_its_findings_and_a_fresh_start(name):
    """A release that knew two lags, another number to learn from, another desk: what was found is told, no more."""
    events, decisions = tape(1)
    before = LatencyMonitor(DESK, SETTINGS)
    before.observe(events)
    before.observe(decisions)
    state = before.state()
    if name == "wanted":
        del state["wanted"]
        state["limits"] = state["limits"][:4]
    settings = LatencySettings(learn=LEARN // 2, alarm_on_orders=True) if name == "learn" else SETTINGS
    after = LatencyMonitor([*DESK, "LTC"] if name == "instruments" else DESK, settings)
    after.restore(state)
    assert after.findings() == before.findings() != []
    assert after.summary() == []
    after.observe(events[:10])
    assert sum(each.count for each in after.summary()) == sum(
        event["kind"] == Kind.BAR and event["instrument"] < len(after._instruments) for event in events[:10]
    )


def test_a_limit_that_is_not_learned_yet_is_nan():
    """With too few lags nothing is slow, and the summary says that there is no limit."""
    events, decisions = tape()
    monitor = LatencyMonitor(DESK, LatencySettings(learn=10_000, learn_orders=10_000, alarm_on_orders=True))
    monitor.observe(events)
    monitor.observe(decisions)
    assert all(np.isnan(each.slow_ms) and each.count > 0 for each in monitor.summary())
    assert monitor.findings() == []


@pytest.mark.parametrize(("alarms", "told"), [(False, []), (True, ["ETH order lag"])])
def test_a_paper_venue_in_a_quiet_night_is_not_slow(alarms, told):
    """It answers at the market's next event: that events grow rare is told of a venue that answers by itself alone."""
    spacing = np.where(np.arange(N) < 2 * N // 3, 1, 100) * NS_PER_MS
    events = bars(np.full(N, 100.0))
    events["ts_event_ns"] = events["ts_recv_ns"] = np.cumsum(spacing) + 10**18
    decisions = decisions_on(events, 0.5)
    decisions["quantity"], decisions["ts_decided_ns"] = 1.0, events["ts_recv_ns"]
    answers = events[1:].copy()
    answers["kind"], answers["reference"] = Kind.FILL, decisions["sequence"][:-1]
    answers["sequence"] -= 1
    inputs = np.concatenate([events, answers])
    inputs.sort(order="sequence")
    monitor = LatencyMonitor(["ETH"], msgspec.structs.replace(SETTINGS, alarm_on_orders=alarms))
    for part in np.array_split(inputs, 7):
        monitor.observe(part)
    for part in np.array_split(decisions, 5):
        monitor.observe(part)
    assert [finding.subject for finding in monitor.findings()][:1] == told
    assert ("ETH order lag" in {each.subject for each in monitor.gauges() if each.family == "evidence"}) is alarms
    measured = lag_of(monitor, "order lag")
    assert measured.count == N - 1
    assert measured.worst_ms == pytest.approx(100.0)
    assert measured.p50_ms == pytest.approx(1.0, rel=1 / 32)
