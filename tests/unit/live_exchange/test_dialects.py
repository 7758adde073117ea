"""Messages as the exchanges document them, read into one vocabulary; and everything that is none of them."""

import json

import pytest

from tradeworthy.core.errors import DataInvalid, SettingsInvalid
from tradeworthy.core.time import NS_PER_MINUTE, NS_PER_MS, NS_PER_S
from tradeworthy.live.feeds.exchange.binance import Binance
from tradeworthy.live.feeds.exchange.coinbase import PERIOD_NS, Coinbase
from tradeworthy.live.feeds.exchange.messages import (
    Alive,
    BookChanged,
    BookShown,
    Candle,
    Numbered,
    Quoted,
    Refused,
    Traded,
    Unknown,
    Wanted,
    sent_ns,
)
from tradeworthy.testing.exchange.script import News, TrueBook, writer

AT_NS = 1_700_000_000_123 * NS_PER_MS


def binance(stream, data):
    return Binance().read(json.dumps({"stream": stream, "data": data}).encode())


def coinbase(channel, *events: dict, number=4, at="2023-11-14T22:13:20.123456789Z"):
    said = {"channel": channel, "client_id": "", "timestamp": at, "sequence_num": number, "events": list(events)}
    return Coinbase().read(json.dumps(said).encode())


def wanted(*channels: str, period_ns=NS_PER_MINUTE):
    return Wanted(symbols=("ETHUSDT", "BTCUSDT"), channels=channels, period_ns=period_ns)


# -- Binance ---------------------------------------------------------------------------------------------------------


def test_one_subscription_asks_for_every_stream():
    """Symbols in lower case, bars by the exchange's own names."""
    (raw,) = Binance().greeting(wanted("bar", "trade", "quote", "book"))
    asked = json.loads(raw)
    assert asked["method"] == "SUBSCRIBE"
    assert asked["params"][:4] == ["ethusdt@kline_1m", "ethusdt@trade", "ethusdt@bookTicker", "ethusdt@depth@100ms"]
    assert len(asked["params"]) == 8


def test_bars_of_a_length_that_is_not_offered_are_refused():
    """The message names what is offered; without bars the length does not matter."""
    with pytest.raises(SettingsInvalid, match="7 s; offered are 1s, 1m"):
        Binance().greeting(wanted("bar", period_ns=7 * NS_PER_S))
    assert Binance().greeting(wanted("trade", period_ns=7 * NS_PER_S))


def test_a_trade_is_the_takers():
    """Where the buyer was the maker, the taker sold."""
    trade = {
        "e": "trade",
        "E": 2,
        "s": "ETHUSDT",
        "t": 9,
        "p": "300.10",
        "q": "0.5",
        "T": AT_NS // NS_PER_MS,
        "m": True,
    }
    assert binance("ethusdt@trade", trade) == [Traded("ETHUSDT", AT_NS, 9, "300.10", "0.5", -1.0)]
    assert binance("ethusdt@trade", {**trade, "m": False})[0].side == 1.0


def test_a_quote_has_no_time_of_its_own():
    """The exchange gives none."""
    quote = {"u": 400900217, "s": "ETHUSDT", "b": "300.1", "B": "31.21", "a": "300.2", "A": "40.66"}
    (said,) = binance("ethusdt@bookTicker", quote)
    assert said == Quoted("ETHUSDT", 0, 400900217, "300.1", "300.2", "31.21", "40.66")
    assert sent_ns(said) == 0


def test_a_bar_ends_with_its_last_millisecond():
    """So the close is one millisecond later: the next bar's open."""
    bar = {
        "t": 60_000,
        "T": 119_999,
        "s": "ETHUSDT",
        "i": "1m",
        "o": "1",
        "c": "2",
        "h": "3",
        "l": "0.5",
        "v": "7",
        "x": True,
    }
    (said,) = binance("ethusdt@kline_1m", {"e": "kline", "E": 120_003, "s": "ETHUSDT", "k": bar})
    assert said == Candle(
        "ETHUSDT", 120_003 * NS_PER_MS, 60 * NS_PER_S, 120 * NS_PER_S, True, "1", "3", "0.5", "2", "7"
    )


def test_changes_of_a_book_keep_their_numbers():
    """First and last, and the levels as text."""
    depth = {"e": "depthUpdate", "E": 5, "s": "ETHUSDT", "U": 157, "u": 160, "b": [["300.1", "0"]], "a": []}
    (said,) = binance("ethusdt@depth@100ms", depth)
    assert said == BookChanged("ETHUSDT", 5 * NS_PER_MS, 157, 160, [("300.1", "0")], [])


def test_a_whole_book_is_asked_for_and_read():
    """By symbol; without a time, for the answer has none."""
    assert Binance().snapshot_path("ETHUSDT") == "/api/v3/depth?symbol=ETHUSDT&limit=1000"
    raw = b'{"lastUpdateId":160,"bids":[["300.1","2"]],"asks":[["300.2","3"]]}'
    assert Binance().read_snapshot("ETHUSDT", raw) == BookShown("ETHUSDT", 0, 160, [("300.1", "2")], [("300.2", "3")])


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{", b'{"bids":[]}', b'{"lastUpdateId":"x","bids":[],"asks":[]}', b"\xff"]
)
def test_an_answer_that_is_no_book_is_refused(raw):
    """It says whose book it was."""
    with pytest.raises(DataInvalid, match="the book of ETHUSDT"):
        Binance().read_snapshot("ETHUSDT", raw)


