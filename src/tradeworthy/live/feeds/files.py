"""Market files, CSV and Parquet, read as events.

Idea:   a file says little about itself, so the desk declares it: which column is what, whether a bar's stamp is its
        open or its close, the time zone, the order of the rows, and what to do with rows that cannot be true.
Flow:   read → put in order → drop duplicates → drop or mend what cannot be true → emit at the bar's close.
Time:   stamps become UTC nanoseconds. A local time that does not exist, or exists twice, is unreadable.
Units:  prices and volume as in the file.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from tradeworthy.core.errors import DataInvalid, NotFound, SettingsInvalid, near
from tradeworthy.core.events import (
    BOOK_LEVELS_MAX,
    FIELDS,
    EventBatch,
    Kind,
    book_fields,
    events_from_columns,
    merge,
)
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_MS, NS_PER_S, zone_of
from tradeworthy.live.feeds.mending import Found, Mending, Table, mend
from tradeworthy.live.feeds.quality import BarTime, FileReport, report_file

if TYPE_CHECKING:
    import polars as pl

_UNITS_NS = {"ms": NS_PER_MS, "s": NS_PER_S, "m": NS_PER_MINUTE, "h": NS_PER_HOUR, "d": NS_PER_DAY}
_SIDES = ("bid", "ask", "bid_size", "ask_size")
_EPOCH_NS = {"s": NS_PER_S, "ms": NS_PER_MS, "us": 1_000, "ns": 1}
_INT64 = 2.0**63
_YEARS = (1678, 2261)
"""The first and the last whole year that nanoseconds since 1970 reach in 64 bits."""


class MarketFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of market data, as the desk declares it.

    Attributes
    ----------
    instrument : str
        Symbol, one of the desk's instruments.
    path : str
        CSV (also compressed: .csv.gz, .csv.zst) or Parquet (.parquet), relative to the project's folder.
    kind : str
        What a row is.
    columns : mapping of str to str
        Field to column name; `time` is the stamp. A field left out is looked for under its own name. For a book, `bid`,
        `ask`, `bid_size` and `ask_size` with ``{level}`` in the name stand for all levels: ``bid = "b{level}_px"``.
    constants : mapping of str to float
        Fields that the file does not have, with the value that stands for them.
    levels : int or None
        How many levels the file's books have; must be declared for books.
    bar_time : str
        Whether a bar's stamp is its open or its close; must be declared for bars.
    period : str
        Length of a bar: a number with ms, s, m, h or d; must be declared for bars.
    time_zone : str
        IANA name, for stamps that do not carry their own.
    time_unit : str
        Of stamps that are numbers since 1970.
    order : str
        Of the rows in the file. Rows that break it are counted, then sorted.
    inconsistent : str
        What to do with bars that exclude their own prices, crossed quotes, and crossed or unsorted books: ``drop``
        them, ``repair`` them (widen the bar, swap the quote; a book is dropped), ``keep`` them, or ``refuse`` the file.
    duplicates : str
        Which of several bars with one stamp counts.
    """

    instrument: str
    path: str
    kind: Literal["bar", "trade", "quote", "book"] = "bar"
    columns: dict[str, str] = msgspec.field(default_factory=dict)
    constants: dict[str, float] = msgspec.field(default_factory=dict)
    levels: int | None = None
    bar_time: BarTime | None = None
    period: str | None = None
    time_zone: str = "UTC"
    time_unit: Literal["s", "ms", "us", "ns"] = "s"
    order: Literal["ascending", "descending"] = "ascending"
    inconsistent: Literal["drop", "repair", "keep", "refuse"] = "drop"
    duplicates: Literal["first", "last"] = "first"

    def __post_init__(self) -> None:
        """Refuse a declaration that leaves something open or names something unknown."""
        if self.kind == "bar" and (self.bar_time is None or self.period is None):
            raise ValueError(
                f'file {self.path!r}: bars need bar_time and period; declare for example bar_time = "open" and '
                'period = "30m"'
            )
        if self.kind == "book" and not 1 <= (self.levels or 0) <= BOOK_LEVELS_MAX:
            raise ValueError(
                f"file {self.path!r}: books need levels, from 1 to {BOOK_LEVELS_MAX}; found {self.levels or 'none'}"
            )
        known = ("time", *self.fields, *(_SIDES if self.kind == "book" else ()))
        for name in (*self.columns, *self.constants):
            if name not in known:
                raise ValueError(f"file {self.path!r}: {name!r} is not a field of a {self.kind}{near(name, known)}")
        if self.period is not None:
            period_ns(self.period)
        zone_of(self.time_zone)

    @property
    def fields(self) -> tuple[str, ...]:
        """The values of one row."""
        return book_fields(self.levels or 1) if self.kind == "book" else FIELDS[Kind[self.kind.upper()]]

    def column(self, field: str) -> str:
        """Return the name of the column that holds a field."""
        side, _, level = field.rpartition("_")
        pattern = self.columns.get(side, field) if self.kind == "book" else field
        return self.columns.get(field, pattern.replace("{level}", level))

    @property
    def length_ns(self) -> int | None:
        """The length of a bar; None for other kinds."""
        return period_ns(self.period) if self.kind == "bar" and self.period else None

    @property
    def shift_ns(self) -> int:
        """What leads from a stamp to the event time: a bar stamped at its open is emitted at its close."""
        return (self.length_ns or 0) if self.bar_time == "open" else 0


