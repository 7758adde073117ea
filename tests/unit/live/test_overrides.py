"""Overrides of a hard block: one order passes one check, once, and a replay gives the same orders."""

import msgspec
import numpy as np
import pytest

from tradeworthy.core.denials import DenialCode
from tradeworthy.core.events import Kind, Word
from tradeworthy.core.limits import LIMIT_FIELDS, Override, ScopedLimits
from tradeworthy.live.desk import control_event
from tradeworthy.live.overrides import Allowed, End, Overrides
from tradeworthy.live.replay import replay
from tradeworthy.record.reader import TapeReader
from tradeworthy.testing.desks import LIMITS, Shelf, SmallDesk, market

VALUE = LIMIT_FIELDS.index("order_value_max")
EVENTS = market(400, seed=4)
HALF = len(EVENTS) // 2
LATE = int(EVENTS["ts_event_ns"][-1]) + 10**18


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    made = Shelf(tmp_path_factory.mktemp("shelf"))
    made.make(0)
    return made


def tight(value=1.0, overrides=()):
    """Return limits under which no order of any size passes, with these exceptions."""
    return ScopedLimits(msgspec.structs.replace(LIMITS, order_value_max=value), {}, tuple(overrides))


def decided(folder, after=0):
    return TapeReader(folder / "tape").read("decisions", after=after)


def controls(folder):
    """Return the control events about overrides."""
    inputs = TapeReader(folder / "tape").read("inputs")
    words = inputs["values"][:, 0]
    return inputs[(inputs["kind"] == Kind.CONTROL) & np.isin(words, (Word.OVERRIDE, Word.OVERRIDE_ENDED))]


def refused_by_value(made):
    """Return the decisions that the limit on an order's value refused."""
    return made[made["verdict"] == DenialCode.ORDER_VALUE]


def allow(desk, denied, *, until_ns=LATE, limit=np.inf):
    """Let a refused order pass, as two people would."""
    override = Override(int(denied["sequence"]), int(denied["instrument"]), VALUE, limit, until_ns)
    desk.limits = tight(overrides=[override])
    desk.control.limits_changed()
    return override


def test_one_order_passes_and_the_next_is_refused_again(tmp_path, shelf):
    """The first order of that instrument is sent; the limit stands again before the next event; replay agrees."""
    with SmallDesk(tmp_path, shelf=shelf, limits=tight()) as desk:
        desk.run(EVENTS[:HALF])
        denied = refused_by_value(decided(tmp_path))[-1]
        assert desk.engine.counters.orders == 0
        allow(desk, denied)
        desk.run(EVENTS[HALF:])
        assert desk.engine.counters.orders == 1
        (ended,) = desk.engine.desk.overrides.ended()
    made = decided(tmp_path, int(denied["sequence"]))
    (sent,) = made[made["quantity"] != 0.0]
    assert sent["instrument"] == denied["instrument"]
    assert (ended.order, ended.end, ended.sent) == (denied["sequence"], End.SENT, sent["sequence"])
    assert len(refused_by_value(made[made["sequence"] > sent["sequence"]])) > 0
    first, over = controls(tmp_path)
    assert first["reference"] == over["reference"] == denied["sequence"]
    assert (first["values"][0], over["values"][:2].tolist()) == (Word.OVERRIDE, [Word.OVERRIDE_ENDED, End.SENT])
    later = made[made["sequence"] > sent["sequence"]]
    assert sent["sequence"] < over["sequence"] < later["sequence"][0]
    assert replay(tmp_path / "tape", shelf.load).identical


def test_only_that_check_of_that_instrument_is_wider(tmp_path, shelf):
    """Whatever else refuses still does: another instrument, another limit, a value beyond what was allowed."""
    with SmallDesk(tmp_path, shelf=shelf, limits=tight()) as desk:
        desk.run(EVENTS[:HALF])
        denied = refused_by_value(decided(tmp_path))[-1]
        allow(desk, denied, limit=2.0)
        desk.engine.look_up()
        limits = desk.engine.desk.state.limits
        mine = int(denied["instrument"])
        assert limits[mine, VALUE] == 2.0
        others = np.delete(limits[:, VALUE], mine)
        assert (others == 1.0).all()
        assert np.array_equal(np.delete(limits[mine], VALUE), np.delete(limits[1 - mine], VALUE))
        desk.run(EVENTS[HALF:])
        assert desk.engine.counters.orders == 0
        assert len(desk.engine.desk.overrides.active()) == 1


