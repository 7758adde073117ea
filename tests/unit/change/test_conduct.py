"""The policy carried out: from a finding to a new champion, step by step, across restarts."""

from threading import Event

import msgspec
import numpy as np
import pytest
from change_desk import (
    EVERY_LIMIT,
    REVIEWED,
    SETTINGS,
    STRATEGY,
    TRAINING,
    Recorder,
    desk,
    market,
    trained,
    write_strategy,
)
from change_facts import raised

from tradeworthy.change.attempts import FAILED, JOB
from tradeworthy.change.evidence.worker import REPORT, GateJob, run_job
from tradeworthy.change.release.answers import Answer, Reaction
from tradeworthy.change.release.challengers import challenger_judging, retraining
from tradeworthy.change.release.comparing import read_comparisons
from tradeworthy.change.release.conduct import (
    Conductor,
    ConductSettings,
    next_look,
)
from tradeworthy.change.release.policy import (
    FreezePromotion,
    PolicySettings,
    PromoteChallenger,
    RetireChallenger,
    StartCanary,
    StartRetrain,
    values_of,
)
from tradeworthy.change.train.candidate import save_candidate
from tradeworthy.change.train.history import ArrayHistory
from tradeworthy.change.train.worker import CANDIDATE, TrainJob
from tradeworthy.core import facts
from tradeworthy.core.decisions import Role, Rule, version_number
from tradeworthy.core.errors import SettingsInvalid
from tradeworthy.judge.validate.gate import GateSettings
from tradeworthy.judge.validate.latency import LatencySettings
from tradeworthy.record.reader import TapeReader

POLICY = PolicySettings(cool_down_decisions=10, shadow_decisions=300, loss_margin=0.05)


@pytest.fixture
def home(tmp_path):
    """A paper deployment with a champion, its history, and a finding about it."""
    made = desk(tmp_path / "desk")
    made.champion(1)
    np.save(tmp_path / "events.npy", market(1_500))
    made.ledger.append(raised(), actor="watcher", reason="a test")
    yield made
    made.close()


@pytest.fixture
def tape(home):
    """A tape on which the champion decides, and, once it is a shadow, the challenger of seed 2."""
    return home.folder / "tape"


def conductor(home, tape, policy=POLICY):
    """Return the policy's hands, as after a restart."""
    settings = ConductSettings(
        strategy=str(write_strategy(home.folder, STRATEGY, seed=2)),
        history=[ArrayHistory(path=str(home.folder.parent / "events.npy"))],
        limits=EVERY_LIMIT,
        version=SETTINGS,
        training=TRAINING,
        gate=GateSettings(latency=LatencySettings(us_p99_max=1e9), documents=REVIEWED),
        policy=policy,
    )
    return Conductor(home.release, settings, folder=home.folder, tape=tape, key=home.key, clock=home.clock)


def record(home, tape, *roles: tuple[str, Role]):
    """Write 400 bars and the decisions of versions in their roles."""
    versions = {home.registry.load(digest): role for digest, role in roles}
    recorder = Recorder(tape, versions)
    recorder.record(market(400, start=1_500, seed=8))
    recorder.close()


def step(home, tape, policy=POLICY):
    """Restart and take one step."""
    return conductor(home, tape, policy).step(home.registry.standing(), 100)


def leave_candidate(home, seed=2):
    """Do what a training process does, without one."""
    folder = retraining(home.folder, home.registry.standing().retrains[-1]).folder
    folder.mkdir(parents=True)
    (folder / JOB).write_bytes(b"{}")
    if seed is not None:
        save_candidate(trained(seed), folder / CANDIDATE)
    return folder


def leave_report(home, tape, attempt=1):
    """Do what a judging process does, in this one."""
    hands = conductor(home, tape)
    version = home.registry.standing().retrains[-1].ended.version
    folder = challenger_judging(home.folder, version, attempt).folder
    folder.mkdir(parents=True)
    (folder / JOB).write_bytes(b"{}")
    run_job(hands._gate_job(version), folder, clock=home.clock)
    return folder


def kinds(home):
    """Return the kinds of all facts, in order."""
    return [type(entry.fact).__name__ for entry in home.ledger.facts()]


