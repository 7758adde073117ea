"""The simulated market is what its truth says."""

import asyncio

import numpy as np
import pytest

from tradeworthy.core.decisions import ORDER
from tradeworthy.core.errors import SettingsInvalid
from tradeworthy.core.events import Kind
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import NS_PER_MS, VirtualClock
from tradeworthy.live.feeds.simulated import Regime, SimulatedSettings, simulate
from tradeworthy.live.venues.simulated import SimulatedMarket, simulated_costs

DESK = (Instrument(symbol="ONE"), Instrument(symbol="TWO", tick=0.05))
CALM, WILD = Regime(bars=4_000, momentum=0.3), Regime(bars=4_000, volatility_bps=80.0, momentum=-0.3)


def market(seed=1, desk=DESK, **changes: object):
    """Simulate a calm and then a wild regime, with changes."""
    return simulate(SimulatedSettings(**({"regimes": (CALM, WILD)} | changes)), desk, np.random.default_rng(seed))


def returns(simulation, instrument=0):
    """Return the log returns of an instrument's closes."""
    events = simulation.events
    bars = events[(events["kind"] == Kind.BAR) & (events["instrument"] == instrument)]
    return np.diff(np.log(bars["values"][:, 3]))


@pytest.fixture(scope="module")
def both():
    """Simulate once for the tests that only look."""
    return market(gap_rate=0.002, stale_rate=0.002, crossed_rate=0.002)


def test_one_seed_is_one_market():
    """The same seed gives the same bytes, another seed another market."""
    days = [market(seed, regimes=(Regime(bars=200),)).events.tobytes() for seed in (7, 7, 8)]
    assert days[0] == days[1] != days[2]


def test_volatility_changes_where_the_truth_says():
    """Before the change bars move by about 40 basis points, after it by about 80."""
    moves = returns(market(gap_rate=0.0)) * 1e4
    assert moves[:3_999].std() == pytest.approx(40.0, rel=0.2)
    assert moves[4_000:].std() == pytest.approx(80.0, rel=0.2)


def test_momentum_is_there_to_be_learned_and_then_turns():
    """Neighbouring returns correlate by the regime's momentum, with its sign."""
    moves = returns(market(gap_rate=0.0, arch=0.0, garch=0.0))
    before, after = moves[:3_999], moves[4_000:]
    assert np.corrcoef(before[1:], before[:-1])[0, 1] == pytest.approx(0.3, abs=0.06)
    assert np.corrcoef(after[1:], after[:-1])[0, 1] == pytest.approx(-0.3, abs=0.06)


def test_volatility_clusters():
    """Large moves follow large moves, and do not where clustering is switched off."""
    quiet = {
        "regimes": (Regime(bars=20_000),),
        "gap_rate": 0.0,
        "quotes": False,
        "steps_per_bar": 1,
        "tail_degrees": 30.0,
    }
    clustered, plain = (
        np.abs(returns(market(**quiet, arch=arch, garch=garch))) for arch, garch in ((0.1, 0.85), (0, 0))
    )
    assert np.corrcoef(clustered[1:], clustered[:-1])[0, 1] > 0.1
    assert abs(np.corrcoef(plain[1:], plain[:-1])[0, 1]) < 0.03


def test_instruments_share_the_declared_variance():
    """Two instruments' returns correlate by about the declared share."""
    simulation = market(gap_rate=0.0, arch=0.0, garch=0.0)
    assert np.corrcoef(returns(simulation), returns(simulation, 1))[0, 1] == pytest.approx(0.5, abs=0.1)


def test_changes_are_at_the_first_bar_of_the_new_regime(both):
    """The truth names the bar, its close and what is new."""
    (change,) = both.changes
    settings = SimulatedSettings(regimes=(CALM, WILD))
    assert (change.bar, change.changed) == (4_000, ("volatility_bps", "momentum"))
    assert change.ts_event_ns == settings.start_ns + 4_001 * 1_800_000_000_000


def test_a_regime_like_the_one_before_is_no_change():
    """Only what differs is a change."""
    assert market(regimes=(Regime(bars=10), Regime(bars=10))).changes == ()


def test_bars_are_consistent_and_continuous(both):
    """Every bar's high and low include its prices, and it opens where the last one closed."""
    for number, desk in enumerate(DESK):
        bars = both.events[(both.events["kind"] == Kind.BAR) & (both.events["instrument"] == number)]
        opened, high, low, close, volume = bars["values"].T
        assert (high >= np.maximum(opened, close)).all()
        assert (low <= np.minimum(opened, close)).all()
        assert (volume > 0).all()
        np.testing.assert_allclose(close / desk.tick, np.round(close / desk.tick), rtol=0, atol=1e-6)


