"""The desk's roster, halts, limits, and its state as arrays."""

import numpy as np
import pytest

from tradeworthy.core.decisions import Role
from tradeworthy.core.errors import DataInvalid, NotFound
from tradeworthy.core.events import Kind, Word
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.limits import LIMIT_FIELDS, Limits
from tradeworthy.live.control import Scope
from tradeworthy.live.desk import Desk, config_in, control_event, desk_config, is_own, scope_of
from tradeworthy.live.path import STANDBY
from tradeworthy.live.state import CheckSettings, dump_desk, new_desk, restore_desk
from tradeworthy.testing.desks import INSTRUMENTS, LIMITS, Shelf, market


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    return [shelf.make(seed) for seed in range(3)]


@pytest.fixture
def desk():
    return Desk(desk_config(INSTRUMENTS, CheckSettings(), 0, 64))


@pytest.fixture
def pipelines(desk, versions):
    return [desk.make_pipeline(version) for version in versions]


def word(desk, which, **arguments: object):
    """Apply one control word."""
    desk.apply(control_event(5, which, 1, **arguments)[0], desk.find)


def test_a_desk_without_a_champion_says_so(desk):
    """Running events needs somebody who decides."""
    desk.inbox.load(market(2))
    with pytest.raises(NotFound, match="no champion"):
        desk.run(0, 2)


def test_crowning_keeps_the_old_champion_warm(desk, pipelines):
    """The one before stands by; the one before that goes."""
    for pipeline in pipelines:
        desk.crown(pipeline)
    assert desk.champion is pipelines[2]
    assert desk.previous is pipelines[1]
    assert [pipeline.role for pipeline in pipelines] == [STANDBY, STANDBY, Role.CHAMPION]
    assert desk.find(pipelines[0].number) is None


def test_crowning_the_champion_changes_nothing(desk, pipelines):
    """A champion is not its own predecessor."""
    desk.crown(pipelines[0])
    desk.crown(pipelines[0])
    assert desk.previous is None


def test_a_shadow_that_is_crowned_is_no_shadow(desk, pipelines):
    """Each version has one role."""
    desk.crown(pipelines[0])
    desk.add_shadow(pipelines[1])
    desk.crown(pipelines[1])
    assert desk.shadows == {}
    assert desk.previous is pipelines[0]


def test_the_previous_can_become_a_shadow(desk, pipelines):
    """It starts from the positions that the desk has."""
    desk.crown(pipelines[0])
    desk.crown(pipelines[1])
    desk.state.positions["quantity"] = [3.0, 0.0]
    desk.add_shadow(pipelines[0])
    assert desk.previous is None
    assert pipelines[0].role == Role.SHADOW
    assert pipelines[0]._stage.targets.tolist() == [3.0, 0.0]


def test_the_champion_cannot_shadow_itself(desk, pipelines):
    """Asking for it changes nothing."""
    desk.crown(pipelines[0])
    desk.add_shadow(pipelines[0])
    assert desk.shadows == {}
    assert pipelines[0].role == Role.CHAMPION


def test_limits_are_those_of_desk_and_champion(desk, versions, pipelines):
    """Field by field the tighter one, again after every change of either."""
    word(desk, Word.LIMIT + 1, value=100.0)
    assert (desk.state.limits[:, 1] == 100.0).all()
    assert np.isnan(desk.state.limits[:, 2]).all()
    desk.apply(control_event(5, Word.CHAMPION, 1, reference=pipelines[0].number)[0], lambda _: pipelines[0])
    bounds = versions[0].manifest.bounds
    assert Limits.of(desk.state.limits[0]) == Limits(order_value_max=100.0).tightest(bounds)
    word(desk, Word.LIMIT + 1, value=np.nan)
    assert Limits.of(desk.state.limits[0]) == bounds


def test_an_instrument_has_limits_of_its_own(desk):
    """They tighten that instrument alone, count where the desk sets none, and never loosen the desk's."""
    word(desk, Word.LIMIT + 1, value=100.0)
    word(desk, Word.LIMIT + 1, value=40.0, reference=2)
    word(desk, Word.LIMIT + 2, value=7.0, reference=2)
    assert desk.state.limits[:, 1].tolist() == [100.0, 40.0]
    assert np.isnan(desk.state.limits[0, 2])
    assert desk.state.limits[1, 2] == 7.0
    word(desk, Word.LIMIT + 1, value=400.0, reference=2)
    assert desk.state.limits[:, 1].tolist() == [100.0, 100.0]
    window = Word.LIMIT + LIMIT_FIELDS.index("duplicate_window_ms")
    word(desk, window, value=10.0)
    word(desk, window, value=50.0, reference=1)
    assert desk.state.limits[:, window - Word.LIMIT].tolist() == [50.0, 10.0]


def test_limits_of_instruments_are_kept_and_may_be_missing_in_an_older_checkpoint(desk):
    """A checkpoint has them; one from before they were kept restores the desk's for every instrument."""
    word(desk, Word.LIMIT + 1, value=100.0)
    word(desk, Word.LIMIT + 1, value=40.0, reference=2)
    arrays = desk.dump()
    again = Desk(desk.config)
    again.restore(arrays, lambda _: None)
    assert again.state.limits[:, 1].tolist() == [100.0, 40.0]
    word(again, Word.LIMIT + 2, value=5.0)
    assert again.state.limits[:, 1].tolist() == [100.0, 40.0]
    older = arrays | {"limits": arrays["limits"][0], "desk/limits": arrays["desk/limits"][0]}
    again = Desk(desk.config)
    again.restore(older, lambda _: None)
    assert again.state.limits[:, 1].tolist() == [100.0, 100.0]


