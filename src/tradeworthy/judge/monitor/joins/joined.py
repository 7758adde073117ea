"""Joined outcomes, made once and handed on: every monitor that needs labels gets them from one join.

Idea:   labels are costly to work out, so the performance monitor's join passes what it joined to its listeners, in the
        order joined, as if it were one more stream of the tape.
State:  the join's own; a listener keeps what it was handed.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tradeworthy.core.instruments import Instrument
from tradeworthy.judge.monitor.base import Monitor, Records
from tradeworthy.judge.monitor.joins.outcomes import JOINED, MarketLabel, OutcomeJoin


def are_joined(records: Records) -> bool:
    """Whether the records are decisions with their labels."""
    return records.dtype == JOINED


class ForwardingJoin(OutcomeJoin):
    """A join that hands what it joins to listeners as well.

    Parameters
    ----------
    label, instruments, versions
        As for `OutcomeJoin`.
    listeners : sequence of Monitor
        Observe the joined records.
    """

    def __init__(
        self,
        label: MarketLabel | None = None,
        *,
        instruments: Sequence[Instrument] = (),
        versions: Sequence[int] | None = None,
        listeners: Sequence[Monitor] = (),
    ) -> None:
        super().__init__(label, instruments=instruments, versions=versions)
        self._listeners = list(listeners)

    def take(self) -> npt.NDArray[np.void]:
        """Return the (m,) JOINED records that became complete, after the listeners have observed them."""
        joined = super().take()
        if len(joined):
            for listener in self._listeners:
                listener.observe(joined)
        return joined
