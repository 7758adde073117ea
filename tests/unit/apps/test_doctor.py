"""The doctor: what is sound is said briefly, what is not comes with what to do."""

import pytest
from small_project import at, looked_at

from tradeworthy.apps.commands.doctor import Item, examine
from tradeworthy.testing.projects import write_project


def put_into(path, line):
    """Write a line before the rest of a file."""
    path.write_text(line + path.read_text("utf-8"), "utf-8")


def items(folder):
    """Return what the doctor found, by name."""
    return {item.name: item for item in examine(folder).items}


def test_the_machine_alone(tmp_path):
    """Without a project only the machine is looked at, and nothing is made."""
    found = items(tmp_path)
    assert {"python", "packages", "cores", "disk"} <= set(found)
    assert "settings" not in found
    assert found["python"].ok
    assert found["packages"].ok
    assert list(tmp_path.iterdir()) == []


def test_a_sound_project(tmp_path):
    """A new project's own parts are all in order."""
    found = items(write_project(tmp_path))
    for name in ("settings", "strategy", "data files", "limits", "signing key"):
        assert found[name].ok, found[name]
        assert found[name].advice == ""


def add_to(path, text):
    """Write more behind what a file holds."""
    path.write_text(path.read_text("utf-8") + text, "utf-8")


def test_columns_of_groups_are_in_order_where_a_strategy_reads_rows(tmp_path):
    """Callers may push what no file holds; then the version's own fields are held against them when it is let in."""
    folder = write_project(tmp_path)
    add_to(folder / "tradeworthy.toml", '\n[monitor.fairness]\ncolumns = ["skill"]\n')
    add_to(folder / "strategy.py", '\nrow_fields = ("skill",)\n')
    assert items(folder)["columns of groups"] == Item("columns of groups", True, "skill")


@pytest.mark.parametrize(
    ("spoil", "name", "said"),
    [
        (lambda folder: (folder / "strategy.py").unlink(), "strategy", "strategy.py"),
        (
            lambda folder: put_into(folder / "strategy.py", "import no_such_package\n"),
            "strategy",
            "no_such_package, not",
        ),
        (lambda folder: put_into(folder / "strategy.py", "def (\n"), "strategy", "invalid syntax"),
        (lambda folder: (folder / "ABC.csv").unlink(), "data files", "ABC.csv"),
        (lambda folder: (folder / "tradeworthy.toml").write_text("[desk", "utf-8"), "settings", "not valid TOML"),
        (
            lambda folder: add_to(folder / "tradeworthy.toml", '\n[monitor.fairness]\ncolumns = ["nope"]\n'),
            "columns of groups",
            "columns ['nope'], but nothing reads rows: no [[rows]], no row_fields",
        ),
    ],
    ids=["strategy", "package", "syntax", "data", "settings", "columns"],
)
def test_what_is_missing_comes_with_advice(spoil, name, said, tmp_path):
    """Each fault is named, and its advice is not empty."""
    spoil(write_project(tmp_path))
    found = items(tmp_path)
    assert not found[name].ok
    assert said in found[name].found
    assert found[name].advice
    assert not examine(tmp_path).healthy


def test_a_key_that_others_can_read(tmp_path):
    """A signing key with loose permissions is a fault, with the command that mends it."""
    project = at("registered", tmp_path)
    assert items(project.folder)["signing key"].ok
    project.places.author_key.chmod(0o644)
    found = items(project.folder)["signing key"]
    assert not found.ok
    assert found.advice == f"chmod 600 {project.places.author_key}"


def test_looking_changes_nothing():
    """The doctor reads; it writes no file."""
    folder = looked_at("traded").folder
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    examine(folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
