"""A version's life under a policy in one run: drift, retraining, gate, shadow, canary, champion, harm, roll back.

Everything is real: the engine, a watcher, a trainer and a judge in processes of their own, the ledger and the tape. The
market of two instruments is simulated: returns follow one another, and from the middle on they are three times as
wild. A challenger first acts on one of the two, its own monitors beside it, the champion on the other. Nobody gives a
command; the test only says when prices begin to move against the new champion. The market stops at fixed events until
whatever needs real time is done, so that a busy machine sees the same.
"""

import math

import numpy as np
import pytest

from tradeworthy.apps.commands.measuring import decisions_missing
from tradeworthy.apps.commands.project import Project
from tradeworthy.apps.demo.steps import steps_of
from tradeworthy.apps.deployment.desk import run_files
from tradeworthy.core import facts
from tradeworthy.core.decisions import Role, version_number
from tradeworthy.core.events import Kind, Word
from tradeworthy.record.reader import TapeReader
from tradeworthy.testing.adversary import Adversary, wanted_by
from tradeworthy.testing.lockstep import Lockstep
from tradeworthy.testing.projects import market_frame, wilder, write_project

BARS, WILD_FROM, WILDER = 14_000, 9_100, 3.0

SYMBOLS = ("ABC", "XYZ")
SECOND = """
[[instrument]]
symbol = "XYZ"

[[market]]
instrument = "XYZ"
path = "XYZ.csv"
period = "30m"
bar_time = "open"

[training]
instrument = "ABC"
"""

POLICY = """
[policy]
retrain_on = ["data_drift"]
budget = 1
shadow_decisions = 1_500
loss_margin = 0.05
canary_instrument_share = 0.5
canary_decisions = 60
rollback_on = ["latency"]

[[policy.reaction]]
on = "trading"
severity = "critical"
do = "rollback"

[monitor.trading]
drawdown_value = 6_000.0
"""


class Cycle:
    """One run, in lockstep with what needs real time, and its harm."""

    def __init__(self, project: Project) -> None:
        self.project, self.harmed, self.running, self.adversary = project, "", None, None
        self.first = project.registry.standing().champion
        self.lockstep = Lockstep(project.ledger, project.places.watcher, clock=project.clock, every=1_024)

    @property
    def is_over(self) -> bool:
        """Whether the harmed version was taken back, and the one before has decided since."""
        back = self.running is not None and self.running.engine.desk.champion.number == version_number(self.first)
        return bool(self.harmed) and back

    def pace(self) -> float:
        """Stop at fixed events until all is done; harm begins at the first of them at which a challenger leads."""
        if self.is_over:
            return math.inf
        stops, pace = self.lockstep.stops, self.lockstep.pace()
        if self.lockstep.stops > stops and not self.harmed:
            standing = self.project.registry.standing()
            if standing.previous == self.first and standing.canary is None:
                self.harmed, self.lockstep.every = standing.champion, 256
        return pace

    def around(self, running):
        """Stand between the market and the engine."""
        self.running = running
        self.lockstep.start(running.feed, running.engine)

        def wanted() -> float:
            return wanted_by(version_number(self.harmed), running.engine.desk) if self.harmed else 0.0

        self.adversary = Adversary(running.feed, wanted, step_bps=150.0)
        return self.adversary


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Run the cycle once."""
    folder = write_project(tmp_path_factory.mktemp("cycle") / "small", bars=BARS)
    for seed, symbol in enumerate(SYMBOLS, 1):
        wilder(market_frame(BARS, seed=seed), WILD_FROM, WILDER).write_csv(folder / f"{symbol}.csv")
    settings = (folder / "tradeworthy.toml").read_text("utf-8")
    (folder / "tradeworthy.toml").write_text(settings.replace("[training]", SECOND) + POLICY, "utf-8")
    project = Project(folder)
    project.train()
    project.register(name="small", actor="ada")
    assert project.gate(actor="ada").passed
    project.promote("newest", to="champion", actor="ada", reason="first")
    cycle = Cycle(project)
    run_files(project, pace=cycle.pace, around=cycle.around)
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
    assert any(f"becomes canary on {symbol} alone" in said["canary"] for symbol in SYMBOLS)
    assert "decisions as canary" in said["champion"]


def test_as_canary_it_acted_on_its_instrument_alone(told):
    """From its canary's fact to its champion's the other instrument stayed the champion's; each decided its own."""
    [canary] = [e.fact for e in told.project.ledger.facts(facts.VersionPromoted) if e.fact.role == "canary"]
    place = SYMBOLS.index(canary.instruments[0])
    reader = TapeReader(told.project.places.tape)
    inputs = reader.read("inputs")
    words = inputs[(inputs["kind"] == Kind.CONTROL) & np.isin(inputs["values"][:, 0], (Word.CHAMPION, Word.CANARY))]
    own = version_number(told.harmed)
    [begun] = words["sequence"][(words["values"][:, 0] == Word.CHAMPION) & (words["reference"] == own)]
    ended = words["sequence"][(words["values"][:, 0] == Word.CANARY) & (words["sequence"] > begun)][0]
    made = reader.read("decisions")
    made = made[(made["role"] == Role.CHAMPION) & (made["input_sequence"] > begun) & (made["input_sequence"] < ended)]
    assert set(made["version"][made["instrument"] == place].tolist()) == {own}
    assert set(made["version"][made["instrument"] != place].tolist()) == {version_number(told.first)}
    assert np.count_nonzero(made["version"] == own) >= 60


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
