"""Rows that cannot be true: counted, then dropped or mended as the desk declared.

Flow:   unreadable stamps → order → values that are no numbers → duplicates → prices of zero or less → inconsistency.
        A row is counted once, for the first reason met.
State:  none; each step takes a table and gives a new one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import DataInvalid
from tradeworthy.core.events import BOOK_LEVEL_FIELDS, FIELDS, Kind

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_PRICES: Mapping[Kind, tuple[str, ...]] = {
    Kind.BAR: ("open", "high", "low", "close"),
    Kind.TRADE: ("price",),
    Kind.QUOTE: ("bid", "ask"),
    Kind.BOOK: tuple(name for name in FIELDS[Kind.BOOK] if "size" not in name),
}


_INCONSISTENT: Mapping[Kind, str] = {
    Kind.BAR: "bars that exclude one of their own prices",
    Kind.QUOTE: "crossed quotes",
    Kind.BOOK: "books that are crossed or not sorted",
}


@dataclass(frozen=True, slots=True)
class Table:
    """Rows as columns: stamps (n,) int64, each column (n,) float64, `readable` (n,) where the stamp is one."""

    stamps_ns: Ints
    columns: Mapping[str, Floats]
    readable: Bools

    def __len__(self) -> int:
        return len(self.stamps_ns)

    def take(self, places: npt.NDArray[np.bool_] | npt.NDArray[np.intp] | slice) -> Self:
        """Return the rows at `places`, a mask, an order or a slice."""
        columns = {name: column[places] for name, column in self.columns.items()}
        return replace(self, stamps_ns=self.stamps_ns[places], columns=columns, readable=self.readable[places])

    def reversed(self) -> Self:
        """Return the rows from last to first."""
        return self.take(slice(None, None, -1))


@dataclass(frozen=True, slots=True)
class Mending:
    """What to do with rows that cannot be true; see `files.MarketFile`."""

    inconsistent: Literal["drop", "repair", "keep", "refuse"]
    duplicates: Literal["first", "last"]
    path: str


@dataclass(frozen=True, slots=True)
class Found:
    """How many rows of each sort were found, and what was done."""

    rows: int = 0
    unreadable: int = 0
    out_of_order: int = 0
    not_finite: int = 0
    duplicates: int = 0
    conflicting: int = 0
    not_positive: int = 0
    inconsistent: int = 0
    done: tuple[str, ...] = ()

    def noting(self, sentence: str, **counts: int) -> Self:
        """Return these counts with more known, and the sentence added if anything was found."""
        done = (*self.done, sentence) if any(counts.values()) else self.done
        return replace(self, done=done, **counts)


def mend(table: Table, kind: Kind, mending: Mending) -> tuple[Table, Found]:
    """Return only rows that can be true, ascending in time, and what was found on the way.

    Raises
    ------
    DataInvalid
        Rows are inconsistent and the file's declaration refuses them.
    """
    found = Found(rows=len(table))
    table, found = _drop_unreadable(table, found)
    table, found = _sort(table, found)
    if kind is Kind.BOOK:
        table = replace(table, columns=with_empty_levels(table.columns))
    table, found = _drop_not_finite(table, found, _may_lack(kind))
    if kind is Kind.BAR:
        table, found = _drop_duplicates(table, found, mending.duplicates)
    table, found = _drop_not_positive(table, found, kind)
    return _settle_inconsistent(table, found, kind, mending)


def inconsistent_rows(columns: Mapping[str, Floats], kind: Kind) -> Bools:
    """Return where a bar excludes one of its own prices, or a quote or book is crossed or unsorted, (n,) bool."""
    if kind is Kind.BAR:
        top = np.maximum(columns["open"], columns["close"])
        bottom = np.minimum(columns["open"], columns["close"])
        return np.asarray((columns["high"] < top) | (columns["low"] > bottom))
    if kind is Kind.QUOTE:
        return np.asarray(columns["bid"] > columns["ask"])
    if kind is Kind.BOOK:
        return _unsorted_books(columns)
    return np.zeros(len(next(iter(columns.values()))), np.bool_)


def _unsorted_books(columns: Mapping[str, Floats]) -> Bools:
    """Return where a book is crossed, or a level does not lie behind the one before it on its side."""
    bad = np.asarray(columns["bid_1"] > columns["ask_1"])
    for side, outward in (("bid", -1.0), ("ask", 1.0)):
        levels = len(columns) // BOOK_LEVEL_FIELDS
        prices = np.stack([outward * columns[f"{side}_{level}"] for level in range(1, levels + 1)])
        present = ~np.isnan(prices)
        behind = prices[1:] > prices[:-1]
        bad |= (present[1:] & ~behind).any(axis=0)
    return bad


def _drop_unreadable(table: Table, found: Found) -> tuple[Table, Found]:
    count = int(np.count_nonzero(~table.readable))
    sentence = f"dropped {count} rows whose stamp is unreadable, does not exist or exists twice in the time zone"
    return (table.take(table.readable) if count else table), found.noting(sentence, unreadable=count)


def _sort(table: Table, found: Found) -> tuple[Table, Found]:
    stamps = table.stamps_ns
    if len(stamps) < 2:
        return table, found
    count = int(np.count_nonzero(stamps[1:] < np.maximum.accumulate(stamps)[:-1]))
    if count:
        table = table.take(np.argsort(stamps, kind="stable"))
    return table, found.noting(f"sorted by stamp: {count} rows stood after a later one", out_of_order=count)


def with_empty_levels(columns: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return a book whose missing levels, those without a price, have size 0."""
    filled = dict(columns)
    for name in _may_lack(Kind.BOOK) & columns.keys():
        side, _, level = name.partition("_")
        size = f"{side}_size_{level}"
        filled[size] = np.where(np.isnan(columns[name]) & np.isnan(columns[size]), 0.0, columns[size])
    return filled


