"""The canary's own watch beside the champion's: what each is shown, whose findings are whose, what a kill leaves."""

import numpy as np
import pytest
from change_facts import finding

from tradeworthy.change.release.standing import Standing
from tradeworthy.change.watch.canary import FOLDER, CanaryWatch, lens_of
from tradeworthy.change.watch.findings import read_cases
from tradeworthy.change.watch.watch import Watch
from tradeworthy.core import facts
from tradeworthy.core.decisions import Role, version_name
from tradeworthy.core.events import Kind, merge
from tradeworthy.core.instruments import Instrument
from tradeworthy.judge.monitor.base import are_decisions, are_events, are_rows
from tradeworthy.record.ledger import Ledger
from tradeworthy.record.tape import TapeReader
from tradeworthy.testing.desks import SmallDesk, market

DESK = (Instrument(symbol="ETH"), Instrument(symbol="BTC"))
ETH, BTC = range(2)
EVERY = 25


class Seen:
    """A monitor that keeps what it was shown, finds something at every 25th decision, and knows of the desk."""

    def __init__(self, version: int) -> None:
        self.version, self.found = version, []
        self.inputs, self.decisions = [], []
        self.rows, self.inherited = 0, -1

    def observe(self, records):
        """Keep sequences."""
        if are_events(records):
            self.inputs += records["sequence"].tolist()
        elif are_rows(records):
            self.rows += len(records)
        elif are_decisions(records):
            for each in records[records["role"] == Role.CHAMPION]:
                self.decisions.append(int(each["sequence"]))
                if len(self.decisions) % EVERY == 0:
                    name = f"{version_name(self.version)} {len(self.decisions)}"
                    self.found.append(finding(sequence=int(each["sequence"]), subject=name))

    def findings(self):
        """Give what was found, once."""
        found, self.found = self.found, []
        return found

    def state(self):
        """Everything that was seen."""
        return {
            "inputs": np.array(self.inputs),
            "decisions": np.array(self.decisions),
            "inherited": np.array(self.rows),
        }

    def restore(self, state):
        """Go on from there."""
        self.inputs, self.decisions = state["inputs"].tolist(), state["decisions"].tolist()
        self.rows = int(state["inherited"])

    def inherit(self, before):
        """Take over how much the desk has seen."""
        self.inherited = len(before["inputs"])


class Maker:
    """Makes such monitors, calibrated where a test says so."""

    def __init__(self, names: list[str]) -> None:
        self.ready, self.names = set(names), names

    def make(self, number):
        """Make one."""
        return {"seen": Seen(number)}

    def state(self, version):
        """Say whether a version is calibrated."""
        return "done" if version in self.ready else "running"


class Place:
    """A desk with a canary on BTC, a ledger that names both, and their two watches."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.desk = SmallDesk(folder / "desk", versions=2, instruments=DESK)
        self.champion, self.canary = (self.desk.shelf.versions[number].digest for number in self.desk.numbers)
        self.clock = self.desk.clock
        self.ledger = Ledger(folder / "ledger.db", clock=self.clock)
        self.maker = Maker([self.champion, self.canary])
        self.bars = 0
        self.promote(self.champion, "champion")
        self.start()

    def start(self):
        """Start both watches, as a watcher that begins or comes back."""
        tape = self.desk.folder / "tape"
        self.lead = Watch(self.folder / "watcher", tape, self.ledger, self.maker.make, clock=self.clock)
        self.beside = CanaryWatch(self.folder / "watcher", tape, self.ledger, self.maker, DESK, clock=self.clock)

    def promote(self, version, role, *on: str):
        """Write the fact and the word."""
        fact = facts.VersionPromoted(version=version, role=role, env="paper", instruments=list(on))
        self.ledger.append(fact, actor="ada", reason="a test")
        places = [place for place, each in enumerate(DESK) if each.symbol in on] if on else None
        self.desk.control.set_champion(int(version[:16], 16), places)

    def run(self, count):
        """Let bars of both instruments come."""
        self.desk.run(merge([market(count, first_bar=self.bars)]))
        self.desk.engine.look_up()
        self.bars += count

    def look(self, canary=None, on=("BTC",)):
        """Let both watches read everything."""
        standing = Standing(champions=[self.champion], canary_on=())
        if canary is not None:
            standing = Standing(champions=[self.champion, canary], canary=canary, canary_on=tuple(on))
        while self.lead.step(self.desk.numbers[0]) or self.beside.step(standing, self.lead):
            pass

    def tape(self, stream):
        """Return a stream of the tape."""
        return TapeReader(self.desk.folder / "tape").read(stream)

    def told(self):
        """Return, of each finding, whose monitors raised it and what about."""
        return [(entry.fact.version, entry.fact.finding.subject) for entry in self.ledger.facts(facts.FindingRaised)]


@pytest.fixture
def place(tmp_path):
    """One such place."""
    made = Place(tmp_path)
    yield made
    made.ledger.close()
    made.desk.tape.close()


def test_each_is_shown_its_own(place):
    """The canary's monitors see its decisions, rows and instruments from its first event on; the champion's go on."""
    place.run(30)
    place.look()
    since = place.desk.tape.next_sequence
    place.promote(place.canary, "canary", "BTC")
    place.look(place.canary)
    place.run(40)
    place.look(place.canary)
    seen, lead = place.beside._watch.monitors["seen"], place.lead.monitors["seen"]
    made, inputs = place.tape("decisions"), place.tape("inputs")
    own = made[(made["version"] == place.desk.numbers[1]) & (made["role"] == Role.CHAMPION)]
    assert seen.decisions == own["sequence"].tolist()
    assert len(own) == seen.rows == 40
    btc = inputs[(inputs["instrument"] == BTC) & (inputs["kind"] == Kind.BAR) & (inputs["sequence"] >= since)]
    assert set(btc["sequence"].tolist()) <= set(seen.inputs)
    eth = inputs[(inputs["instrument"] == ETH) & (inputs["kind"] == Kind.BAR)]
    assert not set(eth["sequence"].tolist()) & set(seen.inputs)
    assert min(seen.inputs) >= since
    assert seen.inherited == len(inputs[inputs["sequence"] < since])
    assert len(lead.decisions) == len(made[made["role"] == Role.CHAMPION])
    assert place.lead.version == place.desk.numbers[0]


def test_findings_name_the_version_whose_monitors_raised_them(place):
    """So that only the canary's own take it back, and a case is about the right version."""
    place.run(10)
    place.promote(place.canary, "canary", "BTC")
    place.look(place.canary)
    place.run(60)
    place.look(place.canary)
    told = place.told()
    champion, canary = place.champion[:16], place.canary[:16]
    assert [subject for version, subject in told if version == canary] == [f"{canary} 25", f"{canary} 50"]
    assert (champion, f"{champion} 25") in told
    cases = {case.version for case in read_cases(place.ledger).by_number.values()}
    assert cases == {place.champion, place.canary}


