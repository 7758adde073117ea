"""Champion against shadow on the same events, at any time: losses, profits, what they wanted, and why.

Idea:   both scored the very same inputs, so what the market did cancels out of the differences. Each difference is a
        mean that grows with the record, with bounds that hold however often one looks (`judge.sequential`), so the
        answer comes as soon as the data allow.
Flow:   decisions of both → pairs on one input → differences in the order of time → means with bounds.
Time:   of the first `decisions` labelled pairs since the shadow began; profits, sides and reasons need no label.
Units:  loss: log loss in nats of a direction's probability, squared error of a forward return; profit: basis points
        of a full position, a decision, after costs; the others are shares, 0 to 1.
Undefined: reasons are compared between tree ensembles only, whose contributions are exact and cheap; else none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.change.release.distance import UNKNOWN, scores_apart
from tradeworthy.core.decisions import version_number
from tradeworthy.core.events import EventBatch
from tradeworthy.core.facts import Distance
from tradeworthy.core.instruments import Instrument
from tradeworthy.judge.explain.treeshap import TreeShap
from tradeworthy.judge.metrics import log_losses
from tradeworthy.judge.sequential import Anytime, anytime_mean
from tradeworthy.model.features.labels import Label

Floats = npt.NDArray[np.float64]
Sequences = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]
Records = npt.NDArray[np.void]

REASONS_MAX = 1_000
"""So many pairs have their reasons compared, spread evenly: each costs a walk through both ensembles."""
BPS = 10_000.0


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A challenger beside the champion on the same events.

    Attributes
    ----------
    version, champion : str
        Digests.
    decisions, decisions_max : int
        Labelled pairs so far, and with how many the comparison ends.
    loss : Anytime
        Challenger minus champion, a decision; below 0 is better.
    pnl_bps : Anytime
        What it would have earned more, a decision; above 0 is better.
    disagreement : Anytime
        Share of decisions on which they wanted another side.
    reasons : Anytime or None
        How much of the contributions' size they attribute differently.
    distance : Distance
        How far the challenger lies from the champion, so far.
    seen : int
        Decisions of the challenger's that were looked at, labelled or not.
    """

    version: str
    champion: str
    decisions: int
    decisions_max: int
    loss: Anytime
    pnl_bps: Anytime
    disagreement: Anytime
    reasons: Anytime | None = None
    distance: Distance = UNKNOWN
    seen: int = 0

    @property
    def is_over(self) -> bool:
        """Whether no further decision is looked at."""
        return self.decisions >= self.decisions_max


@dataclass(frozen=True, eq=False)
class Reasons:
    """How one version's scores are split: by which features, of which row records, by what."""

    names: Sequence[str]
    rows: Records
    explainer: TreeShap

    def of(self, decisions: Sequences, wanted: list[str]) -> Floats:
        """Return (m, wanted) contributions to the scores of decisions: 0 for a feature that this version lacks.

        NaN where the row is not on the tape yet.
        """
        result = np.full((len(decisions), len(wanted)), np.nan)
        _, at, place = np.intersect1d(decisions, self.rows["decision"], return_indices=True)
        found = self.explainer.explain(np.ascontiguousarray(self.rows["row"][place])).contributions
        result[at] = 0.0
        columns = np.array([wanted.index(name) for name in self.names], np.int64)
        result[at[:, None], columns] = found
        return result


