"""Draw a long curve with few points and lose no extreme.

Idea:   a column of pixels can show the first, lowest, highest and last value that falls into it, and nothing more; so
        these four are kept, in their order, and the picture is the one that all points would have given.
Undefined: a value that is not finite cuts the curve in two.
Reference: Jugel, Jerzak, Hackenbroich, Markl (2014), M4: a visualization-oriented time series data aggregation.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def kept_places(x: Floats, y: Floats, columns: int) -> npt.NDArray[np.int64]:
    """Return the places of the points that a curve of `columns` pixels needs.

    Parameters
    ----------
    x : (n,) float64
        Ascending positions.
    y : (n,) float64
        Finite values.
    columns : int
        Pixels from the lowest to the highest `x`.

    Returns
    -------
    (m,) int64
        Ascending places; at most four a column, and all of them when there are no more than that.
    """
    if len(x) <= 4 * columns:
        return np.arange(len(x))
    span = x[-1] - x[0]
    column = np.minimum(((x - x[0]) / span * columns).astype(np.int64), columns - 1)
    starts = np.flatnonzero(np.r_[True, np.diff(column) > 0])
    ends = np.r_[starts[1:], len(x)]
    by_height = np.lexsort((y, column))
    return np.unique(np.concatenate([starts, ends - 1, by_height[starts], by_height[ends - 1]]))


def finite_runs(y: Floats) -> list[slice]:
    """Return the stretches of (n,) values without a gap."""
    finite = np.r_[False, np.isfinite(y), False].astype(np.int8)
    edges = np.flatnonzero(np.diff(finite))
    return [slice(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
