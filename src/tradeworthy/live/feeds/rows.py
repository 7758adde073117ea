"""Rows of features computed elsewhere (pandas, a feature store), as events.

Idea:   the desk declares the fields of a row once (`RowSchema`); a frame or a file then becomes `row` events.
Shape:  `values` holds the fields in the declared order; `reference` names the entity that the row is about.
Undefined: a missing value or an unknown category travels as NaN; the input checks decide about it, not the reader.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import DataInvalid, SettingsInvalid, near
from tradeworthy.core.events import WIDTH_MIN, EventBatch, Kind, events_from_columns, merge
from tradeworthy.core.instruments import Instrument
from tradeworthy.live.feeds.files import MarketFile, read_frame, read_market_files, stamps_to_ns
from tradeworthy.live.feeds.quality import FileReport

if TYPE_CHECKING:
    import polars as pl


class RowSchema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a row is, as the desk declares it.

    Attributes
    ----------
    fields : tuple of str
        Names of the values, in their order on the tape; also the column names.
    time : str
        Column of the stamp: when every value of the row was known.
    time_zone, time_unit : str
        For stamps without a zone of their own; for stamps that are numbers since 1970.
    instrument, instrument_column : str or None
        The instrument of every row, or the column that holds each row's symbol: one of the two.
    entity : str or None
        Column that names what the row is about (an account, an application).
    categories : mapping of str to sequence of str
        For fields of text: the known words; a word's code is its place.
    """

    fields: tuple[str, ...]
    time: str = "time"
    time_zone: str = "UTC"
    time_unit: Literal["s", "ms", "us", "ns"] = "s"
    instrument: str | None = None
    instrument_column: str | None = None
    entity: str | None = None
    categories: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a schema without fields, with one twice, or without an instrument."""
        if not self.fields or len(set(self.fields)) != len(self.fields):
            raise ValueError(f"fields are {list(self.fields)}, allowed is at least one, each once")
        if (self.instrument is None) == (self.instrument_column is None):
            raise ValueError("declare either instrument or instrument_column, not both")
        for name in self.categories:
            if name not in self.fields:
                raise ValueError(f"categories name {name!r}, which is not a field{near(name, self.fields)}")


def require_fields(schemas: Sequence[RowSchema], wanted: Sequence[str]) -> None:
    """Refuse rows whose first fields are not those that a program reads, in its order: it reads them by place.

    Raises
    ------
    SettingsInvalid
        Another field stands in a place.
    """
    for schema in schemas:
        if schema.fields[: len(wanted)] != tuple(wanted):
            raise SettingsInvalid(
                f"[[rows]] fields are {list(schema.fields)}, the strategy's row_fields (and its outcome behind them) "
                f"are {list(wanted)}; write the same names in the same order, in tradeworthy.toml and in strategy.py"
            )


class RowFile(RowSchema, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of rows computed elsewhere.

    Attributes
    ----------
    path : str
        CSV or Parquet, relative to the project's folder.
    """

    path: str


class RowReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was found among rows: `missing` counts NaN values by field, `unknown` words outside the categories."""

    rows: int
    events: int
    unreadable: int
    out_of_order: int
    missing: dict[str, int]
    unknown: dict[str, int]


def entity_reference(name: str | int) -> int:
    """Return the 64-bit number that stands for an entity: a whole number is its own, text is hashed.

    >>> entity_reference(42)
    42
    """
    if isinstance(name, int):
        if not 0 <= name < 1 << 64:
            raise DataInvalid(f"entity {name} does not fit 64 bits, allowed is 0 to 2**64 - 1; use text instead")
        return name
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")


def read_rows(
    frame: Any, schema: RowSchema, instruments: Sequence[Instrument], *, width: int = WIDTH_MIN
) -> tuple[EventBatch, RowReport]:
    """Turn a frame into row events, ascending in time.

    Parameters
    ----------
    frame : polars or pandas DataFrame, or mapping of str to array
        One column for each field, the stamp, and the entity or instrument where declared.
    schema : RowSchema
        The declaration.
    instruments : sequence of Instrument
        The desk's list.
    width : int
        Values an event carries on this desk; widened to the fields if they are more.

    Raises
    ------
    DataInvalid
        A column is missing, or cannot be read as numbers.
    SettingsInvalid
        An instrument is not on the desk's list.
    """
    table = _as_polars(frame)
    _check_columns(table, schema)
    stamps = stamps_to_ns(table[schema.time], schema.time_zone, schema.time_unit)
    readable = stamps.is_not_null()
    table, stamps_ns = table.filter(readable), stamps.drop_nulls().to_numpy()
    late = np.count_nonzero(stamps_ns[1:] < np.maximum.accumulate(stamps_ns)[:-1]) if len(stamps_ns) else 0
    columns, unknown = _values(table, schema)
    events = events_from_columns(
        Kind.ROW, _numbers(table, schema, instruments), stamps_ns, columns, names=schema.fields, width=width
    )
    if schema.entity is not None:
        events["reference"] = _references(table[schema.entity])
    report = RowReport(
        rows=len(readable),
        events=len(events),
        unreadable=int((~readable).sum()),
        out_of_order=int(late),
        missing={name: int(np.isnan(column).sum()) - unknown.get(name, 0) for name, column in columns.items()},
        unknown=unknown,
    )
    return events[np.argsort(stamps_ns, kind="stable")], report


def read_row_file(
    path: Path, schema: RowSchema, instruments: Sequence[Instrument], *, width: int = WIDTH_MIN
) -> tuple[EventBatch, RowReport]:
    """Read a CSV or Parquet file of rows into row events; see `read_rows`.

    Raises
    ------
    NotFound
        There is no such file.
    """
    return read_rows(read_frame(path), schema, instruments, width=width)


def read_events(
    market: Sequence[MarketFile], rows: Sequence[RowFile], instruments: Sequence[Instrument], *, folder: Path
) -> tuple[EventBatch, list[FileReport]]:
    """Read every declared file into one batch in the order of event time, with a report on each market file.

    At one event time market data comes before rows: a row was computed from what the market had shown.

    Raises
    ------
    DataInvalid
        No file is declared, or one cannot be read.
    """
    if not market and not rows:
        raise DataInvalid("no data is declared; add a [[market]] or a [[rows]] section")
    events, reports = read_market_files(market, instruments, folder=folder) if market else (None, [])
    batches = [] if events is None else [events]
    batches += [read_row_file(folder / file.path, file, instruments)[0] for file in rows]
    return merge(batches), reports


def _as_polars(frame: Any) -> "pl.DataFrame":
    import polars as pl  # noqa: PLC0415 - 23 MB and 0.2 s that a desk without files does without

    if isinstance(frame, pl.DataFrame):
        return frame
    if isinstance(frame, Mapping):
        return pl.DataFrame(dict(frame))
    if hasattr(frame, "reset_index") and hasattr(frame, "columns"):
        named = frame.reset_index() if frame.index.name else frame
        return pl.DataFrame({str(name): _from_pandas(named[name]) for name in named.columns})
    raise DataInvalid(f"rows are a {type(frame).__name__}, allowed is a polars or pandas frame or a mapping of columns")


def _from_pandas(series: Any) -> "pl.Series":
    """Return a pandas column as polars; a time zone of its own is kept as the instant in UTC."""
    import polars as pl  # noqa: PLC0415 - as above

    if getattr(series.dtype, "tz", None) is None:
        return pl.Series(series.to_numpy())
    return pl.Series(series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()).dt.replace_time_zone("UTC")


def _check_columns(table: "pl.DataFrame", schema: RowSchema) -> None:
    wanted = [*schema.fields, schema.time, schema.instrument_column, schema.entity]
    for name in wanted:
        if name is not None and name not in table.columns:
            raise DataInvalid(f"column {name!r} is missing; found {table.columns}{near(name, table.columns)}")


def _values(table: "pl.DataFrame", schema: RowSchema) -> tuple[dict[str, npt.NDArray[np.float64]], dict[str, int]]:
    """Return every field as (n,) float64, and how many words of each category were unknown."""
    import polars as pl  # noqa: PLC0415 - as above

    columns: dict[str, npt.NDArray[np.float64]] = {}
    unknown: dict[str, int] = {}
    for name in schema.fields:
        series = table[name]
        if name in schema.categories:
            words = schema.categories[name]
            coded = series.cast(pl.String).replace_strict(
                list(words), list(range(len(words))), default=None, return_dtype=pl.Float64
            )
            unknown[name] = int(coded.null_count() - series.null_count())
        else:
            coded = _floats(series)
        columns[name] = coded.fill_null(float("nan")).to_numpy()
    return columns, unknown


def _floats(series: "pl.Series") -> "pl.Series":
    import polars as pl  # noqa: PLC0415 - as above

    if series.dtype == pl.Object:
        series = pl.Series(series.name, series.to_list(), strict=False)
    try:
        return series.cast(pl.Float64)
    except pl.exceptions.PolarsError as error:
        raise DataInvalid(
            f"column {series.name!r} holds {series.dtype}, which are no numbers; declare its words under categories"
        ) from error


def _numbers(
    table: "pl.DataFrame", schema: RowSchema, instruments: Sequence[Instrument]
) -> int | npt.NDArray[np.uint32]:
    """Return each row's instrument as its place in the desk's list."""
    places = {instrument.symbol: place for place, instrument in enumerate(instruments)}
    symbols = [schema.instrument] if schema.instrument_column is None else table[schema.instrument_column].to_list()
    for symbol in dict.fromkeys(symbols):
        if symbol not in places:
            raise SettingsInvalid(f"instrument {symbol!r} is not on the desk's list {list(places)}")
    numbers = np.array([places[str(symbol)] for symbol in symbols], np.uint32)
    return int(numbers[0]) if schema.instrument_column is None else numbers


def _references(entities: "pl.Series") -> npt.NDArray[np.uint64]:
    names = entities.to_list()
    return np.array([entity_reference(name if isinstance(name, int) else str(name)) for name in names], np.uint64)
