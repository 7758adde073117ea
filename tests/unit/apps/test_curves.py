"""Curves of a desk: price, fills, equity."""

import numpy as np
import pytest

from tradeworthy.apps.dashboard import curves as module
from tradeworthy.apps.dashboard.curves import WANTS, Curves, Line, Wanted, forward_filled, price_of
from tradeworthy.core.decisions import DECISION, Role
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.events import Kind, events_from_columns, merge
from tradeworthy.core.instruments import Instrument

A, B = Instrument(symbol="A"), Instrument(symbol="B", multiplier=10.0)


def bars(instrument, stamps, closes):
    flat = {name: np.asarray(closes, float) for name in ("open", "high", "low", "close")}
    columns = flat | {"volume": np.ones(len(closes))}
    return events_from_columns(Kind.BAR, instrument, np.asarray(stamps, np.int64), columns)


def fills(instrument, stamps, quantities, prices, fees):
    columns = {"quantity": quantities, "price": prices, "fee": fees, "execution": np.arange(1.0, 1.0 + len(fees))}
    return events_from_columns(Kind.FILL, instrument, np.asarray(stamps, np.int64), columns)


def quotes(stamp, bid, ask, kind=Kind.QUOTE):
    """Return one quote, or a book of one level, which is laid out as one."""
    columns = {"bid": [bid], "ask": [ask], "bid_size": [1.0], "ask_size": [1.0]}
    events = events_from_columns(Kind.QUOTE, 0, np.array([stamp]), columns)
    events["kind"] = kind
    return events


def test_equity_is_cash_and_what_is_held_at_the_last_price():
    """Bought at 10 with a fee of 1, worth 12 later, of two instruments with their multipliers."""
    events = merge([bars(0, [1, 3, 5], [10, 12, 11]), fills(0, [2], [2.0], [10.0], [1.0]), bars(1, [4], [7])])
    events = merge([events, fills(1, [4], [-1.0], [7.0], [0.5])])
    drawn = Curves([A, B])
    drawn.take(events)
    assert dict(zip(drawn.equity.ts_ns.tolist(), drawn.equity.values.tolist(), strict=True)) == {
        1: 0.0,
        3: 3.0,
        4: 3.0,
        5: 0.5,
    }


