"""A period of the record as a file: the same rows in every format, whole or refused."""

import csv
import io
import json
import re
import urllib.parse

import polars as pl
import pytest
from page_visitors import visiting
from small_project import at, looked_at

from tradeworthy.apps.commands.exporting import FORMATS, TABLES, export_period
from tradeworthy.apps.dashboard.deciding import Filter, decisions_before
from tradeworthy.core.errors import QueryInvalid, SettingsInvalid


@pytest.fixture(scope="module")
def traded():
    """Return a project that has traded; nothing here changes it."""
    return looked_at("traded")


def read(made, form):
    """Return a file's rows as dictionaries."""
    if form == "csv":
        return list(csv.DictReader(io.StringIO(made.data.decode())))
    return json.loads(made.data) if form == "json" else pl.read_parquet(io.BytesIO(made.data)).to_dicts()


@pytest.mark.parametrize("form", FORMATS)
def test_a_period_of_decisions_is_all_of_them(traded, form):
    """From the first moment on and before the second, in the order of the tape, every champion among them."""
    everything = decisions_before(traded, Filter(role="any"), count=100_000)
    since, until = everything[300].time, everything[100].time
    made = export_period(traded, "decisions", since=since, until=until, form=form)
    expected = [each.sequence for each in everything[101:301]][::-1]
    assert [int(row["sequence"]) for row in read(made, form)] == expected
    assert made.rows == len(expected)
    assert made.name.startswith("small-decisions-")
    assert made.name.endswith(f".{form}")


@pytest.mark.parametrize("table", TABLES)
def test_every_table_can_be_taken_along(traded, table):
    """Each that the page offers has the column that says when."""
    rows = read(export_period(traded, table, form="json"), "json")
    assert bool(rows) == (table != "outcomes")


def test_too_many_rows_are_refused_and_never_cut(traded):
    """A file that silently lacks rows would be worse than none."""
    count = export_period(traded, "fills").rows
    assert export_period(traded, "fills", rows_max=count).rows == count
    with pytest.raises(SettingsInvalid, match="shorter"):
        export_period(traded, "fills", rows_max=count - 1)


@pytest.mark.parametrize(
    ("table", "form", "since", "said"),
    [
        ("decision", "csv", "", "decisions"),
        ("facts; DROP TABLE facts", "csv", "", "allowed are"),
        ("facts", "xls", "", "csv, json, parquet"),
        ("facts", "csv", "yesterday", "2019-09-30T12:00"),
    ],
)
def test_a_wrong_word_says_what_is_allowed(traded, table, form, since, said):
    """Nothing of what is sent reaches the query unread."""
    with pytest.raises(SettingsInvalid, match=said):
        export_period(traded, table, form=form, since=since)


def test_no_cell_of_a_csv_is_a_formula(tmp_path):
    """A reason that a spreadsheet would run is led by an apostrophe; numbers stay numbers."""
    project = at("promoted", tmp_path)
    project.halt("all", actor="eve", reason="=HYPERLINK(1)")
    rows = read(export_period(project, "facts"), "csv")
    assert rows[-1]["reason"] == "'=HYPERLINK(1)"
    assert int(rows[-1]["number"]) == len(rows)


def test_the_page_sends_a_file_to_those_who_may_ask(traded):
    """It is named, typed, and an attachment; an approver gets none, nobody without signing in."""
    path = "/record/export?" + urllib.parse.urlencode({"table": "facts", "form": "csv", "since": "", "until": ""})
    with visiting(traded, "rita") as client:
        answer = client.get(path)
        assert answer.headers["content-disposition"].startswith("attachment;")
        assert answer.headers["content-type"].startswith("text/csv")
        assert answer.text.splitlines()[0].startswith("number,ts_ns")
        assert client.get(path.replace("facts", "secrets")).status_code == 409
        form = client.get("/record").text.partition("/record/export")[2].partition("</form>")[0]
        assert re.findall(r"<option[^>]*>([^<]+)</option>", form) == [*TABLES, *FORMATS]
    with visiting(traded, "paul") as client:
        assert client.get(path).status_code == 403
        assert "/record/export" not in client.get("/record").text
    with visiting(traded) as client:
        assert client.get(path).status_code == 303


def test_a_question_that_takes_too_long_ends(traded):
    """A careless join does not occupy the page's process: it is interrupted, in words."""
    endless = "SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE a.range + b.range = 7"
    with pytest.raises(QueryInvalid, match="longer than"):
        traded.query(endless, within_s=0.2)
    assert traded.query("SELECT 1 AS one", within_s=30.0).rows == [[1]]
