"""Gathers latency: the percentiles of the time that a decision took.

Units:  microseconds.
"""

import numpy as np

from tradeworthy.change.evidence.context import Context, NotGathered, Work
from tradeworthy.judge.validate.latency import Latency

WARM_UP_DECISIONS = 50
"""Decisions that are not timed: compiled code is loaded and memory is touched for the first time."""


def gather_latency(context: Context, _work: Work) -> Latency:
    """Return the percentiles, without the first few decisions.

    Raises
    ------
    NotGathered
        There are no more than those.
    """
    timed = context.stream.nanoseconds[WARM_UP_DECISIONS:] / 1_000
    if len(timed) == 0:
        made = len(context.stream.nanoseconds)
        raise NotGathered(f"it made {made} decisions, of which the first {WARM_UP_DECISIONS} are not timed")
    p50, p99 = np.percentile(timed, [50, 99])
    return Latency(decisions=len(timed), us_p50=float(p50), us_p99=float(p99))
