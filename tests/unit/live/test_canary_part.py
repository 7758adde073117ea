"""A canary on some instruments: who decides which event, under whose bounds, and what a replay says of it."""

import numpy as np
import pytest

from tradeworthy.core.decisions import LATE, Role, Rule
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.events import Kind, Word, merge
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.limits import LIMIT_FIELDS
from tradeworthy.live.control import Part, Scope
from tradeworthy.live.desk import Desk, control_event
from tradeworthy.live.engine import EngineSettings
from tradeworthy.live.feeds.simulated import Regime, SimulatedSettings, simulate
from tradeworthy.live.replay import replay
from tradeworthy.live.roles import Roles
from tradeworthy.record.tape import TapeReader
from tradeworthy.testing.desks import LIMITS, START_NS, Shelf, SmallDesk, market

ETH, BTC, LTC = range(3)
DESK = (Instrument(symbol="ETH"), Instrument(symbol="BTC"), Instrument(symbol="LTC"))
TIGHT = LIMITS.order_value_max / 2.0
AT_ONCE = EngineSettings(stage_in_background=False)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """Three versions; the bounds of the second are tighter."""
    made = Shelf(tmp_path_factory.mktemp("shelf"))
    made.make(0)
    made.make(1, bounds=LIMITS.tightest(type(LIMITS)(order_value_max=TIGHT)))
    made.make(2)
    return made


@pytest.fixture
def start(shelf, tmp_path):
    """Return a function that starts an engine on one folder, again and again."""
    started = []

    def on(name: str = "desk", *, settings: EngineSettings = AT_ONCE) -> SmallDesk:
        small = SmallDesk(tmp_path / name, shelf=shelf, instruments=DESK, settings=settings)
        started.append(small)
        return small

    yield on
    for small in started:
        small.tape.close()


def bars(count, seed=0, first_bar=0):
    """Return bars of all three instruments."""
    third = market(count, seed + 7, first_bar=first_bar)
    third = third[third["instrument"] == ETH]
    third["instrument"] = LTC
    return merge([market(count, seed, first_bar=first_bar), third])


def decided(small, after=0):
    """Return what the tape has of those who act."""
    made = TapeReader(small.folder / "tape").read("decisions", after)
    return made[made["role"] == Role.CHAMPION]


def last(small):
    """Return the last sequence on the tape."""
    return small.tape.next_sequence - 1


def by(decisions, instrument):
    """Return which versions decided on an instrument."""
    return set(decisions["version"][decisions["instrument"] == instrument].tolist())


def test_each_event_is_decided_by_the_version_that_acts_on_its_instrument(start):
    """The canary decides on its instruments alone, the champion on all others, each event once; replay agrees."""
    small = start()
    champion, canary, _ = small.numbers
    small.run(bars(60))
    small.control.set_champion(canary, [BTC])
    before = last(small)
    small.run(bars(60, seed=3, first_bar=60))
    made = decided(small, before)
    assert (by(made, ETH), by(made, BTC), by(made, LTC)) == ({champion}, {canary}, {champion})
    inputs = TapeReader(small.folder / "tape").read("inputs", before)
    asked = inputs["sequence"][inputs["kind"] == Kind.BAR]
    assert sorted(made["input_sequence"].tolist()) == asked.tolist()
    small.close()
    assert replay(small.folder / "tape", small.shelf.load).identical


def test_the_canary_takes_the_very_next_event_and_gives_it_back_as_fast(start):
    """Between the word and its first decision, and between a roll back and the champion's, lies no event."""
    small = start()
    champion, canary, _ = small.numbers
    small.run(bars(60))
    for number, instruments in ((canary, [ETH]), (champion, None), (canary, [ETH]), (champion, None)):
        small.control.set_champion(number, instruments)
        before = last(small)
        small.run(bars(1, seed=5, first_bar=60 + small.engine.summary().events))
        assert by(decided(small, before), ETH) == {number}
        assert by(decided(small, before), LTC) == {champion}
    assert DenialCode.FEATURES_WARMING not in set(decided(small)["verdict"][-12:].tolist())


def test_promoted_it_acts_on_everything(start):
    """The rest of the instruments is its own from the next event on."""
    small = start()
    champion, canary, _ = small.numbers
    small.run(bars(60))
    small.control.set_champion(canary, [LTC])
    small.run(bars(5, first_bar=60))
    assert (small.engine.desk.leading.number, small.engine.desk.is_shared) == (champion, True)
    small.control.set_champion(canary)
    before = last(small)
    small.run(bars(5, first_bar=65))
    assert set(decided(small, before)["version"].tolist()) == {canary}
    assert (small.engine.desk.leading.number, small.engine.desk.is_shared) == (canary, False)


