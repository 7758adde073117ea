"""The interface for programs: the same reads and steps as the page, as JSON, documented as OpenAPI under /api.

Idea:   each call is one of `Project`'s with the role checked first and the caller's name on the fact. A step that is
        refused answers 4xx with what was found, allowed and to do next; nothing here answers with a trace.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, MediaType, get, post
from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter

from tradeworthy.apps.admin.looking import facts_of, life_of
from tradeworthy.apps.admin.visitor import Asked, actor_for, deployment_of, signed
from tradeworthy.apps.commands.handling import CaseLine, Findings
from tradeworthy.apps.commands.results import Status, Step, Verified
from tradeworthy.apps.dashboard.around import Around, decision_around
from tradeworthy.apps.dashboard.deciding import PAGE, Decided, Filter, decisions_before
from tradeworthy.apps.dashboard.following import Frame
from tradeworthy.apps.dashboard.telling import FactLine
from tradeworthy.apps.dashboard.versions import Step as Lived
from tradeworthy.apps.explain.explained import Explained
from tradeworthy.apps.reports.monitored import gather
from tradeworthy.change.access.people import Person
from tradeworthy.change.access.roles import roles_that_may
from tradeworthy.change.registry import VersionInfo
from tradeworthy.change.release.order_overrides import MINUTES_MAX, Overridden
from tradeworthy.change.release.overriding import Overriding
from tradeworthy.change.watch.explaining import CaseEvidence
from tradeworthy.core.errors import NotFound, near
from tradeworthy.judge.validate.gate import GateReport

FACTS_MAX = 1_000
SQL_MAX = 20_000
ROWS_MAX = 10_000

Count = Annotated[int, QueryParameter(ge=1, le=FACTS_MAX)]
Word = Annotated[str, PathParameter(min_length=1, max_length=128)]
Number = Annotated[int, PathParameter(ge=0, le=2**62)]
Before = Annotated[int | None, QueryParameter(ge=1, le=2**62)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]


class Reasoned(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a step is taken; recorded with the caller's name."""

    reason: Text