def test_missing_bars_are_missing_for_everybody(both):
    """In a gap no instrument has a bar, and everywhere else all have."""
    bars = both.events[both.events["kind"] == Kind.BAR]
    assert len(both.missing_ns) > 0
    assert not np.isin(bars["ts_event_ns"], both.missing_ns).any()
    assert len(bars) == len(DESK) * (8_000 - len(both.missing_ns))


def test_stale_quotes_arrive_late_and_only_they_do(both):
    """A stale quote arrives ten minutes after it happened; events are in the order of arrival."""
    late_ns = both.events["ts_recv_ns"] - both.events["ts_event_ns"]
    assert both.stale.any()
    assert (late_ns[both.stale] == 600_000 * NS_PER_MS).all()
    assert (late_ns[~both.stale] == 0).all()
    assert (np.diff(both.events["ts_recv_ns"]) >= 0).all()


def test_crossed_quotes_are_exactly_the_planted_ones(both):
    """The bid is above the ask where the truth says so, and nowhere else."""
    quotes = both.events["kind"] == Kind.QUOTE
    bid, ask = both.events["values"][:, 0], both.events["values"][:, 1]
    assert both.crossed.any()
    assert np.array_equal((bid > ask) & quotes, both.crossed)


def test_quotes_lie_within_their_bars():
    """No quote's middle is outside the bar that contains it."""
    simulation = market(desk=DESK[:1], gap_rate=0.0, crossed_rate=0.0, stale_rate=0.0)
    quotes = simulation.events[simulation.events["kind"] == Kind.QUOTE]["values"].reshape(8_000, 8, -1)
    bars = simulation.events[simulation.events["kind"] == Kind.BAR]["values"]
    middle = quotes[:, :, :2].mean(axis=2)
    assert (middle.max(axis=1) <= bars[:, 1] + 0.011).all()
    assert (middle.min(axis=1) >= bars[:, 2] - 0.011).all()


def order(order_id):
    found = np.zeros(1, ORDER)
    found["decision"], found["quantity"], found["limit_price"] = order_id, 1.0, np.inf
    return found


def test_a_day_of_trading_is_one_object():
    """Orders sent while events arrive fill at a later, fresh, uncrossed quote's ask or worse."""
    simulation = market(regimes=(Regime(bars=200),), stale_rate=0.2, crossed_rate=0.2)
    clock = VirtualClock()
    venue = SimulatedMarket(simulation, DESK, clock=clock, batch_max=16)
    filled = []

    async def trade() -> int:
        sent = 0
        async for batch in venue.events():
            for event in batch:
                answers = venue.observe(event) if venue.pending else []
                filled.extend((answer, event) for answer in answers)
                if event["kind"] == Kind.BAR and not venue.pending:
                    sent += 1
                    venue.submit(order(sent))
        return sent

    sent = asyncio.run(trade())
    assert sent > 100
    assert len(filled) >= sent - 1
    for answer, event in filled:
        assert event["kind"] == Kind.QUOTE
        assert event["values"][0] <= event["values"][1] <= answer["values"][1]
        assert event["ts_recv_ns"] == event["ts_event_ns"]


def test_a_market_of_bars_fills_on_bars():
    """Without quotes, the venue's costs are those of bars."""
    assert simulated_costs(market(regimes=(Regime(bars=10),), quotes=False)).fill_on == ("bar",)
    assert simulated_costs(market(regimes=(Regime(bars=10),))).fill_on == ("quote", "book")


def test_closing_ends_the_market():
    """A closed market yields nothing more, and a cancelled order is answered at the next event."""
    simulation = market(regimes=(Regime(bars=10),))
    venue = SimulatedMarket(simulation, DESK, clock=VirtualClock())
    venue.submit(order(1))
    venue.cancel(1)
    assert venue.observe(simulation.events[0])["kind"].tolist() == [Kind.REJECT]
    venue.close()

    async def count() -> int:
        return sum([len(batch) async for batch in venue.events()])

    assert asyncio.run(count()) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"regimes": ()},
        {"tail_degrees": 2.0},
        {"arch": 0.5, "garch": 0.5},
        {"gap_rate": 1.5},
        {"start_price": 0.0},
        {"spread_bps": float("nan")},
        {"period": "half an hour"},
    ],
)
def test_markets_that_cannot_exist_are_refused(changes):
    """Settings outside what the model allows are named."""
    with pytest.raises(ValueError, match=r"allowed|needs"):
        SimulatedSettings(**({"regimes": (CALM,)} | changes))


@pytest.mark.parametrize("changes", [{"bars": 0}, {"volatility_bps": 0.0}, {"momentum": 1.0}])
def test_regimes_that_cannot_exist_are_refused(changes):
    """A regime lasts, moves and does not explode."""
    with pytest.raises(ValueError, match="is no regime"):
        Regime(**({"bars": 1} | changes))


def test_a_market_needs_an_instrument():
    """An empty desk has no market."""
    with pytest.raises(SettingsInvalid, match="at least one instrument"):
        market(desk=())
