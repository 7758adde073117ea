"""A report's values come from the record alone, and agree with what the run said of itself."""

import msgspec
import numpy as np
import pytest
from small_project import ADA, looked_at

from tradeworthy.apps.deployment.keeping import recorded
from tradeworthy.apps.reports.reporting import run_report, write_report
from tradeworthy.core.errors import NotFound
from tradeworthy.core.events import Kind
from tradeworthy.live.summary import RunSummary


@pytest.fixture(scope="module")
def project():
    """A project that has traded; nobody changes it here."""
    return looked_at("traded")


@pytest.fixture(scope="module")
def report(project):
    """Its report's values."""
    return run_report(project)


@pytest.fixture(scope="module")
def summary(project):
    """What the run said when it ended."""
    [path] = project.places.runs.glob("*.json")
    return msgspec.json.decode(path.read_bytes(), type=RunSummary)


def test_money_agrees_with_the_engine(report, summary):
    """Profit after costs and fees, computed from fills and bars, are the engine's own."""
    costs = report.outcome.costs
    assert costs.net == pytest.approx(summary.equity, rel=1e-9)
    assert costs.fees == pytest.approx(summary.fees, rel=1e-9)
    assert costs.gross - costs.fees - costs.spread - costs.slippage == pytest.approx(costs.net, rel=1e-9)


def test_counts_agree_with_the_engine(report, summary):
    """Decisions, orders and fills are those of the run."""
    assert sum(report.decisions.verdicts.values()) == summary.decisions
    assert (report.decisions.orders, report.decisions.fills) == (summary.orders, summary.fills)
    assert report.decisions.rejects == summary.rejects


def test_positions_are_the_sum_of_fills(report, project):
    """The drawn position ends where the fills end."""
    inputs = recorded(project).read("inputs")
    total = inputs["values"][inputs["kind"] == Kind.FILL, 0].sum()
    assert np.asarray(report.market.position.values)[-1] == pytest.approx(total, abs=1e-9)


def test_the_version_and_its_training_are_told(report, project):
    """One version, by its author, with every fold's AUC as the candidate has it."""
    [version], [training] = report.versions, report.trainings
    assert version.author == ADA
    assert version.decisions == 1_200
    assert training.version == version.digest == project.resolve("champion")
    assert len(training.folds) == 3
    metrics = project.registry.candidate(version.digest).lineage.fold_metrics
    assert [fold.auc for fold in training.folds] == [metrics[f"fold_{n}_auc"] for n in range(3)]


def test_proofs_are_made_anew(report):
    """The page shows a verification and a replay of now, and the gate's report."""
    assert report.verified.ok
    assert report.replayed.identical
    assert [gate.passed for gate in report.gates] == [True]
    assert report.swaps == ()


def test_the_page_is_one_file(project, tmp_path):
    """The page goes where it is asked to, in folders that it makes, and names its desk."""
    path = tmp_path / "deep" / "page.html"
    page = write_report(project, path)
    assert page.path == str(path)
    assert page.size_bytes == path.stat().st_size
    assert "small: ABC" in path.read_text("utf-8")


def test_nothing_to_tell():
    """Before a run there is no report."""
    with pytest.raises(NotFound, match="run: tradeworthy run"):
        write_report(looked_at("fresh"))
