"""The views' addresses: each reads the deployment and hands what it read to `dashboard`."""

from typing import TypeVar
from urllib.parse import quote

import msgspec
from litestar import Controller, get
from litestar.params import FromPath, FromQuery
from litestar.response import Response

from tradeworthy.apps.admin.deployment import Deployment
from tradeworthy.apps.admin.looking import desk_of, facts_of, life_of, stretches_of
from tradeworthy.apps.admin.visitor import Asked, Html, actor_for, deployment_of, html, shown, visit_of
from tradeworthy.apps.commands.access import list_keys
from tradeworthy.apps.commands.alerting import ways_of
from tradeworthy.apps.commands.exporting import export_period
from tradeworthy.apps.dashboard import decisions, record, versions, watch
from tradeworthy.apps.dashboard.accumulated import accumulated_section
from tradeworthy.apps.dashboard.around import decision_around
from tradeworthy.apps.dashboard.comparing import compare
from tradeworthy.apps.dashboard.comparison import comparison_view
from tradeworthy.apps.dashboard.deciding import Decided, Filter, decisions_before
from tradeworthy.apps.dashboard.decision import clock, decision_view
from tradeworthy.apps.dashboard.desk import desk_view
from tradeworthy.apps.dashboard.fairness import fairness_view
from tradeworthy.apps.dashboard.gate import gate_view
from tradeworthy.apps.dashboard.layout import halt_form
from tradeworthy.apps.dashboard.letting_pass import letting_pass
from tradeworthy.apps.dashboard.monitors import monitor_now, monitor_view
from tradeworthy.apps.dashboard.record import FactFilter
from tradeworthy.apps.dashboard.settings import Configured, settings_view
from tradeworthy.apps.dashboard.shadowing import shadows_of
from tradeworthy.apps.dashboard.storing import storage_of
from tradeworthy.apps.deployment.limits import every_scope
from tradeworthy.apps.deployment.policy import policy_now
from tradeworthy.apps.explain.checking import Checks
from tradeworthy.apps.explain.explained import Explained
from tradeworthy.apps.explain.explaining import explain_decision
from tradeworthy.change.watch.sight import MonitorSight, Sight
from tradeworthy.core.errors import NotFound, SettingsInvalid, TradeworthyError, near
from tradeworthy.judge.validate.gate import GateReport

Wanted = TypeVar("Wanted", Filter, FactFilter)


