"""A paper venue's account made again from the tape: what it did live, through halts, restarts, crashes, part fills."""

import errno
import operator

import numpy as np
import pytest

from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import RecordUnwritable
from tradeworthy.core.events import Kind
from tradeworthy.live.control import Scope
from tradeworthy.live.reconcile import NEVER_SENT
from tradeworthy.live.venues.paper import Paper, PaperSettings
from tradeworthy.live.venues.retold import retell
from tradeworthy.record.reader import TapeReader
from tradeworthy.testing.desks import INSTRUMENTS, Shelf, SmallDesk, market
from tradeworthy.testing.disks import FaultyDisk

EVENTS = market(200, seed=4)
THIN = PaperSettings(participation_max=0.01)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    for seed in range(2):
        shelf.make(seed)
    return shelf


def desk(folder, shelf, settings=THIN, disk=None):
    """Open a small desk whose paper venue has these costs."""
    return SmallDesk(folder, shelf=shelf, venue=Paper(settings, INSTRUMENTS), disk=disk)


def heard(folder):
    """Return the venue's answers that the desk believed, as order, kind and values, order by order."""
    inputs = TapeReader(folder / "tape").read("inputs")
    believed = np.isin(inputs["kind"], (Kind.FILL, Kind.REJECT)) & (inputs["flags"] == DenialCode.NONE)
    ours = (inputs["kind"] == Kind.REJECT) & (inputs["values"][:, 0] >= NEVER_SENT)
    return told(inputs[believed & ~ours])


def told(answers):
    """Return answers as order, kind and values, order by order as they came; NaN is written as text."""
    found = [(int(a["reference"]), int(a["kind"]), str(a["values"].tolist())) for a in answers]
    return sorted(found, key=operator.itemgetter(0))


def again(folder, settings=THIN):
    """Make the venue's account again."""
    return retell(TapeReader(folder / "tape"), settings, INSTRUMENTS)


@pytest.mark.parametrize("settings", [PaperSettings(), THIN], ids=["whole", "in parts"])
def test_the_account_is_what_the_desk_heard(tmp_path, shelf, settings):
    """Every fill and reject comes again with the same numbers."""
    with desk(tmp_path, shelf, settings) as small:
        small.run(EVENTS)
    found = again(tmp_path, settings)
    assert len(heard(tmp_path)) > 20
    assert told(found.answers) == heard(tmp_path)
    assert found.believed == 0


def test_other_costs_give_another_account(tmp_path, shelf):
    """A venue whose fees were others does not tell the same story: the comparison can fail."""
    with desk(tmp_path, shelf) as small:
        small.run(EVENTS)
    assert told(again(tmp_path, PaperSettings(participation_max=0.01, fee_bps=11.0)).answers) != heard(tmp_path)


def test_halts_take_back_what_rests(tmp_path, shelf):
    """A cancel in the middle of an order that fills in parts is told again, and so is what comes after it."""
    with desk(tmp_path, shelf) as small:
        for start in range(0, len(EVENTS), 40):
            small.run(EVENTS[start : start + 20])
            small.control.halt(Scope.instrument(0))
            small.run(EVENTS[start + 20 : start + 30])
            small.control.resume(Scope.instrument(0))
            small.run(EVENTS[start + 30 : start + 40])
        cancels = small.engine.counters.cancels
    assert cancels > 0
    assert told(again(tmp_path).answers) == heard(tmp_path)


def test_a_halt_of_a_version_takes_back_the_champions_orders_only(tmp_path, shelf):
    """A halted version that does not act cancels nothing; one that does cancels what rests."""
    with desk(tmp_path, shelf) as small:
        champion, other = small.numbers
        for number in (other, champion):
            small.run(EVENTS[:60] if number == other else EVENTS[60:120])
            small.control.halt(Scope.version(number))
            small.run(EVENTS[120:121] if number == other else EVENTS[121:140])
    assert told(again(tmp_path).answers) == heard(tmp_path)


@pytest.mark.parametrize("cut", [31, 32, 33, 34, 35, 80])
def test_restarts_put_back_what_was_open(tmp_path, shelf, cut):
    """An engine that ends and one that dies come back with their open orders; so does the account."""
    for number, start in enumerate(range(0, len(EVENTS), cut)):
        small = desk(tmp_path, shelf)
        small.run(EVENTS[start : start + cut])
        small.close() if number % 2 else small.tape.close()
    assert told(again(tmp_path).answers) == heard(tmp_path)


@pytest.mark.parametrize("writes", range(60, 90))
def test_whatever_write_fails_last_the_accounts_agree(tmp_path, shelf, writes):
    """An answer whose event a crash took is believed and counted; everything else is told again."""
    disk = FaultyDisk()
    small = desk(tmp_path, shelf, disk=disk)
    disk.fail("pwrite", errno.EIO, after=writes)
    with pytest.raises(RecordUnwritable):
        small.run(EVENTS)
    small.tape.close()
    disk.heal()
    reached = int(TapeReader(tmp_path / "tape").read("inputs")["ts_event_ns"].max())
    with desk(tmp_path, shelf) as back:
        back.run(EVENTS[EVENTS["ts_event_ns"] > reached])
    found = again(tmp_path)
    assert told(found.answers) == heard(tmp_path)
    assert found.believed <= 5  # no more than one event can cause


def test_what_still_rests_is_told(tmp_path, shelf):
    """Orders that are open at the end are open in the account, with what is left of them."""
    place, small = 0, desk(tmp_path, shelf)
    while not small.engine.summary().open_orders:
        small.engine.consume(EVENTS[place : place + 1].copy())
        place += 1
    open_here = small.venue.open_orders()
    small.close()
    found = again(tmp_path)
    assert found.open_orders[["decision", "quantity"]].tolist() == open_here[["decision", "quantity"]].tolist()
    assert len(found.open_orders) == 1


def test_a_desk_that_never_traded_has_an_empty_account(tmp_path, shelf):
    """A tape without orders is no error."""
    with desk(tmp_path, shelf) as small:
        small.run(EVENTS[:4])
    found = again(tmp_path)
    assert (len(found.answers), len(found.open_orders), found.believed) == (0, 0, 0)
