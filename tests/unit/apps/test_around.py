"""One decision with everything around it: what the record tells, and nothing that it does not."""

import numpy as np
import pytest
from small_project import at, looked_at

from tradeworthy.apps.dashboard.around import BINS, decision_around, place
from tradeworthy.apps.dashboard.deciding import Filter, decisions_before
from tradeworthy.core.errors import NotFound
from tradeworthy.core.facts import LimitsChanged
from tradeworthy.core.limits import Limits
from tradeworthy.live.risk.judge import CHECKS
from tradeworthy.model.profile import Profile
from tradeworthy.record.checkpoint import checkpoint_paths
from tradeworthy.record.reader import TapeReader


@pytest.fixture(scope="module")
def traded():
    """Return a project that has traded; nothing here changes it."""
    return looked_at("traded")


@pytest.fixture(scope="module")
def orders(traded):
    """Return all its orders, the newest first."""
    return decisions_before(traded, Filter(outcome="orders"), count=10_000)


def profile_of(column):
    rows = np.asarray(column, float)[:, None]
    return Profile.of(rows, np.zeros_like(rows))


def test_an_order_shows_each_check_with_what_it_observed(traded, orders):
    """Value, quantity and position are those of the order; every control stands there, in the order asked."""
    around = decision_around(traded, orders[5].sequence)
    sent = TapeReader(traded.places.tape).read("orders")
    own = sent[sent["decision"] == orders[5].sequence][0]
    seen = {each.code: each for each in around.checks}
    assert [each.code for each in around.checks] == [check.code.name for check in CHECKS]
    assert {each.outcome for each in around.checks} == {"passed"}
    worst = max(own["limit_price"], own["reference_price"])
    assert seen["ORDER_VALUE"].observed == pytest.approx(abs(own["quantity"]) * worst)
    assert seen["ORDER_QUANTITY"].observed == abs(own["quantity"])
    assert seen["POSITION_QUANTITY"].observed == pytest.approx(
        max(0.0, np.sign(own["quantity"]) * (around.decision.position + own["quantity"]))
    )
    assert 0.0 <= seen["DRAWDOWN"].observed < seen["DRAWDOWN"].limit
    assert seen["DRAWDOWN"].used == seen["DRAWDOWN"].observed / seen["DRAWDOWN"].limit
    assert seen["MESSAGE_RATE"].observed >= 1.0
    assert seen["MARKET_STALE"].observed == 0.0
    duplicate = seen["DUPLICATE_ORDER"]
    assert (duplicate.observed, duplicate.said, duplicate.used) == (None, "none like it", None)
    assert around.checks_untold == ""
    assert seen["ORDER_VALUE"].limit == 50_000.0
    assert seen["PRICE_COLLAR"].observed <= seen["PRICE_COLLAR"].limit


def test_limits_are_those_of_the_moment(tmp_path):
    """A limit that was tightened afterwards does not change what an earlier order was held to."""
    project = at("traded", tmp_path)
    order = decisions_before(project, Filter(outcome="orders"), count=1)[0]
    before = {each.code: each.limit for each in decision_around(project, order.sequence).checks}
    project.ledger.append(
        LimitsChanged(scope="desk", limits=Limits(order_value_max=1.0)), actor="rita", reason="tighter"
    )
    assert {each.code: each.limit for each in decision_around(project, order.sequence).checks} == before


def test_a_denied_order_names_the_check_that_stopped_it(tmp_path):
    """Those before it passed, it was denied with both numbers; those behind it say what they would have done."""
    project = at("promoted", tmp_path)
    settings = project.folder / "tradeworthy.toml"
    text = settings.read_text("utf-8").replace("order_value_max = 50_000.0", "order_value_max = 5_000.0")
    settings.write_text(text, "utf-8")
    project = type(project)(project.folder)
    project.run(watch=False)
    denied = decisions_before(project, Filter(code="ORDER_VALUE"), count=3)
    assert denied
    checks = decision_around(project, denied[0].sequence).checks
    outcomes = [each.outcome for each in checks]
    assert outcomes == ["passed", "denied", *["would pass"] * (len(CHECKS) - 2)]
    assert checks[1].observed > checks[1].limit == 5_000.0
    assert checks[1].used > 1.0
    assert checks[6].observed == checks[2].observed


def test_a_halt_is_no_single_check(tmp_path):
    """What was refused before any control was asked says so first, and claims nothing about the controls."""
    project = at("promoted", tmp_path)
    project.halt("all", actor="tom", reason="drill")
    project.run(watch=False)
    halted = decisions_before(project, Filter(code="HALTED"), count=1)[0]
    checks = decision_around(project, halted.sequence).checks
    assert (checks[0].code, checks[0].outcome) == ("HALTED", "denied")
    assert {each.outcome for each in checks[1:]} == {"not asked"}


