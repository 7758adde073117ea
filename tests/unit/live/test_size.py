"""The share of its full size that a champion takes: from the control block to the order, and back in a replay."""

import numpy as np
import pytest

from tradeworthy.core.events import Kind, Word
from tradeworthy.live.control import ControlBlock
from tradeworthy.live.replay import replay
from tradeworthy.live.signal import signal_record, wanted_position
from tradeworthy.model.manifest import Signal
from tradeworthy.record.reader import TapeReader
from tradeworthy.testing.desks import Shelf, SmallDesk, market


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    for seed in range(2):
        shelf.make(seed)
    return shelf


def largest_value(folder, after=0):
    """Return the value of the largest order that opened a position after an input."""
    made = TapeReader(folder / "tape").read("decisions", after=after)
    opened = made[(made["quantity"] != 0.0) & (made["target"] != 0.0) & (made["position"] == 0.0)]
    return float(np.abs(opened["target"] * opened["price"]).max(initial=0.0))


def words(folder):
    """Return the control words on the tape that change the champion or its size, with their values."""
    inputs = TapeReader(folder / "tape").read("inputs")
    values = inputs["values"][inputs["kind"] == Kind.CONTROL]
    return [(int(word), float(value)) for word, value in values[:, :2] if word in (Word.SIZE, Word.CHAMPION)]


def signal(share):
    record = signal_record(Signal(notional=1_000.0))
    record["share"] = share
    return record[0]


@pytest.mark.parametrize(("share", "quantity"), [(1.0, 10.0), (0.5, 5.0), (0.1, 1.0), (0.0, 0.0)])
def test_a_new_position_takes_its_share(share, quantity):
    """Half the size is half the notional, on the lot grid."""
    assert wanted_position(signal(share), 0.9, 0.0, 100.0, 1.0, 0.001) == quantity


def test_a_held_position_is_cut_to_a_reduced_size_once():
    """What is far too large is cut; what the price has moved a little is left alone."""
    assert wanted_position(signal(0.5), 0.9, 10.0, 100.0, 1.0, 0.001) == 5.0
    assert wanted_position(signal(0.5), 0.9, 5.0, 108.0, 1.0, 0.001) == 5.0
    assert wanted_position(signal(1.0), 0.9, 10.0, 250.0, 1.0, 0.001) == 10.0


def test_no_share_at_all_wants_to_be_flat():
    """Held long or asked to buy: the target is nothing."""
    assert wanted_position(signal(0.0), 0.9, 10.0, 100.0, 1.0, 0.001) == 0.0
    assert wanted_position(signal(0.0), 0.9, 0.0, 100.0, 1.0, 0.001) == 0.0


def test_a_block_of_zeros_withholds_nothing(tmp_path):
    """A new block, and one of an older release, means full size; shares are kept to a millionth."""
    block = ControlBlock(tmp_path / "control")
    assert block.view().size == 1.0
    for share in (0.123456, 0.0, 1.0):
        block.resize(share)
        assert block.view().size == pytest.approx(share, abs=1e-9)
    with pytest.raises(ValueError, match="0 to 1"):
        block.resize(1.1)


def test_the_engine_takes_a_share_from_the_next_event_on(tmp_path, shelf):
    """Orders after the change are as much smaller; the change is one control event, and replay obeys it."""
    events = market(400, seed=4)
    with SmallDesk(tmp_path, shelf=shelf) as small:
        small.run(events[:200])
        whole = largest_value(tmp_path)
        small.control.resize(0.25)
        small.run(events[200:])
        changed = TapeReader(tmp_path / "tape").read("inputs")
        at = changed["sequence"][(changed["kind"] == Kind.CONTROL) & (changed["values"][:, 0] == Word.SIZE)]
    assert at.size == 1
    part = largest_value(tmp_path, after=int(at[0]))
    assert whole > 0
    assert 0 < part <= 0.25 * whole * 1.001
    assert replay(tmp_path / "tape", shelf.load).identical


def test_flat_means_flat(tmp_path, shelf):
    """With no share left the position is closed at the next decisions, and nothing is opened."""
    events = market(400, seed=4)
    with SmallDesk(tmp_path, shelf=shelf) as small:
        small.run(events[:150])
        small.control.resize(0.0)
        small.run(events[150:])
        assert not np.any(small.engine.desk.state.positions["quantity"])
    assert replay(tmp_path / "tape", shelf.load).identical


def test_a_restart_keeps_the_share(tmp_path, shelf):
    """The checkpoint holds it; an engine that comes back does not act in full."""
    events = market(400, seed=4)
    with SmallDesk(tmp_path, shelf=shelf) as small:
        small.control.resize(0.25)
        small.run(events[:200])
    with SmallDesk(tmp_path, shelf=shelf) as small:
        assert small.engine.desk.size == pytest.approx(0.25)
        assert small.engine.desk.acting.size == pytest.approx(0.25)
        small.run(events[200:])
    assert replay(tmp_path / "tape", shelf.load).identical


def test_a_smaller_size_comes_before_its_version_and_a_larger_one_after(tmp_path, shelf):
    """No version acts at a size that was meant for another, on the way in or back."""
    events = market(300, seed=4)
    with SmallDesk(tmp_path, shelf=shelf) as small:
        first, second = small.numbers[:2]
        small.run(events[:100])
        small.control.resize(0.1)
        small.control.set_champion(second)
        small.run(events[100:200])
        small.control.resize(1.0)
        small.control.set_champion(first)
        small.run(events[200:])
    told = words(tmp_path)[-4:]
    assert [word for word, _ in told] == [Word.SIZE, Word.CHAMPION, Word.CHAMPION, Word.SIZE]
    assert (told[0][1], told[-1][1]) == (pytest.approx(0.1), 1.0)
    assert replay(tmp_path / "tape", shelf.load).identical


def test_a_shadow_imagines_its_full_size(tmp_path, shelf):
    """What is withheld from the champion is not withheld from a shadow's opinion."""
    with SmallDesk(tmp_path, shelf=shelf) as small:
        small.control.resize(0.1)
        small.control.add_shadow(small.numbers[1])
        small.run(market(100, seed=4))
        assert small.engine.desk.shadows[small.numbers[1]].size == 1.0
        assert small.engine.desk.acting.size == pytest.approx(0.1)
