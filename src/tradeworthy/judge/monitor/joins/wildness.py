"""How wild a market is, and which regime that makes.

Idea:   its squared returns of late as a share of those of long before, up to and with the last price, so nothing later.
State:  O(1) an instrument: the last price, both means of squares, and how many prices were seen.
Undefined: NaN, and no regime (-1), until enough prices were seen.
"""

import numpy as np
import numpy.typing as npt

from tradeworthy.core.kernel import leaf

Floats = npt.NDArray[np.float64]

REGIMES = ("calm", "usual", "wild")
WILD_CUTS = (0.75, 1.33)
"""Of a market's volatility of late, as a share of that of long before."""

LATE, LONG = 1.0 / 60.0, 1.0 / 2_000.0
"""Weights of a new square: of late, and of long before."""

PRICES_MIN = 120
"""Prices of an instrument before its wildness is told."""

_PRICE, _LATE, _LONG, _SEEN = range(4)


def unseen_markets(instruments: int) -> Floats:
    """Return the (instruments, 4) memory of markets without a price."""
    return np.zeros((instruments, 4))


@leaf
def see_price(market: Floats, price: float) -> None:
    """Take the next price (above 0) of one market."""
    if market[_SEEN] > 0.0:
        square = np.log(price / market[_PRICE]) ** 2
        market[_LATE] += max(LATE, 1.0 / market[_SEEN]) * (square - market[_LATE])
        market[_LONG] += max(LONG, 1.0 / market[_SEEN]) * (square - market[_LONG])
    market[_PRICE] = price
    market[_SEEN] += 1.0


@leaf
def wildness_of(market: Floats) -> float:
    """Return how wild one market is now."""
    known = market[_SEEN] >= PRICES_MIN and market[_LONG] > 0.0
    return float(np.sqrt(market[_LATE] / market[_LONG])) if known else np.nan


@leaf
def regime_of(market: Floats) -> int:
    """Return the place in `REGIMES` of what one market is now."""
    wildness = wildness_of(market)
    if np.isnan(wildness):
        return -1
    return int(wildness > WILD_CUTS[0]) + int(wildness > WILD_CUTS[1])
