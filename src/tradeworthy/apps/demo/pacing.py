"""How fast the demo's market is delivered, so that the same happens however fast or busy the machine is.

Idea:   the market is history and waits for nobody; monitors need real seconds to be calibrated, challengers to be
        trained and judged. So events come in blocks, and the next block waits until all that is done (`Lockstep`), and
        until its turn has come at the demo's speed.
Units:  events a second; infinity does not wait, zero pauses.
"""

import math
from collections.abc import Callable
from pathlib import Path

from tradeworthy.core.time import NS_PER_S, Clock
from tradeworthy.live.engine import Engine
from tradeworthy.live.feeds.replay import ReplayFeed
from tradeworthy.record.ledger import Ledger
from tradeworthy.testing.lockstep import Lockstep

LIVE_SECONDS = 10.0
BLOCK, BLOCK_HARMED = 512, 64
"""Events between two stops; while harm is done, fewer, so that it is heard before much of it is."""
HELD_S_MAX = 300.0


class Pacing:
    """Says how fast events come.

    Parameters
    ----------
    ledger : Ledger
        Where every version stands.
    watcher : Path
        The watcher's state folder.
    clock : Clock
        The machine's.
    speed : float
        1 takes about 10 s, without what monitors and challengers need.
    passed : callable
        Called after each stop, with all done that events before it set off; returns whether harm is being done.
    """

    def __init__(
        self, ledger: Ledger, watcher: Path, *, clock: Clock, speed: float, passed: Callable[[], bool]
    ) -> None:
        self._lockstep = Lockstep(ledger, watcher, clock=clock, every=BLOCK, held_s_max=HELD_S_MAX)
        self._clock, self._speed, self._passed = clock, speed, passed
        self._base, self._due_ns = math.inf, 0

    def start(self, feed: ReplayFeed, engine: Engine) -> None:
        """Pace a feed from now on, for an engine."""
        self._lockstep.start(feed, engine)
        self._base = len(feed) / LIVE_SECONDS * self._speed

    def pace(self) -> float:
        """Return events a second: a block at once, none until its time is over and all is done.

        Raises
        ------
        ContractBroken
            A stop has lasted too long.
        """
        stops, pace = self._lockstep.stops, self._lockstep.pace(after_ns=self._due_ns)
        if self._lockstep.stops > stops:
            self._lockstep.every = BLOCK_HARMED if self._passed() else BLOCK
            self._due_ns = self._clock.monotonic_ns() + int(self._lockstep.every / self._base * NS_PER_S)
        return pace

    @property
    def waits_for(self) -> str:
        """What events wait for now; empty where they flow."""
        return self._lockstep.waiting
