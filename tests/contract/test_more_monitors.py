"""The monitors of inputs, ranges, classes, estimates, trading and groups keep the promise of the contract kit."""

import numpy as np
import pytest

from tradeworthy.core.decisions import DECISION, row_dtype
from tradeworthy.core.events import Kind, event_dtype
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import NS_PER_MINUTE, NS_PER_MS
from tradeworthy.judge.monitor.class_balance import BalanceSettings, ClassBalanceMonitor
from tradeworthy.judge.monitor.control_charts.calibration import ChartSettings
from tradeworthy.judge.monitor.estimated import EstimatedPerformanceMonitor, EstimatedSettings
from tradeworthy.judge.monitor.group_fairness import FairnessMonitor, FairnessSettings
from tradeworthy.judge.monitor.input_quality import InputQualityMonitor
from tradeworthy.judge.monitor.joins.outcomes import JOINED
from tradeworthy.judge.monitor.latency import LatencyMonitor
from tradeworthy.judge.monitor.ranges import RangeMonitor
from tradeworthy.judge.monitor.trading import TradingMonitor, TradingSettings
from tradeworthy.testing.monitors import check_monitor, run

VERSION = 0xABCDEF
HALF_HOUR = 30 * NS_PER_MINUTE
N, HALF = 4_000, 2_000
CHARTS = ChartSettings(runs=10, run_length=2_000, shift_sd=0.3)
ETH = [Instrument(symbol="ETH")]


def skilled(rng, n, share=0.5):
    """Return calibrated scores and their labels, `share` of them 1."""
    labels = (rng.random(n) < share).astype(float)
    logits = rng.normal(1.5 * (2.0 * labels - 1.0), 1.7320508)
    return 1.0 / (1.0 + np.exp(-logits)), labels


def tape(seed):
    """Return inputs, decisions, rows and joined outcomes; everything goes wrong half way."""
    rng = np.random.default_rng(seed)
    late = np.arange(N) >= HALF
    bars, decisions, rows = np.zeros(N, event_dtype()), np.zeros(N, DECISION), np.zeros(N, row_dtype(2, 1))
    closes = 100.0 * np.exp(np.cumsum(0.001 * rng.standard_normal(N)))
    bars["kind"], bars["sequence"] = Kind.BAR, 10 * np.arange(N) + 10
    bars["ts_event_ns"] = HALF_HOUR * (1 + np.arange(N))
    bars["ts_recv_ns"] = bars["ts_event_ns"] + rng.gamma(2.0, np.where(late, 20.0, 1.0) * NS_PER_MS).astype(np.int64)
    bars["values"][:, :4], bars["values"][:, 4] = closes[:, None], 1.0
    bars["values"][late & (rng.random(N) < 0.05), 3] = np.nan
    scores, labels = skilled(rng, HALF)
    harder, mixed = skilled(rng, HALF, 0.9)
    scores, labels = np.append(scores, 0.5 + 0.4 * (harder - 0.5)), np.append(labels, mixed)
    decisions["sequence"], decisions["input_sequence"] = bars["sequence"] + 1, bars["sequence"]
    decisions["ts_event_ns"], decisions["ts_decided_ns"] = bars["ts_event_ns"], bars["ts_recv_ns"] + 20_000
    decisions["version"], decisions["score"], decisions["role"] = VERSION, scores, 1
    decisions["price"] = closes
    decisions["quantity"] = np.where(np.arange(N) % 4 == 0, np.where(np.arange(N) % 8 == 0, 1.0, -1.0), 0.0)
    rows["sequence"], rows["decision"] = decisions["sequence"] + 1, decisions["sequence"]
    rows["row"] = rng.standard_normal((N, 2))
    rows["row"][late, 0] *= 3.0
    return with_fills(rng, bars, decisions), decisions, rows, joined(decisions, labels)


