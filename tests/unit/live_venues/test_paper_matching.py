"""The venue's matching kernel agrees with the rules in plain Python, to the last bit."""

import numpy as np
import pytest
from plain_paper import PlainPaper

from tradeworthy.core.decisions import ORDER
from tradeworthy.core.events import Kind, event_dtype
from tradeworthy.core.instruments import Instrument
from tradeworthy.live.venues.paper import Paper, PaperSettings

DESK = (
    Instrument(symbol="ETH", tick=0.01, lot=0.001),
    Instrument(symbol="ES", tick=0.25, lot=1.0, multiplier=50.0),
    Instrument(symbol="JPY", tick=0.003, lot=0.3),
)
KINDS = (Kind.BAR, Kind.TRADE, Kind.QUOTE, Kind.BOOK, Kind.ROW)
SETTINGS = (
    PaperSettings(),
    PaperSettings(participation_max=0.02, fee_bps=-0.3, bar_price="close"),
    PaperSettings(participation_max=0.5, fee_minimum=1.5, age_ms_max=1.0, fill_on=("quote", "book")),
    PaperSettings(half_spread_bps=0.0, slippage_bps=0.0, fee_bps=0.0),
)


def drawn_event(rng, now_ns):
    """Return an event of any kind, at times late or broken."""
    event, kind = np.zeros(1, event_dtype()), KINDS[rng.integers(len(KINDS))]
    price = float(rng.choice([300.0, 0.02, 4_500.25])) * rng.uniform(0.98, 1.02)
    spread = price * rng.uniform(-1e-5, 4e-4)
    values = {
        Kind.BAR: [price, price + 2 * abs(spread), price - abs(spread), price + spread, rng.uniform(0.0, 90.0)],
        Kind.TRADE: [price, rng.uniform(0.0, 9.0), 1.0],
        Kind.QUOTE: [price, price + spread, rng.uniform(0.0, 9.0), rng.uniform(0.0, 9.0)],
        Kind.BOOK: [price, price + spread, rng.uniform(0.0, 9.0), rng.uniform(0.0, 9.0)],
    }.get(kind, [price])
    event["values"] = np.nan
    event["values"][0, : len(values)] = values
    if rng.random() < 0.05:
        event["values"][0, rng.integers(0, len(values))] = rng.choice([np.nan, np.inf, -1.0, 0.0])
    event["kind"], event["instrument"] = int(kind), rng.integers(0, len(DESK))
    event["ts_event_ns"] = now_ns - int(rng.choice([0, 0, 0, 5_000_000]))
    event["ts_recv_ns"] = event["ts_event_ns"] + int(rng.choice([0, 900_000, 2_000_000]))
    return event[0]


def drawn_orders(rng, first):
    """Return up to 24 orders: more than there is room for at first."""
    batch = np.zeros(rng.integers(0, 25), ORDER)
    for place in range(len(batch)):
        number = rng.integers(0, len(DESK))
        quantity = int(rng.integers(1, 4_000 if number == 0 else 40)) * DESK[number].lot * rng.choice([-1, 1])
        limit = rng.choice([0.0 if quantity < 0 else np.inf, 300.0, 4_500.0])
        batch[place] = (0, 0, 0, first + place, 0, 0, quantity, limit, 0.0, number, 0)
    return batch


@pytest.mark.parametrize("seed", range(12))
def test_fills_and_rejects_are_those_of_plain_python(seed):
    """Prices, quantities, fees, partial fills, limits, late and broken events: the same answers in the same order."""
    rng, settings = np.random.default_rng(seed), SETTINGS[seed % len(SETTINGS)]
    venue, plain = Paper(settings, DESK), PlainPaper(settings, DESK)
    answered, next_id = 0, 1
    for turn in range(300):
        if turn % 9 == 0:
            batch = drawn_orders(rng, next_id)
            next_id += len(batch)
            venue.submit(batch)
            for order in batch:
                plain.submit(*(order[name].item() for name in ("decision", "instrument", "quantity", "limit_price")))
        event = drawn_event(rng, turn * 1_000_000_000)
        found, wanted = venue.observe(event), plain.observe(event)
        assert [(each["kind"], each["reference"]) for each in found] == [(kind, order) for kind, order, _ in wanted]
        for mine, (_, _, values) in zip(found, wanted, strict=True):
            assert mine["values"].tolist()[: len(values)] == list(values)
            assert np.isnan(mine["values"][len(values) :]).all()
            assert (mine["ts_event_ns"], mine["flags"]) == (event["ts_event_ns"], 0)
        answered += len(found)
        left = sorted(order for book in plain.books for order in book)
        assert venue.open_orders()["quantity"].tolist() == [order.quantity for order in left]
        assert venue.pending == len(left)
    assert answered > 50


def test_events_of_another_width_are_answered_in_their_own_type():
    """A desk with wider events gets answers as wide; orders that rest stay."""
    venue = Paper(PaperSettings(), DESK)
    order = np.zeros(1, ORDER)
    order["decision"], order["quantity"], order["limit_price"] = 7, 1.0, np.inf
    venue.submit(order)
    event = np.zeros(1, event_dtype(20))
    event["kind"], event["values"][0, :5] = int(Kind.BAR), (300.0, 301.0, 299.0, 300.5, 10.0)
    (fill,) = venue.observe(event[0])
    assert fill.dtype == event.dtype
    assert (fill["kind"], fill["reference"], np.isnan(fill["values"][4:]).all()) == (Kind.FILL, 7, True)
    assert len(venue.observe(np.zeros(1, event_dtype())[0])) == 0
    assert venue.pending == 0


def test_an_answer_is_not_overwritten_by_the_next():
    """What `observe` returned stays as it was when the venue answers again."""
    venue, batch = Paper(PaperSettings(), DESK), np.zeros(2, ORDER)
    batch["decision"], batch["quantity"], batch["limit_price"] = (1, 2), 1.0, np.inf
    rng, answers = np.random.default_rng(3), []
    for order in (batch[:1], batch[1:]):
        venue.submit(order)
        event = drawn_event(rng, 10**12)
        event["kind"], event["instrument"], event["values"][:2] = int(Kind.TRADE), 0, (300.0, 5.0)
        event["ts_event_ns"] = event["ts_recv_ns"] = 10**12
        answers.append(venue.observe(event))
    assert [int(each["reference"][0]) for each in answers] == [1, 2]
