"""Ask the record in SQL: tape, archive and ledger as tables, read-only.

Flow:   the words of a query tell which streams it needs -> every byte of their archived segments is checked, those
        still on the tape are checked and copied -> views -> DuckDB answers, reading archived columns where they lie.
Idea:   one sequence cuts all streams at the same moment (`snapshot`), so a query may run while the engine writes and
        the archiver moves segments.
Safety: the database lives in memory and for one query; it can open no file but the archive's, load nothing and change
        nothing.
Errors: QueryInvalid for what cannot be asked; RecordCorrupt for a damaged record, never an answer from it.
"""

# ruff: noqa: S608  # statements are made of names of our own; every other string goes through `views.text` or `quoted`

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import TIMEOUT_MAX, Timer
from typing import Any

import duckdb
import msgspec
import numpy as np
import pyarrow as pa

from tradeworthy.core.decisions import DECISION, ORDER, ROWS, row_dtype
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import QueryInvalid
from tradeworthy.core.events import event_dtype
from tradeworthy.core.instruments import Instrument
from tradeworthy.record import views
from tradeworthy.record.ledger import Entry
from tradeworthy.record.reader import STREAMS
from tradeworthy.record.snapshot import Snapshot

_STREAMS = {
    "inputs": (event_dtype(), views.input_views),
    "decisions": (DECISION, views.decision_views),
    "orders": (ORDER, views.order_views),
}
_NO_ROWS = (
    "SELECT 0::UBIGINT AS sequence, 0::UBIGINT AS decision, '' AS version_name, [0.0] AS scores, [0.0] AS features "
    "WHERE false"
)
_SHOW = r"\s*show\s+tables\s*;?\s*"
_LIST_TABLES = (
    "SELECT table_name AS name FROM information_schema.tables WHERE NOT starts_with(table_name, 'tape_') ORDER BY name"
)
_LISTING = {"show", "information_schema", "duckdb_tables", "duckdb_views", "duckdb_columns"}
ROWS_MAX = 10_000
_READ_ONLY = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
_CLOSED = (
    "SET temp_directory = ''",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
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

    def ask(self, sql: str, *, rows_max: int = ROWS_MAX, within_s: float | None = None) -> Answer:
        """Answer one query with at most `rows_max` rows, within so many seconds if they are given.

        Raises
        ------
        QueryInvalid
            It is not one read-only statement, or DuckDB cannot carry it out; the message says why.
        RecordCorrupt
            The record is damaged where the query reads it.
        """
        connection = self._open(sql)
        stop = Timer(within_s or TIMEOUT_MAX, connection.interrupt)
        stop.daemon = True
        try:
            stop.start()
            found = connection.execute(_LIST_TABLES if re.fullmatch(_SHOW, sql, re.IGNORECASE) else sql)
            columns = [(str(column[0]), str(column[1])) for column in found.description or ()]
            rows = found.fetchmany(rows_max + 1)
        except duckdb.InterruptException:
            said = f"the query took longer than {within_s:g} s; ask for fewer rows, or a shorter time"
            raise QueryInvalid(said) from None
        except duckdb.Error as error:
            raise self._explained(error) from error
        finally:
            stop.cancel()
            connection.close()
        cells = [[_cell(value) for value in row] for row in rows[:rows_max]]
        names, types = ([column[part] for column in columns] for part in (0, 1))
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
            named = self.tables() if words & _LISTING else [name for name in self.tables() if name in words]
            self._fill(connection, named)
        except BaseException:
            connection.close()
            raise
        return connection

    def _fill(self, connection: duckdb.DuckDBPyConnection, named: Sequence[str]) -> None:
        """Create the tables and views of these names, then close the database to everything else."""
        needed = {need for name in named for need in views.NEEDS.get(name, ())}
        rows = [name for name in self._row_streams() if "rows" in needed or name.replace("-", "_") in named]
        fixed = [name for name in _STREAMS if name in needed]
        database = _Database(connection, Snapshot(self._tape, [*fixed, *rows]))
        for name in fixed:
            dtype, statements = _STREAMS[name]
            database.create(name, dtype)
            database.run(statements(self._instruments))
        if {"inputs", "decisions"} <= needed:
            database.run(views.pnl_views(self._instruments))
        shown = [database.create_rows(name, self._features.get(name.removeprefix(ROWS), ())) for name in rows]
        if "rows" in needed:
            database.run([f"CREATE VIEW rows AS {' UNION ALL '.join([*shown, _NO_ROWS])}"])
        connection.register("facts", _facts_table(self._facts))
        connection.register("instruments", _instruments_table(self._instruments))
        connection.register("denials", _denials_table())
        database.close()

    def _explained(self, error: duckdb.Error) -> QueryInvalid:
        """Return the error to raise, with what there is to ask."""
        said = str(error).strip()
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


class _Database:
    """A database that is being filled with streams."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> None:
        self._connection = connection
        self._snapshot = snapshot
        self._files: list[str] = []

    def run(self, statements: Sequence[str]) -> None:
        """Carry out statements, one after the other."""
        for statement in statements:
            self._connection.execute(statement)

    def create(self, stream: str, dtype: np.dtype[Any]) -> list[str]:
        """Create the table of a stream, from tape and archive, and return its columns."""
        name = _table(stream)
        present, files = self._snapshot.on_tape(stream, dtype), self._snapshot.archived(stream)
        self._connection.register(f"{name}_on_tape", present)
        parts = [f"SELECT * FROM {name}_on_tape"]
        if files:
            self._files += [str(file) for file in files]
            listed = ", ".join(views.text(str(file)) for file in files)
            columns = ", ".join(map(views.quoted, present.column_names))
            parts.append(f"SELECT {columns} FROM read_parquet([{listed}], hive_partitioning = false)")
        self.run([f"CREATE VIEW {name} AS {' UNION ALL '.join(parts)}"])
        return list(present.column_names)

    def create_rows(self, stream: str, features: Sequence[str]) -> str:
        """Create the table of one version's rows, its features named; return a query that gives them as lists."""
        columns = self.create(stream, row_dtype(1, 1))
        row = [column for column in columns if column.startswith("row_")]
        scores = ", ".join(column for column in columns if column.startswith("scores_"))
        names = features if len(features) == len(row) else row
        shown = ", ".join(f"{column} AS {views.quoted(name)}" for column, name in zip(row, names, strict=True))
        table, source = stream.replace("-", "_"), _table(stream)
        self.run([f"CREATE VIEW {table} AS SELECT sequence, decision, {scores}, {shown} FROM {source}"])
        version = views.text(stream.removeprefix(ROWS))
        return (
            f"SELECT sequence, decision, {version} AS version_name, [{scores}] AS scores, "
            f"[{', '.join(row)}] AS features FROM {source}"
        )

    def close(self) -> None:
        """Let queries reach the archived files that they were given, and nothing else."""
        self.run([f"SET allowed_paths = [{', '.join(map(views.text, self._files))}]", *_CLOSED])


def _table(stream: str) -> str:
    return f"tape_{stream.replace('-', '_')}"


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
