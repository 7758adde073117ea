"""The jobs that every contender does: one model, one program of features, real bars.

Idea:   a LightGBM binary model of 200 trees and 31 leaves on 32 float features is the job of scoring; 32 features from
        about 40 operations is the job of features; ETH bars with 16 features is the job of a whole engine. They are
        made from a seed, kept in ``bench/.kept``, and the same files are handed to the peers.
"""

import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from harness import KEPT, installed

from tradeworthy.core.events import EventBatch, Kind, events_from_columns
from tradeworthy.core.instruments import Instrument
from tradeworthy.model.features.expressions import Expression, bar, log_return, trade

Floats = npt.NDArray[np.float64]

ETH = Instrument(symbol="ETH", tick=0.01, lot=0.001)
HALF_HOUR_NS = 1_800_000_000_000

TREES, LEAVES, FEATURES, SEED = 200, 31, 32, 7
_TRAINING_ROWS = 60_000


def rows_of(count: int, features: int = FEATURES, seed: int = SEED) -> Floats:
    """Return (count, features) rows that are exact in float32, so that every contender sees the same numbers."""
    drawn = np.random.default_rng(seed).standard_normal((count, features)).astype(np.float32)
    return np.ascontiguousarray(drawn, np.float64)


def _target(rows: Floats, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    made = rows[:, 0] + 0.7 * rows[:, 1] * rows[:, 2] - 0.5 * np.abs(rows[:, 3]) + 0.3 * np.sin(3 * rows[:, 4])
    noisy = made + 0.2 * rows[:, 5:20].sum(axis=1) + rng.standard_normal(len(rows))
    return (noisy > np.median(noisy)).astype(np.int64)


@cache
def booster(trees: int = TREES, features: int = FEATURES) -> Any:
    """Return the LightGBM model of the job, trained once and kept."""
    import lightgbm  # noqa: PLC0415 - only where a peer or a reader needs it

    path = KEPT / f"lightgbm-{installed('lightgbm')}-{trees}x{LEAVES}-{features}.txt"
    if not path.exists():
        rows = rows_of(_TRAINING_ROWS, features)
        train_booster(rows, _target(rows, np.random.default_rng(SEED)), trees, path)
    return lightgbm.Booster(model_file=str(path))


def train_booster(rows: Floats, labels: npt.NDArray[Any], trees: int, path: Path) -> None:
    """Train the job's kind of model and keep its text."""
    import lightgbm  # noqa: PLC0415

    settings = {
        "objective": "binary",
        "num_leaves": LEAVES,
        "learning_rate": 0.05,
        "verbose": -1,
        "num_threads": 1,
        "seed": 1,
        "deterministic": True,
    }
    path.parent.mkdir(exist_ok=True)
    half = path.with_suffix(f".{os.getpid()}")
    lightgbm.train(settings, lightgbm.Dataset(rows, labels), trees).save_model(str(half))
    half.replace(path)


def single_row_fast(model: Any, features: int, rows: Floats) -> Any:
    """Return `call(i)`: LightGBM's C call for one row, through ctypes with addresses prepared beforehand.

    The lightest way into that library from Python that we know.
    """
    import ctypes  # noqa: PLC0415

    from lightgbm import basic  # noqa: PLC0415

    library = basic._LIB  # noqa: SLF001 - the C interface has no public door
    handle, length, score = ctypes.c_void_p(), ctypes.c_int64(), ctypes.c_double()
    error = library.LGBM_BoosterPredictForMatSingleRowFastInit(
        model._handle,  # noqa: SLF001
        ctypes.c_int(0),
        ctypes.c_int(0),
        ctypes.c_int(-1),
        ctypes.c_int(1),
        ctypes.c_int32(features),
        ctypes.c_char_p(b"num_threads=1"),
        ctypes.byref(handle),
    )
    if error:
        raise RuntimeError(f"LightGBM's fast initialisation returned {error}")
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
    function = library.LGBM_BoosterPredictForMatSingleRowFast
    call = kind(ctypes.cast(function, ctypes.c_void_p).value)
    places = [rows.ctypes.data + i * rows.strides[0] for i in range(len(rows))]
    start, count, out = handle.value, ctypes.addressof(length), ctypes.addressof(score)

    def one(i: int) -> float:
        call(start, places[i], count, out)
        return score.value

    one.keeps = (rows, model, handle, length)  # type: ignore[attr-defined]  # addresses outlive this function
    return one


def many_features() -> dict[str, Expression]:
    """Return the job of features: 32 of them from 43 operations, 5 fields included.

    Six windows of the return's sum and deviation and of the distances of price and volume from their means, and four
    exponential averages of price and return.
    """
    change = log_return(bar.close)
    features: dict[str, Expression] = {}
    for n in (5, 10, 20, 60, 120, 240):
        features |= {f"move_{n}": change.sum(n), f"volatility_{n}": change.std(n)}
        features |= {f"place_{n}": bar.close.zscore(n), f"volume_{n}": bar.volume.zscore(n)}
    for n in (3, 9, 19, 39):
        features |= {f"trend_{n}": bar.close / bar.close.ema(n), f"drift_{n}": change.ema(n)}
    return features


def engine_features() -> dict[str, Expression]:
    """Return the job of a whole engine: 16 features of bars.

    ``peers/plain_features.py`` has the same in plain Python.
    """
    close = bar.close
    change, trend = log_return(close), close.ema(12) - close.ema(26)
    features = {f"return_{n}": log_return(close, n) for n in (1, 6, 12, 48, 96)}
    features |= {f"volatility_{n}": change.std(n) for n in (12, 48, 96)}
    features |= {f"place_{n}": close.zscore(n) for n in (12, 48, 96)}
    features |= {
        "volume": bar.volume / bar.volume.mean(48),
        "range": ((bar.high - bar.low) / close).mean(14),
        "turn": (trend - trend.ema(9)) / close,
        "strength": close.rsi(14) / 100.0,
        "span": (bar.high - bar.low) / close,
    }
    return features


def tick_features() -> dict[str, Expression]:
    """Return eight features of trades."""
    change = log_return(trade.price)
    features = {f"move_{n}": log_return(trade.price, n) for n in (1, 20, 200)}
    features |= {f"volatility_{n}": change.std(n) for n in (50, 500)}
    return features | {
        "place": trade.price.zscore(200),
        "size": trade.size / trade.size.mean(100),
        "largest": trade.size.max(100),
    }


def eth_bars(count: int) -> EventBatch:
    """Return bars of the real ETH market; past its end its moves are repeated, so that prices go on without a jump."""
    from tradeworthy.live.feeds.crypto import read_crypto  # noqa: PLC0415 - needs the data wheel

    real, _ = read_crypto([ETH])
    if count <= len(real):
        return real[:count].copy()
    values = real["values"]
    before = np.concatenate([values[:1, 3], values[:-1, 3]])
    places = np.arange(count) % len(real)
    level = values[0, 3] * np.exp(np.cumsum(np.log(values[:, 3] / before)[places]))
    scale = (level / values[places, 3])[:, None]
    prices = values[places, :4] * scale
    columns = dict(zip(("open", "high", "low", "close"), prices.T, strict=True)) | {"volume": values[places, 4]}
    stamps = int(real["ts_event_ns"][0]) + HALF_HOUR_NS * np.arange(count)
    return events_from_columns(Kind.BAR, 0, stamps, columns)
