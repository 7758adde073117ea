"""Programs at work: one event, many events, checkpoints, and inside another kernel."""

import numpy as np
import pytest
from feature_market import BTC, DESK, ETH, bars, quotes, walk

from tradeworthy.core.errors import DataInvalid
from tradeworthy.core.events import Kind, event_dtype, events_from_columns, merge
from tradeworthy.core.kernel import entry, kernel
from tradeworthy.model.features import runtime
from tradeworthy.model.features.expressions import atr, bar, log_return, on, row, time_of_day_sin
from tradeworthy.model.features.kernel import NO_ROW, ROW_READY, ROW_WARMING, step
from tradeworthy.model.features.program import compile_program
from tradeworthy.model.features.runtime import FeatureState

PROGRAM = compile_program(
    {
        "volatility": log_return(bar.close).std(5),
        "high": bar.close.max(7) / bar.close,
        "range": atr(3),
        "btc": on("BTC", log_return(bar.close)),
        "hour": time_of_day_sin(),
    }
)


def market(n: int = 60):
    """Return ETH and BTC bars, merged."""
    return merge([bars(walk(n, 1)), bars(walk(n, 2), instrument=1)])


@kernel
def count_ready(table, state, events, row):
    """Step inside another kernel, over records; count the rows that were ready."""
    found = 0
    for i in range(events.shape[0]):
        event = events[i]
        if step(table, state, event.instrument, event.kind, event.ts_event_ns, event["values"], row) == ROW_READY:
            found += 1
    return found


def test_many_gives_complete_rows_and_their_events():
    """Rows start when every window is full; places name the events that gave them."""
    events = market()
    rows, places = FeatureState(PROGRAM, DESK).many(events)
    assert np.isfinite(rows).all()
    assert (events["instrument"][places] == 0).all()
    assert places[0] == 12  # the seventh bar of ETH, whose high needs seven
    assert len(rows) == len(places) == 54


def test_one_takes_events_of_any_width():
    """Events of two widths in turn, told apart by their instrument and kind, give the rows of the batch."""
    events = market()
    wide = np.zeros(len(events), event_dtype(20))
    for name in events.dtype.names:
        if name != "values":
            wide[name] = events[name]
    wide["values"], wide["values"][:, : events["values"].shape[1]] = np.nan, events["values"]
    alone = FeatureState(PROGRAM, DESK)
    rows = [alone.one((wide if place % 3 else events)[place]) for place in range(len(events))]
    found, places = FeatureState(PROGRAM, DESK).many(events)
    assert [place for place, row in enumerate(rows) if row is not None] == places.tolist()
    assert np.array([row for row in rows if row is not None]).tobytes() == found.tobytes()


def test_one_ignores_what_it_does_not_know():
    """An instrument beyond the desk's list, or a kind that no feature reads, gives no row and changes nothing."""
    state = FeatureState(PROGRAM, DESK)
    before = state.dump()
    event = market(3)[:1].copy()
    for instrument, kind in ((0xFFFF_FFFF, Kind.BAR), (0, Kind.TIMER), (0, 255)):
        event["instrument"], event["kind"] = instrument, int(kind)
        assert state.one(event[0]) is None
    assert all(np.array_equal(array, before[name], equal_nan=True) for name, array in state.dump().items())


def test_one_event_gives_a_row_or_none():
    """`one` answers None while warming and for events that ask for nothing."""
    state = FeatureState(PROGRAM, DESK)
    answers = [state.one(event) for event in market()]
    assert [answer is not None for answer in answers[:14]] == [False] * 12 + [True, False]
    assert answers[12].shape == (5,)
    assert answers[12] is not answers[14]


def test_one_and_many_give_the_same_bits():
    """A live event and history run the same kernel."""
    events = market()
    state = FeatureState(PROGRAM, DESK)
    live = np.array([row for event in events if (row := state.one(event)) is not None])
    rows, _ = FeatureState(PROGRAM, DESK).many(events)
    assert live.tobytes() == rows.tobytes()


def test_step_says_what_became_of_the_event():
    """The kernel's three answers, and rows filled even while warming."""
    state = FeatureState(PROGRAM, DESK)
    out = np.empty(5)
    call = entry(step, state.table, state.state, 0, 1, 1, np.ones(5), out)
    assert call(state.table, state.state, 0, int(Kind.BAR), 1, np.ones(5), out) == ROW_WARMING
    assert np.isnan(out[0])
    for instrument, kind in ((0, Kind.QUOTE), (1, Kind.BAR), (2, Kind.BAR), (-1, Kind.BAR), (0, 99), (0, -1)):
        assert call(state.table, state.state, instrument, int(kind), 1, np.ones(5), out) == NO_ROW


