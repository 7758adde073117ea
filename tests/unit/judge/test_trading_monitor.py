"""Trading is retold as a slow and plain account tells it, on streams as bad as streams get."""

import math

import numpy as np
import pytest
from tape_slices import bars, decisions_on

from tradeworthy.core.decisions import Role
from tradeworthy.core.events import Kind
from tradeworthy.core.instruments import Instrument
from tradeworthy.judge.monitor.trading import TradingMonitor, TradingSettings

N = 1_200
DESK = [Instrument(symbol="ETH"), Instrument(symbol="BTC", multiplier=2.0)]
SETTINGS = TradingSettings(learn_decisions=50, learn_fills=60, quiet=20, drawdown_value=8.0, false_alarms_per_10k=5.0)


def tape(seed=0):
    """Return inputs of three instruments, one of them unknown, and decisions; fills become dear at two thirds."""
    rng = np.random.default_rng(seed)
    late = np.arange(N) > 2 * N // 3
    events = bars(100.0 * np.exp(np.cumsum(1e-4 * rng.standard_normal(N))))
    events["instrument"] = rng.choice(3, N, p=[0.55, 0.4, 0.05])
    events["flags"][rng.random(N) < 0.03] = 31
    events["values"][rng.random(N) < 0.03, 3] = np.nan
    decisions = decisions_on(events, 0.5)
    decisions["role"][rng.random(N) < 0.2] = Role.SHADOW
    decisions["quantity"] = (rng.random(N) < np.where(late, 0.9, 0.4)) * rng.choice([-1.0, 1.0], N)
    decisions["price"] = events["values"][:, 0]
    answered = np.flatnonzero(rng.random(N) < 0.7)
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
    kinds = events["kind"].tolist()
    counts = (len(acted), int((acted["quantity"] != 0.0).sum()), kinds.count(Kind.FILL), kinds.count(Kind.REJECT))
    return counts, (turnover, fees, now, worst, won / closed)


def slippage_plainly(events, decisions):
    """Return the mean slippage of fills whose order is known, in basis points."""
    sent = {int(d["sequence"]): float(d["price"]) for d in decisions if d["quantity"] and d["role"] != Role.SHADOW}
    fills = [event for event in events if event["kind"] == Kind.FILL]
    known = [(f["values"][0], f["values"][1], sent[int(f["reference"])]) for f in fills if int(f["reference"]) in sent]
    return np.mean([math.copysign(1.0, q) * (price - asked) / asked * 1e4 for q, price, asked in known])


def read(events, decisions, *, step=N, restarts=False):
    """Return a monitor that has read slices of both streams in turn, and what it found."""
    monitor, found = TradingMonitor(DESK, SETTINGS), []
    for first in range(0, N, step):
        for part in (events[first : first + step], decisions[first : first + step], events[:0], decisions[:0]):
            monitor.observe(part)
        if restarts:
            state = monitor.state()
            monitor = TradingMonitor(DESK, SETTINGS)
            monitor.restore(state)
        found += monitor.findings()
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


@pytest.mark.parametrize("step", [3, 50, 100])
def test_what_goes_wrong_is_told_alike_however_streams_are_cut(step):
    """Findings of every question are the same to the last word, with a restart after every slice."""
    events, decisions = tape(1)
    _, whole = read(events, decisions)
    assert {finding.subject for finding in whole} >= {"drawdown", "ETH slippage", "ETH orders refused", "ETH turnover"}
    assert read(events, decisions, step=step, restarts=True)[1] == whole
