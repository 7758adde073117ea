"""An order book as an exchange changes it: levels by whole ticks, best first.

Idea:   sorted lists of ticks and the sizes beside them. A change sets a level's size or, at size zero, takes it out.
State:  deep enough for a whole book; the price of a change is one insertion into a list of small integers.
Units:  ticks; sizes in units of the instrument.
"""

from bisect import bisect_left
from collections.abc import Iterable

Level = tuple[int, float]
"""A price in ticks and the size there; size 0 takes the level out."""


class _Side:
    """One side's levels; `ranks` ascend, the best first: a bid's rank is its negative price."""

    __slots__ = ("ranks", "sign", "sizes")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.ranks: list[int] = []
        self.sizes: dict[int, float] = {}

    def replace(self, levels: Iterable[Level]) -> None:
        """Forget all levels but these."""
        self.sizes = {self.sign * ticks: size for ticks, size in levels if size > 0.0}
        self.ranks = sorted(self.sizes)

    def change(self, levels: Iterable[Level]) -> None:
        """Set or take out levels."""
        for ticks, size in levels:
            rank = self.sign * ticks
            if size > 0.0:
                if rank not in self.sizes:
                    self.ranks.insert(bisect_left(self.ranks, rank), rank)
                self.sizes[rank] = size
            elif self.sizes.pop(rank, None) is not None:
                del self.ranks[bisect_left(self.ranks, rank)]

    def top(self, count: int) -> list[Level]:
        """Return the best levels."""
        return [(self.sign * rank, self.sizes[rank]) for rank in self.ranks[:count]]


class Book:
    """Both sides of one instrument.

    >>> book = Book()
    >>> book.replace([(99, 1.0), (98, 2.0)], [(101, 3.0)])
    >>> book.change([(99, 0.0), (97, 4.0)], [])
    >>> book.top(2)
    ([(98, 2.0), (97, 4.0)], [(101, 3.0)])
    """

    __slots__ = ("_asks", "_bids")

    def __init__(self) -> None:
        self._bids, self._asks = _Side(-1), _Side(1)

    def replace(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Become a whole book: a snapshot."""
        self._bids.replace(bids)
        self._asks.replace(asks)

    def change(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Apply the changes of one message."""
        self._bids.change(bids)
        self._asks.change(asks)

    def top(self, count: int) -> tuple[list[Level], list[Level]]:
        """Return the best bids and asks, at most `count` of each."""
        return self._bids.top(count), self._asks.top(count)

    @property
    def is_sound(self) -> bool:
        """Whether both sides are there and the best bid lies below the best ask."""
        bids, asks = self._bids.ranks, self._asks.ranks
        return bool(bids and asks and -bids[0] < asks[0])
