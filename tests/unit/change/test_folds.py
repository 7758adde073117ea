"""Walk-forward folds: purge, embargo, windows and refusals."""

import numpy as np
import pytest

from tradeworthy.change.train.folds import Fold, out_of_fold, overlaps, walk_forward
from tradeworthy.core.errors import DataInvalid


def spans(n: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows one moment apart, each with a label of `horizon` moments."""
    starts = np.arange(n, dtype=np.int64)
    return starts, starts + horizon


def test_test_spans_cover_the_rest_once_and_in_order():
    """Every row after the first past is tested exactly once, in order of time."""
    folds = walk_forward(*spans(100, 6), folds=4, first_train_share=0.2)
    assert out_of_fold(folds).tolist() == list(range(20, 100))
    assert [len(fold.test) for fold in folds] == [20, 20, 20, 20]
    assert [fold.number for fold in folds] == [0, 1, 2, 3]


def test_labels_that_reach_the_test_span_are_purged():
    """With a horizon of 6, the last training label ends one moment before the test span begins."""
    fold = walk_forward(*spans(100, 6), folds=1, first_train_share=0.5)[0]
    assert fold.train.tolist() == list(range(44))
    assert fold.test[0] == 50


def test_embargo_widens_the_gap():
    """An embargo of 10 removes ten more rows than the purge alone."""
    plain = walk_forward(*spans(100, 6), folds=1, first_train_share=0.5)[0]
    wide = walk_forward(*spans(100, 6), folds=1, first_train_share=0.5, embargo=10)[0]
    assert len(plain.train) - len(wide.train) == 10


def test_sliding_window_keeps_the_latest_past():
    """A row limit keeps the latest training rows, not the earliest."""
    fold = walk_forward(*spans(100, 0), folds=1, first_train_share=0.5, train_rows_max=7)[0]
    assert fold.train.tolist() == list(range(43, 50))


def test_a_window_longer_than_the_past_keeps_all_of_it():
    """A row limit beyond the past changes nothing."""
    whole = walk_forward(*spans(60, 3), folds=3)
    wide = walk_forward(*spans(60, 3), folds=3, train_rows_max=10_000)
    assert all(np.array_equal(a.train, b.train) for a, b in zip(whole, wide, strict=True))


def test_one_long_label_is_purged_among_short_ones():
    """A single early row with a long label is purged although its neighbours stay."""
    starts, ends = spans(100, 1)
    ends[10] = 70
    fold = walk_forward(starts, ends, folds=1, first_train_share=0.5)[0]
    assert 10 not in fold.train
    assert {9, 11} <= set(fold.train.tolist())


def test_overlaps_counts_shared_moments():
    """A fold built by hand with two leaking rows is counted as two overlaps."""
    starts, ends = spans(20, 3)
    fold = Fold(0, np.arange(9, dtype=np.int64), np.arange(10, 20, dtype=np.int64))
    assert overlaps(fold, starts, ends) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"folds": 0}, "folds 0"),
        ({"embargo": -1}, "embargo -1"),
        ({"first_train_share": 1.0}, "share between 0 and 1"),
        ({"folds": 95}, "fewer folds"),
        ({"embargo": 90}, "shorter label"),
    ],
)
def test_settings_that_cannot_be_walked_are_refused(change, said):
    """A refusal says what was found and what is allowed."""
    with pytest.raises(DataInvalid, match=said):
        walk_forward(*spans(100, 6), **change)


def test_spans_out_of_order_are_refused():
    """Rows that are not in order of time are refused."""
    starts, ends = spans(10, 1)
    with pytest.raises(DataInvalid, match="in order of time"):
        walk_forward(starts[::-1].copy(), ends[::-1].copy(), folds=2)


def test_labels_that_end_before_they_start_are_refused():
    """A label that ends before it starts is refused."""
    starts, _ = spans(10, 1)
    with pytest.raises(DataInvalid, match="no earlier than they start"):
        walk_forward(starts, starts - 1, folds=2)


def test_unequal_lengths_are_refused():
    """Starts and ends come in pairs."""
    starts, ends = spans(10, 1)
    with pytest.raises(DataInvalid, match="10 label starts and 9 label ends"):
        walk_forward(starts, ends[:-1], folds=2)
