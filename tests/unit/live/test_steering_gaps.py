"""Steering where something happens between two looks: races, refusals, halts that come while a version is staged."""

import errno

import numpy as np
import pytest

from tradeworthy.core.decisions import Role
from tradeworthy.core.errors import ModelMismatch, NotFound, RecordUnwritable, ReleaseRefused
from tradeworthy.core.events import Kind, Word
from tradeworthy.core.time import VirtualClock
from tradeworthy.live.control import ControlBlock, Scope
from tradeworthy.live.desk import Desk, control_event, desk_config
from tradeworthy.live.engine import Engine, EngineSettings
from tradeworthy.live.replay import replay
from tradeworthy.live.state import CheckSettings
from tradeworthy.live.venues.paper import Paper, PaperSettings
from tradeworthy.model.features.expressions import row
from tradeworthy.model.features.program import compile_program
from tradeworthy.record.tape import TapeReader, TapeWriter
from tradeworthy.testing.desks import INSTRUMENTS, LIMITS, START_NS, Shelf, SmallDesk, market
from tradeworthy.testing.disks import FaultyDisk

QUICK = EngineSettings(stage_in_background=False)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """Two versions."""
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    for seed in range(2):
        shelf.make(seed)
    return shelf


@pytest.fixture(scope="module")
def events():
    """Bars of two instruments."""
    return market(150, seed=4)


class Racing:
    """The words of a block in which somebody halts while they are being read."""

    def __init__(self, words, act) -> None:
        self._words, self._act = words, act

    def __getitem__(self, key: object) -> object:
        """Act before the first slice is read."""
        if isinstance(key, slice) and self._act is not None:
            act, self._act = self._act, None
            act()
        return self._words[key]


def apply(desk, word, *, scope=None, pipeline=None):
    """Apply one control event to a desk."""
    number = pipeline.number if pipeline is not None else 0
    desk.apply(control_event(5, word, START_NS, reference=number, scope=scope)[0], lambda _: pipeline)


class Resting:
    """A venue that takes orders, never fills them, and notes what is cancelled."""

    pending = 0

    def __init__(self) -> None:
        self.cancelled = []

    def submit(self, orders):
        """Take orders."""

    def cancel(self, order_id):
        """Note the name."""
        self.cancelled.append(order_id)

    def observe(self, event):
        """Answer nothing."""
        return np.zeros(0, event.dtype)


def test_a_halt_that_comes_while_the_block_is_read_is_not_lost(tmp_path):
    """Whoever read half of the old words has the old generation, so the engine looks again."""
    block, other = ControlBlock(tmp_path / "control"), ControlBlock(tmp_path / "control")
    block.words = Racing(block.words, other.halt)
    view = block.view()
    assert view.scopes or view.generation != other.view().generation
    assert block.view().scopes == {Scope.everything()}


@pytest.mark.parametrize(("scope", "places"), [(Scope.version, 32), (Scope.instrument, 448)])
def test_a_halt_without_a_free_place_halts_everything(tmp_path, scope, places):
    """A table that is full must not keep anybody from halting: more stops than was asked for, never less."""
    block = ControlBlock(tmp_path / "control")
    for number in range(1, places + 1):
        block.halt(scope(number))
    with pytest.raises(ReleaseRefused, match="everything is halted"):
        block.halt(scope(places + 1))
    assert Scope.everything() in block.view().scopes


@pytest.mark.parametrize("word", [Word.CHAMPION, Word.SHADOW_ADDED])
def test_a_version_halted_while_it_was_staged_comes_in_halted(shelf, word):
    """A halt of a version counts from when it was given, wherever the version is then."""
    desk = Desk(desk_config(INSTRUMENTS, CheckSettings(), 0, 64))
    one, other = (desk.make_pipeline(version) for version in shelf.versions.values())
    apply(desk, Word.CHAMPION, pipeline=one)
    apply(desk, Word.HALT, scope=Scope.version(other.number))
    apply(desk, word, pipeline=other)
    assert other.halted
    assert not one.halted
    apply(desk, Word.RESUME, scope=Scope.version(other.number))
    assert not other.halted


def test_a_resume_while_a_version_was_away_reaches_it(shelf):
    """A version that returns after its halt was lifted may trade."""
    desk = Desk(desk_config(INSTRUMENTS, CheckSettings(), 0, 64))
    one, other = (desk.make_pipeline(version) for version in shelf.versions.values())
    apply(desk, Word.CHAMPION, pipeline=one)
    apply(desk, Word.SHADOW_ADDED, pipeline=other)
    apply(desk, Word.HALT, scope=Scope.version(other.number))
    desk.remove_shadow(other.number)
    apply(desk, Word.RESUME, scope=Scope.version(other.number))
    apply(desk, Word.CHAMPION, pipeline=other)
    assert not other.halted


