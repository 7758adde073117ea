"""Overrides of a hard block on the record: two people, two roles, an end, one order; and how they ended."""

import numpy as np
import pytest

from tradeworthy.change.release.order_overrides import MINUTES_MAX, Endings, Person, override_order, overrides_in_force
from tradeworthy.core import facts
from tradeworthy.core.decisions import DECISION
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import ReleaseRefused
from tradeworthy.core.limits import LIMIT_FIELDS, Override
from tradeworthy.core.time import NS_PER_DAY, NS_PER_MINUTE, VirtualClock
from tradeworthy.live.overrides import Allowed, End
from tradeworthy.record.ledger import Ledger

START = 20_000 * NS_PER_DAY
SYMBOLS = ["BTC", "ETH"]
TOM, RITA, ANN = Person("tom", ["trader"]), Person("rita", ["risk"]), Person("ann", ["admin"])
VALUE = LIMIT_FIELDS.index("order_value_max")


class Home:
    """A ledger on a clock of its own."""

    def __init__(self, folder) -> None:
        self.clock = VirtualClock(START)
        self.ledger = Ledger(folder / "ledger.db", clock=self.clock)

    def ask(self, by=TOM, denied=None, *, minutes=30, up_to=None, reason="a large client order"):
        """Ask for an override."""
        denied = refused() if denied is None else denied
        return override_order(self.ledger, denied, SYMBOLS, by=by, minutes=minutes, up_to=up_to, reason=reason)

    def in_force(self):
        """Return what the engine would be told."""
        return overrides_in_force(self.ledger, SYMBOLS)

    def wait(self, minutes):
        """Let time pass."""
        self.clock.advance_to(self.clock.now_ns() + minutes * NS_PER_MINUTE)


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path)
    yield made
    made.ledger.close()


def refused(code=DenialCode.ORDER_VALUE, sequence=17, observed=1_200.0, limit=1_000.0):
    """Return the record of a refused decision of ETH."""
    record = np.zeros(1, DECISION)
    record["sequence"], record["verdict"], record["instrument"] = sequence, int(code), 1
    record["observed"], record["limit"] = observed, limit
    return record[0]


def test_two_people_of_two_roles_are_needed(home):
    """The first is on record and changes nothing; with the second the engine may let one order pass."""
    first = home.ask(TOM)
    assert (first.in_force, home.in_force(), first.given_by) == (False, (), ["tom"])
    assert "another person of another role" in first.next
    second = home.ask(RITA, minutes=10)
    assert (second.in_force, second.given_by) == (True, ["tom", "rita"])
    assert "the next order of ETH may pass this check" in second.next
    assert home.in_force() == (Override(17, 1, VALUE, 1_200.0, START + 10 * NS_PER_MINUTE),)
    given = [(entry.actor, entry.reason, entry.fact.roles) for entry in home.ledger.facts(facts.OrderOverridden)]
    assert given == [("tom", "a large client order", ["trader"]), ("rita", "a large client order", ["risk"])]


@pytest.mark.parametrize("other", [Person("tim", ["trader"]), Person("tim", ["trader", "admin"])])
def test_two_people_of_one_role_are_not_enough(home, other):
    """Neither is a role that does not count."""
    home.ask(TOM)
    assert not home.ask(other).in_force
    assert home.in_force() == ()


def test_one_person_of_two_roles_is_not_enough(home):
    """And may not ask twice."""
    home.ask(Person("tom", ["trader", "risk"]))
    assert home.in_force() == ()
    with pytest.raises(ReleaseRefused, match="another person of another role must"):
        home.ask(Person("tom", ["trader", "risk"]))
    assert home.ask(Person("tim", ["trader"])).in_force


def test_the_narrower_value_and_the_earlier_end_count(home):
    """What both have agreed to; when one has run out, nothing is in force."""
    home.ask(TOM, up_to=1_500.0, minutes=20)
    told = home.ask(RITA, up_to=1_300.0, minutes=40)
    assert told.up_to == 1_300.0
    (override,) = home.in_force()
    assert (override.limit, override.until_ns) == (1_300.0, START + 20 * NS_PER_MINUTE)
    home.wait(20)
    assert home.in_force() == ()
    assert not home.ask(TOM, minutes=5, up_to=1_250.0).next.startswith("another")


def test_a_least_value_is_narrowed_upwards(home):
    """Of the window in which an order is a duplicate the longer counts."""
    twin = refused(DenialCode.DUPLICATE_ORDER, observed=40.0, limit=1_000.0)
    home.ask(TOM, twin, up_to=10.0)
    assert home.ask(RITA, twin, up_to=30.0).up_to == 30.0
    with pytest.raises(ReleaseRefused, match="give at most that"):
        home.ask(Person("eve", ["approver"]), twin, up_to=50.0)


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        (DenialCode.HALTED, False),
        (DenialCode.LIMIT_MISSING, False),
        (DenialCode.REFERENCE_MISSING, False),
        (DenialCode.REPEATED_EXECUTION, False),
        (DenialCode.NONE, False),
        (DenialCode.FEATURES_WARMING, False),
        (DenialCode.POSITION_VALUE, True),
        (DenialCode.PRICE_COLLAR, True),
    ],
)
def test_only_a_check_can_be_overridden(home, code, allowed):
    """Not a halt, not what is missing, not the latch that only a resume lifts."""
    if allowed:
        assert home.ask(TOM, refused(code)).check == code.name
        return
    with pytest.raises(ReleaseRefused, match="which nobody can override; allowed are PRICE_COLLAR"):
        home.ask(TOM, refused(code))
    assert home.ledger.facts() == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"minutes": 0}, "allowed is 1 to"),
        ({"minutes": MINUTES_MAX + 1}, "a limit to change"),
        ({"up_to": 1_199.0}, "give at least that"),
        ({"up_to": float("nan")}, "is not allowed"),
        ({"up_to": float("inf")}, "is not allowed"),
        ({"reason": "  "}, "reason is empty"),
        ({"by": ANN}, "none of the roles"),
        ({"by": Person("nobody", [])}, "who-can override"),
    ],
)
def test_what_is_not_allowed_is_refused_with_what_is(home, changes, message):
    """And leaves no fact."""
    with pytest.raises(ReleaseRefused, match=message):
        home.ask(**changes)
    assert home.ledger.facts() == []


def test_how_it_ended_is_a_fact_once(home):
    """Told again, also by the next engine, it changes nothing; the same order is not overridden twice."""
    home.ask(TOM)
    home.ask(RITA)
    ended = [Allowed(17, 1, VALUE, 1_200.0, End.SENT, 25)]
    for endings in (Endings(home.ledger), Endings(home.ledger)):
        endings.tell(ended, SYMBOLS)
        endings.tell(ended, SYMBOLS)
    (told,) = home.ledger.facts(facts.OrderOverrideEnded)
    assert told.fact == facts.OrderOverrideEnded(order=17, instrument="ETH", how="sent", sent=25)
    with pytest.raises(ReleaseRefused, match="is over; look at the decision that is refused now"):
        home.ask(Person("eve", ["approver"]))


def test_an_instrument_that_the_desk_has_no_more_is_passed_over(home):
    """Its override reaches no engine."""
    home.ask(TOM)
    home.ask(RITA)
    assert overrides_in_force(home.ledger, ["BTC"]) == ()
