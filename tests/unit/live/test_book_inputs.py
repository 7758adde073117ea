"""Books: what the input checks believe of them, and what they make of a price."""

import numpy as np
import pytest

from tradeworthy.core.denials import DenialCode
from tradeworthy.core.events import BOOK_LEVELS_MAX, FIELDS, Kind, book_fields, events_from_columns
from tradeworthy.core.instruments import Instrument
from tradeworthy.live.inbox import Inbox
from tradeworthy.live.inputs import admit
from tradeworthy.live.state import CheckSettings, hold_desk, new_desk

GOOD = {"bid_1": 99.0, "ask_1": 101.0, "bid_size_1": 3.0, "ask_size_1": 4.0}
GOOD |= {"bid_2": 98.0, "ask_2": 102.0, "bid_size_2": 5.0, "ask_size_2": 6.0}
GOOD |= {"bid_3": 97.0, "ask_3": 103.0, "bid_size_3": 0.0, "ask_size_3": 7.0}
NAN = float("nan")


def verdict(width=12, **changes: float):
    """Return the code that a book of three levels, changed, gets on a desk of this width, and the mark it leaves."""
    desk = new_desk((Instrument(symbol="ETH"),), None, CheckSettings(), row_fields=0)
    inbox = Inbox(1, width)
    columns = {name: np.array([value]) for name, value in {**GOOD, **changes}.items()}
    inbox.load(events_from_columns(Kind.BOOK, 0, np.array([1]), columns, names=book_fields(3)))
    code = DenialCode(admit(hold_desk(desk), inbox.words, inbox.numbers, 0))
    return code, float(desk.positions["mark"][0])


@pytest.mark.parametrize("width", [12, 13, 40])
def test_a_good_book_gives_its_middle(width):
    """A sorted book passes, whatever room the desk has beside it, and marks the instrument at its middle."""
    assert verdict(width) == (DenialCode.NONE, 100.0)


def test_a_desk_that_needs_one_level_looks_at_one():
    """What a narrow desk cuts off it does not judge."""
    assert verdict(5, bid_3=1e9) == (DenialCode.NONE, 100.0)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"bid_1": NAN}, DenialCode.INPUT_NOT_FINITE),
        ({"ask_size_1": np.inf}, DenialCode.INPUT_NOT_FINITE),
        ({"bid_2": np.inf}, DenialCode.INPUT_NOT_FINITE),
        ({"bid_2": NAN}, DenialCode.INPUT_NOT_FINITE),  # a size without a price
        ({"ask_size_2": NAN}, DenialCode.INPUT_NOT_FINITE),
        ({"bid_1": 101.5}, DenialCode.INPUT_CROSSED),
        ({"bid_1": 0.0}, DenialCode.INPUT_NOT_POSITIVE),
        ({"ask_size_3": -1.0}, DenialCode.INPUT_NOT_POSITIVE),
        ({"bid_2": -1.0}, DenialCode.INPUT_NOT_POSITIVE),
        ({"bid_2": 99.0}, DenialCode.INPUT_UNSORTED),
        ({"bid_3": 98.5}, DenialCode.INPUT_UNSORTED),
        ({"ask_3": 101.5}, DenialCode.INPUT_UNSORTED),
        ({"bid_2": NAN, "bid_size_2": 0.0}, DenialCode.INPUT_UNSORTED),  # a level behind a missing one
    ],
)
def test_a_book_that_cannot_be_is_refused(changes, code):
    """Crossed, unsorted, negative, half a level, a level behind a hole: each has its code, and leaves no price."""
    found, mark = verdict(**changes)
    assert found == code
    assert np.isnan(mark)


def test_a_side_may_end_early():
    """A thin side has NaN prices and no size where it ends; a locked book is a market."""
    thin = {"bid_2": NAN, "bid_size_2": 0.0, "bid_3": NAN, "bid_size_3": NAN}
    assert verdict(**thin)[0] == DenialCode.NONE
    assert verdict(bid_1=101.0)[0] == DenialCode.NONE


def test_levels_are_laid_out_one_after_the_other():
    """Fewer levels are the beginning of more, and the first is a quote."""
    assert FIELDS[Kind.BOOK] == book_fields(BOOK_LEVELS_MAX)
    assert book_fields(7) == FIELDS[Kind.BOOK][:28]
    assert [name.removesuffix("_1") for name in book_fields(1)] == list(FIELDS[Kind.QUOTE])
