"""Why a decision was made: found by sequence, time or size, and adding up exactly."""

import numpy as np
import pytest
from small_project import at, looked_at

from tradeworthy.apps.deployment.keeping import recorded
from tradeworthy.apps.explain.explaining import explain_decision
from tradeworthy.apps.explain.finding_decisions import find_decision, largest_trade
from tradeworthy.core.errors import NotFound
from tradeworthy.core.events import Kind
from tradeworthy.core.time import iso


@pytest.fixture(scope="module")
def project():
    """A project that has traded; nobody changes it here."""
    return looked_at("traded")


@pytest.fixture(scope="module")
def decisions(project):
    """Its recorded decisions."""
    return recorded(project).read("decisions")


def test_contributions_add_up(project):
    """Baseline and contributions give the margin, for every feature of the version."""
    found = explain_decision(project, "largest")
    assert found.baseline + sum(reason.contribution for reason in found.reasons) == pytest.approx(
        found.margin, abs=1e-12
    )
    assert found.sum_error <= 1e-9
    assert sorted(reason.feature for reason in found.reasons) == ["mean_4", "return_1", "volatility_12"]


def test_the_score_is_the_recorded_one(project, decisions):
    """What is explained is the score that the decision was made on."""
    scored = decisions[np.isfinite(decisions["score"])]
    for decision in scored[:: len(scored) // 5]:
        found = explain_decision(project, str(decision["sequence"]))
        assert found.score == pytest.approx(float(decision["score"]), abs=1e-12)
        assert found.decision == decision["sequence"]


def test_the_largest_trade_is_the_largest(project):
    """No fill has a higher value than the one that is found."""
    inputs = recorded(project).read("inputs")
    fills = inputs[inputs["kind"] == Kind.FILL]
    values = np.abs(fills["values"][:, 0] * fills["values"][:, 1])
    chosen = fills["reference"] == largest_trade(inputs)
    assert values[chosen].max() == values.max()


def test_a_time_names_the_last_decision_up_to_it(project, decisions):
    """A moment between two bars belongs to the earlier decision; one without an offset is UTC."""
    reader, decision = recorded(project), decisions[100]
    at_ns = int(decision["ts_event_ns"])
    for text in (iso(at_ns), iso(at_ns + 60_000_000_000), iso(at_ns).removesuffix("Z")):
        assert find_decision(reader, text)["sequence"] == decision["sequence"]


def test_words_say_what_was_done(project):
    """The sentence names the time, the deed, the symbol and reasons against the training rows."""
    found = explain_decision(project, "largest")
    assert found.said.startswith(f"At {found.time} the desk ")
    assert "ABC" in found.said
    assert "of training" in found.said


@pytest.mark.parametrize(
    ("which", "said"),
    [
        ("nonsense", "allowed are a tape sequence, a UTC time"),
        ("-3", "is no decision"),
        ("2011-01-01", "no decision was made up to 2011-01-01; the first is of 2020-"),
        ("0", "the nearest is"),
        ("99999999999999999999", "the nearest is"),
        ("9" * 5_000, "is no decision"),
        ("\u00b2", "is no decision"),
    ],
)
def test_what_names_no_decision(which, said, project):
    """A word that names no decision is refused with what would."""
    with pytest.raises(NotFound, match=said):
        explain_decision(project, which)


def test_nothing_was_traded(tmp_path):
    """Where no order was filled there is no largest trade."""
    halted = at("promoted", tmp_path)
    halted.halt(actor="bob", reason="drill")
    halted.run(watch=False)
    with pytest.raises(NotFound, match="nothing was traded"):
        halted.explain("largest")
    assert halted.report().size_bytes > 10_000
