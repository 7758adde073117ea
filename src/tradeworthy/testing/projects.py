"""A small project on disk, for tests of whatever works on a whole deployment: it trains in a second.

Idea:   returns follow one another, so there is something to learn, and the gate has reason to pass a good version.
Units:  bars of half an hour from 2020-01-01 UTC, stamped at their opens; prices near 300.
"""

from pathlib import Path

import numpy as np
import polars as pl

from tradeworthy.core.time import NS_PER_MINUTE, NS_PER_S

START_NS = 1_577_836_800 * NS_PER_S
BAR_NS = 30 * NS_PER_MINUTE
FOLLOWING = 0.4
"""How much of a return is found again in the next one."""

SETTINGS = """\
[desk]
name = "small"

[[instrument]]
symbol = "ABC"

[[market]]
instrument = "ABC"
path = "ABC.csv"
period = "30m"
bar_time = "open"

[training]
folds = 3

[signal]
enter_long = 0.6
exit_long = 0.5
enter_short = 0.4
exit_short = 0.5
notional = 10_000.0
allow_short = true

[limits]
price_collar_bps_max = 500.0
order_value_max = 50_000.0
order_quantity_max = 500.0
orders_per_minute_max = 100.0
repeated_orders_max = 1_000_000.0
duplicate_window_ms = 1_000.0
position_quantity_max = 500.0
position_value_max = 50_000.0
drawdown_value_max = 50_000.0
market_age_ms_max = 60_000.0

[gate.latency]
us_p99_max = 1e9

[card]
purpose = "Tests."
owner = "the tests"
data = "Bars of a simulated price whose returns follow one another."
strategy_summary = "It follows the last returns."
known_failure_modes = "A price that is a random walk."
next_review = "2027-06-30"
"""

STRATEGY = '''\
"""Small trees over the last returns."""

import lightgbm
import tradeworthy as tw
from tradeworthy import bar

returns = tw.log_return(bar.close)
features = {"return_1": returns, "mean_4": returns.mean(4), "volatility_12": returns.std(12)}
label = tw.forward_direction(bar.close, 3)


def train(rows, labels):
    """Fit a few small trees."""
    settings = {"objective": "binary", "num_leaves": 4, "verbose": -1, "num_threads": 1, "seed": 1}
    return lightgbm.train(settings, lightgbm.Dataset(rows, labels), num_boost_round=20)
'''


def market_frame(bars: int, *, seed: int = 1) -> pl.DataFrame:
    """Return bars as a file holds them: `time` at the open, open, high, low, close, volume.

    Parameters
    ----------
    bars : int
        How many.
    seed : int
        Of the prices.
    """
    rng = np.random.default_rng(seed)
    returns = 0.004 * rng.standard_normal(bars)
    for i in range(1, bars):
        returns[i] += FOLLOWING * returns[i - 1]
    close = 300.0 * np.exp(np.cumsum(returns))
    opened = np.concatenate([[300.0], close[:-1]])
    wick = np.exp(0.001 * np.abs(rng.standard_normal(bars)))
    stamps = pl.Series(START_NS + BAR_NS * np.arange(bars, dtype=np.int64)).cast(pl.Datetime("ns"))
    return pl.DataFrame(
        {
            "time": stamps,
            "open": opened,
            "high": np.maximum(opened, close) * wick,
            "low": np.minimum(opened, close) / wick,
            "close": close,
            "volume": np.exp(rng.standard_normal(bars)),
        }
    )


def wilder(frame: pl.DataFrame, start: int, times: float) -> pl.DataFrame:
    """Return the same market with returns that many times as large from one bar on; a bar spans its open and close."""
    close = frame["close"].to_numpy()
    first = float(frame["open"][0])
    grown = np.where(np.arange(len(frame)) >= start, times, 1.0)
    closed = first * np.exp(np.cumsum(grown * np.diff(np.log(close), prepend=np.log(first))))
    opened = np.concatenate([[first], closed[:-1]])
    prices = {"open": opened, "high": np.maximum(opened, closed), "low": np.minimum(opened, closed), "close": closed}
    return frame.with_columns([pl.Series(name, values) for name, values in prices.items()])


def write_project(folder: Path, *, bars: int = 3_000, seed: int = 1) -> Path:
    """Write settings, a strategy and market data into a folder, made if absent, and return it.

    Parameters
    ----------
    folder : Path
        The project's.
    bars : int
        Of market data.
    seed : int
        Of the prices.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tradeworthy.toml").write_text(SETTINGS, "utf-8")
    (folder / "strategy.py").write_text(STRATEGY, "utf-8")
    market_frame(bars, seed=seed).write_csv(folder / "ABC.csv")
    return folder
