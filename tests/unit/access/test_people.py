"""People, their roles and their passwords."""

import stat

import pytest

from tradeworthy.change.access.people import LOCKED_S, TRIES_MAX, WINDOW_S, People
from tradeworthy.change.access.roles import ACTIONS, ROLES, checked_roles, may, require, roles_that_may
from tradeworthy.core.errors import DataInvalid, NotAllowed, NotFound, RecordCorrupt, SettingsInvalid
from tradeworthy.core.time import NS_PER_S, VirtualClock
from tradeworthy.record.ledger import Ledger

PASSWORD = "a long enough password"  # noqa: S105


@pytest.fixture
def clock():
    return VirtualClock(1)


@pytest.fixture
def people(tmp_path, clock):
    return People(Ledger("sqlite://", clock=clock), tmp_path / "access" / "passwords.json", clock=clock)


def add(people, name="ada", roles=("trader",)):
    return people.add(name, list(roles), PASSWORD, actor="root", reason="test")


def test_somebody_let_in_signs_in_with_the_password_and_no_other(people):
    """The right password gives the person; a wrong one, or an unknown name, gives nobody."""
    add(people)
    assert people.sign_in("ada", PASSWORD).person.roles == ("trader",)
    assert people.sign_in("ada", PASSWORD + "!").person is None
    assert people.sign_in("eve", PASSWORD).person is None


def test_passwords_stand_in_no_fact_and_no_file(people, tmp_path):
    """The file of hashes is its owner's alone, and the password is not in it, nor in the ledger."""
    add(people)
    path = tmp_path / "access" / "passwords.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert PASSWORD not in path.read_text()
    assert all(PASSWORD not in str(entry) and "argon2" not in str(entry) for entry in people._ledger.facts())


def test_the_last_roles_given_count(people):
    """Roles can be changed; who has none left is no longer listed and cannot sign in."""
    add(people)
    add(people, roles=("risk", "trader"))
    assert people.find("ada").roles == ("trader", "risk")
    people.remove("ada", actor="root", reason="left")
    assert people.everybody() == []
    assert people.sign_in("ada", PASSWORD).person is None


def test_no_password_changes_without_a_fact(people):
    """A change that is refused for want of a reason leaves the password that was."""
    add(people)
    with pytest.raises(DataInvalid, match="actor and reason"):
        people.add("ada", ["admin"], "another password", actor="eve", reason=" ")
    assert people.sign_in("ada", "another password").person is None
    assert people.sign_in("ada", PASSWORD).person.roles == ("trader",)


@pytest.mark.parametrize("damage", [b"", b'{"ada":', b'{"ada":"\xff"}', b"[]"])
def test_a_damaged_file_of_passwords_is_named_and_kept(people, tmp_path, damage):
    """Nobody comes in by it, and nobody's hash is written over it."""
    add(people)
    path = tmp_path / "access" / "passwords.json"
    path.write_bytes(damage)
    with pytest.raises(RecordCorrupt, match=r"passwords\.json cannot be read.*tradeworthy people add"):
        people.sign_in("ada", PASSWORD)
    with pytest.raises(RecordCorrupt, match=r"passwords\.json cannot be read"):
        add(people, "bob")
    assert path.read_bytes() == damage
    assert people.find("bob") is None


def test_roles_outlive_the_process(people, tmp_path, clock):
    """Another process with the same ledger and file knows the same people."""
    add(people)
    other = People(people._ledger, tmp_path / "access" / "passwords.json", clock=clock)
    assert other.sign_in("ada", PASSWORD).person.name == "ada"


def test_a_name_tried_too_often_is_locked_even_for_the_right_password(people, clock):
    """After the last allowed failure the name waits, then it may try again."""
    add(people)
    tries = [people.sign_in("ada", "wrong") for _ in range(TRIES_MAX)]
    assert [tried.locked for tried in tries] == [False] * (TRIES_MAX - 1) + [True]
    assert people.sign_in("ada", PASSWORD).person is None
    assert people.sign_in("ada", PASSWORD).wait_s > 0
    clock.advance_to(clock.now_ns() + (LOCKED_S + 1) * NS_PER_S)
    assert people.sign_in("ada", PASSWORD).person is not None


def test_failures_far_apart_lock_nobody(people, clock):
    """Only failures within the window count together."""
    add(people)
    for _ in range(2 * TRIES_MAX):
        assert not people.sign_in("ada", "wrong").locked
        clock.advance_to(clock.now_ns() + WINDOW_S * NS_PER_S)


def test_a_success_forgets_failures(people):
    """Somebody who mistypes now and then is not locked."""
    add(people)
    for _ in range(3):
        for _ in range(TRIES_MAX - 1):
            assert not people.sign_in("ada", "wrong").locked
        assert people.sign_in("ada", PASSWORD).person is not None


@pytest.mark.parametrize(
    ("name", "roles", "password", "said"),
    [
        ("ada", [], PASSWORD, "no role"),
        ("ada", ["trder"], PASSWORD, "near: 'trader'"),
        ("ada", ["trader"], "short", "12 or more"),
        ("", ["trader"], PASSWORD, "1 to 64"),
        (" ada", ["trader"], PASSWORD, "1 to 64"),
        ("a\x00b", ["trader"], PASSWORD, "1 to 64"),
        ("a" * 65, ["trader"], PASSWORD, "1 to 64"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(people, name, roles, password, said):
    """Nothing is kept of somebody who cannot be let in."""
    with pytest.raises(SettingsInvalid, match=said):
        people.add(name, roles, password, actor="root", reason="test")
    assert people.everybody() == []


def test_removing_nobody_names_who_there_is(people):
    """A name that is near is offered."""
    add(people)
    with pytest.raises(NotFound, match="near: 'ada'"):
        people.remove("adda", actor="root", reason="left")


def test_every_action_has_a_role_and_everybody_may_halt():
    """Stopping waits for nobody."""
    assert set(ACTIONS["halt"]) == set(ROLES)
    assert all(roles and set(roles) <= set(ROLES) for roles in ACTIONS.values())


def test_what_opens_risk_is_not_everybodys():
    """A trader may not resume, loosen limits, or let a version trade."""
    for action in ("resume", "limits", "approve", "promote", "people"):
        assert not may(("trader",), action)
        with pytest.raises(NotAllowed, match="ask somebody"):
            require("ada", ("trader",), action)


def test_roles_and_actions_are_spelled_right():
    """Unknown words are refused with the nearest."""
    assert checked_roles(["risk", "trader"]) == ("trader", "risk")
    with pytest.raises(NotFound, match="near: 'resume'"):
        roles_that_may("resum")
