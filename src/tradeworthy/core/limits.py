"""Limits of a desk or a version: plain numbers with their unit in the name.

A limit that is not set refuses whatever needs it (fail closed). Of two limits the tighter wins.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple, Self

import msgspec
import numpy as np
import numpy.typing as npt


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Every limit of the order path; `None` is not set, and refuses.

    Values are in the instrument's currency, quantities in its units.

    Attributes
    ----------
    price_collar_bps_max : float
        How far an order's price may be from the reference price.
    order_value_max, order_quantity_max : float
        Of one order.
    orders_per_minute_max : float
        Messages to the venue within a minute; amends and cancels count.
    repeated_orders_max : float
        Repeated executions before the strategy is switched off until a person re-enables it.
    duplicate_window_ms : float
        An order like one sent within this time is refused.
    position_quantity_max, position_value_max : float
        Filled and in flight together, long or short.
    drawdown_value_max : float
        Loss from the highest equity.
    market_age_ms_max : float
        Age of the market data behind an order.
    """

    price_collar_bps_max: float | None = None
    order_value_max: float | None = None
    order_quantity_max: float | None = None
    orders_per_minute_max: float | None = None
    repeated_orders_max: float | None = None
    duplicate_window_ms: float | None = None
    position_quantity_max: float | None = None
    position_value_max: float | None = None
    drawdown_value_max: float | None = None
    market_age_ms_max: float | None = None

    def __post_init__(self) -> None:
        """Refuse a limit that is not a number of zero or more."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ValueError(f"limit {name} is {value}, allowed is a finite number of zero or more")

    def tightest(self, other: Self) -> Self:
        """Return, field by field, the smaller limit; one that only one side sets counts.

        The duplicate window is the exception: the longer window is the tighter one.
        """
        return type(self).of(tightest(self.as_array(), other.as_array()))

    @classmethod
    def of(cls, array: npt.NDArray[np.float64]) -> Self:
        """Return the limits that `as_array` wrote."""
        pairs = zip(LIMIT_FIELDS, array.tolist(), strict=True)
        return cls(**{name: value for name, value in pairs if not np.isnan(value)})

    def missing(self) -> list[str]:
        """Return the names of limits that are not set."""
        return [name for name in self.__struct_fields__ if getattr(self, name) is None]

    def as_array(self) -> npt.NDArray[np.float64]:
        """Return the limits in the order of `LIMIT_FIELDS`; NaN is not set."""
        values = (getattr(self, name) for name in LIMIT_FIELDS)
        return np.array([np.nan if v is None else v for v in values], np.float64)


LEAST = frozenset({"duplicate_window_ms"})
"""Limits that are a least value: the larger is the tighter."""

LIMIT_FIELDS: tuple[str, ...] = Limits.__struct_fields__
"""The places of limits in `Limits.as_array` and in control events (`Word.LIMIT + place`)."""


def limit_in_words(name: str) -> str:
    """Write a limit's name without its unit.

    >>> limit_in_words("market_age_ms_max"), limit_in_words("duplicate_window_ms")
    ('market age', 'duplicate window')
    """
    return " ".join(word for word in name.split("_") if word not in {"bps", "ms", "max"})


_LEAST = np.array([name in LEAST for name in LIMIT_FIELDS])


def tightest(limits: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return, of (..., limits) arrays as `Limits.as_array` writes them, the tighter each; see `Limits.tightest`."""
    chosen: npt.NDArray[np.float64] = np.where(_LEAST, np.fmax(limits, others), np.fmin(limits, others))
    return chosen


class Override(NamedTuple):
    """A refused order that may pass one check: its decision and instrument, the limit's place and value, until when."""

    order: int
    instrument: int
    check: int
    limit: float
    until_ns: int


class ScopedLimits(NamedTuple):
    """Limits of a whole desk, and of single instruments by number; an order is held to the tighter of both.

    `overrides` are the exceptions that people made of them, for one order each.
    """

    desk: Limits
    instruments: Mapping[int, Limits] = {}
    overrides: tuple[Override, ...] = ()

    @classmethod
    def of(cls, limits: "Limits | ScopedLimits") -> "ScopedLimits":
        """Return limits with scopes; plain ones are the desk's."""
        return limits if isinstance(limits, ScopedLimits) else cls(limits)

    def table(self, instruments: int) -> npt.NDArray[np.float64]:
        """Return (1 + instruments, limits): the desk's in the first row, then each instrument's; NaN is not set."""
        rows = [self.desk, *(self.instruments.get(number, Limits()) for number in range(instruments))]
        return np.stack([row.as_array() for row in rows])