def test_a_finding_leads_to_a_new_champion_across_restarts(home, tape):
    """Every step is taken by a process that knows nothing but the facts and the tape."""
    first = home.registry.resolve("champion")
    record(home, tape, (first, Role.CHAMPION))
    assert isinstance(step(home, tape), StartRetrain)
    leave_candidate(home)
    step(home, tape)
    challenger = home.registry.standing().retrains[-1].ended.version
    assert challenger not in (None, first)
    leave_report(home, tape)
    step(home, tape)
    assert home.registry.standing().gate_passed(challenger)
    step(home, tape)
    assert home.release.control.view().shadows == (version_number(challenger),)
    assert step(home, tape) is None
    record(home, home.folder / "tape2", (first, Role.CHAMPION), (challenger, Role.SHADOW))
    step(home, home.folder / "tape2")
    assert home.registry.resolve("champion") == challenger
    entry = home.ledger.facts(facts.VersionPromoted)[-1]
    assert entry.actor == "policy"
    assert "log loss" in entry.reason
    assert (entry.fact.distance.features, entry.fact.distance.data) == (0.0, 0.0)
    assert 0.0 < entry.fact.distance.scores < 1.0
    assert 0.0 < entry.fact.distance.reasons < 1.0
    assert step(home, home.folder / "tape2") is None
    assert kinds(home)[-6:] == [
        "RetrainStarted",
        "VersionRegistered",
        "RetrainEnded",
        "GateJudged",
        "VersionPromoted",
        "VersionPromoted",
    ]


def test_a_training_that_was_only_written_down_is_started(home, tape):
    """Killed between fact and process, the next step starts the process, with the facts' sequences."""
    record(home, tape, (home.registry.resolve("champion"), Role.CHAMPION))
    step(home, tape)
    hands = conductor(home, tape)
    attempt = home.registry.standing().retrains[-1]
    hands.step(home.registry.standing(), 500)
    job = msgspec.json.decode((retraining(home.folder, attempt).folder / JOB).read_bytes(), type=TrainJob)
    assert (job.history[-1].first_sequence, job.history[-1].last_sequence) == (1, attempt.started.last_sequence)
    assert job.parent == home.registry.resolve("champion")
    assert job.changed_ns == raised().finding.since_ns
    pause = Event()
    for _ in range(1_200):
        if home.registry.standing().retrains[-1].ended is not None:
            break
        step(home, tape)
        pause.wait(0.05)
    assert home.registry.standing().retrains[-1].ended.error is None
    version = home.registry.load(home.registry.list()[-1].version)
    assert version.manifest.lineage.parent == home.registry.resolve("champion")


def test_a_registration_that_was_cut_off_is_finished(home, tape):
    """Killed between registration and its end, the next step registers the same version and ends."""
    record(home, tape, (home.registry.resolve("champion"), Role.CHAMPION))
    step(home, tape)
    leave_candidate(home)
    digest = home.registered(2)
    step(home, tape)
    assert home.registry.standing().retrains[-1].ended.version == digest
    assert len(home.ledger.facts(facts.VersionRegistered)) == 2


def test_a_training_that_failed_ends_with_its_reason(home, tape):
    """The error is in the facts, and the same finding starts nothing again."""
    record(home, tape, (home.registry.resolve("champion"), Role.CHAMPION))
    step(home, tape)
    folder = leave_candidate(home, seed=None)
    (folder / "failed.txt").write_text("DataInvalid: too little")
    step(home, tape)
    ended = home.registry.standing().retrains[-1].ended
    assert ended == facts.RetrainEnded(version=None, error="DataInvalid: too little")
    assert step(home, tape) is None


def test_a_damaged_candidate_ends_the_training(home, tape):
    """What cannot be read is no version, and the champion stays."""
    record(home, tape, (home.registry.resolve("champion"), Role.CHAMPION))
    step(home, tape)
    folder = leave_candidate(home)
    (folder / CANDIDATE / "trees.npz").write_bytes(b"x")
    step(home, tape)
    assert "BundleRefused" in home.registry.standing().retrains[-1].ended.error


def registered_challenger(home, tape):
    """Bring a challenger to the gate, and return it."""
    record(home, tape, (home.registry.resolve("champion"), Role.CHAMPION))
    step(home, tape)
    leave_candidate(home)
    step(home, tape)
    return home.registry.standing().retrains[-1].ended.version


