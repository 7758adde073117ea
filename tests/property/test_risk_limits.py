"""Whatever is asked, in whatever order: what is approved keeps every limit, and what is not a number is refused."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tradeworthy.core.denials import DenialCode
from tradeworthy.core.events import Kind, event_dtype
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.limits import LIMIT_FIELDS, Limits
from tradeworthy.live.answers import settle
from tradeworthy.live.inbox import Inbox
from tradeworthy.live.positions import mark_position
from tradeworthy.live.risk.judge import CHECKS, judge, latch_if_repeated, observe_order, send_order
from tradeworthy.live.state import hold_desk, new_desk

LOT = 0.001
START = 10**18
IN_FLIGHT = [("positions", name) for name in ("quantity", "buying", "selling")]
CALM = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

LIMITS = Limits(
    price_collar_bps_max=150.0,
    order_value_max=900.0,
    order_quantity_max=8.0,
    orders_per_minute_max=5.0,
    repeated_orders_max=4.0,
    duplicate_window_ms=50.0,
    position_quantity_max=10.0,
    position_value_max=1_000.0,
    drawdown_value_max=80.0,
    market_age_ms_max=2_000.0,
)

numbers = st.one_of(st.floats(-20, 20), st.sampled_from([0.0, np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324]))
lots = st.integers(-9_000, 9_000).map(lambda count: count * LOT)

steps = st.one_of(
    st.tuples(st.just("order"), lots, st.floats(-0.03, 0.03)),
    st.tuples(st.just("odd order"), numbers, numbers),
    st.tuples(st.just("price"), st.floats(-0.02, 0.02), st.none()),
    st.tuples(st.just("fill"), st.floats(0.05, 1.0), st.floats(-0.01, 0.01)),
    st.tuples(st.just("reject"), st.none(), st.none()),
    st.tuples(st.just("wait"), st.integers(0, 90_000), st.none()),
)


class Trading:
    """A desk, and a plain model in Python of what it must never pass."""

    def __init__(self) -> None:
        self.desk = new_desk([Instrument(symbol="ETH", lot=LOT)], LIMITS)
        self.handle = hold_desk(self.desk)
        self.inbox = Inbox(1, 5)
        self.now = START
        self.price = 100.0
        self.sent: list[tuple[int, float, float]] = []
        self.open: dict[int, float] = {}
        self.filled = 0.0
        self.mark()

    def mark(self):
        """Price the instrument."""
        mark_position(self.desk.positions[0], self.desk.account[0], 1.0, self.price, self.now)

    def order(self, quantity, limit_price):
        """Ask for an order; send it if it is approved, after checking that it keeps every limit."""
        code, _ = judge(self.handle, 0, quantity, limit_price, self.price, self.now)
        latch_if_repeated(self.handle, code)
        if code != DenialCode.NONE:
            return
        self.check(quantity, limit_price)
        place = send_order(self.handle, 0, quantity, limit_price, self.now)
        self.desk.orders["order"][place] = len(self.sent) + 1
        self.sent.append((self.now, quantity, limit_price))
        self.open[len(self.sent)] = quantity

    def check(self, quantity, limit_price):
        """Hold an approved order to every limit, computed here from scratch."""
        assert np.isfinite(quantity)
        assert np.isfinite(limit_price)
        worst = max(limit_price, self.price)
        assert abs(limit_price / self.price - 1.0) * 1e4 <= LIMITS.price_collar_bps_max * (1 + 1e-12)
        assert 0 < abs(quantity) <= LIMITS.order_quantity_max
        assert abs(quantity) * worst <= LIMITS.order_value_max
        recent = [ts for ts, _, _ in self.sent if self.now - ts < 60 * 10**9]
        assert len(recent) + 1 <= LIMITS.orders_per_minute_max
        same = [ts for ts, *rest in self.sent if rest == [quantity, limit_price]]
        assert all(self.now - ts >= LIMITS.duplicate_window_ms * 1e6 for ts in same)
        sides = [np.sign(q) for _, q, _ in self.sent[-int(LIMITS.repeated_orders_max) :]]
        assert len(sides) < LIMITS.repeated_orders_max or any(side != np.sign(quantity) for side in sides)
        flying = sum(left for left in self.open.values() if left * quantity > 0)
        exposure = (self.filled + flying + quantity) * np.sign(quantity)
        assert exposure <= LIMITS.position_quantity_max + LOT / 2
        assert exposure * worst <= LIMITS.position_value_max * (1 + 1e-9) + LOT * worst

    def answer(self, kind, *values: float):
        """Let the venue answer the oldest open order."""
        if not self.open:
            return
        name = next(iter(self.open))
        event = np.zeros(1, event_dtype())
        event["kind"], event["reference"], event["ts_event_ns"] = kind, name, self.now
        event["values"] = np.nan
        if kind == Kind.FILL:
            left = self.open[name]
            quantity = np.sign(left) * max(LOT, round(abs(left) * values[0] / LOT) * LOT)
            event["values"][0, :3] = quantity, self.price * (1 + values[1]), 0.01
        self.inbox.load(event)
        code = settle(self.handle, self.inbox.words, self.inbox.numbers, 0)
        if code != DenialCode.NONE:
            assert code == DenialCode.INPUT_DUPLICATE
            return
        if kind == Kind.REJECT:
            del self.open[name]
            return
        self.filled += quantity
        self.open[name] -= quantity
        if abs(self.open[name]) < LOT / 2:
            del self.open[name]

    def step(self, kind, first, second):
        """Do one thing."""
        if kind == "order":
            self.order(first, self.price * (1 + second))
        elif kind == "odd order":
            self.order(first, second)
        elif kind == "price":
            self.price *= 1 + first
            self.mark()
        elif kind == "fill":
            self.answer(Kind.FILL, first, second)
        elif kind == "reject":
            self.answer(Kind.REJECT)
        else:
            self.now += first * 10**6
            self.mark()


@CALM
@given(st.lists(steps, max_size=60))
def test_no_approved_order_passes_a_limit(script):
    """Any sequence of orders, fills, rejects, prices and pauses: what is approved keeps every limit."""
    trading = Trading()
    for step in script:
        trading.step(*step)
        position = trading.desk.positions[0]
        assert position["quantity"] == pytest.approx(trading.filled, abs=LOT / 2)
        assert position["buying"] - position["selling"] == pytest.approx(sum(trading.open.values()), abs=LOT)
        assert abs(position["quantity"]) <= LIMITS.position_quantity_max + LOT


@CALM
@given(
    st.sampled_from(["quantity", "limit_price", "reference"]),
    st.sampled_from([np.nan, np.inf, -np.inf, 1e308]),
    st.floats(0.001, 5.0),
)
def test_an_order_that_is_not_a_number_is_refused(where, value, quantity):
    """NaN, infinities and numbers that overflow refuse, wherever in the order they stand."""
    trading = Trading()
    order = {"quantity": quantity, "limit_price": 100.0, "reference": 100.0} | {where: value}
    code, _ = judge(trading.handle, 0, order["quantity"], order["limit_price"], order["reference"], START)
    assert code != DenialCode.NONE


@CALM
@given(
    st.sampled_from([*IN_FLIGHT, ("account", "equity"), ("account", "peak")]),
    st.sampled_from([1.0, -1.0]),
)
def test_nan_in_the_desks_own_state_refuses(field, side):
    """Even if a position or the equity became NaN, nothing would be sent on it."""
    trading = Trading()
    array, name = field
    getattr(trading.desk, array)[name] = np.nan
    code, _ = judge(trading.handle, 0, side, 100.0, 100.0, START)
    opposite = name == ("selling" if side > 0 else "buying")
    assert code != DenialCode.NONE or opposite  # what is in flight on the other side is not asked


@CALM
@given(st.sampled_from(LIMIT_FIELDS), st.floats(0.1, 5.0))
def test_nan_in_any_limit_refuses(name, quantity):
    """A limit that is not set refuses every order."""
    trading = Trading()
    trading.desk.limits[:, LIMIT_FIELDS.index(name)] = np.nan
    code, _ = judge(trading.handle, 0, quantity, 100.0, 100.0, START)
    assert code == DenialCode.LIMIT_MISSING


@CALM
@given(st.floats(0.001, 8.0), st.floats(0.1, 3.0))
def test_tightening_a_limit_never_approves_more(quantity, factor):
    """An order that a looser limit refuses is refused by a tighter one too."""
    loose, tight = Trading(), Trading()
    at_least = np.array([check.at_least for check in CHECKS])
    scale = min(factor, 1.0)
    tight.desk.limits[:] = np.where(at_least, loose.desk.limits / scale, loose.desk.limits * scale)
    refused_loose, _ = judge(loose.handle, 0, quantity, 100.5, 100.0, START)
    refused_tight, _ = judge(tight.handle, 0, quantity, 100.5, 100.0, START)
    assert refused_loose == DenialCode.NONE or refused_tight != DenialCode.NONE


@CALM
@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=20))
def test_no_waiting_clears_the_latch(waits):
    """A strategy that repeated itself stays off until a person resumes it, never by a timer."""
    trading = Trading()
    trading.desk.account["latched"] = 1
    for wait in waits:
        trading.now += wait * 10**9
        trading.mark()
        code, _ = judge(trading.handle, 0, -1.0, 100.0, 100.0, trading.now)
        assert code == DenialCode.REPEATED_EXECUTION


@CALM
@given(numbers, numbers, numbers)
def test_checks_always_measure(quantity, limit_price, reference):
    """Whatever the order, every check writes its measure anew."""
    trading = Trading()
    trading.desk.observed[:] = -12345.0
    observe_order(trading.handle, 0, quantity, limit_price, reference, START)
    assert not (trading.desk.observed == -12345.0).any()
