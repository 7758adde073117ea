"""Programs: checked when built, stored as data, named by their digest."""

import hashlib

import msgspec
import numpy as np
import pytest
from feature_market import bars, walk

from tradeworthy.core.errors import FeatureInvalid
from tradeworthy.core.events import Kind
from tradeworthy.core.instruments import Instrument
from tradeworthy.model.features import layout
from tradeworthy.model.features.expressions import atr, bar, log_return, on, quote, row, time_of_day_sin
from tradeworthy.model.features.kernel import Code
from tradeworthy.model.features.labels import forward_direction
from tradeworthy.model.features.program import Program, compile_program
from tradeworthy.model.features.runtime import FeatureState

FEATURES = {
    "volatility": log_return(bar.close).std(60),
    "range": atr(14) / bar.close,
    "btc": on("BTC", log_return(bar.close, 3)),
    "hour": time_of_day_sin(),
    "up": bar.close > bar.open,
    "spread": quote.ask - quote.bid,
}


def test_a_stored_program_is_the_same_program():
    """JSON and back gives an equal program, the same bytes, the same digest, the same table."""
    program = compile_program(FEATURES)
    again = Program.from_json(program.to_json())
    assert again == program
    assert again.to_json() == program.to_json()
    assert again.digest == program.digest == hashlib.sha256(program.to_json()).hexdigest()
    np.testing.assert_array_equal(again.layout.instructions, program.layout.instructions)
    assert again.names == tuple(FEATURES)


def test_the_digest_names_the_meaning():
    """Another window, order, name, trigger or declaration is another program."""
    programs = [
        compile_program({"a": bar.close.std(5), "b": bar.open}),
        compile_program({"a": bar.close.std(6), "b": bar.open}),
        compile_program({"b": bar.open, "a": bar.close.std(5)}),
        compile_program({"a": bar.close.std(5), "c": bar.open}),
        compile_program({"a": bar.close.std(5), "b": bar.open}, trigger=Kind.QUOTE),
        compile_program({"a": bar.close.std(5), "b": bar.open}, row_fields=("x",)),
    ]
    assert len({program.digest for program in programs}) == len(programs)


def test_the_digest_does_not_move_between_releases():
    """Version names rest on these bytes: they change only with the format number."""
    program = compile_program({"volatility": log_return(bar.close).std(60)})
    assert program.to_json() == (
        b'{"format":1,"trigger":"bar","row_fields":[],"features":[["volatility",{"op":"std","inputs":'
        b'[{"op":"log_return","inputs":[{"op":"field","name":"bar.close"}],"n":1}],"n":60}]]}'
    )


def test_a_program_says_what_it_reads():
    """Names, other instruments and the width of events are known before it runs."""
    program = compile_program(FEATURES)
    assert program.instruments == ("BTC",)
    assert program.width == 5
    assert compile_program({"x": row("c")}, trigger=Kind.ROW, row_fields=tuple("abcdefgh")).width == 8
    assert compile_program({"x": time_of_day_sin()}).instruments == ()
    assert program.describe("spread") == "quote ask minus quote bid"
    with pytest.raises(FeatureInvalid, match="near: 'volatility'"):
        program.describe("volatilty")


def test_equal_operations_are_computed_once():
    """Features share their common parts, and windows over one input share one history."""
    r = log_return(bar.close)
    program = compile_program({"a": r.std(5), "b": r.std(5) * 2.0, "c": r.mean(9), "d": log_return(bar.close).sum(9)})
    codes = program.layout.instructions["code"].tolist()
    assert codes.count(Code.STD) == codes.count(Code.SUM) == codes.count(Code.LOG) == 1
    assert codes.count(Code.HISTORY) == 2  # of the logarithm, for the return, and of the return
    assert codes.count(Code.CONSTANT) == 0  # constants are set once, not at every event


def test_a_repeated_feature_costs_nothing():
    """Two names for one formula share everything and agree."""
    program = compile_program({"a": bar.close.std(5), "b": bar.close.std(5)})
    rows, _ = FeatureState(program, [Instrument(symbol="ETH")]).many(bars(walk(20)))
    np.testing.assert_array_equal(rows[:, 0], rows[:, 1])


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({}, "no features"),
        ({"x": 1.0}, "allowed is an expression"),
        ({"x": "bar.close"}, "allowed is an expression"),
        ({"": bar.close}, "allowed is a word"),
        ({3: bar.close}, "allowed is a word"),
        ({"x": forward_direction(bar.close, 6)}, "'x' looks ahead"),
        ({"x": row("mood")}, "'mood' is not declared"),
    ],
)
def test_what_cannot_be_a_feature_is_refused(features, message):
    """The graph is checked when it is built, not at the first tick."""
    with pytest.raises(FeatureInvalid, match=message):
        compile_program(features)


def test_declarations_are_checked():
    """Triggers must be market events or rows, and row fields are declared once."""
    with pytest.raises(FeatureInvalid, match="trigger is timer"):
        compile_program({"x": bar.close}, trigger=Kind.TIMER)
    with pytest.raises(FeatureInvalid, match="declared twice"):
        compile_program({"x": bar.close}, row_fields=("a", "a"))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1],
        lambda text: text.replace(b'"bar"', b'"bra"'),
        lambda text: text.replace(b'"format":1', b'"format":2'),
        lambda text: text.replace(b'"n":60', b'"n":-60'),
        lambda text: text.replace(b'"n":60', b'"n":60,"code":"import os"'),
        lambda text: text.replace(b'"trigger"', b'"triggered"'),
        lambda _: b"[" * 100_000,
        lambda _: b"",
    ],
)
def test_bytes_that_are_not_a_program_are_refused(change):
    """Damaged, hostile and newer files give one typed error."""
    with pytest.raises(FeatureInvalid):
        Program.from_json(change(compile_program(FEATURES).to_json()))


def test_a_stored_program_cannot_name_a_feature_twice():
    """Two features of one name would hide one of them."""
    stored = msgspec.json.decode(compile_program({"a": bar.close}).to_json())
    stored["features"] *= 2
    with pytest.raises(FeatureInvalid, match="same name"):
        Program.from_json(msgspec.json.encode(stored))


def test_a_formula_too_deep_or_too_large_is_refused(monkeypatch):
    """A program's size is bounded, and shared parts are not counted twice."""
    deep = bar.close
    for _ in range(layout.DEPTH_MAX + 1):
        deep = deep + 1.0
    with pytest.raises(FeatureInvalid, match="split the formula"):
        compile_program({"x": deep})
    shared = bar.close
    for _ in range(10):
        shared = shared + shared
    assert len(compile_program({"x": shared}).layout.instructions) == 11
    for _ in range(60):
        shared = shared + shared
    with pytest.raises(FeatureInvalid, match="features of their own"):
        compile_program({"x": shared})
    monkeypatch.setattr(layout, "NODES_MAX", 10)
    with pytest.raises(FeatureInvalid, match="use fewer features"):
        compile_program({f"x{n}": bar.close.std(n) for n in range(2, 20)})
