"""FAULTS 1-5, 8, 9, 13, 17-20: the whole desk from a seed; and the simulation itself notices what it should."""

import errno

import numpy as np
import pytest

from tradeworthy.core.decisions import DECISION, ORDER, Role
from tradeworthy.core.events import Kind, Word, event_dtype
from tradeworthy.record.tape import TapeReader
from tradeworthy.testing.contract import ContractBroken
from tradeworthy.testing.simulation.__main__ import main
from tradeworthy.testing.simulation.cast import Cast
from tradeworthy.testing.simulation.invariants import check_decisions, check_orders, check_versions
from tradeworthy.testing.simulation.mortal import DriftingClock, Killed, MortalDisk
from tradeworthy.testing.simulation.run import _live, simulate_seed
from tradeworthy.testing.simulation.world import World


@pytest.fixture(scope="module")
def cast(tmp_path_factory):
    return Cast.make(tmp_path_factory.mktemp("cast"))


FOUND = (813, 22_982, 23_570)
"""Seeds that broke once: late for ever after, an order at rest under a halt, a first champion lost with the power."""

CANARIES = (799, 39, 199, 459)
"""Seeds in which the engine dies while canaries of one instrument come and go."""


@pytest.mark.parametrize("seed", [*range(24), *FOUND, *CANARIES])
def test_a_day_of_faults_breaks_no_promise(tmp_path, cast, seed):
    """Kills, power cuts, failing disks, dirty feeds, release steps: every invariant holds at the end of the day."""
    assert simulate_seed(seed, tmp_path / "world", cast).broken == ""


def test_a_seed_is_one_world(tmp_path, cast):
    """The same seed takes the same steps and leaves the same tape, to the last byte after the frames."""
    tapes, told = [], []
    for name in ("a", "b"):
        words = []
        folder = tmp_path / name
        folder.mkdir()
        world = World(2007, folder, cast, words.append)
        _live(world)
        world.release()
        tapes.append(TapeReader(folder / "tape").read("inputs").tobytes())
        told.append(words)
    assert told[0] == told[1]
    assert tapes[0] == tapes[1]


def test_many_seeds_from_the_command_line(capsys):
    """The command tells how many seeds it lived through, and ends well if none broke."""
    assert main(["--seeds", "2", "--seed-from", "5", "--workers", "1"]) == 0
    assert "2 seeds in" in capsys.readouterr().out


def test_every_step_can_be_told(capsys):
    """With a trace each step is a line, so that a broken seed can be followed."""
    assert main(["--seeds", "1", "--seed-from", "7", "--trace"]) == 0
    assert "fed up to" in capsys.readouterr().out


# The invariants themselves: each is broken once on purpose.


def good():
    """Return inputs with two bars, their decisions, and the order of the second."""
    inputs = np.zeros(4, event_dtype())
    inputs["sequence"] = [1, 2, 3, 6]
    inputs["kind"] = [Kind.CONTROL, Kind.BAR, Kind.BAR, Kind.CONTROL]
    inputs["values"][0, 0], inputs["reference"][0] = Word.CHAMPION, 7
    inputs["values"][3, 0] = Word.RESUME
    decisions = np.zeros(2, DECISION)
    decisions["sequence"], decisions["input_sequence"] = [4, 5], [2, 3]
    decisions["version"], decisions["role"], decisions["quantity"] = 7, Role.CHAMPION, [0.0, 2.0]
    orders = np.zeros(1, ORDER)
    orders["decision"], orders["quantity"] = 5, 2.0
    return inputs, decisions, orders


def test_the_good_record_passes():
    """The record that the next tests spoil keeps every promise."""
    inputs, decisions, orders = good()
    check_decisions(inputs, decisions)
    check_versions(inputs, decisions)
    check_orders(inputs, decisions, orders, {5: 2.0})


