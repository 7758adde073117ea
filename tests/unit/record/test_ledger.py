"""The ledger: chained facts that cannot be changed."""

import multiprocessing
import sqlite3
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from tradeworthy.core.errors import DataInvalid, Overtaken, RecordCorrupt, RecordNewer, RecordUnwritable
from tradeworthy.core.facts import Fact, GateJudged, LimitsChanged, TradingHalted, TradingResumed, VersionRegistered
from tradeworthy.core.limits import Limits
from tradeworthy.core.time import SystemClock, VirtualClock
from tradeworthy.record.ledger import Ledger

FACTS = [
    VersionRegistered(version="ab", name="eth", author="ann", env="paper"),
    GateJudged(version="ab", profile="quick", passed=False, failed_checks=["x"], report_path="p", report_digest="d"),
    LimitsChanged(scope="desk", limits=Limits()),
    TradingHalted(scope="all"),
]


class Unlisted(Fact, frozen=True, kw_only=True, tag=True):
    """A kind of fact that nobody knows."""


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger.db", clock=VirtualClock(42))
    yield ledger
    ledger.close()


def append_all(ledger):
    return [ledger.append(fact, actor="ann", reason="because") for fact in FACTS]


def test_facts_are_numbered_stamped_and_kept(ledger):
    """Facts come back in order, with number, time, actor and reason."""
    assert append_all(ledger) == [1, 2, 3, 4]
    entries = ledger.facts()
    assert [entry.fact for entry in entries] == FACTS
    assert {(entry.ts_ns, entry.actor, entry.reason) for entry in entries} == {(42, "ann", "because")}


def test_facts_are_found_by_kind_and_place(ledger):
    """Kinds and a starting number choose among the facts."""
    append_all(ledger)
    assert [entry.number for entry in ledger.facts(TradingHalted, VersionRegistered)] == [1, 4]
    assert [entry.number for entry in ledger.facts(after=2)] == [3, 4]
    assert ledger.facts(TradingResumed) == []


def test_a_ledger_goes_on_where_it_ended(tmp_path):
    """Opened again, by path or by URL, the chain continues."""
    path = tmp_path / "ledger.db"
    for place, name in enumerate((path, str(path), f"sqlite:///{path}"), start=1):
        ledger = Ledger(name, clock=VirtualClock(place))
        assert ledger.append(TradingHalted(scope="all"), actor="a", reason="r") == place
        assert ledger.verify() == []
        ledger.close()


def test_the_head_changes_with_every_fact(ledger):
    """The head names the newest fact; an empty ledger has number 0."""
    heads = [ledger.head()]
    for fact in FACTS:
        ledger.append(fact, actor="a", reason="r")
        heads.append(ledger.head())
    assert [number for number, _ in heads] == [0, 1, 2, 3, 4]
    assert len({digest for _, digest in heads}) == 5


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE facts SET actor = 'bob'",
        "DELETE FROM facts WHERE number = 4",
        "INSERT OR REPLACE INTO facts SELECT * FROM facts WHERE number = 2",
        "INSERT INTO facts SELECT 9, ts_ns, actor, reason, kind, body, previous, 'x' FROM facts WHERE number = 2",
    ],
)
def test_the_database_refuses_changes(ledger, tmp_path, statement):
    """Triggers refuse updates, deletions, replacements and numbers out of turn."""
    append_all(ledger)
    connection = sqlite3.connect(tmp_path / "ledger.db")
    with pytest.raises(sqlite3.IntegrityError, match="facts are"):
        connection.execute(statement)
    connection.close()


def tamper(path, statement):
    """Change the database around its triggers, as someone with file access could."""
    connection = sqlite3.connect(path)
    for trigger in ("facts_no_update", "facts_no_delete", "facts_in_turn"):
        connection.execute(f"DROP TRIGGER {trigger}")
    connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize("column", ["ts_ns", "actor", "reason", "kind", "body", "previous", "hash"])
def test_any_changed_column_is_found(ledger, tmp_path, column):
    """A change of any column of any fact breaks the chain at that fact."""
    append_all(ledger)
    tamper(tmp_path / "ledger.db", f"UPDATE facts SET {column} = 7 WHERE number = 2")  # noqa: S608
    problems = ledger.verify()
    assert any("fact 2" in problem or "fact 3" in problem for problem in problems)


def test_a_missing_fact_is_found(ledger, tmp_path):
    """A fact taken out of the middle is named."""
    append_all(ledger)
    tamper(tmp_path / "ledger.db", "DELETE FROM facts WHERE number = 2")
    assert ledger.verify() == ["fact 2 is missing: the next one there is 3"]


def test_a_fact_without_author_or_reason_is_refused(ledger):
    """Nothing happens without an actor and a reason."""
    for names in ({"actor": "", "reason": "r"}, {"actor": "a", "reason": " "}):
        with pytest.raises(DataInvalid, match="actor and reason"):
            ledger.append(FACTS[0], **names)


def test_words_that_the_shell_could_not_decode_keep_no_fact_out(ledger):
    """A halt whose reason was written in another encoding is recorded, the odd byte written out, and verifies."""
    reason = b"caf\xe9 closed".decode("utf-8", "surrogateescape")
    ledger.append(FACTS[0], actor=b"Ren\xe9".decode("utf-8", "surrogateescape"), reason=reason)
    [entry] = ledger.facts()
    assert (entry.actor, entry.reason) == ("Ren\\udce9", "caf\\udce9 closed")
    assert ledger.verify() == []


