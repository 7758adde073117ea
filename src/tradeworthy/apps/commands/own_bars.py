"""A person's own file of bars, read once so that a new project can declare it: columns, period, unit of stamps, steps.

Idea:   what a file shows is read from it and written into the settings, where it can be seen and mended. What it cannot
        show is asked for: whether a stamp is the bar's open or its close.
Units:  prices as in the file; a lot is the power of ten below a thousandth of a full position.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from tradeworthy.core.errors import DataInvalid, SettingsInvalid
from tradeworthy.core.time import iso
from tradeworthy.live.feeds.files import period_text, read_frame, stamps_to_ns

if TYPE_CHECKING:
    import polars as pl

NOTIONAL = 10_000.0
"""The value of a full position in the settings that `init` writes."""

CALLED: Mapping[str, tuple[str, ...]] = {
    "time": ("time", "timestamp", "date", "datetime", "open_time", "close_time", "ts", "t"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "vol", "v"),
}
"""What the fields of a bar are usually called, in small letters, the most usual first."""

TIMES = ("open", "close")
SHORTEST = 3
"""Fewer stamps have no middle distance."""

DECIMALS_MAX = 8


class OwnBars(msgspec.Struct, frozen=True, kw_only=True):
    """What a project declares of a file of bars.

    Attributes
    ----------
    columns : dict of str to str
        Field of a bar to the file's column.
    period : str
        The middle distance of two stamps, as settings write it.
    time_unit : str
        Of stamps that are numbers since 1970.
    tick, lot : float
        Steps of prices and of quantities.
    lowest : float
        The lowest close: at it a full position is the largest.
    span : str
        First and last day.
    """

    columns: dict[str, str]
    period: str
    time_unit: str
    tick: float
    lot: float
    lowest: float
    span: str


def read_own_bars(path: Path) -> OwnBars:
    """Read what a file of bars shows.

    Raises
    ------
    NotFound
        There is no such file.
    DataInvalid
        It is no CSV or Parquet file, a column of a bar cannot be told, or stamps or prices cannot be read.
    """
    frame = read_frame(path)
    columns = _columns(frame.columns, path)
    unit = _unit(frame[columns["time"]])
    stamps = np.unique(stamps_to_ns(frame[columns["time"]], "UTC", unit).drop_nulls().to_numpy())
    if len(stamps) < SHORTEST:
        raise DataInvalid(f"{path}: {len(stamps)} different stamps can be read in {columns['time']!r}; bars need many")
    closes = _prices(frame, columns["close"], path)
    return OwnBars(
        columns=columns,
        period=period_text(int(np.median(np.diff(stamps)))),
        time_unit=unit,
        tick=_tick(closes),
        lot=10.0 ** math.floor(math.log10(NOTIONAL / closes.min() / 1_000)),
        lowest=float(closes.min()),
        span=f"{iso(int(stamps[0]))[:10]} to {iso(int(stamps[-1]))[:10]}",
    )


def check_bar_time(bar_time: str | None) -> str:
    """Return whether stamps are opens or closes; a wrong word, or none, is refused.

    Raises
    ------
    SettingsInvalid
        It is neither ``open`` nor ``close``.
    """
    if bar_time not in TIMES:
        found = "was not said" if bar_time is None else f"is {bar_time!r}"
        raise SettingsInvalid(
            f"whether a bar's stamp is its open or its close {found}; add --bar-time open (what exchanges' files "
            "mostly have) or --bar-time close: a wrong one looks into the future"
        )
    return bar_time


def _columns(names: Sequence[str], path: Path) -> dict[str, str]:
    """Return which column holds which field, by the names that fields usually have."""
    small = {name.strip().lower(): name for name in names}
    found = {}
    for field, words in CALLED.items():
        word = next((word for word in words if word in small), None)
        if word is None:
            raise DataInvalid(
                f"{path}: no column is called as the {field} of a bar ({', '.join(words)}, in any case); found "
                f"{list(names)}. Rename it, or make a project without --bars and declare it under [[market]] columns"
            )
        found[field] = small[word]
    return found


def _unit(stamps: "pl.Series") -> str:
    """Return the unit of stamps that are numbers, by their size: seconds since 1970 have ten digits."""
    if not stamps.dtype.is_numeric():
        return "s"
    largest = float(np.nanmax(stamps.drop_nulls().to_numpy(), initial=0.0))
    return next((unit for unit, least in (("ns", 1e17), ("us", 1e14), ("ms", 1e11)) if largest >= least), "s")


def _prices(frame: "pl.DataFrame", column: str, path: Path) -> np.ndarray:
    """Return the closes that can be one."""
    if not frame[column].dtype.is_numeric():
        raise DataInvalid(f"{path}: column {column!r} holds {frame[column].dtype}, allowed are numbers")
    closes = frame[column].drop_nulls().to_numpy().astype(np.float64)
    good: np.ndarray = closes[np.isfinite(closes) & (closes > 0.0)]
    if not len(good):
        raise DataInvalid(f"{path}: column {column!r} holds no positive price")
    return good


def _tick(closes: np.ndarray) -> float:
    """Return the coarsest power of ten that all prices are multiples of."""
    for decimals in range(DECIMALS_MAX):
        if np.allclose(closes, np.round(closes, decimals), rtol=0.0, atol=10.0 ** -(DECIMALS_MAX + 2)):
            return float(f"1e-{decimals}")
    return float(f"1e-{DECIMALS_MAX}")
