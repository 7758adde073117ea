"""Joined outcomes, made once and handed on: every monitor that needs labels gets them from one join.

Idea:   labels are costly to work out, so the performance monitor's join passes what it joined to its listeners, in the
        order joined, as if it were one more stream of the tape.
State:  the join's own; a listener keeps what it was handed.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tradeworthy.core.instruments import Instrument
from tradeworthy.core.kernel import leaf
from tradeworthy.judge.monitor.base import Monitor, Records, chosen
from tradeworthy.judge.monitor.joins.outcomes import JOINED, MarketLabel, OutcomeJoin


def are_joined(records: Records) -> bool:
    """Whether the records are decisions with their labels."""
    return records.dtype == JOINED


@leaf
def _all_known(joined: Records, version: np.uint64) -> bool:
    """Whether all of (n,) JOINED are of one version and have a score and a label."""
    for i in range(len(joined)):
        each = joined[i]
        if each["version"] != version or not np.isfinite(each["score"] + each["label"]):
            return False
    return True


def known_of(joined: Records, version: int) -> Records:
    """Return one version's outcomes with a score and a label: the very same records, if all are."""
    if _all_known(joined, np.uint64(version)):
        return joined
    known = np.isfinite(joined["score"]) & np.isfinite(joined["label"])
    return chosen(joined, known & (joined["version"] == version))


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
