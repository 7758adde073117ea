"""`tradeworthy limits`: what stands in every scope, and one limit changed, by somebody who may."""

import json
import subprocess
import sys

import pytest
from command_words import tell
from small_project import at, looked_at

from tradeworthy.apps.commands.project import Project
from tradeworthy.apps.deployment.limits import change_limits, limits_by_scope, record_limits, scoped_limits
from tradeworthy.core.errors import NotAllowed
from tradeworthy.core.facts import LimitsChanged
from tradeworthy.core.limits import LIMIT_FIELDS, Limits


def changed(project):
    """Return every fact about limits that a person wrote."""
    return [entry for entry in project.ledger.facts(LimitsChanged) if entry.actor != "settings"]


def test_limits_are_shown_by_scope_before_the_first_start_too(tmp_path, capsys):
    """Then the file's are the desk's; nothing is written by looking, and an instrument has none of its own."""
    project = at("promoted", tmp_path)
    code, out, _ = tell(capsys, "limits", "-p", project.folder, "--json")
    shown = json.loads(out)
    assert code == 0
    assert shown["scopes"]["desk"]["order_value_max"] == 50_000.0
    assert shown["scopes"]["instrument:ABC"] == {}
    assert project.ledger.facts(LimitsChanged) == []
    _, out, _ = tell(capsys, "limits", "-p", project.folder)
    assert all(name in out for name in LIMIT_FIELDS)
    assert "champion's bound" in out
    line = next(line for line in out.splitlines() if line.startswith("order_value_max"))
    assert line.split()[1:] == ["50,000", "not", "set", "not", "set"]


def test_without_a_champion_there_are_no_bounds_to_show(capsys):
    """The limits are shown all the same."""
    code, out, _ = tell(capsys, "limits", "-p", looked_at("fresh").folder)
    assert (code, "champion's bound" in out) == (0, False)


def test_one_limit_is_changed_and_the_others_stand(tmp_path, capsys):
    """The answer says what it was and what it is; the engine's limits are those from the next event on."""
    project = at("promoted", tmp_path)
    generation = project.control.view().limits_generation
    words = ("-p", project.folder, "--actor", "rita", "--reason", "smaller", "--json")
    _, out, _ = tell(capsys, "limits", "set", "desk", "order_value_max", "4e3", *words)
    said = json.loads(out)
    assert (said["before"], said["after"], said["meaning"]) == (50_000.0, 4_000.0, "tighter")
    _, out, _ = tell(capsys, "limits", "set", "ABC", "order_quantity_max", 20, *words)
    assert json.loads(out)["scope"] == "instrument:ABC"
    found = scoped_limits(project)
    assert found.desk.order_value_max == 4_000.0
    assert found.desk.order_quantity_max == 500.0
    assert found.instruments == {0: Limits(order_quantity_max=20.0)}
    assert [(entry.actor, entry.reason) for entry in changed(project)] == [("rita", "smaller")] * 2
    assert project.control.view().limits_generation == generation + 3


def test_a_change_before_the_first_start_stands_after_it(tmp_path):
    """The file's limits are on the ledger first, so that the start does not put them in the place of a person's."""
    project = at("promoted", tmp_path)
    project.set_limit("desk", "order_value_max", 4_000.0, actor="rita", reason="smaller")
    record_limits(project)
    assert limits_by_scope(project)["desk"].order_value_max == 4_000.0
    assert limits_by_scope(project)["desk"].order_quantity_max == 500.0


def test_a_limit_that_is_taken_away_and_one_that_is_the_same_are_said(tmp_path, capsys):
    """None is not set, which refuses; the same again is no fact."""
    project = at("promoted", tmp_path)
    words = ("-p", project.folder, "--actor", "rita", "--reason", "a test", "--json")
    _, out, _ = tell(capsys, "limits", "set", "desk", "order_value_max", "none", *words)
    assert json.loads(out) | {"after": None, "meaning": "is no longer set"} == json.loads(out)
    _, out, _ = tell(capsys, "limits", "set", "desk", "order_value_max", "none", *words)
    assert json.loads(out)["meaning"] == "nothing differs"
    assert len(changed(project)) == 1
    assert limits_by_scope(project)["desk"].order_value_max is None


