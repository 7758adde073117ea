"""Staging, steering and reconciliation: how versions come in, and what open orders become after a restart."""

import threading

import numpy as np
import pytest

from tradeworthy.core.decisions import ORDER
from tradeworthy.core.errors import BundleRefused, NotFound
from tradeworthy.core.events import Kind, Word
from tradeworthy.core.time import VirtualClock
from tradeworthy.live.control import ControlBlock, Scope
from tradeworthy.live.desk import Desk, desk_config
from tradeworthy.live.pipeline import Pipeline
from tradeworthy.live.reconcile import NEVER_SENT, NOT_AT_VENUE, reconcile
from tradeworthy.live.recorder import Recorder
from tradeworthy.live.risk.judge import send_order
from tradeworthy.live.staging import Staging, load_checked, warm_between
from tradeworthy.live.state import CheckSettings, hold_desk
from tradeworthy.live.steering import Steering
from tradeworthy.record.tape import TapeReader, TapeWriter
from tradeworthy.testing.desks import INSTRUMENTS, LIMITS, START_NS, Shelf, market


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    for seed in range(2):
        shelf.make(seed)
    return shelf


@pytest.fixture
def desk():
    return Desk(desk_config(INSTRUMENTS, CheckSettings(), 0, 64))


@pytest.fixture
def recorder(tmp_path, desk):
    tape = TapeWriter.open(tmp_path / "tape", clock=VirtualClock(START_NS))
    yield Recorder(tape, desk.inbox)
    tape.close()


@pytest.fixture
def block(tmp_path):
    return ControlBlock(tmp_path / "control")


def staging_of(shelf, desk, recorder, **changes: object):
    """Return a staging that works at once, unless told otherwise."""
    return Staging(shelf.load, desk.make_pipeline, recorder.tape.folder, **{"background": False, **changes})


def steering_of(desk, block, staging, limits=lambda: LIMITS):
    """Return a steering over a desk."""
    return Steering(desk, block, limits=limits, staging=staging, clock=VirtualClock(1), warm_from=lambda: 0)


def steer(steering, desk):
    """Apply every wish, and return its words and references."""
    done = []
    for event in steering.wishes():
        desk.apply(event[0], steering.pipeline)
        done.append((int(event["values"][0, 0]), int(event["reference"][0])))
    return done


def test_staged_version_has_seen_the_tape(shelf, desk, recorder):
    """Its features are those of a state that folded the same inputs, also those that came while it got ready."""
    events = market(60, seed=2)
    recorder.inputs(events[:80].copy())
    staging = staging_of(shelf, desk, recorder)
    number = next(iter(shelf.versions))
    staging.want(number, 0)
    staging.collect()
    recorder.inputs(events[80:].copy())
    staged = staging.take(number)
    assert staged is not None
    staged.catch_up()
    expected = Pipeline.alone(shelf.load(number), INSTRUMENTS)
    expected.warm(events)
    for name, array in expected.features.dump().items():
        assert array.tobytes() == staged.pipeline.features.dump()[name].tobytes()


def test_replay_warms_as_staging_did(shelf, desk, recorder):
    """The same stretch of tape gives the same features."""
    events = market(60, seed=2)
    first = recorder.inputs(events.copy())
    number = next(iter(shelf.versions))
    pipeline, expected = (Pipeline.alone(shelf.load(number), INSTRUMENTS) for _ in range(2))
    warm_between(pipeline, TapeReader(recorder.tape.folder), first + 9, first + 50)
    expected.warm(events[10:50])
    for name, array in expected.features.dump().items():
        assert array.tobytes() == pipeline.features.dump()[name].tobytes()


def test_version_that_fails_to_load_is_refused_with_its_reason(shelf, desk, recorder):
    """The reason is kept until nobody asks for it any more."""
    staging = staging_of(shelf, desk, recorder)
    staging.want(99, 0)
    staging.collect()
    assert "NotFound" in staging.refused[99]
    assert staging.take(99) is None
    staging.forget({99})
    assert staging.refused
    staging.forget(set())
    assert not staging.refused


