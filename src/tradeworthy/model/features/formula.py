"""A formula: a typed, immutable tree of operations, checked while it is written.

Idea:   every operation of one expression is a method here and a function in `expressions`. The tree knows nothing of
        data: it prints as Python, reads as a sentence (`Expression.words`), travels as JSON, and compiles to a program.
Undefined: NaN, until a window is full, and wherever a formula has no value (0/0, the log of a negative).
"""

import math
from typing import NoReturn

import msgspec

from tradeworthy.core.errors import FeatureInvalid, near
from tradeworthy.core.events import BOOK_LEVELS_MAX, FIELDS, Kind
from tradeworthy.model.features.operations import OPERATIONS, WINDOW_MAX, Operation

MARKET_KINDS = (Kind.BAR, Kind.TRADE, Kind.QUOTE, Kind.BOOK)
_FIELD_NAMES = tuple(f"{kind.name.lower()}.{name}" for kind in MARKET_KINDS for name in FIELDS[kind])
_FIELDS_SAID = ", ".join(name for name in _FIELD_NAMES if not name.startswith("book.") or name.endswith("_1"))
_FIELDS_SAID += f" (and so on to level {BOOK_LEVELS_MAX})"
_KIND_WORD = {"n": "a number", "c": "a condition"}


class FieldUnknown(FeatureInvalid, AttributeError):
    """A market field that does not exist."""


