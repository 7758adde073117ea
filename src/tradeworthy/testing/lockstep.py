"""A replayed market that waits for whatever needs real time, so that what happens depends on events alone.

Idea:   a watcher, a training and a gate run in real seconds, a replayed market as fast as it is read. So the market
        stops at every so many events, until the watcher has read all of them, nothing that it started is still running
        and the engine has let in whom it was asked for. How fast or busy the machine is plays no part.
Bounds: no stop lasts for ever; one that is too long ends the run and says what it waited for.
Units:  stops are counted in events, bounds in seconds of the machine.
"""

import math
from pathlib import Path

from tradeworthy.change.release.standing import Standing, stand
from tradeworthy.change.watch.pulse import Pulse, read_pulse
from tradeworthy.core.decisions import SHORT, version_number
from tradeworthy.core.time import NS_PER_S, Clock
from tradeworthy.live.engine import Engine
from tradeworthy.live.feeds.replay import ReplayFeed
from tradeworthy.record.ledger import Ledger
from tradeworthy.testing.contract import ContractBroken

HELD_S_MAX = 180.0


class Lockstep:
    """Says how fast events come: at once up to the next stop, and there not at all until all is done.

    Parameters
    ----------
    ledger : Ledger
        Says who shall act, what trains and what is judged.
    watcher : Path
        The watcher's state folder.
    clock : Clock
        The machine's.
    every : int
        Events between two stops; it may be changed at any time.
    held_s_max : float
        How long one stop may last.

    Attributes
    ----------
    stops : int
        How many are over.
    waiting : str
        What the present stop waits for; empty where events flow.
    """

    def __init__(
        self,
        ledger: Ledger,
        watcher: Path,
        *,
        clock: Clock,
        every: int = 512,
        held_s_max: float = HELD_S_MAX,
    ) -> None:
        self._ledger, self._watcher, self._clock = ledger, watcher, clock
        self.every, self._held_ns_max = every, int(held_s_max * NS_PER_S)
        self._feed: ReplayFeed | None = None
        self._engine: Engine | None = None
        self._begun, self._held_since_ns, self._held_ns = 0, 0, 0
        self.stops, self.waiting = 0, ""

    def start(self, feed: ReplayFeed, engine: Engine) -> None:
        """Hold this feed, for this engine."""
        self._feed, self._engine = feed, engine
        self._begun = feed.position - self.every

    def pace(self, after_ns: int = 0) -> float:
        """Return events a second: without bound, or none.

        Parameters
        ----------
        after_ns : int
            Monotonic time before which a stop does not end, whatever is done.

        Raises
        ------
        ContractBroken
            A stop has lasted too long.
        """
        feed, engine = self._feed, self._engine
        if feed is None or engine is None or feed.position < self._begun + self.every:
            return math.inf
        if not self._held_since_ns:
            engine.look_up()  # rows that wait are written; what comes after this is read by a later look
            self._held_since_ns, self._held_ns = self._clock.now_ns(), self._clock.monotonic_ns()
        now_ns = self._clock.monotonic_ns()
        if now_ns < after_ns:
            return 0.0
        self.waiting = self.waits_for(engine)
        if not self.waiting:
            self._begun, self._held_since_ns, self.stops = feed.position, 0, self.stops + 1
            return math.inf
        if now_ns - self._held_ns > self._held_ns_max:
            held_s = self._held_ns_max / NS_PER_S
            raise ContractBroken(
                f"held at event {feed.position} for {held_s:g} s, waiting for {self.waiting}; see what hangs"
            )
        return 0.0

    def waits_for(self, engine: Engine) -> str:
        """Return what a stop waits for; empty where all is done."""
        pulse = read_pulse(self._watcher)
        if pulse is None or pulse.caught_up_ns <= self._held_since_ns:
            return "the watcher to read the tape"
        entries = self._ledger.facts()
        if pulse.followed != entries[-1].number:
            return "the policy to follow the last fact"
        standing = stand(entries)
        return _unfinished(standing) or _not_let_in(standing, engine) or _unwatched(standing, pulse)


def _unfinished(standing: Standing) -> str:
    if standing.open_retrain is not None:
        return f"retraining {standing.open_retrain.number}"
    return f"the gate of version {standing.unjudged[:SHORT]}" if standing.unjudged is not None else ""


def _not_let_in(standing: Standing, engine: Engine) -> str:
    desk = engine.desk
    champion = desk.champion.number if desk.champion is not None else 0
    if standing.champion is not None and champion != version_number(standing.champion):
        return f"the engine to let version {standing.champion[:SHORT]} act"
    missing = {version_number(version) for version in standing.shadows} ^ set(desk.shadows)
    return f"the engine to let {len(missing)} shadows in or out" if missing else ""


def _unwatched(standing: Standing, pulse: Pulse) -> str:
    if standing.acting and pulse.version != standing.acting[0][:SHORT]:
        return f"the monitors of version {standing.acting[0][:SHORT]}"
    if standing.canary_on and pulse.canary != str(standing.canary)[:SHORT]:
        return f"the monitors of canary {str(standing.canary)[:SHORT]}"
    return ""
