"""What is traded: its grid of prices and quantities.

Units:  `tick` is a price step in `currency`; `lot` is a quantity step in units of the instrument.
"""

import math

import msgspec


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """One tradable thing.

    Its number on the tape is its place in the desk's list of instruments. So a desk that has a tape refuses to come up
    with other instruments, or in another order; only their `tick` and `lot` may change.

    Attributes
    ----------
    symbol : str
        What market files, features and positions call it.
    tick, lot : float
        Steps of its prices and of its quantities.
    currency : str
        Of its prices.
    multiplier : float
        Value of one unit at a price of one.
    traded : bool
        Whether it may be traded; otherwise features read it, and no more.
    """

    symbol: str
    tick: float = 0.01
    lot: float = 0.001
    currency: str = "USD"
    multiplier: float = 1.0
    traded: bool = True

    def __post_init__(self) -> None:
        """Refuse a grid that cannot price anything."""
        for name in ("tick", "lot", "multiplier"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"instrument {self.symbol!r}: {name} is {value}, allowed is a positive number")
