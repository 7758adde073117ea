"""Every built-in feed keeps the contract, and the kit notices feeds that do not."""

from functools import cache

import numpy as np
import pytest

from tradeworthy.core.events import Kind, events_from_columns
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import SystemClock, VirtualClock
from tradeworthy.live.feeds.crypto import read_crypto
from tradeworthy.live.feeds.replay import ReplayFeed
from tradeworthy.live.feeds.rows import RowSchema, read_rows
from tradeworthy.live.feeds.simulated import Regime, SimulatedSettings, simulate
from tradeworthy.live.venues.simulated import SimulatedMarket
from tradeworthy.testing.contract import ContractBroken
from tradeworthy.testing.feeds import FEED_CHECKS, check_feed

DESK = (Instrument(symbol="ETH"), Instrument(symbol="BTC", traded=False))


def trades(n=300):
    times = np.arange(1, n + 1, dtype=np.int64)
    columns = {"price": np.full(n, 100.0), "size": np.ones(n), "side": np.zeros(n)}
    return events_from_columns(Kind.TRADE, 0, times, columns)


@cache
def crypto():
    return read_crypto()[0][:2_000]


def real_bars():
    return ReplayFeed(crypto(), clock=VirtualClock())


def paced():
    return ReplayFeed(trades(), clock=SystemClock(), pace=lambda: 20_000.0, batch_max=10)


def rows():
    frame = {"time": np.arange(20), "f": np.arange(20.0)}
    return ReplayFeed(
        read_rows(frame, RowSchema(fields=("f",), instrument="ETH"), DESK)[0], clock=VirtualClock(), batch_max=7
    )


def simulated():
    settings = SimulatedSettings(regimes=(Regime(bars=50),), stale_rate=0.1, crossed_rate=0.1)
    return SimulatedMarket(simulate(settings, DESK, np.random.default_rng(3)), DESK, clock=VirtualClock(), batch_max=32)


FEEDS = (real_bars, paced, rows, simulated)


@pytest.mark.parametrize("check", FEED_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("make", FEEDS, ids=lambda make: make.__name__)
def test_built_in_feeds_keep_the_contract(make, check):
    """Each promise holds for each built-in feed."""
    check(make, len(DESK))


class Broken:
    """A feed that breaks one promise, made by a function from batch number to batch."""

    def __init__(self, batch_of, *, obeys_close=True) -> None:
        self._batch_of, self._obeys_close, self._closed = batch_of, obeys_close, False

    async def events(self):
        for number in range(3):
            if self._closed and self._obeys_close:
                return
            yield self._batch_of(number)

    def close(self):
        self._closed = True


def changed(number, **values: object):
    """Return two trades with some columns overwritten."""
    batch = trades(2)
    batch["ts_recv_ns"] += 10 * number
    for name, value in values.items():
        batch[name] = value
    return batch


SHARED = trades(2)
BROKEN = {
    "empty batches": lambda: Broken(lambda _: trades(0)),
    "another record type": lambda: Broken(lambda _: np.zeros(2)),
    "orders of another kind": lambda: Broken(lambda n: changed(n, kind=Kind.FILL)),
    "an unknown instrument": lambda: Broken(lambda n: changed(n, instrument=9)),
    "a written frame": lambda: Broken(lambda n: changed(n, sequence=1)),
    "padding that is no NaN": lambda: Broken(lambda n: changed(n, values=0.0)),
    "arrival that goes back": lambda: Broken(lambda n: changed(-n)),
    "batches that share memory": lambda: Broken(lambda _: SHARED),
    "a close that is not obeyed": lambda: Broken(changed, obeys_close=False),
}


@pytest.mark.parametrize("flaw", BROKEN)
def test_the_kit_notices_broken_feeds(flaw):
    """A feed with one flaw does not pass."""
    with pytest.raises(ContractBroken):
        check_feed(BROKEN[flaw], len(DESK))


def test_the_kit_passes_a_good_feed_of_ones_own():
    """The same fake without a flaw passes, so the flaws are what is noticed."""
    check_feed(lambda: Broken(changed), len(DESK))
