"""The demo's pace, and its steps as the ledger tells them."""

import math
import time
from types import SimpleNamespace

import pytest
from small_project import at

from tradeworthy.apps.demo.pacing import BLOCK, BLOCK_HARMED, LIVE_SECONDS, Pacing
from tradeworthy.apps.demo.steps import rollback_ms, steps_of
from tradeworthy.change.watch.pulse import Pulse, write_pulse
from tradeworthy.core import facts
from tradeworthy.core.decisions import version_number
from tradeworthy.core.time import NS_PER_S, VirtualClock
from tradeworthy.live.feeds.replay import ReplayFeed
from tradeworthy.record.ledger import Entry
from tradeworthy.testing.desks import market

A, B = "a" * 64, "b" * 64


def promoted(version, role="champion", share=1.0):
    return facts.VersionPromoted(version=version, role=role, env="paper", share=share)


def judged(version, *failed: str):
    report = {"profile": "quick", "report_path": "x", "report_digest": "y"}
    return facts.GateJudged(version=version, passed=not failed, failed_checks=list(failed), **report)


CHALLENGED = (
    promoted(A),
    facts.RetrainStarted(trigger="data_drift: wilder", first_sequence=1, last_sequence=9),
    facts.RetrainEnded(version=B),
)
LIFE = (
    *CHALLENGED,
    judged(B),
    promoted(B, "shadow"),
    promoted(B, "canary", 0.25),
    promoted(B),
    facts.FindingAnswered(finding=3, did="rollback"),
    facts.VersionRolledBack(version=B, to=A),
)


def lines(*written: facts.Fact, actor="policy"):
    return [
        Entry(number=n, ts_ns=n * NS_PER_S, actor=actor, reason="because", fact=fact, hash="")
        for n, fact in enumerate(written, 1)
    ]


class Stage:
    """A pacing over a desk whose champion acts, its watcher's word and the machine's time moved by hand."""

    def __init__(self, folder, *, harming: bool = False) -> None:
        self.project, self.clock = at("promoted", folder), VirtualClock(time.time_ns())
        number = version_number(self.project.registry.standing().champion)
        self.desk = SimpleNamespace(champion=SimpleNamespace(number=number), shadows={})
        self.feed, self.harming, self.passed = ReplayFeed(market(6_000), clock=self.clock), harming, 0
        self.pacing = Pacing(
            self.project.ledger, self.project.places.watcher, clock=self.clock, speed=1.0, passed=self.pass_on
        )

    def pass_on(self) -> bool:
        """Count a stop that is over, and say whether harm is done."""
        self.passed += 1
        return self.harming

    def look_up(self) -> None:
        """Stand in for an engine that looks up."""

    def beat(self) -> None:
        """Let the watcher read everything and say so."""
        self.clock.advance_to(self.clock.now_ns() + 1)
        shared = {"reached": 1, "records": 1, "decisions": 1, "sinks": [], "followed": self.project.ledger.head()[0]}
        watched = self.project.registry.standing().champion[:16]
        write_pulse(
            self.project.places.watcher,
            Pulse(ts_ns=self.clock.now_ns(), caught_up_ns=self.clock.now_ns(), version=watched, **shared),
        )


def test_before_it_starts_nothing_is_held_back(tmp_path):
    """A pacing without a feed does not wait."""
    assert Stage(tmp_path).pacing.pace() == math.inf


@pytest.mark.parametrize(("harming", "block"), [(False, BLOCK), (True, BLOCK_HARMED)])
def test_a_block_comes_at_once_and_the_next_in_its_turn(tmp_path, harming, block):
    """Until the watcher has read, nothing comes; then a block, and the next no sooner than the demo's speed says."""
    stage = Stage(tmp_path, harming=harming)
    stage.pacing.start(stage.feed, stage)
    assert (stage.pacing.pace(), stage.pacing.waits_for) == (0.0, "the watcher to read the tape")
    stage.beat()
    assert (stage.pacing.pace(), stage.pacing.waits_for, stage.passed) == (math.inf, "", 1)
    stage.feed._position = block
    assert stage.pacing.pace() == 0.0
    stage.beat()
    assert stage.pacing.pace() == 0.0
    stage.clock.advance_to(stage.clock.now_ns() + int(block / len(stage.feed) * LIVE_SECONDS * NS_PER_S))
    stage.beat()
    assert (stage.pacing.pace(), stage.passed) == (math.inf, 2)


def test_what_a_block_set_off_is_waited_for_by_name(tmp_path):
    """A training in another process holds the market, and the page can say so."""
    stage = Stage(tmp_path)
    stage.pacing.start(stage.feed, stage)
    assert stage.pacing.pace() == 0.0
    number = stage.project.ledger.append(CHALLENGED[1], actor="policy", reason="drift")
    stage.clock.advance_to(time.time_ns() + NS_PER_S)
    stage.beat()
    assert (stage.pacing.pace(), stage.pacing.waits_for) == (0.0, f"retraining {number}")


def test_each_fact_that_moves_a_version_is_a_step():
    """In order, with who did it and which version; harm stands where it began."""
    steps = steps_of(lines(*LIFE), int(7.5 * NS_PER_S), "prices move")
    names = [
        "champion",
        "drift",
        "retrained",
        "gate",
        "shadow",
        "canary",
        "champion",
        "harm",
        "answered",
        "rolled back",
    ]
    assert [step.step for step in steps] == names
    assert {step.by for step in steps} == {"policy", "demo"}
    assert steps[5].said == f"{B[:16]} becomes canary at 25% of its size: because"
    assert steps[-1].said == f"{A[:16]} acts again: because"


def test_what_did_not_work_is_a_step_too():
    """A failed training and a gate that did not pass are told with their reasons; other facts are none."""
    failed = facts.RetrainEnded(version=None, error="DataInvalid: too little")
    started = facts.RetrainStarted(trigger="schedule: due", first_sequence=1, last_sequence=9)
    steps = steps_of(lines(started, failed, judged(B, "latency"), facts.SizeChanged(share=0.5)), 0, "")
    assert [(step.step, step.said) for step in steps[1:]] == [
        ("retrained", "DataInvalid: too little"),
        ("gate", f"the gate judged {B[:16]}: did not pass: latency"),
    ]
    assert steps[0].step == "schedule"


def test_a_roll_back_is_timed_from_its_fact():
    """The first time that the version before is seen to act after it; an earlier one is another change."""
    entries, a = lines(*LIFE), version_number(A)
    assert rollback_ms(entries, [(1, a), (9 * NS_PER_S + 4_000_000, a)]) == 4.0
    assert rollback_ms(entries, [(1, a)]) is None
    assert rollback_ms(lines(promoted(A)), []) is None
