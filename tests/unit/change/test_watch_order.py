"""Labels that come late, early, twice or never meet their decisions in one order, whenever a watch looks."""

import numpy as np
import pytest

from tradeworthy.change.watch.watch import Watch
from tradeworthy.core.decisions import DECISION
from tradeworthy.core.events import Kind, event_dtype
from tradeworthy.core.time import NS_PER_S, VirtualClock
from tradeworthy.judge.monitor.joins.joined import ForwardingJoin
from tradeworthy.judge.monitor.performance import PerformanceMonitor
from tradeworthy.record.ledger import Ledger
from tradeworthy.record.tape import TapeWriter

VERSION, OTHER = 7, 8
START_NS = 1_600_000_000 * NS_PER_S


class Market:
    """Writes rows, the decisions of two versions on each, and outcomes of some of them after a while."""

    def __init__(self, folder, seed, runs) -> None:
        self.tape = TapeWriter.open(folder, clock=VirtualClock(START_NS), segment_bytes=1 << 16)
        self.inputs = self.tape.stream("inputs", event_dtype())
        self.decisions = self.tape.stream("decisions", DECISION)
        self.rng, self.runs, self.open = np.random.default_rng(seed), runs, []

    def event(self, kind, reference=0):
        """Return one input."""
        event = np.zeros(1, event_dtype())
        event["kind"], event["reference"] = kind, reference
        event["ts_event_ns"] = event["ts_recv_ns"] = START_NS + self.tape.next_sequence * NS_PER_S
        event["values"][0, :2] = self.rng.integers(0, 2), self.rng.standard_normal()
        return event

    def go_on(self, steps):
        """Write some more: rows in runs as an engine takes them, then what is decided on each, and outcomes."""
        for _ in range(steps):
            run = int(self.rng.integers(1, self.runs + 1))
            first = self.inputs.append(np.concatenate([self.event(Kind.ROW) for _ in range(run)]))
            for version in (OTHER, VERSION):
                made = np.zeros(run, DECISION)
                made["input_sequence"], made["version"] = first + np.arange(run), version
                made["ts_event_ns"], made["score"] = START_NS, self.rng.random(run)
                begin = self.decisions.append(made)
                self.open += range(begin, begin + run)
            for _ in range(min(len(self.open) // 2, int(self.rng.integers(0, 2 * self.runs + 1)))):
                about = int(self.rng.choice(self.open))
                self.inputs.append(self.event(Kind.OUTCOME, reference=about))
                if self.rng.random() < 0.8:
                    self.open.remove(about)


class Heard:
    """A listener that keeps what it hears, for all lives of the watch."""

    def __init__(self) -> None:
        self.joined = []

    def observe(self, records):
        """Keep them."""
        self.joined.append(records.copy())

    @property
    def bytes(self):
        """All of it, in order."""
        return np.concatenate(self.joined).tobytes()


def watch(tmp_path, name, heard, ledger, batch):
    """Open a watch over the tape, as after a restart."""

    def make(version) -> dict[str, PerformanceMonitor]:
        return {"performance": PerformanceMonitor(ForwardingJoin(versions=[version], listeners=[heard]))}

    return Watch(tmp_path / name, tmp_path / "tape", ledger, make, clock=VirtualClock(START_NS), batch=batch)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("runs", [1, 6])
def test_outcomes_come_in_one_order_whenever_a_watch_looks(tmp_path, seed, runs):
    """One that follows event by event, others that come back now and then, and one that reads all at the end."""
    market = Market(tmp_path / "tape", seed, runs)
    rng = np.random.default_rng(seed)
    ledger = Ledger(tmp_path / "ledger.db", clock=VirtualClock(START_NS))
    close, seldom, late = Heard(), Heard(), Heard()
    following = watch(tmp_path, "close", close, ledger, 20_000)
    for _ in range(120):
        market.go_on(1)
        following.step(VERSION)
        if rng.random() < 0.2:
            back = watch(tmp_path, "seldom", seldom, ledger, int(rng.integers(1, 40)))
            while back.step(VERSION):
                pass
            back.save()
    market.tape.close()
    following.step(VERSION)
    for name, heard in (("seldom", seldom), ("late", late)):
        at_last = watch(tmp_path, name, heard, ledger, 20_000)
        while at_last.step(VERSION):
            pass
    ledger.close()
    joined = np.concatenate(late.joined)
    assert len(joined) > 30
    assert (joined["decision"][1:] < joined["decision"][:-1]).any()
    assert len(np.unique(joined["decision"])) == len(joined)
    assert close.bytes == late.bytes
    assert seldom.bytes == late.bytes
