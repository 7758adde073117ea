"""Ask the record in SQL: tape, archive and ledger as tables, read-only.

Flow:   the words of a query tell which streams it needs -> archived segments are scanned where they lie, with page
        checksums verified; segments still on the tape are checked and copied -> views -> DuckDB answers.
Idea:   one sequence cuts all streams at the same moment, and a segment counts once wherever it is, so a query may run
        while the engine writes and the archiver moves segments.
Safety: the database lives in memory and for one query; it can open no file, load nothing and change nothing.
Errors: QueryInvalid for what cannot be asked; RecordCorrupt for a damaged record, never an answer from it.
"""

# ruff: noqa: S608  # statements are made of names of our own; every other string goes through `views.text` or `quoted`

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from tradeworthy.core.decisions import DECISION, ORDER, row_dtype, version_name
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import QueryInvalid, RecordCorrupt
from tradeworthy.core.events import event_dtype
from tradeworthy.core.instruments import Instrument
from tradeworthy.record import views
from tradeworthy.record.archived import ARCHIVE, archived_segments, check_footer
from tradeworthy.record.ledger import Entry
from tradeworthy.record.mapped import MappedSegment
from tradeworthy.record.marks import durable_mark
from tradeworthy.record.parquet import arrow_table
from tradeworthy.record.reader import STREAMS, TapeReader
from tradeworthy.record.segment import segment_paths

ROWS = "rows-"
ROWS_MAX = 10_000
_READ_ONLY = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
_CLOSED = (
    "SET temp_directory = ''",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)
