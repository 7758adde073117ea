"""How long to wait before asking again, so that many who were cut off do not come back all at once."""

import numpy as np


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

    def next_s(self) -> float:
        """Return the next pause."""
        whole = min(self._shortest_s * 2.0 ** min(self._in_vain, 60), self._longest_s)
        self._in_vain += 1
        return whole * float(self._rng.uniform(0.5, 1.0))

    def reset(self) -> None:
        """Begin again with the shortest: an attempt went well."""
        self._in_vain = 0