def test_limits_come_back_from_their_array():
    """What is not set stays not set."""
    assert Limits.of(LIMITS.as_array()) == LIMITS
    assert Limits.of(Limits().as_array()) == Limits()


def test_halts_reach_what_they_cover(desk, pipelines):
    """Everything, one instrument or one version; resuming lifts exactly that."""
    desk.crown(pipelines[0])
    for scope, halted in (
        (Scope.everything(), lambda: desk.state.account["halted"][0]),
        (Scope.instrument(1), lambda: desk.state.positions["halted"][1]),
        (Scope.version(pipelines[0].number), lambda: pipelines[0].halted),
    ):
        word(desk, Word.HALT, scope=scope)
        assert halted()
        assert desk.scopes == {scope}
        word(desk, Word.RESUME, scope=scope)
        assert not halted()
    assert desk.scopes == set()


def test_halted_version_stays_halted_when_it_comes_in(desk, versions):
    """A halt that came while a version was getting ready holds when it takes its role."""
    waiting = desk.make_pipeline(versions[1])
    word(desk, Word.HALT, scope=Scope.version(versions[1].number))
    desk.crown(waiting)
    assert waiting.halted
    desk.crown(desk.make_pipeline(versions[0]))
    assert desk.champion is not None
    assert not desk.champion.halted


def test_only_a_resume_of_everything_unlatches(desk):
    """Lifting the halt of one instrument does not re-enable a strategy that repeated itself."""
    desk.state.account["latched"] = 1
    word(desk, Word.RESUME, scope=Scope.instrument(0))
    assert desk.state.account["latched"][0] == 1
    word(desk, Word.RESUME, scope=Scope.everything())
    assert desk.state.account["latched"][0] == 0


@pytest.mark.parametrize("scope", [Scope.everything(), Scope.instrument(1), Scope.version(2**64 - 1)])
def test_scopes_survive_their_event(scope):
    """A halt on the tape covers what it covered."""
    assert scope_of(control_event(5, Word.HALT, 1, scope=scope)[0]) == scope


def test_own_inputs_are_told_from_a_feeds():
    """Answers and control events are the engine's own, unless a feed forged them."""
    events = np.concatenate([market(1), control_event(5, Word.HALT, 1)])
    assert is_own(events).tolist() == [False, False, True]
    events["flags"][2] = 110
    assert not is_own(events).any()
    events["flags"] = [0, 111, 110]
    assert is_own(events).tolist() == [False, True, False]


def test_state_survives_dump_and_restore_on_a_fresh_desk(desk, versions, pipelines):
    """Roster, halts, limits, positions and features come back."""
    desk.crown(pipelines[0])
    desk.crown(pipelines[1])
    desk.add_shadow(pipelines[2])
    word(desk, Word.HALT, scope=Scope.instrument(1))
    word(desk, Word.LIMIT, value=5.0)
    desk.state.positions["quantity"][0] = 7.0
    other = Desk(config_in(desk.dump()))
    other.restore(desk.dump(), {version.number: version for version in versions}.__getitem__)
    assert other.champion is not None
    assert other.previous is not None
    assert (other.champion.number, other.previous.number) == (versions[1].number, versions[0].number)
    assert list(other.shadows) == [versions[2].number]
    assert other.scopes == desk.scopes
    assert other.state.limits.tobytes() == desk.state.limits.tobytes()
    assert other.state.positions["quantity"][0] == 7.0


def test_checkpoint_of_other_instruments_is_refused():
    """State belongs to its list of instruments."""
    one, two = new_desk(INSTRUMENTS[:1]), new_desk(INSTRUMENTS)
    with pytest.raises(DataInvalid, match="start a new tape"):
        restore_desk(two, dump_desk(one))


def test_checkpoint_without_a_desk_is_refused():
    """A checkpoint that somebody else wrote is no desk."""
    with pytest.raises(DataInvalid, match="holds no desk"):
        config_in({"x": np.zeros(1)})


def test_dumps_keep_only_what_is_used():
    """Rings and tables are stored as far as they are filled."""
    desk = new_desk([Instrument(symbol="X")])
    desk.account["open_orders"], desk.account["orders_sent"] = 2, 3
    arrays = dump_desk(desk)
    assert (len(arrays["orders"]), len(arrays["sent"])) == (2, 3)


def test_refused_events_are_shown_to_the_venue_as_time_only(desk):
    """A late or broken bar must not fill an order; an admitted one is shown as it is."""
    events = market(2)
    events["values"][3, 3] = np.nan
    desk.inbox.load(events)
    shown = [desk.shown(place) for place in range(4)]
    assert [int(event["kind"]) for event in shown] == [Kind.BAR, Kind.BAR, Kind.BAR, Kind.TIMER]
    assert np.isnan(shown[3]["values"]).all()
    assert shown[3]["ts_event_ns"] == events["ts_event_ns"][3]
    assert desk.inbox.records["kind"][3] == Kind.BAR


def test_looking_at_a_price_does_not_confirm_it(desk):
    """Asking whether a jump would be admitted leaves the suspicion as it was."""
    desk.state.positions["mark"] = 1.0
    events = market(1)[1:]
    desk.inbox.load(events)
    assert desk.shown(0)["kind"] == Kind.TIMER
    assert desk.shown(0)["kind"] == Kind.TIMER
    assert np.isnan(desk.state.suspects).all()
