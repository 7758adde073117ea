"""One project: the Python calls behind every command of the command line.

Idea:   a project is a folder with `tradeworthy.toml`, a strategy, and a state folder. Each method opens what it needs,
        does one thing and answers with an immutable result; nothing is kept between calls but what is on disk.

>>> import tradeworthy as tw
>>> project = tw.Project("my-desk")  # doctest: +SKIP
>>> project.train(); project.register(); project.gate("newest").passed  # doctest: +SKIP
"""

from pathlib import Path
from typing import TYPE_CHECKING

from tradeworthy.apps.commands import results
from tradeworthy.apps.commands.keys import own_key
from tradeworthy.apps.commands.opened import Opened
from tradeworthy.apps.deployment.keeping import recorded
from tradeworthy.change.access.roles import roles_that_may
from tradeworthy.change.release.answers import rehearse, rehearse_promotions
from tradeworthy.change.train.candidate import load_candidate, save_candidate
from tradeworthy.change.train.strategy import load_strategy
from tradeworthy.change.train.training import Report, train
from tradeworthy.core.errors import NotFound, SettingsInvalid
from tradeworthy.judge.explain.catalogue import Catalogue, read_catalogue
from tradeworthy.live.feeds.rows import read_row_file, require_fields
from tradeworthy.record.retention import Hold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeworthy.apps.commands.calibrating import Calibrated
    from tradeworthy.apps.commands.correcting import Corrected
    from tradeworthy.apps.commands.feature_check import FeatureCheck
    from tradeworthy.apps.commands.handling import CaseLine, Findings
    from tradeworthy.apps.commands.limiting import LimitSet, LimitsShown
    from tradeworthy.apps.commands.reconciling import Reconciled
    from tradeworthy.apps.commands.rehearsing import Rehearsed
    from tradeworthy.apps.commands.surveilling import Surveilled
    from tradeworthy.apps.deployment.desk import Alongside
    from tradeworthy.apps.explain.explained import Catalogued, Compared, Explained, InBulk
    from tradeworthy.change.evidence.stress import StressReport
    from tradeworthy.change.release.order_overrides import Overridden
    from tradeworthy.change.release.overriding import Overriding
    from tradeworthy.judge.validate.gate import GateReport
    from tradeworthy.record.query import Answer