def test_its_own_bounds_hold_on_its_instruments_alone(start):
    """A canary with tighter bounds tightens what it acts on, until it is gone."""
    small = start()
    champion, canary, _ = small.numbers
    value = LIMIT_FIELDS.index("order_value_max")
    for number, instruments, expected in (
        (canary, [BTC], [LIMITS.order_value_max, TIGHT, LIMITS.order_value_max]),
        (canary, None, [TIGHT] * 3),
        (champion, None, [LIMITS.order_value_max] * 3),
    ):
        small.control.set_champion(number, instruments)
        small.run(bars(1, first_bar=small.engine.summary().events))
        assert small.engine.desk.state.limits[:, value].tolist() == expected


def test_a_halted_canary_stops_on_its_instruments_alone(start):
    """Its orders are refused, and what rests of them is taken back; the champion trades on."""
    small = start()
    champion, canary, _ = small.numbers
    small.run(bars(60))
    small.control.set_champion(canary, [ETH, LTC])
    small.control.halt(Scope.version(canary))
    before = last(small)
    small.run(bars(20, seed=4, first_bar=60))
    made = decided(small, before)
    halted = made["verdict"] == DenialCode.HALTED
    assert set(made["version"][halted].tolist()) == {canary}
    assert not (made["version"][~halted] == canary).any()
    assert by(made, BTC) == {champion}
    desk = small.engine.desk
    desk.state.orders["instrument"][:3], desk.state.account["open_orders"] = (ETH, BTC, LTC), 3
    assert desk.resting(Scope.version(canary))["instrument"].tolist() == [ETH, LTC]
    assert desk.resting(Scope.version(champion))["instrument"].tolist() == [BTC]
    assert len(desk.resting(Scope.everything())) == 3


def test_size_and_rule_are_the_whole_desks(start):
    """Who takes risk away from a desk takes it from both versions that act."""
    small = start()
    _, canary, _ = small.numbers
    small.run(bars(60))
    small.control.set_champion(canary, [ETH])
    small.control.resize(0.5)
    small.control.fall_back(Rule.FLAT)
    small.run(bars(3, first_bar=60))
    assert [(each.size, each.rule) for each in small.engine.desk.actors()] == [(0.5, Rule.FLAT)] * 2
    assert not small.engine.desk.state.positions["quantity"].any()


def test_a_shadow_scores_every_event_beside_both(start):
    """Whoever acts, a shadow is asked each time."""
    small = start()
    _, canary, shadow = small.numbers
    small.run(bars(60))
    small.control.add_shadow(shadow)
    small.control.set_champion(canary, [BTC])
    before = last(small)
    small.run(bars(20, first_bar=60))
    made = TapeReader(small.folder / "tape").read("decisions", before)
    assert (made["version"][made["role"] == Role.SHADOW] == shadow).all()
    assert (made["role"] == Role.SHADOW).sum() == (made["role"] == Role.CHAMPION).sum() == 60
    small.close()
    assert replay(small.folder / "tape", small.shelf.load).identical


@pytest.mark.parametrize("checkpoint_every", [7, 10_000])
def test_killed_in_the_middle_it_goes_on_as_before(start, checkpoint_every):
    """An engine without a last word leaves a tape on which the next one lets the same versions act."""
    settings = EngineSettings(stage_in_background=False, checkpoint_every=checkpoint_every)
    small = start(settings=settings)
    champion, canary, _ = small.numbers
    small.run(bars(60))
    small.control.set_champion(canary, [BTC])
    small.run(bars(21, seed=6, first_bar=60)[:-1])
    small.tape.close()  # no checkpoint, no goodbye: what a kill leaves
    again = start(settings=settings)
    assert again.engine.desk.part == Part(canary, frozenset({BTC}))
    assert (again.engine.desk.champion.number, again.engine.desk.previous.number) == (canary, champion)
    before = last(again)
    again.run(bars(20, seed=6, first_bar=90))
    made = decided(again, before)
    assert (by(made, ETH), by(made, BTC), by(made, LTC)) == ({champion}, {canary}, {champion})
    again.close()
    report = replay(again.folder / "tape", again.shelf.load)
    assert (report.identical, report.first_difference) == (True, None)


def test_events_that_nobody_decided_are_decided_late_by_whose_they_are(start, tmp_path):
    """A crash between input and decision leaves the event to the version of its instrument, and nothing is sent."""
    small = start()
    champion, canary, _ = small.numbers
    small.run(bars(60))
    small.control.set_champion(canary, [BTC])
    small.run(bars(3, first_bar=60))
    lost = bars(2, seed=9, first_bar=63)
    for place in range(len(lost)):
        small.tape.stream("inputs", small.engine.desk.inbox.records.dtype, inline=False).append(lost[place : place + 1])
    small.tape.close()
    again = start()
    late = decided(again)
    late = late[late["flags"] & LATE != 0]
    assert list(zip(late["instrument"].tolist(), late["version"].tolist(), strict=True)) == [
        (int(each), canary if each == BTC else champion) for each in lost["instrument"]
    ]
    assert not late["quantity"].any()
    assert not any(each.late for each in again.engine.desk.actors())
    again.close()
    assert replay(again.folder / "tape", again.shelf.load).identical


