"""FAULTS 4, 5, 7, 8, 20, 21, 22: the whole engine on disks full, failing, slow or taken, and clocks that jump."""

import asyncio
import errno
import os
import resource
import struct

import numpy as np
import pytest

from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import RecordBusy, RecordCorrupt, RecordNewer, RecordUnwritable
from tradeworthy.core.events import Kind, Word
from tradeworthy.core.time import NS_PER_DAY, NS_PER_HOUR, NS_PER_MS, SystemClock
from tradeworthy.live.control import Scope
from tradeworthy.live.engine import EngineSettings
from tradeworthy.live.feeds.replay import ReplayFeed
from tradeworthy.live.replay import replay
from tradeworthy.live.venues.paper import Paper, PaperSettings
from tradeworthy.record.checksum import crc32c
from tradeworthy.record.disk import Disk
from tradeworthy.record.marks import SYNCER, MarkFile
from tradeworthy.record.tape import TapeReader, TapeWriter
from tradeworthy.record.verify import verify
from tradeworthy.testing.desks import INSTRUMENTS, START_NS, Shelf, SmallDesk, market
from tradeworthy.testing.disks import FaultyDisk
from tradeworthy.testing.simulation.mortal import DriftingClock

EVENTS = market(150, seed=21)


class CountingPaper(Paper):
    """A paper venue that counts what it is sent."""

    def __init__(self) -> None:
        super().__init__(PaperSettings(), INSTRUMENTS)
        self.sent = []

    def submit(self, orders):
        self.sent += orders["decision"].tolist()
        super().submit(orders)

    def restore(self, orders):
        Paper.submit(self, orders)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    for seed in range(2):
        shelf.make(seed)
    with SmallDesk(tmp_path_factory.mktemp("warm"), shelf=shelf) as small:  # kernels are compiled before any fork
        small.control.set_champion(small.numbers[1])
        small.run(EVENTS[:100])
    return shelf


def fork(work):
    """Run `work` in a child of this process and return its exit code."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 1
    try:
        work()
        code = 0
    except BaseException as error:  # noqa: BLE001  # a child never returns into the test runner
        os.write(2, f"{error!r}\n".encode())
    finally:
        os._exit(code)


def last_word(folder):
    """Return the last control word on a tape."""
    inputs = TapeReader(folder / "tape").read("inputs")
    return int(inputs["values"][inputs["kind"] == Kind.CONTROL, 0][-1])


def goes_on(folder, shelf, events):
    """Start again after the trouble, resume, take the rest, and check the whole record."""
    with SmallDesk(folder, shelf=shelf) as small:
        small.control.resume()
        assert not small.run(events).halted
    inputs, decisions = (TapeReader(folder / "tape").read(name) for name in ("inputs", "decisions"))
    asked = inputs["sequence"][(inputs["kind"] == Kind.BAR) & (inputs["instrument"] == 0)]
    assert sorted(decisions["input_sequence"].tolist()) == asked.tolist()
    assert verify(folder / "tape").problems == []
    assert replay(folder / "tape", shelf.load).first_difference is None


def test_a_file_size_limit_ends_a_whole_run_with_the_halt_recorded(tmp_path, shelf):
    """Where no file may grow, the engine stops within the batch, records its halt, and goes on when there is room."""

    def work() -> None:
        venue = CountingPaper()
        small = SmallDesk(tmp_path, shelf=shelf, venue=venue)
        small.run(EVENTS[:60])
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        with pytest.raises(RecordUnwritable, match="stop trading"):
            small.run(EVENTS[60:])
        sent = list(venue.sent)
        with pytest.raises(RecordUnwritable):
            small.run(EVENTS[60:])
        assert venue.sent == sent
        assert small.control.view().scopes == {Scope.everything()}

    assert fork(work) == 0
    assert last_word(tmp_path) == Word.HALT
    goes_on(tmp_path, shelf, EVENTS[60:])


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize(("operation", "after"), [("pwrite", 0), ("pwrite", 7), ("preallocate", 0), ("fdatasync", 3)])
def test_a_failing_disk_stops_trading_for_good(tmp_path, shelf, operation, after, error):
    """No acknowledgement, no retry, no order after it; the next start finds a consistent record."""
    disk, venue = FaultyDisk(), CountingPaper()
    small = SmallDesk(tmp_path, shelf=shelf, disk=disk, venue=venue, durability="disk")
    small.run(EVENTS[:100])
    disk.fail(operation, error, after=after)
    small.control.set_champion(small.numbers[1])  # a new stream needs room, so every operation is met
    with pytest.raises(RecordUnwritable):
        small.run(EVENTS[100:])
    sent, calls = list(venue.sent), disk.calls.get("fdatasync", 0)
    disk.heal()
    with pytest.raises(RecordUnwritable):
        small.run(EVENTS[200:])
    assert venue.sent == sent
    assert operation != "fdatasync" or disk.calls["fdatasync"] == calls
    assert small.control.view().scopes == {Scope.everything()}
    small.tape.close()
    goes_on(tmp_path, shelf, EVENTS[100:])


def test_no_descriptors_end_a_whole_run_cleanly(tmp_path, shelf):
    """Without a free descriptor no stream for a new version can be begun: the engine stops, and the record is valid."""

    def work() -> None:
        small = SmallDesk(tmp_path, shelf=shelf)
        small.run(EVENTS[:100])
        small.control.set_champion(small.numbers[1])
        small.engine.look_up()
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        with pytest.raises(RecordUnwritable, match="Too many open files"):
            small.engine.consume(EVENTS[100:].copy())
        assert small.control.view().scopes == {Scope.everything()}

    assert fork(work) == 0
    goes_on(tmp_path, shelf, EVENTS[100:])


class SlowDisk(Disk):
    """Every write takes 300 ms of the desk's clock."""

    def __init__(self, clock) -> None:
        self._clock = clock

    def pwrite(self, fd, data, offset):
        self._clock.advance_to(self._clock.monotonic_ns() + 300 * NS_PER_MS)
        return os.pwrite(fd, data, offset)


