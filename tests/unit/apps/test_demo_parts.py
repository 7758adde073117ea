"""The demo's pace, and its steps as the ledger tells them."""

import math

import pytest

from tradeworthy.apps.demo.pacing import (
    BEHIND_MAX,
    HELD_SECONDS_MAX,
    KEPT_FOR_ROLLBACK,
    KEPT_FOR_SHADOW,
    LIVE_SECONDS,
    Pacing,
)
from tradeworthy.apps.demo.steps import rollback_ms, steps_of
from tradeworthy.change.release.standing import stand
from tradeworthy.core import facts
from tradeworthy.core.decisions import version_number
from tradeworthy.core.time import NS_PER_S, VirtualClock
from tradeworthy.live.feeds.replay import ReplayFeed
from tradeworthy.record.ledger import Entry
from tradeworthy.testing.desks import START_NS, market

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


def paced(bars=6_000):
    """Return a pacing of a feed of two instruments' bars."""
    pacing, feed = Pacing(1.0), ReplayFeed(market(bars), clock=VirtualClock(START_NS))
    pacing.start(feed, VirtualClock(START_NS))
    return pacing, len(feed) / LIVE_SECONDS


def looked(pacing, *written: facts.Fact, shadowing=(), watched=None, behind=0, is_over=False):
    """Return the pace; the version that acts is watched, if nothing else is said."""
    standing = stand(lines(*written))
    acting = (standing.canary or standing.champion or "")[:16]
    who = acting if watched is None else watched
    pacing.look(standing, list(shadowing), watched=who, behind=behind, is_over=is_over)
    return pacing.pace()


def test_before_it_starts_nothing_is_held_back():
    """A pacing without a feed does not wait."""
    assert Pacing(1.0).pace() == math.inf


def test_a_challenger_that_trains_slows_the_market():
    """A retraining of seconds must not take months of market time."""
    pacing, base = paced()
    assert looked(pacing, promoted(A)) == base
    assert looked(pacing, *CHALLENGED[:2]) == pytest.approx(0.25 * base)
    assert pacing.doing == "trading, a challenger trains"


def test_events_that_the_story_needs_are_kept():
    """With fewer left than a shadow needs, the market pauses until the challenger is there."""
    pacing, _ = paced(bars=KEPT_FOR_SHADOW // 2)
    assert looked(pacing, *CHALLENGED[:2]) == 0.0
    assert looked(pacing, *CHALLENGED, judged(B, "latency")) > 0.0


def test_a_shadow_that_scores_is_not_waited_for():
    """What only events can bring about would never come if events waited for it."""
    pacing, _ = paced(bars=KEPT_FOR_SHADOW // 2)
    assert looked(pacing, *LIFE[:5]) == 0.0
    assert looked(pacing, *LIFE[:5], shadowing=[B[:16]]) > 0.0
    assert looked(pacing, *LIFE[:6], shadowing=[B[:16]]) > 0.0


@pytest.mark.parametrize("steps", [6, 7])
def test_the_last_events_wait_for_monitors_and_not_for_what_events_bring(steps):
    """A canary becomes champion, and a champion leads for a while, by events alone, however few are left."""
    pacing, _ = paced(bars=KEPT_FOR_ROLLBACK // 3)
    assert looked(pacing, *LIFE[:steps], watched=A[:16]) == 0.0
    assert looked(pacing, *LIFE[:steps]) > 0.0


@pytest.mark.parametrize(("steps", "before"), [(1, ""), (6, A[:16])])
def test_monitors_are_calibrated_before_the_market_goes_on(steps, before):
    """While the version that acts has no monitors at work, events only trickle; for a bounded time."""
    pacing, base = paced()
    assert looked(pacing, *LIFE[:steps], watched=before) == pytest.approx(0.02 * base)
    assert pacing.doing == "trading slowly, monitors are calibrated"
    assert looked(pacing, *LIFE[:steps]) > 0.02 * base


def test_a_watcher_that_never_comes_is_waited_for_only_so_long():
    """After the longest hold the market goes on without monitors."""
    clock = VirtualClock(START_NS)
    pacing, feed = Pacing(1.0), ReplayFeed(market(6_000), clock=clock)
    pacing.start(feed, clock)
    clock.advance_to(START_NS + int(HELD_SECONDS_MAX * NS_PER_S))
    assert looked(pacing, promoted(A), watched="") == len(feed) / LIVE_SECONDS


def test_while_harm_is_done_events_wait_for_the_watcher():
    """A watcher that has not read is waited for; once the version is taken back, nothing is held."""
    pacing, base = paced()
    pacing.wait_for_watcher()
    assert looked(pacing, *LIFE[:7], behind=BEHIND_MAX) == 0.0
    assert 0.0 < looked(pacing, *LIFE[:7], behind=0) < base
    assert looked(pacing, *LIFE, is_over=True) == base


def test_what_goes_on_is_said_in_a_few_words():
    """The bar names the stage of the challenger."""
    pacing, _ = paced()
    looked(pacing, *LIFE[:5], shadowing=[B[:16]])
    assert pacing.doing == "trading, a shadow watches"
    looked(pacing, *LIFE[:6])
    assert pacing.doing == "trading, a canary acts"


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