def test_on_a_new_tape_the_champion_comes_before_its_canary(start):
    """A canary of some instruments never acts on the others, not even where no champion was there yet."""
    first = start()
    champion, canary, _ = first.numbers
    first.control.set_champion(canary, [BTC])
    second = start("another")
    second.control.set_champion(champion)
    second.control.set_champion(canary, [BTC])
    second.close()
    (second.folder / "tape").rename(second.folder / "old")
    small = start("another")
    small.run(bars(30))
    made = decided(small)
    assert by(made, ETH) == by(made, LTC) == {champion}
    assert by(made, BTC) == {canary}


def test_without_anybody_before_it_a_canary_of_some_instruments_is_not_let_in(start):
    """A block that names no champion beside a canary lets nobody act on more than was meant."""
    small = start()
    champion, canary, _ = small.numbers
    small.control.set_champion(canary, [BTC])
    small.control.words[5] = 0  # somebody wrote the block by hand: there is no previous version
    small.run(bars(30))
    assert set(decided(small)["version"].tolist()) == {champion}


def test_two_canaries_one_after_the_other_never_act_on_everything(start):
    """Replaced by another, a canary gives its instruments up in the same moment."""
    small = start()
    _, canary, other = small.numbers
    small.run(bars(60))
    small.control.set_champion(canary, [BTC])
    small.run(bars(5, first_bar=60))
    small.control.set_champion(other, [LTC])
    before = last(small)
    small.run(bars(5, first_bar=65))
    made = decided(small, before)
    assert (by(made, ETH), by(made, BTC), by(made, LTC)) == ({canary}, {canary}, {other})
    small.close()
    assert replay(small.folder / "tape", small.shelf.load).identical


def test_quotes_and_bars_of_a_simulated_market_replay_bit_for_bit(start):
    """Kinds that ask for no decision, gaps and bad events among them keep the turns in order."""
    small = start()
    champion, canary, _ = small.numbers
    settings = SimulatedSettings(
        regimes=(Regime(bars=120),), start_ns=START_NS, start_price=300.0, quotes=True, gap_rate=0.02, crossed_rate=0.05
    )
    events = simulate(settings, DESK, np.random.default_rng(11)).events
    cut = len(events) // 3
    small.run(events[:cut])
    small.control.set_champion(canary, [ETH, LTC])
    small.run(events[cut : 2 * cut])
    small.control.set_champion(champion)
    small.run(events[2 * cut :])
    assert by(decided(small), BTC) == {champion}
    assert by(decided(small), ETH) == {champion, canary}
    small.close()
    report = replay(small.folder / "tape", small.shelf.load)
    assert (report.identical, report.first_difference) == (True, None)


def test_a_checkpoint_without_a_part_is_one_without_a_canary(start):
    """What an older release kept restores a desk on which one version acts."""
    small = start()
    small.run(bars(30))
    arrays = {name: array for name, array in small.engine.desk.dump().items() if name != "part"}
    desk = Desk(small.engine.desk.config)
    desk.restore(arrays, small.shelf.load)
    assert (desk.part, desk.is_shared, desk.acting.number) == (Part(), False, small.numbers[0])


def test_an_instrument_that_nobody_knows_is_the_champions(start):
    """A canary's part never grows by an event of no instrument of the desk."""
    small = start()
    champion, canary, _ = small.numbers
    small.run(bars(30))
    small.control.set_champion(canary, [LTC, 99])
    small.run(bars(2, first_bar=30))
    desk = small.engine.desk
    assert desk.take_turn(np.array([77, LTC], np.uint32)) == 1
    assert desk.acting.number == champion
    assert desk.take_turn(np.array([LTC, LTC, ETH], np.uint32)) == 2
    assert desk.acting.number == canary


def test_control_words_about_no_role_are_left():
    """Roles hear what is about roles, and nothing else."""
    roles = Roles(2)
    assert not roles.hear_role(control_event(5, Word.HALT, 1)[0], lambda _: pytest.fail("nobody is looked for"))
    assert roles.hear_role(control_event(5, Word.CANARY, 1, value=1.0, reference=7)[0], lambda _: None)
    assert roles.hear_role(control_event(5, Word.CANARY, 1, value=0.0, reference=7)[0], lambda _: None)
    assert roles.part == Part(7, frozenset({0, 1}))
    assert roles.hear_role(control_event(5, Word.CANARY, 1)[0], lambda _: None)
    assert roles.part == Part()
    assert not roles.acts_on(7).any()