def test_answers_and_refusals_of_a_subscription_are_told_apart():
    """A result is a sign of life; an error is told in its own words."""
    assert Binance().read(b'{"result":null,"id":1}') == [Alive()]
    (said,) = Binance().read(b'{"error":{"code":2,"msg":"Invalid request"},"id":1}')
    assert isinstance(said, Refused)
    assert "Invalid request" in said.said


def test_a_stream_that_was_not_asked_for_is_named():
    """It is no mistake, and nothing is read of it."""
    assert binance("ethusdt@aggTrade", {"anything": 1}) == [Unknown("ethusdt@aggTrade")]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"null",
        b"[1]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"stream":"e@trade","data":[]}',
        b'{"stream":"e@trade","data":{"s":"E"}}',
        b'{"stream":"e@trade","data":{"s":"E","t":1,"p":300.1,"q":"1","T":1,"m":true}}',
        b'{"stream":"e@trade","data":{"s":"E","t":"1","p":"300.1","q":"1","T":1,"m":true}}',
        b'{"stream":"e@depth@100ms","data":{"E":1,"s":"E","U":1,"u":1,"b":[["1"]],"a":[]}}',
        b'{"stream":7,"data":{}}',
        b'{"stream":"e@trade","data":{"s":"E","t":18446744073709551616,"p":"1","q":"1","T":1,"m":true}}',
        b'{"stream":"e@trade","data":{"s":"E","t":1,"p":"1","q":"1","T":9223372036855,"m":true}}',
        b'{"stream":"e@trade","data":{"s":"E","t":-1,"p":"1","q":"1","T":1,"m":true}}',
        b'{"stream":"e@bookTicker","data":{"u":1e30,"s":"E","b":"1","B":"1","a":"2","A":"1"}}',
        b'{"stream":"e@depth@100ms","data":{"E":1,"s":"E","U":1,"u":9223372036854775808,"b":[],"a":[]}}',
        b'{"stream":"e@kline_1m","data":{"E":9223372036854,"k":{}}}',
    ],
)
def test_what_cannot_be_read_is_refused_whole(raw):
    """No JSON, other types, missing fields, endless depth, numbers that no record holds: one typed error."""
    with pytest.raises(DataInvalid, match="cannot be read"):
        Binance().read(raw)


# -- Coinbase --------------------------------------------------------------------------------------------------------


def test_every_channel_is_asked_for_with_heartbeats():
    """One message each; heartbeats keep quiet streams open."""
    asked = [
        json.loads(raw) for raw in Coinbase().greeting(wanted("bar", "trade", "quote", "book", period_ns=PERIOD_NS))
    ]
    assert [each["channel"] for each in asked] == ["heartbeats", "candles", "market_trades", "ticker", "level2"]
    assert all(each["product_ids"] == ["ETHUSDT", "BTCUSDT"] for each in asked)


def test_bars_are_of_five_minutes_or_refused():
    """The channel has no others."""
    with pytest.raises(SettingsInvalid, match="5m only"):
        Coinbase().greeting(wanted("bar"))


def test_every_message_says_its_place_and_time_first():
    """To the last digit of a nanosecond."""
    number, *rest = coinbase("heartbeats", {"current_time": "x", "heartbeat_counter": 1})
    assert number == Numbered(4, 1_700_000_000_123_456_789)
    assert rest == [Alive(1_700_000_000_123_456_789)]


def test_trades_come_oldest_first_and_are_the_takers():
    """The exchange lists the newest first, and names the maker's side."""
    trades = [
        {
            "trade_id": str(n),
            "product_id": "ETH-USD",
            "price": "300.1",
            "size": "1",
            "side": side,
            "time": "2023-11-14T22:13:20Z",
        }
        for n, side in ((8, "BUY"), (7, "SELL"))
    ]
    _, first, second = coinbase("market_trades", {"type": "update", "trades": trades})
    assert (first.number, first.side, second.number, second.side) == (7, 1.0, 8, -1.0)
    assert first.ts_event_ns == 1_700_000_000 * NS_PER_S


def test_candles_come_oldest_first_and_never_say_that_they_are_closed():
    """Whatever the order in which they are listed."""
    candles = [
        {
            "start": str(start),
            "high": "3",
            "low": "1",
            "open": "2",
            "close": "2",
            "volume": "9",
            "product_id": "ETH-USD",
        }
        for start in (600, 300)
    ]
    _, first, second = coinbase("candles", {"type": "snapshot", "candles": candles})
    assert (first.open_ns, first.close_ns, first.is_closed) == (300 * NS_PER_S, 600 * NS_PER_S, None)
    assert second.open_ns == 600 * NS_PER_S