def test_step_composes_into_another_kernel():
    """The engine's kernel calls `step` on records and sees what Python sees."""
    events = market()
    state, out = FeatureState(PROGRAM, DESK), np.empty(5)
    assert count_ready(state.table, state.state, events, out) == 54
    rows, _ = FeatureState(PROGRAM, DESK).many(events)
    assert out.tobytes() == rows[-1].tobytes()


def test_a_restored_state_goes_on_with_the_same_bits():
    """Stop anywhere, dump, restore elsewhere: the rest comes out the same."""
    events = market()
    whole, _ = FeatureState(PROGRAM, DESK).many(events)
    for cut in (0, 1, 13, 60, 119):
        first, second = FeatureState(PROGRAM, DESK), FeatureState(PROGRAM, DESK)
        early, _ = first.many(events[:cut])
        second.restore(first.dump())
        late, places = second.many(events[cut:])
        assert np.concatenate([early, late]).tobytes() == whole.tobytes()
        assert len(places) == 0 or places[0] >= 0


def test_a_copy_goes_its_own_way():
    """A copy shares nothing: stepping one leaves the other where it was."""
    state = FeatureState(PROGRAM, DESK)
    state.many(market(30))
    before = state.dump()
    state.copy().many(market(10))
    for name, array in state.dump().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_state_of_another_program_is_refused():
    """Restoring checks the shapes, changes nothing on refusal, and says what to do."""
    state = FeatureState(PROGRAM, DESK)
    other = FeatureState(compile_program({"x": bar.close.std(100)}), DESK)
    with pytest.raises(DataInvalid, match="restore with the program and desk that wrote it"):
        state.restore(other.dump())
    with pytest.raises(DataInvalid, match="'words' do not fit"):
        state.restore({"numbers": state.state.numbers.copy()})


def test_restoring_keeps_the_arrays():
    """Kernels that hold the state keep seeing it."""
    state = FeatureState(PROGRAM, DESK)
    held = state.state
    state.restore(state.dump())
    assert state.state is held


def test_a_dump_is_a_copy():
    """A checkpoint does not change with the state that it was taken from."""
    state = FeatureState(PROGRAM, DESK)
    dump = state.dump()
    state.many(market(10))
    assert not np.array_equal(dump["words"], state.state.words)


def test_no_events_give_no_rows():
    """An empty batch is a batch."""
    rows, places = FeatureState(PROGRAM, DESK).many(market()[:0])
    assert rows.shape == (0, 5)
    assert places.shape == (0,)


def test_batches_larger_than_a_chunk_are_folded_whole(monkeypatch):
    """The chunk bounds memory, not the answer."""
    events = market()
    whole, where = FeatureState(PROGRAM, DESK).many(events)
    monkeypatch.setattr(runtime, "CHUNK", 7)
    rows, places = FeatureState(PROGRAM, DESK).many(events)
    assert rows.tobytes() == whole.tobytes()
    np.testing.assert_array_equal(places, where)


def test_events_too_narrow_for_the_program_are_refused():
    """A program over eight row fields needs events that carry eight."""
    program = compile_program({"x": row("h")}, trigger=Kind.ROW, row_fields=tuple("abcdefgh"))
    with pytest.raises(DataInvalid, match="carry 5 values, the program reads 8"):
        FeatureState(program, DESK).many(quotes([1.0]))
    state, out = FeatureState(program, DESK), np.empty(1)
    narrow = entry(step, state.table, state.state, 0, 1, 1, np.ones(5), out)
    assert narrow(state.table, state.state, 0, int(Kind.ROW), 1, np.ones(5), out) == ROW_WARMING
    assert np.isnan(out[0])


def test_wide_events_carry_rows():
    """Events may be wider than the market's five fields."""
    names = tuple("abcdefgh")
    columns = {name: [float(i)] for i, name in enumerate(names)}
    events = events_from_columns(Kind.ROW, 0, np.array([5]), columns, names=names)
    program = compile_program({"x": row("h") + row("a")}, trigger=Kind.ROW, row_fields=names)
    rows, _ = FeatureState(program, DESK).many(events)
    assert rows.tolist() == [[7.0]]
    assert FeatureState(program, DESK).one(events[0]).tolist() == [7.0]


def test_memory_grows_with_traded_instruments_only():
    """A read-only instrument costs a route, not a block."""
    one = FeatureState(PROGRAM, (ETH, BTC)).state.numbers.size
    watched = tuple(BTC for _ in range(50))
    assert FeatureState(PROGRAM, (ETH, *watched)).state.numbers.size == one
