"""What the record says of a whole run: events without a decision, and how right the scores turned out to be."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tradeworthy.apps.deployment.keeping import recorded
from tradeworthy.core.decisions import Role
from tradeworthy.core.events import EventBatch, Kind
from tradeworthy.judge.metrics import auc
from tradeworthy.live.desk import is_own
from tradeworthy.model.features.labels import Label
from tradeworthy.record.reader import TapeReader

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

Floats = npt.NDArray[np.float64]


def market_inputs(reader: TapeReader, instrument: int, kind: Kind) -> EventBatch:
    """Return an instrument's recorded events of one kind, those that were refused included."""
    inputs = reader.read("inputs")
    found: EventBatch = inputs[~is_own(inputs) & (inputs["instrument"] == instrument) & (inputs["kind"] == kind)]
    return found


def champion_decisions(reader: TapeReader) -> npt.NDArray[Any]:
    """Return the decisions that could act."""
    decisions = reader.read("decisions")
    found: npt.NDArray[Any] = decisions[decisions["role"] == Role.CHAMPION]
    return found


def trigger_of(project: "Project") -> Kind:
    """Return the kind of event that the champion decides on."""
    return project.registry.load(project.registry.resolve("champion")).program.trigger


def decisions_missing(project: "Project") -> int:
    """Count the recorded events that should have been decided by exactly one champion and were not."""
    reader = recorded(project)
    decided, times = np.unique(champion_decisions(reader)["input_sequence"], return_counts=True)
    wrong = int((times != 1).sum())
    for number, instrument in enumerate(project.settings.instrument):
        if instrument.traded:
            asked = market_inputs(reader, number, trigger_of(project))["sequence"]
            wrong += int((~np.isin(asked, decided)).sum())
    return wrong


def realised(project: "Project") -> tuple[Floats, Floats]:
    """Return the champions' scores and the labels that time has given them, (m,) each."""
    reader = recorded(project)
    made = champion_decisions(reader)
    made = made[np.isfinite(made["score"])]
    scores, labels = [], []
    for number, instrument in enumerate(project.settings.instrument):
        of_instrument = made[made["instrument"] == number]
        if not instrument.traded or not of_instrument.size:
            continue
        label = Label.from_json(project.registry.load(int(of_instrument["version"][-1])).manifest.label_json())
        events = market_inputs(reader, number, label.trigger)
        found, _, places = label.compute(events, number, project.settings.instrument)
        known = dict(zip(events["sequence"][places].tolist(), found.tolist(), strict=True))
        has = np.array([sequence in known for sequence in of_instrument["input_sequence"].tolist()], bool)
        scores.append(of_instrument["score"][has])
        labels.append(np.array([known[sequence] for sequence in of_instrument["input_sequence"][has].tolist()]))
    return np.concatenate(scores or [np.empty(0)]), np.concatenate(labels or [np.empty(0)])


def realised_auc(project: "Project") -> float:
    """Return the AUC of the scores that were acted on; NaN where no label is known yet."""
    scores, labels = realised(project)
    return auc(scores, labels) if len(np.unique(labels)) > 1 else float("nan")