def test_a_book_comes_whole_and_then_in_changes():
    """Both sides by the exchange's words; a change has no number of its own."""
    updates = [
        {"side": "bid", "event_time": "x", "price_level": "300.1", "new_quantity": "2"},
        {"side": "offer", "event_time": "x", "price_level": "300.2", "new_quantity": "0"},
    ]
    _, shown = coinbase("l2_data", {"type": "snapshot", "product_id": "ETH-USD", "updates": updates})
    _, changed = coinbase("l2_data", {"type": "update", "product_id": "ETH-USD", "updates": updates})
    assert isinstance(shown, BookShown)
    assert (shown.bids, shown.asks) == ([("300.1", "2")], [("300.2", "0")])
    assert isinstance(changed, BookChanged)
    assert (changed.first, changed.last) == (0, 4)


def test_an_error_and_an_unknown_channel_are_told():
    """In the exchange's words."""
    assert Coinbase().read(b'{"type":"error","message":"no such product"}') == [Refused("no such product")]
    assert coinbase("status", {}) == [Numbered(4, 1_700_000_000_123_456_789), Unknown("status")]


@pytest.mark.parametrize(
    "at",
    [
        *("", "x", "2023-11-14", "2023-11-14T22:13:20.1", "2023-13-14T22:13:20Z", "2023-11-14T22:13:20.xZ"),
        *("9" * 60 + "Z", "9999-12-31T23:59:59Z", "1600-01-01T00:00:00Z"),
    ],
)
def test_a_time_that_is_none_is_refused(at):
    """The message changes nothing."""
    with pytest.raises(DataInvalid):
        coinbase("heartbeats", at=at)


@pytest.mark.parametrize(
    "raw",
    [b"{}", b'{"channel":"ticker"}', b'{"sequence_num":-1}', b"7", b'{"channel":"candles","timestamp":1}', b"\x00"],
)
def test_a_message_without_its_place_is_refused(raw):
    """What cannot be counted cannot be followed."""
    with pytest.raises(DataInvalid):
        Coinbase().read(raw)


@pytest.mark.parametrize("number", ["", "-1", "1_0", "9223372036854775808", "9" * 10_000, "\u0663"])
def test_a_number_that_no_record_can_hold_is_refused(number):
    """Of a trade, and of the start of a bar."""
    trade = {
        "trade_id": number,
        "product_id": "E",
        "price": "1",
        "size": "1",
        "side": "BUY",
        "time": "2023-11-14T22:13:20Z",
    }
    with pytest.raises(DataInvalid, match="no whole number"):
        coinbase("market_trades", {"type": "update", "trades": [trade | {"time": "2023-11-14T22:13:20Z"}]})
    prices = dict.fromkeys(("open", "high", "low", "close", "volume"), "1")
    with pytest.raises(DataInvalid, match="no whole number"):
        coinbase("candles", {"candles": [{"start": number, "product_id": "E", **prices}]})
    past = json.dumps({"candles": [{"start": number, **prices}]}).encode()
    with pytest.raises(DataInvalid, match="no whole number"):
        Coinbase().read_bars("E", past, PERIOD_NS)


# -- both ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["binance", "coinbase"])
def test_what_the_local_exchange_writes_is_read_as_what_happened(dialect):
    """Writers and readers share nothing, and agree: trade, quote, bar, changes, whole book."""
    reader = Binance() if dialect == "binance" else Coinbase()
    span = 5 * NS_PER_MINUTE
    at_ns = AT_NS // span * span
    trade = News("trade", "ETHUSDT", AT_NS, 3, ("300.10", "0.5"), side=-1)
    quote = News("quote", "ETHUSDT", AT_NS, 4, ("300.10", "300.20", "1.0", "2.0"))
    bar = News("bar", "ETHUSDT", at_ns, 1, ("1.00", "3.00", "0.50", "2.00", "7.0"), open_ns=at_ns - span)
    change = News("book", "ETHUSDT", AT_NS, 5, bids=(("300.10", "1.0"),), asks=(("300.20", "2.0"),))
    said = [list(reader.read(writer(dialect).news(news, 4, AT_NS)))[-1 if news.kind != "bar" else -2:][0]
            for news in (trade, quote, bar, change)]  # fmt: skip
    assert (said[0].ts_event_ns, said[0].number, said[0].price, said[0].side) == (AT_NS, 3, "300.10", -1.0)
    assert (said[1].bid, said[1].ask, said[1].bid_size, said[1].ask_size) == ("300.10", "300.20", "1.0", "2.0")
    assert (said[2].open_ns, said[2].close_ns, said[2].close, said[2].volume) == (at_ns - span, at_ns, "2.00", "7.0")
    assert (said[3].bids, said[3].asks) == ([("300.10", "1.0")], [("300.20", "2.0")])
    book = TrueBook()
    book.change(change)
    raw = writer(dialect).snapshot("ETHUSDT", book, 1, AT_NS)
    shown = reader.read_snapshot("ETHUSDT", raw) if dialect == "binance" else list(reader.read(raw))[-1]
    assert (shown.bids, shown.asks) == ([("300.10", "1.0")], [("300.20", "2.0")])
