"""Comparisons of a shadow as the policy gets them, for the tests of change."""

from tradeworthy.change.release.distance import NOWHERE
from tradeworthy.change.release.shadow import Comparison
from tradeworthy.judge.sequential import Anytime


def between(low, high):
    """Return a mean with these bounds."""
    return Anytime(n=48, estimate=(low + high) / 2, low=low, high=high, level=0.95, block=8)


def compared(version="b", *, loss, pnl_bps=(-1.0, 1.0), decisions=50, decisions_max=50, distance=NOWHERE):
    """Return how a version fares, by the bounds of its loss and its profit."""
    return Comparison(
        version=version,
        champion="a",
        decisions=decisions,
        decisions_max=decisions_max,
        loss=between(*loss),
        pnl_bps=between(*pnl_bps),
        disagreement=between(0.0, 0.2),
        distance=distance,
    )
