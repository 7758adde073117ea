"""A market that waits: what each stop waits for, when it goes on, and that no stop lasts for ever."""

import math
from types import SimpleNamespace

import pytest
from change_desk import market
from change_facts import ended, judged, promoted, registered, started

from tradeworthy.change.watch.pulse import Pulse, write_pulse
from tradeworthy.core import facts
from tradeworthy.core.decisions import version_number
from tradeworthy.core.time import NS_PER_S, VirtualClock
from tradeworthy.live.feeds.replay import ReplayFeed
from tradeworthy.record.ledger import Ledger
from tradeworthy.testing.contract import ContractBroken
from tradeworthy.testing.lockstep import Lockstep

FIRST, SECOND = "a" * 64, "b" * 64
EVERY = 100


class Place:
    """A ledger, a pulse, an engine's desk and a feed, each moved on by hand."""

    def __init__(self, folder) -> None:
        self.clock, self.folder, self.looked = VirtualClock(NS_PER_S), folder, 0
        self.ledger = Ledger(folder / "ledger.db", clock=self.clock)
        self.desk = SimpleNamespace(champion=SimpleNamespace(number=version_number(FIRST)), shadows={})
        self.feed = ReplayFeed(market(1_000), clock=self.clock)
        self.lockstep = Lockstep(self.ledger, folder, clock=self.clock, every=EVERY, held_s_max=60.0)
        self.lockstep.start(self.feed, self)
        self.write(registered(FIRST), judged(FIRST), promoted(FIRST))

    def look_up(self):
        """Stand in for an engine that looks up."""
        self.looked += 1

    def write(self, *told: facts.Fact):
        """Write facts, each later than what was before."""
        for fact in told:
            self.clock.advance_to(self.clock.now_ns() + 1)
            self.ledger.append(fact, actor="ada", reason="a test")

    def beat(self, version=FIRST, canary=""):
        """Let the watcher read everything and say so."""
        now_ns = self.clock.now_ns() + 1
        self.clock.advance_to(now_ns)
        shared = {"reached": 1, "records": 1, "decisions": 1, "sinks": []}
        write_pulse(
            self.folder,
            Pulse(
                ts_ns=now_ns,
                caught_up_ns=now_ns,
                version=version[:16],
                canary=canary[:16],
                followed=self.ledger.head()[0],
                **shared,
            ),
        )

    def waits(self):
        """Return what the present stop waits for; empty where it is over."""
        return "" if math.isinf(self.lockstep.pace()) else self.lockstep.waits_for(self)


@pytest.fixture
def place(tmp_path):
    """One such place, at its first stop."""
    made = Place(tmp_path)
    yield made
    made.ledger.close()


def test_between_two_stops_nothing_waits(place):
    """From a stop that is over events come at once, up to the next one."""
    assert place.waits() == "the watcher to read the tape"
    place.beat()
    assert place.waits() == ""
    place.feed._position = EVERY - 1
    assert place.waits() == ""
    place.feed._position = EVERY
    assert place.waits() == "the watcher to read the tape"
    assert place.looked == 2


def test_what_the_watcher_said_before_the_stop_does_not_count(place):
    """Only a look that began after the stop has read everything before it; only one after a fact has followed it."""
    place.beat()
    place.clock.advance_to(place.clock.now_ns() + 10)
    assert place.waits() == "the watcher to read the tape"
    place.beat()
    place.write(started())
    assert place.waits() == "the policy to follow the last fact"


def test_a_stop_lasts_as_long_as_what_was_begun(place):
    """Training, gate, the engine letting versions in, their monitors: each is waited for by name."""
    assert place.waits()
    steps = [
        (started(), "retraining 4"),
        (ended(SECOND), f"the gate of version {SECOND[:16]}"),
        (judged(SECOND), ""),
        (promoted(SECOND, "shadow"), "the engine to let 1 shadows in or out"),
        (promoted(SECOND, "champion"), f"the engine to let version {SECOND[:16]} act"),
    ]
    for fact, expected in steps:
        place.write(fact)
        place.beat()
        assert place.lockstep.waits_for(place) == expected
    place.desk.champion.number = version_number(SECOND)
    assert place.waits() == f"the monitors of version {SECOND[:16]}"
    place.beat(SECOND)
    assert place.waits() == ""


def test_a_stop_lasts_at_least_as_long_as_asked(place):
    """With all done it still ends no sooner; then it counts as over, and nothing is waited for."""
    assert place.lockstep.pace() == 0.0
    place.beat()
    due_ns = place.clock.monotonic_ns() + 10
    assert place.lockstep.pace(after_ns=due_ns) == 0.0
    assert place.lockstep.stops == 0
    place.clock.advance_to(place.clock.now_ns() + 10)
    assert math.isinf(place.lockstep.pace(after_ns=due_ns))
    assert (place.lockstep.stops, place.lockstep.waiting) == (1, "")


def test_a_retraining_without_a_version_is_over(place):
    """Nothing more comes of it, so nobody waits for a gate."""
    assert place.waits()
    place.write(started(), ended(None, "no data"))
    place.beat()
    assert place.waits() == ""


def test_a_canary_of_some_instruments_is_waited_for_with_its_own_monitors(place):
    """The champion's are at work all the time; the canary's are another set."""
    assert place.waits()
    place.write(facts.VersionPromoted(version=SECOND, role="canary", env="paper", instruments=["ETH"]))
    place.desk.champion.number = version_number(SECOND)
    place.beat(FIRST)
    assert place.waits() == f"the monitors of canary {SECOND[:16]}"
    place.beat(FIRST, canary=SECOND)
    assert place.waits() == ""


def test_a_stop_that_is_too_long_says_what_it_waited_for(place):
    """It ends the run, instead of holding it for ever."""
    assert place.waits()
    place.write(started())
    place.beat()
    assert place.waits() == "retraining 4"
    place.clock.advance_to(place.clock.now_ns() + 61 * NS_PER_S)
    place.beat()
    with pytest.raises(ContractBroken, match="held at event 0 for 60 s, waiting for retraining 4; see what hangs"):
        place.lockstep.pace()


def test_without_a_feed_nothing_is_held(tmp_path):
    """Before a run begins there is nothing to stop."""
    place = Place(tmp_path)
    assert math.isinf(Lockstep(place.ledger, tmp_path, clock=place.clock).pace())
    place.ledger.close()
