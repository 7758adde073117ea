"""Features of the book: spread, microprice, depth and imbalance, live as in training."""

import numpy as np
import pytest
from feature_market import DESK, rows_of, stamps

import tradeworthy as tw
from tradeworthy.core.errors import DataInvalid, FeatureInvalid
from tradeworthy.core.events import Kind, book_fields, events_from_columns, widened
from tradeworthy.model.features.expressions import book, depth, imbalance, microprice, spread
from tradeworthy.model.features.program import Program, compile_program
from tradeworthy.model.features.runtime import FeatureState


def books(n=50, levels=3, seed=1):
    """Return books around 100 with sizes of their own."""
    rng = np.random.default_rng(seed)
    columns = {}
    for level in range(1, levels + 1):
        columns[f"bid_{level}"] = 100.0 - level - rng.random(n) * 0.1
        columns[f"ask_{level}"] = 100.0 + level + rng.random(n) * 0.1
        columns[f"bid_size_{level}"], columns[f"ask_size_{level}"] = rng.lognormal(size=(2, n))
    return events_from_columns(Kind.BOOK, 0, stamps(n), columns, names=book_fields(levels)), columns


def at_books(expression):
    """Return an expression's values over the books, and the books' columns."""
    events, columns = books()
    return rows_of(expression, events, trigger=Kind.BOOK), columns


def test_spread_and_microprice_are_what_they_are_called():
    """The spread is ask less bid; the microprice weighs each side by the size of the other."""
    found, c = at_books(spread())
    np.testing.assert_array_equal(found, c["ask_1"] - c["bid_1"])
    found, c = at_books(microprice())
    weighed = c["bid_1"] * c["ask_size_1"] + c["ask_1"] * c["bid_size_1"]
    np.testing.assert_allclose(found, weighed / (c["bid_size_1"] + c["ask_size_1"]), rtol=1e-15)
    assert np.all((found > c["bid_1"]) & (found < c["ask_1"]))


@pytest.mark.parametrize("levels", [1, 3])
def test_depth_and_imbalance_add_levels_up(levels):
    """Depth is the sum of a side's sizes, imbalance the difference of the sides over their sum."""
    bids, c = at_books(depth("bid", levels))
    asks, _ = at_books(depth("ask", levels))
    np.testing.assert_allclose(bids, sum(c[f"bid_size_{level}"] for level in range(1, levels + 1)), rtol=1e-15)
    found, _ = at_books(imbalance(levels))
    np.testing.assert_allclose(found, (bids - asks) / (bids + asks), rtol=1e-14)


def test_a_level_that_the_desk_does_not_have_is_undefined():
    """A feature of level 5 over books of 3 levels is refused; on a wider desk it has no value, not a wrong one."""
    with pytest.raises(DataInvalid, match="carry 12 values, the program reads 20"):
        at_books(imbalance(5))
    assert np.isnan(rows_of(imbalance(5), widened(books()[0], 20), trigger=Kind.BOOK)).all()


def test_books_join_with_bars_and_windows():
    """Book features have their own pace, take windows, and are read by decisions on bars; stream and batch agree."""
    events, _ = books(200)
    bars = events_from_columns(
        Kind.BAR,
        0,
        stamps(200) + 5,
        dict.fromkeys(("open", "high", "low", "close", "volume"), np.full(200, 100.0)),
        width=12,
    )
    merged = np.concatenate([events, bars])
    merged = merged[np.argsort(merged["ts_event_ns"], kind="stable")]
    program = compile_program({"lean": imbalance(3).mean(10), "price": microprice() - book.bid_1})
    batch, _ = FeatureState(program, DESK).many(merged)
    state = FeatureState(program, DESK)
    stream = np.array([row for event in merged if (row := state.one(event)) is not None])
    assert batch.tobytes() == stream.tobytes()
    assert len(batch) == 191


def test_a_program_is_as_wide_as_the_deepest_level_it_reads():
    """Level 1 needs four values, level 5 twenty; other kinds need what they always needed."""
    widths = [compile_program({"x": each}, trigger=Kind.BOOK).width for each in (spread(), imbalance(5), book.ask_2)]
    assert widths == [4, 20, 8]
    assert compile_program({"x": tw.bar.close}).width == 5


def test_formulas_are_written_said_and_stored():
    """A book feature reads as it was written, is said in few words, and survives its JSON."""
    features = {"a": imbalance(5).mean(20), "b": microprice(), "c": spread(), "d": depth("ask", 2)}
    program = compile_program(features, trigger=Kind.BOOK)
    assert [repr(each) for each in features.values()] == [
        "imbalance(5).mean(20)",
        "microprice()",
        "spread()",
        'depth("ask", 2)',
    ]
    assert program.describe("a") == "the mean over 20 books of the imbalance of the best 5 levels"
    assert Program.from_json(program.to_json()).digest == program.digest


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda: book.bid_11, "near"),
        (lambda: book.bid_siz_1, "bid_size_1"),
        (lambda: depth("buy", 2), "bid"),
        (lambda: depth("bid", 0), "1 to 10"),
        (lambda: imbalance(11), "1 to 10"),
    ],
)
def test_what_a_book_does_not_have_is_refused(write, said):
    """An unknown level or side is answered where it is written, with what there is."""
    with pytest.raises(FeatureInvalid, match=said):
        write()


def test_a_label_may_look_at_the_books_middle():
    """The price that a label foresees may be the middle of the book."""
    events, columns = books(30)
    label = tw.forward_return((book.bid_1 + book.ask_1) / 2, 3)
    labels, _, places = label.compute(events, 0, DESK)
    middle = np.log((columns["bid_1"] + columns["ask_1"]) / 2)
    np.testing.assert_allclose(labels, middle[3:] - middle[:-3], atol=1e-12)
    assert places.tolist() == list(range(27))
