"""Letting people in without a terminal, and changing the keys that sign: what was signed before is still believed."""

import io

import pytest
from command_words import tell
from small_project import at

from tradeworthy.apps.commands.project import Project
from tradeworthy.core.errors import BundleRefused
from tradeworthy.testing.projects import market_frame

PASSWORD = "a long enough password"  # noqa: S105  # of a person in a test


def add(capsys, project, *words: object):
    """Let ada in."""
    return tell(capsys, "people", "add", "ada", "--role", "risk", "-p", project.folder, *words)


@pytest.mark.parametrize("text", [PASSWORD, f"{PASSWORD}\n", f"{PASSWORD}\r\n", f"{PASSWORD}\nmore\n"])
def test_a_password_comes_from_the_first_line_of_a_file(tmp_path, capsys, text):
    """However the line ends; the person signs in with it."""
    project = at("fresh", tmp_path)
    (tmp_path / "secret").write_bytes(text.encode())
    code, out, _ = add(capsys, project, "--password-file", tmp_path / "secret")
    assert (code, out) == (0, "ada may sign in as risk\n")
    assert project.people.sign_in("ada", PASSWORD).person.name == "ada"


def test_a_password_comes_from_standard_input(tmp_path, capsys, monkeypatch):
    """As a pipe brings it."""
    project = at("fresh", tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    assert add(capsys, project, "--password-file", "-")[0] == 0
    assert project.people.sign_in("ada", PASSWORD).person is not None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "there is no terminal to ask for a password; give --password-file FILE, or --password-file - and"),
        (("--password", PASSWORD), "No such option: --password"),
        (("--password-file", "/nowhere/secret"), "/nowhere/secret: No such file or directory"),
        (("--password-file", "-"), "the password has 0 characters, allowed are"),
    ],
)
def test_without_a_password_nobody_is_let_in(tmp_path, capsys, monkeypatch, words, said):
    """No terminal, a password among the words, no such file, an empty line: refused, with what to do."""
    project = at("fresh", tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    code, _, told = add(capsys, project, *words)
    assert (code, said in told) == (2, True), told
    assert project.people.everybody() == []


def test_a_file_of_bytes_that_are_no_text_lets_nobody_in(tmp_path, capsys):
    """It is named with what belongs there: a picture given by mistake is no fault of ours."""
    project = at("fresh", tmp_path)
    (tmp_path / "picture").write_bytes(b"\x89PNG\xac\xff")
    code, _, told = add(capsys, project, "--password-file", tmp_path / "picture")
    assert (code, "picture holds is no text in UTF-8; its first line is the password" in told) == (2, True), told
    assert project.people.everybody() == []


def test_keys_that_sign_are_changed_by_moving_them_away(tmp_path):
    """The next use makes another; versions and heads of before are believed until their public key goes too."""
    project = at("traded", tmp_path)
    first, before = project.resolve("champion"), set(project.trust.key_ids())
    for path in (project.places.author_key, project.places.tape_key):
        path.unlink()
    second = project.register(name="second", actor="bob").version
    market_frame(3_300, seed=1).write_csv(project.folder / "ABC.csv")
    assert Project(project.folder).run(watch=False).decisions > 0
    assert len(set(project.trust.key_ids()) - before) == 2
    assert project.verify().ok
    assert project.registry.load(first).digest == first
    for key_id in before:
        (project.places.trust / f"{key_id}.json").unlink()
    again = Project(project.folder)
    with pytest.raises(BundleRefused):
        again.registry.load(first)
    assert again.registry.load(second).digest == second
    assert any(first[:16] in problem for problem in again.verify().problems)
