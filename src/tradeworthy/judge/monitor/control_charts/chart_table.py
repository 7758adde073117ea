"""What charts know and remember: the columns of their constants and of their memory.

Idea:   a chart is a row of constants and a row of memory, so that a kernel can step hundreds of them, and a state
        is a few arrays.
Units:  sums, allowances and limits in score spreads; totals in the units of what is looked at (`views`).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

# Columns of `ChartTable.constants`.
CENTRE, SCALE, RHO, INNOVATION, DECAY, CLIP, OFFSET, SPREAD, ALLOWANCE, LIMIT_UP, LIMIT_DOWN = range(11)
VIEW, COLUMN, PARTNER = range(11, 14)
CONSTANTS = 14

# Columns of `ChartState.sums` and `ChartState.counts`.
RECENT, LAST, SUM_UP, SUM_DOWN, TOTAL_UP, TOTAL_DOWN = range(6)
SUMS = 6
SINCE_UP, SINCE_DOWN, N_UP, N_DOWN, QUIET, AWAKE, REPEATS, ALARM = range(8)
COUNTS = 8

LONG = 1 << 40
"""Events since the last alarm, where there was none."""

NO_AXES: Floats = np.empty((0, 0))


class ChartTable(NamedTuple):
    """Constants of q charts over p columns of a row, (q, CONSTANTS) float64.

    The first p charts look at the level of one column each. `axes` (k, p) are directions in which the columns, taken
    together, hardly vary: their mean distance is one more column, p.
    """

    constants: Floats
    axes: Floats = NO_AXES


class ChartState(NamedTuple):
    """Memory of q charts: (q, SUMS) float64 and (q, COUNTS) int64."""

    sums: Floats
    counts: Longs


def empty_state(n_charts: int) -> ChartState:
    """Return the memory of charts that have seen nothing."""
    state = ChartState(np.zeros((n_charts, SUMS)), np.zeros((n_charts, COUNTS), np.int64))
    state.sums[:, RECENT] = 1.0
    state.counts[:, AWAKE] = LONG
    return state
