"""Tampering with market data: what is asked for is changed, and nothing else."""

import numpy as np
import pytest

from tradeworthy.core.events import Kind, book_fields, events_from_columns, merge
from tradeworthy.live.feeds.tampering import Spoof, spike, spoof, stale, wash

TIMES = np.array([10, 20, 30])
NAN = float("nan")


def books():
    """Return three books of two levels; the last has one bid level only."""
    rows = np.array([[99, 101, 1, 2, 98, 102, 3, 4]] * 3, np.float64)
    rows[2, [4, 6]] = NAN, 0.0
    return events_from_columns(
        Kind.BOOK, 0, TIMES, dict(zip(book_fields(2), rows.T, strict=True)), names=book_fields(2)
    )


def trades(instrument=0):
    """Return three trades."""
    columns = {"price": np.array([100.0, 101, 102]), "size": np.ones(3), "side": np.ones(3)}
    return events_from_columns(Kind.TRADE, instrument, TIMES, columns)


def bars():
    """Return three bars."""
    price = np.array([100.0, 101, 102])
    columns = {"open": price, "high": price + 1, "low": price - 1, "close": price, "volume": np.full(3, 5.0)}
    return events_from_columns(Kind.BAR, 0, TIMES, columns)


@pytest.mark.parametrize(
    ("place", "side", "level", "column"),
    [(0, 1, 1, 2), (0, -1, 1, 3), (1, 1, 2, 6), (1, -1, 2, 7), (1, -1, 9, 7), (2, 1, 2, 2), (2, -1, 2, 7)],
)
def test_a_spoofed_order_is_size_on_one_level(place, side, level, column):
    """Size is added on the asked side and level, or the deepest that is there; all else stays."""
    events = books()
    order = Spoof(places=np.array([place]), sides=np.array([side]), level=level, size=50.0)
    changed = spoof(events, order)
    difference = np.nan_to_num(changed["values"] - events["values"])
    expected = np.zeros((3, 8))
    expected[place, column] = 50.0
    np.testing.assert_array_equal(difference, expected)
    assert events.tobytes() == books().tobytes()


def test_a_quote_is_spoofed_at_its_only_level():
    """A quote is a book of one level."""
    columns = {"bid": [99.0], "ask": [101.0], "bid_size": [1.0], "ask_size": [1.0]}
    quote = events_from_columns(Kind.QUOTE, 0, np.array([1]), columns)
    changed = spoof(quote, Spoof(places=np.array([0]), sides=np.array([-1]), level=3, size=9.0))
    assert changed["values"][0, :4].tolist() == [99.0, 101.0, 1.0, 10.0]


def test_a_spike_moves_all_prices_of_an_event_and_no_size():
    """A bar stays a bar, a book stays sorted: prices move together."""
    for events, prices in ((bars(), [0, 1, 2, 3]), (books(), [0, 1, 4, 5]), (trades(), [0])):
        changed = spike(events, np.array([1]), np.array([-200.0]))
        ratio = changed["values"][1] / events["values"][1]
        np.testing.assert_allclose(ratio[prices], 0.98)
        others = np.setdiff1d(np.flatnonzero(np.isfinite(ratio)), prices)
        assert np.all(ratio[others] == 1.0)
        assert changed[[0, 2]].tobytes() == events[[0, 2]].tobytes()


def test_a_stale_print_repeats_the_one_before_of_its_instrument():
    """Values are those of the event before, of the same instrument and kind; the first has none to repeat."""
    events = merge([trades(0), trades(1)])
    changed = stale(events, np.array([0, 3]))
    assert changed["instrument"].tolist() == [0, 1, 0, 1, 0, 1]
    assert changed["values"][:, 0].tolist() == [100.0, 100.0, 101.0, 100.0, 102.0, 102.0]
    assert changed["ts_event_ns"].tolist() == events["ts_event_ns"].tolist()


def test_wash_trades_are_inserted_in_pairs():
    """After a trade come its two twins, one on each side, at the same price and time; a bar only grows in volume."""
    changed = wash(trades(), np.array([1]), np.array([7.0]))
    assert changed["ts_event_ns"].tolist() == [10, 20, 20, 20, 30]
    assert changed["values"][2:4, :3].tolist() == [[101.0, 7.0, 1.0], [101.0, 7.0, -1.0]]
    grown = wash(bars(), np.array([1]), np.array([7.0]))
    assert grown["values"][:, 4].tolist() == [5.0, 12.0, 5.0]
    assert len(grown) == 3