def wait_for(home, tape, done):
    """Take steps until something is so, at most a minute; each by a process that knows nothing but facts and files."""
    pause = Event()
    for _ in range(1_200):
        if done():
            return
        step(home, tape)
        pause.wait(0.05)
    raise AssertionError("not done within a minute")


def test_the_gate_runs_in_a_process_of_its_own(home, tape):
    """Steps return at once while it runs; its report is recorded when it has ended, once."""
    challenger = registered_challenger(home, tape)
    step(home, tape)
    folder = challenger_judging(home.folder, challenger, 1).folder
    job = msgspec.json.decode((folder / JOB).read_bytes(), type=GateJob)
    assert (job.version, job.nice) == (challenger, 10)
    wait_for(home, tape, lambda: challenger in home.registry.standing().gates)
    assert home.registry.standing().gate_passed(challenger)
    assert home.registry.gate_report(challenger) == (folder / REPORT).read_bytes()
    assert len(home.ledger.facts(facts.GateJudged)) == 2


def killed_gate(home, tape, challenger, attempt):
    """Leave what a judging process leaves that was killed."""
    folder = challenger_judging(home.folder, challenger, attempt).folder
    folder.mkdir(parents=True)
    (folder / JOB).write_bytes(b"{}")
    return folder


def test_a_killed_gate_is_tried_again(home, tape):
    """A process that ended without a report is started once more, in a folder of its own."""
    challenger = registered_challenger(home, tape)
    killed_gate(home, tape, challenger, 1)
    step(home, tape)
    wait_for(home, tape, lambda: challenger in home.registry.standing().gates)
    assert (challenger_judging(home.folder, challenger, 2).folder / REPORT).exists()


def test_a_gate_that_never_ends_well_retires_the_challenger(home, tape):
    """After the last try the reason is a fact, and the champion stays."""
    challenger = registered_challenger(home, tape)
    killed_gate(home, tape, challenger, 1)
    (killed_gate(home, tape, challenger, 2) / FAILED).write_text("DataInvalid: there are no events")
    step(home, tape)
    assert home.registry.standing().retired == [challenger]
    reason = home.ledger.facts(facts.VersionPromoted)[-1].reason
    assert reason == "the gate could not judge it in 2 tries: DataInvalid: there are no events"
    assert step(home, tape) is None


def test_a_report_recorded_by_a_step_that_was_killed_is_not_recorded_twice(home, tape):
    """The fact decides: once it is there, the gate's folder is no longer looked at."""
    challenger = registered_challenger(home, tape)
    leave_report(home, tape)
    for _ in range(3):
        step(home, tape)
    judged = [entry for entry in home.ledger.facts(facts.GateJudged) if entry.fact.version == challenger]
    assert len(judged) == 1


def challenged(home, tape):
    """Bring a challenger into shadow, and return champion and challenger."""
    first = home.registry.resolve("champion")
    record(home, tape, (first, Role.CHAMPION))
    step(home, tape)
    leave_candidate(home)
    step(home, tape)
    leave_report(home, tape)
    step(home, tape)
    step(home, tape)
    return first, home.registry.standing().shadows[-1]


def test_a_challenger_that_may_be_worse_is_retired(home, tape):
    """A margin that the interval does not keep takes the shadow out."""
    first, challenger = challenged(home, tape)
    record(home, home.folder / "tape2", (first, Role.CHAMPION), (challenger, Role.SHADOW))
    strict = msgspec.structs.replace(POLICY, loss_margin=0.0)
    step(home, home.folder / "tape2", policy=strict)
    assert home.registry.standing().retired == [challenger]
    assert home.registry.resolve("champion") == first
    finding = home.ledger.facts(facts.FindingRaised)[-1].fact.finding
    assert (finding.kind, finding.subject, finding.severity) == ("release", challenger[:16], "info")
    assert "log loss" in finding.sentence


