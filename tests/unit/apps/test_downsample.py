"""Drawing long curves with few points."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tradeworthy.apps.reports.downsample import finite_runs, kept_places

CURVES = hnp.arrays(np.float64, st.integers(2, 400), elements=st.floats(-1e6, 1e6))


def test_a_short_curve_is_kept_whole():
    """Where every pixel can show its points, none is left out."""
    assert kept_places(np.arange(40.0), np.zeros(40), 10).tolist() == list(range(40))


@given(CURVES, st.integers(1, 20))
def test_every_column_keeps_its_extremes_and_ends(y, columns):
    """In each pixel column the first, lowest, highest and last value survive."""
    x = np.arange(float(len(y)))
    kept = kept_places(x, y, columns)
    column = np.minimum((x / x[-1] * columns).astype(int), columns - 1)
    for c in np.unique(column):
        inside, shown = np.flatnonzero(column == c), kept[column[kept] == c]
        assert {inside[0], inside[-1]} <= set(shown.tolist())
        assert y[shown].min() == y[inside].min()
        assert y[shown].max() == y[inside].max()


@given(CURVES, st.integers(1, 20))
def test_few_points_are_kept_in_order(y, columns):
    """At most four points a column, ascending, the first and the last among them."""
    kept = kept_places(np.arange(float(len(y))), y, columns)
    assert len(kept) <= max(4 * columns, 0) or len(y) <= 4 * columns
    assert (np.diff(kept) > 0).all()
    assert kept[0] == 0
    assert kept[-1] == len(y) - 1


def test_columns_without_points_are_skipped():
    """A long gap in time leaves its columns empty and loses nothing around it."""
    x = np.r_[np.arange(50.0), 1000.0 + np.arange(50.0)]
    y = np.sin(x)
    kept = kept_places(x, y, 10)
    assert {0, 49, 50, 99} <= set(kept.tolist())


def test_a_curve_is_cut_where_it_is_undefined():
    """NaN and infinity end one stretch and begin the next."""
    y = np.array([np.nan, 1.0, 2.0, np.inf, np.nan, 3.0])
    assert finite_runs(y) == [slice(1, 3), slice(5, 6)]
    assert finite_runs(np.array([np.nan])) == []
    assert finite_runs(np.array([])) == []
