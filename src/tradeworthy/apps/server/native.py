"""The port's own routes: decide, bring outcomes, explain, list decisions, follow findings, stream.

Idea:   an event is decided where it is read, by the engine itself: features, model, signal, risk, tape, venue; only
        then it is answered. What must read the disk is done beside the loop, and bounded.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import msgspec
import numpy as np

from tradeworthy.apps.explain.explained import Reason
from tradeworthy.apps.explain.explaining import explain_decision
from tradeworthy.apps.server.events import AnyEvent, Decided, Incoming, Int64, decided, read_events, undecided
from tradeworthy.apps.server.replies import RequestRefused, answer, answer_json
from tradeworthy.apps.server.routes import Answer, Request, Route, number_in
from tradeworthy.apps.server.streams import EventSocket, FindingStream
from tradeworthy.core.decisions import DECISION, DECISIONS, INPUTS
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import UNDECODABLE, NotFound, RecordBusy, RecordUnwritable, TradeworthyError
from tradeworthy.core.events import Kind
from tradeworthy.judge.explain.explaining import explain_row
from tradeworthy.judge.explain.words import reasons
from tradeworthy.live.engine import Engine
from tradeworthy.record.reader import TapeReader

if TYPE_CHECKING:
    from tradeworthy.apps.server.port import Port

LISTED = 100
LISTED_MAX = 10_000
REASONS_MAX = 64
_encode = msgspec.json.Encoder().encode


class Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What became of a decision: its label and, where there is one, a value such as a profit."""

    decision: Int64
    label: float
    value: float | None = None
    ts_event_ns: Int64 | None = None


class Reasoned(msgspec.Struct, frozen=True, kw_only=True):
    """A decision with its reasons, the strongest first."""

    decided: Decided
    reasons: list[Reason]


class DecisionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions after a sequence; ask again after `next`."""

    decisions: list[Decided]
    next: int


_outcomes = msgspec.json.Decoder(list[Outcome]).decode
_outcome = msgspec.json.Decoder(Outcome).decode


class Native:
    """Answers the port's own routes.

    Parameters
    ----------
    port : Port
    engine : Engine
        Decides, in the port's loop.
    """

    def __init__(self, port: "Port", engine: Engine) -> None:
        self._port, self._engine = port, engine
        self._incoming = Incoming(engine.desk, port.clock, port.columns)
        self._labels: dict[int, tuple[float, float | None]] | None = None
        self._one_at_a_time = asyncio.Lock()

    def routes(self) -> list[Route]:
        """Return the native part of the table."""
        return [
            Route("POST", "/v1/decide", "infer", self.decide),
            Route("GET", "/v1/stream", "infer", self.stream),
            Route("POST", "/v1/outcomes", "outcomes", self.outcomes),
            Route("GET", "/v1/decisions", "explain", self.decisions),
            Route("GET", "/v1/explain/{decision}", "explain", self.explain),
            Route("GET", "/v1/findings", "explain", self.findings),
        ]

    # -- deciding ------------------------------------------------------------------------------------------------

    def decide(self, request: Request) -> Answer:
        """Decide an event, or each of a list in order."""
        events, listed = read_events(request.body, self._port.settings.rows_max)
        request.count_rows(len(events))
        if request.query:
            wanted = whole(parse_qs(request.query), "reasons", 0, REASONS_MAX)
            if wanted:
                return self._with_reasons(request, events, wanted, listed=listed)
        if not listed:
            return answer(_encode(self.take(events[0])))
        return answer_json([self.take(event) for event in events])

    def take(self, event: AnyEvent) -> Decided:
        """Let the engine consume one event, and return what it made of it."""
        engine, counters = self._engine, self._engine.counters
        self._incoming.take(event)
        before = counters.decisions
        engine.consume_inbox(1)
        acting = engine.desk.acting
        if counters.decisions == before:
            told = undecided(acting.name, event, engine.desk.inbox.records[0])
            self._port.figures.denied[told.verdict] += told.verdict != DenialCode.NONE.name
            return told
        told = decided(acting.told, event.instrument)
        self._port.figures.decisions[told.verdict] += 1
        return told

    def _with_reasons(self, request: Request, events: list[AnyEvent], count: int, *, listed: bool) -> Answer:
        """Decide now, explain beside the loop."""
        if len(events) > 1 or listed:
            raise RequestRefused(400, "reasons are given for one event, not for a list")
        counted = self._engine.counters.rows
        made = self.take(events[0])
        if self._engine.counters.rows == counted:
            return answer_json(Reasoned(decided=made, reasons=[]))
        pipeline = self._engine.desk.acting
        version, row = pipeline.version, pipeline.rows[0]["row"].copy()

        def explain() -> bytes:
            explanation = explain_row(version.predictor, row, version.program.names, version.profile)
            found = reasons(explanation, version.profile, version.program.describe, count=count)
            told = [
                Reason(feature=each.feature, value=each.value, contribution=each.contribution, sentence=each.sentence)
                for each in found
            ]
            return answer_json(Reasoned(decided=made, reasons=told))

        return self._port.slowly(request, lambda: asyncio.to_thread(explain))

    def stream(self, request: Request) -> Answer:
        """Take the connection over as a WebSocket: an event in, its decision out."""
        return EventSocket(request, self._answer_message, self._port.settings.body_bytes_max)

    def _answer_message(self, request: Request, message: bytes) -> bytes:
        """Answer one message of a WebSocket, and count it as a request."""
        try:
            self._port.admit(request)
            events, listed = read_events(message, self._port.settings.rows_max)
            request.count_rows(len(events))
            made = [self.take(event) for event in events]
        except (RecordUnwritable, RecordBusy):
            self._count_message(request, b"503")
            raise
        except TradeworthyError as problem:
            raise self._refused(request, problem) from None  # it may be `problem`, and its own cause
        self._count_message(request, b"200")
        return _encode(made if listed else made[0])

    def _refused(self, request: Request, problem: TradeworthyError) -> RequestRefused:
        """Return an error as who sent the message sees it; kept in no name where it is raised, or it kept itself."""
        refused = self._port.noted(problem, "" if request.holder is None else request.holder.name)
        self._count_message(request, b"%d" % refused.status)
        return refused

    def _count_message(self, request: Request, code: bytes) -> None:
        self._port.figures.answered(request.route.path, code, self._port.now_ns)

    # -- late labels ---------------------------------------------------------------------------------------------

    def outcomes(self, request: Request) -> Answer:
        """Take in late labels; one that is there already changes nothing."""
        body = request.body
        try:
            brought = _outcomes(body) if body.lstrip()[:1] == b"[" else [_outcome(body)]
        except UNDECODABLE as problem:
            raise RequestRefused(400, f"the outcome cannot be read: {problem}") from problem
        if len(brought) > self._port.settings.rows_max:
            raise RequestRefused(400, f"{len(brought)} outcomes, allowed are {self._port.settings.rows_max} at once")
        request.count_rows(len(brought))
        return self._port.slowly(request, lambda: self._label(brought))

    async def _label(self, brought: Sequence[Outcome]) -> bytes:
        """Find the decisions beside the loop, then let the engine consume their labels: all of them, or none."""
        async with self._one_at_a_time:
            if self._labels is None:
                self._labels = await asyncio.to_thread(known_labels, self._port.tape_folder)
            new, repeated = self._new(brought, self._labels)
            instruments = await asyncio.to_thread(self._instruments, new)
            for outcome, instrument in zip(new, instruments, strict=True):
                value = math.nan if outcome.value is None else outcome.value
                self._incoming.take_outcome(outcome.decision, instrument, outcome.ts_event_ns, outcome.label, value)
                self._engine.consume_inbox(1)
                self._labels[outcome.decision] = (outcome.label, outcome.value)
        return answer_json({"accepted": len(new), "repeated": repeated})

    @staticmethod
    def _new(brought: Sequence[Outcome], known: Mapping[int, tuple[float, float | None]]) -> tuple[list[Outcome], int]:
        """Return the outcomes that are not there yet, and how many are; one that says otherwise is refused."""
        new: dict[int, Outcome] = {}
        for outcome in brought:
            given = (outcome.label, outcome.value)
            earlier = new.get(outcome.decision)
            had = known.get(outcome.decision) if earlier is None else (earlier.label, earlier.value)
            if had is None:
                new[outcome.decision] = outcome
            elif had != given:
                raise RequestRefused(
                    409,
                    f"decision {outcome.decision} has label {had[0]:g}, value {had[1]}; found {given[0]:g}, {given[1]}",
                )
        return [*new.values()], len(brought) - len(new)

    def _instruments(self, outcomes: Sequence[Outcome]) -> list[int]:
        """Return the instrument of each outcome's decision."""
        if not outcomes:
            return []
        reader = TapeReader(self._port.tape_folder)
        try:
            return [int(reader.find(DECISIONS, outcome.decision)["instrument"]) for outcome in outcomes]
        except NotFound as problem:
            raise RequestRefused(404, f"an outcome is of no decision: {problem}; see /v1/decisions") from problem

    # -- reading -------------------------------------------------------------------------------------------------

    def decisions(self, request: Request) -> Answer:
        """List decisions after a sequence, shadows' too."""
        asked = parse_qs(request.query)
        after = whole(asked, "after", 0, np.iinfo(np.int64).max)
        limit = whole(asked, "limit", LISTED, LISTED_MAX)
        return self._port.slowly(request, lambda: asyncio.to_thread(self._page, after, limit))

    def _page(self, after: int, limit: int) -> bytes:
        reader = TapeReader(self._port.tape_folder)
        found = reader.read(DECISIONS, after, limit) if DECISIONS in reader.streams() else np.empty(0, DECISION)
        made = [decided(record.tobytes(), self._incoming.symbol(int(record["instrument"]))) for record in found]
        return answer_json(DecisionPage(decisions=made, next=made[-1].decision or 0 if made else after))

    def explain(self, request: Request) -> Answer:
        """Say why a decision was made: its id, a UTC time, or ``largest``."""
        which = request.arguments[0]
        self._engine.look_up()  # rows that wait for the tape are written
        project = self._port.project
        return self._port.slowly(
            request, lambda: asyncio.to_thread(lambda: answer_json(explain_decision(project, which)))
        )

    def findings(self, request: Request) -> Answer:
        """List findings, or follow them as server-sent events where the caller accepts those."""
        after = whole(parse_qs(request.query), "after", 0, np.iinfo(np.int64).max)
        if b"text/event-stream" in request.headers.get(b"accept", b""):
            last = number_in(request.headers.get(b"last-event-id", b""))
            return FindingStream(self._port.told, after if last is None else last)
        return answer_json([found for found in self._port.told.findings if found.number > after])


def known_labels(tape: Path) -> dict[int, tuple[float, float | None]]:
    """Return the labels that a tape holds, by decision."""
    reader = TapeReader(tape)
    known: dict[int, tuple[float, float | None]] = {}
    for part in reader.scan(INPUTS) if INPUTS in reader.streams() else ():
        outcomes = part[(part["kind"] == Kind.OUTCOME) & (part["flags"] == 0)]
        for reference, values in zip(outcomes["reference"].tolist(), outcomes["values"].tolist(), strict=True):
            known[reference] = (values[0], None if math.isnan(values[1]) else values[1])
    return known


def whole(asked: Mapping[str, list[str]], name: str, default: int, largest: int) -> int:
    """Return a whole number of a query.

    Raises
    ------
    RequestRefused
        It is none, or out of bounds.
    """
    if name not in asked:
        return default
    text = asked[name][-1]
    number = number_in(text)
    if number is None or number > largest:
        raise RequestRefused(400, f"{name} is {text[:40]!r}, allowed is a whole number from 0 to {largest}")
    return number
