"""Trading is retold as a slow and plain account tells it, on streams as bad as streams get."""

import math
from functools import partial

import msgspec
import numpy as np
import pytest
from tape_slices import bars, decisions_on, read_in_turns

from tradeworthy.core.decisions import Role
from tradeworthy.core.events import Kind
from tradeworthy.core.instruments import Instrument
from tradeworthy.judge.monitor.grouping import Columns, Grouping, Known
from tradeworthy.judge.monitor.joins.wildness import REGIMES, regime_of, see_price, unseen_markets, wildness_of
from tradeworthy.judge.monitor.trading import TradingMonitor, TradingSettings
from tradeworthy.testing.monitors import run

N = 1_200
DESK = [Instrument(symbol="ETH"), Instrument(symbol="BTC", multiplier=2.0)]
SETTINGS = TradingSettings(learn_decisions=50, learn_fills=60, quiet=20, drawdown_value=8.0, false_alarms_per_10k=5.0)


def tape(seed=0, n=N, spread=1e-4):
    """Return inputs of three instruments, one of them unknown, and decisions; fills become dear at two thirds."""
    rng = np.random.default_rng(seed)
    late = np.arange(n) > 2 * n // 3
    events = bars(100.0 * np.exp(np.cumsum(spread * rng.standard_normal(n))))
    events["instrument"] = rng.choice(3, n, p=[0.55, 0.4, 0.05])
    events["flags"][rng.random(n) < 0.03] = 31
    events["values"][rng.random(n) < 0.03, 3] = np.nan
    decisions = decisions_on(events, 0.5)
    decisions["role"][rng.random(n) < 0.2] = Role.SHADOW
    decisions["quantity"] = (rng.random(n) < np.where(late, 0.9, 0.4)) * rng.choice([-1.0, 1.0], n)
    decisions["price"] = events["values"][:, 0]
    answered = np.flatnonzero(rng.random(n) < 0.7)
    order = np.clip(answered - rng.integers(1, 6, len(answered)), 0, None)
    answers = events[answered]
    events["kind"][answered] = np.where(
        rng.random(len(answered)) < np.where(late[answered], 0.55, 0.1), Kind.REJECT, Kind.FILL
    )
    events["reference"][answered] = decisions["sequence"][order] + (rng.random(len(answered)) < 0.05)
    worse = 1e-4 * np.where(late[answered], 30.0, 1.0) * rng.random(len(answered))
    events["values"][answered, 0] = side = rng.choice([-2.0, -1.0, 1.0, 2.0], len(answered))
    events["values"][answered, 1] = answers["values"][:, 0] * (1.0 + np.sign(side) * worse)
    events["values"][answered, 2] = 0.01
    return events, decisions


def plainly(events, decisions):
    """Return counts, turnover, fees, equity, drawdowns, trades won and closed, of an account kept in dictionaries."""
    held, cost, mark = [0.0, 0.0], [0.0, 0.0], [math.nan, math.nan]
    cash = peak = worst = turnover = fees = won = closed = 0.0
    for event in events:
        one, kind, values = int(event["instrument"]), int(event["kind"]), event["values"]
        if one >= len(DESK) or event["flags"] or kind == Kind.REJECT:
            continue
        per = DESK[one].multiplier
        if kind == Kind.BAR:
            if not values[3] > 0.0:
                continue
            mark[one] = values[3]
        else:
            quantity, price, fee = (float(value) for value in values[:3])
            mark[one] = price if math.isnan(mark[one]) else mark[one]
            turnover, fees, cash = (
                turnover + abs(quantity * price * per),
                fees + fee,
                cash - quantity * price * per - fee,
            )
            before, held[one] = held[one], held[one] + quantity
            if before * quantity >= 0.0:
                total = cost[one] * abs(before) + price * abs(quantity) + np.sign(held[one]) * fee / per
                cost[one] = total / abs(held[one])
            else:
                gain = np.sign(before) * min(abs(before), abs(quantity)) * (price - cost[one]) * per - fee
                closed, won = closed + 1, won + (gain > 0.0)
                cost[one] = price if before * held[one] < 0.0 else cost[one]
        now = cash + sum(h * m * each.multiplier for h, m, each in zip(held, mark, DESK, strict=True) if h)
        peak = max(peak, now)
        worst = max(worst, peak - now)
    acted = decisions[decisions["role"] != Role.SHADOW]
    kinds = events["kind"][events["flags"] == 0].tolist()
    counts = (len(acted), int((acted["quantity"] != 0.0).sum()), kinds.count(Kind.FILL), kinds.count(Kind.REJECT))
    return counts, (turnover, fees, now, worst, won / closed)


