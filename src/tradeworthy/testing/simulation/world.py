"""One desk in one folder, through many lives: what it is made of, how it dies, and how it comes back.

Flow:   `steps` does something to the world; the world survives it: after a kill, a power cut or a failed tape the next
        life opens the same folder. What was acknowledged must be there; what was sent must never be sent again.
State:  all chance comes from one generator, all time from one clock: the same seed is the same world to the last bit.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from tradeworthy.change.release.release import Release
from tradeworthy.core.decisions import version_name
from tradeworthy.core.errors import RecordUnwritable
from tradeworthy.core.events import EventBatch
from tradeworthy.core.limits import Limits
from tradeworthy.live.control import ControlBlock, Scope
from tradeworthy.live.engine import Engine, EngineSettings
from tradeworthy.live.venues.base import OrderBatch
from tradeworthy.live.venues.paper import PaperSettings
from tradeworthy.record.ledger import Ledger
from tradeworthy.record.tape import TapeReader, TapeWriter
from tradeworthy.testing.contract import require
from tradeworthy.testing.desks import INSTRUMENTS, LIMITS, START_NS
from tradeworthy.testing.simulation.cast import LEDGER, Cast
from tradeworthy.testing.simulation.exchange import Exchange, WatchedPaper
from tradeworthy.testing.simulation.hands import BlockHands, Hands, MortalControl, ReleaseHands
from tradeworthy.testing.simulation.market import dirty_market
from tradeworthy.testing.simulation.mortal import DriftingClock, Killed, MortalDisk, drawn
from tradeworthy.testing.simulation.watcher import Watcher

REWIND_MAX = 4
_PARTIAL = 0.002
CANARIES_EVERY = 4
"""One world in so many has canaries of some instruments; by the seed, so that no other draw changes with them."""


class World:
    """A desk and everything around it.

    Parameters
    ----------
    seed : int
        Decides everything.
    folder : Path
        Empty; everything is kept there.
    cast : Cast
    say : callable
        Told of every step, in words.

    Attributes
    ----------
    sent : dict of int to float
        Quantity by order, as the venue was told.
    lives, kills, cuts, failures : int
    """

    def __init__(self, seed: int, folder: Path, cast: Cast, say: Callable[[str], None]) -> None:
        self.rng = np.random.default_rng(seed)
        self.folder, self.cast, self.say = folder, cast, say
        self.has_power_cuts = bool(self.rng.random() < 0.15)
        self.has_canaries = seed % CANARIES_EVERY == CANARIES_EVERY - 1
        self.disk = MortalDisk(remember=self.has_power_cuts)
        self.clock = DriftingClock(START_NS)
        self.control = ControlBlock(folder / "control")
        self.admin = MortalControl(folder / "control")
        self.control.set_champion(cast.numbers[0])
        self.ledger: Ledger | None = None
        self.hands = self._hands()
        self.limits: Limits = LIMITS
        self.feed = dirty_market(self.rng)
        self.place = 0
        self.sent: dict[int, float] = {}
        self.acknowledged = self.lives = self.kills = self.cuts = self.failures = 0
        self.venue = self._venue()
        self.start()
        self.watcher = self._watcher()

    def _hands(self) -> Hands:
        """Steer through the ledger in some worlds, through the block alone in the others."""
        if self.rng.random() >= 0.15:
            return BlockHands(self.control)
        registry = self.cast.registry(self.folder / LEDGER, self.clock)
        self.ledger = registry.ledger
        names = {number: version.digest for number, version in self.cast.shelf.versions.items()}
        hands = ReleaseHands(Release(registry, self.admin, INSTRUMENTS), names)
        hands.role(self.cast.numbers[0], "champion")
        return hands

    def _venue(self) -> WatchedPaper | Exchange:
        on_paper = not self.has_power_cuts and bool(self.rng.random() < 0.4)
        self._costs = PaperSettings(
            participation_max=None if on_paper else drawn(self.rng, None, _PARTIAL),
            half_spread_bps=drawn(self.rng, 1.0, 1.0, 1.0, 500.0),
        )
        if on_paper:
            return WatchedPaper(self._costs, INSTRUMENTS, self.told)
        return Exchange(self._costs, INSTRUMENTS, self.told, np.random.default_rng(self.rng.integers(1 << 32)))

    def _watcher(self) -> Watcher | None:
        """Watch some worlds; never one whose power is cut, for what was read there may not have lasted."""
        if self.has_power_cuts or self.rng.random() >= 0.2:
            return None
        return Watcher(TapeReader(self.folder / "tape"), self.cast)

    # -- life and death ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin a life; whatever goes wrong on the way begins another."""
        while True:
            self.lives += 1
            require(self.lives < 1_000, "a desk comes up after some attempts")
            try:
                self._come_up()
            except (Killed, RecordUnwritable) as death:
                self.say(f"died coming up: {type(death).__name__} {self.disk.died_at}")
                self.disk.revive()
            else:
                return

    def _come_up(self) -> None:
        rng = self.rng
        self.tape = TapeWriter.open(
            self.folder / "tape",
            clock=self.clock,
            durability="disk" if self.has_power_cuts else "process",
            segment_bytes=drawn(rng, 1 << 13, 1 << 15, 1 << 17),
            disk=self.disk,
        )
        try:
            last = self.tape.recovery.last_sequence
            require(last >= self.acknowledged, f"record {self.acknowledged} was acknowledged, the tape ends at {last}")
            self.acknowledged = last
            if isinstance(self.venue, Exchange):
                self.venue.disconnect()
            else:
                self.venue = WatchedPaper(self._costs, INSTRUMENTS, self.told)
            self.engine = self._engine()
            self.acknowledged = self.tape.next_sequence - 1
        except BaseException:
            self.bury()
            raise

    def _engine(self) -> Engine:
        settings = EngineSettings(
            stage_in_background=False,
            run_events_max=drawn(self.rng, 8, 64, 1024),
            checkpoint_every=drawn(self.rng, 15, 60, 1_000),
        )
        return Engine(
            instruments=INSTRUMENTS,
            load=self.cast.load,
            tape=self.tape,
            control=self.control,
            venue=self.venue,
            clock=self.clock,
            limits=lambda: self.limits,
            settings=settings,
        )

    def bury(self) -> None:
        """Let the process end: its files close, and nothing more is written."""
        self.acknowledged = max(self.acknowledged, self.tape.next_sequence - 1)
        self.disk.dead = True
        with suppress(Killed, RecordUnwritable):
            self.tape.close()
        self.disk.revive()

    def die(self, where: str) -> None:
        """Kill the process now, and start the next one."""
        self.kills += 1
        self.say(f"killed at {where}")
        self.bury()
        if self.rng.random() < 0.25:
            self.disk.kill_after(int(self.rng.integers(1, 60)), half=bool(self.rng.random() < 0.5))
        self.start()

    def cut_power(self) -> None:
        """Lose what was not synced; orders that left must be on the disk."""
        self.cuts += 1
        self.say("power cut")
        self.bury()
        self.acknowledged = max(self.sent, default=0)
        self.disk.cut_power(self.folder / "tape", self.rng)
        self.start()

    def fail_stop(self, reason: str) -> None:
        """Check that trading stopped with the tape, then let a person repair the disk and start again."""
        self.failures += 1
        self.say(f"fail stop: {reason[-60:]}")
        require(Scope.everything() in self.control.view().scopes, "a failed tape halts the desk in the control block")
        require(self.engine.summary().halted, "a failed tape halts the engine")
        self.bury()
        self.start()

    @contextmanager
    def surviving(self) -> Iterator[None]:
        """Do something to a living engine; whatever it dies of, the next life follows."""
        try:
            yield
        except Killed:
            self.die(self.disk.died_at)
        except RecordUnwritable as failure:
            self.fail_stop(str(failure))
        else:
            self.acknowledged = max(self.acknowledged, self.tape.next_sequence - 1)

    # -- the market and the venue --------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Whether the feed has nothing more."""
        return self.place >= len(self.feed)

    def deliver(self, count: int) -> None:
        """Deliver the next events; after a death the feed goes on somewhere near, as feeds do."""
        start, lives = self.place, self.lives
        batch = self.stamped(self.feed[start : start + count])
        self.place += len(batch)
        with self.surviving():
            self.engine.consume(batch)
        self.clock.advance_to(int(batch["ts_recv_ns"].max()) if len(batch) else 0)
        if self.lives != lives:
            self.place = int(self.rng.integers(max(0, start - REWIND_MAX), self.place + 1))

    def stamped(self, events: EventBatch) -> EventBatch:
        """Return a copy of events that arrive now, one after the other, by the wall clock."""
        batch = events.copy()
        true_ns = self.clock.monotonic_ns()
        arrivals = np.maximum.accumulate(np.maximum(batch["ts_recv_ns"], true_ns))
        if len(batch):
            self.clock.advance_to(int(arrivals[0]))
        batch["ts_recv_ns"] = arrivals + (self.clock.now_ns() - self.clock.monotonic_ns())
        return batch

    def told(self, orders: OrderBatch) -> None:
        """Witness orders: each once, none while its scope is halted."""
        scopes = self.control.view().scopes
        for order in orders:
            name, version = int(order["decision"]), int(order["version"])
            halted = {Scope.everything(), Scope.instrument(int(order["instrument"])), Scope.version(version)} & scopes
            require(not halted, f"order {name} of {version_name(version)} was sent although {halted} is halted")
            require(name not in self.sent, f"order {name} was sent twice")
            self.sent[name] = float(order["quantity"])

    def close(self) -> None:
        """Let go of everything."""
        self.engine.close()
        self.tape.close()

    def release(self) -> None:
        """Close what is open, whatever state the world is in."""
        self.bury()
        if self.ledger is not None:
            self.ledger.close()
