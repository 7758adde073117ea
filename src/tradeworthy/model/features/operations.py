"""The table of operations: everything an expression can say.

To add an operation:

1. Add a line to `_TABLE`: its name, what it reads and gives, how it is written and how it is said. If it can be made
   of other operations, give `expand` and you are done.
2. Otherwise add a member to `kernel.Code` (a number and the memory it needs) and a branch to `kernel._run` (or, for a
   window over a history, to `kernel._windowed`).
3. It can now be called as `x.apply("name", n=20)`; give it a method in `expressions.Expression` if people should.

Idea:   one line holds all that checking, printing, explaining and compiling need to know.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from tradeworthy.model.features.kernel import Code

WINDOW_MAX = 1_000_000
"""Longest window, in events: a program's memory is bounded by what its author wrote."""


class Operation(NamedTuple):
    """One operation.

    Attributes
    ----------
    name : str
        As it stands in a stored program.
    reads, gives : str
        One letter each: ``n`` is a number, ``c`` a condition (1 or 0). ``gives`` of ``same`` repeats the input's.
    formula, words : str
        Templates of the Python formula and of the sentence in plain words; ``{0}`` is the first input, ``{n}`` the
        window and ``{span}`` the same in words ("60 bars"), ``{name}`` and ``{number}`` the expression's own.
    window_min : int
        Smallest window; 0 where the operation takes none.
    code : Code
        What the kernel does; `Code.CONSTANT` where `expand` is given.
    expand : callable
        From the expression to the same thing made of simpler operations.
    """

    name: str
    reads: str
    gives: str
    formula: str
    words: str
    window_min: int = 0
    code: Code = Code.CONSTANT
    expand: Callable[[Any], Any] | None = None


def _wilder(x: Any, n: int) -> Any:
    return x.apply("smoothed", 1.0 / n, n=n)


def _rsi(e: Any) -> Any:
    change = e.inputs[0].diff()
    gain = _wilder(change.maximum(0.0), e.n)
    loss = _wilder((-change).maximum(0.0), e.n)
    return 100.0 * gain / (gain + loss)


def _atr(e: Any) -> Any:
    high, low, close = e.inputs
    before = close.lag()
    return _wilder(high.maximum(before) - low.minimum(before), e.n)


def _log_return(e: Any) -> Any:
    log = e.inputs[0].log()
    return log - log.lag(e.n)


def _microprice(e: Any) -> Any:
    bid, ask, bid_size, ask_size = e.inputs
    return (bid * ask_size + ask * bid_size) / (bid_size + ask_size)


def _imbalance(e: Any) -> Any:
    bids, asks = e.inputs
    return (bids - asks) / (bids + asks)


def _only_input(e: Any) -> Any:
    return e.inputs[0]


