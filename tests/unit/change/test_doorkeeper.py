"""The doorkeeper: right keys enter, wrong ones are locked out, rates and budgets hold, incidents are told."""

import msgspec
import pytest

from tradeworthy.change.access.doorkeeper import Doorkeeper, DoorSettings, Holder, Passed, Refused
from tradeworthy.change.access.incidents import AGAIN_NS
from tradeworthy.change.access.keys import Key, digest_of
from tradeworthy.core.time import NS_PER_DAY, NS_PER_S, VirtualClock

SECRET = "tw_abcdefgh_" + 43 * "x"
DAY = 20_000 * NS_PER_DAY
KEY = Key(
    key="abcdefgh",
    owner="ann",
    scopes=("infer",),
    digest=digest_of(SECRET),
    rate_per_s=None,
    rows_per_day=None,
    issued_ns=0,
    expires_ns=None,
)


class Door:
    """A doorkeeper with one key, on a clock of its own."""

    def __init__(self, **changes: object) -> None:
        self.clock = VirtualClock(DAY)
        self.keeper = Doorkeeper(self.clock, DoorSettings())
        self.key = msgspec.structs.replace(KEY, **changes)
        self.keeper.hear({self.key.key: self.key})

    def knock(self, secret=SECRET, address="10.0.0.1"):
        """Try a secret."""
        return self.keeper.let_in(f"Bearer {secret}", address)

    def wait(self, seconds):
        """Let time pass."""
        self.clock.advance_to(self.clock.now_ns() + int(seconds * NS_PER_S))

    def told(self):
        """Return the kinds of new incidents."""
        return [incident.what for incident in self.keeper.incidents.take()]


WRONG = SECRET[:-1] + "y"


def test_the_right_secret_enters():
    """And may do what its scopes say, nothing else."""
    holder = Door().knock()
    assert isinstance(holder, Holder)
    assert holder.enter("infer") is None
    refused = holder.enter("admin")
    assert (refused.status, "'admin'" in refused.message) == (403, True)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YTpi", SECRET])
def test_without_a_bearer_secret_one_is_asked_for(header):
    """No key is no failure to count, and says how to get one."""
    door = Door()
    for _ in range(100):
        refused = door.keeper.let_in(header, "10.0.0.1")
    assert refused.status == 401
    assert "keys create" in refused.message
    assert door.told() == []


def test_wrong_secrets_of_one_key_lock_out_that_pair_only():
    """Five failures: even the right secret is refused from there, but not from elsewhere; it is told once."""
    door = Door()
    statuses = [door.knock(WRONG).status for _ in range(7)]
    assert statuses == [401] * 5 + [429] * 2
    refused = door.knock()
    assert (refused.status, refused.retry_after_s) == (429, 30.0)
    assert isinstance(door.knock(address="10.0.0.2"), Holder)
    assert door.told() == ["brute force"]


def test_a_lock_out_ends_and_the_next_is_longer():
    """Waiting helps; going on does not."""
    door = Door()
    for _ in range(5):
        door.knock(WRONG)
    door.wait(30)
    assert isinstance(door.knock(), Holder)
    for _ in range(5):
        assert door.knock(WRONG).status == 401
    assert door.knock().retry_after_s == 60.0


def test_guessing_at_keys_that_do_not_exist_locks_the_address():
    """Fifty unknown ids: the address is refused unheard; who has a holder already keeps it."""
    door = Door()
    inside = door.knock()
    for number in range(50):
        assert door.knock(f"tw_{number:08d}_guess").status == 401
    assert door.knock("tw_99999999_guess").status == 429
    assert door.knock().status == 429
    assert inside.enter("infer") is None
    assert door.told() == ["brute force"]


def test_failures_of_long_ago_do_not_count():
    """Four a minute is clumsiness."""
    door = Door()
    for _ in range(20):
        assert door.knock(WRONG).status == 401
        door.wait(16)
    assert door.told() == []


def test_remembered_callers_are_bounded():
    """Whoever comes from ever new addresses costs no memory."""
    door = Door()
    for number in range(Doorkeeper.CALLERS_MAX + 500):
        door.knock(WRONG, address=f"a{number}")
    assert len(door.keeper._failures) <= Doorkeeper.CALLERS_MAX


@pytest.mark.parametrize("change", [{"revoked": True}, {"expires_ns": DAY}])
def test_a_dead_key_opens_nothing_and_is_told(change):
    """A replayed credential that was good once is a finding: somebody still has it."""
    door = Door(**change)
    refused = door.knock()
    assert isinstance(refused, Refused)
    assert refused.status == 401
    assert door.told() == ["dead key"]


def test_a_revocation_reaches_who_is_inside():
    """The next request of a connection that was let in is refused."""
    door = Door()
    holder = door.knock()
    assert holder.enter("infer") is None
    door.keeper.hear({KEY.key: msgspec.structs.replace(KEY, revoked=True)})
    assert holder.enter("infer").status == 401


def test_the_rate_is_held_and_refills():
    """Ten a second: a burst of ten, then one each tenth of a second, and 429 says when."""
    door = Door(rate_per_s=10.0)
    holder = door.knock()
    assert [holder.enter("infer") for _ in range(10)] == [None] * 10
    refused = holder.enter("infer")
    assert (refused.status, refused.retry_after_s) == (429, pytest.approx(0.1))
    door.wait(0.1)
    assert holder.enter("infer") is None
    assert holder.enter("infer").status == 429
    door.wait(3600)
    assert sum(holder.enter("infer") is None for _ in range(30)) == 10


