"""Whatever the spans, no training label shares a moment with the test span."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeworthy.change.train.folds import combinations, out_of_fold, overlaps, walk_forward
from tradeworthy.core.errors import DataInvalid


@st.composite
def label_spans(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Rows with irregular gaps (also equal moments) and labels of irregular length."""
    n = draw(st.integers(20, 200))
    gaps = draw(st.lists(st.integers(0, 5), min_size=n, max_size=n))
    lengths = draw(st.lists(st.integers(0, 30), min_size=n, max_size=n))
    starts = np.cumsum(np.array(gaps, np.int64))
    return starts, starts + np.array(lengths, np.int64)


@settings(deadline=None, max_examples=150)
@given(label_spans(), st.integers(1, 6), st.integers(0, 10), st.floats(0.1, 0.9), st.none() | st.integers(1, 50))
def test_no_training_label_overlaps_a_test_fold(spans, folds, embargo, share, rows_max):
    """Every training label ends, with its embargo, before the first test row; or the walk is refused."""
    starts, ends = spans
    try:
        walk = walk_forward(
            starts, ends, folds=folds, embargo=embargo, first_train_share=share, train_rows_max=rows_max
        )
    except DataInvalid:
        return
    for fold in walk:
        assert overlaps(fold, starts, ends) == 0
        assert ends[fold.train].max() + embargo < starts[fold.test].min()
        assert fold.train.max() < fold.test.min()
        assert rows_max is None or len(fold.train) <= rows_max


@settings(deadline=None, max_examples=100)
@given(label_spans(), st.integers(1, 6), st.floats(0.3, 0.9))
def test_no_row_is_tested_twice(spans, folds, share):
    """Test spans are disjoint, in order, and leave nothing out after the first past."""
    starts, ends = spans
    try:
        walk = walk_forward(starts, ends, folds=folds, first_train_share=share)
    except DataInvalid:
        return
    places = out_of_fold(walk).tolist()
    assert places == list(range(int(len(starts) * share), len(starts)))


@settings(deadline=None, max_examples=60)
@given(
    horizon=st.integers(1, 12),
    embargo=st.integers(0, 8),
    groups=st.integers(4, 7),
    rows=st.integers(120, 240),
)
def test_no_training_label_touches_a_tested_span_of_a_combination(horizon, embargo, groups, rows):
    """Before, between and after the tested groups: the label of no training row shares a moment, embargo included."""
    starts = np.arange(rows)
    ends = starts + horizon
    tested_by: list[int] = []
    for split in combinations(starts, ends, groups=groups, tested=2, embargo=embargo):
        for test in split.tests:
            first, last = starts[test].min() - embargo, ends[test].max() + embargo
            assert not np.any((ends[split.train] >= first) & (starts[split.train] <= last))
            tested_by += test.tolist()
    assert set(np.bincount(tested_by)) == {groups - 1}
