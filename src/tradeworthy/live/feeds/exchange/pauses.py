"""How long to wait before asking again.

Idea:   many who were cut off must not come back all at once, so pauses are drawn. And an exchange that was asked too
        often says so (429, and 418 to who goes on all the same), often with how long to be silent; who does not listen
        is shut out. So all of one feed's requests go through one `Asking`: while that time is not over, nothing is
        asked.
Time:   on the monotonic clock.
"""

from typing import Protocol

import numpy as np

from tradeworthy.core.time import NS_PER_S, Clock
from tradeworthy.live.feeds.exchange.figures import Figures


class AskedTooOften(ConnectionError):
    """The exchange wants to be asked less; `wait_s` is how long it is to be left alone, 0 where it does not say."""

    def __init__(self, said: str, wait_s: float) -> None:
        super().__init__(said)
        self.wait_s = wait_s


class Fetch(Protocol):
    """How an address is read."""

    async def fetch(self, url: str) -> bytes:
        """Return what is there, or raise `OSError`."""


class Asking:
    """Asks only when the exchange allows it.

    Parameters
    ----------
    dial : Fetch
    clock : Clock
    figures : Figures
        Counted in.
    """

    def __init__(self, dial: Fetch, clock: Clock, figures: Figures) -> None:
        self._dial, self._clock, self._figures = dial, clock, figures
        self._until_ns = clock.monotonic_ns()

    async def fetch(self, url: str) -> bytes:
        """Return what is at an address.

        Raises
        ------
        AskedTooOften
            By the exchange, or by us because it said so before.
        OSError
            Nobody answers, or with an error.
        """
        left_s = (self._until_ns - self._clock.monotonic_ns()) / NS_PER_S
        if left_s > 0:
            raise AskedTooOften(f"the exchange wants {left_s:.0f} s more of silence", left_s)
        try:
            return await self._dial.fetch(url)
        except AskedTooOften as problem:
            self._figures.silenced += 1
            self._until_ns = self._clock.monotonic_ns() + int(problem.wait_s * NS_PER_S)
            raise


class Pauses:
    """How long to wait before the next attempt: doubled each time in vain, shortened by up to half at random.

    Parameters
    ----------
    shortest_s, longest_s : float
    rng : numpy Generator
    """

    def __init__(self, shortest_s: float, longest_s: float, rng: np.random.Generator) -> None:
        self._shortest_s, self._longest_s, self._rng = shortest_s, longest_s, rng
        self._in_vain = 0

    def next_s(self, problem: BaseException | None = None) -> float:
        """Return the next pause; after a problem that names one, no shorter than that."""
        whole = min(self._shortest_s * 2.0 ** min(self._in_vain, 60), self._longest_s)
        self._in_vain += 1
        named_s = problem.wait_s if isinstance(problem, AskedTooOften) else 0.0
        return named_s + whole * float(self._rng.uniform(0.5, 1.0))

    def reset(self) -> None:
        """Begin again with the shortest: an attempt went well."""
        self._in_vain = 0
