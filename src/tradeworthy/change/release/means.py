"""What retrainings may cost: how many within a time, and how far apart. The same for a schedule, a finding, a reaction.

Units:  the window in hours of the ledger's clock; the cool-down in decisions of the champion.
"""

import sys
from typing import NamedTuple

from tradeworthy.change.release.standing import Standing
from tradeworthy.core.time import NS_PER_HOUR


class Means(NamedTuple):
    """At most `budget` retrainings start within the window, so many decisions apart."""

    budget: int
    window_hours: float
    cool_down_decisions: int

    def refuses(self, standing: Standing, now_ns: int, decisions: int | None = None) -> str | None:
        """Return why no retraining may start now; None where one may.

        Parameters
        ----------
        now_ns : int
            The ledger's time.
        decisions : int, optional
            Of the champion since the last one began; the cool-down is not asked for where nobody knows.
        """
        since_ns = now_ns - int(self.window_hours * NS_PER_HOUR)
        spent = sum(attempt.started_ns > since_ns for attempt in standing.retrains)
        if spent >= self.budget:
            return f"{spent} retrainings began within {self.window_hours:g} hours, the budget is {self.budget}"
        if standing.retrains and decisions is not None and decisions < self.cool_down_decisions:
            return f"{decisions} decisions since the last retraining, the cool-down is {self.cool_down_decisions}"
        return None


UNBOUND = Means(sys.maxsize, 0.0, 0)
"""Means that refuse nothing."""


def is_on_its_way(standing: Standing) -> bool:
    """Tell whether a retraining runs, or what one gave is not champion, retired or refused yet."""
    if not standing.retrains:
        return False
    ended = standing.retrains[-1].ended
    if ended is None:
        return True
    version = ended.version
    if version is None or version in standing.retired or version in standing.stood_aside:
        return False
    if version in standing.champions:
        return version == standing.canary
    return version not in standing.gates or standing.gate_passed(version)
