"""Formulas: what they say, and what they refuse where they are written."""

import math

import msgspec
import pytest
from feature_market import bars, rows_of

import tradeworthy.model.features.expressions as vocabulary
from tradeworthy.core.errors import FeatureInvalid
from tradeworthy.core.events import FIELDS, Kind
from tradeworthy.model.features.expressions import (
    atr,
    bar,
    clip,
    corr,
    ema,
    log,
    log_return,
    on,
    quote,
    row,
    time_of_day_sin,
    trade,
    where,
    zscore,
)
from tradeworthy.model.features.formula import Expression, FieldUnknown
from tradeworthy.model.features.labels import forward_return
from tradeworthy.model.features.operations import OPERATIONS, WINDOW_MAX


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        (log_return(bar.close).std(60), "log_return(bar.close, 1).std(60)"),
        ((bar.close - bar.open) / bar.open, "((bar.close - bar.open) / bar.open)"),
        (on("BTC", bar.close.rsi(14)), 'on("BTC", bar.close.rsi(14))'),
        (where(bar.close > 1.5, -bar.close, 2), "where((1.5 < bar.close), (-bar.close), 2)"),
        (row("sentiment").ema(5), 'row("sentiment").ema(5)'),
        (atr(14) / bar.close, "(atr(14) / bar.close)"),
        (clip(bar.close, 1, 2) ** 2, "(bar.close.clip(1, 2) ** 2)"),
        (~(quote.bid >= quote.ask) | (trade.side <= 0), "((~(quote.ask <= quote.bid)) | (trade.side <= 0))"),
    ],
)
def test_a_formula_prints_as_the_python_that_writes_it(formula, text):
    """The text is Python, and running it builds an equal formula."""
    assert repr(formula) == text
    assert eval(text, vars(vocabulary)) == formula  # noqa: S307  # our own text


@pytest.mark.parametrize(
    ("formula", "sentence"),
    [
        (
            log_return(bar.close).std(60),
            "the standard deviation over 60 bars of the log return of bar close over 1 bar",
        ),
        (quote.bid_size.mean(20), "the mean over 20 quotes of quote bid size"),
        (on("BTC", bar.close.lag()), "bar close 1 bar ago of BTC"),
        (row("mood").max(3), "the highest in 3 rows of mood"),
        (time_of_day_sin().lag(2), "the time of day (sine) 2 events ago"),
    ],
)
def test_a_formula_reads_as_a_sentence(formula, sentence):
    """Words name the operation, the window in the events that it counts, and the field."""
    assert formula.words == sentence


def test_every_method_is_a_function_too():
    """The method and the function of one name build the same formula."""
    assert log(bar.close) == bar.close.log()
    assert ema(bar.close, 9) == bar.close.ema(9)
    assert zscore(bar.close, 9) == bar.close.zscore(9)
    assert corr(bar.close, bar.volume, 9) == bar.close.corr(bar.volume, 9)
    assert on("BTC", bar.close) == bar.close.on("BTC")


def test_every_operation_can_be_written():
    """The vocabulary or an operator reaches every operation of the table."""
    written = {name for name in dir(vocabulary) if name in OPERATIONS}
    operators = {"field", "number", "add", "subtract", "multiply", "divide", "power", "negative"}
    operators |= {"less", "less_equal", "and", "or", "not", "smoothed", "smoothed_std", "bid_depth", "ask_depth"}
    assert set(OPERATIONS) == written | operators


def test_numbers_stand_on_either_side():
    """A number becomes a constant wherever an expression may stand."""
    assert repr(2 - bar.close) == "(2 - bar.close)"
    assert repr(1 / bar.close + 0.5) == "((1 / bar.close) + 0.5)"
    assert (3 * bar.close).inputs[0] == Expression("number", number=3.0)
    assert repr(abs(1 + bar.close)) == "(1 + bar.close).abs()"


def test_equality_compares_formulas_not_values():
    """Equal trees are equal and hash alike, so they can be keys."""
    assert bar.close.mean(5) == bar.close.mean(5)
    assert bar.close.mean(5) != bar.close.mean(6)
    assert len({bar.close.mean(5), bar.close.mean(5), bar.open.mean(5)}) == 2