def test_monitors_that_stand_later_read_what_they_missed(place):
    """While they are calibrated nobody waits; then they begin where the canary did."""
    place.maker.ready = {place.champion}
    watch_for_a_while(place)
    assert place.beside.version == 0
    place.maker.ready.add(place.canary)
    place.look(place.canary)
    assert place.beside.version == place.desk.numbers[1]
    assert len(place.beside._watch.monitors["seen"].decisions) == 30
    assert [subject for version, subject in place.told() if version == place.canary[:16]] == [f"{place.canary[:16]} 25"]


@pytest.mark.parametrize("saved", [True, False])
def test_a_watcher_killed_beside_a_canary_tells_each_finding_once(place, saved):
    """It comes back to the canary's watch as it was left, or reads again what it had not kept."""
    place.run(10)
    place.promote(place.canary, "canary", "BTC")
    place.look(place.canary)
    place.run(40)
    place.look(place.canary)
    if saved:
        place.beside.save()
    place.start()
    place.run(40)
    place.look(place.canary)
    own = [subject for version, subject in place.told() if version == place.canary[:16]]
    assert own == [f"{place.canary[:16]} {count}" for count in (25, 50, 75)]
    assert len(place.beside._watch.monitors["seen"].decisions) == 80


def watch_for_a_while(place):
    """Let the canary act on BTC and be watched."""
    place.run(10)
    place.promote(place.canary, "canary", "BTC")
    place.look(place.canary)
    place.run(30)
    place.look(place.canary)


def seen_anew(place):
    """Make it canary again, let seven events pass, and return how many decisions its watch has seen in all."""
    place.promote(place.canary, "canary", "BTC")
    place.look(place.canary)
    place.run(7)
    place.look(place.canary)
    return len(place.beside._watch.monitors["seen"].decisions)


def test_with_the_canary_its_watch_ends(place):
    """Taken back it is forgotten; made canary again it begins anew, from there."""
    watch_for_a_while(place)
    folder = place.folder / "watcher" / f"{FOLDER}{place.canary[:16]}"
    assert folder.exists()
    place.promote(place.champion, "champion")
    place.look()
    assert (place.beside.version, folder.exists()) == (0, False)
    place.run(5)
    assert seen_anew(place) == 7


def test_a_canary_that_went_while_nobody_watched_is_forgotten_too(place):
    """A watcher that comes back after it was taken back does not go on with it once it is canary again."""
    watch_for_a_while(place)
    place.beside.save()
    place.promote(place.champion, "champion")
    place.start()
    place.run(5)
    place.look()
    assert not (place.folder / "watcher" / f"{FOLDER}{place.canary[:16]}").exists()
    assert seen_anew(place) == 7


def test_another_canarys_folder_is_cleared_away(place):
    """What a killed watcher left of a canary that is gone is not taken for the present one's."""
    stale = place.folder / "watcher" / f"{FOLDER}0123456789abcdef"
    stale.mkdir()
    place.run(5)
    place.promote(place.canary, "canary", "BTC")
    place.look(place.canary)
    assert not stale.exists()


def test_a_lens_leaves_other_records_as_they_are():
    """Rows stand in a stream of their own version; an instrument that the desk lacks shows nothing."""
    look = lens_of(1, ["LTC"], DESK)
    assert len(look(market(3))) == 0
    rows = np.zeros(2, [("row", "<f8", (1,)), ("scores", "<f8", (1,))])
    assert look(rows) is rows
