"""From the tape to a told alert: every finding carries the moment from which its delay counts."""

import msgspec
import numpy as np
import pytest
from change_desk import Recorder, desk, market
from change_facts import finding

from tradeworthy.change.watch.watch import Watch
from tradeworthy.core import facts
from tradeworthy.core.decisions import Role
from tradeworthy.core.time import NS_PER_S
from tradeworthy.judge.monitor.base import are_decisions


class EveryFortieth:
    """A monitor that finds something at every fortieth decision."""

    def __init__(self) -> None:
        self.count, self.found = 0, []

    def observe(self, records):
        """Count decisions."""
        if are_decisions(records):
            for record in records:
                self.count += 1
                if self.count % 40 == 0:
                    made = finding(sequence=int(record["sequence"]), subject=f"decision {self.count}")
                    self.found.append(msgspec.structs.replace(made, ts_event_ns=int(record["ts_event_ns"])))

    def findings(self):
        """Give what was found, once."""
        found, self.found = self.found, []
        return found

    def state(self):
        """Only the count needs to survive."""
        return {"count": np.array([self.count])}

    def restore(self, state):
        """Go on from a count."""
        self.count = int(state["count"][0])


@pytest.fixture
def home(tmp_path):
    """A paper deployment."""
    made = desk(tmp_path / "desk")
    yield made
    made.close()


@pytest.fixture
def champion(home):
    """Its champion."""
    return home.registry.load(home.champion())


@pytest.fixture
def recorder(home, champion):
    """Its tape."""
    made = Recorder(home.folder / "tape", {champion: Role.CHAMPION})
    yield made
    made.close()


def watch(home, **changes: object):
    """Open the watch of a deployment, as after a restart."""
    given = {"clock": home.clock, "batch": 64} | changes
    folder, tape = home.folder / "watcher", home.folder / "tape"
    return Watch(folder, tape, home.ledger, lambda _: {"every": EveryFortieth()}, **given)


def origins(home):
    """Return the origins of all findings about the market in the ledger; those about the record have their own."""
    raised = [entry.fact for entry in home.ledger.facts(facts.FindingRaised)]
    return [fact.ts_origin_ns for fact in raised if fact.finding.kind != "storage"]


def wait(home, seconds=1):
    """Let time pass; return the new time."""
    home.clock.advance_to(home.clock.now_ns() + seconds * NS_PER_S)
    return home.clock.now_ns()


def test_in_a_live_market_the_delay_counts_from_the_event(home, champion, recorder):
    """The origin of a finding is its event's own time."""
    recorder.record(market(60))
    watched = watch(home)
    while watched.step(champion.number):
        pass
    (entry,) = home.ledger.facts(facts.FindingRaised)
    assert entry.fact.ts_origin_ns == entry.fact.finding.ts_event_ns


def test_in_a_past_market_it_counts_from_the_last_look_that_read_everything(home, champion, recorder):
    """The record was not there when the watcher last had nothing left to read, so the delay is never flattered."""
    watched = watch(home, market_past=True)
    watched.step(champion.number)
    caught_up_ns = wait(home)
    assert watched.step(champion.number) == 0
    wait(home)
    recorder.record(market(60))
    while watched.step(champion.number):
        wait(home)
    assert origins(home) == [caught_up_ns]


def test_a_watcher_that_is_behind_counts_all_of_its_lag(home, champion, recorder):
    """While records are left unread the origin stays, for every finding until it has caught up."""
    watched = watch(home, market_past=True)
    caught_up_ns = wait(home)
    watched.step(champion.number)
    recorder.record(market(400))
    while watched.step(champion.number):
        wait(home)
    assert set(origins(home)) == {caught_up_ns}
    assert len(origins(home)) == 9
    assert watched.caught_up_ns > caught_up_ns


def test_after_a_restart_the_time_of_being_down_counts(home, champion, recorder):
    """What a dead watcher did not see is late by as long as it was dead."""
    first = watch(home, market_past=True)
    caught_up_ns = wait(home)
    first.step(champion.number)
    first.save()
    recorder.record(market(60))
    wait(home, 3_600)
    again = watch(home, market_past=True)
    while again.step(champion.number):
        pass
    assert origins(home) == [caught_up_ns]


def test_a_watcher_that_never_caught_up_does_not_know(home, champion, recorder):
    """A first look at an old tape cannot say when its records came; no delay is made up."""
    recorder.record(market(60))
    watched = watch(home, market_past=True)
    while watched.step(champion.number):
        pass
    assert origins(home) == [0]


def test_figures_of_a_watch(home, champion, recorder):
    """Records and the last record observed are counted, and survive a restart."""
    watched = watch(home)
    recorder.record(market(60))
    while watched.step(champion.number):
        pass
    watched.save()
    again = watch(home)
    assert (again.records, again.reached) == (watched.records, watched.reached)
    assert watched.records == 60 + 48 + 48
    assert list(watched.monitors) == ["every"]


def test_a_state_of_an_older_release_is_read(home, champion, recorder):
    """Offsets without the newer fields go on."""
    from tradeworthy.change.watch.watch import _Offsets  # noqa: PLC0415

    old = b'{"version":5,"streams":{"inputs":3},"decisions":2,"pending":[],"ledger_number":1}'
    assert msgspec.json.decode(old, type=_Offsets).caught_up_ns == 0
