"""Books from files and from the simulated market, and orders filled against them."""

import numpy as np
import pytest

from tradeworthy.core.decisions import ORDER
from tradeworthy.core.errors import DataInvalid
from tradeworthy.core.events import Kind, book_fields, events_from_columns
from tradeworthy.core.instruments import Instrument
from tradeworthy.live.feeds.files import MarketFile, read_market_file
from tradeworthy.live.feeds.simulated import Regime, SimulatedSettings, simulate
from tradeworthy.live.venues.paper import Paper, PaperSettings

DESK = (Instrument(symbol="ETH"),)
HEADER = "time,bid_1,ask_1,bid_size_1,ask_size_1,bid_2,ask_2,bid_size_2,ask_size_2\n"
GOOD = "2020-01-01T00:00:00,99,101,1,2,98,102,3,4\n"


def read(tmp_path, text, **changes: object):
    """Read a book file, with changes to its declaration."""
    (tmp_path / "books.csv").write_text(text, encoding="utf-8")
    declared = {"instrument": "ETH", "path": "books.csv", "kind": "book", "levels": 2}
    return read_market_file(MarketFile(**(declared | changes)), DESK, folder=tmp_path)


def test_a_files_levels_become_values(tmp_path):
    """Every level stands where the vocabulary says."""
    events, report = read(tmp_path, HEADER + GOOD)
    assert events["values"].tolist() == [[99, 101, 1, 2, 98, 102, 3, 4]]
    assert events["kind"].tolist() == [Kind.BOOK]
    assert (report.events, report.inconsistent) == (1, 0)


def test_one_pattern_names_all_levels(tmp_path):
    """A venue's own names are declared once a side; a single level may differ."""
    text = "time,b1,a1,bs1,as1,b2,best_but_one,bs2,as2\n" + GOOD
    columns = {"bid": "b{level}", "ask": "a{level}", "bid_size": "bs{level}", "ask_size": "as{level}"}
    events, _ = read(tmp_path, text, columns={**columns, "ask_2": "best_but_one"})
    assert events["values"].tolist() == [[99, 101, 1, 2, 98, 102, 3, 4]]


def test_an_empty_level_has_size_zero(tmp_path):
    """A thin side's missing price stays missing, and its size counts as nothing; the best level must be there."""
    thin = "2020-01-01T00:00:01,99,101,1,2,,102,,4\n"
    no_bid = "2020-01-01T00:00:02,,101,,2,,102,,4\n"
    events, report = read(tmp_path, HEADER + GOOD + thin + no_bid)
    assert events["values"][1][[4, 6]].tolist()[1] == 0.0
    assert np.isnan(events["values"][1][4])
    assert (report.events, report.not_finite) == (2, 1)


@pytest.mark.parametrize("bad", ["101.5,101,1,2,98,102,3,4", "99,101,1,2,99,102,3,4", "99,101,1,2,98,101,3,4"])
@pytest.mark.parametrize("told", ["drop", "repair", "keep", "refuse"])
def test_crossed_and_unsorted_books_are_dealt_with_as_declared(tmp_path, bad, told):
    """A book that cannot be is dropped, kept, or refuses the file; nobody can say how to repair it."""
    text = HEADER + GOOD + f"2020-01-01T00:00:01,{bad}\n"
    if told == "refuse":
        with pytest.raises(DataInvalid, match="crossed or not sorted"):
            read(tmp_path, text, inconsistent=told)
        return
    events, report = read(tmp_path, text, inconsistent=told)
    assert (len(events), report.inconsistent) == (2 if told == "keep" else 1, 1)


@pytest.mark.parametrize(
    "changes",
    [{"levels": None}, {"levels": 0}, {"levels": 11}, {"columns": {"bid_3": "x"}}, {"columns": {"bids": "x"}}],
)
def test_a_declaration_that_leaves_levels_open_is_refused(changes):
    """Levels must be declared, and columns name fields of those levels."""
    with pytest.raises(ValueError, match=r"levels|not a field"):
        MarketFile(**({"instrument": "ETH", "path": "x.csv", "kind": "book", "levels": 2} | changes))


def simulated(seed=1, **changes: object):
    """Simulate books beside bars."""
    settings = {"regimes": (Regime(bars=400),), "quotes": False, "book_levels": 5, "gap_rate": 0.0} | changes
    return simulate(SimulatedSettings(**settings), DESK, np.random.default_rng(seed))


def test_the_simulated_market_gives_sorted_books():
    """One book a step, five levels away from the best price, none crossed."""
    events = simulated().events
    books = events[events["kind"] == Kind.BOOK]["values"].reshape(-1, 5, 4)
    assert len(books) == 400 * 8
    assert np.all(np.diff(books[:, :, 0], axis=1) < 0)
    assert np.all(np.diff(books[:, :, 1], axis=1) > 0)
    assert np.all(books[:, 0, 0] < books[:, 0, 1])
    assert np.all(books[:, :, 2:] > 0)


def test_the_balance_of_the_book_foretells_as_much_as_it_was_told():
    """With a signal the imbalance goes with the next move; without, it does not."""
    found = []
    for signal in (0.0, 0.6):
        events = simulated(book_signal=signal).events
        books = events[events["kind"] == Kind.BOOK]["values"].reshape(-1, 5, 4)
        sizes = books[:, :, 2:].sum(axis=1)
        lean = (sizes[:, 0] - sizes[:, 1]) / sizes.sum(axis=1)
        moves = np.diff(np.log(books[:, 0, :2].mean(axis=1)))
        found.append(np.corrcoef(lean[:-1], moves)[0, 1])
    assert abs(found[0]) < 0.06
    assert found[1] > 0.35


def test_spoofed_books_are_planted_and_told():
    """The same seed without spoofing differs in exactly the books that the truth names, and only in a size."""
    spoofed, honest = simulated(spoof_rate=0.02), simulated(spoof_rate=0.0)
    assert 20 < spoofed.spoofed.sum() < 110
    np.testing.assert_array_equal(spoofed.events["kind"][spoofed.spoofed], Kind.BOOK)
    same = np.array([a.tobytes() == b.tobytes() for a, b in zip(spoofed.events, honest.events, strict=True)])
    books = spoofed.events["kind"] == Kind.BOOK
    np.testing.assert_array_equal(~same[books], spoofed.spoofed[books])
    assert not honest.spoofed.any()


def test_orders_fill_at_the_best_level_of_a_book():
    """A buyer pays the ask, a seller gets the bid; a book carries its own spread."""
    venue = Paper(PaperSettings(fee_bps=0.0, half_spread_bps=50.0, slippage_bps=0.0), DESK)
    orders = np.zeros(2, ORDER)
    orders["decision"], orders["quantity"], orders["limit_price"] = [1, 2], [1.0, -1.0], [np.inf, 0.0]
    venue.submit(orders)
    columns = dict(zip(book_fields(2), np.array([[99.0], [101], [5], [5], [98], [102], [5], [5]]), strict=True))
    event = events_from_columns(Kind.BOOK, 0, np.array([1]), columns, names=book_fields(2))[0]
    assert [answer["values"][1] for answer in venue.observe(event)] == [101.0, 99.0]
