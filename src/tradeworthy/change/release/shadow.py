"""Champion against shadow on the same events, once the labels are there.

Idea:   both scored the very same inputs, so what the market did cancels out of the difference of their losses; that
        difference is judged with an interval valid under overlapping labels.
Time:   compared on the first `decisions` labelled pairs since the shadow began, once: looking again and again until
        the answer pleases would spoil the confidence level.
Units:  log loss in nats of a direction's probability; squared error of a forward return.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tradeworthy.change.release.policy import Comparison
from tradeworthy.core.decisions import version_number
from tradeworthy.core.events import EventBatch
from tradeworthy.core.instruments import Instrument
from tradeworthy.judge.metrics import log_losses
from tradeworthy.judge.metrics_interval import mean_interval
from tradeworthy.model.features.labels import Label

Floats = npt.NDArray[np.float64]
Sequences = npt.NDArray[np.uint64]
Records = npt.NDArray[np.void]


def label_inputs(events: EventBatch, label: Label, instruments: Sequence[Instrument]) -> tuple[Sequences, Floats]:
    """Return the sequences of inputs whose label is known, ascending, and those labels.

    Parameters
    ----------
    events : (n,) event records
        The tape's inputs, in the order consumed.
    label : Label
        What is to be foreseen.
    instruments : sequence of Instrument
        The desk's list; only traded ones are labelled.
    """
    sequences, labels = [np.empty(0, np.uint64)], [np.empty(0)]
    for number, instrument in enumerate(instruments):
        if not instrument.traded:
            continue
        found, _, places = label.compute(events, number, instruments)
        known = np.isfinite(found)
        sequences.append(events["sequence"][places[known]])
        labels.append(found[known])
    joined = np.concatenate(sequences)
    order = np.argsort(joined, kind="stable")
    return joined[order], np.concatenate(labels)[order]


def compare(
    champion: tuple[str, Records],
    shadow: tuple[str, Records],
    labelled: tuple[Sequences, Floats],
    *,
    decisions: int,
    horizon: int,
    binary: bool,
    rng: np.random.Generator,
) -> Comparison | None:
    """Compare two versions on the first labelled inputs that both scored.

    Parameters
    ----------
    champion, shadow : (str, (n,) DECISION records)
        Version digest, and decisions in order of sequence; others' records among them are passed over.
    labelled : (sequences, labels)
        As `label_inputs` returns them.
    decisions : int
        How many pairs to compare.
    horizon : int
        Of the label, in rows.
    binary : bool
        Whether the label is a direction (log loss) or a return (squared error).
    rng : numpy.random.Generator
        For the interval.

    Returns
    -------
    Comparison or None
        Nothing while there are fewer pairs than asked for.
    """
    first, one, other = _pairs(_scored(*champion), _scored(*shadow))
    known, at, of_label = np.intersect1d(first, labelled[0], assume_unique=True, return_indices=True)
    if len(known) < decisions:
        return None
    at, labels = at[:decisions], labelled[1][of_label[:decisions]]
    champion_scores, shadow_scores = one[at], other[at]
    difference = _losses(shadow_scores, labels, binary=binary) - _losses(champion_scores, labels, binary=binary)
    interval = mean_interval(difference, horizon=horizon, rng=rng)
    middle = 0.5 if binary else 0.0
    return Comparison(
        version=shadow[0],
        champion=champion[0],
        decisions=decisions,
        loss_difference=interval.estimate,
        loss_low=interval.low,
        loss_high=interval.high,
        agreement=float(np.mean((champion_scores > middle) == (shadow_scores > middle))),
    )


def _scored(version: str, decisions: Records) -> tuple[Sequences, Floats]:
    """Return the inputs that a version scored, and the scores."""
    mine = decisions[(decisions["version"] == version_number(version)) & np.isfinite(decisions["score"])]
    return mine["input_sequence"], mine["score"]


def _pairs(one: tuple[Sequences, Floats], other: tuple[Sequences, Floats]) -> tuple[Sequences, Floats, Floats]:
    """Return the inputs that both scored, with both scores."""
    both, of_one, of_other = np.intersect1d(one[0], other[0], return_indices=True)
    return both, one[1][of_one], other[1][of_other]


def _losses(scores: Floats, labels: Floats, *, binary: bool) -> Floats:
    """Return one loss a pair."""
    return log_losses(scores, labels) if binary else np.square(scores - labels)