_FORMAT = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True, pre_buffer=False)
)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a query gave.

    Attributes
    ----------
    columns, types : list of str
        Names and SQL types.
    rows : list of list
        Numbers, text, booleans and None; other values as text.
    more : bool
        There are further rows, which were left out.
    """

    columns: list[str]
    types: list[str]
    rows: list[list[Any]]
    more: bool = False


class Record:
    """A deployment's record, to be asked.

    Parameters
    ----------
    tape : Path
        The tape's folder; it need not exist yet.
    facts : sequence of Entry
        The ledger's entries.
    instruments : sequence of Instrument
        In the order of their numbers; they give symbols and multipliers.
    features : mapping of str to sequence of str
        By version (16 hexadecimal digits): the names of its features, which become columns.
    """

    def __init__(
        self,
        tape: Path,
        *,
        facts: Sequence[Entry] = (),
        instruments: Sequence[Instrument] = (),
        features: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._tape = Path(tape)
        self._facts = facts
        self._instruments = instruments
        self._features = dict(features or {})

    def ask(self, sql: str, *, rows_max: int = ROWS_MAX) -> Answer:
        """Answer one query with at most `rows_max` rows.

        Raises
        ------
        QueryInvalid
            It is not one read-only statement, or DuckDB cannot carry it out; the message says why.
        RecordCorrupt
            The record is damaged where the query reads it.
        """
        connection = self._open(sql)
        try:
            found = connection.execute(sql)
            types = [str(column[1]) for column in found.description or ()]
            rows = found.fetchmany(rows_max + 1)
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise self._explained(error) from error
        finally:
            connection.close()
        cells = [[_cell(value) for value in row] for row in rows[:rows_max]]
        names = [column[0] for column in found.description or ()]
        return Answer(columns=names, types=types, rows=cells, more=len(rows) > rows_max)

    def tables(self) -> list[str]:
        """Return the names of all tables and views."""
        return [*views.NEEDS, *(name.replace("-", "_") for name in self._row_streams())]

    def _row_streams(self) -> list[str]:
        folder = self._tape / STREAMS
        return sorted(path.name for path in folder.glob(f"{ROWS}*") if path.is_dir()) if folder.is_dir() else []

    def _open(self, sql: str) -> duckdb.DuckDBPyConnection:
        """Return a database with everything that the query names, and nothing else within its reach."""
        connection = duckdb.connect(":memory:", config={"python_enable_replacements": "false"})
        try:
            _refuse_changes(connection, sql)
            words = set(re.findall(r"\w+", sql.lower()))
            named = [name for name in self.tables() if name in words]
            if words & {"show", "information_schema", "duckdb_tables", "duckdb_views", "duckdb_columns"}:
                named = self.tables()
            self._create(connection, named)
            for statement in _CLOSED:
                connection.execute(statement)
        except BaseException:
            connection.close()
            raise
        return connection

    def _create(self, connection: duckdb.DuckDBPyConnection, named: Sequence[str]) -> None:
        streams = {need for name in named for need in views.NEEDS.get(name, ())}
        upto = TapeReader(self._tape).last_sequence() if (self._tape / STREAMS).is_dir() else 0
        for name, dtype, statements in (
            ("inputs", event_dtype(), views.input_views),
            ("decisions", DECISION, views.decision_views),
            ("orders", ORDER, views.order_views),
        ):
            if name in streams:
                self._create_stream(connection, name, dtype, upto)
                _run(connection, statements(self._instruments))
        if {"inputs", "decisions"} <= streams:
            _run(connection, views.pnl_views(self._instruments))
        rows = [name for name in self._row_streams() if "rows" in streams or name.replace("-", "_") in named]
        self._create_rows(connection, rows, upto, together="rows" in streams)
        connection.register("facts", _facts_table(self._facts))
        connection.register("instruments", _instruments_table(self._instruments))
        connection.register("denials", _denials_table())

    def _create_stream(
        self, connection: duckdb.DuckDBPyConnection, stream: str, dtype: np.dtype[Any], upto: int
    ) -> None:
        """Create the table of a stream: what is on the tape, and what is in the archive."""
        folder = self._tape / STREAMS / stream
        reader = TapeReader(self._tape) if folder.is_dir() else None
        declared = dtype if reader is None else reader.streams().get(stream, dtype)
        name = f"tape_{stream.replace('-', '_')}"
        present, numbers = _on_tape(folder, declared, upto, durable_mark(self._tape).sequence)
        connection.register(f"{name}_raw", present)
        parts = [f"SELECT * FROM {name}_raw"]
        archived = [file for number, file in archived_segments(folder).items() if number not in numbers]
        for file in archived:
            check_footer(file)
        if archived:
            dataset = ds.dataset([str(file.path) for file in archived], schema=present.schema, format=_FORMAT)
            connection.register(f"{name}_archived", dataset)
            parts.append(f"SELECT * FROM {name}_archived")
        connection.execute(f"CREATE VIEW {name} AS {' UNION ALL '.join(parts)}")

    def _create_rows(
        self, connection: duckdb.DuckDBPyConnection, streams: Sequence[str], upto: int, *, together: bool
    ) -> None:
        """Create a table of each version's rows, its features named, and one of all versions' as lists."""
        parts = []
        for stream in streams:
            version, name = stream.removeprefix(ROWS), stream.replace("-", "_")
            self._create_stream(connection, stream, row_dtype(1, 1), upto)
            columns = connection.execute(f"SELECT * FROM tape_{name} LIMIT 0").description or ()
            row = [column[0] for column in columns if column[0].startswith("row_")]
            scores = [column[0] for column in columns if column[0].startswith("scores_")]
            features = self._features.get(version, ())
            names = list(features) if len(features) == len(row) else row
            shown = ", ".join(f"{column} AS {views.quoted(name)}" for column, name in zip(row, names, strict=True))
            connection.execute(
                f"CREATE VIEW {name} AS SELECT sequence, decision, {', '.join(scores)}, {shown} FROM tape_{name}"
            )
            parts.append(
                f"SELECT sequence, decision, {views.text(version)} AS version_name, [{', '.join(scores)}] AS scores, "
                f"[{', '.join(row)}] AS features FROM tape_{name}"
            )
        if together:
            none = "SELECT 0::UBIGINT AS sequence, 0::UBIGINT AS decision, '' AS version_name, [0.0] AS scores"
            parts.append(f"{none}, [0.0] AS features WHERE false")
            connection.execute(f"CREATE VIEW rows AS {' UNION ALL '.join(parts)}")

    def _explained(self, error: Exception) -> QueryInvalid | RecordCorrupt:
        """Return the error to raise: damage by its name, everything else with what there is to ask."""
        said = str(error).strip()
        if "CRC checksum" in said or isinstance(error, OSError | pa.ArrowException):
            return RecordCorrupt(
                f"the archive under {self._tape / ARCHIVE} is damaged: {said}. Run `tradeworthy verify`"
            )
        if unknown := re.search(r"Table with name (\w+) does not exist", said):
            near = difflib.get_close_matches(unknown[1], self.tables(), n=1)
            hint = f" (near: {near[0]!r})" if near else ""
            return QueryInvalid(f"there is no table {unknown[1]!r}{hint}; there are {', '.join(self.tables())}")
        return QueryInvalid(f"{said}. Mend the query; DESCRIBE TABLE lists a table's columns")


def _refuse_changes(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Raise QueryInvalid unless the text is one statement that only reads."""
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise QueryInvalid(f"this is not SQL: {error}") from error
    if len(statements) != 1:
        raise QueryInvalid(f"found {len(statements)} statements, allowed is one query; ask one after the other")
    if statements[0].type not in _READ_ONLY:
        raise QueryInvalid(
            f"found {statements[0].type.name}, allowed is a query that reads: the record is never changed"
        )


