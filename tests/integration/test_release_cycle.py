"""A version's life under a policy in one run: drift, retraining, gate, shadow, canary, champion, harm, roll back.

Everything is real: the engine, a watcher, a trainer and a judge in processes of their own, the ledger and the tape. The
market is simulated: its returns follow one another, and from the middle on it is three times as wild. Nobody gives a
command; the test only says when prices begin to move against the new champion.
"""

import asyncio

import polars as pl
import pytest

from tradeworthy.apps.commands.measuring import decisions_missing
from tradeworthy.apps.commands.project import Project
from tradeworthy.apps.demo.steps import steps_of
from tradeworthy.apps.deployment.desk import run_files
from tradeworthy.change.watch.pulse import read_pulse
from tradeworthy.core import facts
from tradeworthy.core.decisions import version_number
from tradeworthy.testing.adversary import Adversary, wanted_by
from tradeworthy.testing.projects import market_frame, write_project

BARS, WILD_FROM, WILDER = 14_000, 9_100, 3.0
SECONDS_MAX = 240.0
FAST, SLOW, HARMED, BEHIND = 1_500.0, 60.0, 150.0, 500
KEPT_TO_TRAIN, KEPT_TO_COMPARE, KEPT_TO_ACT = 2_500, 1_200, 700

POLICY = """
[policy]
retrain_on = ["data_drift"]
shadow_decisions = 1_500
loss_margin = 0.05
canary_share = 0.25
canary_decisions = 60
rollback_on = ["latency"]

[[policy.reaction]]
on = "trading"
severity = "critical"
do = "rollback"

[monitor.trading]
drawdown_value = 6_000.0
"""


def wilder(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the same market with larger moves from one bar on."""
    prices = frame.select("open", "high", "low", "close").to_numpy().copy()
    start = prices[WILD_FROM, 0]
    prices[WILD_FROM:] = start * (prices[WILD_FROM:] / start) ** WILDER
    columns = {name: prices[:, at] for at, name in enumerate(("open", "high", "low", "close"))}
    return frame.with_columns(**{name: pl.Series(values) for name, values in columns.items()})


class Cycle:
    """One run, its pace and its harm."""

    def __init__(self, project: Project) -> None:
        self.project, self.harmed, self.running, self.adversary = project, "", None, None
        self.first = project.registry.standing().champion

    @property
    def is_over(self) -> bool:
        """Whether the harmed version was taken back, and the one before has decided since."""
        back = self.running is not None and self.running.engine.desk.champion.number == version_number(self.first)
        return bool(self.harmed) and back

    def pace(self) -> float:
        """Fast through what needs no waiting; no faster than processes can follow where it does; never to the end."""
        if self.running is None or self.is_over:
            return float("inf")
        left = len(self.running.feed) - self.running.feed.position
        standing = self.project.registry.standing()
        waits = bool(standing.retrains) or self.running.feed.position > WILD_FROM - int(0.6 * BARS)
        if self.harmed:
            pulse = read_pulse(self.project.places.watcher)
            return HARMED if self.running.engine.summary().last_sequence - pulse.reached < BEHIND else 0.0
        wanted = SLOW if waits and not standing.shadows else FAST
        kept = KEPT_TO_COMPARE if standing.shadows else KEPT_TO_ACT if standing.previous else KEPT_TO_TRAIN
        return wanted if left > kept else 0.0

    def around(self, running):
        """Stand between the market and the engine."""
        self.running = running

        def wanted() -> float:
            return wanted_by(version_number(self.harmed), running.engine.desk) if self.harmed else 0.0

        self.adversary = Adversary(running.feed, wanted, step_bps=150.0)
        return self.adversary

    async def beside(self, _) -> None:
        """Begin the harm once a challenger acts in full and is watched."""
        deadline = asyncio.get_running_loop().time() + SECONDS_MAX
        while not self.is_over:
            await asyncio.sleep(0.05)
            steps = [step.said[:90] for step in steps_of(self.project.ledger.facts(), 0, "")]
            assert asyncio.get_running_loop().time() < deadline, steps
            standing, pulse = self.project.registry.standing(), read_pulse(self.project.places.watcher)
            leads = standing.previous == self.first and standing.canary is None
            if leads and pulse is not None and standing.champion.startswith(pulse.version or "-"):
                self.harmed = standing.champion


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Run the cycle once."""
    folder = write_project(tmp_path_factory.mktemp("cycle") / "small", bars=BARS)
    wilder(market_frame(BARS)).write_csv(folder / "ABC.csv")
    (folder / "tradeworthy.toml").write_text((folder / "tradeworthy.toml").read_text("utf-8") + POLICY, "utf-8")
    project = Project(folder)
    project.train()
    project.register(name="small", actor="ada")
    assert project.gate(actor="ada").passed
    project.promote("newest", to="champion", actor="ada", reason="first")
    cycle = Cycle(project)
    run_files(project, pace=cycle.pace, alongside=cycle.beside, around=cycle.around)
    return cycle


def test_from_drift_to_champion_and_back_by_policy_alone(told):
    """Each step follows from the one before; every one after the first champion is the policy's, with a reason."""
    steps = [step for step in steps_of(told.project.ledger.facts(), 0, "") if step.by == "policy"]
    names = [step.step for step in steps]
    places = [
        names.index(step) for step in ("drift", "retrained", "gate", "shadow", "canary", "champion", "rolled back")
    ]
    assert places == sorted(places)
    assert {step.version for step in steps[places[1] : places[-1] + 1] if step.version} == {told.harmed[:16]}
    said = {step.step: step.said for step in reversed(steps)}
    assert "data_drift: " in said["drift"]
    assert "passed" in said["gate"]
    assert "log loss" in said["canary"]
    assert "at 25% of its size" in said["canary"]
    assert "decisions as canary" in said["champion"]


def test_a_finding_of_real_harm_rolls_it_back(told):
    """The roll back answers a finding about money lost while prices moved against the version that acted."""
    ledger = told.project.ledger
    [rolled] = ledger.facts(facts.VersionRolledBack)
    assert (rolled.fact.version, rolled.fact.to, rolled.actor) == (told.harmed, told.first, "policy")
    answers = [entry.fact for entry in ledger.facts(facts.FindingAnswered) if entry.fact.did == "rollback"]
    raised = {entry.number: entry.fact.finding for entry in ledger.facts(facts.FindingRaised)}
    finding = raised[answers[-1].finding]
    assert (finding.kind, finding.subject) == ("trading", "drawdown")
    assert finding.observed >= 6_000.0
    assert told.adversary.moved > 0


def test_no_event_went_undecided_and_the_record_is_whole(told):
    """Six changes of role, two of champion and back: each event is decided once, and replay says the same."""
    assert decisions_missing(told.project) == 0
    assert told.project.verify().ok
    assert told.project.replay().identical
