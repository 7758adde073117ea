"""What a simulated exchange says: a market's news in order, as each dialect writes it.

Idea:   one list of news (trades, quotes, bars, changes of books) is the truth; a writer puts it into a dialect's words.
        The writers follow the exchanges' public documentation and share nothing with the readers.
Units:  prices as decimal text; times in UTC nanoseconds.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qs, urlsplit

import numpy as np

from tradeworthy.core.time import NS_PER_MS, NS_PER_S

Levels = tuple[tuple[str, str], ...]


class News(NamedTuple):
    """One thing that happened.

    Attributes
    ----------
    kind : str
        ``trade``, ``quote``, ``bar`` (a closed one), ``book`` (changes).
    number : int
        Of this kind and symbol, counted from 1 without holes.
    texts : tuple of str
        Prices and sizes: trade price, size; quote bid, ask, their sizes; bar open, high, low, close, volume.
    bids, asks : levels
        Of changes of a book; size 0 takes a level out.
    """

    kind: str
    symbol: str
    ts_ns: int
    number: int
    texts: tuple[str, ...] = ()
    bids: Levels = ()
    asks: Levels = ()
    side: int = 1
    open_ns: int = 0


class Writer(Protocol):
    """Puts news into a dialect's words."""

    def news(self, news: News, sequence: int, sent_ns: int) -> bytes:
        """Return one message, the connection's `sequence`-th."""

    def snapshot(self, symbol: str, book: "TrueBook", sequence: int, sent_ns: int) -> bytes:
        """Return a whole book."""

    def history(self, path: str, bars: Sequence[News]) -> bytes:
        """Return the answer to a request for bars of the past."""

    def trades(self, path: str, trades: Sequence[News]) -> bytes:
        """Return the answer to a request for trades of the past."""

    def subscribed(self, raw: bytes, sequence: int, sent_ns: int) -> bytes:
        """Return the answer to a subscription."""