@pytest.mark.parametrize("error", [MemoryError("8 GB"), ModuleNotFoundError("No module named 'onnxruntime'")])
def test_a_version_that_this_machine_cannot_hold_or_run_is_refused(shelf, desk, recorder, error):
    """No room for it, or no package that runs it: the version before keeps serving."""

    def too_much(number: int) -> object:
        raise error

    staging = Staging(too_much, desk.make_pipeline, recorder.tape.folder, background=False)
    staging.want(1, 0)
    staging.collect()
    assert staging.refused == {1: f"{type(error).__name__}: {error}"}


def test_programmers_errors_are_not_swallowed(shelf, desk, recorder):
    """Only operating errors refuse a version; a bug stops the engine."""

    def broken(number: int) -> object:
        raise ZeroDivisionError(number)

    staging = Staging(broken, desk.make_pipeline, recorder.tape.folder, background=False)
    staging.want(1, 0)
    with pytest.raises(ZeroDivisionError):
        staging.collect()


def test_background_staging_does_not_hold_up_the_caller(shelf, desk, recorder):
    """While a version loads, `want` and `collect` return at once."""
    gate = threading.Event()

    def slow(number: int) -> object:
        gate.wait(10)
        return shelf.load(number)

    recorder.inputs(market(1).copy())
    staging = Staging(slow, desk.make_pipeline, recorder.tape.folder)
    number = next(iter(shelf.versions))
    staging.want(number, 0)
    staging.want(number, 0)
    staging.collect()
    assert staging.pending
    assert staging.warm_from(number) is None
    gate.set()
    staging.wait(number)
    staging.collect()
    assert not staging.pending
    assert staging.warm_from(number) == 0
    staging.close()


def test_another_version_than_asked_for_is_refused(shelf):
    """A registry that mixes up its versions is noticed."""
    number = next(iter(shelf.versions))
    with pytest.raises(BundleRefused, match="asked for version"):
        load_checked(lambda _: shelf.load(number), number + 1)


def test_first_steering_brings_limits_and_champion(shelf, desk, recorder, block):
    """A new desk takes the limits that are set, then the champion; a second look finds nothing to do."""
    number = next(iter(shelf.versions))
    block.set_champion(number)
    steering = steering_of(desk, block, staging_of(shelf, desk, recorder))
    recorder.inputs(market(1).copy())
    assert steering.due
    done = steer(steering, desk)
    assert done == [*((Word.LIMIT + place, 0) for place in range(10)), (Word.CHAMPION, number)]
    assert not steering.due
    assert steer(steering, desk) == []


def test_halts_come_before_everything(shelf, desk, recorder, block):
    """What is refused must be refused first."""
    block.set_champion(next(iter(shelf.versions)))
    block.halt(Scope.instrument(1))
    block.halt()
    recorder.inputs(market(1).copy())
    done = steer(steering_of(desk, block, staging_of(shelf, desk, recorder)), desk)
    assert [word for word, _ in done[:2]] == [Word.HALT, Word.HALT]


def test_resume_without_halt_is_still_an_event(shelf, desk, recorder, block):
    """It is how a person re-enables a strategy that repeated itself."""
    steering = steering_of(desk, block, staging_of(shelf, desk, recorder))
    steer(steering, desk)
    desk.state.account["latched"] = 1
    block.resume()
    assert steer(steering, desk) == [(Word.RESUME, 0)]
    assert desk.state.account["latched"][0] == 0


def test_resume_does_not_lift_a_halt_that_came_after(shelf, desk, recorder, block):
    """Of a resume and a later halt the halt stands."""
    steering = steering_of(desk, block, staging_of(shelf, desk, recorder))
    steer(steering, desk)
    block.resume()
    block.halt()
    assert steer(steering, desk) == [(Word.HALT, 0)]
    assert desk.scopes == {Scope.everything()}