def test_its_time_is_over_before_the_next_event(tmp_path, shelf):
    """An order that comes after it is refused."""
    with SmallDesk(tmp_path, shelf=shelf, limits=tight()) as desk:
        desk.run(EVENTS[:HALF])
        denied = refused_by_value(decided(tmp_path))[-1]
        allow(desk, denied, until_ns=desk.clock.now_ns() + 1)
        desk.engine.look_up()
        assert len(desk.engine.desk.overrides.active()) == 1
        desk.run(EVENTS[HALF:])
        assert desk.engine.counters.orders == 0
        (ended,) = desk.engine.desk.overrides.ended()
    assert (ended.end, ended.sent) == (End.EXPIRED, 0)
    assert replay(tmp_path / "tape", shelf.load).identical


def test_an_engine_that_starts_again_ends_what_was_begun(tmp_path, shelf):
    """It may have been used already: it is over, and does not begin a second time."""
    with SmallDesk(tmp_path, shelf=shelf, limits=tight()) as desk:
        desk.run(EVENTS[:HALF])
        override = allow(desk, refused_by_value(decided(tmp_path))[-1])
        desk.engine.look_up()
        clock = desk.clock
    with SmallDesk(tmp_path, shelf=shelf, clock=clock, limits=tight(overrides=[override])) as desk:
        desk.run(EVENTS[HALF:])
        assert desk.engine.counters.orders == 0
        (ended,) = desk.engine.desk.overrides.ended()
    assert (ended.order, ended.end) == (override.order, End.RESTARTED)
    assert controls(tmp_path)["values"][:, 0].tolist() == [Word.OVERRIDE, Word.OVERRIDE_ENDED]
    assert replay(tmp_path / "tape", shelf.load).identical


def begun(order, instrument, check, limit):
    """Return the control event that begins an override."""
    event = control_event(5, Word.OVERRIDE, 1, value=limit, reference=order)
    event["values"][0, 2:4] = instrument, check
    return event[0]


def test_a_limit_that_is_missing_stays_missing_and_none_gets_tighter():
    """Fail closed; and an override never takes away what was allowed before it."""
    overrides, window = Overrides(), LIMIT_FIELDS.index("duplicate_window_ms")
    for order, (check, limit) in enumerate([(VALUE, 5.0), (window, 5.0), (window, 50.0), (0, 5.0)], 1):
        assert overrides.hear(begun(order, 0, check, limit))
    limits = np.full((2, len(LIMIT_FIELDS)), 10.0)
    limits[0, 0] = np.nan
    overrides.widen(limits)
    assert limits[0, VALUE] == 10.0
    assert limits[0, window] == 5.0
    assert np.isnan(limits[0, 0])
    assert (limits[1] == 10.0).all()


def test_a_checkpoint_keeps_them(tmp_path):
    """Those in force and those that are over; a checkpoint of an older release has none."""
    overrides, other = Overrides(), Overrides()
    overrides.hear(begun(7, 1, VALUE, 5.5))
    overrides.hear(begun(2**52 + 1, 0, VALUE, np.inf))
    ended = control_event(5, Word.OVERRIDE_ENDED, 1, value=End.SENT, reference=7)
    ended["values"][0, 2] = 99
    assert overrides.hear(ended[0])
    other.restore(overrides.dump())
    assert other.ended() == [Allowed(7, 1, VALUE, 5.5, End.SENT, 99)]
    assert other.active() == [Allowed(2**52 + 1, 0, VALUE, np.inf)]
    assert 7 in other
    other.restore({})
    assert (other.active(), other.ended()) == ([], [])
    assert not other.hear(control_event(5, Word.SIZE, 1, value=0.5)[0])
