"""Records of an earlier edition of the rules replay by it, to the last bit; the next engine brings today's."""

import numpy as np
import pytest

from tradeworthy.live import state
from tradeworthy.live.desk import Desk, desk_config
from tradeworthy.live.engine import EngineSettings
from tradeworthy.live.replay import replay
from tradeworthy.live.state import CheckSettings
from tradeworthy.model.manifest import Signal
from tradeworthy.record.tape import TapeReader
from tradeworthy.testing.desks import INSTRUMENTS, Shelf, SmallDesk, market

SETTINGS = EngineSettings(stage_in_background=False, checkpoint_every=60)
DESK = INSTRUMENTS
EVENTS = market(200, seed=14)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    signal = Signal(enter_long=0.5, exit_long=0.5, enter_short=0.49, exit_short=0.5, allow_short=True, notional=1_234.0)
    shelf.make(0, signal=signal)
    return shelf


def live(folder, shelf, events):
    with SmallDesk(folder, shelf=shelf, settings=SETTINGS, instruments=DESK) as small:
        return small.run(events)


def off_grid(folder):
    """Count orders whose quantity is no whole number of lots to the last bit."""
    quantities = TapeReader(folder / "tape").read("orders")["quantity"]
    return sum(quantity != round(quantity * 1_000) / 1_000 for quantity in quantities.tolist())


def test_a_record_of_the_first_edition_replays_by_it(tmp_path, shelf, monkeypatch):
    """Orders off the grid by a last bit, as the first release sent them, come out again as they were."""
    monkeypatch.setattr(state, "MANNERS", 0)
    live(tmp_path, shelf, EVENTS)
    monkeypatch.undo()
    assert off_grid(tmp_path) > 0
    report = replay(tmp_path / "tape", shelf.load)
    assert report.first_difference is None
    assert report.orders > 20


def test_the_next_engine_brings_its_own_edition(tmp_path, shelf, monkeypatch):
    """After a restart under a newer release orders lie on the grid, and both lives replay in one go."""
    monkeypatch.setattr(state, "MANNERS", 0)
    live(tmp_path, shelf, EVENTS[:200])
    monkeypatch.undo()
    before = off_grid(tmp_path)
    summary = live(tmp_path, shelf, EVENTS[200:])
    assert before > 0
    assert summary.orders > 0
    assert off_grid(tmp_path) == before
    assert replay(tmp_path / "tape", shelf.load).first_difference is None


def test_a_checkpoint_that_names_no_edition_is_of_the_first():
    """Checkpoints from before editions were counted restore as edition 0; new desks have today's."""
    desk = Desk(desk_config(INSTRUMENTS, CheckSettings(), 0, 16))
    assert desk.state.manners.tolist() == [state.MANNERS]
    arrays = {name: array for name, array in desk.dump().items() if name != "desk/manners"}
    desk.restore(arrays, lambda _: None)
    assert desk.state.manners.tolist() == [0]
    desk.restore(arrays | {"desk/manners": np.ones(1, np.int64)}, lambda _: None)
    assert desk.state.manners.tolist() == [1]