def period_ns(text: str) -> int:
    """Return the nanoseconds of a length such as ``30m``.

    >>> period_ns("30m")
    1800000000000
    """
    found = re.fullmatch(r"([1-9][0-9]*)(ms|s|m|h|d)", text)
    if found is None:
        raise ValueError(f"period is {text!r}, allowed is a whole number with ms, s, m, h or d, such as '30m'")
    return int(found[1]) * _UNITS_NS[found[2]]


def period_text(length_ns: int) -> str:
    """Return a length as settings write it, in the largest unit that it is a whole number of.

    >>> period_text(1_800_000_000_000), period_text(90_000_000_000), period_text(86_400_000_000_000)
    ('30m', '90s', '1d')
    """
    unit = next(
        (unit for unit, size in reversed(_UNITS_NS.items()) if length_ns >= size and not length_ns % size), "ms"
    )
    return f"{max(1, length_ns // _UNITS_NS[unit])}{unit}"


def read_market_file(
    file: MarketFile, instruments: Sequence[Instrument], *, folder: Path | None = None
) -> tuple[EventBatch, FileReport]:
    """Read one declared file into events, and say what was found in it.

    Parameters
    ----------
    file : MarketFile
        The declaration.
    instruments : sequence of Instrument
        The desk's list; an event's instrument is the place in it.
    folder : Path, optional
        What `file.path` is relative to; the current folder if left out.

    Returns
    -------
    events : (n,) event records
        Ascending in event time; a bar at its close.
    report : FileReport
        What was found and what was done with it.

    Raises
    ------
    NotFound
        There is no such file.
    DataInvalid
        A column is missing, or the file is refused as declared.
    SettingsInvalid
        The instrument is not on the desk's list.
    """
    number = _number(file.instrument, instruments)
    path = (folder or Path()) / file.path
    frame = read_frame(path)
    kind = Kind[file.kind.upper()]
    stamps = _stamps(frame, file)
    table, found = mend(_table(frame, file, stamps), kind, _mending(file))
    events = events_from_columns(kind, number, table.stamps_ns + file.shift_ns, table.columns, names=file.fields)
    return events, _report(file, path, found, table)


def read_market_files(
    files: Sequence[MarketFile], instruments: Sequence[Instrument], *, folder: Path | None = None
) -> tuple[EventBatch, list[FileReport]]:
    """Read several files and merge their events by event time; equal times keep the order of the files."""
    if not files:
        raise SettingsInvalid("no market file is declared; add at least one to the settings")
    read = [read_market_file(file, instruments, folder=folder) for file in files]
    return merge([events for events, _ in read]), [report for _, report in read]


def _number(symbol: str, instruments: Sequence[Instrument]) -> int:
    symbols = [instrument.symbol for instrument in instruments]
    if symbol not in symbols:
        raise SettingsInvalid(f"instrument {symbol!r} is not on the desk's list {symbols}{near(symbol, symbols)}")
    return symbols.index(symbol)