@pytest.mark.parametrize(
    ("scope", "name", "value", "said"),
    [
        ("ABX", "order_value_max", "1", r"limits have no scope 'ABX' (near: 'ABC'); there are desk, instrument:ABC"),
        ("desk", "order_valu_max", "1", "no limit 'order_valu_max' (near: 'order_value_max'); there are price_collar_"),
        ("desk", "order_value_max", "much", "the value is 'much', allowed is a number of zero or more, or none"),
        ("desk", "order_value_max", "nan", "order_value_max is nan, allowed is a number of zero or more, or none"),
        ("desk", "order_value_max", "1e999", "order_value_max is inf, allowed is a number of zero or more, or none"),
    ],
)
def test_a_wrong_word_is_refused_with_what_is_allowed(tmp_path, capsys, scope, name, value, said):
    """Exit code 2, one line, and nothing on the ledger by anybody."""
    project = at("promoted", tmp_path)
    code, _, told = tell(capsys, "limits", "set", scope, name, value, "-p", project.folder, "--reason", "a test")
    assert (code, said in told) == (2, True), told
    assert changed(project) == []


def test_where_people_were_let_in_only_those_who_may_change_limits(tmp_path):
    """The actor is held to the roles that the ledger gives, as on the page; a stranger has none."""
    project = at("promoted", tmp_path)
    for name, role in (("tom", "trader"), ("rita", "risk")):
        project.people.add(name, [role], None, actor="ada", reason="a test")
    for name in ("tom", "nobody"):
        with pytest.raises(NotAllowed, match=f"'limits' is not open to {name} here: it needs the role risk"):
            project.set_limit("desk", "order_value_max", 1.0, actor=name, reason="a test")
    assert project.set_limit("desk", "order_value_max", 1.0, actor="rita", reason="a test").after == 1.0


def test_two_hands_that_change_two_limits_at_once_change_both(tmp_path):
    """The second decides on the first one's fact, and takes nothing of it back."""
    project = at("promoted", tmp_path)
    other = Project(project.folder)
    other.set_limit("desk", "position_value_max", 9.0, actor="rita", reason="before")
    meanwhile = [lambda: other.set_limit("desk", "order_quantity_max", 7.0, actor="bob", reason="too")]

    def slow(limits) -> Limits:
        after = Limits.of(limits.as_array())
        while meanwhile:
            meanwhile.pop()()
        return Limits.of(after.tightest(Limits(order_value_max=5.0)).as_array())

    made = change_limits(project, slow, actor="rita", reason="a test")
    assert (made.before.order_quantity_max, made.after.order_quantity_max) == (7.0, 7.0)
    found = limits_by_scope(project)["desk"]
    assert (found.order_value_max, found.order_quantity_max, found.position_value_max) == (5.0, 7.0, 9.0)


def test_two_processes_that_change_limits_at_once_lose_none(tmp_path):
    """Each of two commands in one instant is a fact, and both limits stand."""
    project = at("promoted", tmp_path)
    project.set_limit("desk", "position_value_max", 9.0, actor="rita", reason="before")
    command = [sys.executable, "-m", "tradeworthy.apps.cli", "limits", "-p", str(project.folder), "set", "desk"]
    wanted = {"order_value_max": 5.0, "order_quantity_max": 7.0}
    hands = [
        subprocess.Popen([*command, name, str(value), "--reason", "a test"], stdout=subprocess.DEVNULL)
        for name, value in wanted.items()
    ]
    assert [hand.wait(timeout=120) for hand in hands] == [0, 0]
    found = limits_by_scope(project)["desk"]
    assert {name: getattr(found, name) for name in wanted} == wanted