def test_a_version_that_needs_wider_rows_is_refused(tmp_path, shelf, events):
    """A version whose row fields the desk does not have never comes in; the champion keeps serving."""
    fields = ("close", "trend")
    program = compile_program({"trend": row("trend")}, trigger=Kind.ROW, row_fields=fields)
    desk = Desk(desk_config(INSTRUMENTS, CheckSettings(), 1, 64))
    version = next(iter(shelf.versions.values()))
    wide = type(version)(**{**vars(version), "program": program})
    with pytest.raises(
        ModelMismatch, match="reads 2 fields of a row and 2 values of an event, the desk has room for 1 and 5"
    ):
        desk.make_pipeline(wide)
    with SmallDesk(tmp_path, shelf=shelf) as small:
        shelf.versions[77] = type(version)(**{**vars(wide), "number": 77})
        small.control.set_champion(77)
        summary = small.run(events)
        assert small.engine.desk.champion.number == small.numbers[0]
    del shelf.versions[77]
    assert "ModelMismatch" in str(summary.refused_versions)


def engine(folder, shelf, permit, *, champion=0):
    """Return an engine that asks `permit`, its block and its tape."""
    block = ControlBlock(folder / "control")
    block.set_champion(list(shelf.versions)[champion])
    clock = VirtualClock(START_NS)
    tape = TapeWriter.open(folder / "tape", clock=clock)
    made = Engine(
        instruments=INSTRUMENTS,
        load=shelf.load,
        tape=tape,
        control=block,
        venue=Paper(PaperSettings(), INSTRUMENTS),
        clock=clock,
        limits=lambda: LIMITS,
        settings=QUICK,
        permit=permit,
    )
    return made, block, tape


class Permits:
    """Lets in the versions and roles that it is told."""

    def __init__(self, allowed) -> None:
        self.allowed, self.asked = set(allowed), []

    def __call__(self, number: int, role: Role) -> None:
        """Refuse all others."""
        self.asked.append((number, role))
        if (number, role) not in self.allowed:
            raise ReleaseRefused("the ledger does not say so")


def test_a_version_in_the_block_alone_is_not_let_in(tmp_path, shelf, events):
    """Whoever can write the block still cannot put a version to work that the facts do not let in."""
    first, second = shelf.versions
    permits = Permits([(first, Role.CHAMPION), (second, Role.SHADOW)])
    made, block, tape = engine(tmp_path, shelf, permits)
    made.consume(events[:60])
    block.set_champion(second)
    made.consume(events[60:120])
    assert made.desk.champion.number == first
    assert "the ledger does not say so" in str(made.summary().refused_versions)
    tape.close()


def test_a_shadow_that_is_warm_is_not_crowned_without_a_permit(tmp_path, shelf, events):
    """A shadow stands ready in the engine; that alone must not let it act."""
    first, second = shelf.versions
    permits = Permits([(first, Role.CHAMPION), (second, Role.SHADOW)])
    made, block, tape = engine(tmp_path, shelf, permits)
    block.add_shadow(second)
    made.consume(events[:60])
    assert second in made.desk.shadows
    block.set_champion(second)
    made.consume(events[60:120])
    assert made.desk.champion.number == first
    permits.allowed.add((second, Role.CHAMPION))
    block.set_champion(second)
    made.consume(events[120:180])
    assert made.desk.champion.number == second
    tape.close()


def test_a_refusal_is_not_asked_about_at_every_event(tmp_path, shelf, events):
    """The facts are read when somebody steers, not while the market runs."""
    first, second = shelf.versions
    permits = Permits([(first, Role.CHAMPION)])
    made, block, tape = engine(tmp_path, shelf, permits)
    block.set_champion(second)
    made.consume(events)
    assert permits.asked.count((second, Role.CHAMPION)) == 1
    tape.close()


def test_a_first_champion_without_a_permit_stops_the_start(tmp_path, shelf):
    """An engine without a version that may act does not come up."""
    with pytest.raises(NotFound, match="the ledger does not say so"):
        engine(tmp_path, shelf, Permits([]))


def test_cancels_of_a_halt_count_the_same_when_the_tape_is_read_again(tmp_path, shelf, events):
    """The message rate of a desk that came back is the one of the desk that went."""
    venue = Resting()
    small = SmallDesk(tmp_path, shelf=shelf, venue=venue)
    small.run(events[:200])
    small.control.halt(Scope.instrument(0))
    small.run(events[200:204])
    before = small.engine.desk.state
    assert len(venue.cancelled) == before.account["open_orders"][0] > 0
    small.tape.close()
    with SmallDesk(tmp_path, shelf=shelf, venue=Resting()) as again:
        after = again.engine.desk.state
        assert after.account["orders_sent"] == before.account["orders_sent"]
        assert after.sent.tobytes() == before.sent.tobytes()
    assert replay(tmp_path / "tape", shelf.load).identical