def test_the_budget_is_held_until_midnight():
    """Rows count, a request that would pass the budget takes none, and the next day is new."""
    door = Door(rows_per_day=100)
    holder = door.knock()
    assert holder.take_rows(90) is None
    refused = holder.take_rows(11)
    assert (refused.status, refused.retry_after_s) == (429, 86_400.0)
    assert "90 of 100" in refused.message
    assert holder.take_rows(10) is None
    assert door.told() == ["budget"]
    door.wait(86_400)
    assert holder.take_rows(100) is None


def test_two_connections_share_one_keys_rate():
    """A second connection is no second allowance."""
    door = Door(rate_per_s=2.0)
    first, second = door.knock(), door.knock()
    assert [first.enter("infer"), second.enter("infer")] == [None, None]
    assert second.enter("infer").status == 429


def test_many_senseless_requests_are_probing():
    """A hundred a minute are a bug in a client; one more is told, once."""
    door = Door()
    for _ in range(100):
        door.keeper.saw_bad_request("10.0.0.1")
    assert door.told() == []
    for _ in range(50):
        door.keeper.saw_bad_request("10.0.0.1")
    assert door.told() == ["probing"]


def test_an_incident_goes_on_being_told_after_a_pause():
    """Not each time, but not only once either."""
    door = Door(revoked=True)
    for _ in range(10):
        door.knock()
    assert door.told() == ["dead key"]
    door.wait(AGAIN_NS / NS_PER_S)
    door.knock()
    assert door.told() == ["dead key"]


def test_an_incident_is_a_finding_without_the_secret():
    """It names the address and the key's id, in plain words."""
    door = Door()
    for _ in range(5):
        door.knock(WRONG)
    (incident,) = door.keeper.incidents.take()
    found = incident.finding(17)
    assert (found.kind, found.severity, found.sequence) == ("security", "critical", 17)
    assert "10.0.0.1 at abcdefgh" in found.sentence
    assert WRONG not in str(found)


@pytest.mark.parametrize("name", DoorSettings.__struct_fields__)
def test_a_door_that_cannot_open_is_refused(name):
    """Every bound is positive."""
    with pytest.raises(ValueError, match=name):
        DoorSettings(**{name: 0})


def beside(door):
    """Return a second door of the same house."""
    other = Door()
    other.clock = door.clock
    other.keeper = Doorkeeper(door.clock, door.keeper.settings)
    other.key = door.key
    other.keeper.hear({door.key.key: door.key})
    return other


def test_a_rate_is_spent_at_all_doors_together():
    """What was spent at one door is missing at the other, and grows back once for both."""
    one = Door(rate_per_s=4.0)
    other = beside(one)
    here, there = one.knock(), other.knock()
    assert [here.enter("infer") for _ in range(4)] == [None] * 4
    other.keeper.hear_others(one.keeper.take_passed())
    assert there.enter("infer").status == 429
    one.wait(1.0)
    assert [there.enter("infer") for _ in range(4)] == [None] * 4
    one.keeper.hear_others(other.keeper.take_passed())
    assert here.enter("infer").status == 429


def test_a_budget_is_used_at_all_doors_together():
    """Rows count everywhere until the day turns; a door that opens later hears what was used."""
    one = Door(rows_per_day=10)
    other = beside(one)
    here, there = one.knock(), other.knock()
    assert here.take_rows(7) is None
    other.keeper.hear_others(one.keeper.take_passed())
    assert (there.take_rows(3), there.take_rows(1).status) == (None, 429)
    one.keeper.hear_others(other.keeper.take_passed())
    assert (here.used_today(), here.take_rows(1).status) == (10, 429)
    late = beside(one)
    late.keeper.hear_others(one.keeper.today())
    assert late.knock().take_rows(1).status == 429
    one.wait(86_400)
    assert (late.knock().take_rows(10), there.take_rows(10), one.keeper.today().spent) == (None, None, {})


def test_nothing_is_passed_on_twice():
    """What was taken is not taken again, nor is what was heard of others."""
    one = Door(rate_per_s=4.0, rows_per_day=10)
    other = beside(one)
    holder = one.knock()
    holder.enter("infer")
    holder.take_rows(2)
    one.knock(WRONG)
    passed = one.keeper.take_passed()
    assert (passed.spent, passed.failed) == ({KEY.key: (1, 2)}, [("10.0.0.1", KEY.key)])
    assert one.keeper.take_passed() == Passed()
    other.keeper.hear_others(passed)
    assert other.keeper.take_passed() == Passed()


def test_wrong_secrets_at_several_doors_lock_all_of_them():
    """Five tries are five, wherever they were made; one door tells of it."""
    one = Door()
    other = beside(one)
    other.keeper.tells_locks = False
    for door, behind in ((one, other), (other, one)) * 2:
        assert door.knock(WRONG).status == 401
        behind.keeper.hear_others(door.keeper.take_passed())
    assert other.knock(WRONG).status == 401
    assert other.knock().status == 429
    one.keeper.hear_others(other.keeper.take_passed())
    assert one.knock().status == 429
    assert (one.told(), other.told()) == (["brute force"], [])


def test_what_happened_at_doors_adds_up():
    """By key, failures one after the other; a key that is not known here is passed over."""
    both = Passed({"a": (1, 2)}, [("x", "")]).plus(Passed({"a": (3, 4), "b": (5, 0)}, [("y", "a")]))
    assert both == Passed({"a": (4, 6), "b": (5, 0)}, [("x", ""), ("y", "a")])
    door = Door()
    door.keeper.hear_others(both)
    assert isinstance(door.knock(), Holder)
