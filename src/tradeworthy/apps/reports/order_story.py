"""Everything about one order: event, features, score, reasons, checks, version, gate, approvals, fills."""

from typing import TYPE_CHECKING, Any

import numpy as np

from tradeworthy.apps.deployment.keeping import recorded
from tradeworthy.apps.explain.explaining import explain_decision
from tradeworthy.apps.explain.finding_decisions import find_decision
from tradeworthy.apps.reports.document import Document, Line, Part
from tradeworthy.change.release.canary import in_words
from tradeworthy.core import facts
from tradeworthy.core.decisions import DECISION, LATE, ORDER, RULED, SHORT, Role, threshold_number, version_name
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import NotFound
from tradeworthy.core.events import FIELDS, Kind
from tradeworthy.core.time import iso
from tradeworthy.record.ledger import Entry
from tradeworthy.record.reader import TapeReader

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project
    from tradeworthy.apps.explain.explained import Explained

ABOUT = (facts.VersionRegistered, facts.GateJudged, facts.VersionApproved, facts.VersionPromoted)


def order_story(project: "Project", order: str) -> Document:
    """Return the document of one order, by its id (its decision's sequence) or its own tape sequence.

    Raises
    ------
    NotFound
        There is no such order.
    """
    reader = recorded(project)
    decision = find_decision(reader, f"order:{order}")
    number = int(decision["sequence"])
    sent = reader.read("orders")
    sent = sent[sent["decision"] == number]
    if not sent.size:
        raise NotFound(f"decision {number} sent no order; tradeworthy explain {number} says why")
    explained = explain_decision(project, f"order:{order}")
    return Document(
        title=f"Order {number}: {explained.instrument}, {iso(int(decision['ts_event_ns']))}",
        subtitle=explained.said,
        created_ns=project.clock.now_ns(),
        parts=[
            Part(
                name="Event", about="What asked for a decision.", lines=_event(reader, int(decision["input_sequence"]))
            ),
            Part(name="Decision", about="As it stands on the tape.", lines=_record(decision, DECISION)),
            Part(name="Features and reasons", about=f"{explained.method}.", lines=_reasons(explained)),
            Part(name="Order", about="As it was recorded before it was sent.", lines=_record(sent[0], ORDER)),
            Part(name="Answers", about="Of the venue, in the order heard.", lines=_answers(reader, number)),
            Part(
                name="Version",
                about="Its registration, gate, approvals and roles; times are the machine's.",
                lines=_facts(project, explained.version),
            ),
        ],
    )


def _event(reader: TapeReader, sequence: int) -> list[Line]:
    event = reader.find("inputs", sequence)
    kind = Kind(int(event["kind"]))
    head = {
        "sequence": str(sequence),
        "kind": kind.name.lower(),
        "happened": iso(int(event["ts_event_ns"])),
        "seen": iso(int(event["ts_recv_ns"])),
        "input check": DenialCode(int(event["flags"])).name,
    }
    values = dict(zip(FIELDS.get(kind, ()), event["values"].tolist(), strict=False))
    return [Line(name=name, said=said) for name, said in head.items()] + [
        Line(name=name, said=f"{value:.10g}") for name, value in values.items()
    ]


def _record(record: np.void, dtype: "np.dtype[Any]") -> list[Line]:
    """Return every field of a record; numbers that mean something are written as that."""
    return [Line(name=name.replace("_", " "), said=_field(name, record[name])) for name in dtype.names or ()]


def _field(name: str, value: Any) -> str:
    if name.startswith("ts_"):
        return iso(int(value)) if int(value) else "not known"
    if name == "version":
        return version_name(int(value))
    if name == "verdict":
        return DenialCode(int(value)).name
    if name == "role":
        return Role(int(value)).name.lower()
    if name == "flags":
        return _flags(int(value))
    return str(value) if not isinstance(value, np.floating) else "none" if np.isnan(value) else f"{value:.10g}"


def _flags(flags: int) -> str:
    """Write what a decision's flags say: how it came about, and by which threshold."""
    said = [words for bit, words in ((LATE, "after a restart"), (RULED, "by a rule")) if flags & bit]
    return "; ".join([*said, f"threshold {threshold_number(flags)}"])


def _reasons(explained: "Explained") -> list[Line]:
    head = [
        Line(name="decided by", said=f"the rule {explained.rule}" if explained.rule else "the version's score"),
        Line(name="score", said=f"{explained.score:.10g}"),
        Line(name="the version gives it again, bit for bit", said="yes" if explained.identical else "no"),
        Line(name="baseline", said=f"{explained.baseline:.6g}"),
    ]
    if explained.prior:
        head.append(Line(name="prior correction", said=f"{explained.prior:+.6g}"))
    return head + [
        Line(name=each.feature, said=f"value {each.value:.6g}, contribution {each.contribution:+.6g}")
        for each in explained.reasons
    ]


def _answers(reader: TapeReader, order: int) -> list[Line]:
    inputs = reader.read("inputs")
    mine = inputs[np.isin(inputs["kind"], (Kind.FILL, Kind.REJECT)) & (inputs["reference"] == order)]
    lines = []
    for event in mine:
        kind = Kind(int(event["kind"]))
        fields = zip(FIELDS[kind], event["values"].tolist(), strict=False)
        said = ", ".join(f"{name} {value:.10g}" for name, value in fields)
        lines.append(Line(name=f"{kind.name.lower()}, {iso(int(event['ts_event_ns']))}", said=said))
    return lines or [Line(name="answer", said="the record holds none", verdict="missing")]


def _facts(project: "Project", version: str) -> list[Line]:
    """Return what the ledger says of the version."""
    own = [e for e in project.ledger.facts(*ABOUT) if getattr(e.fact, "version", "") == version]
    lines = [Line(name="digest", said=version), *(_fact(entry) for entry in own)]
    if not any(isinstance(entry.fact, facts.VersionApproved) for entry in own):
        lines.append(Line(name="approval", said="nobody has approved it", verdict="missing"))
    return lines


def _fact(entry: Entry) -> Line:
    match entry.fact:
        case facts.GateJudged() as fact:
            said = f"gate {'passed' if fact.passed else 'did not pass'}, report {fact.report_digest[:SHORT]}"
        case facts.VersionPromoted() as fact:
            said = f"became {fact.role} in {fact.env},{in_words(fact.share, fact.instruments) or ' at its full size'}"
        case facts.VersionApproved() as fact:
            said = f"approved for {fact.env}"
        case _:
            said = "registered"
    return Line(name=f"fact {entry.number}, {iso(entry.ts_ns)[:19]}, {entry.actor}", said=f"{said} ({entry.reason})")
