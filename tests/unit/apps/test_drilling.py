"""``tradeworthy drill``: coming back after a kill is rehearsed on the record, and what was shown is a fact."""

import json

import pytest
from command_words import tell
from small_project import ADA, at, looked_at

from tradeworthy.apps.commands.rehearsing import last_crossed
from tradeworthy.apps.reports.rts6 import assess
from tradeworthy.core.errors import NotFound
from tradeworthy.core.facts import RecoveryRehearsed
from tradeworthy.core.time import iso
from tradeworthy.record.checkpoint import checkpoint_paths
from tradeworthy.record.reader import TapeReader

LINE = "a rehearsal of continuity with its result"


@pytest.fixture
def project(tmp_path):
    """A project that has traded."""
    return at("traded", tmp_path)


def told(project):
    """Return what this year's self-assessment says of the rehearsal."""
    document = assess(project, int(iso(project.clock.now_ns())[:4]))
    [part] = [part for part in document.parts if part.name.startswith("Article 14")]
    return {line.name: line for line in part.lines}[LINE]


def test_a_desk_that_comes_back_as_it_was_is_evidence(project):
    """Missing before; after it, who, from where to where, in which time; nothing live is touched."""
    assert told(project).verdict == "missing"
    before = TapeReader(project.places.tape).last_sequence(), project.control.view()
    result = project.rehearse_recovery(actor=ADA, reason="yearly")
    assert result.ok
    assert (result.inputs > 100, result.decisions > 100, result.orders > 0) == (True, True, True)
    assert (TapeReader(project.places.tape).last_sequence(), project.control.view()) == before
    [entry] = project.ledger.facts(RecoveryRehearsed)
    assert (entry.actor, entry.reason, entry.fact.passed, entry.fact.problems) == (ADA, "yearly", True, [])
    line = told(project)
    assert line.verdict == "evidence"
    assert f"came back from record {result.began_after} to {result.through_sequence}" in line.said
    assert "as it was" in line.said


def test_the_checkpoint_is_one_that_a_kill_leaves(project):
    """Not the last one, which a stop in good order wrote and after which nothing came."""
    newest = [int(path.stem) for path in checkpoint_paths(project.places.tape)]
    chosen = last_crossed(project.places.tape)
    assert chosen in newest
    assert chosen < newest[-1]


def drill(project, capsys):
    """Run the command; return its exit code and what it found."""
    code, out, _ = tell(capsys, "drill", "--project", project.folder, "--actor", ADA, "--json")
    return code, json.loads(out)


def test_a_block_that_names_another_version_is_named(project, capsys):
    """Whoever starts would follow the facts; that they differ is a problem today."""
    project.control.set_champion(0x0123456789ABCDEF)
    code, found = drill(project, capsys)
    assert code == 1
    [problem] = found["problems"]
    assert problem.startswith("the control block names 0123456789abcdef champion, the facts")
    assert "NOT as it was: the control block names" in told(project).said


def test_a_desk_that_cannot_be_brought_up_is_a_result(project, capsys):
    """A champion whose bundle was changed: the rehearsal has failed, and that it did is a fact."""
    path = project.places.root / "versions" / project.resolve("champion")[:16] / "manifest.json"
    data = path.read_bytes()
    path.write_bytes(data[:-40])
    code, found = drill(project, capsys)
    assert (code, found["inputs"], found["decisions"]) == (1, 0, 0)
    assert found["problems"][0].startswith("it could not come back: BundleRefused: ")
    assert "manifest.json" in found["problems"][0]
    path.write_bytes(data)
    assert "NOT as it was: it could not come back" in told(project).said


def test_a_record_that_was_changed_does_not_pass(project, capsys):
    """One byte in the middle of the decisions: the rehearsal says that the record is not whole."""
    path = min(p for p in (project.places.tape / "streams" / "decisions").iterdir() if p.stat().st_size > 1_000)
    data = bytearray(path.read_bytes())
    data[4_096 + 200] ^= 1
    path.write_bytes(data)
    code, found = drill(project, capsys)
    assert code == 1
    assert any("decisions" in problem for problem in found["problems"])
    assert not project.ledger.facts(RecoveryRehearsed)[-1].fact.passed


def test_nothing_recorded_is_nothing_to_rehearse():
    """It says what to do first."""
    with pytest.raises(NotFound, match="run: tradeworthy run"):
        looked_at("gated").rehearse_recovery(actor=ADA)
