"""Groups of rows by a protected column, and weights that make what is learned from labels independent of the group.

Idea:   each pair of group and label counts as often as it would if neither told anything of the other: a favoured
        group's positives weigh less than one, a disadvantaged group's more. The labels themselves stay as they are.
Undefined: a row whose value is not a number is in a group of its own.
Reference: Kamiran and Calders (2012), reweighing.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import DataInvalid, near
from tradeworthy.core.events import EventBatch

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

VALUES_MAX = 10
"""A column of more values is cut at its median."""


def column_of(name: str, rows: Floats, events: EventBatch, *, features: Sequence[str], fields: Sequence[str]) -> Floats:
    """Return a column of rows: a feature, or a field of the pushed rows that the model need not see.

    Parameters
    ----------
    name : str
        Of the column.
    rows : (m, n) float64
        Features.
    events : (m,) event records
        That gave them.
    features, fields : sequence of str
        Names of the columns of rows and of the events' values.

    Raises
    ------
    DataInvalid
        There is no such column.
    """
    if name in features:
        return rows[:, list(features).index(name)]
    if name in fields:
        return np.asarray(events["values"][:, list(fields).index(name)], np.float64)
    raise DataInvalid(f"no column {name!r}{near(name, (*features, *fields))}; name a feature or a field of the rows")


def groups_of(values: Floats, name: str) -> tuple[Longs, list[str]]:
    """Return the group of each value, and the groups' names: each value, or the halves of many."""
    unique = np.unique(values)
    if len(unique) <= VALUES_MAX:
        return np.searchsorted(unique, values), [f"{name} {value:g}" for value in unique]
    middle = float(np.nanmedian(values))
    return (values > middle).astype(np.int64), [f"{name} up to {middle:g}", f"{name} over {middle:g}"]


def crossed(columns: Sequence[Longs]) -> Longs:
    """Return groups that are alike in every one of several columns of groups, as (m,) int64."""
    found: Longs = np.unique(np.column_stack(columns), axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return found


def weights_of(groups: Longs, labels: Floats) -> Floats:
    """Return the weight of each row, of mean 1: its group's share times its label's, over that of both together.

    >>> weights_of(np.array([0, 0, 0, 1]), np.array([1.0, 1.0, 0.0, 0.0])).round(3).tolist()
    [0.75, 0.75, 1.5, 0.5]
    """
    up = (labels > 0.5).astype(np.int64)
    counts = np.zeros((int(groups.max()) + 1, 2))
    np.add.at(counts, (groups, up), 1.0)
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / len(labels)
    found: Floats = expected[groups, up] / counts[groups, up]
    return found
