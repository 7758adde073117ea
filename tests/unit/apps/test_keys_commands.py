"""`tradeworthy keys`: a secret is shown once, a list shows none, a revoked key is said to be revoked."""

import json

from command_words import tell
from small_project import at

from tradeworthy.change.access.keys import KEY_FACTS, keys_of, matches


def test_a_key_is_made_listed_and_revoked(tmp_path, capsys):
    """The secret that is shown is the one whose digest was kept, and the list does not have it."""
    project = at("fresh", tmp_path)
    words = ("--project", project.folder, "--actor", "ops", "--json")
    code, out, _ = tell(capsys, "keys", "create", "ann", "--scope", "infer", "-s", "explain", "--rate", 5, *words)
    made = json.loads(out)
    assert code == 0
    assert made["key"]["scopes"] == ["infer", "explain"]
    kept = keys_of(project.ledger.facts(*KEY_FACTS))[made["key"]["key"]]
    assert matches(made["secret"], kept.digest)
    _, out, _ = tell(capsys, "keys", "list", "--project", project.folder)
    assert made["key"]["key"] in out
    assert made["secret"] not in out
    code, out, _ = tell(capsys, "keys", "revoke", made["key"]["key"], "--reason", "left", *words)
    assert (code, json.loads(out)["state"]) == (0, "revoked")


def test_a_person_sees_the_secret_in_one_piece(tmp_path, capsys):
    """On a terminal too it can be copied: it stands alone on its line."""
    project = at("fresh", tmp_path)
    _, out, _ = tell(capsys, "keys", "create", "ann", "--scope", "infer", "--project", project.folder)
    assert [line for line in out.splitlines() if line.startswith("tw_")]


def test_an_empty_list_says_what_to_do(tmp_path, capsys):
    """Nobody may ask for anything before a key was made."""
    code, out, _ = tell(capsys, "keys", "list", "--project", at("fresh", tmp_path).folder)
    assert code == 0
    assert "tradeworthy keys create" in out


def test_wrong_words_are_refused_in_one_line(tmp_path, capsys):
    """A scope that is none, and a key that is none, with the nearest that is."""
    folder = at("fresh", tmp_path).folder
    code, _, err = tell(capsys, "keys", "create", "ann", "--scope", "infr", "--project", folder)
    assert code == 2
    assert "near: 'infer'" in err
    code, _, err = tell(capsys, "keys", "revoke", "12345678", "--reason", "x", "--project", folder)
    assert code == 2
    assert "tradeworthy keys list" in err
