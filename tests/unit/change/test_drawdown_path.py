"""The way of a drawdown to its finding: what the desk lost since this version took over, as a share of its limit."""

import msgspec
import numpy as np
import pytest
from change_desk import INSTRUMENTS, Recorder, desk, market
from change_facts import finding, lines, promoted
from change_watching import watch_job

from tradeworthy.change.watch.explaining import FindingExplainer
from tradeworthy.change.watch.findings import cases_of
from tradeworthy.core.decisions import Role
from tradeworthy.core.events import Kind
from tradeworthy.core.facts import FindingRaised
from tradeworthy.judge.monitor.trading import TradingSettings
from tradeworthy.record.reader import TapeReader

HELD, LIMIT = 20.0, 4_000.0
BEFORE, AFTER = market(150, seed=2), market(250, seed=3, start=150)


def filled(quantity):
    """Return one fill of ETH at a price that is not the market's, so that what went before made a profit."""
    event = BEFORE[-1:].copy()
    event["kind"], event["values"] = Kind.FILL, np.nan
    event["values"][0, :4] = quantity, 100.0, 0.0, 1.0
    return event


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A desk that bought before its champion came, which then won and lost by the price alone."""
    made = desk(tmp_path_factory.mktemp("drawdown") / "desk")
    version = made.registry.load(made.champion())
    recorder = Recorder(made.folder / "tape", {version: Role.SHADOW})
    recorder.record(BEFORE)
    recorder.inputs.append(filled(HELD))
    recorder.versions = {version: Role.CHAMPION}
    recorder.record(AFTER)
    recorder.close()
    yield made
    made.close()


def path_of(home, kept, **trading: object):
    """Return the path of a drawdown that is told at the tape's last decision."""
    folder, last = home.folder, TapeReader(home.folder / "tape").read("decisions")[-1]
    told = msgspec.structs.replace(
        finding("trading", int(last["sequence"]), "drawdown"), monitor="trading", ts_event_ns=int(last["ts_event_ns"])
    )
    case = cases_of(lines(promoted(home.registry.standing().champion), FindingRaised(finding=told))).of(2)
    settings = msgspec.structs.replace(watch_job(home).monitors, trading=TradingSettings(**trading))
    explainer = FindingExplainer(home.registry, kept, folder / "tape", INSTRUMENTS, settings)
    return told, explainer.now(case).path


def plainly():
    """Return the drawdown after each bar since the take-over, as a share of the limit, by time."""
    worth = HELD * (AFTER["values"][:, 3] - BEFORE["values"][-1, 3])
    fall = np.maximum.accumulate(np.maximum(worth, 0.0)) - worth
    return dict(zip(AFTER["ts_event_ns"].tolist(), (fall / LIMIT).tolist(), strict=True))


def test_the_way_there_is_that_of_an_account_begun_at_the_take_over(home, tmp_path):
    """What was won before counts for nobody, what is held counts, and nothing from before is drawn."""
    told, path = path_of(home, tmp_path, drawdown_value=LIMIT)
    expected = plainly()
    assert len(path) > 50
    assert path[-1] == (told.ts_event_ns, told.statistic / told.threshold)
    for ts_ns, share in path[:-1]:
        assert share == pytest.approx(expected[ts_ns], abs=1e-9)
    assert max(share for _, share in path[:-1]) > 0.05


def test_without_a_limit_there_is_no_way_to_it(home, tmp_path):
    """A drawdown of which nothing is allowed to be said has no path, and nothing is made up."""
    assert path_of(home, tmp_path)[1] == []
