"""What a program forgets where events of a lane (one instrument, one kind of event) are lost.

Idea:   a window over a hole would mix what was with what is. So the blocks that the lane writes become what they were
        before the first event, and are warm again when a desk that starts now would be.
State:  the shared block is one whole: where the instrument gives to others, what all of them give begins anew.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from tradeworthy.core.events import FIELDS, Gap, Kind
from tradeworthy.core.kernel import leaf

_LOST = float(Gap.LOST)
_CAUSE, _LANE_KIND = FIELDS[Kind.GAP].index("cause"), FIELDS[Kind.GAP].index("kind")


@leaf
def _refill(memory: Any, start: int, fresh: Any) -> None:
    """Write what a block holds before the first event."""
    for place in range(fresh.shape[0]):
        memory[start + place] = fresh[place]


@leaf
def forget(table: Any, state: Any, instrument: int, values: npt.NDArray[np.float64]) -> bool:
    """Begin anew what was made of a gap's lane, if events are lost; tell whether there was anything.

    Parameters
    ----------
    table, state : ProgramTable, ProgramState
        The state is changed in place.
    instrument : int
        Of the gap event.
    values : (width,) float64
        Of the gap event.
    """
    lane = values[_LANE_KIND]
    if values[_CAUSE] != _LOST or not 0.0 <= lane < table.routes.shape[1]:
        return False
    route = table.routes[instrument, int(lane)]
    gives, has = route.others_last > route.others_first, route.own_last > route.own_first
    if gives:
        _refill(state.numbers, 0, table.shared_numbers)
        _refill(state.words, 0, table.shared_words)
    if has:
        _refill(state.numbers, route.numbers, table.own_numbers)
        _refill(state.words, route.words, table.own_words)
    return bool(gives or has)