def regimes_plainly(events):
    """Return the regime of each event's market after it, from squared returns kept in a dictionary; None for none."""
    memory, found = {}, []
    for event in events:
        one, price = int(event["instrument"]), float(event["values"][3])
        squares = memory.setdefault(one, {"last": None, "late": 0.0, "long": 0.0, "prices": 0})
        if event["kind"] == Kind.BAR and not event["flags"] and price > 0.0:
            seen = squares["prices"]
            if seen:
                square = math.log(price / squares["last"]) ** 2
                squares["late"] += max(1 / 60, 1 / seen) * (square - squares["late"])
                squares["long"] += max(1 / 2_000, 1 / seen) * (square - squares["long"])
            squares["last"], squares["prices"] = price, seen + 1
        ratio = math.sqrt(squares["late"] / squares["long"]) if squares["prices"] >= 120 else None
        found.append(None if ratio is None else "calm" if ratio <= 0.75 else "usual" if ratio <= 1.33 else "wild")
    return found


def hit_rates_plainly(events):
    """Return the share of round trips won, by the regime in which the position was opened or turned round."""
    held, cost, opened, trips = [0.0, 0.0], [0.0, 0.0], [None, None], {each: [] for each in REGIMES}
    for event, regime in zip(events, regimes_plainly(events), strict=True):
        one = int(event["instrument"])
        if one >= len(DESK) or event["flags"] or event["kind"] != Kind.FILL:
            continue
        per, before = DESK[one].multiplier, held[one]
        quantity, price, fee = (float(value) for value in event["values"][:3])
        held[one] = before + quantity
        if before * quantity < 0.0:
            gain = math.copysign(min(abs(before), abs(quantity)), before) * (price - cost[one]) * per - fee
            if opened[one] is not None:
                trips[opened[one]].append(gain > 0.0)
            cost[one] = price if before * held[one] < 0.0 else cost[one]
        else:
            cost[one] = (cost[one] * abs(before) + price * abs(quantity) + np.sign(held[one]) * fee / per) / abs(
                held[one]
            )
        if before == 0.0 or before * held[one] < 0.0:
            opened[one] = regime
    return {regime: np.mean(won) for regime, won in trips.items()}


def turn_often(events):
    """Let every fill open a position of one, close it, or turn it round."""
    rng, held = np.random.default_rng(0), [0.0, 0.0, 0.0]
    for at in np.flatnonzero((events["kind"] == Kind.FILL) & (events["flags"] == 0)):
        one = int(events["instrument"][at])
        quantity = -np.sign(held[one]) * rng.integers(1, 3) or rng.choice([-1.0, 1.0])
        events["values"][at, 0], held[one] = quantity, held[one] + quantity


def slippage_plainly(events, decisions):
    """Return the mean slippage of fills whose order is known, in basis points."""
    sent = {int(d["sequence"]): float(d["price"]) for d in decisions if d["quantity"] and d["role"] != Role.SHADOW}
    fills = [event for event in events if event["kind"] == Kind.FILL and not event["flags"]]
    known = [(f["values"][0], f["values"][1], sent[int(f["reference"])]) for f in fills if int(f["reference"]) in sent]
    return np.mean([math.copysign(1.0, q) * (price - asked) / asked * 1e4 for q, price, asked in known])