@dataclass(frozen=True, eq=False)
class Side:
    """What one version did.

    Attributes
    ----------
    version : str
        Its digest.
    decisions : (n,) DECISION records
        In order of sequence; others' records among them are passed over.
    reasons : Reasons or None
        Where they can be told.
    """

    version: str
    decisions: Records
    reasons: Reasons | None = None

    def scored(self) -> Records:
        """Return its decisions that have a score."""
        mine = self.decisions["version"] == version_number(self.version)
        scored: Records = self.decisions[mine & np.isfinite(self.decisions["score"])]
        return scored


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
    champion: Side,
    shadow: Side,
    labelled: tuple[Sequences, Floats],
    *,
    decisions: int,
    horizon: int,
    binary: bool,
    cost_bps: float = 0.0,
) -> Comparison:
    """Compare two versions on the labelled inputs that both scored.

    Parameters
    ----------
    champion, shadow : Side
        What they did.
    labelled : (sequences, labels)
        As `label_inputs` returns them.
    decisions : int
        How many labelled pairs to compare at most.
    horizon : int
        Of the label, in rows.
    binary : bool
        Whether the label is a direction (log loss) or a return (squared error).
    cost_bps : float
        What a change of position costs, one way.
    """
    ours, theirs = champion.scored(), shadow.scored()
    inputs, at_ours, at_theirs = np.intersect1d(ours["input_sequence"], theirs["input_sequence"], return_indices=True)
    ours, theirs = ours[at_ours], theirs[at_theirs]
    _, known, of_label = np.intersect1d(inputs, labelled[0], assume_unique=True, return_indices=True)
    known, labels = known[:decisions], labelled[1][of_label[:decisions]]
    ended = len(known) >= decisions
    last = int(known[-1]) + 1 if ended else len(inputs)
    losses = [_losses(side["score"][known], labels, binary=binary) for side in (theirs, ours)]
    ours, theirs = ours[:last], theirs[:last]
    profits = [_profits(side, ours, cost_bps) for side in (theirs, ours)]
    stride, apart = max(1, decisions // REASONS_MAX), None
    if champion.reasons is not None and shadow.reasons is not None:
        apart = _apart(champion.reasons, ours["sequence"][::stride], shadow.reasons, theirs["sequence"][::stride])
    return Comparison(
        version=shadow.version,
        champion=champion.version,
        decisions=len(known),
        decisions_max=decisions,
        loss=anytime_mean(losses[0] - losses[1], horizon=horizon, tuned_for=decisions),
        pnl_bps=anytime_mean(profits[0] - profits[1], horizon=1, tuned_for=decisions),
        disagreement=anytime_mean(_sides(ours) != _sides(theirs), horizon=horizon, tuned_for=decisions),
        reasons=None if apart is None else anytime_mean(apart, horizon=1, tuned_for=decisions // stride),
        distance=Distance(
            features=None,
            scores=scores_apart(ours["score"], theirs["score"]),
            reasons=float(apart.mean()) if apart is not None and len(apart) else None,
            data=None,
        ),
    )


def _sides(decisions: Records) -> Floats:
    """Return which way each decision wanted to lie: 1, 0 or -1."""
    sides: Floats = np.sign(decisions["target"])
    return sides


def _profits(decisions: Records, priced: Records, cost_bps: float) -> Floats:
    """Return what each wanted side earned until the instrument's next decision, less the cost of coming to it."""
    earned = np.zeros(len(decisions))
    for instrument in np.unique(priced["instrument"]):
        at = np.flatnonzero(priced["instrument"] == instrument)
        sides, prices = np.nan_to_num(_sides(decisions[at])), priced["price"][at]
        prices = np.where(prices > 0.0, prices, np.nan)
        moved = np.append(prices[1:] / prices[:-1] - 1.0, 0.0)
        changed = np.abs(np.diff(sides, prepend=0.0))
        earned[at] = sides * np.nan_to_num(moved) * BPS - cost_bps * changed
    return earned


def _losses(scores: Floats, labels: Floats, *, binary: bool) -> Floats:
    """Return one loss a pair."""
    return log_losses(scores, labels) if binary else np.square(scores - labels)


def _apart(one: Reasons, ones: Sequences, other: Reasons, others: Sequences) -> Floats:
    """Return, by pair of decisions, the share of the contributions' size that differs."""
    names = list(dict.fromkeys([*one.names, *other.names]))
    first, second = one.of(ones, names), other.of(others, names)
    size = np.abs(first).sum(axis=1) + np.abs(second).sum(axis=1)
    apart: Floats = np.abs(first - second).sum(axis=1) / np.where(size > 0.0, size, 1.0)
    return apart[np.isfinite(apart)]
