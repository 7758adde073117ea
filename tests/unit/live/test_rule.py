"""A rule that decides in the champion's place: from the control block to the order, and back in a replay."""

import numpy as np
import pytest

from tradeworthy.core.decisions import RULED, Rule
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.events import Kind, Word
from tradeworthy.live import state
from tradeworthy.live.control import ControlBlock
from tradeworthy.live.path import LATE
from tradeworthy.live.replay import replay
from tradeworthy.live.signal import needs_no_score, signal_record, standing_in, wanted_position
from tradeworthy.model.manifest import Signal
from tradeworthy.record.reader import TapeReader
from tradeworthy.testing.desks import Shelf, SmallDesk, market

EVENTS = market(400, seed=4)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    for seed in range(2):
        shelf.make(seed)
    return shelf


def signal(rule, *, share=1.0, base_rate=np.nan):
    record = signal_record(Signal(enter_long=0.55, exit_long=0.5, notional=1_000.0), base_rate)
    record["rule"], record["share"] = rule, share
    return record[0]


def decided(folder, after=0):
    """Return the champion's decisions after an input."""
    return TapeReader(folder / "tape").read("decisions", after=after)


def rules(folder):
    """Return the rules that were set, with the sequences of their control events."""
    inputs = TapeReader(folder / "tape").read("inputs")
    told = inputs[(inputs["kind"] == Kind.CONTROL) & (inputs["values"][:, 0] == Word.RULE)]
    return [(int(each["sequence"]), Rule(int(each["values"][1]))) for each in told]


@pytest.mark.parametrize("held", [0.0, 7.0, -3.0])
def test_what_each_rule_wants(held):
    """Flat wants nothing, hold what there is, whatever the score; the base rate is acted on like a score."""
    for score in (0.0, 0.9):
        assert wanted_position(signal(Rule.FLAT), score, held, 100.0, 1.0, 0.001) == 0.0
        assert wanted_position(signal(Rule.HOLD), score, held, 100.0, 1.0, 0.001) == held
    assert standing_in(signal(Rule.BASE_RATE, base_rate=0.6)) == 0.6
    assert np.isnan(standing_in(signal(Rule.BASE_RATE)))


def test_a_share_of_nothing_is_flat_under_every_rule():
    """Holding on is no answer to being told to hold nothing; and neither needs a score."""
    for rule in Rule:
        assert wanted_position(signal(rule, share=0.0), 0.9, 5.0, 100.0, 1.0, 0.001) == 0.0
        assert needs_no_score(signal(rule, share=0.0))
    assert [needs_no_score(signal(rule)) for rule in Rule] == [False, True, True, True]


def test_a_block_of_zeros_names_no_rule(tmp_path):
    """A new block, and one of an older release, lets the champion decide; a word from the future is the last rule."""
    block = ControlBlock(tmp_path / "control")
    assert block.view().rule == Rule.NONE
    for rule in (*Rule, Rule.NONE):
        block.fall_back(rule)
        assert block.view().rule == rule


@pytest.mark.parametrize("rule", [Rule.FLAT, Rule.HOLD])
def test_a_rule_decides_from_the_next_event_on(tmp_path, shelf, rule):
    """Its decisions are marked and still bear the model's score; once lifted the champion decides; replay agrees."""
    with SmallDesk(tmp_path, shelf=shelf) as small:
        small.run(EVENTS[:150])
        small.control.fall_back(rule)
        small.run(EVENTS[150:300])
        positions = small.engine.desk.state.positions["quantity"].copy()
        small.control.fall_back(Rule.NONE)
        small.run(EVENTS[300:])
    [(began, first), (ended, last)] = rules(tmp_path)
    assert (first, last) == (rule, Rule.NONE)
    made = decided(tmp_path)
    under = (made["input_sequence"] > began) & (made["input_sequence"] < ended)
    assert np.array_equal(made["flags"] & RULED != 0, under)
    assert np.isfinite(made["score"][under]).any()
    wanted = 0.0 if rule == Rule.FLAT else made["position"][under]
    assert np.array_equal(made["target"][under], np.broadcast_to(wanted, int(under.sum())))
    assert (made["quantity"][~under] != 0.0).sum() > 2
    assert not positions.any() if rule == Rule.FLAT else (made["quantity"][under] == 0.0).all()
    assert replay(tmp_path / "tape", shelf.load).identical


def blinded(small):
    """Make the champion's features unusable from now on: nothing lies in the range that it was validated for."""
    small.engine.desk.champion._stage.lowest[:] = np.inf