def _run(connection: duckdb.DuckDBPyConnection, statements: Sequence[str]) -> None:
    for statement in statements:
        connection.execute(statement)


def _on_tape(folder: Path, dtype: np.dtype[Any], upto: int, durable: int) -> tuple[pa.Table, set[int]]:
    """Return a stream's records on the tape up to a sequence, as columns, and the numbers of their segments."""
    tables, numbers = [arrow_table(np.empty(0, dtype))], set[int]()
    for path in segment_paths(folder):
        try:
            segment = MappedSegment(path)
        except FileNotFoundError:
            continue  # archived meanwhile: the archive is listed after the tape
        segment.check(durable, deep=True)
        tables.append(arrow_table(segment.records[: segment.place_after(upto)]))
        numbers.add(segment.header.index)
    return pa.concat_tables(tables), numbers


def _facts_table(entries: Sequence[Entry]) -> pa.Table:
    facts = [msgspec.to_builtins(entry.fact) for entry in entries]
    return pa.table(
        {
            "number": pa.array([entry.number for entry in entries], pa.int64()),
            "ts_ns": pa.array([entry.ts_ns for entry in entries], pa.int64()),
            "ts": pa.array([entry.ts_ns for entry in entries], pa.timestamp("ns")),
            "actor": pa.array([entry.actor for entry in entries], pa.string()),
            "reason": pa.array([entry.reason for entry in entries], pa.string()),
            "kind": pa.array([fact["type"] for fact in facts], pa.string()),
            "version": pa.array([fact.get("version") for fact in facts], pa.string()),
            "body": pa.array([msgspec.json.encode(fact).decode() for fact in facts], pa.string()),
        }
    )


def _instruments_table(instruments: Sequence[Instrument]) -> pa.Table:
    return pa.table(
        {
            "instrument": pa.array(range(len(instruments)), pa.uint32()),
            "symbol": pa.array([each.symbol for each in instruments], pa.string()),
            "currency": pa.array([each.currency for each in instruments], pa.string()),
            "traded": pa.array([each.traded for each in instruments], pa.bool_()),
        }
    )


def _denials_table() -> pa.Table:
    codes = list(DenialCode)
    names = {"code": [code.value for code in codes], "name": [code.name for code in codes]}
    return pa.table({**names, "meaning": [code.text for code in codes]})


def _cell(value: Any) -> Any:
    """Return a value that JSON can carry."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_cell(part) for part in value]
    if isinstance(value, dict):
        return {str(key): _cell(part) for key, part in value.items()}
    return str(value)


__all__ = ["ROWS_MAX", "Answer", "Record", "version_name"]
