"""Carrying out the policy, one step at a time, each step derived from the facts.

Flow:   facts + tape → progress → `decide` → one step → fact. What takes long, a training or a judgement of the gate,
        runs in a process of its own and is asked about until it ends: a step here is short.
State:  none but the attempts' folders. Killed anywhere, the next `step` finds in the facts what is left to do; every
        step gives the same result when it is done twice.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from tradeworthy.change.evidence.worker import GateJob, read_report
from tradeworthy.change.registry import VersionSettings
from tradeworthy.change.release.answers import Answer, next_answer, refused, said
from tradeworthy.change.release.challengers import challenger_judging, retraining
from tradeworthy.change.release.comparing import Comparer
from tradeworthy.change.release.counting import DecisionCount
from tradeworthy.change.release.distance import gone_by
from tradeworthy.change.release.expiry import end_overrides
from tradeworthy.change.release.means import is_on_its_way
from tradeworthy.change.release.policy import (
    FreezePromotion,
    JudgeChallenger,
    PolicySettings,
    Progress,
    PromoteChallenger,
    RetireChallenger,
    StartCanary,
    StartRetrain,
    StartShadow,
    Step,
    decide,
    in_force,
)
from tradeworthy.change.release.refusals import frozen, gate_words, refusal, tell, unanswered
from tradeworthy.change.release.release import Release
from tradeworthy.change.release.shadow import Comparison
from tradeworthy.change.release.standing import Retrain, Standing
from tradeworthy.change.train.candidate import load_candidate
from tradeworthy.change.train.history import History, TapeHistory
from tradeworthy.change.train.training import TrainingSettings
from tradeworthy.change.train.worker import CANDIDATE, TrainJob
from tradeworthy.core import facts
from tradeworthy.core.decisions import SHORT, Role, version_number
from tradeworthy.core.errors import Overtaken, TradeworthyError
from tradeworthy.core.limits import Limits
from tradeworthy.core.time import Clock
from tradeworthy.judge.validate.gate import GateSettings
from tradeworthy.model.trust import SigningKey

ACTOR = "policy"
AT_A_LOSS = "policy"
"""The subject of the finding that no reaction could be taken."""
LOOKS = 50
"""How often a shadow is compared at most before it has its decisions: that reads the tape each time."""


class ConductSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the policy needs to train, judge and release by itself.

    Attributes
    ----------
    strategy : str
        Path of the strategy file.
    history : list of History
        What happened before the tape; the tape's inputs follow.
    limits : Limits
        The desk's limits, for the gate.
    version : VersionSettings
        What a trained model gets to become a version.
    cost_bps : float or None
        What trading costs, one way, for the gate.
    """

    strategy: str
    history: list[History]
    limits: Limits
    version: VersionSettings
    training: TrainingSettings = TrainingSettings()
    gate: GateSettings = GateSettings()
    cost_bps: float | None = None
    policy: PolicySettings = PolicySettings()