def test_a_missing_limit_stands_where_it_was_asked(tmp_path):
    """An unset limit refuses: its place is told, its measure beside it, and no number is made up for the limit."""
    project = at("promoted", tmp_path)
    settings = project.folder / "tradeworthy.toml"
    settings.write_text(settings.read_text("utf-8").replace("drawdown_value_max = 50_000.0\n", ""), "utf-8")
    project = type(project)(project.folder)
    project.run(watch=False)
    missing = decisions_before(project, Filter(code="LIMIT_MISSING"), count=1)[0]
    checks = decision_around(project, missing.sequence).checks
    (denied,) = [each for each in checks if each.outcome == "denied"]
    assert (denied.name, denied.code, denied.limit, denied.used) == ("drawdown value", "LIMIT_MISSING", None, None)
    assert denied.observed >= 0.0
    assert len(checks) == len(CHECKS)


def test_what_cannot_be_decided_again_says_why(tmp_path):
    """Without its checkpoints the record still tells what passed; numbers are left out, with the reason."""
    project = at("traded", tmp_path)
    order = decisions_before(project, Filter(outcome="orders"), count=1)[0]
    for path in checkpoint_paths(project.places.tape):
        path.unlink()
    around = decision_around(project, order.sequence)
    assert {(each.outcome, each.observed, each.limit) for each in around.checks} == {("passed", None, None)}
    assert "has no checkpoint" in around.checks_untold


def test_a_decision_without_an_order_was_asked_nothing(traded):
    """Nothing to do is no passed limit."""
    held = decisions_before(traded, Filter(outcome="no_order"), count=1)[0]
    around = decision_around(traded, held.sequence)
    assert around.checks == []
    assert around.answers == []
    assert around.features


def test_a_warming_decision_has_no_features(traded):
    """What was not computed is not shown."""
    warming = decisions_before(traded, Filter(code="FEATURES_WARMING"), count=1)[0]
    around = decision_around(traded, warming.sequence)
    assert around.features == []
    assert around.checks == []


def test_what_came_after_is_the_price_of_the_tape(traded, orders):
    """The next bar, and the bar at the horizon that the version was taught, with what the position made."""
    order = orders[5]
    around = decision_around(traded, order.sequence)
    inputs = TapeReader(traded.places.tape).read("inputs", after=order.sequence)
    closes = inputs["values"][inputs["kind"] == 1][:, 3]
    assert [each.events for each in around.later] == [1, 3]
    assert [each.price for each in around.later] == [closes[0], closes[2]]
    assert around.later[1].worth == pytest.approx(order.target * (closes[2] - order.price))
    assert around.later[1].change == pytest.approx(closes[2] / order.price - 1.0)


def test_the_last_decision_has_no_afterwards(traded):
    """The end of the tape is not a price of zero."""
    last = decisions_before(traded, Filter(), count=1)[0]
    assert decision_around(traded, last.sequence).later == []


def test_slippage_is_worse_upwards_for_a_buyer(traded, orders):
    """A fill above the decision's price costs a buyer and helps a seller."""
    for order in orders[:20]:
        fill = decision_around(traded, order.sequence).answers[0]
        worse = (fill.price > order.price) == (order.quantity > 0)
        assert (fill.slippage_bps > 0) == worse or fill.price == order.price


def test_no_such_decision(traded):
    """A sequence that is no decision's is not found."""
    with pytest.raises(NotFound):
        decision_around(traded, 1 << 40)


def test_a_value_has_its_place_in_training():
    """The rank is the share below; all of the sample is in the bins; the middle is where most of it is."""
    placed = place(profile_of(np.random.default_rng(1).standard_normal(4_000)), 0, "x", 0.0)
    assert placed.rank == pytest.approx(0.5, abs=0.03)
    assert not placed.outside
    assert len(placed.bins) == BINS
    assert sum(placed.bins) == 4_000
    assert placed.low < 0.0 < placed.high


@pytest.mark.parametrize(("value", "rank"), [(-9.0, 0.0), (9.0, 1.0)])
def test_a_value_that_training_never_saw_is_outside(value, rank):
    """Beyond every training row the rank is 0 or 1, and it says so."""
    placed = place(profile_of(np.linspace(-1.0, 1.0, 500)), 0, "x", value)
    assert placed.outside
    assert placed.rank == rank


def test_a_feature_that_never_moved_has_a_place():
    """One value for all of training is one bin, not an error."""
    placed = place(profile_of(np.full(100, 3.0)), 0, "x", 3.0)
    assert sum(placed.bins) == 100
    assert max(placed.bins) == 100
    assert not placed.outside
