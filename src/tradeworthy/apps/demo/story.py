"""The whole story on real ETH prices, told by the same calls that a person would make.

Flow:   look → train → register → gate → trade live, watched by another process → drift → retraining in a third process
        → gate → shadow → canary → champion, all by policy → harm on purpose → a finding rolls it back → explain →
        verify → replay in a fresh process → report.
Harm:   somebody moves prices against whatever the new champion holds (`testing.adversary`). Everything before it is the
        market's own; nothing of what the policy then does is told to it.
"""

import asyncio
import json
import shutil
import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import msgspec
from rich.console import Console

from tradeworthy.apps.commands.measuring import decisions_missing, realised_auc
from tradeworthy.apps.commands.project import Project
from tradeworthy.apps.commands.starting import init_project
from tradeworthy.apps.demo.pacing import Pacing
from tradeworthy.apps.demo.showing import LiveView, Stage
from tradeworthy.apps.demo.steps import Step, rollback_ms, steps_of
from tradeworthy.apps.deployment.desk import Running, run_files
from tradeworthy.change.release.standing import Standing
from tradeworthy.core import facts
from tradeworthy.core.decisions import SHORT, version_number
from tradeworthy.core.errors import SettingsInvalid
from tradeworthy.live.feeds.base import Feed
from tradeworthy.testing.adversary import Adversary, wanted_by

HARMED_BARS_MAX, HARM_BPS = 600, 50.0
LOOK_EVERY_S, LOOK_HARMED_S = 0.1, 0.005
TOLD = (facts.GateJudged, facts.VersionPromoted, facts.FindingAnswered, facts.VersionRolledBack)
AUTHOR, OFFICER = "ada", "riya"
MARKER = ".tradeworthy-demo"


class Summary(msgspec.Struct, kw_only=True):
    """What the demo did, as numbers and answers."""

    bars: int = 0
    gaps: int = 0
    decisions: int = 0
    orders: int = 0
    fills: int = 0
    denied: int = 0
    findings: int = 0
    versions: int = 0
    retrains: int = 0
    retrains_by_finding: int = 0
    canaries: int = 0
    promotions: int = 0
    harmed_bars: int = 0
    rollbacks: int = 0
    rollbacks_by_finding: int = 0
    rollback_events_lost: int = 0
    rollback_ms: float | None = None
    auc_out_of_fold: float | None = None
    auc_live: float | None = None
    pnl_after_costs: float = 0.0
    explanation_sum_error: float | None = None
    replay_identical: bool = False
    verify_ok: bool = False
    wall_s: float = 0.0
    steps: list[Step] = []


def tell(folder: Path, *, speed: float = 1.0, stay: bool = True, summary_path: Path | None = None) -> Summary:
    """Tell the story in a new folder, and return what happened.

    Parameters
    ----------
    folder : Path
        Made anew; a folder that is not a demo's is left alone.
    speed : float
        Of the live part: at 1 its events take about 10 s, without what monitors and challengers need.
    stay : bool
        Open the desk's page at the start, and keep it open until interrupted.
    summary_path : Path, optional
        Where to write the summary as JSON.

    Raises
    ------
    SettingsInvalid
        The folder holds something else, or the speed is not positive.
    """
    if not speed > 0:
        raise SettingsInvalid(f"speed is {speed}, allowed is a positive number")
    _make_room(folder)
    stage = Stage(Console())
    story = Story(folder, stage, speed)
    with story.page() if stay else nullcontext() as address:
        if address:
            stage.open(address)
        summary = story.tell()
        if summary_path is not None:
            summary_path.write_bytes(msgspec.json.format(msgspec.json.encode(summary), indent=1) + b"\n")
        report = story.project.report().path
        stage.say(f"what was found, and why: {story.project.report_monitoring().path}")
        stage.end(summary, report)
        if address:
            stage.wait()
    return summary


