"""Walk-forward folds, purged and embargoed: test on the future, train on a past that does not touch it.

Idea:      a row's label reads the market from the row's own event to the end of its horizon. A training row whose label
           reaches into the test span has seen part of the answer; it is purged. An embargo widens that gap.
Time:      `starts` and `ends` are in one unit of the caller's choice (events of the instrument, or nanoseconds); both
           ends of a label's span belong to it.
Reference: López de Prado (2018), Advances in Financial Machine Learning, chapter 7, restricted to folds whose training
           rows all come before their test rows.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import DataInvalid

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fold:
    """One step of the walk.

    Attributes
    ----------
    number : int
        0 for the earliest.
    train, test : (n,) int64
        Places of rows, ascending; every training row's label ends before the first test row starts.
    """

    number: int
    train: Places
    test: Places


def walk_forward(
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    *,
    folds: int = 5,
    embargo: int = 0,
    first_train_share: float = 1 / 3,
    train_rows_max: int | None = None,
) -> list[Fold]:
    """Cut rows into `folds` consecutive test spans, each with the purged past before it.

    Parameters
    ----------
    starts, ends : (n,) int64
        First and last moment that each row's label reads; `starts` ascending, ``ends >= starts``.
    folds : int
        Test spans of equal size (to one row).
    embargo : int
        Further moments kept free between the last training label and the first test row.
    first_train_share : float
        Share of rows, 0 to 1, that no fold tests: the past of the first fold.
    train_rows_max : int, optional
        Keep only the latest rows of each past (a sliding window); all of it if left out.

    Raises
    ------
    DataInvalid
        The spans are not usable, or a fold would have nothing to train or test on.
    """
    _check(starts, ends, folds=folds, embargo=embargo, first_train_share=first_train_share)
    first = int(len(starts) * first_train_share)
    bounds = np.linspace(first, len(starts), folds + 1).astype(np.int64)
    walk = []
    for number, (begin, stop) in enumerate(itertools.pairwise(bounds)):
        test = np.arange(begin, stop, dtype=np.int64)
        train = _past(starts, ends, int(begin), embargo, train_rows_max) if len(test) else test
        if len(train) == 0 or len(test) == 0:
            raise DataInvalid(
                f"fold {number} has {len(train)} training and {len(test)} test rows of {len(starts)} in all; "
                f"use fewer folds than {folds}, more history, or a shorter label"
            )
        walk.append(Fold(number, train, test))
    return walk


@dataclass(frozen=True, slots=True)
class Combination:
    """One choice of groups of rows to test on.

    Attributes
    ----------
    groups : tuple of int
        Numbers of the groups that are tested.
    train : (n,) int64
        Places of the rows to learn from, before, between and after them; their labels touch no tested span.
    tests : tuple of (n,) int64
        Places of the rows of each tested group.
    """

    groups: tuple[int, ...]
    train: Places
    tests: tuple[Places, ...]


def combinations(
    starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], *, groups: int = 6, tested: int = 2, embargo: int = 0
) -> list[Combination]:
    """Cut rows into consecutive groups and test every choice of `tested` of them, purged and embargoed.

    Every row is tested in ``comb(groups - 1, tested - 1)`` combinations; taking one of each makes that many whole paths
    through time.

    Parameters
    ----------
    starts, ends : (n,) int64
        First and last moment that each row's label reads; `starts` ascending, ``ends >= starts``.
    groups, tested : int
        Into how many groups, and how many of them are tested at a time.
    embargo : int
        Further moments kept free before and after each tested span.

    Raises
    ------
    DataInvalid
        A combination would have nothing to learn from.
    """
    cut = np.array_split(np.arange(len(starts), dtype=np.int64), groups)
    found = []
    for chosen in itertools.combinations(range(groups), tested):
        free = np.ones(len(starts), bool)
        for number in chosen:
            first, last = starts[cut[number]].min(), ends[cut[number]].max()
            free &= (ends + embargo < first) | (starts > last + embargo)
        if not free.any():
            raise DataInvalid(f"testing groups {chosen} of {groups} leaves none of {len(starts)} rows to learn from")
        found.append(Combination(chosen, np.flatnonzero(free), tuple(cut[number] for number in chosen)))
    return found


def overlaps(fold: Fold, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> int:
    """Count training rows of a fold whose label shares a moment with the fold's test span."""
    span_start, span_end = starts[fold.test].min(), ends[fold.test].max()
    return int(np.count_nonzero((ends[fold.train] >= span_start) & (starts[fold.train] <= span_end)))


def out_of_fold(folds: list[Fold]) -> Places:
    """Return the places of all rows that some fold tests, in order of time, as (n,) int64."""
    return np.concatenate([fold.test for fold in folds])


def _past(
    starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], begin: int, embargo: int, rows_max: int | None
) -> Places:
    """Return the rows before `begin` whose label, and the embargo after it, end before that row starts."""
    free = np.flatnonzero(ends[:begin] + embargo < starts[begin])
    return free if rows_max is None else free[max(len(free) - rows_max, 0) :]


def _check(
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    *,
    folds: int,
    embargo: int,
    first_train_share: float,
) -> None:
    """Refuse spans and settings that cannot be walked."""
    if folds < 1 or embargo < 0 or not 0 < first_train_share < 1:
        raise DataInvalid(
            f"folds {folds}, embargo {embargo}, first_train_share {first_train_share}; allowed are at least 1, "
            "at least 0, and a share between 0 and 1"
        )
    if len(starts) != len(ends):
        raise DataInvalid(f"{len(starts)} label starts and {len(ends)} label ends; allowed is one of each a row")
    if np.any(np.diff(starts) < 0) or np.any(ends < starts):
        raise DataInvalid("label spans must be in order of time and end no earlier than they start; sort the rows")