def test_a_halt_of_another_scope_leaves_orders_resting(tmp_path, shelf, events):
    """Only what was halted is taken back."""
    venue = Resting()
    with SmallDesk(tmp_path, shelf=shelf, venue=venue) as small:
        small.run(events[:200])
        small.control.halt(Scope.instrument(1))
        small.control.halt(Scope.version(small.numbers[1]))
        small.run(events[200:204])
        assert venue.cancelled == []
        small.control.halt(Scope.version(small.numbers[0]))
        small.run(events[204:208])
        assert len(venue.cancelled) == small.engine.desk.state.account["open_orders"][0]


def test_a_change_whose_generation_was_lost_is_found_at_the_next_look(tmp_path, shelf, events):
    """A writer that was overtaken may leave the generation as it was; looking up finds the words all the same."""
    with SmallDesk(tmp_path, shelf=shelf) as small:
        small.run(events[:60])
        small.control.words[2] = 1  # halted, without a new generation
        small.engine.look_up()
        assert Scope.everything() in small.engine.desk.scopes


def test_a_resume_given_while_no_engine_runs_re_enables_the_strategy(tmp_path, shelf, events):
    """A person's resume is heard by the next engine, once; a latch set after it stays."""
    with SmallDesk(tmp_path, shelf=shelf) as small:
        small.run(events[:60])
        small.engine.desk.state.account["latched"] = 1
    ControlBlock(tmp_path / "control").resume()
    with SmallDesk(tmp_path, shelf=shelf) as small:
        assert not small.engine.desk.state.account["latched"][0]
        small.engine.desk.state.account["latched"] = 1
    with SmallDesk(tmp_path, shelf=shelf) as small:
        assert small.engine.desk.state.account["latched"][0]


def test_a_latch_outlives_a_restart_and_a_change_of_champion(tmp_path, shelf, events):
    """Nothing but a resume of everything clears it: no restart, no other version, no halt, no narrower resume."""
    with SmallDesk(tmp_path, shelf=shelf) as small:
        small.run(events[:60])
        small.engine.desk.state.account["latched"] = 1
    with SmallDesk(tmp_path, shelf=shelf) as small:
        small.control.set_champion(small.numbers[1])
        small.run(events[60:100])
        small.control.halt(Scope.instrument(0))
        small.run(events[100:110])
        small.control.resume(Scope.instrument(0))
        small.control.halt()
        small.run(events[110:120])
        assert small.engine.desk.champion.number == small.numbers[1]
        assert small.engine.desk.state.account["latched"][0]
        small.control.resume()
        small.run(events[120:130])
        assert not small.engine.desk.state.account["latched"][0]


class Deaf(Resting):
    """A venue that fails at every cancel but notes it."""

    def cancel(self, order_id):
        """Note the name, and fail."""
        super().cancel(order_id)
        raise ConnectionError("no answer")


def test_a_venue_that_fails_at_one_cancel_is_asked_for_the_others(tmp_path, shelf, events):
    """A halt asks the venue for every resting order, whatever it says about the first."""
    venue = Deaf()
    small = SmallDesk(tmp_path, shelf=shelf, venue=venue)
    small.run(events[:200])
    open_orders = int(small.engine.desk.state.account["open_orders"][0])
    small.control.halt()
    with pytest.raises(ConnectionError):
        small.engine.consume(events[200:204])
    assert len(venue.cancelled) == open_orders > 1
    small.tape.close()
    inputs = TapeReader(tmp_path / "tape").read("inputs")
    assert inputs["values"][inputs["kind"] == Kind.CONTROL, 0].tolist()[-1] == Word.HALT


def test_a_failing_tape_halts_the_block_even_if_the_venue_fails_too(tmp_path, shelf, events):
    """Block, venue and reserve are each asked, whatever the others say; a restart finds the desk halted."""
    disk, venue = FaultyDisk(), Deaf()
    small = SmallDesk(tmp_path, shelf=shelf, venue=venue, disk=disk)
    small.run(events[:200])
    disk.fail("pwrite", errno.ENOSPC)
    with pytest.raises((ConnectionError, RecordUnwritable)):
        small.engine.consume(events[200:280])
    assert small.control.view().scopes == {Scope.everything()}
    assert len(venue.cancelled) == small.engine.desk.state.account["open_orders"][0] > 1
    disk.heal()
    small.tape.close()


def test_rows_of_a_version_that_never_decided_are_a_difference(tmp_path, shelf, events):
    """Replay looks at every stream of rows, also at one that it had no reason to open."""
    with SmallDesk(tmp_path, shelf=shelf) as small:
        small.run(events)
        dtype = TapeReader(tmp_path / "tape").streams()[f"rows-{small.numbers[0]:016x}"]
        small.tape.stream("rows-00000000000000ff", dtype).append(np.zeros(3, dtype))
    report = replay(tmp_path / "tape", shelf.load)
    assert report.differences == 3
    assert "rows-00000000000000ff" in report.first_difference