def read(events, decisions, *, step=N, restarts=False):
    """Return a monitor that has read slices of both streams in turn, and what it found."""
    made = partial(TradingMonitor, DESK, SETTINGS)
    monitor, found = read_in_turns(made, [events, decisions], step, restarts=restarts)
    return monitor, sorted(found, key=lambda finding: (finding.sequence, finding.subject))


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("step", [3, 50, N])
def test_trading_is_what_a_plain_account_says(step, restarts):
    """Counts, money, drawdown, trades won and slippage, however streams are cut and across restarts."""
    events, decisions = tape()
    summary = read(events, decisions, step=step, restarts=restarts)[0].summary()
    counts, money = plainly(events, decisions)
    assert (summary.decisions, summary.orders, summary.fills, summary.refused) == counts
    found = (summary.turnover_value, summary.fees, summary.equity, summary.drawdown_worst_value, summary.hit_rate)
    assert found == pytest.approx(money, rel=1e-9)
    assert summary.slippage_bps == pytest.approx(slippage_plainly(events, decisions), rel=1e-9)


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("step", [7, 50, 6_000])
def test_hit_rates_by_regime_are_what_a_list_of_trips_says(step, restarts):
    """Each round trip counts for the regime in which it was opened, however streams are cut and across restarts."""
    events, decisions = tape(n=6_000, spread=1e-4 * np.where(np.arange(6_000) % 1_600 < 1_000, 0.5, 3.0))
    turn_often(events)
    expected = hit_rates_plainly(events)
    assert all(0.0 < rate < 1.0 for rate in expected.values())
    monitor = read(events, decisions, step=step, restarts=restarts)[0]
    assert monitor.summary().hit_rates == pytest.approx(expected, rel=1e-12)
    figures = {gauge.subject: gauge.value for gauge in monitor.gauges() if gauge.family == "value"}
    assert {regime: figures[f"hit_rate_{regime}"] for regime in REGIMES} == pytest.approx(expected, rel=1e-12)
    assert figures["fill_rate"] == monitor.summary().fill_rate


def trips(wild, *, gains, sequence=1):
    """Return prices of one market, `wild` times as far apart as before, and a trip bought and sold at every tenth.

    Each trip makes its gain.
    """
    n = 10 * len(gains)
    moves = np.where(np.arange(n) % 2, 1.0, -1.0) * 0.001 * wild
    events = bars(100.0 * np.exp(moves), first_sequence=sequence)
    for place, gain in enumerate(gains):
        at = 10 * place + 4
        events["kind"][[at, at + 2]] = Kind.FILL
        events["values"][[at, at + 2], :3] = [[1.0, 100.0, 0.0], [-1.0, 100.0 + gain, 0.0]]
    return events


def of_all(slices):
    """Return a monitor of one market that has read slices of inputs, and what it found."""
    settings = TradingSettings(learn_fills=60, quiet=20, false_alarms_per_10k=5.0)
    monitor = TradingMonitor(DESK, settings)
    return monitor, run(monitor, slices)


def test_a_regime_without_a_trip_has_no_hit_rate():
    """NaN is not nothing won; before enough prices were seen a trip counts in all alone."""
    few = of_all([trips(1.0, gains=[1.0] * 10)])[0].summary()
    assert few.hit_rate == 1.0
    assert all(math.isnan(rate) for rate in few.hit_rates.values())
    more = of_all([trips(1.0, gains=[1.0] * 10), trips(1.0, gains=[-1.0] * 10)])[0].summary()
    assert more.hit_rate == 0.5
    assert more.hit_rates["usual"] == 0.0
    assert math.isnan(more.hit_rates["calm"])
    assert math.isnan(more.hit_rates["wild"])