def test_taking_in_parts_draws_the_same():
    """However the tape is sliced, the curves agree."""
    rng = np.random.default_rng(3)
    stamps = np.arange(400)
    events = merge(
        [
            bars(0, stamps, 100 + rng.standard_normal(400).cumsum()),
            bars(1, stamps, 50 + rng.standard_normal(400).cumsum()),
            fills(0, stamps[5::7], rng.standard_normal(57), rng.uniform(90, 110, 57), np.full(57, 0.1)),
        ]
    )
    whole, parts = Curves([A, B]), Curves([A, B])
    whole.take(events)
    for start in range(0, len(events), 37):
        parts.take(events[start : start + 37])
    np.testing.assert_allclose(parts.equity.values, whole.equity.values, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(parts.prices[1].values, whole.prices[1].values)
    np.testing.assert_array_equal(parts.trades[0].ts_ns, whole.trades[0].ts_ns)


def test_refused_and_unknown_inputs_are_not_drawn():
    """An event with a flag, or of an instrument that the desk does not have, leaves no point."""
    events = bars(0, [1, 2], [10, 99])
    events["flags"][1] = 104
    drawn = Curves([A])
    drawn.take(events)
    drawn.take(bars(7, [3], [5]))
    assert drawn.prices[0].values.tolist() == [10.0]


def test_too_many_points_are_thinned_without_losing_an_extreme(monkeypatch):
    """Memory is bounded; the highest and the lowest stay."""
    monkeypatch.setattr(module, "POINTS_MAX", 4_000)
    line, rng = Line(), np.random.default_rng(1)
    values = rng.standard_normal(30_000)
    values[12_345], values[23_456] = 9.0, -9.0
    for start in range(0, 30_000, 1_000):
        line.add(np.arange(start, start + 1_000), values[start : start + 1_000])
    assert line.ts_ns.size <= 4_000
    assert line.values.max() == 9.0
    assert line.values.min() == -9.0
    assert np.all(np.diff(line.ts_ns) >= 0)


@pytest.mark.parametrize(("from_ns", "to_ns", "seen"), [(None, None, [1, 2, 3, 4]), (2, 3, [2, 3]), (9, None, [])])
def test_a_stretch_is_cut_out(from_ns, to_ns, seen):
    """Only what lies within the stretch is returned."""
    line = Line()
    line.add(np.array([1, 2, 3, 4]), np.array([5.0, 6.0, 7.0, 8.0]))
    assert line.seen(from_ns, to_ns, 100)[0].tolist() == seen


def test_prices_of_every_kind():
    """A bar's close, a trade's price, the middle of a quote or book; nothing of a fill."""
    trade = events_from_columns(Kind.TRADE, 0, np.array([2]), {"price": [5.0], "size": [1.0], "side": [1.0]})
    events = merge(
        [
            bars(0, [1], [3]),
            trade,
            quotes(3, 4.0, 6.0),
            quotes(4, 6.0, 8.0, Kind.BOOK),
            fills(0, [5], [1.0], [5.0], [0.0]),
        ]
    )
    np.testing.assert_array_equal(price_of(events), [3.0, 5.0, 5.0, 7.0, np.nan])


def test_a_desk_on_books_has_a_price_and_an_equity():
    """A position bought at 5 is worth the middle of the next book."""
    curves = Curves([A])
    curves.take(merge([fills(0, [1], [1.0], [5.0], [0.0]), quotes(2, 6.0, 8.0, Kind.BOOK)]))
    assert curves.prices[0].values.tolist() == [7.0]
    assert curves.equity.values.tolist() == [2.0]


def test_gaps_are_filled_from_before():
    """A NaN takes the last number, and what was known before at the beginning."""
    filled = forward_filled(np.array([np.nan, 2.0, np.nan, 4.0]), 1.0)
    assert filled.tolist() == [1.0, 2.0, 2.0, 4.0]


def decisions(stamps, targets, *, verdict=0, role=Role.CHAMPION, instrument=0):
    """Return decisions at these times that wanted these positions; each one's sequence is ten times its time."""
    made = np.zeros(len(stamps), DECISION)
    made["ts_event_ns"], made["sequence"] = stamps, 10 * np.asarray(stamps)
    made["target"], made["verdict"], made["role"], made["instrument"] = targets, verdict, role, instrument
    return made


def test_each_decision_is_counted_by_what_it_wanted():
    """Long, flat, short; one that was refused is that, whatever it wanted, and also where it wanted nothing known."""
    wanted = Wanted()
    wanted.add(decisions([1, 2, 3], [2.0, 0.0, -1.0]))
    wanted.add(decisions([4, 5], [3.0, np.nan], verdict=DenialCode.HALTED))
    ts_ns, sequences, counts = wanted.seen(None, None, 1_000)
    assert (ts_ns.tolist(), sequences.tolist()) == ([1, 2, 3, 4, 5], [10, 20, 30, 40, 50])
    assert [WANTS[row.argmax()] for row in counts] == ["long", "flat", "short", "refused", "refused"]


def test_a_column_of_pixels_counts_all_of_its_decisions():
    """Fewer columns than decisions: none is left out, each column names its last, and time does not go back."""
    rng = np.random.default_rng(5)
    stamps, targets = np.sort(rng.integers(0, 10**15, 100_000)), rng.integers(-1, 2, 100_000)
    wanted = Wanted()
    wanted.add(decisions(stamps, targets))
    ts_ns, sequences, counts = wanted.seen(None, None, 900)
    assert len(ts_ns) <= 901
    assert counts.sum(axis=0).tolist() == [int((targets == side).sum()) for side in (1, 0, -1)] + [0]
    assert (np.diff(ts_ns) > 0).all()
    assert (sequences == 10 * ts_ns).all()
    middle = int(stamps[50_000])
    assert wanted.seen(middle, None, 900)[2].sum() == 50_000
    assert wanted.seen(None, middle, 900)[2].sum() == 50_001


def test_a_stretch_without_decisions_is_empty():
    """Nothing there, nothing at all, and one single moment."""
    wanted = Wanted()
    assert [len(part) for part in wanted.seen(None, None, 10)] == [0, 0, 0]
    wanted.add(decisions([7, 7], [1.0, -1.0]))
    assert [len(part) for part in wanted.seen(8, 9, 10)] == [0, 0, 0]
    assert wanted.seen(7, 7, 10)[2].tolist() == [[1, 0, 1, 0]]


def test_too_many_decisions_are_counted_together(monkeypatch):
    """Memory is bounded; the count of each kind and the last decision stay what they were."""
    monkeypatch.setattr(module, "POINTS_MAX", 100)
    wanted = Wanted()
    for start in range(0, 1_001, 77):
        stamps = np.arange(start, min(start + 77, 1_001))
        wanted.add(decisions(stamps, np.where(stamps % 3 == 0, 1.0, -1.0)))
    assert wanted.ts_ns.size <= 177
    ts_ns, sequences, counts = wanted.seen(None, None, 50)
    assert counts.sum(axis=0).tolist() == [334, 0, 667, 0]
    assert (ts_ns[-1], sequences[-1]) == (1_000, 10_000)


def test_only_those_that_act_are_drawn_each_with_its_instrument():
    """A shadow's opinion is not a decision of the desk; another instrument's has a place of its own."""
    drawn = Curves([A, B])
    drawn.take_decisions(
        np.concatenate(
            [
                decisions([1, 2], [1.0, 1.0]),
                decisions([2], [-1.0], role=Role.SHADOW),
                decisions([3], [-1.0], instrument=1),
                decisions([4], [1.0], instrument=9),
            ]
        )
    )
    assert [wanted.counts.sum(axis=0).tolist() for wanted in drawn.wanted] == [[2, 0, 0, 0], [0, 0, 1, 0]]