class Project(Opened):
    """A deployment in a folder, and what can be done with it.

    Its parameters are those of `Opened`.
    """

    def look(self) -> results.Look:
        """Say what is in the market and row files and what was done with it."""
        _, reports = self.market
        rows = [
            results.LookRows.of(file.path, read_row_file(self.folder / file.path, file, self.settings.instrument)[1])
            for file in self.settings.rows
        ]
        return results.Look(files=[results.LookFile.of(report) for report in reports], rows=rows)

    def train(self, *, report: Report | None = None) -> results.Trained:
        """Train a candidate on the first part of the market data, and keep it until it is registered."""
        strategy = load_strategy(self.folder / self.settings.desk.strategy)
        require_fields(self.settings.rows, strategy.label.columns or strategy.row_fields)
        candidate = train(
            strategy,
            self.history(),
            self.settings.instrument,
            self.settings.training,
            clock=self.clock,
            report=report,
        )
        save_candidate(candidate, self.places.candidate)
        return results.Trained.of(candidate)

    def register(self, *, name: str = "model", actor: str, reason: str = "trained by hand") -> results.Registered:
        """Sign the newest candidate and store it as a version."""
        candidate = load_candidate(self.places.candidate)
        key = own_key(self.places.author_key, actor, self.trust)
        digest = self.registry.register(candidate, self.version_settings(name), key=key, author=actor, reason=reason)
        return results.Registered(version=digest, name=name, author=actor, env=self.env)

    def correct_prior(self, version: str, *, since: str = "", actor: str, reason: str) -> "Corrected":
        """Register a version's scores made right for the mix of classes that was recorded; the gate must approve it."""
        from tradeworthy.apps.commands.correcting import correct_prior  # noqa: PLC0415

        return correct_prior(self, version, since=since, actor=actor, reason=reason)

    def gate(
        self, version: str = "newest", *, profile: str = "quick", actor: str, report: Report | None = None
    ) -> "GateReport":
        """Gather evidence for a version, judge it, and keep the report in every format."""
        from tradeworthy.apps.commands.gating import gate_version  # noqa: PLC0415

        return gate_version(self, version, profile=profile, actor=actor, report=report)

    def override(self, version: str, check: str, *, until: str, actor: str, reason: str) -> "Overriding":
        """Set a check that stops a version aside until a day; it counts once a second person says so."""
        from tradeworthy.apps.commands.gating import override_check  # noqa: PLC0415

        return override_check(self, version, check, until=until, actor=actor, reason=reason)

    def override_order(
        self,
        decision: int,
        *,
        minutes: int,
        up_to: float | None = None,
        actor: str,
        reason: str,
        roles: "Sequence[str] | None" = None,
    ) -> "Overridden":
        """Let a refused order pass the check that refused it, once; it counts once a second role says so."""
        from tradeworthy.apps.commands.overriding import let_pass  # noqa: PLC0415

        return let_pass(self, decision, minutes=minutes, up_to=up_to, actor=actor, reason=reason, roles=roles)

    def write_gate(self, judged: "GateReport", folder: Path) -> list[Path]:
        """Write a gate report into a folder, made if absent, as `gate.json`, `.xml` (JUnit), `.md` and `.html`."""
        from tradeworthy.apps.commands.gating import write_gate  # noqa: PLC0415

        return write_gate(self, judged, folder)

    def check_features(self) -> "FeatureCheck":
        """Compile the strategy's features and try them on the latest history, before they are committed."""
        from tradeworthy.apps.commands.feature_check import check_features  # noqa: PLC0415

        return check_features(self)

    def approve(self, version: str, *, actor: str, reason: str) -> results.Step:
        """Approve a version for this environment; its author may not."""
        digest = self.release.approve(self.resolve(version), actor=actor, reason=reason)
        return results.Step(done="approved", version=digest, actor=actor, reason=reason)

    def promote(
        self,
        version: str,
        *,
        to: str,
        actor: str,
        reason: str,
        share: float | None = None,
        instruments: "Sequence[str] | None" = None,
        instrument_share: float | None = None,
    ) -> results.Step:
        """Give a version the role `to` from the next event on.

        A canary takes `share` of its full size, or all of it on `instruments`, or on `instrument_share` of them.
        """
        digest = self.release.promote(
            self.resolve(version),
            to,
            actor=actor,
            reason=reason,
            share=share,
            instruments=instruments,
            instrument_share=instrument_share,
        )
        on = ", ".join(self.registry.standing().canary_on) if to == "canary" else ""
        done = f"promoted to {to}" + (f" on {on}" if on else "")
        return results.Step(done=done, version=digest, actor=actor, reason=reason)

    def rollback(self, *, actor: str, reason: str) -> results.Step:
        """Put the previous champion back; it decides the next event."""
        digest = self.release.rollback(actor=actor, reason=reason)
        return results.Step(done="rolled back", version=digest, actor=actor, reason=reason)

    def resize(self, share: float, *, actor: str, reason: str) -> results.Step:
        """Let the acting version take a share of its full size from the next event on; 0 wants to be flat."""
        self.release.resize(share, actor=actor, reason=reason)
        return results.Step(done=f"resized to {share:.0%}", version="", actor=actor, reason=reason)

    def fall_back(self, to: str, *, actor: str, reason: str) -> results.Step:
        """Let the version before, or a rule, decide in the champion's place; ``none`` ends a rule."""
        acts = self.release.fall_back(to, actor=actor, reason=reason)
        done = "it decides itself again" if to == "none" else f"fell back to {to}"
        return results.Step(done=done, version=acts, actor=actor, reason=reason)

    def rehearse(self) -> results.Rehearsal:
        """Say what the settings' policy would have done about every finding of the past."""
        policy = self.settings.policy
        entries = self.ledger.facts()
        told = rehearse(policy.reaction, policy.rollback_on, entries, policy.means)
        promotions = rehearse_promotions(policy.distance_max, entries)
        return results.Rehearsal.of(told, promotions)

    def halt(self, scope: str = "all", *, actor: str, reason: str) -> results.Step:
        """Refuse every order in a scope from the next event on; a symbol alone is an instrument's scope."""
        scope = self._scope(scope)
        self.release.halt(scope, actor=actor, reason=reason)
        return results.Step(done=f"halted {scope}", version="", actor=actor, reason=reason)

    def resume(self, scope: str = "all", *, actor: str, reason: str) -> results.Step:
        """Allow orders in a scope again."""
        scope = self._scope(scope)
        self.release.resume(scope, actor=actor, reason=reason)
        still = ", ".join(self.release.halted())
        done = f"resumed {scope}" + (f"; still halted: {still}" if still else "")
        return results.Step(done=done, version="", actor=actor, reason=reason)

    def limits(self) -> "LimitsShown":
        """Return the limits of every scope, and the champion's bounds; of all of them the tightest counts."""
        from tradeworthy.apps.commands.limiting import show_limits  # noqa: PLC0415

        return show_limits(self)

    def set_limit(self, scope: str, name: str, value: float | None, *, actor: str, reason: str) -> "LimitSet":
        """Change one limit of ``desk`` or an instrument from the next event on; None takes it away, and refuses."""
        from tradeworthy.apps.commands.limiting import set_limit  # noqa: PLC0415

        return set_limit(self, self._scope(scope), name, value, actor=actor, reason=reason)

    def run(
        self,
        *,
        speed: float | None = None,
        watch: bool = True,
        wait: bool = True,
        report: Report | None = None,
        beside: "Sequence[Alongside]" = (),
    ) -> results.Run:
        """Trade on the paper venue what follows the training part, or what `[feed]` brings until SIGTERM or SIGINT.

        `speed` is events a second of files. At their end, `wait` for the watcher to judge all of them and for what the
        policy has begun, such as a retraining and its gate.

        `beside` is what else goes on in the engine's loop, such as `apps.server.serving.port_beside`.
        """
        from tradeworthy.apps.deployment.desk import run_files, telling, together  # noqa: PLC0415  # compiles the order path

        parts = [*beside, telling(report)] if report else [*beside]
        alongside = together(*parts) if parts else None
        if self.settings.feed.kind == "files":
            seen = (report or (lambda _, __: None)) if wait else None
            return run_files(self, speed=speed, watch=watch, alongside=alongside, see_through=seen)
        if speed is not None:
            raise SettingsInvalid('speed is for files; [feed] kind is "exchange", whose market has its own')
        try:
            from tradeworthy.apps.feed.trading import run_exchange  # noqa: PLC0415  # an optional package
        except ImportError as error:
            raise NotFound(f"a live feed needs further packages: pip install 'tradeworthy[feed]' ({error})") from error
        return run_exchange(self, watch=watch, alongside=alongside)

    def replay(self) -> results.Replayed:
        """Decide every recorded event again in this process, and compare bit for bit."""
        from tradeworthy.live.replay import replay  # noqa: PLC0415

        return results.Replayed.of(replay(recorded(self).folder, self.registry.load))

    def verify(self) -> results.Verified:
        """Check the tape, the ledger's chain and every version's signature."""
        from tradeworthy.apps.commands.verifying import verify_project  # noqa: PLC0415

        return verify_project(self)

    def reconcile(self, statement: Path | None = None, *, actor: str, reason: str = "reconciliation") -> "Reconciled":
        """Compare orders, fills and positions with a venue's statement, or with the paper venue's own account."""
        from tradeworthy.apps.commands.reconciling import reconcile_project  # noqa: PLC0415

        return reconcile_project(self, statement, actor=actor, reason=reason)

    def surveil(self, *, actor: str, reason: str = "surveillance") -> "Surveilled":
        """Look at the desk's own orders for what they could be taken for; what is new becomes findings."""
        from tradeworthy.apps.commands.surveilling import surveil_project  # noqa: PLC0415

        return surveil_project(self, actor=actor, reason=reason)

    def rehearse_recovery(self, *, actor: str, reason: str = "rehearsal") -> "Rehearsed":
        """Come back from a checkpoint as after a kill, beside everything live, and compare with the record."""
        from tradeworthy.apps.commands.rehearsing import rehearse_recovery  # noqa: PLC0415

        return rehearse_recovery(self, actor=actor, reason=reason)

    def stress(
        self, version: str = "champion", *, factor: float = 2.0, actor: str, reason: str = "stress"
    ) -> "StressReport":
        """Drive a version at `factor` times the busiest load of the record, away from everything live."""
        from tradeworthy.apps.commands.stressing import stress_project  # noqa: PLC0415

        return stress_project(self, version, factor=factor, actor=actor, reason=reason)

    def archive(self, *, actor: str, reason: str = "storage policy") -> results.Archived:
        """Move sealed segments into the archive, delete what is past its days, and watch the disk budget."""
        from tradeworthy.apps.commands.archiving import archive_project  # noqa: PLC0415

        return archive_project(self, actor=actor, reason=reason)

    def hold(self, hold: Hold, *, actor: str, reason: str) -> results.Step:
        """Keep part of the record from being deleted, whatever its age, until the hold is lifted."""
        from tradeworthy.apps.commands.archiving import place_hold  # noqa: PLC0415

        return place_hold(self, hold, actor=actor, reason=reason)

    def lift_hold(self, name: str, *, actor: str, reason: str) -> results.Step:
        """End a legal hold."""
        from tradeworthy.apps.commands.archiving import lift_hold  # noqa: PLC0415

        return lift_hold(self, name, actor=actor, reason=reason)

    def query(self, sql: str, *, rows_max: int = 10_000, within_s: float | None = None) -> "Answer":
        """Answer one SQL query over tape, archive and ledger, within a time if one is given; nothing can be changed."""
        from tradeworthy.apps.commands.archiving import ask_project  # noqa: PLC0415

        return ask_project(self, sql, rows_max=rows_max, within_s=within_s)

    def explain(self, decision: str, *, against: str = "") -> "Explained":
        """Say why a decision was made: its tape sequence, ``order:N``, a UTC time, or ``largest``."""
        from tradeworthy.apps.explain.explaining import explain_decision  # noqa: PLC0415

        return explain_decision(self, decision, against=against)

    def explain_since(self, decision: str, since: str) -> "Compared":
        """Say why the score moved from one decision to a later one."""
        from tradeworthy.apps.explain.explaining import explain_since  # noqa: PLC0415

        return explain_since(self, decision, since)

    def explain_under(self, decision: str, version: str) -> "Compared":
        """Say why another version scores a decision's event differently."""
        from tradeworthy.apps.explain.explaining import explain_under  # noqa: PLC0415

        return explain_under(self, decision, version)

    def explain_all(self, path: Path, *, report: Report | None = None) -> "InBulk":
        """Explain every recorded decision that was scored, into one Parquet file."""
        from tradeworthy.apps.explain.explaining_all import explain_all  # noqa: PLC0415

        return explain_all(self, path, report=report)

    def catalogue(self) -> Catalogue | None:
        """Return the project's reason codes; None where it has written none."""
        named = self.settings.explain.catalogue
        return read_catalogue(self.folder / named) if named else None

    def reasons(self, version: str = "newest") -> "Catalogued":
        """Check the reason catalogue against a version's features; write one to start from where there is none."""
        from tradeworthy.apps.explain.explaining_all import check_reasons  # noqa: PLC0415

        return check_reasons(self, version)

    def report(self, output: Path | None = None) -> results.Page:
        """Write one HTML file that tells the whole run."""
        from tradeworthy.apps.reports.reporting import write_report  # noqa: PLC0415

        return write_report(self, output)

    def report_monitoring(self, output: Path | None = None) -> results.Page:
        """Write one HTML file with everything that was found: since when, how it looks, why, and what was done."""
        from tradeworthy.apps.reports.monitored import write_monitoring  # noqa: PLC0415

        return write_monitoring(self, output)

    def document(self, subject: str, which: str, output: Path | None = None) -> results.Page:
        """Write an "rts6" year, a version's "model-card" or an order's "decisions", as HTML and JSON."""
        from tradeworthy.apps.reports.documents import write_document  # noqa: PLC0415

        return write_document(self, subject, which, output)

    def findings(self, *, open_only: bool = False) -> "Findings":
        """List what monitors found, repeats of one cause as one case."""
        from tradeworthy.apps.commands.handling import findings_of  # noqa: PLC0415

        return findings_of(self, open_only=open_only)

    def acknowledge(self, number: int, *, actor: str, reason: str) -> "CaseLine":
        """Take on a finding; its repeats are no longer told unless they are graver."""
        from tradeworthy.apps.commands.handling import acknowledge_finding  # noqa: PLC0415

        return acknowledge_finding(self, number, actor=actor, reason=reason)

    def close_finding(self, number: int, *, actor: str, reason: str) -> "CaseLine":
        """Settle a finding; the next one of the same cause opens a new case."""
        from tradeworthy.apps.commands.handling import close_finding  # noqa: PLC0415

        return close_finding(self, number, actor=actor, reason=reason)

    def calibrate(self, version: str = "champion", false_alarms_per_day: float | None = None) -> "Calibrated":
        """Say what the monitors of a version see, how often they are wrong, and what its data cannot support."""
        from tradeworthy.apps.commands.calibrating import calibrate_version  # noqa: PLC0415

        return calibrate_version(self, version, false_alarms_per_day)

    def status(self) -> results.Status:
        """Say which versions have which role, whether trading is halted, and what was found."""
        return results.status_of(self)

    def people_and_roles(self) -> dict[str, str]:
        """Return everybody's roles, by name."""
        return {person.name: ", ".join(person.roles) for person in self.people.everybody()}

    def who_can(self, action: str) -> results.WhoCan:
        """Say which roles, and which people, may do an action."""
        roles = roles_that_may(action)
        people = [person.name for person in self.people.everybody() if set(person.roles) & set(roles)]
        return results.WhoCan(action=action, roles=list(roles), people=people)