def read_frame(path: Path) -> "pl.DataFrame":
    """Return a CSV or Parquet file as a frame; stamps in a CSV stay text.

    Raises
    ------
    NotFound
        There is no such file.
    DataInvalid
        It is neither.
    """
    import polars as pl  # noqa: PLC0415 - 23 MB and 0.2 s that a desk without files does without

    if not path.is_file():
        raise NotFound(f"file {path} does not exist; check the path, which is relative to the project's folder")
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        return pl.read_csv(path, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise DataInvalid(f"file {path} cannot be read as CSV or Parquet: {error}") from error


def _column(frame: "pl.DataFrame", file: MarketFile, name: str) -> "pl.Series":
    wanted = file.column(name)
    if wanted not in frame.columns:
        raise DataInvalid(
            f"{file.path}: column {wanted!r} (for {name!r}) is missing; found {frame.columns}"
            f"{near(wanted, frame.columns)}; name it under columns, or give a constant"
        )
    return frame[wanted]


def _stamps(frame: "pl.DataFrame", file: MarketFile) -> "pl.Series":
    """Return the stamps as UTC nanoseconds, null where unreadable."""
    return stamps_to_ns(_column(frame, file, "time"), file.time_zone, file.time_unit)


def stamps_to_ns(stamps: "pl.Series", time_zone: str, time_unit: str) -> "pl.Series":
    """Return stamps (text, dates, date-times or numbers since 1970) as int64 UTC nanoseconds, null where unreadable."""
    import polars as pl  # noqa: PLC0415 - as above

    if stamps.dtype.is_numeric():
        return _since_1970(stamps, time_unit)
    if stamps.dtype == pl.String:
        stamps = _parsed(stamps)
    if stamps.dtype == pl.Date:
        stamps = stamps.cast(pl.Datetime("us"))
    if not isinstance(stamps.dtype, pl.Datetime):
        raise DataInvalid(f"the stamps are of type {stamps.dtype}, allowed is text, a date, a date-time or a number")
    if stamps.dtype.time_zone is None:
        stamps = stamps.dt.replace_time_zone(time_zone, ambiguous="null", non_existent="null")
    return stamps.dt.convert_time_zone("UTC").dt.timestamp("ns")


def _since_1970(stamps: "pl.Series", time_unit: str) -> "pl.Series":
    """Return numbers as nanoseconds; those whose nanoseconds no 64 bits hold are unreadable, all of them a mistake."""
    import polars as pl  # noqa: PLC0415 - as above

    if stamps.dtype.is_float():
        stamps = stamps.fill_nan(None)
    near_enough = stamps.cast(pl.Float64).abs() < _INT64 / _EPOCH_NS[time_unit]
    if len(stamps) > stamps.null_count() and not near_enough.any():
        first = float(stamps.drop_nulls()[0])
        fits = next((unit for unit, size in _EPOCH_NS.items() if abs(first) < _INT64 / size), "none")
        raise DataInvalid(
            f"the stamps, such as {first:.15g}, are no times in {time_unit} since 1970, which go to the year 2262; "
            f"the time_unit that fits them is {fits}"
        )
    kept = pl.select(pl.when(near_enough).then(stamps)).to_series()
    if stamps.dtype.is_integer():
        return kept.cast(pl.Int64) * _EPOCH_NS[time_unit]
    return (kept * _EPOCH_NS[time_unit]).round().cast(pl.Int64, strict=False)


def _parsed(text: "pl.Series") -> "pl.Series":
    """Read ISO-like text; text that carries an offset keeps its instant. What no 64 bits hold is unreadable."""
    import polars as pl  # noqa: PLC0415 - as above

    has_offset = text.str.contains(r"(?:Z|[+-]\d{2}:?\d{2})$").any()
    trial = text.str.replace(" ", "T", literal=True)
    if has_offset:
        return _within(
            trial, lambda each, unit: each.str.to_datetime("%+", time_unit=unit, time_zone="UTC", strict=False)
        )
    try:
        return _within(trial, lambda each, unit: each.str.to_datetime(time_unit=unit, strict=False))
    except pl.exceptions.ComputeError:
        first = next((each for each in text if each is not None), None)
        raise DataInvalid(
            f"the stamps, such as {first!r}, are in no known format; allowed are dates and times such as "
            "2024-01-31 23:59:59, with or without an offset, and numbers since 1970"
        ) from None


def _within(text: "pl.Series", read: "Callable[[pl.Series, Literal['us', 'ns']], pl.Series]") -> "pl.Series":
    """Return text as date-times in nanoseconds, null in years that these do not reach and would wrap."""
    import polars as pl  # noqa: PLC0415 - as above

    reached = read(text, "us").dt.year().is_between(*_YEARS)
    return read(pl.select(pl.when(reached).then(text)).to_series(), "ns")


def _table(frame: "pl.DataFrame", file: MarketFile, stamps: "pl.Series") -> Table:
    import polars as pl  # noqa: PLC0415 - as above

    readable = stamps.is_not_null().to_numpy()
    columns = {}
    for name in file.fields:
        if name in file.constants:
            columns[name] = np.full(len(frame), file.constants[name])
        else:
            column = _column(frame, file, name).cast(pl.Float64, strict=False)
            columns[name] = column.fill_null(float("nan")).to_numpy().copy()
    table = Table(stamps_ns=stamps.fill_null(0).to_numpy().copy(), columns=columns, readable=readable)
    return table.reversed() if file.order == "descending" else table


def _mending(file: MarketFile) -> Mending:
    return Mending(inconsistent=file.inconsistent, duplicates=file.duplicates, path=file.path)


def _report(file: MarketFile, path: Path, found: Found, table: Table) -> FileReport:
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return report_file(
        symbol=file.instrument,
        path=file.path,
        kind=file.kind,
        digest=digest,
        found=found,
        table=table,
        shift_ns=file.shift_ns,
        length_ns=file.length_ns,
        declared=file.bar_time,
    )
