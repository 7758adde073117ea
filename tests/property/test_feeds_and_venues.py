"""What holds for any file, any pace and any orders."""

import asyncio
import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeworthy.core.decisions import ORDER
from tradeworthy.core.events import Kind, events_from_columns
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import VirtualClock
from tradeworthy.live.feeds.mending import Mending, Table, inconsistent_rows, mend
from tradeworthy.live.feeds.quality import find_gaps
from tradeworthy.live.feeds.replay import ReplayFeed
from tradeworthy.live.venues.paper import Paper, PaperSettings

DESK = (Instrument(symbol="ETH", tick=0.01, lot=0.001),)
values = st.one_of(st.integers(-2, 20).map(float), st.sampled_from([math.nan, math.inf, 1e308]))
rows = st.lists(st.tuples(st.integers(0, 30), st.booleans(), values, values, values, values, values), max_size=30)
cents = st.integers(100, 500_000)
lots = st.integers(-5_000, 5_000).filter(bool)


@given(rows, st.sampled_from(["drop", "repair"]), st.sampled_from(["first", "last"]))
@settings(max_examples=150, deadline=None)
def test_mended_bars_can_be_true(drawn, inconsistent, duplicates):
    """What is left of any file ascends and is finite, positive and consistent; no row is lost uncounted."""
    data = np.array([row[2:] for row in drawn], np.float64).reshape(-1, 5)
    columns = dict(zip(("open", "high", "low", "close", "volume"), data.T, strict=True))
    stamps = np.array([row[0] for row in drawn], np.int64)
    table = Table(stamps_ns=stamps, columns=columns, readable=np.array([row[1] for row in drawn], np.bool_))
    left, found = mend(table, Kind.BAR, Mending(inconsistent=inconsistent, duplicates=duplicates, path="x"))
    assert (np.diff(left.stamps_ns) > 0).all()
    assert all(np.isfinite(column).all() for column in left.columns.values())
    assert all((left.columns[name] > 0).all() for name in ("open", "high", "low", "close"))
    assert not inconsistent_rows(left.columns, Kind.BAR).any()
    dropped = found.unreadable + found.not_finite + found.duplicates + found.not_positive
    assert len(left) == len(drawn) - dropped - (found.inconsistent if inconsistent == "drop" else 0)


@given(st.sets(st.integers(0, 200), min_size=1, max_size=60))
@settings(max_examples=100, deadline=None)
def test_bars_there_and_bars_missing_fill_the_span(present):
    """Events plus missing bars are the length of the span, in periods."""
    stamps = np.array(sorted(present), np.int64) * 1_000
    missing = sum(gap.missing for gap in find_gaps(stamps, 1_000))
    assert len(stamps) + missing == (stamps[-1] - stamps[0]) // 1_000 + 1


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=80), st.integers(1, 20))
@settings(max_examples=80, deadline=None)
def test_replay_loses_and_changes_nothing(times, batch_max):
    """Everything but the arrival is delivered bit for bit, in any batches, and arrival never goes back."""
    happened = np.array([time for time, _ in times], np.int64)
    seen = np.array([time + late for time, late in times], np.int64)
    columns = {"price": happened + 0.5, "size": happened, "side": happened}
    events = events_from_columns(Kind.TRADE, 0, happened, columns, ts_recv_ns=seen)

    async def collect() -> list:
        feed = ReplayFeed(events, clock=VirtualClock(), batch_max=batch_max)
        return [batch async for batch in feed.events()]

    delivered = np.concatenate([events[:0], *asyncio.run(collect())])
    assert (np.diff(delivered["ts_recv_ns"]) >= 0).all()
    assert (delivered["ts_recv_ns"] >= seen).all()
    delivered["ts_recv_ns"] = events["ts_recv_ns"]
    assert delivered.tobytes() == events.tobytes()