def with_fills(rng, bars, decisions):
    """Return the bars, and a fill of every order after the next bar; fills become dear half way."""
    sent = decisions[decisions["quantity"] != 0.0][:-1]
    fills = np.zeros(len(sent), event_dtype())
    dear = 1e-4 * np.where(np.arange(len(sent)) < len(sent) // 2, 2.0, 12.0) + 2e-4 * rng.standard_normal(len(sent))
    fills["kind"], fills["reference"], fills["sequence"] = Kind.FILL, sent["sequence"], sent["sequence"] + 12
    fills["ts_event_ns"] = fills["ts_recv_ns"] = sent["ts_event_ns"] + HALF_HOUR
    fills["values"][:, 0] = sent["quantity"]
    fills["values"][:, 1] = sent["price"] * (1.0 + np.sign(sent["quantity"]) * dear)
    both = np.concatenate([bars, fills])
    return both[np.argsort(both["sequence"])]


def joined(decisions, labels, horizon=6):
    """Return joined outcomes, known six bars later."""
    records = np.zeros(len(decisions) - horizon, JOINED)
    records["decision"], records["sequence"] = decisions["sequence"][:-horizon], decisions["sequence"][horizon:] - 1
    for name in ("ts_event_ns", "version", "score", "role"):
        records[name] = decisions[name][:-horizon]
    records["ts_known_ns"] = decisions["ts_event_ns"][horizon:]
    records["label"] = labels[:-horizon]
    return records


def slices(*streams: object, size=300):
    """Return the streams read in turn, as a watcher polls them."""
    parts = [[s[i : i + size] for i in range(0, len(s), size)] for s in streams]
    return [part[turn] for turn in range(max(map(len, parts))) for part in parts if turn < len(part)]


INPUTS, DECISIONS, ROWS, OUTCOMES = tape(4)
WALK = skilled(np.random.default_rng(5), 2_000)
SAMPLE = np.random.default_rng(6).standard_normal((2_000, 2))


def make_inputs():
    return InputQualityMonitor(ETH)


def make_range():
    return RangeMonitor(
        SAMPLE.min(axis=0), SAMPLE.max(axis=0), SAMPLE, ["fast", "slow"], version=VERSION, instruments=["ETH"]
    )


def make_balance():
    return ClassBalanceMonitor(*WALK, version=VERSION, instruments=["ETH"], settings=BalanceSettings(charts=CHARTS))


def make_estimated():
    settings = EstimatedSettings(charts=CHARTS)
    return EstimatedPerformanceMonitor(*WALK, version=VERSION, instruments=["ETH"], settings=settings)


def make_trading():
    settings = TradingSettings(learn_fills=100, drawdown_value=1.0, cost_bps=4.0)
    return TradingMonitor(ETH, settings)


def make_latency():
    return LatencyMonitor(["ETH"])


def make_fairness():
    settings = FairnessSettings(by=("fast", "session"), window=500, allowed=0.0)
    return FairnessMonitor(version=VERSION, instruments=["ETH"], features=["fast", "slow"], settings=settings)


def unfair():
    """Return outcomes that favour rows whose first feature is above one half."""
    outcomes = OUTCOMES.copy()
    outcomes["score"] = np.where(ROWS["row"][: len(outcomes), 0] > 0.5, 0.9, 0.1)
    return outcomes


FACTORIES = {
    "inputs": (make_inputs, slices(INPUTS)),
    "range": (make_range, slices(DECISIONS, ROWS)),
    "class_balance": (make_balance, slices(DECISIONS, OUTCOMES)),
    "estimated": (make_estimated, slices(INPUTS, DECISIONS, OUTCOMES)),
    "trading": (make_trading, slices(INPUTS, DECISIONS)),
    "latency": (make_latency, slices(INPUTS, DECISIONS)),
    "fairness": (make_fairness, slices(unfair(), ROWS)),
}


@pytest.mark.parametrize("name", FACTORIES)
def test_a_monitor_keeps_every_promise(name):
    """Every check of the kit passes on a tape with a change in it."""
    check_monitor(*FACTORIES[name])


@pytest.mark.parametrize("name", FACTORIES)
def test_figures_of_what_is_found_are_shown(name):
    """How near an alarm is, or what is measured, stands under the very subject that findings have."""
    make, parts = FACTORIES[name]
    monitor = make()
    found = run(monitor, parts)
    shown = {gauge.subject: gauge for gauge in monitor.gauges()}
    assert {finding.subject for finding in found} - {"drawdown"} <= set(shown)
    assert all(gauge.value >= 0.0 for gauge in shown.values() if gauge.family == "evidence")


@pytest.mark.parametrize("name", FACTORIES)
def test_the_change_is_told_after_it_happened_and_not_again_and_again(name):
    """The monitor finds what went wrong half way, and says it a few times at most."""
    make, parts = FACTORIES[name]
    found = run(make(), parts)
    assert 1 <= len(found) <= 12, [f.sentence for f in found]
    if name not in {"fairness", "trading"}:
        assert all(f.ts_event_ns >= HALF * HALF_HOUR for f in found), [f.sentence for f in found]