def test_every_market_field_has_a_name():
    """The namespaces offer exactly the fields of the events."""
    for namespace, kind in ((vocabulary.bar, Kind.BAR), (vocabulary.trade, Kind.TRADE), (vocabulary.quote, Kind.QUOTE)):
        for name in FIELDS[kind]:
            assert getattr(namespace, name).name == f"{kind.name.lower()}.{name}"


def test_an_unknown_field_is_answered_with_the_nearest():
    """A misspelt field is refused where it is written, and the message names the one that was meant."""
    with pytest.raises(FieldUnknown, match=r"'bar\.clsoe' \(near: 'bar\.close'\)"):
        _ = bar.clsoe
    assert not hasattr(bar, "price")
    assert not hasattr(bar, "_ipython_display_")


@pytest.mark.parametrize("window", [0, -3, 1, 2.5, True, "20", WINDOW_MAX + 1, None])
def test_a_window_is_a_whole_number_in_range(window):
    """Windows that mean nothing are refused; a deviation needs two values."""
    with pytest.raises(FeatureInvalid, match="window is"):
        bar.close.std(window)


def test_a_negative_lag_is_refused_as_look_ahead():
    """A feature cannot reach for the future by a negative lag."""
    with pytest.raises(FeatureInvalid, match="would look ahead"):
        bar.close.lag(-1)


@pytest.mark.parametrize(
    "write",
    [
        lambda: (bar.close > 1) + 1,
        lambda: (bar.close > 1).mean(5),
        lambda: where(bar.close, 1, 2),
        lambda: where(bar.close > 1, bar.open > 1, 2),
        lambda: ~bar.close,
        lambda: (bar.close > 1) & bar.open,
        lambda: on("BTC", bar.close > 1) * 2,
    ],
)
def test_conditions_and_numbers_do_not_mix(write):
    """A condition where a number is wanted, or the reverse, is refused with what to write instead."""
    with pytest.raises(FeatureInvalid, match=r"wants a (number|condition), found a"):
        write()


@pytest.mark.parametrize("value", ["1.5", None, True, [1.0], math.nan, math.inf])
def test_only_finite_numbers_become_constants(value):
    """Text, truth values, lists and undefined numbers are refused."""
    with pytest.raises(FeatureInvalid, match="allowed is"):
        _ = bar.close + value


def test_python_logic_is_refused_with_a_hint():
    """`and`, `not`, `if` and chained comparisons would silently drop half of a formula."""
    with pytest.raises(FeatureInvalid, match=r"& \| ~"):
        _ = bar.close > 1 and bar.open > 1
    with pytest.raises(FeatureInvalid, match=r"where\(\.\.\.\)"):
        _ = 1 < bar.close < 2


def test_a_label_cannot_be_part_of_a_formula():
    """The future is refused where it would enter the arithmetic."""
    with pytest.raises(FeatureInvalid, match="looks ahead"):
        _ = bar.close + forward_return(bar.close, 6)


def test_an_instrument_needs_a_name():
    """`on` without a symbol is refused."""
    with pytest.raises(FeatureInvalid, match="names no instrument"):
        on("", bar.close)


def test_a_stored_formula_is_checked_as_a_written_one():
    """JSON of a formula goes through the same checks, and unknown operations are named."""
    stored = msgspec.json.encode(log_return(bar.close).std(60))
    assert msgspec.json.decode(stored, type=Expression) == log_return(bar.close).std(60)
    with pytest.raises(FeatureInvalid, match=r"no operation 'stdd' \(near: 'std'\)"):
        msgspec.json.decode(stored.replace(b'"std"', b'"stdd"'), type=Expression)
    with pytest.raises(FeatureInvalid, match="window is 1"):
        msgspec.json.decode(stored.replace(b"60", b"1"), type=Expression)
    with pytest.raises(FeatureInvalid, match="reads 1 expressions, found 0"):
        Expression("log")


def test_a_formula_cannot_be_changed():
    """Formulas are immutable."""
    with pytest.raises(AttributeError):
        bar.close.name = "bar.open"


def test_a_new_operation_is_called_by_name():
    """`apply` reaches operations that have no method."""
    smooth = bar.close.apply("smoothed", 0.5, n=1)
    assert repr(smooth) == 'bar.close.apply("smoothed", 0.5, n=1)'
    assert rows_of(smooth, bars([1.0, 2.0, 4.0])).tolist() == [1.0, 1.5, 2.75]