class Pages(Controller):
    """Everything that is looked at."""

    include_in_schema = False

    @get("/", sync_to_thread=True)
    def desk(self, request: Asked) -> Html:
        """Show the desk."""
        visit = visit_of(request)
        deployment = deployment_of(request)
        view = desk_view(visit, deployment.frame(), desk_of(deployment))
        return shown(request, visit, "Desk", view)

    @get("/decisions", sync_to_thread=True)
    def decisions(self, request: Asked) -> Html:
        """List decisions."""
        deployment = deployment_of(request)
        wanted = _wanted(request, Filter)
        found, failure = _found(deployment, wanted)
        view = decisions.decisions_view(wanted, found, deployment.symbols)
        return shown(request, visit_of(request), "Decisions", view, failure=failure)

    @get("/decisions/rows", sync_to_thread=True)
    def decision_rows(self, request: Asked) -> Html:
        """Return further lines of the list."""
        wanted = _wanted(request, Filter)
        return html(decisions.rows(wanted, decisions_before(deployment_of(request).project, wanted)))

    @get("/decisions/{sequence:int}", sync_to_thread=True)
    def decision(self, request: Asked, sequence: FromPath[int]) -> Html:
        """Show one decision."""
        visit, deployment = visit_of(request), deployment_of(request)
        project = deployment.project
        around = decision_around(project, sequence)
        explained: Explained | None = None
        why_not = ""
        try:
            checks = Checks(around.checks, around.checks_untold)
            explained = explain_decision(project, str(sequence), checks=checks)
        except TradeworthyError as error:
            why_not = str(error)
        passing = letting_pass(visit, around, deployment.facts(), project.clock.now_ns())
        view = decision_view(around, explained, why_not, passing)
        lead = f"{clock(around.decision.time)} UTC, {around.decision.instrument}"
        return shown(request, visit, f"Decision {sequence}", view, lead=lead)

    @get("/watch", sync_to_thread=True)
    def watch(self, request: Asked) -> Html:
        """List what was found."""
        visit = visit_of(request)
        deployment = deployment_of(request)
        view = watch.watch_view(deployment.frame(), deployment.cases(), deployment.sight())
        return shown(request, visit, "Watch", view)

    @get("/watch/monitors/{name:str}", sync_to_thread=True)
    def monitor(self, request: Asked, name: FromPath[str]) -> Html:
        """Show one monitor."""
        deployment = deployment_of(request)
        sight, own = _monitor(deployment, name)
        view = monitor_view(sight, own, deployment.cases())
        return shown(request, visit_of(request), f"Monitor {name}", view)

    @get("/watch/monitors/{name:str}/now", sync_to_thread=True)
    def monitor_now(self, request: Asked, name: FromPath[str]) -> Html:
        """Return what of one monitor changes while one looks."""
        return html(monitor_now(*_monitor(deployment_of(request), name)))

    @get("/watch/{number:int}", sync_to_thread=True)
    def case(self, request: Asked, number: FromPath[int]) -> Html:
        """Show one case."""
        visit = visit_of(request)
        page = deployment_of(request).case_page(number)
        return shown(request, visit, f"Finding {number}", watch.case_view(visit, page))

    @get("/watch/{number:int}/evidence", sync_to_thread=True)
    def evidence(self, request: Asked, number: FromPath[int]) -> Html:
        """Return what explains a case, as far as it is gathered."""
        page = deployment_of(request).case_page(number)
        return html(watch.evidence_part(visit_of(request), page))

    @get("/versions", sync_to_thread=True)
    def versions(self, request: Asked) -> Html:
        """List versions."""
        visit, deployment = visit_of(request), deployment_of(request)
        project = deployment.project
        stretches = stretches_of(deployment.facts(), project.clock.now_ns())
        standing, listed = deployment.standing(), project.registry.list()
        gone = accumulated_section(standing, policy_now(project).distance_max, deployment.facts())
        shadows = shadows_of(project).shadows
        view = versions.versions_view(visit, standing, listed, stretches, shadows, accumulated=gone)
        return shown(request, visit, "Versions", view)

    @get("/versions/compare", sync_to_thread=True)
    def compare(self, request: Asked, one: FromQuery[str], other: FromQuery[str]) -> Html:
        """Show two versions side by side."""
        visit, project = visit_of(request), deployment_of(request).project
        found, margin = compare(project, one, other), policy_now(project).loss_margin
        view = comparison_view(found, project.registry.list(), margin=margin)
        return shown(request, visit, "Two versions", view)

    @get("/versions/{word:str}", sync_to_thread=True)
    def version(self, request: Asked, word: FromPath[str]) -> Html:
        """Show one version."""
        visit, deployment = visit_of(request), deployment_of(request)
        project = deployment.project
        digest = project.resolve(word)
        info = next(each for each in project.registry.list() if each.version == digest)
        manifest = project.registry.load(digest).manifest
        life = life_of(deployment.facts(), digest)
        traded = [each.symbol for each in project.settings.instrument if each.traded]
        view = versions.version_view(visit, info, manifest, life, traded)
        return shown(request, visit, f"Version {digest[:16]}", view)

    @get("/versions/{word:str}/gate", sync_to_thread=True)
    def gate(self, request: Asked, word: FromPath[str]) -> Html:
        """Show what the gate said of a version."""
        visit, deployment = visit_of(request), deployment_of(request)
        project = deployment.project
        report = GateReport.from_json(project.registry.gate_report(word))
        given = deployment.standing().overrides.get(report.version, [])
        view = gate_view(visit, report, given, project.clock.now_ns())
        return shown(request, visit, f"Gate of {report.version[:16]}", view)

    @get("/fairness", sync_to_thread=True)
    def fairness(self, request: Asked) -> Html:
        """Show how the champion serves its groups, and what it goes by."""
        try:
            view = fairness_view(deployment_of(request).insight())
        except NotFound as error:
            view = fairness_view(None, str(error))
        return shown(request, visit_of(request), "Fairness and explanation", view)

    @get("/record", sync_to_thread=True)
    def record(self, request: Asked) -> Html:
        """Show the record."""
        visit, deployment = visit_of(request), deployment_of(request)
        told = facts_of(deployment.facts())
        storage = storage_of(deployment.project)
        view = record.record_view(visit, storage, told, _wanted(request, FactFilter), deployment.verified)
        return shown(request, visit, "Record", view)

    @get("/record/export", sync_to_thread=True)
    def export(
        self,
        request: Asked,
        table: FromQuery[str],
        form: FromQuery[str],
        since: FromQuery[str] = "",
        until: FromQuery[str] = "",
    ) -> Response[bytes]:
        """Return a period of the record as a file."""
        actor_for(request, "query")
        made = export_period(deployment_of(request).project, table, since=since, until=until, form=form)
        named = f"attachment; filename*=UTF-8''{quote(made.name)}"
        return Response(made.data, media_type=made.media_type, headers={"content-disposition": named})

    @get("/settings", sync_to_thread=True)
    def settings(self, request: Asked) -> Html:
        """Show the settings."""
        visit, deployment = visit_of(request), deployment_of(request)
        project = deployment.project
        configured = Configured(
            limits=every_scope(project),
            bounds=deployment.bounds(),
            policy=policy_now(project),
            env=project.env,
            ways=ways_of(project),
            keys=list_keys(project).keys,
            people=deployment.people.everybody(),
        )
        return shown(request, visit, "Settings", settings_view(visit, configured))

    @get("/halt", sync_to_thread=True)
    def halt(self, request: Asked) -> Html:
        """Show the form that halts, for browsers without scripts."""
        visit = visit_of(request)
        return shown(request, visit, "Halt trading", halt_form(visit))


def _monitor(deployment: Deployment, name: str) -> tuple[Sight, MonitorSight]:
    """Find a monitor of those at work.

    Raises
    ------
    NotFound
        There is none of that name, or none at all.
    """
    sight = deployment.sight()
    known = {each.monitor: each for each in sight.monitors} if sight else {}
    if sight is None or name not in known:
        at_work = ", ".join(known) or "none; the watcher starts with the desk: tradeworthy run"
        raise NotFound(f"no monitor {name!r} is at work{near(name, known)}; those at work: {at_work}")
    return sight, known[name]


def _wanted(request: Asked, kind: type[Wanted]) -> Wanted:
    """Read what of a list is wanted.

    Raises
    ------
    SettingsInvalid
        A value does not fit.
    """
    asked = {name: value for name, value in request.query_params.items() if value}
    try:
        return msgspec.convert(asked, kind, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsInvalid(f"the filter cannot be used: {error}") from None


def _found(deployment: Deployment, wanted: Filter) -> tuple[list[Decided], str]:
    """Return the decisions that are wanted, or why there are none."""
    try:
        return decisions_before(deployment.project, wanted), ""
    except (NotFound, SettingsInvalid) as error:
        return [], str(error)
