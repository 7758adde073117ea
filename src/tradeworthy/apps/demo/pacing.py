"""How fast the demo's market is delivered, so that seconds of training do not take months of market time.

Idea:   the market is history and waits for nobody; monitors need real seconds to be calibrated, a challenger to be
        trained and judged. Meanwhile the pace is lower, and where the market would end before that, lower still. What
        only events bring about (a shadow's figures, a canary's decisions) is never waited for.
Units:  events a second; infinity does not wait, zero pauses.
"""

import math

from tradeworthy.change.release.standing import Standing
from tradeworthy.core.decisions import SHORT
from tradeworthy.core.time import NS_PER_S, Clock
from tradeworthy.live.feeds.replay import ReplayFeed

LIVE_SECONDS = 20.0
SLOWER_UNWATCHED, SLOWER_WHILE_TRAINING, SLOWER_AS_CANARY, SLOWER_WHILE_HARMED = 0.02, 0.25, 0.5, 0.1
KEPT_FOR_SHADOW, KEPT_FOR_ROLLBACK, SLOWING_EVENTS = 8_000, 2_000, 2_000
HELD_SECONDS_MAX = 300.0
BEHIND_MAX = 600
"""While harm is done, events wait for a watcher that has not read so many records."""


class Pacing:
    """Says how fast events come, from where every version stands.

    Parameters
    ----------
    speed : float
        1 takes about 20 s, without what a challenger needs.
    """

    def __init__(self, speed: float) -> None:
        self._speed, self._base = speed, math.inf
        self._feed: ReplayFeed | None = None
        self._clock: Clock | None = None
        self._hold_until_ns = 0
        self._standing, self._shadowing = Standing(), list[str]()
        self.is_over, self._is_harmed, self._behind, self._watched = False, False, 0, ""

    def start(self, feed: ReplayFeed, clock: Clock) -> None:
        """Pace a feed from now on."""
        self._feed, self._clock = feed, clock
        self._base = len(feed) / LIVE_SECONDS * self._speed
        self._hold_until_ns = clock.monotonic_ns() + int(HELD_SECONDS_MAX * NS_PER_S)

    def look(self, standing: Standing, shadowing: list[str], *, watched: str, behind: int, is_over: bool) -> None:
        """Take in where versions stand, which score in shadow, whom the watcher watches, and the end.

        Parameters
        ----------
        standing : Standing
            Of all versions.
        shadowing : list of str
            Short names of those that score in shadow.
        watched : str
            Short name of the version whose monitors are at work; empty for none.
        behind : int
            Records that the watcher has not read.
        is_over : bool
            The harmed version has been taken back.
        """
        self._standing, self._shadowing, self.is_over = standing, shadowing, is_over
        self._watched, self._behind = watched, behind

    def wait_for_watcher(self) -> None:
        """Harm has begun: the watcher reads in real seconds, so events wait for it, as a market need not."""
        self._is_harmed = True

    def pace(self) -> float:
        """Return events a second; once the story is told, nothing slows the rest."""
        if self.is_over:
            return self._base
        slower = SLOWER_WHILE_TRAINING if self._coming() else 1.0
        if self._standing.canary is not None:
            slower = SLOWER_AS_CANARY
        if self._unwatched():
            slower = SLOWER_UNWATCHED
        if self._is_harmed:
            slower = SLOWER_WHILE_HARMED if self._behind < BEHIND_MAX else 0.0
        kept = self._kept()
        left = len(self._feed) - self._feed.position if self._feed else 0
        return self._base * (min(slower, max(left - kept, 0) / SLOWING_EVENTS) if kept else slower)

    @property
    def doing(self) -> str:
        """What goes on, in a few words."""
        if self._coming():
            return "trading, a challenger trains"
        if self._unwatched():
            return "trading slowly, monitors are calibrated"
        if self._standing.canary is not None:
            return "trading, a canary acts"
        return "trading, a shadow watches" if self._standing.shadows else "trading"

    def _kept(self) -> int:
        """Return how many events the rest of the story needs: a busy machine has history enough, but not time."""
        if self._clock is None or self._is_harmed or self._clock.monotonic_ns() > self._hold_until_ns:
            return 0
        retrains, standing = self._standing.retrains, self._standing
        if not retrains or retrains[-1].ended is None:
            return KEPT_FOR_SHADOW
        version = retrains[-1].ended.version
        if version is None or version in standing.retired:
            return 0
        if version == standing.champion:
            return KEPT_FOR_ROLLBACK if self._unwatched() else 0
        return self._kept_for(version)

    def _kept_for(self, version: str) -> int:
        """Return how many events a challenger needs that waits for a process; none if the gate refused it."""
        if version in self._standing.gates and not self._standing.gate_passed(version):
            return 0
        return 0 if version[:SHORT] in self._shadowing or version == self._standing.canary else KEPT_FOR_SHADOW

    def _unwatched(self) -> bool:
        """Tell whether the monitors of the version that acts are still being calibrated."""
        acting = self._standing.canary or self._standing.champion
        held = self._clock is not None and self._clock.monotonic_ns() < self._hold_until_ns
        return held and acting is not None and acting[:SHORT] != self._watched

    def _coming(self) -> bool:
        """Tell whether a retraining runs, or its challenger still waits for the gate."""
        retrains = self._standing.retrains
        if not retrains or self._standing.previous is not None:
            return False
        ended = retrains[-1].ended
        return ended is None or (ended.version is not None and ended.version not in self._standing.gates)
