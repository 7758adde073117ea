"""`tradeworthy archive` and `tradeworthy query`: one project's storage over its life."""

import json
import shutil

import msgspec
import pytest
from typer.testing import CliRunner

from tradeworthy.apps.cli.main import app
from tradeworthy.apps.commands.project import Project
from tradeworthy.apps.commands.settings import FILE_NAME
from tradeworthy.core.errors import NotFound, QueryInvalid, SettingsInvalid, TradeworthyError
from tradeworthy.core.facts import FindingRaised, LegalHoldPlaced, RecordDeleted, TradingHalted
from tradeworthy.core.time import NS_PER_DAY, VirtualClock
from tradeworthy.record.retention import Hold
from tradeworthy.record.verify import verify
from tradeworthy.testing.tapes import START_NS, write_trading

TOML = """
market = []

[desk]
name = "small"

[[instrument]]
symbol = "ETH"

[archive]
after_s = 0
{more}
"""
LATER = START_NS + 100 * NS_PER_DAY
MINUTES = 120


def project(folder, more="", now_ns=LATER):
    """Return a project whose tape was written 100 days ago."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE_NAME).write_text(TOML.format(more=more))
    made = Project(folder, clock=VirtualClock(now_ns))
    if not made.places.tape.exists():
        write_trading(made.places.tape, MINUTES)
    return made


def archived(made):
    return made.archive(actor="ann", reason="cleaning up")


def facts(made, kind):
    return list(made.ledger.facts(kind))


def test_archiving_a_project(tmp_path):
    """Segments move, the answer says how much smaller they are, and verification passes."""
    made = project(tmp_path)
    answer = archived(made)
    assert answer.segments > 5
    assert answer.records > 0
    assert answer.problems == []
    assert answer.bytes_after < answer.bytes_before
    assert answer.archive_bytes > 0
    assert answer.deleted == 0
    assert verify(made.places.tape).archived == answer.segments
    assert archived(made).segments == 0


def test_old_segments_go_by_policy_and_leave_a_fact(tmp_path):
    """Rows are deleted after their days; the ledger says what, by whom and why; the rest stays."""
    made = project(tmp_path, more='keep_days = { "rows-*" = 30 }')
    answer = archived(made)
    assert answer.deleted > 0
    (entry,) = facts(made, RecordDeleted)
    assert (entry.actor, entry.reason) == ("ann", "cleaning up")
    assert entry.fact.stream.startswith("rows-")
    assert entry.fact.segments == answer.deleted
    assert made.query("SELECT count(*) FROM decisions").rows == [[MINUTES]]
    assert made.query("SELECT count(*) FROM rows").rows == [[MINUTES - entry.fact.records]]
    assert archived(made).deleted == 0
    assert len(facts(made, RecordDeleted)) == 1
    assert verify(made.places.tape).problems == []


def test_a_legal_hold_keeps_what_it_covers_until_it_is_lifted(tmp_path):
    """While a hold is in force nothing that it covers is deleted, whatever the policy says."""
    made = project(tmp_path, more='keep_days = { "*" = 30 }')
    made.hold(Hold(name="case 17"), actor="lea", reason="letter of the court")
    answer = archived(made)
    assert answer.deleted == 0
    assert answer.holds == ["case 17"]
    assert [entry.actor for entry in facts(made, LegalHoldPlaced)] == ["lea"]
    with pytest.raises(NotFound, match="case 17"):
        made.lift_hold("case 18", actor="lea", reason="typo")
    made.lift_hold("case 17", actor="lea", reason="case closed")
    answer = archived(made)
    assert answer.deleted > 0
    assert answer.holds == []


def test_a_hold_of_another_stream_does_not_keep_rows(tmp_path):
    """Holds name streams and times."""
    made = project(tmp_path, more='keep_days = { "rows-*" = 30 }')
    made.hold(Hold(name="decisions only", streams=("decisions",)), actor="lea", reason="letter")
    made.hold(Hold(name="long ago", to_ns=START_NS - 1), actor="lea", reason="letter")
    assert archived(made).deleted > 0


def test_a_tight_budget_is_a_finding_once_an_hour(tmp_path):
    """Over the share of the budget a finding is written to the ledger; the same hour does not repeat it."""
    made = project(tmp_path, more="budget_gb = 0.001")
    first, second = archived(made), archived(made)
    assert "budget" in first.findings[0]
    assert len(second.findings) == len(first.findings)
    raised = [entry.fact.finding for entry in facts(made, FindingRaised)]
    assert {finding.kind for finding in raised} == {"storage"}
    assert len([finding for finding in raised if finding.subject == "budget"]) == 1
    later = project(tmp_path, more="budget_gb = 0.001", now_ns=LATER + NS_PER_DAY)
    archived(later)
    assert len([e for e in facts(later, FindingRaised) if e.fact.finding.subject == "budget"]) == 2


def test_an_archive_in_another_folder(tmp_path):
    """The settings may put the archive elsewhere; reading finds it."""
    made = project(tmp_path, more='folder = "cold"')
    archived(made)
    assert list((tmp_path / "cold").glob("stream=decisions/*/*.parquet"))
    assert made.query("SELECT count(*) FROM decisions").rows == [[MINUTES]]


def test_queries_join_record_and_ledger(tmp_path):
    """Facts, instruments and the tape are asked together; symbols come from the settings."""
    made = project(tmp_path)
    made.ledger.append(TradingHalted(scope="all"), actor="ann", reason="drill")
    answer = made.query("SELECT f.kind, d.symbol, count(*) FROM decisions d, facts f GROUP BY ALL")
    assert answer.rows == [["TradingHalted", "ETH", MINUTES]]


def test_a_project_without_a_tape_answers_and_refuses(tmp_path):
    """Before the first run tables are empty and there is nothing to archive."""
    made = project(tmp_path)
    shutil.rmtree(made.places.tape)
    assert made.query("SELECT count(*) FROM decisions").rows == [[0]]
    with pytest.raises(NotFound, match="no tape"):
        archived(made)


def test_wrong_archive_settings_are_named(tmp_path):
    """A key that is unknown, or a value out of range, is refused with its place."""
    for more in ("colour = 1", "alarm_at = 3"):
        with pytest.raises(SettingsInvalid, match=r"archive|alarm_at"):
            project(tmp_path, more=more)


def told(tmp_path, *words: str):
    """Run a command in a project's folder; return exit code and output."""
    return CliRunner().invoke(app, [*words, "--project", str(tmp_path)])