class BinanceWriter:
    """Writes as Binance's combined spot streams do."""

    def news(self, news: News, sequence: int, sent_ns: int) -> bytes:
        """Return one message; `sequence` is not told there."""
        del sequence
        name = {"trade": "trade", "quote": "bookTicker", "bar": "kline", "book": "depth@100ms"}[news.kind]
        data = getattr(self, f"_{news.kind}")(news, sent_ns // NS_PER_MS)
        return _json({"stream": f"{news.symbol.lower()}@{name}", "data": data})

    def snapshot(self, symbol: str, book: "TrueBook", sequence: int, sent_ns: int) -> bytes:
        """Return what ``/api/v3/depth`` answers."""
        del symbol, sequence, sent_ns
        bids, asks = book.levels()
        return _json({"lastUpdateId": book.last, "bids": bids, "asks": asks})

    def history(self, path: str, bars: Sequence[News]) -> bytes:
        """Return what ``/api/v3/klines`` answers: the oldest from `startTime` on."""
        asked = parse_qs(urlsplit(path).query)
        start_ms, limit = int(asked["startTime"][0]), int(asked["limit"][0])
        rows = [
            [each.open_ns // NS_PER_MS, *each.texts, each.ts_ns // NS_PER_MS - 1, "0", 9, "0", "0", "0"]
            for each in bars
            if each.open_ns // NS_PER_MS >= start_ms
        ]
        return _json(rows[:limit])

    def trades(self, path: str, trades: Sequence[News]) -> bytes:
        """Return what ``/api/v3/historicalTrades`` answers: the oldest from `fromId` on."""
        asked = parse_qs(urlsplit(path).query)
        first, limit = int(asked["fromId"][0]), min(int(asked["limit"][0]), 1_000)
        rows = [
            {"id": each.number, "price": each.texts[0], "qty": each.texts[1], "quoteQty": "0", "isBestMatch": True,
             "time": each.ts_ns // NS_PER_MS, "isBuyerMaker": each.side < 0}
            for each in trades
            if each.number >= first
        ]  # fmt: skip
        return _json(rows[:limit])

    def subscribed(self, raw: bytes, sequence: int, sent_ns: int) -> bytes:
        """Return the answer to SUBSCRIBE."""
        del sequence, sent_ns
        return _json({"result": None, "id": json.loads(raw)["id"]})

    @staticmethod
    def _trade(news: News, sent_ms: int) -> dict[str, Any]:
        price, size = news.texts
        return {"e": "trade", "E": sent_ms, "s": news.symbol, "t": news.number, "p": price, "q": size,
                "T": news.ts_ns // NS_PER_MS, "m": news.side < 0, "M": True}  # fmt: skip

    @staticmethod
    def _quote(news: News, sent_ms: int) -> dict[str, Any]:
        del sent_ms
        bid, ask, bid_size, ask_size = news.texts
        return {"u": news.number, "s": news.symbol, "b": bid, "B": bid_size, "a": ask, "A": ask_size}

    @staticmethod
    def _bar(news: News, sent_ms: int) -> dict[str, Any]:
        opened, high, low, close, volume = news.texts
        bar = {"t": news.open_ns // NS_PER_MS, "T": news.ts_ns // NS_PER_MS - 1, "s": news.symbol, "i": "?", "n": 9,
               "o": opened, "c": close, "h": high, "l": low, "v": volume, "x": True, "q": "0"}  # fmt: skip
        return {"e": "kline", "E": sent_ms, "s": news.symbol, "k": bar}

    @staticmethod
    def _book(news: News, sent_ms: int) -> dict[str, Any]:
        return {"e": "depthUpdate", "E": sent_ms, "s": news.symbol, "U": news.number, "u": news.number,
                "b": news.bids, "a": news.asks}  # fmt: skip


class CoinbaseWriter:
    """Writes as Coinbase's Advanced Trade streams do."""

    def news(self, news: News, sequence: int, sent_ns: int) -> bytes:
        """Return one message; a closed bar is told by the first state of the next."""
        channel = {"trade": "market_trades", "quote": "ticker", "bar": "candles", "book": "l2_data"}[news.kind]
        return self._envelope(channel, getattr(self, f"_{news.kind}")(news), sequence, sent_ns)

    def snapshot(self, symbol: str, book: "TrueBook", sequence: int, sent_ns: int) -> bytes:
        """Return the first message of ``level2``."""
        event = {"type": "snapshot", "product_id": symbol, "updates": _updates(*book.levels(), sent_ns)}
        return self._envelope("l2_data", event, sequence, sent_ns)

    def history(self, path: str, bars: Sequence[News]) -> bytes:
        """Return what ``/candles`` of a product answers: those between `start` and `end`, the newest first."""
        asked = parse_qs(urlsplit(path).query)
        start, end = int(asked["start"][0]), int(asked["end"][0])
        names = ("open", "high", "low", "close", "volume")
        rows = [
            {"start": str(each.open_ns // NS_PER_S), **dict(zip(names, each.texts, strict=True))}
            for each in reversed(bars)
            if start <= each.open_ns // NS_PER_S <= end
        ]
        return _json({"candles": rows[:350]})

    def trades(self, path: str, trades: Sequence[News]) -> bytes:
        """Return what ``/ticker`` of a product answers: trades between `start` and `end`, the newest first."""
        asked = parse_qs(urlsplit(path).query)
        start, end, limit = (int(asked[name][0]) for name in ("start", "end", "limit"))
        within = [each for each in reversed(trades) if start <= each.ts_ns // NS_PER_S <= end]
        rows = [self._trade(each)["trades"][0] for each in within[: min(limit, 1_000)]]
        return _json({"trades": rows, "best_bid": "1.00", "best_ask": "1.01"})

    def subscribed(self, raw: bytes, sequence: int, sent_ns: int) -> bytes:
        """Return the answer to a subscription."""
        asked = json.loads(raw)
        event = {"subscriptions": {asked["channel"]: asked["product_ids"]}}
        return self._envelope("subscriptions", event, sequence, sent_ns)

    @staticmethod
    def _envelope(channel: str, event: dict[str, Any], sequence: int, sent_ns: int) -> bytes:
        said = {"channel": channel, "client_id": "", "timestamp": _rfc3339(sent_ns), "sequence_num": sequence}
        return _json({**said, "events": [event]})

    @staticmethod
    def _trade(news: News) -> dict[str, Any]:
        price, size = news.texts
        trade = {"trade_id": str(news.number), "product_id": news.symbol, "price": price, "size": size,
                 "side": "SELL" if news.side > 0 else "BUY", "time": _rfc3339(news.ts_ns)}  # fmt: skip
        return {"type": "update", "trades": [trade]}

    @staticmethod
    def _quote(news: News) -> dict[str, Any]:
        bid, ask, bid_size, ask_size = news.texts
        ticker = {"type": "ticker", "product_id": news.symbol, "price": bid, "best_bid": bid, "best_ask": ask,
                  "best_bid_quantity": bid_size, "best_ask_quantity": ask_size}  # fmt: skip
        return {"type": "update", "tickers": [ticker]}

    @staticmethod
    def _bar(news: News) -> dict[str, Any]:
        names = ("open", "high", "low", "close", "volume")
        closed = {"start": str(news.open_ns // NS_PER_S), "product_id": news.symbol,
                  **dict(zip(names, news.texts, strict=True))}  # fmt: skip
        close = news.texts[3]
        begun = {**closed, "start": str(news.ts_ns // NS_PER_S), "volume": "0",
                 **dict.fromkeys(names[:4], close)}  # fmt: skip
        return {"type": "update", "candles": [begun, closed]}

    @staticmethod
    def _book(news: News) -> dict[str, Any]:
        return {"type": "update", "product_id": news.symbol, "updates": _updates(news.bids, news.asks, news.ts_ns)}


def _updates(bids: Levels, asks: Levels, ts_ns: int) -> list[dict[str, str]]:
    return [
        {"side": side, "event_time": _rfc3339(ts_ns), "price_level": price, "new_quantity": size}
        for side, levels in (("bid", bids), ("offer", asks))
        for price, size in levels
    ]


def _rfc3339(ns: int) -> str:
    seconds, rest = divmod(ns, NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


class TrueBook:
    """The book that the exchange itself keeps: text to text, so that nothing is shared with the feed's.

    Attributes
    ----------
    last : int
        The number of the last change.
    """

    def __init__(self) -> None:
        self.last = 0
        self._sides: tuple[dict[Decimal, str], dict[Decimal, str]] = ({}, {})

    def change(self, news: News) -> None:
        """Apply changes."""
        self.last = news.number
        for side, levels in zip(self._sides, (news.bids, news.asks), strict=True):
            for price, size in levels:
                side.pop(Decimal(price), None)
                if Decimal(size) > 0:
                    side[Decimal(price)] = size

    def levels(self, count: int = 1_000) -> tuple[Levels, Levels]:
        """Return the best bids and asks."""
        bids, asks = self._sides
        best = sorted(bids, reverse=True)[:count], sorted(asks)[:count]
        return tuple((str(p), bids[p]) for p in best[0]), tuple((str(p), asks[p]) for p in best[1])


def walk_book(symbol: str, changes: int, rng: np.random.Generator, *, start_ns: int, step_ns: int) -> list[News]:
    """Return changes of a book around a price that walks; the first fills it. Never crossed, on a tick of 0.01.

    Parameters
    ----------
    changes : int
    rng : numpy Generator
    start_ns, step_ns : int
        Time of the first change, and between two.
    """
    middle, held, news = 30_000, (set[int](), set[int]()), list[News]()
    for number in range(1, changes + 1):
        middle += int(rng.integers(-3, 4))
        sides: list[list[tuple[str, str]]] = []
        for sign, standing in zip((-1, 1), held, strict=True):
            wanted = {middle + sign * int(step) for step in rng.integers(1, 12, 6)} | {middle + sign * 4}
            gone = {price for price in standing if sign * (price - middle) <= 0 or rng.random() < 0.2} - wanted
            changed = [(_cents(price), f"{rng.integers(1, 5_000) / 1_000:.3f}") for price in sorted(wanted)]
            sides.append([*((_cents(price), "0.000") for price in sorted(gone)), *changed])
            standing.difference_update(gone)
            standing.update(wanted)
        ts_ns = start_ns + (number - 1) * step_ns
        news.append(News("book", symbol, ts_ns, number, bids=tuple(sides[0]), asks=tuple(sides[1])))
    return news


def _cents(price: int) -> str:
    return f"{price // 100}.{price % 100:02d}"


def bars_news(symbol: str, closes: Sequence[float], *, start_ns: int, period_ns: int) -> list[News]:
    """Return closed bars of a walk of closes, two decimals each."""
    news, before = [], closes[0]
    for number, close in enumerate(closes, 1):
        high, low = max(before, close) + 0.1, min(before, close) - 0.1
        texts = (*(f"{price:.2f}" for price in (before, high, low, close)), f"{1.0 + number % 7:.3f}")
        open_ns = start_ns + (number - 1) * period_ns
        news.append(News("bar", symbol, open_ns + period_ns, number, texts, open_ns=open_ns))
        before = close
    return news


def writer(dialect: str) -> Writer:
    """Return the writer of a dialect."""
    return BinanceWriter() if dialect == "binance" else CoinbaseWriter()