def test_a_shadow_is_compared_only_when_it_has_enough(home, tape):
    """While the figures leave both answers open, the challenger stays in shadow; how it fares can be read."""
    first, challenger = challenged(home, tape)
    record(home, home.folder / "tape2", (first, Role.CHAMPION), (challenger, Role.SHADOW))
    long = msgspec.structs.replace(POLICY, shadow_decisions=4_000, loss_margin=0.0)
    assert step(home, home.folder / "tape2", policy=long) is None
    [found] = read_comparisons(home.folder)
    assert (found.version, found.champion, found.is_over) == (challenger, first, False)
    assert 300 < found.decisions < 400
    assert found.loss.low < 0.0 < found.loss.high
    assert found.reasons.estimate > 0.0
    assert home.registry.standing().shadows == [challenger]


def test_a_good_challenger_that_is_too_far_waits_for_a_person(home, tape):
    """It is frozen once, with a finding, and the champion stays; an approval lets the policy go on, counting anew."""
    first, challenger = challenged(home, tape)
    folder = home.folder / "tape2"
    record(home, folder, (first, Role.CHAMPION), (challenger, Role.SHADOW))
    strict = msgspec.structs.replace(POLICY, distance_max=0.01)
    assert isinstance(step(home, folder, policy=strict), FreezePromotion)
    assert step(home, folder, policy=strict) is None
    assert home.registry.standing().shadows == [challenger]
    [fact] = [entry.fact for entry in home.ledger.facts(facts.PromotionFrozen)]
    assert fact.gone.scores > 0.01
    told = home.ledger.facts(facts.FindingRaised)[-1].fact.finding
    assert told.subject == challenger[:16]
    assert "Automatic promotion is frozen" in told.sentence
    assert [info.waits for info in home.registry.list()] == [False, True]
    home.release.approve(challenger, actor="bob", reason="looked at what has changed")
    assert isinstance(step(home, folder, policy=strict), PromoteChallenger)
    standing = home.registry.standing()
    assert (standing.champion, standing.steps, standing.frozen) == (challenger, {}, {})


def test_a_step_that_is_refused_retires_the_challenger(home, tape):
    """A challenger whose bundle was damaged after the gate ends with the reason, and the champion stays."""
    first = home.registry.resolve("champion")
    record(home, tape, (first, Role.CHAMPION))
    step(home, tape)
    leave_candidate(home)
    step(home, tape)
    leave_report(home, tape)
    step(home, tape)
    challenger = home.registry.standing().retrains[-1].ended.version
    (home.folder / "versions" / challenger[:16] / "extra").write_text("x")
    step(home, tape)
    assert home.registry.standing().retired == [challenger]
    assert "BundleRefused" in home.ledger.facts(facts.VersionPromoted)[-1].reason
    assert home.registry.resolve("champion") == first


def test_a_challenger_that_a_person_promotes_first_stays_champion(home, tape):
    """The policy finds that somebody was quicker, and neither fails nor takes the version out."""
    _, challenger = challenged(home, tape)
    hands = conductor(home, tape)
    before = home.registry.standing()
    home.release.promote(challenger, "champion", actor="bob", reason="quicker")
    hands._act(PromoteChallenger(challenger, "late"), 100, POLICY, before.champion)
    hands._act(RetireChallenger(challenger, "late"), 100, POLICY, before.champion)
    assert before.champion != challenger
    assert home.registry.standing().champion == challenger
    assert home.registry.standing().retired == []


def looks_of(hands):
    """Return a list that gets how many decisions each comparison looks at."""
    looked, compare = [], hands._comparer.compare
    hands._comparer.compare = lambda *pair, seen, **words: looked.append(seen) or compare(*pair, seen=seen, **words)
    return looked


@pytest.mark.parametrize(
    "late", [PromoteChallenger("", "late"), StartCanary("", 0.25, "late")], ids=["champion", "canary"]
)
def test_a_challenger_of_a_champion_that_acts_no_more_is_left_for_the_next_look(home, tape, late):
    """It was compared with the one before: it neither acts nor is taken out because somebody was quicker."""
    _, challenger = challenged(home, tape)
    hands, compared_with = conductor(home, tape), home.registry.standing().champion
    other = home.champion(9)
    hands._act(msgspec.structs.replace(late, version=challenger), 100, POLICY, compared_with)
    standing = home.registry.standing()
    assert standing.champion == other
    assert challenger not in (*standing.champions, *standing.retired)


