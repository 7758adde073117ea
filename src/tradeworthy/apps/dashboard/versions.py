"""The view of versions: which there are, the life of one, what the gate said, and the steps that it may take next."""

from collections.abc import Sequence
from dataclasses import dataclass

from tradeworthy.apps.dashboard.layout import Visit, reason_form
from tradeworthy.apps.reports.bars import Lane, Span, timeline
from tradeworthy.apps.reports.charts import Mark
from tradeworthy.apps.reports.html import badge, code, pairs, paragraph, table
from tradeworthy.apps.reports.markup import Markup, join, tag
from tradeworthy.change.registry import VersionInfo
from tradeworthy.judge.validate.gate import GateReport
from tradeworthy.model.manifest import Manifest

VERDICTS = {"pass": "good", "fail": "bad", "missing": "warn"}


@dataclass(frozen=True, slots=True)
class Step:
    """One fact of a version's life."""

    ts_ns: int
    time: str
    done: str
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """A version in one role for a while."""

    version: str
    role: str
    first_ns: int
    last_ns: int


def versions_view(visit: Visit, versions: Sequence[VersionInfo], stretches: Sequence[Stretch]) -> Markup:
    """Build the list, and who was in charge when."""
    back = reason_form(visit, "/do/rollback", "Roll back", tone="stop") if visit.may("rollback") else None
    rows = [
        (
            tag("a", code(each.version[:16]), href=f"/versions/{each.version[:16]}"),
            each.name,
            badge(each.role, "good" if each.role == "champion" else ""),
            _gate(each),
            each.author,
            ", ".join(each.approved_by) or "nobody",
        )
        for each in reversed(versions)
    ]
    head = ("Version", "Name", "Role", "Gate", "Author", "Approved by")
    return join(
        _timeline(stretches),
        tag("section", tag("h2", "All versions"), table(head, rows, empty="No version is registered yet.")),
        tag("section", tag("h2", "Back to the previous champion"), back) if back else None,
    )


def _gate(each: VersionInfo) -> Markup:
    word = badge(each.gate, "good" if each.gate == "passed" else "bad" if each.gate == "failed" else "warn")
    return word if each.gate == "missing" else tag("a", word, href=f"/versions/{each.version[:16]}/gate")


def _timeline(stretches: Sequence[Stretch]) -> Markup | None:
    """Draw who was in which role when."""
    if not stretches:
        return None
    first, last = min(each.first_ns for each in stretches), max(each.last_ns for each in stretches)
    names = dict.fromkeys(each.version for each in stretches)
    lanes = [
        Lane(name[:8], [Span(s.first_ns, s.last_ns, s.role) for s in stretches if s.version == name]) for name in names
    ]
    swaps = [Mark(s.first_ns, "champion") for s in stretches if s.role == "champion"]
    return timeline(
        "Roles over time", lanes, span_ns=(first, max(last, first + 1)), marks=swaps, caption="By the ledger's clock."
    )


def version_view(visit: Visit, info: VersionInfo, manifest: Manifest, life: Sequence[Step]) -> Markup:
    """Build the page of one version."""
    return join(
        pairs(_facts(info)),
        _steps(visit, info),
        tag("section", tag("h2", "Its life"), _life(life)),
        tag("section", tag("h2", "Model card"), _card(manifest)),
        tag("section", tag("h2", "Where it comes from"), pairs(_lineage(manifest))),
        tag("section", tag("h2", "The bounds it was validated for"), _bounds(manifest)),
    )


def _facts(info: VersionInfo) -> list[tuple[str, Markup | str]]:
    return [
        ("Digest", code(info.version)),
        ("Name", info.name),
        ("Role", info.role),
        ("Gate", _gate(info)),
        ("Author", info.author),
        ("Approved by", ", ".join(info.approved_by) or "nobody"),
        ("For", info.env),
        ("Parent", tag("a", code(info.parent[:16]), href=f"/versions/{info.parent[:16]}") if info.parent else "none"),
    ]


def _steps(visit: Visit, info: VersionInfo) -> Markup | None:
    """Return the steps that it may take next, for those who may ask."""
    address = f"/do/versions/{info.version[:16]}"
    steps = []
    if visit.may("approve") and visit.person.name != info.author:
        steps.append(reason_form(visit, f"{address}/approve", "Approve"))
    if visit.may("promote"):
        wanted = {"shadow": "champion", "champion": ""}.get(info.role, "shadow")
        roles = [role for role in ("champion", wanted, "retired") if role and role != info.role]
        steps += [
            reason_form(visit, f"{address}/promote", f"Make {role}", ("role", role))
            for role in dict.fromkeys(roles)
            if info.role != "champion" or role != "retired"
        ]
    return tag("div", *steps, class_="steps") if steps else None


def _life(life: Sequence[Step]) -> Markup:
    rows = [(step.time[:19].replace("T", " "), step.done, step.actor, step.reason) for step in reversed(life)]
    return table(("When", "What", "Who", "Why"), rows, align="tlll")


def _card(manifest: Manifest) -> Markup:
    said = [
        (name.replace("_", " ").capitalize(), _words(getattr(manifest.card, name)))
        for name in manifest.card.__struct_fields__
    ]
    return pairs(said)


def _words(value: object) -> str:
    if isinstance(value, list | tuple):
        return "; ".join(str(each) for each in value) or "not said"
    return str(value) if value not in (None, "") else "not said"


def _lineage(manifest: Manifest) -> list[tuple[str, Markup | str]]:
    lineage = manifest.lineage
    return [(name.replace("_", " ").capitalize(), _words(getattr(lineage, name))) for name in lineage.__struct_fields__]


def _bounds(manifest: Manifest) -> Markup:
    rows = [(name, _words(getattr(manifest.bounds, name))) for name in manifest.bounds.__struct_fields__]
    return table(("Limit", "Bound"), rows, align="lr")


def gate_view(report: GateReport) -> Markup:
    """Show what the gate required, what it measured, and how it judged."""
    verdict = badge("passed" if report.passed else "refused", "good" if report.passed else "bad")
    rows = [
        (
            badge(each.verdict, VERDICTS.get(each.verdict, "warn")),  # type: ignore[arg-type]  # one of the tones
            each.name.replace("_", " "),
            each.requirement,
            each.measured,
        )
        for each in report.results
    ]
    words = paragraph(join(verdict, f" {len(report.results)} checks, profile {report.profile}."))
    return join(words, table(("Verdict", "Check", "Required", "Measured"), rows))