class Expression(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A formula over market data and rows, evaluated at every event of its pace.

    Build one from `bar`, `trade`, `quote`, `book` or `row("name")`. ``==`` compares formulas; `equal` compares values.
    Conditions join with ``&``, ``|`` and ``~``, and a condition as a feature is 1 or 0.

    Raises
    ------
    FeatureInvalid
        When built: unknown field or operation, a window out of range, a condition where a number is wanted.
    """

    op: str
    inputs: "tuple[Expression, ...]" = ()
    n: int = 0
    number: float = 0.0
    name: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be computed, where it is written."""
        operation = OPERATIONS.get(self.op)
        if operation is None:
            raise FeatureInvalid(f"there is no operation {self.op!r}{near(self.op, OPERATIONS)}; see OPERATIONS")
        _check_inputs(operation, self.inputs)
        _check_window(operation, self.n)
        _check_own(self)

    def apply(self, op: str, *others: "Value", n: int = 0) -> "Expression":
        """Return the operation called `op` on this expression and `others`, over a window of `n`."""
        return _call(op, self, *others, n=n)

    @property
    def is_condition(self) -> bool:
        """Whether the value is a condition (1 or 0) rather than a number."""
        gives = OPERATIONS[self.op].gives
        return self.inputs[0].is_condition if gives == "same" else gives == "c"

    @property
    def words(self) -> str:
        """The formula as a person would say it."""
        return _render(self, "words")

    def __repr__(self) -> str:
        """Write the formula as Python."""
        return _render(self, "formula")

    def __bool__(self) -> NoReturn:
        """Refuse `and`, `or`, `not` and chained comparisons, which Python cannot hand to a formula."""
        raise FeatureInvalid(f"{self} has no value yet: join conditions with & | ~, and choose with where(...)")

    # arithmetic

    def __add__(self, other: "Value") -> "Expression":
        return _call("add", self, other)

    def __radd__(self, other: "Value") -> "Expression":
        return _call("add", other, self)

    def __sub__(self, other: "Value") -> "Expression":
        return _call("subtract", self, other)

    def __rsub__(self, other: "Value") -> "Expression":
        return _call("subtract", other, self)

    def __mul__(self, other: "Value") -> "Expression":
        return _call("multiply", self, other)

    def __rmul__(self, other: "Value") -> "Expression":
        return _call("multiply", other, self)

    def __truediv__(self, other: "Value") -> "Expression":
        return _call("divide", self, other)

    def __rtruediv__(self, other: "Value") -> "Expression":
        return _call("divide", other, self)

    def __pow__(self, other: "Value") -> "Expression":
        return _call("power", self, other)

    def __neg__(self) -> "Expression":
        return _call("negative", self)

    def __abs__(self) -> "Expression":
        return _call("abs", self)

    # conditions

    def __lt__(self, other: "Value") -> "Expression":
        return _call("less", self, other)

    def __le__(self, other: "Value") -> "Expression":
        return _call("less_equal", self, other)

    def __gt__(self, other: "Value") -> "Expression":
        return _call("less", other, self)

    def __ge__(self, other: "Value") -> "Expression":
        return _call("less_equal", other, self)

    def __and__(self, other: "Expression") -> "Expression":
        return _call("and", self, other)

    def __or__(self, other: "Expression") -> "Expression":
        return _call("or", self, other)

    def __invert__(self) -> "Expression":
        return _call("not", self)

    def equal(self, other: "Value") -> "Expression":
        """Return the condition that both values are the same number."""
        return _call("equal", self, other)

    def where(self, yes: "Value", no: "Value") -> "Expression":
        """Return `yes` where this condition holds, else `no`."""
        return _call("where", self, yes, no)

    # one value at a time

    def log(self) -> "Expression":
        """Return the natural logarithm."""
        return _call("log", self)

    def exp(self) -> "Expression":
        """Return e to this power."""
        return _call("exp", self)

    def sqrt(self) -> "Expression":
        """Return the square root."""
        return _call("sqrt", self)

    def abs(self) -> "Expression":
        """Return the size without the sign."""
        return _call("abs", self)

    def sign(self) -> "Expression":
        """Return -1, 0 or 1."""
        return _call("sign", self)

    def minimum(self, other: "Value") -> "Expression":
        """Return the smaller of two values."""
        return _call("minimum", self, other)

    def maximum(self, other: "Value") -> "Expression":
        """Return the larger of two values."""
        return _call("maximum", self, other)

    def clip(self, low: "Value", high: "Value") -> "Expression":
        """Return the value held between `low` and `high`."""
        return _call("clip", self, low, high)

    # the past

    def lag(self, n: int = 1) -> "Expression":
        """Return the value `n` events ago."""
        return _call("lag", self, n=n)

    def diff(self, n: int = 1) -> "Expression":
        """Return the change over `n` events."""
        return _call("diff", self, n=n)

    def log_return(self, n: int = 1) -> "Expression":
        """Return log(x / x of `n` events ago)."""
        return _call("log_return", self, n=n)

    # windows of the last n events, this one included

    def sum(self, n: int) -> "Expression":
        """Return the sum of the last `n` values."""
        return _call("sum", self, n=n)

    def mean(self, n: int) -> "Expression":
        """Return the mean of the last `n` values."""
        return _call("mean", self, n=n)

    def std(self, n: int) -> "Expression":
        """Return the sample standard deviation (n - 1) of the last `n` values."""
        return _call("std", self, n=n)

    def min(self, n: int) -> "Expression":
        """Return the lowest of the last `n` values."""
        return _call("min", self, n=n)

    def max(self, n: int) -> "Expression":
        """Return the highest of the last `n` values."""
        return _call("max", self, n=n)

    def zscore(self, n: int) -> "Expression":
        """Return (x - mean(n)) / std(n)."""
        return _call("zscore", self, n=n)

    def corr(self, other: "Value", n: int) -> "Expression":
        """Return Pearson's correlation with `other` over the last `n` values."""
        return _call("corr", self, other, n=n)

    def ema(self, n: int) -> "Expression":
        """Return the exponential average of span `n` (weight 2 / (n + 1)), defined after `n` values."""
        return _call("ema", self, n=n)

    def ewm_std(self, n: int) -> "Expression":
        """Return the exponential standard deviation of span `n`, bias removed, defined after `n` values."""
        return _call("ewm_std", self, n=n)

    def rsi(self, n: int = 14) -> "Expression":
        """Return Wilder's relative strength index, 0 to 100."""
        return _call("rsi", self, n=n)

    def on(self, symbol: str) -> "Expression":
        """Return the same formula over another instrument; see the function `on`."""
        return Expression("on", (self,), name=symbol)


Value = Expression | float | int
"""What arithmetic accepts: an expression, or a number that becomes a constant."""


def _expression(value: object) -> Expression:
    """Return an operand as an expression."""
    if isinstance(value, Expression):
        return value
    if getattr(value, "looks_ahead", False):
        raise FeatureInvalid(f"{value!r} looks ahead: it is a label, and no feature may read it")
    if isinstance(value, bool) or not isinstance(value, float | int):
        raise FeatureInvalid(f"found {value!r} ({type(value).__name__}), allowed is an expression or a number")
    return Expression("number", number=float(value) or 0.0)


def _call(op: str, *operands: object, n: int = 0) -> Expression:
    return Expression(op, tuple(_expression(operand) for operand in operands), n=n)


def _check_inputs(operation: Operation, inputs: tuple[Expression, ...]) -> None:
    """Refuse a wrong number of inputs, and conditions that stand where numbers should (or the reverse)."""
    if len(inputs) != len(operation.reads):
        raise FeatureInvalid(f"{operation.name} reads {len(operation.reads)} expressions, found {len(inputs)}")
    for wanted, found in zip(operation.reads, inputs, strict=True):
        kind = "c" if found.is_condition else "n"
        if wanted not in (kind, "*"):
            hint = "use where(condition, 1.0, 0.0)" if kind == "c" else "compare it first, for example x > 0"
            raise FeatureInvalid(
                f"{operation.name} wants {_KIND_WORD[wanted]}, found {_KIND_WORD[kind]}: {found}; {hint}"
            )


def _check_window(operation: Operation, n: object) -> None:
    """Refuse a window that is not a whole number of events in the allowed range."""
    low, high = operation.window_min, WINDOW_MAX if operation.window_min else 0
    if isinstance(n, bool) or not isinstance(n, int):
        raise FeatureInvalid(f"{operation.name}: window is {n!r}, allowed is a whole number from {low} to {high}")
    if not low <= n <= high:
        ahead = "; a negative one would look ahead, and only labels may (forward_return)" if n < 0 else ""
        raise FeatureInvalid(f"{operation.name}: window is {n}, allowed is {low} to {high}{ahead}")


def _check_own(expression: Expression) -> None:
    """Refuse an unknown field, a constant that is not finite, and a nameless instrument."""
    op, name = expression.op, expression.name
    if op == "field" and name not in _FIELD_NAMES and not (name.startswith("row.") and len(name) > len("row.")):
        raise FieldUnknown(f"there is no field {name!r}{near(name, _FIELD_NAMES)}; allowed: {_FIELDS_SAID}")
    if op == "number" and not math.isfinite(expression.number):
        raise FeatureInvalid(f"found the constant {expression.number}, allowed is a finite number")
    if op == "on" and not name:
        raise FeatureInvalid('on("", ...) names no instrument; write for example on("BTC", bar.close)')


def _span(expression: Expression) -> str:
    """Return the window in what it counts: bars, trades, quotes, rows; or events."""
    source = expression
    while source.inputs:
        source = source.inputs[0]
    unit = source.name.partition(".")[0] if source.op == "field" else "event"
    return f"{expression.n} {unit}{'' if expression.n == 1 else 's'}"


def _render(expression: Expression, template: str) -> str:
    """Write an expression with one of its operation's two templates."""
    operation = OPERATIONS[expression.op]
    inputs = [_render(each, template) for each in expression.inputs]
    name = expression.name
    if operation.name == "field":
        name = _field_text(name, template)
    text: str = getattr(operation, template)
    return text.format(*inputs, n=expression.n, span=_span(expression), name=name, number=expression.number)


def _field_text(name: str, template: str) -> str:
    kind, _, own = name.partition(".")
    if template == "formula":
        return f'row("{own}")' if kind == "row" else name
    return own if kind == "row" else f"{kind} {own.replace('_', ' ')}"
