"""The whole story on real ETH prices, told by the same calls that a person would make.

Flow:   look → train → register → gate → trade live, watched by another process → drift, retraining in a third process,
        a challenger promoted → roll back by command → explain → verify → replay in a fresh process → report.
Time:   the market is history, delivered at a pace of its own. While a challenger is trained and judged the pace is
        lower, or a retraining of seconds would take months of market time.
"""

import asyncio
import json
import math
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
from tradeworthy.apps.deployment.desk import Running, run_files
from tradeworthy.apps.showing import LiveView, Stage
from tradeworthy.change.release.standing import Standing
from tradeworthy.core import facts
from tradeworthy.core.errors import SettingsInvalid, TradeworthyError
from tradeworthy.core.time import NS_PER_MS, NS_PER_S
from tradeworthy.live.feeds.replay import ReplayFeed
from tradeworthy.live.summary import RunSummary
from tradeworthy.record.ledger import Entry

LIVE_SECONDS = 25.0
SLOWER_WHILE_TRAINING = 0.25
KEPT_FOR_SHADOW, KEPT_FOR_LEAD, KEPT_FOR_ROLLBACK, SLOWING_EVENTS = 8_000, 4_000, 500, 2_000
HELD_SECONDS_MAX = 300.0
EVENTS_BEFORE_ROLLBACK = 1_500
EFFECT_LOOKS_MAX = 10_000
LOOK_EVERY_S = 0.1
SHORT = 16
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
    promotions: int = 0
    rollbacks: int = 0
    rollback_events_lost: int = 0
    rollback_ms: float | None = None
    auc_out_of_fold: float | None = None
    auc_live: float | None = None
    pnl_after_costs: float = 0.0
    explanation_sum_error: float | None = None
    replay_identical: bool = False
    verify_ok: bool = False
    wall_s: float = 0.0