def test_trips_lost_in_one_regime_alone_are_told_of_it():
    """Half of the trips are lost in every market; then those of wild ones alone, and only their chart says so."""
    even, calm = [1.0, -1.0] * 60, [1.0, 1.0, 1.0, -1.0]
    cycle = [(1.0, even), (3.0, even[:40])]
    slices = [trips(wild, gains=gains) for wild, gains in [(1.0, even[:20]), *cycle * 4]]
    before, found = of_all(slices)
    assert found == []
    worse = [trips(wild, gains=gains) for wild, gains in [(1.0, calm * 10), (3.0, [-1.0] * 40)] * 3]
    after, found = of_all([*slices, *worse])
    assert "ETH trades lost, wild" in {finding.subject for finding in found}
    assert not {"ETH trades lost, usual", "ETH trades lost, calm"} & {finding.subject for finding in found}
    told = next(finding for finding in found if finding.subject == "ETH trades lost, wild")
    assert "round trips in ETH opened in a wild market since" in told.sentence
    assert after.summary().hit_rates["wild"] < before.summary().hit_rates["wild"]


def test_a_state_that_knew_no_regimes_keeps_account_and_begins_its_charts_afresh():
    """What the desk holds, made and lost goes on under the next release; trips by regime are counted from there."""
    events, decisions = tape()
    before = read(events, decisions)[0]
    state = before.state()
    for name in ("markets", "trips"):
        del state[name]
    for name in [name for name in state if name.startswith("charts.")]:
        state[name] = np.concatenate([state[name][:4], state[name][7:11]])
    after = TradingMonitor(DESK, SETTINGS)
    after.restore(state)
    known, own = msgspec.structs.asdict(after.summary()), msgspec.structs.asdict(before.summary())
    assert all(math.isnan(rate) for rate in known.pop("hit_rates").values())
    own.pop("hit_rates")
    assert known == own
    charts = [each.value for each in after.gauges() if each.family == "evidence" and each.subject != "drawdown"]
    assert charts == [0.0] * len(charts)


@pytest.mark.parametrize("wild", [0.2, 1.0, 4.0])
def test_a_regime_is_the_one_that_fairness_groups_by(wild):
    """The same prices make the same regime for trades and for groups of decisions."""
    market = unseen_markets(1)[0]
    assert regime_of(market) == -1
    events = np.concatenate([trips(1.0, gains=[0.0] * 60), trips(wild, gains=[0.0] * 20)])
    for price in events["values"][events["kind"] == Kind.BAR, 3]:
        see_price(market, float(price))
        known = Known(np.zeros(1, np.int64), np.zeros(1, np.int64), np.array([wildness_of(market)]))
        assert regime_of(market) == Grouping("regime", Columns(["ETH"])).places(known)[0]
    assert REGIMES[regime_of(market)] == {0.2: "calm", 1.0: "usual", 4.0: "wild"}[wild]


def test_an_answer_about_an_order_after_it_holds_up_no_other():
    """A fill of a number that no order has yet is left; the next one is held against its decision at once."""
    events, decisions = bars([100.0] * 4), decisions_on(bars([100.0] * 4), 0.5)
    decisions["quantity"], decisions["price"] = 1.0, 100.0
    events["kind"][1:3] = Kind.FILL
    events["reference"][1:3] = 1 << 60, decisions["sequence"][0]
    events["values"][1:3, :3] = 1.0, 101.0, 0.0
    assert read(events, decisions)[0].summary().slippage_bps == pytest.approx(100.0)


@pytest.mark.parametrize("step", [3, 50, 100])
def test_what_goes_wrong_is_told_alike_however_streams_are_cut(step):
    """Findings of every question are the same to the last word, with a restart after every slice."""
    events, decisions = tape(1)
    _, whole = read(events, decisions)
    assert {finding.subject for finding in whole} >= {"drawdown", "ETH slippage", "ETH orders refused", "ETH turnover"}
    assert read(events, decisions, step=step, restarts=True)[1] == whole
