"""What the record says of a run: no event undecided, and the AUC that was realised."""

import numpy as np
import pytest
from small_project import looked_at

from tradeworthy.apps.commands.measuring import (
    champion_decisions,
    decisions_missing,
    market_inputs,
    realised,
    realised_auc,
    trigger_of,
)
from tradeworthy.apps.deployment.keeping import read_swaps, recorded
from tradeworthy.core.errors import NotFound
from tradeworthy.core.events import Kind
from tradeworthy.judge.metrics import auc

HORIZON = 3


@pytest.fixture(scope="module")
def project():
    """A project that has traded; nobody changes it here."""
    return looked_at("traded")


def test_every_bar_was_decided(project):
    """No recorded bar is without its one decision."""
    assert decisions_missing(project) == 0
    assert trigger_of(project) == Kind.BAR
    assert len(champion_decisions(recorded(project))) == 1_200


def test_market_inputs_are_the_files_events(project):
    """What was recorded of the market is what the file held, after the training part."""
    events, _ = project.market
    found = market_inputs(recorded(project), 0, Kind.BAR)
    assert np.array_equal(found["ts_event_ns"], events["ts_event_ns"][1_800:])
    assert np.array_equal(found["values"], events["values"][1_800:])


def test_labels_are_the_moves_that_followed(project):
    """A score's label is whether the close stood higher three bars later; the last three have none."""
    scores, labels = realised(project)
    close = market_inputs(recorded(project), 0, Kind.BAR)["values"][:, 3]
    made = champion_decisions(recorded(project))
    known = np.isfinite(made["score"][:-HORIZON])
    assert np.array_equal(scores, made["score"][:-HORIZON][known])
    assert np.array_equal(labels, (close[HORIZON:] > close[:-HORIZON]).astype(float)[known])


def test_the_edge_is_found_again(project):
    """On a market whose returns follow one another the realised AUC lies above chance."""
    scores, labels = realised(project)
    assert realised_auc(project) == auc(scores, labels)
    assert realised_auc(project) > 0.52


def test_a_run_keeps_its_summary(project):
    """One run has one summary; its first champion is no swap."""
    assert len(list(project.places.runs.glob("*.json"))) == 1
    assert read_swaps(project) == []


def test_nothing_recorded():
    """Before a run, whoever asks is told to run."""
    with pytest.raises(NotFound, match="run: tradeworthy run"):
        recorded(looked_at("fresh"))