class Story:
    """One telling.

    Parameters
    ----------
    folder : Path
        Where the project goes.
    stage : Stage
        Shows what happens.
    speed : float
        Of the live part.
    """

    def __init__(self, folder: Path, stage: Stage, speed: float) -> None:
        init_project(folder)
        (folder / MARKER).touch()
        self.project, self.stage = Project(folder), stage
        self.summary = Summary()
        self._standing = Standing()
        self._pacing = Pacing(
            self.project.ledger,
            self.project.places.watcher,
            clock=self.project.clock,
            speed=speed,
            passed=self._choose_harmed,
        )
        self._harmed, self._harmed_ns = "", 0
        self._adversary: Adversary | None = None
        self._swaps_seen: list[tuple[int, int]] = []  # when, and which version, by number

    def page(self) -> AbstractContextManager[str]:
        """Serve the desk's page while the story is told; its link signs the officer in, once."""
        from tradeworthy.apps.admin.beside import page_beside  # noqa: PLC0415  # optional packages

        self.stage.captions = self.project.places.caption
        self.project.people.add(
            OFFICER, ["trader", "risk", "approver"], None, actor="demo", reason="the demo's officer"
        )
        return page_beside(self.project, invite=OFFICER)

    def tell(self) -> Summary:
        """Tell every chapter in turn."""
        begun = self.project.clock.monotonic_ns()
        self.look()
        self.train()
        self.gate()
        self.live()
        self.explain()
        self.prove()
        self.summary.wall_s = (self.project.clock.monotonic_ns() - begun) / 1e9
        return self.summary

    def look(self) -> None:
        """Chapter 1: what the data is."""
        self.stage.chapter("Look", "35,011 half-hour bars of real ETH prices")
        for file in self.project.look().files:
            for sentence in file.said[:2]:
                self.stage.say(sentence)
            self.stage.say(file.stamps)
            if file.instrument == "ETH":
                self.summary.bars, self.summary.gaps = file.bars, file.gaps

    def train(self) -> None:
        """Chapters 2 and 3: train and register version A."""
        self.stage.chapter("Train", "LightGBM on the first 60%, walk-forward, purged and embargoed")
        with self.stage.progress("training") as report:
            trained = self.project.train(report=report)
        self.summary.auc_out_of_fold = trained.auc
        self.stage.say(
            f"out-of-fold AUC {trained.auc:.3f} (95% interval {trained.auc_low:.3f} to {trained.auc_high:.3f}) on "
            f"{trained.out_of_fold_rows:,} rows that no fold had seen: a small edge, as real markets leave"
        )
        self.stage.chapter("Register", "version A: one bundle, its digest, an Ed25519 signature")
        registered = self.project.register(name="eth-direction", actor=AUTHOR, reason="first model")
        self.stage.say(f"version {registered.version[:16]} by {AUTHOR}")

    def gate(self) -> None:
        """Chapter 4: the gate, then champion on paper."""
        self.stage.chapter("Gate", "nothing trades before it is judged")
        report = self.project.gate("newest", actor=AUTHOR)
        for result in report.results:
            self.stage.verdict(result.verdict, f"{result.name}: {result.measured}")
        self.project.approve("newest", actor=OFFICER, reason="gate passed, limits read")
        self.project.promote("newest", to="champion", actor=AUTHOR, reason="first champion, on paper")

    def live(self) -> None:
        """Chapter 5: trade, watch; drift, retraining, gate, shadow, canary, champion, harm, roll back."""
        self.stage.chapter("Live", "the rest arrives as a live feed: features, model, risk, paper venue, tape")
        with self.stage.live() as show:
            run = run_files(
                self.project,
                pace=self._pacing.pace,
                alongside=lambda running: self._beside(running, show),
                around=self._around,
            )
            self._standing = self.project.registry.standing()
            self._narrate(show)
        summary, standing = self.summary, self._standing
        summary.decisions, summary.orders, summary.fills = run.decisions, run.orders, run.fills
        summary.denied = sum(count for code, count in run.denied.items() if code != "FEATURES_WARMING")
        summary.pnl_after_costs = run.pnl_after_costs
        summary.findings, summary.retrains = len(standing.findings), len(standing.retrains)
        summary.versions = len(standing.registered)
        self._count_steps()
        summary.rollback_events_lost = decisions_missing(self.project)
        summary.auc_live = realised_auc(self.project)
        self.stage.say(
            f"{run.events:,} events, {run.decisions:,} decisions, {run.orders} orders, {run.fills} fills; "
            f"{run.pnl_after_costs:+,.2f} USD after all costs, of which {run.fees:,.2f} USD are fees"
        )
        self._say_why_retrained(standing)
        if not summary.rollbacks:
            self.stage.verdict("missing", "no challenger came to lead in time, so there was nothing to roll back")

    def _count_steps(self) -> None:
        """Tell every step from the ledger, and count them."""
        summary, entries = self.summary, self.project.ledger.facts()
        summary.steps = steps_of(entries, self._harmed_ns, f"prices move against what {self._harmed[:SHORT]} holds")
        names = [step.step for step in summary.steps]
        summary.canaries, summary.promotions = names.count("canary"), names.count("champion")
        summary.rollbacks = names.count("rolled back")
        summary.rollbacks_by_finding = sum(step.step == "rolled back" and step.by == "policy" for step in summary.steps)
        summary.rollback_ms = rollback_ms(entries, self._swaps_seen)

    def _say_why_retrained(self, standing: Standing) -> None:
        """Say whether the monitors asked for a retraining, or the schedule alone."""
        asked = sum(not retrain.started.trigger.startswith("schedule") for retrain in standing.retrains)
        self.summary.retrains_by_finding = asked
        if asked:
            self.stage.say(f"{asked} of {len(standing.retrains)} retrainings were asked for by a finding")
        else:
            self.stage.say("no finding asked for a retraining in these prices; the schedule did")

    def _around(self, running: Running) -> Feed:
        """Let an adversary stand between the market and the engine; he moves nothing before his time."""
        self._pacing.start(running.feed, running.engine)

        def wanted() -> float:
            is_on = self._harmed and self.summary.harmed_bars < HARMED_BARS_MAX
            return wanted_by(version_number(self._harmed), running.engine.desk) if is_on else 0.0

        self._adversary = Adversary(running.feed, wanted, step_bps=HARM_BPS)
        return self._adversary

    async def _beside(self, running: Running, show: LiveView) -> None:
        """Follow the facts while events flow."""
        while True:
            await asyncio.sleep(LOOK_HARMED_S if self._is_harming(self._standing) else LOOK_EVERY_S)
            for swap in running.engine.swaps[len(self._swaps_seen) :]:
                self._swaps_seen.append((self.project.clock.now_ns(), swap.version))
            self._standing = self.project.registry.standing()
            now = running.engine.summary()
            self.summary.harmed_bars = self._adversary.moved if self._adversary else 0
            show.update(running.feed.position / len(running.feed), now, self._standing, self._doing())
            self._narrate(show)
            for done in now.swaps:
                show.tell(f"swap {done.sequence}", f"{done.version} decides from here on; {done.previous} stays warm")

    def _doing(self) -> str:
        """Say what goes on, in a few words."""
        if self._pacing.waits_for:
            return f"the market waits for {self._pacing.waits_for}"
        if self._standing.canary is not None:
            return "trading, a canary acts"
        return "trading, a shadow watches" if self._standing.shadows else "trading"

    def _choose_harmed(self) -> bool:
        """Let harm begin once a challenger is champion, in full, and watched; tell whether it is being done."""
        standing = self.project.registry.standing()
        if standing.successor is not None and not self._harmed:
            self._harmed, self._harmed_ns = standing.successor, self.project.clock.now_ns()
        return self._is_harming(standing)

    def _is_harming(self, standing: Standing) -> bool:
        """Tell whether harm has begun and has not been answered."""
        return bool(self._harmed) and self._harmed not in standing.retired

    def _narrate(self, show: LiveView) -> None:
        """Tell each thing that happened, once."""
        if self._harmed:
            told = f"harm on purpose: every bar now closes {HARM_BPS:g} bps against what {self._harmed[:SHORT]} holds"
            show.tell("harm", told)
        for number, finding in self._standing.findings:
            show.tell(f"finding {number}", f"finding: {finding.sentence}", "/watch")
        for retrain in self._standing.retrains:
            show.tell(
                f"retrain {retrain.number}", f"retraining in another process, because of {retrain.started.trigger}"
            )
        for step in steps_of(self.project.ledger.facts(*TOLD), 0, ""):
            link = f"/versions/{step.version}" if step.version else "/watch"
            show.tell(f"{step.ts_ns} {step.step}", f"{step.step}: {step.said}", link)

    def explain(self) -> None:
        """Chapter 8: why the largest trade was made."""
        self.stage.chapter("Explain", "the largest trade, exactly")
        explained = self.project.explain("largest")
        self.summary.explanation_sum_error = explained.sum_error
        self.stage.point(explained.said, f"/decisions/{explained.decision}")
        self.stage.say(
            f"{len(explained.reasons)} contributions and the baseline add up to the margin within "
            f"{explained.sum_error:.1e}"
        )

    def prove(self) -> None:
        """Chapter 9: verify the record, replay it in a fresh process, measure what was realised."""
        self.stage.chapter("Verify and replay", "every byte, every signature, every decision again")
        verified = self.project.verify()
        self.summary.verify_ok = verified.ok
        self.stage.verdict(
            "pass" if verified.ok else "fail", f"verify: {verified.records:,} records, {verified.facts} facts"
        )
        command = [*_command(self.project.folder, "replay"), "--json"]
        done = subprocess.run(command, capture_output=True, check=False, text=True)  # noqa: S603  # our own module
        replayed = json.loads(done.stdout) if done.stdout.strip() else {"identical": False, "decisions": 0}
        self.summary.replay_identical = bool(replayed["identical"])
        self.stage.verdict(
            "pass" if replayed["identical"] else "fail",
            f"replay in a fresh process: {replayed['decisions']:,} decisions, bit for bit",
        )


def _command(folder: Path, name: str) -> list[str]:
    """Return the words that run one of our commands in a fresh process."""
    return [sys.executable, "-m", "tradeworthy.apps.cli", name, "--project", str(folder)]


def _make_room(folder: Path) -> None:
    """Remove an earlier demo's folder; anything else is left alone."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARKER).exists():
            raise SettingsInvalid(f"{folder} holds something that is not a demo; name another with --folder")
        shutil.rmtree(folder)