class Scoped(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A scope to halt or resume: ``all``, ``instrument:SYMBOL`` or ``version:DIGEST``."""

    scope: Text = "all"
    reason: Text


class Promotion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A role for a version: shadow, canary, champion or retired.

    A canary takes `share` of its full size, or all of it on `instruments`, or on `instrument_share` of those traded.
    """

    role: Text
    reason: Text
    share: float | None = None
    instruments: list[Text] | None = None
    instrument_share: float | None = None


class SetAside(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A check of the gate to be set aside; `until` is the last day, as 2027-01-31 (UTC)."""

    check: Text
    until: Text
    reason: Text


class Sized(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A share of the full size for the version that acts; 0 wants to be flat."""

    share: Annotated[float, msgspec.Meta(ge=0, le=1)]
    reason: Text


class FallenBack(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What decides in the champion's place: the version before, or a rule; ``none`` for the champion itself again."""

    to: Literal["previous", "flat", "hold", "base_rate", "none"]
    reason: Text


class OrderException(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how long a refused order may pass its check, and up to which value; what it observed, if left out."""

    minutes: Annotated[int, msgspec.Meta(ge=1, le=MINUTES_MAX)]
    up_to: float | None = None
    reason: Text


class VersionLife(msgspec.Struct, frozen=True, kw_only=True):
    """A version, and every fact that names it: approvals, promotions, roll backs."""

    version: VersionInfo
    life: list[Lived]


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One SELECT over the record."""

    sql: Annotated[str, msgspec.Meta(min_length=1, max_length=SQL_MAX)]
    rows_max: Annotated[int, msgspec.Meta(ge=1, le=ROWS_MAX)] = 1_000


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What a question gave; `more` says that rows were left out."""

    columns: list[str]
    types: list[str]
    rows: list[list[Any]]
    more: bool


class Reading(Controller):
    """What the deployment is and did."""

    path = "/api/v1"
    tags = ["read"]  # noqa: RUF012  # litestar reads it from the class

    @get("/status", sync_to_thread=True)
    def status(self, request: Asked) -> Status:
        """Return which versions have which role, what is halted, and what is open."""
        return deployment_of(request).project.status()

    @get("/desk", sync_to_thread=True)
    def desk(self, request: Asked) -> Frame:
        """Return the present moment of the desk."""
        return deployment_of(request).frame()

    @get("/decisions", sync_to_thread=True)
    def decisions(
        self,
        request: Asked,
        *,
        before: Before = None,
        outcome: FromQuery[str] = "all",
        instrument: FromQuery[str] = "",
        version: FromQuery[str] = "",
        role: FromQuery[str] = "champion",
        side: FromQuery[str] = "",
        code: FromQuery[str] = "",
        since: FromQuery[str] = "",
        until: FromQuery[str] = "",
        count: Count = PAGE,
    ) -> list[Decided]:
        """Return the newest decisions that are wanted, the newest first."""
        wanted = Filter(
            before=before,
            outcome=outcome,
            instrument=instrument,
            version=version,
            role=role,
            side=side,
            code=code,
            since=since,
            until=until,
        )
        return decisions_before(deployment_of(request).project, wanted, count=count)

    @get("/decisions/{sequence:int}", sync_to_thread=True)
    def decision(self, request: Asked, sequence: Number) -> Around:
        """Return one decision with its event, other versions' opinions and the venue's answers."""
        return decision_around(deployment_of(request).project, sequence)

    @get("/decisions/{sequence:int}/explanation", sync_to_thread=True)
    def explanation(self, request: Asked, sequence: Number) -> Explained:
        """Return why a decision was made, exactly."""
        return deployment_of(request).project.explain(str(sequence))

    @get("/versions", sync_to_thread=True)
    def versions(self, request: Asked) -> list[VersionInfo]:
        """Return every registered version."""
        return deployment_of(request).project.registry.list()

    @get("/versions/{word:str}", sync_to_thread=True)
    def version(self, request: Asked, word: Word) -> VersionLife:
        """Return one version and its life, approvals included."""
        deployment = deployment_of(request)
        project = deployment.project
        digest = project.resolve(word)
        info = next(each for each in project.registry.list() if each.version == digest)
        return VersionLife(version=info, life=life_of(deployment.facts(), digest))

    @get("/versions/{word:str}/gate", sync_to_thread=True)
    def gate(self, request: Asked, word: Word) -> GateReport:
        """Return the latest gate report of a version, checked against its fact."""
        return GateReport.from_json(deployment_of(request).project.registry.gate_report(word))

    @get("/findings", sync_to_thread=True)
    def findings(self, request: Asked, *, open_only: FromQuery[bool] = False) -> Findings:
        """Return what was found, repeats of one cause as one case."""
        return deployment_of(request).project.findings(open_only=open_only)

    @get("/findings/{number:int}/evidence", sync_to_thread=True)
    def evidence(self, request: Asked, number: Number) -> CaseEvidence:
        """Return what explains a finding: its statistic's path, what moved, what that costs, by which feature."""
        page = deployment_of(request).case_page(number)
        if page.evidence is None:
            raise NotFound(f"nothing was gathered for finding {number} yet; post to /findings/{number}/explain")
        return page.evidence

    @get("/facts", sync_to_thread=True)
    def facts(self, request: Asked, count: Count = 100) -> list[FactLine]:
        """Return the newest facts, the newest first."""
        return facts_of(deployment_of(request).facts(), count)

    @get("/reports/{kind:str}", sync_to_thread=True, media_type=MediaType.HTML)
    def report(self, request: Asked, kind: Word) -> str:
        """Return a report as one HTML file: ``run`` or ``monitoring``."""
        project = deployment_of(request).project
        writers = {"run": project.report, "monitoring": project.report_monitoring}
        if kind not in writers:
            raise NotFound(f"no report {kind!r}{near(kind, writers)}; there are {', '.join(writers)}")
        with TemporaryDirectory() as folder:
            page = Path(folder) / "report.html"
            writers[kind](page)
            return page.read_text("utf-8")

    @get("/people", sync_to_thread=True)
    def people(self, request: Asked) -> list[Person]:
        """Return everybody who may sign in, with their roles."""
        return deployment_of(request).people.everybody()

    @get("/who-can/{action:str}", sync_to_thread=True)
    def who_can(self, request: Asked, action: Word) -> list[Person]:
        """Return everybody who may do an action."""
        roles = set(roles_that_may(action))
        return [person for person in deployment_of(request).people.everybody() if roles & set(person.roles)]


class Steering(Controller):
    """Steps; each is a fact with the caller's name."""

    path = "/api/v1"
    tags = ["steer"]  # noqa: RUF012  # litestar reads it from the class

    @post("/halt", sync_to_thread=True, status_code=200)
    def halt(self, request: Asked, data: JSONBody[Scoped]) -> Step:
        """Refuse every order in a scope from the next event on."""
        return deployment_of(request).project.halt(data.scope, **signed(request, "halt", data.reason))

    @post("/resume", sync_to_thread=True, status_code=200)
    def resume(self, request: Asked, data: JSONBody[Scoped]) -> Step:
        """Allow orders in a scope again."""
        return deployment_of(request).project.resume(data.scope, **signed(request, "resume", data.reason))

    @post("/rollback", sync_to_thread=True, status_code=200)
    def rollback(self, request: Asked, data: JSONBody[Reasoned]) -> Step:
        """Put the previous champion back; it decides the next event."""
        return deployment_of(request).project.rollback(**signed(request, "rollback", data.reason))

    @post("/size", sync_to_thread=True, status_code=200)
    def resize(self, request: Asked, data: JSONBody[Sized]) -> Step:
        """Let the acting version take a share of its full size from the next event on."""
        return deployment_of(request).project.resize(data.share, **signed(request, "resize", data.reason))

    @post("/fallback", sync_to_thread=True, status_code=200)
    def fall_back(self, request: Asked, data: JSONBody[FallenBack]) -> Step:
        """Let the version before, or a rule that needs no model, decide in the champion's place."""
        return deployment_of(request).project.fall_back(data.to, **signed(request, "resize", data.reason))

    @post("/decisions/{number:int}/override", sync_to_thread=True, status_code=200)
    def override_order(self, request: Asked, number: Number, data: JSONBody[OrderException]) -> Overridden:
        """Let a refused order pass the check that refused it, once; it counts once a second role says so."""
        by, project = signed(request, "override", data.reason), deployment_of(request).project
        return project.override_order(number, minutes=data.minutes, up_to=data.up_to, roles=request.user.roles, **by)

    @post("/versions/{word:str}/approve", sync_to_thread=True, status_code=200)
    def approve(self, request: Asked, word: Word, data: JSONBody[Reasoned]) -> Step:
        """Approve a version; its author may not."""
        return deployment_of(request).project.approve(word, **signed(request, "approve", data.reason))

    @post("/versions/{word:str}/promote", sync_to_thread=True, status_code=200)
    def promote(self, request: Asked, word: Word, data: JSONBody[Promotion]) -> Step:
        """Give a version a role."""
        by, project = signed(request, "promote", data.reason), deployment_of(request).project
        return project.promote(
            word,
            to=data.role,
            share=data.share,
            instruments=data.instruments,
            instrument_share=data.instrument_share,
            **by,
        )

    @post("/versions/{word:str}/override", sync_to_thread=True, status_code=200)
    def set_aside(self, request: Asked, word: Word, data: JSONBody[SetAside]) -> Overriding:
        """Set a check that stops a version aside until a day; it counts once a second person says so."""
        by = signed(request, "set_aside", data.reason)
        return deployment_of(request).project.override(word, data.check, until=data.until, **by)

    @post("/findings/{number:int}/acknowledge", sync_to_thread=True, status_code=200)
    def acknowledge(self, request: Asked, number: Number, data: JSONBody[Reasoned]) -> CaseLine:
        """Take on a finding."""
        return deployment_of(request).project.acknowledge(number, **signed(request, "acknowledge", data.reason))

    @post("/findings/{number:int}/explain", sync_to_thread=True, status_code=200)
    def explain_finding(self, request: Asked, number: Number) -> None:
        """Have what explains a finding gathered by a process of its own."""
        actor_for(request, "see")
        gather(deployment_of(request).project, number)

    @post("/findings/{number:int}/close", sync_to_thread=True, status_code=200)
    def close(self, request: Asked, number: Number, data: JSONBody[Reasoned]) -> CaseLine:
        """Settle a finding."""
        return deployment_of(request).project.close_finding(number, **signed(request, "close", data.reason))

    @post("/verify", sync_to_thread=True, status_code=200)
    def verify(self, request: Asked) -> Verified:
        """Check every byte of the record."""
        actor_for(request, "see")
        return deployment_of(request).verify()

    @post("/query", sync_to_thread=True, status_code=200)
    def query(self, request: Asked, data: JSONBody[Question]) -> Answered:
        """Answer one question to the record; nothing can be changed."""
        actor_for(request, "query")
        answer = deployment_of(request).project.query(data.sql, rows_max=data.rows_max)
        return Answered(columns=answer.columns, types=answer.types, rows=answer.rows, more=answer.more)
