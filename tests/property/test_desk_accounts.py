"""Whatever orders are sent and whatever the venue answers, the desk's books are what the believed answers add up to."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeworthy.core.denials import DenialCode
from tradeworthy.core.events import Kind, event_dtype
from tradeworthy.core.instruments import Instrument
from tradeworthy.live.answers import settle
from tradeworthy.live.inbox import Inbox
from tradeworthy.live.positions import mark_position
from tradeworthy.live.risk.judge import send_order
from tradeworthy.live.state import dump_desk, hold_desk, new_desk, restore_desk

INSTRUMENTS = (Instrument(symbol="ETH", lot=0.01), Instrument(symbol="FUT", lot=1.0, multiplier=50.0))
LOTS = np.array([each.lot for each in INSTRUMENTS])
MULTIPLIERS = np.array([each.multiplier for each in INSTRUMENTS])

orders = st.tuples(st.just("order"), st.integers(0, 1), st.integers(-40, 40).filter(bool))
fills = st.tuples(st.just("fill"), st.integers(1, 12), st.integers(-50, 50), st.integers(50, 150), st.integers(-3, 9))
rejects = st.tuples(st.just("reject"), st.integers(1, 12))
marks = st.tuples(st.just("mark"), st.integers(0, 1), st.integers(50, 150))
noise = st.tuples(st.just("noise"), st.sampled_from([np.nan, np.inf, -np.inf]))
scripts = st.lists(st.one_of(orders, fills, fills, rejects, marks, noise), max_size=40)


class Books:
    """A desk, and the same accounts kept by hand in the plainest way."""

    def __init__(self) -> None:
        self.desk = new_desk(INSTRUMENTS)
        self.handle, self.inbox = hold_desk(self.desk), Inbox(1, 5)
        self.names, self.cash, self.held, self.marks = 0, 0.0, np.zeros(2), np.full(2, np.nan)
        self.left: dict[int, tuple[int, float]] = {}
        self.time = 0

    def act(self, kind: str, *what: float) -> None:
        """Let one thing happen."""
        self.time += 1
        getattr(self, kind)(*what)

    def order(self, instrument: int, lots: int) -> None:
        """Send an order."""
        quantity = lots * LOTS[instrument]
        place = send_order(self.handle, instrument, quantity, 100.0, self.time)
        self.names += 1
        self.desk.orders["order"][place] = self.names
        self.left[self.names] = (instrument, quantity)

    def answer(self, kind: Kind, name: int, *values: float) -> int:
        """Hear an answer."""
        event = np.zeros(1, event_dtype())
        event["kind"], event["reference"], event["ts_event_ns"] = kind, name, self.time
        event["values"] = np.nan
        event["values"][0, : len(values)] = values
        self.inbox.load(event)
        return int(settle(self.handle, self.inbox.words, self.inbox.numbers, 0))

    def fill(self, name: int, lots: int, price: float, fee: float) -> None:
        """Fill some of an order, perhaps none that is open, too much, or on the wrong side."""
        instrument, left = self.left.get(name, (0, 0.0))
        quantity = lots * LOTS[instrument]
        code = self.answer(Kind.FILL, name, quantity, price, fee)
        sound = quantity * left > 0 and abs(quantity) <= abs(left) + 0.5 * LOTS[instrument]
        assert (code == DenialCode.NONE) == sound
        if sound:
            self.cash -= quantity * price * MULTIPLIERS[instrument] + fee
            self.held[instrument] += quantity
            self.left[name] = (instrument, left - quantity)
            if np.isnan(self.marks[instrument]):
                self.marks[instrument] = price

    def reject(self, name: int) -> None:
        """Reject what is left of an order."""
        code = self.answer(Kind.REJECT, name, 1.0)
        instrument, left = self.left.get(name, (0, 0.0))
        assert (code == DenialCode.NONE) == (abs(left) > 0.5 * LOTS[instrument])
        self.left.pop(name, None)

    def mark(self, instrument: int, price: float) -> None:
        """Show a price."""
        position, account = self.desk.positions[instrument], self.desk.account[0]
        mark_position(position, account, MULTIPLIERS[instrument], float(price), self.time)
        self.marks[instrument] = price

    def noise(self, value: float) -> None:
        """Answer with numbers that are none, for every order there is."""
        for name in self.left:
            for values in ((value, 100.0, 0.0), (LOTS[0], value, 0.0), (LOTS[0], 100.0, value)):
                assert self.answer(Kind.FILL, name, *values) != DenialCode.NONE

    def check(self) -> None:
        """Compare the desk with the accounts kept by hand."""
        positions, account = self.desk.positions, self.desk.account[0]
        for instrument in range(2):
            left = [amount for number, amount in self.left.values() if number == instrument]
            assert positions["buying"][instrument] == pytest.approx(sum(a for a in left if a > 0), abs=1e-9)
            assert positions["selling"][instrument] == pytest.approx(-sum(a for a in left if a < 0), abs=1e-9)
            assert positions["quantity"][instrument] == pytest.approx(self.held[instrument], abs=1e-9)
        worth = np.where(np.abs(self.held) < 1e-9, 0.0, self.held * np.nan_to_num(self.marks) * MULTIPLIERS).sum()
        assert account["equity"] == pytest.approx(self.cash + worth, abs=1e-6)
        assert account["peak"] >= max(0.0, account["equity"])
        is_open = [abs(amount) > 0.5 * LOTS[number] for number, amount in self.left.values()]
        assert account["open_orders"] == sum(is_open)


@settings(deadline=None, max_examples=150)
@given(scripts)
def test_books_are_what_believed_answers_add_up_to(script):
    """Position, in-flight quantity, equity and open orders agree with plain bookkeeping at every step."""
    books = Books()
    for step in script:
        books.act(*step)
        books.check()


@settings(deadline=None, max_examples=60)
@given(scripts)
def test_an_answer_that_comes_again_changes_nothing(script):
    """After an order is done, any answer for it is a repeat and moves nothing (idempotent)."""
    books = Books()
    for step in script:
        books.act(*step)
    for name in list(books.left):
        books.reject(name)
    before = [array.tobytes() for name, array in books.desk._asdict().items() if name not in {"denials", "orders"}]
    for name in range(1, books.names + 1):
        assert books.answer(Kind.FILL, name, 0.01, 100.0, 0.0) == DenialCode.INPUT_DUPLICATE
        assert books.answer(Kind.REJECT, name, 1.0) == DenialCode.INPUT_DUPLICATE
    after = [array.tobytes() for name, array in books.desk._asdict().items() if name not in {"denials", "orders"}]
    assert before == after
    assert books.desk.account["open_orders"][0] == 0
    assert not books.desk.positions["buying"].any()
    assert not books.desk.positions["selling"].any()


@settings(deadline=None, max_examples=60)
@given(scripts, scripts)
def test_a_desk_restored_in_the_middle_ends_the_same(first, second):
    """A checkpoint holds everything: a desk restored from it goes on to the same bytes."""
    books, again = Books(), Books()
    for step in first:
        books.act(*step)
    restore_desk(again.desk, dump_desk(books.desk))
    again.names, again.cash, again.held, again.marks = books.names, books.cash, books.held.copy(), books.marks.copy()
    again.left, again.time = dict(books.left), books.time
    for step in second:
        books.act(*step)
        again.act(*step)
    one, other = dump_desk(books.desk), dump_desk(again.desk)
    assert {name: array.tobytes() for name, array in one.items()} == {
        name: array.tobytes() for name, array in other.items()
    }
