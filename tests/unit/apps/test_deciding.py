"""Looking through recorded decisions: every condition of the filter holds for all that is found, and none is missed."""

import pytest
from small_project import looked_at

from tradeworthy.apps.dashboard.deciding import Filter, decisions_before
from tradeworthy.core.errors import SettingsInvalid

ALL = 100_000


@pytest.fixture(scope="module")
def traded():
    """Return a project that has traded; nothing here changes it."""
    return looked_at("traded")


@pytest.fixture(scope="module")
def everything(traded):
    """Return all of its decisions, the newest first."""
    return decisions_before(traded, Filter(), count=ALL)


@pytest.mark.parametrize(("side", "sign"), [("buy", 1), ("sell", -1)])
def test_a_side_is_that_of_the_order(traded, everything, side, sign):
    """Buys and sells are found by the sign of what was ordered."""
    found = decisions_before(traded, Filter(side=side), count=ALL)
    assert found == [each for each in everything if each.quantity * sign > 0]
    assert found


def test_a_code_finds_what_was_refused_with_it(traded, everything):
    """A denial code is found by its name, and one that never happened finds nothing."""
    found = decisions_before(traded, Filter(code="FEATURES_WARMING"), count=ALL)
    assert found == [each for each in everything if each.verdict == "FEATURES_WARMING"]
    assert decisions_before(traded, Filter(code="DRAWDOWN"), count=ALL) == []


def test_a_period_includes_its_start_and_not_its_end(traded, everything):
    """From the first time on, and before the second."""
    since, until = everything[300].time, everything[100].time
    found = decisions_before(traded, Filter(since=since, until=until), count=ALL)
    assert found == everything[101:301]


def test_conditions_add_up(traded, everything):
    """Side, outcome and period together find what fits all of them."""
    since = everything[500].time
    found = decisions_before(traded, Filter(side="buy", outcome="orders", since=since, instrument="ABC"), count=ALL)
    assert found == [each for each in everything[:501] if each.quantity > 0]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Filter(side="by"), "buy"),
        (Filter(code="PRICE_COLAR"), "PRICE_COLLAR"),
        (Filter(since="yesterday"), "2019-09-30T12:00"),
        (Filter(until="2019-13-01"), "2019-09-30T12:00"),
        (Filter(role="boss"), "champion"),
        (Filter(instrument="XYZ"), "ABC"),
    ],
)
def test_a_condition_that_cannot_be_used_says_what_can(traded, wanted, said):
    """The message names the value and what is allowed."""
    with pytest.raises(SettingsInvalid, match=said):
        decisions_before(traded, wanted)