def test_only_changed_limits_are_events(shelf, desk, recorder, block):
    """A limit that stays is not written again; one that is taken away becomes missing."""
    limits = [LIMITS]
    steering = steering_of(desk, block, staging_of(shelf, desk, recorder), lambda: limits[0])
    steer(steering, desk)
    limits[0] = type(LIMITS)(order_value_max=1.0, order_quantity_max=LIMITS.order_quantity_max)
    assert steer(steering, desk) == []
    block.limits_changed()
    words = [word - Word.LIMIT for word, _ in steer(steering, desk)]
    assert words == [0, 1, 3, 4, 5, 6, 7, 8, 9]
    assert np.isnan(desk.set_limits[0, 0])


def test_shadows_come_and_go(shelf, desk, recorder, block):
    """Each wish is one event."""
    first, second = shelf.versions
    recorder.inputs(market(1).copy())
    block.set_champion(first)
    steering = steering_of(desk, block, staging_of(shelf, desk, recorder))
    steer(steering, desk)
    block.add_shadow(second)
    assert steer(steering, desk) == [(Word.SHADOW_ADDED, second)]
    block.remove_shadow(second)
    assert steer(steering, desk) == [(Word.SHADOW_REMOVED, second)]


class Listing:
    """A venue that lists what it has."""

    def __init__(self, *open_orders: int) -> None:
        self._open = open_orders

    def open_orders(self):
        orders = np.zeros(len(self._open), ORDER)
        orders["decision"] = self._open
        return orders


class Forgetful:
    """A venue that takes its orders back from the record."""

    def __init__(self) -> None:
        self.restored = np.zeros(0, ORDER)

    def restore(self, orders):
        self.restored = orders


@pytest.fixture
def resting(desk, recorder):
    """Three open orders: 5 and 6 were sent, of 6 a part is filled; 7 has no record."""
    for name, quantity in ((5, 1.0), (6, 2.0), (7, 4.0)):
        send_order(hold_desk(desk.state), 0, quantity, 300.0, name)
        desk.name_order(name)
    desk.state.orders["remaining"][1] = 0.5
    orders = np.zeros(2, ORDER)
    orders["decision"], orders["quantity"] = (5, 6), (1.0, 2.0)
    recorder._orders.append(orders)
    return TapeReader(recorder.tape.folder)


def rejects_of(answers):
    """Return which orders are rejected, and why."""
    assert (answers["kind"] == Kind.REJECT).all()
    return sorted(zip(answers["reference"].tolist(), answers["values"][:, 0].tolist(), strict=True))


def test_order_without_a_record_was_never_sent(desk, resting):
    """It is closed; orders that were sent stay where nobody can tell."""
    assert rejects_of(reconcile(desk, resting, object(), 1)) == [(7, NEVER_SENT)]


def test_venue_that_lists_is_believed(desk, resting):
    """What it does not list is closed."""
    assert rejects_of(reconcile(desk, resting, Listing(6), 1)) == [(5, NOT_AT_VENUE), (7, NEVER_SENT)]


def test_paper_venue_gets_back_what_is_left(desk, resting):
    """The rest of a partly filled order, not the whole."""
    venue = Forgetful()
    assert rejects_of(reconcile(desk, resting, venue, 1)) == [(7, NEVER_SENT)]
    assert venue.restored["decision"].tolist() == [5, 6]
    assert venue.restored["quantity"].tolist() == [1.0, 0.5]


def test_nothing_open_needs_no_venue(desk, recorder):
    """A desk at rest is not reconciled."""
    assert len(reconcile(desk, TapeReader(recorder.tape.folder), Listing(), 1)) == 0


def test_unready_version_is_not_let_in(shelf, desk, recorder, block):
    """A control event for a version that nobody staged is a programmer's error."""
    steering = steering_of(desk, block, staging_of(shelf, desk, recorder))
    block.set_champion(next(iter(shelf.versions)))
    event = next(iter([event for event in steering.wishes() if event["values"][0, 0] < Word.LIMIT]), None)
    assert event is not None
    event["reference"] = 1
    with pytest.raises((LookupError, NotFound)):
        desk.apply(event[0], steering.pipeline)