def test_a_slow_disk_drops_nothing_and_stale_decisions_are_refused(tmp_path, shelf):
    """With 300 ms a write, events that waited too long have their decisions, refused as stale; none is missing."""
    clock = DriftingClock(START_NS)
    limits = SmallDesk.__init__.__kwdefaults__["limits"]
    fresh = type(limits)(**{n: getattr(limits, n) for n in limits.__struct_fields__} | {"market_age_ms_max": 1_000.0})
    small = SmallDesk(tmp_path, shelf=shelf, clock=clock, disk=SlowDisk(clock), limits=fresh)
    for start in range(0, len(EVENTS), 20):
        batch = EVENTS[start : start + 20].copy()
        batch["ts_recv_ns"] = np.maximum(batch["ts_recv_ns"], clock.monotonic_ns())
        clock.advance_to(int(batch["ts_recv_ns"][-1]))
        small.engine.consume(batch)
    small.close()
    decisions = TapeReader(tmp_path / "tape").read("decisions")
    stale = decisions["verdict"] == DenialCode.MARKET_STALE
    assert len(decisions) == 150
    assert stale.any()
    assert (decisions["quantity"][stale] == 0.0).all()
    assert replay(tmp_path / "tape", shelf.load).identical


def test_a_wall_clock_that_jumps_changes_no_order_of_records(tmp_path, shelf):
    """An hour ahead, a day back: sequences rise, each bar has its decision, replay agrees, refusals are counted."""
    clock = DriftingClock(START_NS)
    small = SmallDesk(tmp_path, shelf=shelf, clock=clock)
    for start, jump in zip(range(0, len(EVENTS), 50), [0, NS_PER_HOUR, -NS_PER_DAY, NS_PER_DAY, 0, 0], strict=True):
        clock.jump(jump)
        batch = EVENTS[start : start + 50].copy()
        clock.advance_to(int(batch["ts_event_ns"][-1]))
        batch["ts_recv_ns"] = batch["ts_event_ns"] + (clock.now_ns() - clock.monotonic_ns())
        small.engine.consume(batch)
        small.engine.look_up()
    denied = small.engine.summary().denied
    small.close()
    inputs, decisions = (TapeReader(tmp_path / "tape").read(name) for name in ("inputs", "decisions"))
    assert (np.diff(inputs["sequence"].astype(np.int64)) > 0).all()
    assert len(decisions) == 150
    assert denied["INPUT_STALE"] == 50
    assert replay(tmp_path / "tape", shelf.load).identical


class Quiet:
    """A feed that has nothing to say."""

    async def events(self):
        await asyncio.Event().wait()
        yield

    def close(self):
        pass


QUICK = EngineSettings(stage_in_background=False, steer_every_ms=2.0)


def test_a_failed_sync_stops_an_engine_that_has_no_events(tmp_path, shelf):
    """The syncer's failure is heard within the steering interval: everything is halted, and the halt recorded."""
    small = SmallDesk(tmp_path, shelf=shelf, clock=SystemClock(), settings=QUICK)
    with MarkFile(tmp_path / "tape" / SYNCER, Disk()) as mark:
        mark.store(1, {}, 1, sync=False, failed=True)
    with pytest.raises(RecordUnwritable, match="syncer"):
        asyncio.run(small.engine.run(Quiet()))
    assert small.control.view().scopes == {Scope.everything()}
    assert small.engine.summary().halted
    small.close()
    assert last_word(tmp_path) == Word.HALT