def test_a_retraining_learns_all_that_its_schedule_counted(home, tape):
    """Decisions may be on the tape that no monitor has observed yet; what counted them learns from them too."""
    record(home, tape, (home.registry.resolve("champion"), Role.CHAMPION))
    often = msgspec.structs.replace(POLICY, retrain_on=(), scheduled_every_decisions=50)
    assert isinstance(step(home, tape, policy=often), StartRetrain)
    (attempt,) = home.registry.standing().retrains
    assert attempt.started.last_sequence == TapeReader(tape).read("decisions")["input_sequence"][-1] > 100


def test_two_watchers_begin_and_end_one_retraining(home, tape):
    """What a second one would write of the same retraining, or of the same answer, is no fact."""
    hands = [conductor(home, tape) for _ in range(2)]
    for hand in hands:
        hand._start_retrain("drift", None, 100)
    (attempt,) = home.registry.standing().retrains
    for hand in hands:
        hand._end(attempt, None, "it failed")
    assert [each.ended.error for each in home.registry.standing().retrains] == ["it failed"]
    assert len(home.ledger.facts(facts.RetrainStarted, facts.RetrainEnded)) == 2


def test_a_comparison_is_not_made_anew_at_every_look(home, tape):
    """It reads the tape anew each time, so it waits until there is something to win by it."""
    first, challenger = challenged(home, tape)
    folder = home.folder / "tape2"
    record(home, folder, (first, Role.CHAMPION), (challenger, Role.SHADOW))
    hands = conductor(home, folder, msgspec.structs.replace(POLICY, shadow_decisions=4_000, loss_margin=0.0))
    looked = looks_of(hands)
    for _ in range(5):
        assert hands.step(home.registry.standing(), 100) is None
    assert looked == [80, 160, 240, 320]


def acted_on(home, challenger, folder, cuts):
    """Record 400 bars in parts, look once after each, and return the first step that is taken."""
    roles = {home.registry.resolve("champion"): Role.CHAMPION, challenger: Role.SHADOW}
    recorder = Recorder(folder, {home.registry.load(version): role for version, role in roles.items()})
    hands, standing, acted = conductor(home, folder), home.registry.standing(), None
    hands._act = lambda *_: None
    for part in np.split(market(400, start=1_500, seed=8), cuts):
        recorder.record(part)
        acted = acted or hands.step(standing, 100)
    recorder.close()
    return acted


def test_what_a_comparison_says_does_not_depend_on_when_the_tape_was_read(home, tape):
    """Read while it grows or long after, the challenger is promoted on the same decisions, in the same words."""
    _, challenger = challenged(home, tape)
    at_once = acted_on(home, challenger, home.folder / "at-once", [])
    assert isinstance(at_once, PromoteChallenger)
    assert acted_on(home, challenger, home.folder / "often", [7, 90, 91, 250, 399]) == at_once
    assert acted_on(home, challenger, home.folder / "evenly", [*range(30, 400, 30)]) == at_once


def test_looks_become_rarer_where_labels_are_late():
    """Fifty until there are as many decisions as wanted, then in proportion: a million take some hundreds."""
    seen, looks = 0, 0
    while (seen := next_look(seen, 2_000)) <= 1_000_000:
        looks += 1
    assert (next_look(0, 2_000), next_look(1_960, 2_000), next_look(2_000, 2_000)) == (40, 2_000, 2_040)
    assert next_look(0, 1) == 1
    assert 350 < looks < 400


def test_without_a_tape_nothing_is_counted(home):
    """A policy may wait for an engine that has not started."""
    hands = conductor(home, home.folder / "none")
    assert isinstance(hands.step(home.registry.standing(), 0), StartRetrain)


def answered(home):
    """Return the facts of answers."""
    return [entry.fact for entry in home.ledger.facts(facts.FindingAnswered)]


@pytest.mark.parametrize(
    ("do", "size", "halted"),
    [("reduce", 0.4, set()), ("flat", 0.0, set()), ("halt", 1.0, {"all"}), ("alert", 1.0, set())],
)
def test_a_finding_is_answered_at_once_and_once(home, tape, do, size, halted):
    """The first step takes risk away and writes it down; the next one has nothing to answer."""
    policy = msgspec.structs.replace(POLICY, retrain_on=(), reaction=[Reaction(on="data_drift", do=do, share=0.4)])
    step(home, tape, policy)
    standing = home.registry.standing()
    assert (standing.size, standing.halted) == (size, halted)
    assert [fact.did for fact in answered(home)] == [{"reduce": "reduce to 40% of full size"}.get(do, do)]
    assert step(home, tape, policy) is None
    assert len(answered(home)) == 1