_TABLE = (
    Operation("field", "", "n", "{name}", "{name}", code=Code.FIELD),
    Operation("number", "", "n", "{number:g}", "{number:g}"),
    Operation("on", "*", "same", 'on("{name}", {0})', "{0} of {name}"),
    # arithmetic
    Operation("add", "nn", "n", "({0} + {1})", "{0} plus {1}", code=Code.ADD),
    Operation("subtract", "nn", "n", "({0} - {1})", "{0} minus {1}", code=Code.SUBTRACT),
    Operation("multiply", "nn", "n", "({0} * {1})", "{0} times {1}", code=Code.MULTIPLY),
    Operation("divide", "nn", "n", "({0} / {1})", "{0} over {1}", code=Code.DIVIDE),
    Operation("power", "nn", "n", "({0} ** {1})", "{0} to the power of {1}", code=Code.POWER),
    Operation("negative", "n", "n", "(-{0})", "minus {0}", expand=lambda e: e.inputs[0] * -1.0),
    Operation("minimum", "nn", "n", "{0}.minimum({1})", "the smaller of {0} and {1}", code=Code.MINIMUM),
    Operation("maximum", "nn", "n", "{0}.maximum({1})", "the larger of {0} and {1}", code=Code.MAXIMUM),
    Operation(
        "clip",
        "nnn",
        "n",
        "{0}.clip({1}, {2})",
        "{0} held between {1} and {2}",
        expand=lambda e: e.inputs[0].maximum(e.inputs[1]).minimum(e.inputs[2]),
    ),
    Operation("log", "n", "n", "log({0})", "the logarithm of {0}", code=Code.LOG),
    Operation("exp", "n", "n", "exp({0})", "the exponential of {0}", code=Code.EXP),
    Operation("sqrt", "n", "n", "sqrt({0})", "the square root of {0}", code=Code.SQRT),
    Operation("abs", "n", "n", "{0}.abs()", "the size of {0}", code=Code.ABS),
    Operation("sign", "n", "n", "{0}.sign()", "the sign of {0}", code=Code.SIGN),
    # conditions
    Operation("less", "nn", "c", "({0} < {1})", "{0} is below {1}", code=Code.LESS),
    Operation("less_equal", "nn", "c", "({0} <= {1})", "{0} is at most {1}", code=Code.LESS_EQUAL),
    Operation("equal", "nn", "c", "{0}.equal({1})", "{0} equals {1}", code=Code.EQUAL),
    Operation("and", "cc", "c", "({0} & {1})", "{0} and {1}", code=Code.AND),
    Operation("or", "cc", "c", "({0} | {1})", "{0} or {1}", code=Code.OR),
    Operation("not", "c", "c", "(~{0})", "not ({0})", code=Code.NOT),
    Operation("where", "cnn", "n", "where({0}, {1}, {2})", "{1} where {0}, else {2}", code=Code.WHERE),
    # the past
    Operation("lag", "n", "n", "{0}.lag({n})", "{0} {span} ago", 1, Code.LAG),
    Operation(
        "diff",
        "n",
        "n",
        "{0}.diff({n})",
        "the change of {0} over {span}",
        1,
        expand=lambda e: e.inputs[0] - e.inputs[0].lag(e.n),
    ),
    Operation(
        "log_return", "n", "n", "log_return({0}, {n})", "the log return of {0} over {span}", 1, expand=_log_return
    ),
    # windows
    Operation("sum", "n", "n", "{0}.sum({n})", "the sum over {span} of {0}", 1, Code.SUM),
    Operation(
        "mean",
        "n",
        "n",
        "{0}.mean({n})",
        "the mean over {span} of {0}",
        1,
        expand=lambda e: e.inputs[0].sum(e.n) / e.n,
    ),
    Operation("std", "n", "n", "{0}.std({n})", "the standard deviation over {span} of {0}", 2, Code.STD),
    Operation("min", "n", "n", "{0}.min({n})", "the lowest in {span} of {0}", 1, Code.MIN),
    Operation("max", "n", "n", "{0}.max({n})", "the highest in {span} of {0}", 1, Code.MAX),
    Operation(
        "zscore",
        "n",
        "n",
        "{0}.zscore({n})",
        "the distance of {0} from its mean over {span}, in standard deviations",
        2,
        Code.ZSCORE,
    ),
    Operation("corr", "nn", "n", "corr({0}, {1}, {n})", "the correlation over {span} of {0} and {1}", 2, Code.CORR),
    # exponential windows
    Operation(
        "smoothed",
        "nn",
        "n",
        '{0}.apply("smoothed", {1}, n={n})',
        "{0} smoothed by {1}, after {span}",
        1,
        Code.EMA,
    ),
    Operation(
        "ema",
        "n",
        "n",
        "{0}.ema({n})",
        "the exponential average (span {span}) of {0}",
        1,
        expand=lambda e: e.inputs[0].apply("smoothed", 2.0 / (e.n + 1.0), n=e.n),
    ),
    Operation(
        "smoothed_std",
        "nn",
        "n",
        '{0}.apply("smoothed_std", {1}, n={n})',
        "the deviation of {0} smoothed by {1}, after {span}",
        2,
        Code.EWM_STD,
    ),
    Operation(
        "ewm_std",
        "n",
        "n",
        "{0}.ewm_std({n})",
        "the exponential standard deviation (span {span}) of {0}",
        2,
        expand=lambda e: e.inputs[0].apply("smoothed_std", 2.0 / (e.n + 1.0), n=e.n),
    ),
    Operation("rsi", "n", "n", "{0}.rsi({n})", "the relative strength (RSI) over {span} of {0}", 1, expand=_rsi),
    Operation("atr", "nnn", "n", "atr({n})", "the average true range over {span}", 1, expand=_atr),
    # the book: inputs are its fields, so that the words need not spell them
    Operation("spread", "nn", "n", "spread()", "the spread of the book", expand=lambda e: e.inputs[1] - e.inputs[0]),
    Operation("microprice", "nnnn", "n", "microprice()", "the microprice of the book", expand=_microprice),
    Operation("bid_depth", "n", "n", 'depth("bid", {n})', "the bid size in the best {n} levels", 1, expand=_only_input),
    Operation("ask_depth", "n", "n", 'depth("ask", {n})', "the ask size in the best {n} levels", 1, expand=_only_input),
    Operation("imbalance", "nn", "n", "imbalance({n})", "the imbalance of the best {n} levels", 1, expand=_imbalance),
    # the time
    Operation("time_of_day_sin", "", "n", "time_of_day_sin()", "the time of day (sine)", code=Code.TIME_OF_DAY_SIN),
    Operation("time_of_day_cos", "", "n", "time_of_day_cos()", "the time of day (cosine)", code=Code.TIME_OF_DAY_COS),
    Operation("day_of_week_sin", "", "n", "day_of_week_sin()", "the day of the week (sine)", code=Code.DAY_OF_WEEK_SIN),
    Operation(
        "day_of_week_cos", "", "n", "day_of_week_cos()", "the day of the week (cosine)", code=Code.DAY_OF_WEEK_COS
    ),
)

OPERATIONS: Mapping[str, Operation] = MappingProxyType({operation.name: operation for operation in _TABLE})
"""Every operation by name."""