def test_an_engine_that_was_fenced_stops_and_leaves_the_new_one_alone(tmp_path, shelf):
    """An older engine hears of a newer one without an event; it sends nothing more and halts nobody but itself."""
    venue = CountingPaper()
    small = SmallDesk(tmp_path, shelf=shelf, clock=SystemClock(), settings=QUICK, venue=venue)
    (tmp_path / "tape" / "lock").unlink()
    newer = TapeWriter.open(tmp_path / "tape", clock=SystemClock())
    with pytest.raises(RecordBusy, match="another writer"):
        asyncio.run(small.engine.run(Quiet()))
    with pytest.raises(RecordUnwritable):
        small.run(EVENTS)
    assert venue.sent == []
    assert small.engine.summary().halted
    assert small.control.view().scopes == set()
    newer.close()
    small.tape.close()


def test_a_stop_ends_an_engine_that_has_no_events(tmp_path, shelf):
    """Asked to stop while the feed is silent, the engine ends within the steering interval."""
    with SmallDesk(tmp_path, shelf=shelf, clock=SystemClock(), settings=QUICK) as small:
        small.engine.stop()
        assert asyncio.run(small.engine.run(Quiet())).events == 0


def test_two_engines_at_once(tmp_path, shelf):
    """The second is refused by name while the first lives, and changes nothing for it."""
    with SmallDesk(tmp_path, shelf=shelf) as first:
        first.run(EVENTS[:100])
        with pytest.raises(RecordBusy, match=str(os.getpid())):
            SmallDesk(tmp_path, shelf=shelf)
        assert first.run(EVENTS[100:]).decisions == 150
    assert replay(tmp_path / "tape", shelf.load).identical


def test_a_checkpoint_of_a_newer_release_is_refused(tmp_path, shelf):
    """An engine that does not understand the newest state says so, rather than beginning from an older one."""
    with SmallDesk(tmp_path, shelf=shelf) as small:
        small.run(EVENTS)
    path = max((tmp_path / "tape" / "checkpoints").iterdir())
    raw = bytearray(path.read_bytes())
    struct.pack_into("<I", raw, 8, 2)
    raw[-4:] = struct.pack("<I", crc32c(bytes(raw[:-4])))
    path.write_bytes(raw)
    with pytest.raises(RecordNewer, match="checkpoint format 2"):
        SmallDesk(tmp_path, shelf=shelf)


def test_other_settings_after_a_kill_keep_the_positions(tmp_path, shelf):
    """A desk that comes back with other settings has the positions, orders and champion that the tape tells of."""

    def work() -> None:
        small = SmallDesk(tmp_path, shelf=shelf)
        small.run(EVENTS[:201])
        (tmp_path / "position").write_text(repr(float(small.engine.desk.state.positions["quantity"][0])))
        os._exit(0)

    assert fork(work) == 0
    held = float((tmp_path / "position").read_text())
    settings = EngineSettings(stage_in_background=False, run_events_max=7)
    with SmallDesk(tmp_path, shelf=shelf, settings=settings) as small:
        assert small.engine.summary().positions["ETH"] == held
        small.run(EVENTS[201:])
    assert replay(tmp_path / "tape", shelf.load).identical


def test_records_without_a_checkpoint_are_refused(tmp_path, shelf):
    """A tape that lost the state it begins with tells nothing of positions: the engine does not start from nothing."""
    with SmallDesk(tmp_path, shelf=shelf) as small:
        small.run(EVENTS)
    for path in (tmp_path / "tape" / "checkpoints").iterdir():
        path.unlink()
    with pytest.raises(RecordCorrupt, match="no whole checkpoint"):
        SmallDesk(tmp_path, shelf=shelf)


def test_the_feed_of_a_failed_engine_is_closed(tmp_path, shelf):
    """When the tape fails in the middle of a feed, the feed is let go."""
    disk = FaultyDisk()
    small = SmallDesk(tmp_path, shelf=shelf, disk=disk)
    feed = ReplayFeed(EVENTS, clock=small.clock, batch_max=20)
    disk.fail("pwrite", after=9)
    with pytest.raises(RecordUnwritable):
        asyncio.run(small.engine.run(feed))
    assert feed.position < len(EVENTS)
    small.tape.close()


def test_orders_that_rest_under_a_halt_are_cancelled_after_a_crash(tmp_path, shelf):
    """A kill between a halt's record and its cancels leaves no order to fill: the next life cancels it."""

    class Deaf(CountingPaper):
        """A venue whose line is dead when the halt comes."""

        def cancel(self, order_id) -> None:
            raise KeyboardInterrupt(order_id)

    venue = Deaf()
    small = SmallDesk(tmp_path, shelf=shelf, venue=venue)
    place = 0
    while not small.engine.summary().open_orders:
        small.engine.consume(EVENTS[place : place + 1].copy())
        place += 1
    small.control.halt()
    with pytest.raises(KeyboardInterrupt):
        small.engine.look_up()
    small.tape.close()
    with SmallDesk(tmp_path, shelf=shelf, venue=CountingPaper()) as back:
        assert back.engine.counters.cancels == 1
        assert back.run(EVENTS[place : place + 4]).open_orders == 0
        assert back.engine.summary().positions["ETH"] == 0.0
    assert replay(tmp_path / "tape", shelf.load).identical
