"""SQL over tape and archive: the right answers, from the same moment, read-only, with errors that help."""

# ruff: noqa: S608  # queries made of names of our own

import duckdb
import numpy as np
import pytest

from tradeworthy.core.errors import QueryInvalid, RecordCorrupt
from tradeworthy.core.facts import TradingHalted, VersionPromoted
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import NS_PER_MINUTE, VirtualClock
from tradeworthy.record.archive import ArchiveSettings, archive_tape
from tradeworthy.record.archived import archived_segments
from tradeworthy.record.ledger import Ledger
from tradeworthy.record.query import Record
from tradeworthy.record.snapshot import Snapshot
from tradeworthy.record.tape import TapeReader
from tradeworthy.record.verify import verify
from tradeworthy.testing.tapes import START_NS, VERSION, write_trading

ETH = Instrument(symbol="ETH", tick=0.01, lot=1.0, multiplier=2.0)
MINUTES = 200
NAME = f"rows_{VERSION:016x}"


@pytest.fixture(scope="module")
def traded(tmp_path_factory):
    """A tape of 200 minutes, its sealed segments archived."""
    tape = tmp_path_factory.mktemp("traded") / "tape"
    write_trading(tape, MINUTES)
    archive_tape(tape, ArchiveSettings(after_s=0.0), clock=VirtualClock(10**19))
    return tape


@pytest.fixture(scope="module")
def record(traded):
    return Record(traded, instruments=[ETH], features={f"{VERSION:016x}": ["minute", 'minus "minute"']})


def one(record, sql):
    """Return the only value of an answer."""
    ((value,),) = record.ask(sql).rows
    return value


def test_the_archive_and_the_tape_are_one_table(traded, record):
    """Some decisions are archived, some are not; all are there once, in the types of the tape."""
    folder = traded / "streams" / "decisions"
    assert archived_segments(folder)
    assert list(folder.glob("*.seg"))
    answer = record.ask("SELECT sequence, score, price FROM decisions ORDER BY sequence")
    wanted = TapeReader(traded).read("decisions")
    assert answer.types == ["UBIGINT", "DOUBLE", "DOUBLE"]
    assert [row[0] for row in answer.rows] == wanted["sequence"].tolist()
    assert [row[1] for row in answer.rows] == wanted["score"].tolist()


def test_answers_do_not_depend_on_where_the_segments_are(tmp_path, record):
    """The same questions, before anything is archived: the same answers."""
    write_trading(tmp_path / "tape", MINUTES)
    fresh = Record(tmp_path / "tape", instruments=[ETH])
    for sql in (
        "SELECT * FROM pnl_by_hour",
        "SELECT sum(close), count(*), max(ts_event) FROM bars",
        "SELECT * EXCLUDE (execution), coalesce(execution::TEXT, '') FROM fills ORDER BY sequence",  # NaN is not itself
        "SELECT symbol, role_name, version_name, count(*) FROM decisions GROUP BY ALL",
        "SELECT decision, quantity, ts_sent FROM orders ORDER BY sequence",
    ):
        assert fresh.ask(sql) == record.ask(sql), sql


