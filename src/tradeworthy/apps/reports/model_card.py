"""The model card: a version's summary that a risk officer can read without its code."""

from typing import TYPE_CHECKING, Any

import msgspec

from tradeworthy.apps.reports.document import Document, Line, Part
from tradeworthy.core.decisions import SHORT
from tradeworthy.core.time import iso
from tradeworthy.judge.validate.gate import GateReport
from tradeworthy.model.manifest import Manifest

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project


def model_card(project: "Project", version: str) -> Document:
    """Return the card of a version, with what changed against the champion.

    Raises
    ------
    NotFound
        There is no such version.
    """
    digest, standing = project.resolve(version), project.registry.standing()
    manifest = project.registry.load(digest).manifest
    parts = [
        Part(name="Purpose", about="What it is for, and who answers for it.", lines=_fields(manifest.card)),
        Part(
            name="Made", about="By whom, when, from what.", lines=_made(manifest, digest, standing.roles().get(digest))
        ),
        Part(name="Acts", about="From score to position.", lines=_fields(manifest.signal) + _thresholds(manifest)),
        Part(name="Bounds", about="The limits that it was validated for.", lines=_fields(manifest.bounds)),
        Part(name="Judged", about="By the gate.", lines=_judged(project, digest)),
        Part(
            name="Approved",
            about="By somebody who did not make it.",
            lines=_approved(standing.approvals.get(digest, [])),
        ),
    ]
    if standing.champion not in (None, digest):
        before = project.registry.load(str(standing.champion)).manifest
        about = f"Beside the champion {str(standing.champion)[:SHORT]}."
        parts.append(Part(name="Changed", about=about, lines=_changed(before, manifest)))
    return Document(
        title=f"Model card: {manifest.name} {digest[:SHORT]}",
        subtitle=f"{manifest.env}; features: {', '.join(manifest.features)}.",
        created_ns=project.clock.now_ns(),
        parts=parts,
    )


def _fields(of: msgspec.Struct) -> list[Line]:
    """Return every field of a struct; one that is empty is missing."""
    lines = []
    for name in of.__struct_fields__:
        value = getattr(of, name)
        empty = value is None or value == ""
        said = "missing" if empty else _entry(name, value)
        lines.append(Line(name=_words(name), said=said, verdict="missing" if empty else ""))
    return lines


def _made(manifest: Manifest, digest: str, role: str | None) -> list[Line]:
    own = {"digest": digest, "author": manifest.author, "created": iso(manifest.created_ns), "role": role or "none"}
    return [Line(name=name, said=said) for name, said in own.items()] + _fields(manifest.lineage)


def _listed(lines: list[Line]) -> str:
    return "; ".join(f"{line.name}: {line.said}" for line in lines) or "none"


def _thresholds(manifest: Manifest) -> list[Line]:
    """Return the thresholds by group, with why they are lawful and who answers for it; nothing where there are none."""
    told = manifest.thresholds
    if told is None:
        return []
    lines = [
        Line(name=f"threshold of {told.column} {each.value:g}", said=f"enter long {each.enter_long:g}")
        for each in told.group
    ]
    return [*lines, Line(name="lawful", said=told.lawful), Line(name="answers for it", said=told.owner)]


def _judged(project: "Project", digest: str) -> list[Line]:
    judged = project.registry.standing().gates.get(digest)
    if judged is None:
        return [Line(name="gate", said="it was never judged", verdict="missing")]
    report = msgspec.json.decode(project.registry.gate_report(digest), type=GateReport)
    verdict = "passed" if judged.passed else f"did not pass: {', '.join(judged.failed_checks)}"
    head = [Line(name=f"gate, profile {judged.profile}, {iso(report.created_ns)}", said=verdict)]
    return head + [Line(name=_words(each.name), said=f"{each.verdict}: {each.measured}") for each in report.results]


def _approved(approvals: list[tuple[str, str]]) -> list[Line]:
    if not approvals:
        return [Line(name="approval", said="nobody has approved it", verdict="missing")]
    return [Line(name=actor, said=f"for {env}") for actor, env in approvals]


def _changed(before: Manifest, after: Manifest) -> list[Line]:
    """Return what differs in card, signal, bounds, features and lineage."""
    lines = []
    for part in ("card", "signal", "bounds", "lineage"):
        one, other = getattr(before, part), getattr(after, part)
        for name in other.__struct_fields__:
            old, new = getattr(one, name), getattr(other, name)
            if old != new:
                lines.append(Line(name=f"{part}: {_words(name)}", said=f"{_entry(name, old)} → {_entry(name, new)}"))
    one, other = _listed(_thresholds(before)), _listed(_thresholds(after))
    if one != other:
        lines.append(Line(name="thresholds by group", said=f"{one} → {other}"))
    if before.features != after.features:
        added, gone = (
            sorted(set(a) - set(b)) for a, b in ((after.features, before.features), (before.features, after.features))
        )
        lines.append(
            Line(name="features", said=f"added {', '.join(added) or 'none'}; removed {', '.join(gone) or 'none'}")
        )
    return lines or [Line(name="nothing", said="no entry differs")]


def _words(name: str) -> str:
    return name.removesuffix("_ts_ns").replace("_", " ")


def _entry(name: str, value: Any) -> str:
    """Write an entry of a manifest; a time as a time, where it is known."""
    if name.endswith("_ns"):
        return iso(value) if value else "not known"
    return _said(value)


def _said(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={_said(each)}" for key, each in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