def test_a_fact_with_text_that_cannot_be_kept_is_refused(ledger):
    """What a fact is about is not rewritten: another name would be another thing."""
    with pytest.raises(DataInvalid, match="no UTF-8"):
        ledger.append(TradingHalted(scope="\udcff"), actor="a", reason="r")
    assert ledger.facts() == []


def test_unknown_kinds_are_refused_in_and_out(ledger, tmp_path):
    """A kind that is not listed is not written; one that a newer release wrote is not read."""
    with pytest.raises(DataInvalid, match="Unlisted is not a kind of fact"):
        ledger.append(Unlisted(), actor="a", reason="r")
    append_all(ledger)
    tamper(tmp_path / "ledger.db", "UPDATE facts SET kind = 'VersionCloned' WHERE number = 3")
    with pytest.raises(RecordNewer, match="fact 3 is a 'VersionCloned'"):
        ledger.facts()


def test_a_body_that_cannot_be_read_is_named(ledger, tmp_path):
    """Damage in a fact's body is an error that names the fact."""
    append_all(ledger)
    tamper(tmp_path / "ledger.db", "UPDATE facts SET body = '{' WHERE number = 3")
    with pytest.raises(RecordCorrupt, match="fact 3 cannot be read"):
        ledger.facts()


def test_a_newer_ledger_is_refused(ledger, tmp_path):
    """A ledger of a higher format is refused by its number."""
    connection = sqlite3.connect(tmp_path / "ledger.db")
    connection.execute("UPDATE ledger SET format = 2")
    connection.commit()
    connection.close()
    with pytest.raises(RecordNewer, match="format 2"):
        Ledger(tmp_path / "ledger.db", clock=VirtualClock())


def test_a_database_that_cannot_be_written_is_an_operating_error(tmp_path):
    """A path that cannot be opened is RecordUnwritable."""
    with pytest.raises(RecordUnwritable, match="cannot be opened"):
        Ledger(tmp_path / "no" / "folder" / "ledger.db", clock=VirtualClock())


def test_a_reader_does_not_wait_for_a_writer(ledger, tmp_path):
    """Facts are read while another connection holds the write lock."""
    append_all(ledger)
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert len(ledger.facts()) == 4
    assert ledger.verify() == []
    other.execute("ROLLBACK")
    other.close()


def test_the_tables_are_plain_sql(ledger, tmp_path):
    """Anyone can read the ledger with any tool: bodies are tagged JSON."""
    append_all(ledger)
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
    with engine.connect() as connection:
        kind, body = connection.execute(sa.text("SELECT kind, body FROM facts WHERE number = 4")).one()
    engine.dispose()
    assert (kind, msgspec.json.decode(body)) == ("TradingHalted", {"type": "TradingHalted", "scope": "all"})


def _append_many(path: Path, name: str, count: int) -> None:
    ledger = Ledger(path, clock=SystemClock())
    for _ in range(count):
        ledger.append(TradingHalted(scope=name), actor=name, reason="race")
    ledger.close()


def test_a_fact_decided_on_others_is_written_right_behind_them_or_not_at_all():
    """Compare and append: where somebody was faster nothing is written, and the chain is whole."""
    ledger = Ledger("sqlite://", clock=VirtualClock(1))
    halted, resumed = TradingHalted(scope="all"), TradingResumed(scope="all")
    assert ledger.append(halted, actor="ann", reason="a drill", behind=0) == 1
    for behind in (0, 2, -1):
        with pytest.raises(Overtaken, match=f"fact 1 was written since fact {behind}"):
            ledger.append(resumed, actor="bob", reason="over", behind=behind)
    assert ledger.head()[0] == 1
    assert ledger.append(resumed, actor="bob", reason="over", behind=1) == 2
    assert ledger.verify() == []


def test_a_fact_that_is_overtaken_is_decided_anew():
    """What came between is seen by the next look; one that leads to nothing writes nothing, one that refuses raises."""
    ledger = Ledger("sqlite://", clock=VirtualClock(1))
    looks = []

    def look() -> TradingResumed:
        looks.append(len(ledger.facts()))
        if looks == [0]:
            ledger.append(TradingHalted(scope="all"), actor="bob", reason="too")
        return TradingResumed(scope=str(looks[-1]))

    assert ledger.decide(look, actor="ann", reason="a drill") == TradingResumed(scope="1")
    assert looks == [0, 1]
    assert [entry.actor for entry in ledger.facts()] == ["bob", "ann"]
    assert ledger.decide(lambda: None, actor="ann", reason="a drill") is None
    with pytest.raises(ZeroDivisionError):
        ledger.decide(lambda: 1 // 0, actor="ann", reason="a drill")
    assert ledger.head()[0] == 2


def test_several_processes_append_at_once(tmp_path):
    """Appends of three processes, creation included, are all there, each once, in one whole chain."""
    path = tmp_path / "ledger.db"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_append_many, args=(path, f"p{number}", 20)) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    ledger = Ledger(path, clock=VirtualClock())
    assert [entry.number for entry in ledger.facts()] == list(range(1, 61))
    assert sorted(entry.actor for entry in ledger.facts()) == ["p0"] * 20 + ["p1"] * 20 + ["p2"] * 20
    assert ledger.verify() == []
    ledger.close()