def test_each_kind_of_input_has_its_view(record):
    """Bars and fills carry the names of their values; kinds that never came are empty."""
    assert one(record, "SELECT count(*) FROM bars") == MINUTES
    assert record.ask("SELECT open, high, low, close, volume, symbol FROM bars ORDER BY ts_event_ns LIMIT 1").rows == [
        [100.0, 100.0, 100.0, 100.0, 5.0, "ETH"]
    ]
    assert record.ask("SELECT quantity, price, fee FROM fills ORDER BY sequence LIMIT 2").rows == [
        [1.0, 109.5, 0.25],
        [-1.0, 118.5, 0.25],
    ]
    empty = ("trades", "quotes", "outcomes", "rejects", "controls", "gaps")
    assert [one(record, f"SELECT count(*) FROM {view}") for view in empty] == [0] * len(empty)
    assert record.ask("SELECT kind_name, count(*) FROM inputs GROUP BY ALL ORDER BY 1").rows == [
        ["bar", MINUTES],
        ["fill", MINUTES // 10],
    ]


def test_tables_join_by_sequence(record):
    """A fill leads to its order, its decision, the bar that asked, and the row that was scored."""
    answer = record.ask(
        "SELECT f.price - b.close, d.quantity, r.scores[1] = d.score, r.features[1] FROM fills f "
        "JOIN orders o ON f.order_id = o.decision JOIN decisions d ON d.sequence = o.decision "
        "JOIN bars b ON b.sequence = d.input_sequence JOIN rows r ON r.decision = d.sequence ORDER BY f.sequence"
    )
    assert len(answer.rows) == MINUTES // 10
    assert answer.rows[0] == [0.5, 1.0, True, 9.0]


def test_rows_have_a_table_for_each_version(traded, record):
    """Features are columns under their own names where these are known, numbered where not."""
    assert record.ask(f'SELECT "minute", "minus ""minute""", scores_0 FROM {NAME} ORDER BY sequence LIMIT 1').rows == [
        [0.0, 0.0, 0.0]
    ]
    assert record.ask(f"DESCRIBE {NAME}").rows[3][0] == "minute"
    numbered = Record(traded, features={f"{VERSION:016x}": ["one too few"]})
    assert numbered.ask(f"SELECT * FROM {NAME} LIMIT 0").columns == [
        "sequence",
        "decision",
        "scores_0",
        "row_0",
        "row_1",
    ]
    assert one(record, "SELECT count(*) FROM rows") == MINUTES


def profit(tape, hour_ns):
    """Compute the P&L of each hour from the records, step by step."""
    reader = TapeReader(tape)
    fills = reader.read("inputs")
    fills = fills[fills["kind"] == 7]
    decisions = reader.read("decisions")
    hours, before = [], 0.0
    for hour in np.unique(decisions["ts_event_ns"] // hour_ns):
        done = fills[fills["ts_event_ns"] // hour_ns <= hour]["values"]
        last = decisions[decisions["ts_event_ns"] // hour_ns <= hour]["price"][-1]
        worth = 2.0 * (done[:, 0].sum() * last - (done[:, 0] * done[:, 1]).sum()) - done[:, 2].sum()
        hours.append(worth - before)
        before = worth
    return hours


def test_profit_and_loss_is_what_the_fills_made_of_it(traded, record):
    """P&L by hour: cash from fills, fees, and what is held at the hour's last price, multiplier included."""
    answer = record.ask("SELECT pnl FROM pnl_by_hour")
    wanted = profit(traded, 60 * NS_PER_MINUTE)
    assert np.allclose([row[0] for row in answer.rows], wanted)
    assert len(wanted) == 4
    assert one(record, "SELECT sum(pnl) FROM pnl_by_day") == pytest.approx(sum(wanted))
    assert np.allclose(
        [row[0] for row in record.ask("SELECT pnl FROM pnl_by(600)").rows], profit(traded, 10 * NS_PER_MINUTE)
    )
    assert record.ask("SELECT period, symbol, decisions, fills, position, price FROM pnl_by_hour LIMIT 1").rows == [
        ["2020-09-13 12:00:00", "ETH", 30, 3, 1.0, 129.0]
    ]


def test_facts_of_the_ledger_are_a_table(traded):
    """Facts carry number, time, actor, reason, kind, version, and the whole fact as JSON."""
    ledger = Ledger("sqlite://", clock=VirtualClock(1_000))
    ledger.append(TradingHalted(scope="all"), actor="ann", reason="drill")
    ledger.append(VersionPromoted(version="ab" * 32, role="champion", env="paper"), actor="bob", reason="better")
    record = Record(traded, facts=ledger.facts())
    assert record.ask("SELECT number, ts_ns, actor, reason, kind, version FROM facts ORDER BY number").rows == [
        [1, 1_000, "ann", "drill", "TradingHalted", None],
        [2, 1_000, "bob", "better", "VersionPromoted", "ab" * 32],
    ]
    assert '"scope":"all"' in one(record, "SELECT body FROM facts WHERE actor = 'ann'")


def test_words_for_codes_are_tables_too(record):
    """Denial codes and instruments can be joined and read."""
    assert one(record, "SELECT name FROM denials WHERE code = 301") == "HALTED"
    assert record.ask("SELECT * FROM instruments").rows == [[0, "ETH", "USD", True]]
    assert one(record, "SELECT count(*) FROM decisions WHERE refused IS NOT NULL") == 0


def test_an_empty_record_answers(tmp_path):
    """Before anything was recorded every table is there, and empty."""
    record = Record(tmp_path / "none")
    for name in record.tables():
        if name not in {"pnl_by", "denials"}:
            assert one(record, f"SELECT count(*) FROM {name}") == 0, name


def test_show_tables_lists_what_there_is(record):
    """SHOW TABLES names every table and view for people, none that is only scaffolding."""
    names = [row[0] for row in record.ask("show tables;").rows]
    assert set(names) == set(record.tables()) - {"pnl_by"}


def test_rows_beyond_the_limit_are_left_out_and_said(record):
    """The answer is cut at the limit and tells so."""
    answer = record.ask("SELECT * FROM decisions", rows_max=7)
    assert len(answer.rows) == 7
    assert answer.more
    assert not record.ask("SELECT * FROM decisions", rows_max=MINUTES).more


def test_values_that_json_lacks_become_text(record):
    """Timestamps, decimals, bytes and nested values arrive as text, lists and dictionaries."""
    answer = record.ask("SELECT TIMESTAMP '2020-01-01', 1.5::DECIMAL(3,1), {'a': [DATE '2020-01-02']}, NULL, true, [1]")
    assert answer.rows == [["2020-01-01 00:00:00", "1.5", {"a": ["2020-01-02"]}, None, True, [1]]]


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("DELETE FROM decisions", "DELETE"),
        ("CREATE TABLE t AS SELECT 1", "CREATE"),
        ("INSERT INTO facts VALUES (1)", "INSERT"),
        ("UPDATE decisions SET price = 0", "UPDATE"),
        ("COPY decisions TO '/tmp/x.csv'", "COPY"),
        ("ATTACH 'x.db'", "ATTACH"),
        ("INSTALL httpfs", "allowed is a query"),
        ("SET enable_external_access = true", "SET"),
        ("PRAGMA database_list", "allowed is a query"),
        ("SELECT 1; SELECT 2", "2 statements"),
        ("", "0 statements"),
        ("SELEC 1", "not SQL"),
        ("SELECT * FROM read_csv('/etc/passwd')", "Permission"),
        ("SELECT * FROM read_text('/etc/passwd')", "Permission"),
        ("SELECT * FROM glob('/*')", "Permission"),
        ("SELECT * FROM '/etc/passwd'", "does not exist"),
        ("SELECT * FROM read_parquet('http://localhost/x')", "Permission|httpfs|disabled"),
        ("SELECT wrong FROM decisions", "wrong"),
        ("SELECT * FROM decisons", "near: 'decisions'"),
        ("SELECT * FROM elsewhere", "there are inputs, bars"),
    ],
)
def test_what_may_not_or_cannot_be_asked_is_refused(record, sql, why):
    """Changes, several statements, files, networks and unknown names: one line that says what is allowed."""
    with pytest.raises(QueryInvalid, match=why):
        record.ask(sql)


def test_no_variable_of_the_program_can_be_read(record):
    """DuckDB's habit of finding Python variables by their name is off."""
    local_table = duckdb.sql("SELECT 1").arrow()
    with pytest.raises(QueryInvalid, match="local_table"):
        record.ask("SELECT * FROM local_table")
    assert local_table is not None


def test_a_damaged_archive_gives_no_answer(tmp_path):
    """A flipped bit in any archived file that the query reads is named; other tables still answer."""
    write_trading(tmp_path, MINUTES)
    archive_tape(tmp_path, ArchiveSettings(after_s=0.0), clock=VirtualClock(10**19))
    path = archived_segments(tmp_path / "streams" / "decisions")[2].path
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 3] ^= 1
    path.write_bytes(raw)
    with pytest.raises(RecordCorrupt, match=path.name):
        Record(tmp_path).ask("SELECT count(*) FROM decisions")
    assert one(Record(tmp_path), "SELECT count(*) FROM bars") == MINUTES


def test_damage_on_the_tape_gives_no_answer(tmp_path):
    """A damaged record that is not archived yet is named as well."""
    write_trading(tmp_path, 20)
    path = tmp_path / "streams" / "decisions" / "00000001.seg"
    with path.open("r+b") as file:
        file.seek(4096 + 112 * 3 + 50)
        file.write(b"\xff\xff")
    with pytest.raises(RecordCorrupt, match="record 3"):
        Record(tmp_path).ask("SELECT count(*) FROM decisions")


def test_a_snapshot_is_one_moment(traded):
    """All streams end at the same sequence: no decision without its input."""
    snapshot = Snapshot(traded, ["inputs", "decisions"])
    highest = max(
        max(snapshot.on_tape(stream, np.dtype("<u8"))["sequence"].to_pylist()) for stream in ("inputs", "decisions")
    )
    assert highest == snapshot.upto


def test_a_snapshot_outlives_archiving(tmp_path):
    """Segments that are archived while a snapshot is held count once."""
    write_trading(tmp_path, MINUTES)
    snapshot = Snapshot(tmp_path, ["decisions"])
    archive_tape(tmp_path, ArchiveSettings(after_s=0.0), clock=VirtualClock(10**19))
    assert snapshot.archived("decisions") == []
    assert snapshot.on_tape("decisions", np.dtype("<u8")).num_rows == MINUTES
    later = Snapshot(tmp_path, ["decisions"])
    archived = later.archived("decisions")
    assert len(archived) > 0
    assert verify(tmp_path).problems == []


def test_times_are_utc(record):
    """`ts_event` is the event's time in UTC, whatever the machine's zone."""
    assert one(record, "SELECT min(ts_event)::VARCHAR FROM bars") == "2020-09-13 12:30:00"
    assert one(record, "SELECT min(ts_event_ns) FROM bars") == START_NS
