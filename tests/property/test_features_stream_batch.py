"""Features for any formula and any market: live is history, the future is never seen, windows are exact."""

import math
import statistics

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tradeworthy.core.events import Kind, events_from_columns
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import NS_PER_MINUTE
from tradeworthy.model.features.expressions import (
    bar,
    corr,
    day_of_week_cos,
    log_return,
    on,
    quote,
    time_of_day_sin,
    where,
)
from tradeworthy.model.features.formula import Expression
from tradeworthy.model.features.program import Program, compile_program
from tradeworthy.model.features.runtime import FeatureState

DESK = (Instrument(symbol="ETH"), Instrument(symbol="LTC"), Instrument(symbol="BTC", traded=False))
WINDOWS = st.integers(2, 12)
NUMBERS = st.sampled_from([-2.0, -0.5, 0.0, 0.5, 1.0, 3.0])
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

FIELDS = st.sampled_from(
    [bar.open, bar.high, bar.low, bar.close, bar.volume, quote.bid, quote.ask, quote.bid_size, time_of_day_sin()]
)


def _grow(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    """Return formulas one operation larger."""
    pairs = st.tuples(inner, inner | NUMBERS.map(lambda x: Expression("number", number=x)))
    rolling = st.sampled_from(["sum", "mean", "std", "min", "max", "zscore", "lag", "diff", "ema", "ewm_std", "rsi"])
    single = st.sampled_from(["log", "exp", "sqrt", "abs", "sign", "negative"])
    binary = st.sampled_from(["add", "subtract", "multiply", "divide", "power", "minimum", "maximum"])
    return st.one_of(
        st.builds(lambda x, op, n: x.apply(op, n=n), inner, rolling, WINDOWS),
        st.builds(lambda x, op: x.apply(op), inner, single),
        st.builds(lambda xy, op: xy[0].apply(op, xy[1]), pairs, binary),
        st.builds(lambda xy, n: corr(*xy, n), pairs, WINDOWS),
        st.builds(lambda xy, z: where((xy[0] > xy[1]) & ~(z <= 0.0), xy[0], z), pairs, inner),
        st.builds(lambda x: on("BTC", x), inner),
        st.builds(lambda x, n: on("LTC", log_return(x, n)), inner, WINDOWS),
    )


FORMULAS = st.recursive(FIELDS, _grow, max_leaves=6)
PROGRAMS = st.lists(FORMULAS, min_size=1, max_size=5).map(
    lambda formulas: compile_program({f"f{i}": each for i, each in enumerate(formulas)} | {"day": day_of_week_cos()})
)
PRICES = st.floats(0.01, 1e6) | st.sampled_from([0.0, -1.0, math.nan, math.inf, 1e200, 1e-300])


@st.composite
def markets(draw):
    """Draw bars and quotes of three instruments, in any order, with holes, ties and late events."""
    n = draw(st.integers(0, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    level = np.exp(np.cumsum(rng.normal(0.0, 0.02, n))) * 100.0
    columns = {name: level * rng.uniform(0.99, 1.01, n) for name in ("open", "high", "low", "close", "volume")}
    events = events_from_columns(Kind.BAR, 0, np.arange(n) * NS_PER_MINUTE + 10**18, columns)
    events["kind"] = rng.choice([Kind.BAR, Kind.BAR, Kind.QUOTE, Kind.TRADE], n)
    events["instrument"] = rng.choice([0, 0, 1, 2, 9], n)
    events["ts_event_ns"] -= rng.integers(-1, 2, n) * NS_PER_MINUTE
    for _ in range(draw(st.integers(0, 4)) if n else 0):
        events["values"][draw(st.integers(0, n - 1)), draw(st.integers(0, 4))] = draw(PRICES)
    return events


@quick
@given(PROGRAMS, markets())
def test_live_steps_and_batch_folds_agree_to_the_last_bit(program, events):
    """For any program and market, one event at a time gives the bytes that the fold over history gives."""
    state = FeatureState(program, DESK)
    live = [(i, row) for i, event in enumerate(events) if (row := state.one(event)) is not None]
    folded = FeatureState(program, DESK)
    rows, places = folded.many(events)
    assert [i for i, _ in live] == places.tolist()
    assert b"".join(row.tobytes() for _, row in live) == rows.tobytes()
    assert all(state.dump()[name].tobytes() == array.tobytes() for name, array in folded.dump().items())


@quick
@given(PROGRAMS, markets(), st.data())
def test_the_future_never_changes_the_past(program, events, data):
    """Cutting off or rewriting the future leaves every row before it as it was."""
    cut = data.draw(st.integers(0, len(events)))
    rows, places = FeatureState(program, DESK).asked(events)
    past = places < cut
    known, where_known = FeatureState(program, DESK).asked(events[:cut])
    assert known.tobytes() == rows[past].tobytes()
    assert where_known.tolist() == places[past].tolist()
    rewritten = events.copy()
    rewritten["values"][cut:] *= -7.0
    again, _ = FeatureState(program, DESK).asked(rewritten)
    assert again[past].tobytes() == rows[past].tobytes()


@quick
@given(PROGRAMS, markets(), st.integers(1, 50))
def test_the_same_moment_elsewhere_is_never_seen(program, events, factor):
    """Changing other instruments at a decision's own time, or later, does not change its row."""
    events = events[np.argsort(events["ts_event_ns"], kind="stable")]
    rows, places = FeatureState(program, DESK).asked(events)
    if not len(places):
        return
    at = places[factor % len(places)]
    changed = events.copy()
    other = (events["instrument"] != events["instrument"][at]) & (events["ts_event_ns"] >= events["ts_event_ns"][at])
    changed["values"][other] *= factor + 1.0
    again, _ = FeatureState(program, DESK).asked(changed)
    place = places.tolist().index(at)
    assert again[place].tobytes() == rows[place].tobytes()


@quick
@given(PROGRAMS, markets(), st.data())
def test_a_checkpoint_anywhere_changes_nothing(program, events, data):
    """Dump and restore at any event: the rows after it are the same bytes."""
    cut = data.draw(st.integers(0, len(events)))
    whole, _ = FeatureState(program, DESK).asked(events)
    first, second = FeatureState(program, DESK), FeatureState(program, DESK)
    early, _ = first.asked(events[:cut])
    second.restore(first.dump())
    late, _ = second.asked(events[cut:])
    assert np.concatenate([early, late]).tobytes() == whole.tobytes()


@quick
@given(PROGRAMS, markets())
def test_any_program_survives_storage(program, events):
    """Any program written as JSON and read again gives the same digest and the same rows."""
    again = Program.from_json(program.to_json())
    assert again.digest == program.digest
    rows, _ = FeatureState(program, DESK).asked(events)
    assert FeatureState(again, DESK).asked(events)[0].tobytes() == rows.tobytes()


@quick
@given(
    st.lists(st.floats(-1e6, 1e6) | st.floats(-1e-6, 1e-6) | st.sampled_from([1e12, -1e12]), min_size=3, max_size=80),
    st.integers(2, 9),
)
def test_windows_are_exact_whatever_passed_through_them(values, n):
    """Sum and variance are those of exact fractions, to 100 bits of the largest value of the last two windows."""
    columns = dict.fromkeys(("open", "high", "low", "close", "volume"), values)
    events = events_from_columns(Kind.BAR, 0, np.arange(len(values)) + 1, columns)
    program = compile_program({"sum": bar.close.sum(n), "std": bar.close.std(n), "max": bar.close.max(n)})
    rows, places = FeatureState(program, DESK).many(events)
    for row, place in zip(rows, places, strict=True):
        window = values[place + 1 - n : place + 1]
        largest, recent = max(map(abs, window)), max(map(abs, values[max(place + 1 - 3 * n, 0) : place + 1]))
        assert math.isclose(row[0], math.fsum(window), rel_tol=1e-15, abs_tol=1e-29 * recent + 1e-15 * largest)
        noise = 1e-29 * recent**2 + 2e-28 * largest**2
        assert math.isclose(row[1] ** 2, statistics.variance(window), rel_tol=1e-12, abs_tol=noise)
        assert row[2] == max(window)
