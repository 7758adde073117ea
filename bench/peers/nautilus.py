"""NautilusTrader's backtest engine on the engine job: bars to 16 features to LightGBM, no orders.

Runs in an environment of its own (`make bench-peers`). Prints JSON: version, and bars a second of
processor time for each repeat; writes the scores.

    python nautilus.py BARS.npy MODEL.txt {booster|fast} REPEATS SCORES.npy
"""

import ctypes
import json
import os
import sys
import time
from collections.abc import Callable

os.environ["OMP_NUM_THREADS"] = "1"

import lightgbm
import nautilus_trader
import numpy as np
import pandas as pd
from lightgbm import basic
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.model.currencies import ETH, USDT
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import AccountType, OmsType
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Money
from nautilus_trader.persistence.wranglers import BarDataWrangler
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy
from plain_features import Features

N = 16
BAR_TYPE = "ETHUSDT.BINANCE-30-MINUTE-LAST-EXTERNAL"


def predictor(kind: str, model: lightgbm.Booster, row: np.ndarray) -> Callable[[], float]:
    """Return the call that scores the row in place."""
    if kind == "booster":
        return lambda: float(model.predict(row, num_threads=1)[0])
    library, handle, length, score = basic._LIB, ctypes.c_void_p(), ctypes.c_int64(), ctypes.c_double()  # noqa: SLF001
    library.LGBM_BoosterPredictForMatSingleRowFastInit(
        model._handle,  # noqa: SLF001
        ctypes.c_int(0),
        ctypes.c_int(0),
        ctypes.c_int(-1),
        ctypes.c_int(1),
        ctypes.c_int32(N),
        ctypes.c_char_p(b"num_threads=1"),
        ctypes.byref(handle),
    )
    kinds = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
    call = kinds(ctypes.cast(library.LGBM_BoosterPredictForMatSingleRowFast, ctypes.c_void_p).value)
    start, place, count, out = handle.value, row.ctypes.data, ctypes.addressof(length), ctypes.addressof(score)

    def one() -> float:
        call(start, place, count, out)
        return score.value

    one.keeps = (handle, length, model)
    return one


class Scorer(Strategy):
    """Scores every bar."""

    def __init__(self, kind: str, model: lightgbm.Booster) -> None:
        super().__init__()
        row = np.zeros((1, N))
        self.features, self.predict = Features(row[0]), predictor(kind, model, row)
        self.scores: list[float] = []

    def on_start(self) -> None:
        """Ask for the bars."""
        self.subscribe_bars(BarType.from_str(BAR_TYPE))

    def on_bar(self, bar: Bar) -> None:
        """Score one bar."""
        close = bar.close.as_double()
        if self.features.push(bar.high.as_double(), bar.low.as_double(), close, bar.volume.as_double()):
            self.scores.append(self.predict())


def run(kind: str, bars: list[Bar], model: lightgbm.Booster) -> tuple[float, list[float]]:
    """Run once; return bars a second of processor time and the scores."""
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True), run_analysis=False))
    money = [Money(1_000_000, USDT), Money(1_000, ETH)]
    engine.add_venue(Venue("BINANCE"), OmsType.NETTING, AccountType.MARGIN, money, base_currency=None)
    engine.add_instrument(TestInstrumentProvider.ethusdt_binance())
    engine.add_data(bars)
    strategy = Scorer(kind, model)
    engine.add_strategy(strategy)
    start = time.process_time_ns()
    engine.run()
    rate = len(bars) / (time.process_time_ns() - start) * 1e9
    engine.dispose()
    return rate, strategy.scores


def main(bars_path: str, model_path: str, kind: str, repeats: str, scores_path: str) -> None:
    """Run the repeats and print the result."""
    raw = np.load(bars_path)
    frame = pd.DataFrame(raw[:, 1:], columns=["open", "high", "low", "close", "volume"])
    frame.index = pd.to_datetime(raw[:, 0].astype(np.int64), utc=True)
    wrangler = BarDataWrangler(BarType.from_str(BAR_TYPE), TestInstrumentProvider.ethusdt_binance())
    bars, model = wrangler.process(frame), lightgbm.Booster(model_file=model_path)
    found = [run(kind, bars, model) for _ in range(int(repeats))]
    np.save(scores_path, np.array(found[-1][1]))
    print(json.dumps({"version": nautilus_trader.__version__, "rates": [rate for rate, _ in found]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