def tell(folder: Path, *, speed: float = 1.0, stay: bool = True, summary_path: Path | None = None) -> Summary:
    """Tell the story in a new folder, and return what happened.

    Parameters
    ----------
    folder : Path
        Made anew; a folder that is not a demo's is left alone.
    speed : float
        Of the live part: 1 takes about 25 s.
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
        self.project, self.stage, self.speed = Project(folder), stage, speed
        self.summary = Summary()
        self._standing, self._shadowing = Standing(), list[str]()
        self._base_pace, self._led_from = math.inf, sys.maxsize
        self._feed: ReplayFeed | None = None
        self._hold_until_ns = 0

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
        """Chapters 5 to 7: trade, watch, retrain, promote, roll back."""
        self.stage.chapter("Live", "the rest arrives as a live feed: features, model, risk, paper venue, tape")
        with self.stage.live() as show:
            run = run_files(self.project, pace=self.pace, alongside=lambda running: self._beside(running, show))
        summary, standing = self.summary, self.project.registry.standing()
        summary.decisions, summary.orders, summary.fills = run.decisions, run.orders, run.fills
        summary.denied = sum(count for code, count in run.denied.items() if code != "FEATURES_WARMING")
        summary.pnl_after_costs = run.pnl_after_costs
        summary.findings, summary.retrains = len(standing.findings), len(standing.retrains)
        summary.versions = len(standing.registered)
        promoted = [entry.fact for entry in self.project.ledger.facts(facts.VersionPromoted)]
        summary.promotions = sum(
            isinstance(fact, facts.VersionPromoted) and fact.role == "champion" for fact in promoted
        )
        summary.rollback_events_lost = decisions_missing(self.project)
        summary.auc_live = realised_auc(self.project)
        self.stage.say(
            f"{run.events:,} events, {run.decisions:,} decisions, {run.orders} orders, {run.fills} fills; "
            f"{run.pnl_after_costs:+,.2f} USD after all costs, of which {run.fees:,.2f} USD are fees"
        )
        self._say_why_retrained(standing)
        if not summary.rollbacks:
            self.stage.verdict("missing", "no challenger came to lead in time, so there was nothing to roll back")

    def _say_why_retrained(self, standing: Standing) -> None:
        """Say whether the monitors asked for a retraining, or the schedule alone."""
        asked = sum(not retrain.started.trigger.startswith("schedule") for retrain in standing.retrains)
        self.summary.retrains_by_finding = asked
        if asked:
            self.stage.say(f"{asked} of {len(standing.retrains)} retrainings were asked for by a finding")
        else:
            self.stage.say("no finding asked for a retraining in these prices; the schedule did")

    def pace(self) -> float:
        """Return events a second: slower while a challenger is on its way, slower still where it would come late."""
        slower = SLOWER_WHILE_TRAINING if self._challenger_coming() else 1.0
        kept = self._events_kept()
        left = len(self._feed) - self._feed.position if self._feed else 0
        return self._base_pace * (min(slower, max(left - kept, 0) / SLOWING_EVENTS) if kept else slower)

    def _events_kept(self) -> int:
        """Return how many events the rest of the story needs: a busy machine has history enough, but not time."""
        if self.summary.rollbacks or self.project.clock.monotonic_ns() > self._hold_until_ns:
            return 0
        retrains, standing = self._standing.retrains, self._standing
        if not retrains or retrains[-1].ended is None:
            return KEPT_FOR_SHADOW
        version = retrains[-1].ended.version
        if version is None or version in standing.retired:
            return 0
        return KEPT_FOR_ROLLBACK if version == standing.champion else self._kept_for(version)

    def _kept_for(self, version: str) -> int:
        """Return how many events a challenger needs that does not lead yet; none if the gate refused it."""
        if version not in self._standing.gates:
            return KEPT_FOR_SHADOW
        if not self._standing.gate_passed(version):
            return 0
        return KEPT_FOR_LEAD if version[:SHORT] in self._shadowing else KEPT_FOR_SHADOW

    def _challenger_coming(self) -> bool:
        """Tell whether a retraining runs, or its challenger still waits for the gate."""
        retrains = self._standing.retrains
        if not retrains or self._standing.previous is not None or self.summary.rollbacks:
            return False
        ended = retrains[-1].ended
        if ended is None:
            return True
        return ended.version is not None and ended.version not in self._standing.gates

    async def _beside(self, running: Running, show: LiveView) -> None:
        """Follow the facts while events flow; roll back once the challenger has led for a while."""
        self._feed, total = running.feed, len(running.feed)
        self._base_pace = total / LIVE_SECONDS * self.speed
        self._hold_until_ns = self.project.clock.monotonic_ns() + int(HELD_SECONDS_MAX * NS_PER_S)
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self._standing = self.project.registry.standing()
            now = running.engine.summary()
            self._shadowing = now.shadows
            show.update(running.feed.position / total, now, self._standing, self._doing())
            self._narrate(show, now)
            if now.swaps and not self.summary.rollbacks:
                self._led_from = min(self._led_from, now.events)
                if now.events - self._led_from >= EVENTS_BEFORE_ROLLBACK:
                    await self._roll_back(running, show)

    def _doing(self) -> str:
        """Say in two words what goes on."""
        if self._challenger_coming():
            return "trading, a challenger trains"
        return "trading, a shadow watches" if self._standing.shadows else "trading"

    def _narrate(self, show: LiveView, now: RunSummary) -> None:
        """Tell each thing that happened, once."""
        for number, finding in self._standing.findings:
            show.tell(f"finding {number}", f"finding: {finding.sentence}")
        for retrain in self._standing.retrains:
            show.tell(
                f"retrain {retrain.number}", f"retraining in another process, because of {retrain.started.trigger}"
            )
        for version, judged in self._standing.gates.items():
            verdict = "passed" if judged.passed else f"did not pass ({', '.join(judged.failed_checks)})"
            show.tell(f"gate {version}", f"the gate judged {version[:16]}: {verdict}")
        for version in self._standing.shadows:
            show.tell(f"shadow {version}", f"{version[:16]} scores every event in shadow")
        for swap in now.swaps:
            show.tell(f"swap {swap.sequence}", f"{swap.version} decides from here on; {swap.previous} stays warm")

    async def _roll_back(self, running: Running, show: LiveView) -> None:
        """Chapter 7: give the command in a process of its own, while events flow, and time its effect."""
        arguments = ["--actor", OFFICER, "--reason", "drill: back to the version before"]
        seen_ns = {len(running.engine.swaps): 0}  # a policy may promote meanwhile: which change was ours shows its fact
        process = await asyncio.create_subprocess_exec(
            *_command(self.project.folder, "rollback"), *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        try:
            while process.returncode is None:
                seen_ns.setdefault(len(running.engine.swaps), self.project.clock.now_ns())
                await asyncio.sleep(0.001)
            _, said = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()
        if process.returncode:
            raise TradeworthyError(f"the rollback command failed: {said.decode().strip()}")
        ordered = self.project.ledger.facts(facts.VersionRolledBack)[-1]
        if not await self._in_effect(running, ordered, seen_ns):
            raise TradeworthyError("the rollback command had no effect")
        show.tell("rollback", f"rolled back by command, in effect {self.summary.rollback_ms:.1f} ms after its fact")

    async def _in_effect(self, running: Running, ordered: Entry, seen_ns: dict[int, int]) -> bool:
        """Wait until the engine has gone back, and keep how long that took; `seen_ns` is when each change was seen."""
        first, to = min(seen_ns), ordered.fact.to if isinstance(ordered.fact, facts.VersionRolledBack) else ""
        for _ in range(EFFECT_LOOKS_MAX):
            swaps = running.engine.summary().swaps
            seen_ns.setdefault(len(swaps), self.project.clock.now_ns())
            back = [place for place in range(first, len(swaps)) if to.startswith(swaps[place].version)]
            if back:
                self.summary.rollbacks = 1
                self.summary.rollback_ms = (seen_ns[back[0] + 1] - ordered.ts_ns) / NS_PER_MS
                return True
            await asyncio.sleep(0.001)
        return False

    def explain(self) -> None:
        """Chapter 8: why the largest trade was made."""
        self.stage.chapter("Explain", "the largest trade, exactly")
        explained = self.project.explain("largest")
        self.summary.explanation_sum_error = explained.sum_error
        self.stage.say(explained.said)
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
