"""What the record takes and what goes next: as archiving would do it, without doing it."""

import pytest
from page_visitors import visiting
from small_project import at

from tradeworthy.apps.commands.project import Project
from tradeworthy.apps.commands.settings import FILE_NAME
from tradeworthy.apps.dashboard.storing import storage_of
from tradeworthy.core.time import NS_PER_DAY, VirtualClock
from tradeworthy.record.retention import Hold
from tradeworthy.testing.tapes import START_NS, write_trading

TOML = """
market = []

[desk]
name = "small"

[[instrument]]
symbol = "ETH"

[archive]
after_s = 0
keep_days = {keep}
"""
LATER = START_NS + 100 * NS_PER_DAY


def kept(folder, keep):
    """Return a project whose record of 100 days ago is archived and kept so long from now on."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE_NAME).write_text(TOML.format(keep="{}"), "utf-8")
    project = Project(folder, clock=VirtualClock(LATER))
    write_trading(project.places.tape, 120)
    project.archive(actor="ann")
    (folder / FILE_NAME).write_text(TOML.format(keep=keep), "utf-8")
    return Project(folder, clock=VirtualClock(LATER))


@pytest.fixture
def archived(tmp_path):
    """Return a project whose decisions may go now, and whose rows may go in twenty days."""
    return kept(tmp_path / "small", '{ "decisions" = 30, "rows-*" = 120 }')


def test_nothing_is_recorded_yet(tmp_path):
    """Before the first run there is no storage, and the page says what to do."""
    project = at("promoted", tmp_path)
    assert storage_of(project) is None
    with visiting(project, "tom") as client:
        assert "run: tradeworthy run" in client.get("/record").text


def test_what_goes_is_what_archiving_deletes(archived):
    """The count shown before is the count deleted; looking deletes nothing."""
    shown = {each.stream: each for each in storage_of(archived).streams}
    due = sum(each.due for each in shown.values())
    assert shown["decisions"].due == shown["decisions"].archived > 0
    assert shown["inputs"].kept_days is None
    assert storage_of(archived).streams == list(shown.values())
    assert archived.archive(actor="test").deleted == due
    assert {each.stream: each.due for each in storage_of(archived).streams}["decisions"] == 0


def test_what_goes_soon_is_apart_from_what_goes_now(archived):
    """Rows that are twenty days short of their age go within thirty, not now."""
    rows = [each for each in storage_of(archived).streams if each.stream.startswith("rows-")]
    assert rows
    assert all(each.due == 0 and each.due_soon == each.archived > 0 for each in rows)


def test_a_hold_keeps_what_it_covers(archived):
    """Under a legal hold nothing of the stream goes, and the page names the hold."""
    archived.hold(Hold(name="case 7", streams=("decisions",)), actor="rita", reason="asked by counsel")
    shown = {each.stream: each for each in storage_of(archived).streams}
    assert (shown["decisions"].due, shown["decisions"].due_soon) == (0, 0)
    with visiting(archived, "tom") as client:
        text = client.get("/record").text
    assert "case 7 on decisions" in text
    assert "for ever" in text


def test_facts_are_found_by_who_and_which_and_go_on(tmp_path):
    """A page of facts ends where the next begins; a condition that nothing fits says so."""
    project = at("promoted", tmp_path)
    for count in range(70):
        project.halt("all", actor="eve" if count % 2 else "ann", reason=f"drill {count}")
    with visiting(project, "tom") as client:
        first = client.get("/record?actor=eve").text
        assert "drill 69" in first
        assert "drill 68" not in first
        older = first.split('">Older facts')[0].rsplit('href="', 1)[1].replace("&amp;", "&").split("#")[0]
        second = client.get(older).text
        shown = (
            [n for n in range(1, 70, 2) if f"drill {n}<" in first],
            [n for n in range(1, 70, 2) if f"drill {n}<" in second],
        )
        assert sorted(shown[0] + shown[1]) == list(range(1, 70, 2))
        assert "No fact fits" in client.get("/record?actor=nobody").text
        assert client.get("/record?before=soon").status_code == 409