def exact_price(price_cents, buys, cost_bps):
    """Return the fill price by decimal arithmetic: costs and the tick against us."""
    side = 1 if buys else -1
    raw = Decimal(price_cents) / 100 * (1 + side * Decimal(cost_bps) / 10_000)
    return raw.quantize(Decimal("0.01"), rounding=ROUND_CEILING if buys else ROUND_FLOOR)


@given(st.lists(st.tuples(cents, lots), min_size=1, max_size=40), st.integers(0, 50), st.integers(0, 30))
@settings(max_examples=150, deadline=None)
def test_money_is_right_to_the_cent(trades, fee_bps, cost_bps):
    """Cash after any trades equals decimal arithmetic to a hundredth of a cent, and every price is exact."""
    venue = Paper(PaperSettings(fee_bps=fee_bps, half_spread_bps=0.0, slippage_bps=cost_bps), DESK)
    cash, exact = 0.0, Decimal(0)
    for order_id, (price_cents, n_lots) in enumerate(trades, start=1):
        order = np.zeros(1, ORDER)
        order["decision"], order["quantity"] = order_id, n_lots / 1_000
        order["limit_price"] = math.inf if n_lots > 0 else 0.0
        venue.submit(order)
        price = price_cents / 100
        columns = {"open": [price], "high": [price], "low": [price], "close": [price], "volume": [0.0]}
        (fill,) = venue.observe(events_from_columns(Kind.BAR, 0, np.array([order_id]), columns)[0])
        quantity, paid, fee = fill["values"][:3].tolist()
        wanted = exact_price(price_cents, n_lots > 0, cost_bps)
        assert paid == float(wanted)
        cash -= quantity * paid + fee
        value = Decimal(n_lots) / 1_000 * wanted
        exact -= value + abs(value) * Decimal(fee_bps) / 10_000
    assert abs(Decimal(cash) - exact) < Decimal("0.0001")


@given(
    st.lists(st.tuples(lots, cents), min_size=1, max_size=10),
    st.lists(st.tuples(cents, st.integers(0, 3_000)), min_size=1, max_size=15),
    st.sampled_from([None, 0.3, 1.0]),
)
@settings(max_examples=150, deadline=None)
def test_no_quantity_appears_or_vanishes(ordered, market, participation):
    """For any orders and bars: filled plus open plus rejected is ordered, no fill is beyond a limit or the volume."""
    venue = Paper(PaperSettings(participation_max=participation), DESK)
    batch = np.zeros(len(ordered), ORDER)
    batch["decision"] = np.arange(1, len(ordered) + 1)
    batch["quantity"] = [n_lots / 1_000 for n_lots, _ in ordered]
    batch["limit_price"] = [limit / 100 for _, limit in ordered]
    venue.submit(batch)
    filled, rejected = np.zeros(len(ordered) + 1), set()
    for at_ns, (price_cents, volume_lots) in enumerate(market):
        price, volume = price_cents / 100, volume_lots / 1_000
        columns = {"open": [price], "high": [price], "low": [price], "close": [price], "volume": [volume]}
        answers = venue.observe(events_from_columns(Kind.BAR, 0, np.array([at_ns]), columns)[0])
        fills = answers[answers["kind"] == Kind.FILL]
        rejected |= set(answers["reference"][answers["kind"] == Kind.REJECT].tolist())
        for fill in fills:
            order_id, (quantity, paid) = int(fill["reference"]), fill["values"][:2].tolist()
            filled[order_id] += quantity
            limit = batch["limit_price"][order_id - 1]
            assert paid <= limit if quantity > 0 else paid >= limit
        if participation is not None:
            for side in (1, -1):
                taken = np.maximum(side * fills["values"][:, 0], 0.0).sum()
                assert taken <= volume * participation + 1e-9
    left = venue.open_orders()
    for order_id, wanted in enumerate(batch["quantity"], start=1):
        rest = left["quantity"][left["decision"] == order_id].sum()
        assert order_id in rejected or math.isclose(filled[order_id] + rest, wanted, abs_tol=1e-9)
    assert venue.pending == len(left)
