"""The words of a strategy: market fields, and every operation as a function.

Idea:   `log_return(bar.close).std(60)` is written with these names alone. An unknown field is answered with the nearest
        one; a wrong window or a condition in place of a number is refused on the line that wrote it.
Time:   an operation keeps the pace of what it reads: `quote.bid.mean(20)` looks at 20 quotes, `bar.close.mean(20)` at
        20 bars. One that reads several paces keeps that of the decision. `on("BTC", ...)` reads another
        instrument, and sees only what happened strictly earlier.

>>> log_return(bar.close).std(60)
log_return(bar.close, 1).std(60)
>>> (bar.close > bar.open) & (bar.volume > bar.volume.mean(20))
((bar.open < bar.close) & (bar.volume.mean(20) < bar.volume))
"""

from functools import reduce
from typing import Literal, NoReturn

from tradeworthy.core.errors import FeatureInvalid
from tradeworthy.core.events import BOOK_LEVELS_MAX
from tradeworthy.model.features.formula import Expression

__all__ = [  # without abs, max, min, sum: a star import must not hide the built-ins
    "Expression",
    "atr",
    "bar",
    "book",
    "clip",
    "corr",
    "day_of_week_cos",
    "day_of_week_sin",
    "depth",
    "diff",
    "ema",
    "equal",
    "ewm_std",
    "exp",
    "imbalance",
    "lag",
    "log",
    "log_return",
    "maximum",
    "mean",
    "microprice",
    "minimum",
    "on",
    "quote",
    "row",
    "rsi",
    "sign",
    "spread",
    "sqrt",
    "std",
    "time_of_day_cos",
    "time_of_day_sin",
    "trade",
    "where",
    "zscore",
]


class _Namespace:
    """Fields of one kind of event; an unknown one is answered with the nearest name."""

    __slots__ = ()
    kind: str

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        Expression("field", name=f"{self.kind}.{name}")
        raise AssertionError


class _Bar(_Namespace):
    """A bar, known at its close."""

    __slots__ = ()
    kind = "bar"
    open = Expression("field", name="bar.open")
    high = Expression("field", name="bar.high")
    low = Expression("field", name="bar.low")
    close = Expression("field", name="bar.close")
    volume = Expression("field", name="bar.volume")


class _Trade(_Namespace):
    """A trade of the market; `side` is 1 where the buyer, -1 where the seller was the aggressor."""

    __slots__ = ()
    kind = "trade"
    price = Expression("field", name="trade.price")
    size = Expression("field", name="trade.size")
    side = Expression("field", name="trade.side")


class _Quote(_Namespace):
    """The best bid and ask."""

    __slots__ = ()
    kind = "quote"
    bid = Expression("field", name="quote.bid")
    ask = Expression("field", name="quote.ask")
    bid_size = Expression("field", name="quote.bid_size")
    ask_size = Expression("field", name="quote.ask_size")


class _Book:
    """The best levels of the order book: `bid_1`, `ask_1`, `bid_size_1`, `ask_size_1`, then those of level 2."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Expression:
        """Return a level's field; an unknown one is answered with the nearest name."""
        if name.startswith("_"):
            raise AttributeError(name)
        return Expression("field", name=f"book.{name}")


bar = _Bar()
trade = _Trade()
quote = _Quote()
book = _Book()


def row(name: str) -> Expression:
    """Return a field of `row` events, computed elsewhere and declared by the desk."""
    return Expression("field", name=f"row.{name}")


def on(symbol: str, expression: Expression) -> Expression:
    """Return `expression` over the instrument `symbol` instead of the deciding one.

    Its windows count that instrument's events; a decision at time t sees the value of its last event strictly before t.
    """
    return Expression("on", (expression,), name=symbol)


def atr(n: int = 14) -> Expression:
    """Return Wilder's average true range of bars, in price units."""
    return Expression("atr", (bar.high, bar.low, bar.close), n=n)


def spread() -> Expression:
    """Return the distance from the book's best bid to its best ask, in price units."""
    return Expression("spread", (book.bid_1, book.ask_1))


def microprice() -> Expression:
    """Return the best bid and ask of the book, each weighted by the size on the other side.

    Where more is bid than asked, it lies nearer to the ask: the price that is likelier next.
    """
    return Expression("microprice", (book.bid_1, book.ask_1, book.bid_size_1, book.ask_size_1))


def depth(side: Literal["bid", "ask"], levels: int = 1) -> Expression:
    """Return the size on one side of the book's best levels; a level that is empty has size 0."""
    if side not in {"bid", "ask"}:
        raise FeatureInvalid(f'depth of side {side!r}, allowed are "bid" and "ask"')
    if isinstance(levels, bool) or not isinstance(levels, int) or not 1 <= levels <= BOOK_LEVELS_MAX:
        raise FeatureInvalid(f"depth of {levels!r} levels, allowed is a whole number from 1 to {BOOK_LEVELS_MAX}")
    sizes = [Expression("field", name=f"book.{side}_size_{level}") for level in range(1, levels + 1)]
    return Expression(f"{side}_depth", (reduce(Expression.__add__, sizes),), n=levels)


def imbalance(levels: int = 1) -> Expression:
    """Return (bid size - ask size) / (bid size + ask size) of the book's best levels, from -1 to 1."""
    return Expression("imbalance", (depth("bid", levels), depth("ask", levels)), n=levels)


def time_of_day_sin() -> Expression:
    """Return the sine of the UTC time of day, a full turn a day."""
    return Expression("time_of_day_sin")


def time_of_day_cos() -> Expression:
    """Return the cosine of the UTC time of day."""
    return Expression("time_of_day_cos")


def day_of_week_sin() -> Expression:
    """Return the sine of the UTC day of the week, Monday at 0, a full turn a week."""
    return Expression("day_of_week_sin")


def day_of_week_cos() -> Expression:
    """Return the cosine of the UTC day of the week."""
    return Expression("day_of_week_cos")


# every method of one expression is a function too

equal = Expression.equal
where = Expression.where
log = Expression.log
exp = Expression.exp
sqrt = Expression.sqrt
abs = Expression.abs  # noqa: A001
sign = Expression.sign
minimum = Expression.minimum
maximum = Expression.maximum
clip = Expression.clip
lag = Expression.lag
diff = Expression.diff
log_return = Expression.log_return
sum = Expression.sum  # noqa: A001
mean = Expression.mean
std = Expression.std
min = Expression.min  # noqa: A001
max = Expression.max  # noqa: A001
zscore = Expression.zscore
corr = Expression.corr
ema = Expression.ema
ewm_std = Expression.ewm_std
rsi = Expression.rsi