def open_position(folder, shelf):
    """Return a desk in the middle of the market that holds something."""
    small = SmallDesk(folder, shelf=shelf)
    small.run(EVENTS[:20])
    for stop in range(21, 300):
        small.run(EVENTS[stop - 1 : stop])
        desk = small.engine.desk.state
        if desk.positions["quantity"].any() and not desk.account["open_orders"][0]:
            return small, stop
    raise AssertionError("it never held anything")


@pytest.mark.parametrize("how", ["rule", "share"])
def test_flat_closes_a_position_although_the_model_says_nothing(tmp_path, shelf, how):
    """A model whose features are out of range can refuse to trade, but not to leave the market."""
    small, place = open_position(tmp_path, shelf)
    with small:
        blinded(small)
        small.run(EVENTS[place : place + 40])
        assert small.engine.desk.state.positions["quantity"].any()
        if how == "rule":
            small.control.fall_back(Rule.FLAT)
        else:
            small.control.resize(0.0)
        small.run(EVENTS[place + 40 : place + 80])
        assert not small.engine.desk.state.positions["quantity"].any()


def test_what_an_older_release_left_open_is_replayed_as_left_open(tmp_path, shelf, monkeypatch):
    """Under the edition before, a share of nothing needed a score; records of then come out as they were."""
    monkeypatch.setattr(state, "MANNERS", 2)
    small, place = open_position(tmp_path, shelf)
    with small:
        blinded(small)
        small.control.resize(0.0)
        small.run(EVENTS[place : place + 40])
        assert small.engine.desk.state.positions["quantity"].any()


def test_an_unknown_base_rate_is_refused_order_by_order(tmp_path, shelf):
    """A version that never saw a label has no base rate: no order follows, and the verdict says that a score lacks."""
    with SmallDesk(tmp_path, shelf=shelf) as small:
        small.control.fall_back(Rule.BASE_RATE)
        small.run(EVENTS[:200])
    made = decided(tmp_path)
    assert set(made["verdict"][np.isfinite(made["score"])]) == {DenialCode.SCORE_NOT_FINITE}
    assert not made["quantity"].any()
    assert replay(tmp_path / "tape", shelf.load).identical


def test_a_halt_is_stronger_than_a_rule(tmp_path, shelf):
    """Flat does not trade its way out of a halted desk."""
    small, place = open_position(tmp_path, shelf)
    with small:
        small.control.halt()
        small.control.fall_back(Rule.FLAT)
        small.run(EVENTS[place : place + 40])
        last = decided(tmp_path)[-1]
        assert (last["verdict"], last["quantity"]) == (DenialCode.HALTED, 0.0)
        assert small.engine.desk.state.positions["quantity"].any()


def test_a_restart_keeps_the_rule(tmp_path, shelf):
    """The checkpoint holds it: an engine that comes back does not let the champion decide in between."""
    with SmallDesk(tmp_path, shelf=shelf) as small:
        small.control.fall_back(Rule.HOLD)
        small.run(EVENTS[:200])
    with SmallDesk(tmp_path, shelf=shelf) as small:
        assert (small.engine.desk.rule, small.engine.desk.acting.rule) == (Rule.HOLD, Rule.HOLD)
        small.run(EVENTS[200:])
    assert [rule for _, rule in rules(tmp_path)] == [Rule.HOLD]
    assert (decided(tmp_path)["flags"] & LATE == 0).all()
    assert replay(tmp_path / "tape", shelf.load).identical


def test_a_rule_is_lifted_only_with_the_version_that_is_to_decide(tmp_path, shelf):
    """While the next champion is not in, the one that was ruled out does not decide for a single event."""
    with SmallDesk(tmp_path, shelf=shelf) as small:
        _, second = small.numbers[:2]
        small.control.fall_back(Rule.FLAT)
        small.run(EVENTS[:100])
        small.control.fall_back(Rule.NONE)
        small.control.set_champion(second)
        small.control.add_shadow(small.numbers[0])
        small.run(EVENTS[100:200])
        assert small.engine.desk.shadows[small.numbers[0]].rule == Rule.NONE
    inputs = TapeReader(tmp_path / "tape").read("inputs")
    words = inputs["values"][inputs["kind"] == Kind.CONTROL][:, 0]
    told = [int(word) for word in words if word in (Word.RULE, Word.CHAMPION)][-2:]
    assert told == [Word.CHAMPION, Word.RULE]
    made = decided(tmp_path)
    acted = made[made["role"] == 1]
    assert np.array_equal(acted["flags"] & RULED != 0, acted["version"] != second)
