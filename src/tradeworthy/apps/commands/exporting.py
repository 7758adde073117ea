"""A period of the record as a file that other programs read: CSV, JSON or Parquet.

Idea:   what `query` answers, written whole or not at all: a period with more rows than allowed is refused, never cut.
Time:   by the event's time (an order's sending, a fact's writing); from the first moment on, before the second.
"""

import csv
import io
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from tradeworthy.apps.explain.finding_decisions import utc_ns
from tradeworthy.core.errors import NotFound, SettingsInvalid, near

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project
    from tradeworthy.record.query import Answer

ROWS_MAX = 100_000
WITHIN_S = 60.0

TABLES = {
    "decisions": "ts_event_ns",
    "orders": "ts_sent_ns",
    "fills": "ts_event_ns",
    "outcomes": "ts_event_ns",
    "inputs": "ts_event_ns",
    "facts": "ts_ns",
}
"""What can be exported, and the column that says when."""

FORMATS = {"csv": "text/csv", "json": "application/json", "parquet": "application/vnd.apache.parquet"}
"""In what, and how a browser is told."""

FIRST_NS, LAST_NS = -(2**63), 2**63 - 1


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """A file: its name, what it is, and its bytes."""

    name: str
    media_type: str
    rows: int
    data: bytes


def export_period(
    project: "Project", table: str, *, since: str = "", until: str = "", form: str = "csv", rows_max: int = ROWS_MAX
) -> Exported:
    """Write a period of one table.

    Parameters
    ----------
    project : Project
        The deployment.
    table, form : str
        From `TABLES`; from `FORMATS`.
    since, until : str
        UTC times, as ``2019-09-30T12:00``; without bound where empty.
    rows_max : int
        More rows than this are refused.

    Raises
    ------
    SettingsInvalid
        There is no such table or format, a time cannot be read, or the period holds more rows than allowed.
    """
    for what, value, allowed in (("table", table, TABLES), ("format", form, FORMATS)):
        if value not in allowed:
            raise SettingsInvalid(f"{what} is {value!r}{near(value, allowed)}; allowed are {', '.join(allowed)}")
    first, last = _moment(since, FIRST_NS), _moment(until, LAST_NS)
    moment = TABLES[table]
    sql = f"SELECT * FROM {table} WHERE {moment} >= {first} AND {moment} < {last} ORDER BY 1"  # noqa: S608  # ours
    answer = project.query(sql, rows_max=rows_max, within_s=WITHIN_S)
    if answer.more:
        raise SettingsInvalid(f"the period holds more than {rows_max:,} rows of {table}; name a shorter one")
    period = "-".join(each.replace(":", "").replace("-", "") for each in (since, until) if each)
    name = "-".join(filter(None, (project.settings.desk.name, table, period)))
    writers = {"csv": _csv, "json": _json, "parquet": _parquet}
    return Exported(name=f"{name}.{form}", media_type=FORMATS[form], rows=len(answer.rows), data=writers[form](answer))


def _moment(text: str, missing: int) -> int:
    try:
        return utc_ns(text) if text else missing
    except NotFound:
        raise SettingsInvalid(f"time is {text!r}, allowed is a UTC time such as 2019-09-30T12:00") from None


def _csv(answer: "Answer") -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(answer.columns)
    writer.writerows([[_plain(cell) for cell in row] for row in answer.rows])
    return text.getvalue().encode()


def _plain(cell: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in {"=", "+", "-", "@", "\t", "\r"} else cell


def _json(answer: "Answer") -> bytes:
    return msgspec.json.encode([dict(zip(answer.columns, row, strict=True)) for row in answer.rows])


def _parquet(answer: "Answer") -> bytes:
    frame = pl.DataFrame(answer.rows, schema=answer.columns, orient="row", infer_schema_length=None)
    data = io.BytesIO()
    frame.write_parquet(data, compression="zstd")
    return data.getvalue()
