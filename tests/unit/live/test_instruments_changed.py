"""A desk that comes up with other instruments than its tape has: steps may change, the things that are held may not."""

import msgspec
import pytest

from tradeworthy.core.errors import SettingsInvalid
from tradeworthy.core.instruments import Instrument
from tradeworthy.live.engine import EngineSettings
from tradeworthy.live.replay import replay
from tradeworthy.record.tape import TapeReader
from tradeworthy.testing.desks import INSTRUMENTS, Shelf, SmallDesk, market

ETH, BTC = INSTRUMENTS
EVENTS = market(140, seed=4)  # the last decision sends an order that is still open
SETTINGS = EngineSettings(stage_in_background=False, checkpoint_every=60)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    shelf.make(0)
    return shelf


def other(instrument=ETH, **changes: object):
    return msgspec.structs.replace(instrument, **changes)


def come_back(folder, shelf, instruments, events=EVENTS[:0]):
    """Start an engine on the tape again, let it take events, and return its desk's state."""
    with SmallDesk(folder, shelf=shelf, instruments=instruments, settings=SETTINGS) as small:
        small.run(events)
        return small.engine.desk.state


@pytest.fixture
def folder(tmp_path, shelf):
    """Return a desk's folder after a first life, in which it ordered ETH."""
    with SmallDesk(tmp_path, shelf=shelf, settings=SETTINGS) as small:
        assert small.run(EVENTS).open_orders == 1
    return tmp_path


@pytest.mark.parametrize(
    ("instruments", "words"),
    [
        ((BTC, ETH), "number 1 is 'BTC' .* it is 'ETH'"),
        ((other(symbol="XRP"), BTC), "number 1 is 'XRP' .* it is 'ETH'"),
        ((other(currency="EUR"), BTC), "in EUR,.*in USD,"),
        ((other(multiplier=10.0), BTC), r"multiplier 10\.0,.*multiplier 1\.0,"),
        ((ETH, other(BTC, traded=True)), "number 2 .*, traded.* not traded"),
        ((ETH,), "number 2 is none, .* it is 'BTC'"),
        ((ETH, BTC, Instrument(symbol="XRP")), "number 3 is 'XRP' .* it is none"),
    ],
)
def test_other_instruments_are_refused(folder, shelf, instruments, words):
    """A list by which what is held would be another thing is refused with both, and nothing is written."""
    before = TapeReader(folder / "tape").last_sequence()
    with pytest.raises(SettingsInvalid, match=words):
        come_back(folder, shelf, instruments)
    assert TapeReader(folder / "tape").last_sequence() == before


def test_a_new_tick_and_a_finer_lot_count_from_the_restart_on(folder, shelf):
    """Orders after the restart lie on today's steps, those before on theirs, and the record replays."""
    state = come_back(folder, shelf, (other(tick=0.5, lot=0.0001), BTC), market(100, seed=5, first_bar=140))
    assert (state.grid["tick"][0], state.grid["lot"][0]) == (0.5, 0.0001)
    orders = TapeReader(folder / "tape").read("orders")
    early, late = orders[:45], orders[45:]
    assert len(late) > 5
    assert not (early["limit_price"] % 0.5 == 0.0).all()
    assert (late["limit_price"] % 0.5 == 0.0).all()
    assert any(round(quantity, 3) != quantity for quantity in late["quantity"].tolist())
    report = replay(folder / "tape", shelf.load)
    assert report.first_difference is None
    assert report.orders == len(orders)


def test_a_lot_in_which_an_open_order_is_not_whole_is_refused(folder, shelf):
    """3.268 ETH are ordered: lots of a half cannot count them."""
    with pytest.raises(SettingsInvalid, match=r"'ETH' has a lot of 0\.5, and 3\.268 is held or ordered"):
        come_back(folder, shelf, (other(lot=0.5), BTC))


def test_a_coarser_lot_in_which_an_open_order_is_whole_counts(folder, shelf):
    """3.268 ETH are 817 lots of 0.004."""
    assert come_back(folder, shelf, (other(lot=0.004), BTC)).grid["lot"][0] == 0.004


def test_a_lot_in_which_a_position_is_not_whole_is_refused(folder, shelf):
    """What is held counts as what is ordered does."""
    held = come_back(folder, shelf, INSTRUMENTS, market(1, seed=5, first_bar=140)).positions["quantity"][0]
    assert held == 3.268
    with pytest.raises(SettingsInvalid, match=r"3\.268 is held"):
        come_back(folder, shelf, (other(lot=0.5), BTC))
