"""Which side of a threshold a score is on, hysteresis included, and how far from it.

Idea:   thresholds and the side held now cut the scores into stretches of one wanted side each. A decision is explained
        relative to the nearest edge of its stretch: what kept the score on this side of it.
Bits:   the stretches are those of the live signal; a property test holds them to it.
"""

import math
from typing import NamedTuple

import msgspec

from tradeworthy.judge.explain.margins import margin_of
from tradeworthy.model.manifest import Signal
from tradeworthy.model.predictors.base import Predictor

LONG, FLAT, SHORT = "long", "flat", "short"


class Stretch(NamedTuple):
    """Scores of one side: from `low` to `high`; an edge belongs to it where it is closed."""

    side: str
    low: float
    high: float
    low_closed: bool
    high_closed: bool

    def holds(self, score: float) -> bool:
        """Tell whether a score lies in it."""
        above = score > self.low or (self.low_closed and score == self.low)
        below = score < self.high or (self.high_closed and score == self.high)
        return above and below


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a score stands among the thresholds.

    Attributes
    ----------
    side : str
        The wanted side: long, flat or short.
    held : float
        The position held when it was decided.
    threshold, margin_threshold : float or None
        The edge nearest to the score, and where it lies on the margin; None where no score would change the side.
    distance : float
        How far the margin is from that edge; positive. NaN for a share among classes, whose edge has no one margin.
    towards : int
        The direction that keeps the side: 1 where more keeps it, -1 where less does; 0 without an edge.
    sentence : str
        All of it in words.
    """

    side: str
    held: float
    threshold: float | None
    margin_threshold: float | None
    distance: float
    towards: int
    sentence: str


def stretches(signal: Signal, held: float) -> list[Stretch]:
    """Return how the scores are divided while `held` is held, from the lowest up."""
    long_from = signal.exit_long if held > 0.0 else signal.enter_long
    if not signal.allow_short:
        below = Stretch(FLAT, -math.inf, long_from, low_closed=True, high_closed=False)
        return [below, Stretch(LONG, long_from, math.inf, low_closed=True, high_closed=True)]
    short_to = signal.exit_short if held < 0.0 else signal.enter_short
    short_to_closed = True
    if held > 0.0 and short_to >= long_from:  # going short beats staying long
        long_closed, long_from = False, short_to
    elif held < 0.0 and short_to >= long_from:  # going long beats staying short
        long_closed, short_to, short_to_closed = True, long_from, False
    else:
        long_closed = True
    parts = [
        Stretch(SHORT, -math.inf, short_to, low_closed=True, high_closed=short_to_closed),
        Stretch(FLAT, short_to, long_from, low_closed=not short_to_closed, high_closed=not long_closed),
        Stretch(LONG, long_from, math.inf, low_closed=long_closed, high_closed=True),
    ]
    return [part for part in parts if part.low < part.high]


def side_of(signal: Signal, score: float, held: float) -> str:
    """Return the side that a score wants while `held` is held; flat where the score is no number.

    >>> side_of(Signal(), 0.52, held=0.0), side_of(Signal(), 0.52, held=3.0)
    ('flat', 'long')
    """
    return next((part.side for part in stretches(signal, held) if part.holds(score)), FLAT)


def place_of(predictor: Predictor, signal: Signal, *, score: float, margin: float, held: float) -> Place:
    """Say where a score stands among the thresholds of a version.

    Parameters
    ----------
    predictor : Predictor
        Whose score it is; gives the margin of a threshold.
    signal : Signal
        The version's thresholds.
    score, margin : float
        What was said; the same for predictors without a margin.
    held : float
        The position held when it was decided.
    """
    part = next(each for each in stretches(signal, held) if each.holds(score))
    edges = [(edge, towards) for edge, towards in ((part.low, 1), (part.high, -1)) if math.isfinite(edge)]
    if not edges:
        return Place(
            side=part.side,
            held=held,
            threshold=None,
            margin_threshold=None,
            distance=math.inf,
            towards=0,
            sentence=f"No score would change the side: it is always {part.side}.",
        )
    edge, towards = min(edges, key=lambda pair: abs(pair[0] - score))
    at = margin_of(predictor, edge)
    return Place(
        side=part.side,
        held=held,
        threshold=edge,
        margin_threshold=at,
        distance=abs(margin - at),
        towards=towards,
        sentence=_sentence(signal, score, held, part, edge, above=towards > 0),
    )


def _sentence(signal: Signal, score: float, held: float, part: Stretch, edge: float, *, above: bool) -> str:
    """Say which threshold the score is on which side of, and what held positions have to do with it."""
    where, side = f"The score {score:.4f} is {'above' if above else 'below'} {edge:g}", part.side
    now = LONG if held > 0.0 else SHORT if held < 0.0 else FLAT
    if signal.notional == 0.0:
        return f"{where}; the version only scores and wants no position."
    if side == now == FLAT:
        other = LONG if edge == signal.enter_long else SHORT
        return f"{where}, where a {other} position would be entered, so the desk stays flat."
    if side == now:
        enter = signal.enter_long if side == LONG else signal.enter_short
        return f"{where}, so the {side} position is kept (it is entered at {enter:g}, and left only beyond {edge:g})."
    if side == FLAT:
        beyond = f"below {part.high:g}" if now == LONG else f"above {part.low:g}"
        return f"The score {score:.4f} is {beyond}, so the {now} position is left."
    return f"{where}, so a {side} position is entered{'' if now == FLAT else f' and the {now} one left'}."


def decides(place: Place, contribution: float) -> bool:
    """Tell whether the score would be past the threshold without this contribution alone.

    In the accounting of contributions: what really flips a decision is its counterfactual.
    """
    return contribution * place.towards > 0.0 and abs(contribution) > place.distance