def _may_lack(kind: Kind) -> set[str]:
    """Return the fields that need not be there: prices of a book behind the best."""
    return {name for name in _PRICES[kind] if not name.endswith("_1")} if kind is Kind.BOOK else set()


def _drop_not_finite(table: Table, found: Found, may_lack: set[str]) -> tuple[Table, Found]:
    sound = np.ones(len(table), np.bool_)
    for name, column in table.columns.items():
        sound &= np.isfinite(column) | (np.isnan(column) if name in may_lack else np.False_)
    count = int(np.count_nonzero(~sound))
    sentence = f"dropped {count} rows with a value that is no finite number"
    return (table.take(sound) if count else table), found.noting(sentence, not_finite=count)


def _drop_duplicates(table: Table, found: Found, keep: Literal["first", "last"]) -> tuple[Table, Found]:
    """Keep one bar of each stamp; bars of one stamp stand in the order of the file."""
    same = table.stamps_ns[1:] == table.stamps_ns[:-1]
    count = int(np.count_nonzero(same))
    if not count:
        return table, found
    differs = np.zeros(len(same), np.bool_)
    for column in table.columns.values():
        differs |= column[1:] != column[:-1]
    conflicting = int(np.count_nonzero(same & differs))
    kept = np.ones(len(table), np.bool_)
    kept[1:] = ~same
    if keep == "last":
        kept = np.append(~same, True)
    sentence = f"dropped {count} bars with the stamp of another, {conflicting} with other values; the {keep} one counts"
    return table.take(kept), found.noting(sentence, duplicates=count, conflicting=conflicting)


def _drop_not_positive(table: Table, found: Found, kind: Kind) -> tuple[Table, Found]:
    """Drop prices of zero or less and sizes below zero."""
    sound = np.ones(len(table), np.bool_)
    for name, column in table.columns.items():
        if name in _PRICES[kind]:
            sound &= ~(column <= 0)
        elif name != "side":
            sound &= column >= 0
    count = int(np.count_nonzero(~sound))
    sentence = f"dropped {count} rows with a price of zero or less, or a negative size"
    return (table.take(sound) if count else table), found.noting(sentence, not_positive=count)


def _settle_inconsistent(table: Table, found: Found, kind: Kind, mending: Mending) -> tuple[Table, Found]:
    bad = inconsistent_rows(table.columns, kind)
    count = int(np.count_nonzero(bad))
    if not count:
        return table, found
    what = _INCONSISTENT[kind]
    if mending.inconsistent == "refuse":
        raise DataInvalid(
            f'{mending.path}: {count} {what} found, none allowed (inconsistent = "refuse"); mend the file, or declare '
            "drop, repair or keep"
        )
    if mending.inconsistent == "keep":
        return table, found.noting(f"kept {count} {what}", inconsistent=count)
    if mending.inconsistent == "drop" or kind is Kind.BOOK:  # a book says nothing of how it should have been
        return table.take(~bad), found.noting(f"dropped {count} {what}", inconsistent=count)
    columns = _widened(table.columns) if kind is Kind.BAR else _uncrossed(table.columns)
    return replace(table, columns=columns), found.noting(f"repaired {count} {what}", inconsistent=count)


def _widened(columns: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return bars whose high and low include every price of theirs."""
    prices = [columns[name] for name in _PRICES[Kind.BAR]]
    return {**columns, "high": np.maximum.reduce(prices), "low": np.minimum.reduce(prices)}


def _uncrossed(columns: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return quotes with the lower price, and its size, as the bid."""
    crossed = columns["bid"] > columns["ask"]
    swapped = dict(columns)
    for one, other in (("bid", "ask"), ("bid_size", "ask_size")):
        swapped[one] = np.where(crossed, columns[other], columns[one])
        swapped[other] = np.where(crossed, columns[one], columns[other])
    return swapped