def test_an_answer_comes_before_everything_else(home, tape):
    """A finding that also asks for a retraining is answered first; the next step starts the training."""
    policy = msgspec.structs.replace(POLICY, reaction=[Reaction(on="data_drift", do="reduce", share=0.4)])
    assert isinstance(step(home, tape, policy), Answer)
    assert home.registry.standing().retrains == []
    assert isinstance(step(home, tape, policy), StartRetrain)


def test_a_finding_is_answered_while_a_challenger_trains(home, tape):
    """A training takes minutes; harm that is found meanwhile is not left to grow."""
    policy = msgspec.structs.replace(POLICY, reaction=[Reaction(on="trading", do="halt")])
    assert isinstance(step(home, tape, policy), StartRetrain)
    home.ledger.append(raised("trading"), actor="watcher", reason="harm")
    step(home, tape, policy)
    assert home.registry.standing().halted == {"all"}
    assert home.registry.standing().retrains[-1].ended is None


def test_a_canary_is_not_let_off_while_nobody_watches_it(home, tape):
    """Decisions count once its own monitors have read them; until then it stays a canary however many there are."""
    second = challenged(home, tape)[1]
    home.release.promote(second, "canary", actor="policy", reason="a test", share=0.2)
    record(home, home.folder / "tape2", (second, Role.CHAMPION))
    policy = msgspec.structs.replace(POLICY, retrain_on=(), canary_decisions=100)
    hands = conductor(home, home.folder / "tape2", policy)
    assert hands.step(home.registry.standing(), 100) is None
    found = hands.step(home.registry.standing(), 100, watched=version_number(second))
    assert isinstance(found, PromoteChallenger)
    assert home.registry.standing().canary is None


def test_a_dry_run_only_writes_down(home, tape):
    """What would have been done is a fact; the desk goes on."""
    policy = msgspec.structs.replace(
        POLICY, retrain_on=(), dry_run=True, reaction=[Reaction(on="data_drift", do="halt")]
    )
    step(home, tape, policy)
    assert home.registry.standing().halted == set()
    assert [(fact.did, fact.dry_run) for fact in answered(home)] == [("halt", True)]


def test_a_roll_back_that_cannot_be_is_written_down(home, tape):
    """With nobody to go back to, the answer says why nothing happened; it is not tried for ever."""
    policy = msgspec.structs.replace(POLICY, retrain_on=(), reaction=[Reaction(on="data_drift", do="rollback")])
    step(home, tape, policy)
    assert "no previous champion" in answered(home)[0].did
    assert answered(home)[0].did.endswith("; nothing")
    assert step(home, tape, policy) is None


def at_a_loss(home):
    """Return the findings that say that the policy has no answer."""
    found = [entry.fact.finding for entry in home.ledger.facts(facts.FindingRaised)]
    return [each for each in found if each.subject == "policy"]


def test_a_policy_without_an_answer_says_so_once(home, tape):
    """One critical finding until another version acts, however often harm is found; it says of what, and what to do."""
    policy = msgspec.structs.replace(POLICY, retrain_on=(), reaction=[Reaction(on="data_drift", do="rollback")])
    step(home, tape, policy)
    home.ledger.append(raised(sequence=20), actor="watcher", reason="again")
    step(home, tape, policy)
    assert len(answered(home)) == 2
    [told] = at_a_loss(home)
    assert (told.kind, told.severity) == ("release", "critical")
    assert told.sentence == (
        "The policy has no answer to finding 4, data_drift: volatility rose: there is no previous champion to go back "
        "to. Halt or resize the desk, or promote another version."
    )


def test_what_cannot_be_is_left_to_the_next_reaction(home, tape):
    """The roll back that nobody can do makes room for the rule behind it, in one answer, and nobody is alarmed."""
    reactions = [Reaction(on="data_drift", do="rollback"), Reaction(on="data_drift", do="fallback", to="flat")]
    step(home, tape, msgspec.structs.replace(POLICY, retrain_on=(), reaction=reactions))
    assert home.registry.standing().rule == "flat"
    assert home.release.control.view().rule == Rule.FLAT
    [fact] = answered(home)
    assert fact.did == (
        "rollback, which was refused: there is no previous champion to go back to; fall back to the rule flat"
    )
    assert at_a_loss(home) == []