def test_the_commands(tmp_path):
    """`archive` and `query` print a table or one JSON document, and leave with the code of the answer."""
    made = project(tmp_path)
    moved = told(tmp_path, "archive", "--actor", "ann", "--json")
    assert moved.exit_code == 0
    assert json.loads(moved.stdout)["segments"] > 5
    asked = told(tmp_path, "query", "SELECT symbol, count(*) AS n FROM decisions GROUP BY ALL", "--json")
    assert json.loads(asked.stdout)["rows"] == [["ETH", MINUTES]]
    shown = told(tmp_path, "query", "SELECT sequence, price, refused FROM decisions ORDER BY 1", "--rows", "3")
    assert shown.exit_code == 0
    assert "price" in shown.stdout
    assert "the first 3 rows" in shown.stdout
    held = told(tmp_path, "archive", "--hold", "case 1", "--actor", "lea", "--reason", "letter", "--json")
    assert json.loads(held.stdout)["done"] == "legal hold case 1 placed"
    lifted = told(tmp_path, "archive", "--lift", "case 1", "--actor", "lea", "--reason", "closed", "--json")
    assert json.loads(lifted.stdout)["done"] == "legal hold case 1 lifted"
    refused = told(tmp_path, "query", "DROP TABLE decisions")
    assert isinstance(refused.exception, QueryInvalid)
    path = next(made.places.tape.glob("streams/decisions/*.seg"))
    assert path.exists()


@pytest.mark.parametrize("option", ["--hold", "--lift"])
def test_a_hold_without_a_name_archives_nothing(tmp_path, option):
    """An empty name, as an unset variable of a script gives it, is refused and does not begin to archive."""
    made = project(tmp_path)
    before = sorted(made.places.tape.rglob("*"))
    refused = told(tmp_path, "archive", option, "", "--actor", "lea", "--reason", "letter")
    assert isinstance(refused.exception, TradeworthyError)
    assert sorted(made.places.tape.rglob("*")) == before


def test_damage_makes_the_exit_code_one(tmp_path):
    """A damaged segment is named and left where it is; the command says no."""
    made = project(tmp_path)
    path = made.places.tape / "streams" / "decisions" / "00000001.seg"
    with path.open("r+b") as file:
        file.seek(4096 + 50)
        file.write(b"\xff\xff")
    result = told(tmp_path, "archive", "--actor", "ann", "--json")
    assert result.exit_code == 1
    assert "record 0" in json.loads(result.stdout)["problems"][0]
    assert path.exists()


def test_answers_are_json_whatever_they_hold(tmp_path):
    """An answer with timestamps and unknown numbers is encoded without an error."""
    made = project(tmp_path)
    answer = made.query("SELECT *, 'NaN'::DOUBLE AS nothing FROM decisions LIMIT 3")
    assert msgspec.json.decode(msgspec.json.encode(answer))["rows"][0][-1] is None
