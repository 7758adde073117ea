"""API keys: issued once, kept as a digest, scoped, revoked; who has one is a query over the facts."""

import pytest

from tradeworthy.change.access.keys import KEY_FACTS, SCOPES, digest_of, id_in, issue, keys_of, matches, revoke
from tradeworthy.core.errors import NotFound, SettingsInvalid
from tradeworthy.core.time import NS_PER_DAY, VirtualClock
from tradeworthy.record.ledger import Ledger


@pytest.fixture
def ledger():
    """An empty ledger."""
    return Ledger("sqlite://", clock=VirtualClock(1_000))


def made(ledger, owner="ann", scopes=("infer",), entropy=bytes(range(32)), **bounds: float):
    """Issue a key."""
    return issue(
        ledger, owner=owner, scopes=scopes, entropy=entropy, now_ns=1_000, actor="ops", reason="test", **bounds
    )


def known(ledger):
    """Return all keys of a ledger."""
    return keys_of(ledger.facts(*KEY_FACTS))


def test_the_secret_is_nowhere_in_the_ledger(ledger):
    """What is kept is a digest: neither the secret nor its random part stands in any fact."""
    secret, key = made(ledger)
    stored = str(ledger.facts())
    assert secret not in stored
    assert secret.split("_", 2)[2] not in stored
    assert key.digest == digest_of(secret)
    assert key.digest in stored


def test_a_key_is_found_by_what_its_secret_says(ledger):
    """The text names the record, and only the whole text matches it."""
    secret, key = made(ledger)
    assert id_in(secret) == key.key
    assert matches(secret, known(ledger)[key.key].digest)
    assert not matches(secret[:-1] + ("A" if secret[-1] != "A" else "B"), key.digest)


@pytest.mark.parametrize("text", ["", "hunter2", "tw_abc_def", "xx_abcdefgh_secret", "tw_abcdefg\u00e9_secret"])
def test_other_texts_name_no_key(text):
    """What has not the shape of a key claims none."""
    assert id_in(text) == ""


def test_scopes_stand_in_one_order_and_once(ledger):
    """However they were typed."""
    _, key = made(ledger, scopes=("risk", "infer", "infer"))
    assert key.scopes == ("infer", "risk")


def test_a_key_ends_when_it_was_said_to(ledger):
    """Good to the last nanosecond, and over at the end."""
    _, key = made(ledger, days=2)
    assert not key.is_over(1_000 + 2 * NS_PER_DAY - 1)
    assert key.is_over(1_000 + 2 * NS_PER_DAY)


def test_a_revoked_key_is_over_and_cannot_be_revoked_again(ledger):
    """The fact is read by whoever asks; a second revocation, or one of nothing, is refused with what is near."""
    _, key = made(ledger)
    _, other = made(ledger, entropy=bytes(32))
    assert revoke(ledger, key.key, actor="ops", reason="left").revoked
    assert known(ledger)[key.key].is_over(0)
    assert not known(ledger)[other.key].revoked
    with pytest.raises(NotFound, match="keys list"):
        revoke(ledger, key.key, actor="ops", reason="again")
    with pytest.raises(NotFound, match=f"near: '{other.key}'"):
        revoke(ledger, other.key[:-1] + "x", actor="ops", reason="typo")


def test_facts_are_read_on_top_of_what_is_known(ledger):
    """A reader that follows the ledger needs only the new facts."""
    _, key = made(ledger)
    before, number = known(ledger), ledger.head()[0]
    revoke(ledger, key.key, actor="ops", reason="left")
    after = keys_of(ledger.facts(*KEY_FACTS, after=number), before)
    assert after[key.key].revoked
    assert not before[key.key].revoked


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"owner": " "}, "no owner"),
        ({"scopes": ()}, "no scope"),
        ({"scopes": ("infre",)}, "near: 'infer'"),
        ({"rate_per_s": 0.0}, "rate_per_s is 0"),
        ({"rows_per_day": -1}, "rows_per_day is -1"),
        ({"days": 0.0}, "days is 0"),
        ({"rate_per_s": float("inf")}, "rate_per_s is inf"),
        ({"days": float("inf")}, "days is inf"),
        ({"days": 4e6}, "allowed are 36,500 at most"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(ledger, wrong, words):
    """And nothing is recorded."""
    with pytest.raises(SettingsInvalid, match=words):
        made(ledger, **wrong)
    assert ledger.head()[0] == 0


def test_too_little_randomness_is_a_programmers_mistake(ledger):
    """The secret is never shorter than it should be."""
    with pytest.raises(ValueError, match="31 bytes"):
        made(ledger, entropy=bytes(31))


def test_every_scope_can_be_given(ledger):
    """The closed list is what a key may have."""
    _, key = made(ledger, scopes=SCOPES)
    assert key.scopes == SCOPES