def test_a_dry_run_says_what_would_have_been_refused(home, tape):
    """It knows as well as the act itself that there is nobody to go back to; nothing is changed."""
    reactions = [Reaction(on="data_drift", do="rollback"), Reaction(on="data_drift", do="fallback", to="flat")]
    step(home, tape, msgspec.structs.replace(POLICY, retrain_on=(), reaction=reactions, dry_run=True))
    assert home.registry.standing().rule == "none"
    assert answered(home)[0].did.endswith("fall back to the rule flat")


def test_the_policy_falls_back_to_the_version_before_and_leaves_it_there(home, tape):
    """Who stood aside is a shadow that no comparison of the policy promotes; a person may."""
    first = home.registry.standing().champion
    second = home.judged(home.registered(2))
    home.release.promote(second, "champion", actor="bob", reason="a test")
    home.ledger.append(facts.RetrainStarted(trigger="x", first_sequence=1, last_sequence=1), actor="policy", reason="x")
    home.ledger.append(facts.RetrainEnded(version=second), actor="policy", reason="x")
    home.ledger.append(raised("latency"), actor="watcher", reason="slow")
    policy = msgspec.structs.replace(POLICY, retrain_on=(), reaction=[Reaction(on="latency", do="fallback")])
    step(home, tape, policy)
    standing = home.registry.standing()
    assert (standing.champion, standing.shadows, standing.stood_aside) == (first, [second], {second})
    record(home, tape, (first, Role.CHAMPION), (second, Role.SHADOW))
    assert step(home, tape, policy) is None


def test_a_reduction_never_gives_size_back(home, tape):
    """A person has taken more away; the policy's larger share does not undo it."""
    home.release.resize(0.1, actor="rita", reason="careful")
    policy = msgspec.structs.replace(
        POLICY, retrain_on=(), reaction=[Reaction(on="data_drift", do="reduce", share=0.6)]
    )
    step(home, tape, policy)
    assert home.registry.standing().size == 0.1


def test_harm_under_a_canary_goes_back_to_the_champion_in_full(home, tape):
    """One finding of a kind that ends it, and the champion before it acts again at its whole size."""
    first = home.registry.standing().champion
    second = home.judged(home.registered(2))
    home.release.promote(second, "canary", actor="policy", reason="a test", share=0.2)
    home.ledger.append(raised("performance"), actor="watcher", reason="harm")
    step(home, tape, msgspec.structs.replace(POLICY, retrain_on=()))
    standing = home.registry.standing()
    assert (standing.champion, standing.canary, standing.size) == (first, None, 1.0)
    assert home.release.control.view().champion == version_number(first)
    assert [fact.did for fact in answered(home)] == ["rollback"]


def test_a_policy_that_people_changed_counts_from_the_next_step(home, tape):
    """The fact stands before the settings: a dry run only writes down, and once it is none, the halt is made."""
    hands = conductor(home, tape, msgspec.structs.replace(POLICY, retrain_on=()))
    assert hands.step(home.registry.standing(), 100) is None
    for dry_run in (True, False):
        wanted = PolicySettings(reaction=[Reaction(on="data_drift", do="halt")], retrain_on=(), dry_run=dry_run)
        home.ledger.append(facts.PolicyChanged(policy=values_of(wanted)), actor="rita", reason="careful")
        hands.step(home.registry.standing(), 100)
        assert home.registry.standing().halted == (set() if dry_run else {"all"})
        home.ledger.append(raised(), actor="watcher", reason="once more")
    assert [fact.dry_run for fact in answered(home)] == [True, False]


def test_a_policy_that_a_newer_release_wrote_is_refused_by_name(home, tape):
    """A key that is not known here is not passed over: the policy would not do what was meant."""
    home.ledger.append(facts.PolicyChanged(policy={"sleep_on": ["drift"]}), actor="rita", reason="newer")
    with pytest.raises(SettingsInvalid, match="sleep_on"):
        step(home, tape)
