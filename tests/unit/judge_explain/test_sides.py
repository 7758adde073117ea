"""Which side of a threshold a score is on: the live signal's own answer, and why in words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeworthy.judge.explain.margins import margin_of
from tradeworthy.judge.explain.sides import FLAT, LONG, SHORT, place_of, side_of, stretches
from tradeworthy.live.signal import signal_record, wanted_side
from tradeworthy.model.manifest import Signal
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.testing.predictors import random_forest

BOTH = Signal(enter_long=0.6, exit_long=0.52, enter_short=0.4, exit_short=0.48, allow_short=True)
SIDES = {1.0: LONG, 0.0: FLAT, -1.0: SHORT}

levels = st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])


@st.composite
def signals(draw):
    """Draw thresholds that do not contradict each other, crossed exits included."""
    enter_short, enter_long = sorted(draw(st.lists(levels, min_size=2, max_size=2, unique=True)))
    exit_long = draw(levels.filter(lambda level: level <= enter_long))
    exit_short = draw(levels.filter(lambda level: level >= enter_short))
    return Signal(
        enter_long=enter_long, exit_long=exit_long, enter_short=enter_short, exit_short=exit_short,
        allow_short=draw(st.booleans()),
    )  # fmt: skip


@given(signals(), st.one_of(levels, st.floats(-1.0, 2.0)), st.sampled_from([-2.0, 0.0, 3.0]))
def test_sides_are_those_of_the_live_signal(signal, score, held):
    """For any thresholds, score and held side, the explanation names the side that the live kernel wants."""
    if held < 0.0 and not signal.allow_short:
        held = 0.0
    record = signal_record(signal)[0]
    assert side_of(signal, score, held) == SIDES[wanted_side(record, score, held)]


@given(signals(), st.sampled_from([-2.0, 0.0, 3.0]))
def test_stretches_cover_every_score_once(signal, held):
    """Edges belong to one side, and none is left out."""
    parts = stretches(signal, held if signal.allow_short else max(held, 0.0))
    scores = np.unique([edge for part in parts for edge in (part.low, part.high)])
    around = [*scores, *np.nextafter(scores, np.inf), *np.nextafter(scores, -np.inf)]
    assert all(sum(part.holds(float(score)) for part in parts) == 1 for score in around)


@pytest.mark.parametrize(
    ("score", "held", "side", "threshold", "towards", "said"),
    [
        (0.61, 0.0, LONG, 0.6, 1, "above 0.6, so a long position is entered."),
        (0.55, 2.0, LONG, 0.52, 1, "so the long position is kept (it is entered at 0.6, and left only beyond 0.52)"),
        (0.55, 0.0, FLAT, 0.6, -1, "where a long position would be entered, so the desk stays flat"),
        (0.51, 2.0, FLAT, 0.52, -1, "below 0.52, so the long position is left"),
        (0.41, 2.0, FLAT, 0.4, 1, "below 0.52, so the long position is left"),
        (0.59, -2.0, FLAT, 0.6, -1, "above 0.48, so the short position is left"),
        (0.39, 2.0, SHORT, 0.4, -1, "so a short position is entered and the long one left"),
        (0.41, 0.0, FLAT, 0.4, 1, "where a short position would be entered"),
        (
            0.47,
            -1.0,
            SHORT,
            0.48,
            -1,
            "so the short position is kept (it is entered at 0.4, and left only beyond 0.48)",
        ),
    ],
)
def test_the_nearest_threshold_in_words(score, held, side, threshold, towards, said):
    """The edge that kept the score where it is, hysteresis included, and which way keeps it there."""
    trees = Trees.from_forest(random_forest(np.random.default_rng(0)))
    place = place_of(trees, BOTH, score=score, margin=margin_of(trees, score), held=held)
    assert (place.side, place.threshold, place.towards) == (side, threshold, towards)
    assert said in place.sentence
    assert place.distance == pytest.approx(abs(margin_of(trees, threshold) - margin_of(trees, score)))


def test_a_version_that_only_scores_is_said_to():
    """No position is spoken of where none can be wanted."""
    trees = Trees.from_forest(random_forest(np.random.default_rng(0)))
    signal = Signal(enter_long=0.6, exit_long=0.5, notional=0.0)
    place = place_of(trees, signal, score=0.7, margin=margin_of(trees, 0.7), held=0.0)
    assert place.sentence == "The score 0.7000 is above 0.6; the version only scores and wants no position."