class Conductor:
    """Takes the policy's steps.

    Parameters
    ----------
    release : Release
        Through which roles are given.
    settings : ConductSettings
        What to train and how to judge it.
    folder : Path
        Where attempts at trainings and judgements are kept, one folder each.
    tape : Path
        The tape's folder.
    key : SigningKey
        Signs challengers; its name is their author.
    clock : Clock
        Stamps reports, and says what the budget's window is.
    """

    def __init__(
        self, release: Release, settings: ConductSettings, *, folder: Path, tape: Path, key: SigningKey, clock: Clock
    ) -> None:
        self._release, self._settings = release, settings
        self._registry = release.registry
        self._folder, self._tape, self._key, self._clock = folder, tape, key, clock
        self._since_retrain = DecisionCount(tape, Role.CHAMPION)
        self._in_shadow = DecisionCount(tape, Role.SHADOW)
        self._as_canary = DecisionCount(tape, Role.CHAMPION)
        self._comparer = Comparer(self._registry, tape, folder, release.instruments, cost_bps=settings.cost_bps or 0.0)
        self._compared: dict[tuple[str, str], Comparison] = {}

    def step(self, standing: Standing, sequence: int, *, watched: int = 0) -> Step | Answer | None:
        """Take the next step, if there is one, and return what was decided.

        Parameters
        ----------
        standing : Standing
            Where every version stands.
        sequence : int
            The last input that the monitors have observed; a training learns up to it.
        watched : int
            Whose monitors have read all there is, by number, a canary's first; 0 for none. Only while it is watched do
            a canary's decisions count: that nobody found anything says nothing where nobody looked.
        """
        if end_overrides(self._release, standing, now_ns=self._clock.now_ns(), actor=ACTOR):
            return None
        policy = in_force(standing, self._settings.policy)
        answer = next_answer(policy.reaction, policy.rollback_on, standing)
        if answer is not None:  # also while a challenger trains
            self._answer(answer, policy, sequence)
            return answer
        if standing.open_retrain is not None:
            self._attend(standing.open_retrain, standing)
            return None
        progress = Progress(
            now_ns=self._clock.now_ns(),
            decisions_since_retrain=self._decisions_since(standing),
            canary_decisions=self._canary_decisions(standing.canary, watched),
        )
        action = None
        for comparison in self._comparisons(standing, policy.shadow_decisions):
            progress = msgspec.structs.replace(progress, comparison=comparison)
            action = decide(policy, standing, progress, env=self._registry.env)
            if action is not None:
                break
        if action is not None:
            self._act(action, sequence, policy, standing.champion)
        return action

    def _act(self, action: Step, sequence: int, policy: PolicySettings, acting: str | None) -> None:
        """Do what was decided about who acts; a step that is refused ends the challenger's story, with the reason."""
        if isinstance(action, StartRetrain):
            self._start_retrain(action.trigger, action.changed_ns, sequence)
            return
        try:
            self._act_on(action, policy, acting)
        except Overtaken:  # another version acts by now: the next look decides anew
            return
        except TradeworthyError as error:
            self._give_up(action.version, f"{type(error).__name__}: {error}")

    def _start_retrain(self, trigger: str, changed_ns: int | None, sequence: int) -> None:
        last = max(sequence, self._since_retrain.last)  # all that was counted is learnt from
        fact = facts.RetrainStarted(trigger=trigger, first_sequence=1, last_sequence=last, changed_ns=changed_ns)
        self._write(fact, lambda now: now.open_retrain is None, trigger)

    def _give_up(self, version: str, reason: str) -> None:
        """Retire a challenger, unless somebody else has given it its role in the meantime."""
        standing = self._registry.standing()
        if version not in (standing.champion, *standing.retired):
            self._release.promote(version, "retired", actor=ACTOR, reason=reason)
            self._tell(version, reason)

    def _tell(self, version: str, why: str, severity: str = "warning", next_step: str = "") -> None:
        """Tell as a finding that a challenger was stopped."""
        now_ns = self._clock.now_ns()
        found = refusal(version, why.rstrip("."), now_ns=now_ns, severity=severity, next_step=next_step)
        tell(self._registry.ledger, found, actor=ACTOR)

    def _answer(self, answer: Answer, policy: PolicySettings, sequence: int) -> None:
        """Take risk away because of a finding, or train, and write down what was done, after what could not be."""
        told, standing, wanted = list[str](), self._registry.standing(), answer
        no_training = policy.means.refuses(standing, self._clock.now_ns(), self._decisions_since(standing))
        done: Answer | None = answer
        while done is not None:
            why = done.impossible(standing, no_training)
            if why is None and not policy.dry_run:
                why = self._refusal_of(done, standing, sequence)
            if why is None:
                break
            told.append(refused(done, why))
            done = done.otherwise
        fact = facts.FindingAnswered(
            finding=wanted.finding,
            did="; ".join([*told, said(done)]),
            share=None if done is None else done.share,
            dry_run=policy.dry_run,
        )
        self._write(fact, lambda now: now.answered < wanted.finding, wanted.reason)
        if done is None:
            self._tell_at_a_loss(wanted, standing, wanted.impossible(standing, no_training))

    def _refusal_of(self, answer: Answer, standing: Standing, sequence: int) -> str | None:
        """Do what an answer says; return why it cannot be, or None."""
        try:
            if answer.do != "retrain":
                self._take_away(answer, standing)
            elif not is_on_its_way(standing):
                self._start_retrain(answer.trigger, answer.since_ns, sequence)
        except TradeworthyError as error:
            return str(error)
        return None

    def _tell_at_a_loss(self, answer: Answer, standing: Standing, why: str | None) -> None:
        """Tell, once under a champion, that no reaction to a finding can be taken, so that a person must act."""
        if any(each.subject == AT_A_LOSS for number, each in standing.findings if number > standing.champion_since):
            return
        said_of, why = answer.reason.rstrip("."), why or "every reaction was refused"
        found = unanswered(AT_A_LOSS, said_of, why, now_ns=self._clock.now_ns())
        tell(self._registry.ledger, found, actor=ACTOR)

    def _take_away(self, answer: Answer, standing: Standing) -> None:
        """Do what an answer says; done twice it is the same."""
        release, reason = self._release, answer.reason
        if answer.do == "halt":
            release.halt("all", actor=ACTOR, reason=reason)
        elif answer.do == "rollback":
            release.rollback(actor=ACTOR, reason=reason, acting=standing.champion)
        elif answer.to is not None:
            release.fall_back(answer.to, actor=ACTOR, reason=reason, acting=standing.champion)
        elif answer.share is not None:
            release.resize(answer.share, actor=ACTOR, reason=reason, only_less=True)

    def _act_on(self, action: Step, policy: PolicySettings, acting: str | None) -> None:
        match action:
            case JudgeChallenger(version=version):
                self._judge(version, policy.gate_tries)
            case StartShadow(version=version):
                self._release.promote(version, "shadow", actor=ACTOR, reason="the gate passed the challenger")
            case StartCanary():
                self._start_canary(action, acting)
            case PromoteChallenger(version=version, reason=reason, distance=distance):
                self._release.promote(version, "champion", actor=ACTOR, reason=reason, distance=distance, acting=acting)
            case FreezePromotion():
                self._freeze(action)
            case RetireChallenger(version=version, reason=reason):
                self._release.promote(version, "retired", actor=ACTOR, reason=reason)
                self._tell(version, reason, severity="info")

    def _start_canary(self, action: StartCanary, acting: str | None) -> None:
        """Let a challenger act on the part of the desk that the policy names."""
        self._release.promote(
            action.version,
            "canary",
            actor=ACTOR,
            reason=action.reason,
            share=action.share,
            instrument_share=action.instrument_share,
            distance=action.distance,
            acting=acting,
        )

    def _freeze(self, action: FreezePromotion) -> None:
        """Let a challenger wait for a person, and tell why."""
        standing = self._registry.standing()
        allowed = in_force(standing, self._settings.policy).distance_max
        fact = facts.PromotionFrozen(version=action.version, gone=action.gone, allowed=allowed)
        if self._write(fact, lambda now: action.version not in now.frozen, action.reason):
            since = gone_by(standing.champions, standing.steps)[1]
            tell(self._registry.ledger, frozen(fact, since, now_ns=self._clock.now_ns()), actor=ACTOR)

    def _write(self, fact: facts.AnyFact, still: Callable[[Standing], bool], reason: str) -> bool:
        """Write a fact if what it was decided on still holds where all stand now; tell whether it did."""
        ledger = self._registry.ledger
        made = ledger.decide(lambda: fact if still(self._registry.standing()) else None, actor=ACTOR, reason=reason)
        return made is not None

    def _attend(self, attempt: Retrain, standing: Standing) -> None:
        """Start an attempt that was only written down; end one whose process has ended."""
        work = retraining(self._folder, attempt)
        match work.state:
            case "absent":
                work.start(self._job(attempt.started, standing))
            case "done":
                self._finish(attempt, work.folder)
            case "failed":
                self._end(attempt, None, work.error)
            case "running":
                pass

    def _job(self, started: facts.RetrainStarted, standing: Standing) -> TrainJob:
        tape = TapeHistory(
            folder=str(self._tape), first_sequence=started.first_sequence, last_sequence=started.last_sequence
        )
        return TrainJob(
            strategy=self._settings.strategy,
            history=[*self._settings.history, tape],
            instruments=list(self._release.instruments),
            settings=self._settings.training,
            parent=standing.champion,
            changed_ns=started.changed_ns,
        )

    def _finish(self, attempt: Retrain, folder: Path) -> None:
        """Register what a training left, and write down that it ended."""
        try:
            candidate = load_candidate(folder / CANDIDATE)
            digest = self._registry.register(
                candidate, self._settings.version, key=self._key, author=self._key.name, reason="retrained by policy"
            )
        except TradeworthyError as error:
            self._end(attempt, None, f"{type(error).__name__}: {error}")
        else:
            self._end(attempt, digest, None)

    def _end(self, attempt: Retrain, version: str | None, error: str | None) -> None:
        fact = facts.RetrainEnded(version=version, error=error)
        reason = error if version is None and error else f"trained version {str(version)[:SHORT]}"
        self._write(fact, lambda now: now.open_retrain == attempt, reason)

    def _judge(self, version: str, tries: int) -> None:
        """Start the gate in a process of its own, record what it found, or try again; after the last try, retire."""
        for attempt in range(1, tries + 1):
            work = challenger_judging(self._folder, version, attempt)
            match work.state:
                case "absent":
                    work.start(self._gate_job(version))
                    return
                case "running":
                    return
                case "done":
                    reason = "challenger after a retraining"
                    report = read_report(work.folder)
                    self._registry.record_gate(report, actor=ACTOR, reason=reason)
                    if not report.passed:
                        next_step = f" Its report is on the page: /versions/{version[:SHORT]}/gate."
                        self._tell(version, gate_words(report), next_step=next_step)
                    return
                case "failed":
                    continue
        self._give_up(version, f"the gate could not judge it in {tries} tries: {work.error}")

    def _gate_job(self, version: str) -> GateJob:
        """Judge on the latest history: the files, then the tape as it is when the process reads it."""
        return GateJob(
            version=version,
            env=self._registry.env,
            versions=str(self._registry.folder.resolve()),
            ledger=self._registry.ledger.address,
            trust=str(self._registry.trust.folder.resolve()),
            history=[*self._settings.history, TapeHistory(folder=str(self._tape))],
            instruments=list(self._release.instruments),
            limits=self._settings.limits,
            gate=self._settings.gate,
            cost_bps=self._settings.cost_bps,
            training=self._settings.training,
        )

    def _canary_decisions(self, canary: str | None, watched: int) -> int:
        """Count the decisions of a canary, once its own monitors have read them."""
        if canary is None or version_number(canary) != watched:
            return 0
        return self._as_canary.update(0, watched)

    def _decisions_since(self, standing: Standing) -> int:
        """Count the champion's decisions after the last retraining started."""
        started = standing.retrains[-1].started.last_sequence if standing.retrains else 0
        return self._since_retrain.update(started, version=None)

    def _comparisons(self, standing: Standing, wanted: int) -> Iterator[Comparison | None]:
        """Yield how the newest shadow compares with the champion: at the last look, then at each that is due since."""
        if standing.champion is None or not standing.shadows:
            yield None
            return
        pair = standing.champion, standing.shadows[-1]
        count, found = self._in_shadow.update(0, version=version_number(pair[1])), self._compared.get(pair)
        yield found
        while found is None or found.decisions < wanted:
            seen = next_look(0 if found is None else found.seen, wanted)
            if seen > count:
                return
            found = self._comparer.compare(*pair, since=self._in_shadow.first, decisions=wanted, seen=seen)
            self._compared[pair] = found
            yield found


def next_look(seen: int, wanted: int) -> int:
    """Return at how many of a shadow's decisions it is compared next.

    The same looks for everybody, whenever the tape is read, so what they lead to depends on the tape alone; they are
    `LOOKS` up to `wanted`, and in proportion to what there is after it.
    """
    return seen + max(1, max(seen, wanted) // LOOKS)