def test_a_lost_or_doubled_decision_is_noticed():
    """One decision less or one twice breaks the first promise."""
    inputs, decisions, _ = good()
    with pytest.raises(ContractBroken, match="every bar has its decision"):
        check_decisions(inputs, decisions[:1])
    with pytest.raises(ContractBroken, match="no decision is doubled"):
        check_decisions(inputs, decisions[[0, 1, 1]])


def test_a_decision_of_another_version_is_noticed():
    """A decision that names who was not champion, or comes before anybody was, breaks the second."""
    inputs, decisions, _ = good()
    decisions["version"][1] = 8
    with pytest.raises(ContractBroken, match="names who acted"):
        check_versions(inputs, decisions)
    with pytest.raises(ContractBroken, match="before the first champion"):
        check_versions(inputs[1:], decisions)


def test_a_decision_outside_a_canarys_part_is_noticed():
    """On the instruments that are not a canary's, its decision breaks the second promise too."""
    inputs, decisions, _ = good()
    told = np.concatenate([inputs[:1]] * 4)
    told["sequence"], told["reference"] = [1, 2, 3, 4], [7, 8, 8, 8]
    told["values"][:, :2] = [(Word.CHAMPION, 1.0), (Word.CANARY, np.nan), (Word.CANARY, 0.0), (Word.CHAMPION, 1.0)]
    decisions["input_sequence"], decisions["version"], decisions["instrument"] = 9, [8, 7], [0, 1]
    check_versions(told, decisions)
    decisions["version"] = 8
    with pytest.raises(ContractBroken, match="names who acted"):
        check_versions(told, decisions)


def test_an_order_after_a_halt_is_noticed():
    """A decision that acted between halt and resume breaks the third."""
    inputs, decisions, orders = good()
    inputs["kind"][1], inputs["values"][1, 0] = Kind.CONTROL, Word.HALT
    with pytest.raises(ContractBroken, match="no order after a halt"):
        check_orders(inputs, decisions, orders, {5: 2.0})


def test_an_order_that_the_tape_does_not_have_is_noticed():
    """What only the venue knows breaks the promise, and so does an order without its decision."""
    inputs, decisions, orders = good()
    with pytest.raises(ContractBroken, match="every order sent is on the tape"):
        check_orders(inputs, decisions, orders, {5: 2.0, 9: 1.0})
    orders["decision"] = 4
    with pytest.raises(ContractBroken, match="follows from its decision"):
        check_orders(inputs, decisions, orders, {})


# Its disk and its clock.


def test_the_dead_write_nothing_more(tmp_path):
    """From the fatal operation on nothing reaches the disk, whatever is tried; the next life may write again."""
    disk = MortalDisk()
    disk.preallocate(tmp_path / "file", 100)
    fd = disk.open(tmp_path / "file", write=True)
    disk.kill_after(1, half=True)
    disk.pwrite(fd, b"first.", 0)
    with pytest.raises(Killed):
        disk.pwrite(fd, b"second", 6)
    for attempt in (lambda: disk.pwrite(fd, b"third", 20), lambda: disk.unlink(tmp_path / "file")):
        with pytest.raises(Killed):
            attempt()
    assert (tmp_path / "file").read_bytes()[:20] == b"first.sec".ljust(20, b"\0")
    disk.revive()
    assert disk.pwrite(fd, b"fourth", 40) == 6


def test_faults_are_forgotten_with_the_process(tmp_path):
    """A repaired disk starts without the old one's failures."""
    disk = MortalDisk()
    disk.fail("open", errno.EIO)
    assert disk.failing
    disk.revive()
    assert not disk.failing
    disk.preallocate(tmp_path / "file", 10)
    assert disk.open(tmp_path / "file") > 0


def test_the_wall_clock_jumps_and_the_other_does_not():
    """Setting the clock back changes what people read, never a duration."""
    clock = DriftingClock(1_000)
    clock.advance_to(5_000)
    clock.jump(-4_000)
    assert (clock.now_ns(), clock.monotonic_ns()) == (1_000, 5_000)
    clock.advance_to(2_000)
    assert clock.monotonic_ns() == 5_000
