"""An exchange that was asked too often is left alone for as long as it says, by whoever of the feed wants to ask."""

import asyncio
from email.message import Message

import numpy as np
import pytest
from exchange_desk import START_NS, bars_of_minutes, make_sockets

from tradeworthy.apps.feed.sockets import wait_named
from tradeworthy.core.time import NS_PER_S, VirtualClock
from tradeworthy.live.feeds.exchange.figures import Figures
from tradeworthy.live.feeds.exchange.pauses import AskedTooOften, Asking, Pauses
from tradeworthy.testing.exchange.server import Exchange, serving

DATE = "Tue, 14 Nov 2023 22:13:20 GMT"


class Strict:
    """An address that asks for silence once, then answers."""

    def __init__(self, wait_s) -> None:
        self.wait_s, self.asked = wait_s, 0

    async def fetch(self, _):
        self.asked += 1
        if self.asked == 1:
            raise AskedTooOften("the answer is 429", self.wait_s)
        return b"here"


def fetched(asking):
    return asyncio.run(asking.fetch("x"))


def test_nothing_is_asked_before_the_time_is_over():
    """Whoever asks meanwhile hears how long is left, and the exchange hears nothing."""
    clock, dial, figures = VirtualClock(START_NS), Strict(30.0), Figures()
    asking = Asking(dial, clock, figures)
    with pytest.raises(AskedTooOften, match="429"):
        fetched(asking)
    for after_s, left_s in ((0, 30.0), (29, 1.0)):
        clock.advance_to(START_NS + after_s * NS_PER_S)
        with pytest.raises(AskedTooOften, match="more of silence") as refused:
            fetched(asking)
        assert refused.value.wait_s == left_s
    clock.advance_to(START_NS + 30 * NS_PER_S)
    assert fetched(asking) == b"here"
    assert (dial.asked, figures.silenced) == (2, 1)


def test_an_exchange_that_names_no_time_may_be_asked_again():
    """Then the usual pauses are all there is."""
    asking = Asking(Strict(0.0), VirtualClock(START_NS), Figures())
    with pytest.raises(AskedTooOften):
        fetched(asking)
    assert fetched(asking) == b"here"


def test_other_errors_ask_for_no_silence():
    """A failure is passed on as it is."""

    class Broken:
        async def fetch(self, _) -> bytes:
            raise ConnectionError("the answer is 500")

    asking = Asking(Broken(), VirtualClock(START_NS), figures := Figures())
    for _ in range(2):
        with pytest.raises(ConnectionError, match="500"):
            fetched(asking)
    assert figures.silenced == 0


def test_a_pause_is_never_shorter_than_the_time_named():
    """And those who were told the same time do not come back all at once."""
    drawn = [Pauses(0.5, 8.0, np.random.default_rng(seed)).next_s(AskedTooOften("429", 20.0)) for seed in range(50)]
    assert all(20.25 <= pause <= 20.5 for pause in drawn)
    assert len(set(drawn)) == len(drawn)
    assert Pauses(0.5, 8.0, np.random.default_rng(1)).next_s(ConnectionError("500")) <= 0.5


@pytest.mark.parametrize(
    ("after", "date", "wait_s"),
    [
        ("7", None, 7.0),
        (" 120 ", None, 120.0),
        ("0", None, 0.0),
        ("Tue, 14 Nov 2023 22:14:20 GMT", DATE, 60.0),
        ("Tue, 14 Nov 2023 22:12:20 GMT", DATE, 0.0),
        ("Tue, 14 Nov 2023 22:14:20 GMT", None, 0.0),
        ("soon", DATE, 0.0),
        ("-5", DATE, 0.0),
        ("1.5", DATE, 0.0),
        ("1700000000000", DATE, 0.0),
        ("9" * 400, DATE, 0.0),
        ("9" * 5_000, None, 0.0),
        ("\u0661", DATE, 0.0),
        ("", DATE, 0.0),
        (None, DATE, 0.0),
    ],
)
def test_seconds_and_dates_are_read(after, date, wait_s):
    """A date is compared with the answer's own; what cannot be read names no time."""
    headers = Message()
    if after is not None:
        headers["Retry-After"] = after
    if date is not None:
        headers["Date"] = date
    assert wait_named(headers) == wait_s


def test_a_wait_that_no_clock_holds_is_none():
    """An answer with hundreds of digits is refused as it is, and the next one is heard."""
    headers = Message()
    headers["Retry-After"] = "9" * 400
    asking = Asking(Strict(wait_named(headers)), VirtualClock(START_NS), Figures())
    with pytest.raises(AskedTooOften, match="429"):
        fetched(asking)
    assert fetched(asking) == b"here"


@pytest.mark.parametrize(("wrong", "kind"), [("429", AskedTooOften), ("500", ConnectionError)])
def test_the_answer_of_a_server_becomes_its_error(wrong, kind):
    """Over a real connection: 429 with its time, anything else without."""
    with serving(Exchange(bars_of_minutes(3), answers=[wrong], retry_after="9")) as exchange:
        url = f"http://127.0.0.1:{exchange.port}/api/v3/klines?symbol=ETHUSDT&interval=1m&startTime=0&limit=1000"
        with pytest.raises(ConnectionError, match=wrong) as refused:
            asyncio.run(make_sockets().fetch(url))
    assert type(refused.value) is kind
    assert getattr(refused.value, "wait_s", 9.0) == 9.0
