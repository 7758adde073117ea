"""The view of versions: which there are, the life of one, what the gate said, and the steps that it may take next."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tradeworthy.apps.dashboard.comparison import compare_form
from tradeworthy.apps.dashboard.decision import clock
from tradeworthy.apps.dashboard.layout import Visit, choice, entry, reason_form, step_form
from tradeworthy.apps.dashboard.shadowing import ShadowLine
from tradeworthy.apps.dashboard.shadows import shadows_table
from tradeworthy.apps.reports.bars import Lane, Span, timeline
from tradeworthy.apps.reports.charts import Mark
from tradeworthy.apps.reports.html import badge, code, more, pairs, table
from tradeworthy.apps.reports.markup import Markup, join, tag
from tradeworthy.change.access.roles import roles_that_may
from tradeworthy.change.registry import VersionInfo
from tradeworthy.change.release.canary import CANARY_SHARE
from tradeworthy.change.release.release import PREVIOUS
from tradeworthy.change.release.standing import NO_RULE, Standing
from tradeworthy.core.time import iso
from tradeworthy.model.manifest import Manifest

LANE_LETTERS = 22

NO_VERSION = "No version is registered yet: run tradeworthy train, then tradeworthy register."
ACTING = ("champion", "canary")
NEXT_ROLES = {
    "champion": (),
    "canary": ("champion",),
    "shadow": ("canary", "champion", "retired"),
}
"""What a version of a role may become; of any other role, all that scores or acts."""


FALLBACK_WORDS = {
    "previous": "the version before; this one goes on as a shadow",
    "flat": "a rule: hold nothing",
    "hold": "a rule: keep the position that there is",
    "base_rate": "a rule: act on the mean label of training",
    "none": "the champion itself again",
}
"""What may decide in the champion's place."""

WAYS_BACK = {"rollback": "roll back", "resize": "let something else decide"}


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


def versions_view(
    visit: Visit,
    standing: Standing,
    versions: Sequence[VersionInfo],
    stretches: Sequence[Stretch],
    shadows: Sequence[ShadowLine],
    *,
    accumulated: Markup | None = None,
) -> Markup:
    """Build the list, who was in charge when, and how shadows fare; `accumulated` is what came without a person."""
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
    chosen = compare_form(versions)
    return join(
        _timeline(stretches, {each.version: each.name for each in versions}),
        _instead(visit, standing) if standing.champion else None,
        tag(
            "section",
            tag("h2", "All versions"),
            table(head, rows, empty=NO_VERSION),
        ),
        tag("section", tag("h2", "Shadows beside the champion"), shadows_table(shadows)),
        tag("section", tag("h2", "Two beside each other"), chosen) if chosen else None,
        accumulated,
    )


def _instead(visit: Visit, standing: Standing) -> Markup:
    """Return the ways to something else than the champion, for those who may take them; to others, who could."""
    before, ruled = standing.previous, standing.rule != NO_RULE
    steps = []
    if visit.may("rollback") and before:
        steps.append(reason_form(visit, "/do/rollback", "Roll back", tone="stop"))
    if visit.may("resize"):
        useless = {word for word, helps in ((PREVIOUS, before), (NO_RULE, ruled)) if not helps}
        ways = {to: said for to, said in FALLBACK_WORDS.items() if to not in useless}
        chosen = choice("to", "Decides instead", ways, NO_RULE if ruled else "")
        steps.append(step_form(visit, "/do/fallback", "Let something else decide", chosen))
    told = [
        f"The rule {standing.rule} decides in its place. " if ruled else "",
        f"The champion before was {before[:8]}." if before else "There is no champion before this one to go back to.",
    ]
    lacking = [_needs(action, what) for action, what in WAYS_BACK.items() if not visit.may(action)]
    return join(
        tag("div", *steps, class_="steps") if steps else None, tag("p", "".join(told), *lacking, class_="empty")
    )


def _needs(action: str, what: str) -> str:
    return f" To {what} needs the role {' or '.join(roles_that_may(action))}."


def _gate(each: VersionInfo) -> Markup:
    word = badge(each.gate, "good" if each.gate == "passed" else "bad" if each.gate == "failed" else "warn")
    return word if each.gate == "missing" else tag("a", word, href=f"/versions/{each.version[:16]}/gate")


def _timeline(stretches: Sequence[Stretch], called: Mapping[str, str]) -> Markup | None:
    """Draw who was in which role when."""
    if not stretches:
        return None
    first, last = min(each.first_ns for each in stretches), max(each.last_ns for each in stretches)
    names = dict.fromkeys(each.version for each in stretches)
    lanes = [
        Lane(
            f"{_shortened(called.get(name, ''))} {name[:8]}".strip(),
            [Span(s.first_ns, s.last_ns, s.role) for s in stretches if s.version == name],
        )
        for name in names
    ]
    swaps = [Mark(s.first_ns, "champion") for s in stretches if s.role == "champion"]
    return timeline("Roles over time", lanes, span_ns=(first, last), marks=swaps, caption="By the ledger's clock.")


def _shortened(name: str) -> str:
    """Return a name that fits beside its lane."""
    return name if len(name) <= LANE_LETTERS else f"{name[: LANE_LETTERS - 1]}\N{HORIZONTAL ELLIPSIS}"


def version_view(
    visit: Visit, info: VersionInfo, manifest: Manifest, life: Sequence[Step], traded: Sequence[str] = ()
) -> Markup:
    """Build the page of one version, on a desk that trades these instruments."""
    return join(
        tag("p", code(info.version), class_="empty"),
        pairs(_facts(info)),
        _steps(visit, info, traded),
        tag("section", tag("h2", "Its life"), _life(life), class_="stack"),
        tag("section", tag("h2", "Model card"), _card(manifest)),
        tag("section", tag("h2", "Where it comes from"), pairs(_lineage(manifest)), _told(manifest)),
        tag("section", tag("h2", "The bounds it was validated for"), _bounds(manifest)),
    )


def _facts(info: VersionInfo) -> list[tuple[str, Markup | str]]:
    return [
        ("Name", info.name),
        ("Role", info.role),
        ("Gate", _gate(info)),
        ("Author", info.author),
        ("Approved by", ", ".join(info.approved_by) or "nobody"),
        ("For", info.env),
        ("Parent", tag("a", code(info.parent[:16]), href=f"/versions/{info.parent[:16]}") if info.parent else "none"),
    ]


def _steps(visit: Visit, info: VersionInfo, traded: Sequence[str]) -> Markup:
    """Return the steps that it may take next, for those who may ask; to others, who could."""
    address, steps = f"/do/versions/{info.version[:16]}", []
    if visit.may("approve") and visit.person.name not in (info.author, *info.approved_by):
        steps.append(reason_form(visit, f"{address}/approve", "Approve"))
    if visit.may("promote"):
        steps += _roles(visit, info, f"{address}/promote", traded)
    if visit.may("resize") and info.role in ACTING:
        steps.append(
            step_form(visit, "/do/resize", "Change its size", _share("Share of full size, %; 0 wants to be flat"))
        )
    return join(
        tag("div", *steps, class_="steps") if steps else None, tag("p", *_who_else(visit, info), class_="empty")
    )


def _roles(visit: Visit, info: VersionInfo, address: str, traded: Sequence[str]) -> Iterator[Markup]:
    """Yield a form for each role that it may be given now."""
    for role in NEXT_ROLES.get(info.role, ("shadow", "canary", "champion")):
        hidden = tag("input", type="hidden", name="role", value=role)
        part = _part(traded) if role == "canary" else []
        yield step_form(visit, address, "Retire" if role == "retired" else f"Make {role}", hidden, *part)


def _part(traded: Sequence[str]) -> list[Markup]:
    """Return the fields that say on which part of the desk a canary acts."""
    share = _share("Share of full size, %")
    if len(traded) < 2:  # a canary's, and the champion's
        return [share]
    label = f"Or in full on some of {', '.join(traded)} alone"
    return [share, entry("instruments", label, required=False, size="16")]


def _share(label: str) -> Markup:
    return entry("share", label, inputmode="decimal", value=f"{CANARY_SHARE:.0%}".rstrip("%"), size="6")


def _who_else(visit: Visit, info: VersionInfo) -> Iterator[str]:
    """Yield why a step is not offered, in words."""
    if visit.may("approve") and visit.person.name == info.author:
        yield "You made this version: somebody else has to approve it. "
    lacking = [action for action in ("approve", "promote", "resize") if not visit.may(action)]
    for action in lacking:
        yield f"{_needs(action, action).strip()} "


def _life(life: Sequence[Step]) -> Markup:
    rows = [(clock(step.time), step.done, step.actor, step.reason) for step in reversed(life)]
    return table(("Time, UTC", "What", "Who", "Why"), rows, align="tlll")


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
    return [
        ("Trained on", f"{lineage.trained_on_rows:,} rows"),
        ("From, UTC", clock(iso(lineage.first_ts_ns))),
        ("To, UTC", clock(iso(lineage.last_ts_ns))),
        ("Code", _words(lineage.code_version)),
        ("Device", _words(lineage.device)),
        ("Data", code(lineage.data_digest[:16]) if lineage.data_digest else "not said"),
    ]


def _told(manifest: Manifest) -> Markup:
    """Return what training was told and how it did, each behind a line that opens it."""
    parameters, metrics = manifest.lineage.parameters, manifest.lineage.fold_metrics
    how = [(name.replace("_", " "), f"{value:.5g}") for name, value in metrics.items()]
    return join(
        more("What training was told", table(("Parameter", "Value"), list(parameters.items()), align="lr")),
        more("How it did in training", table(("Figure", "Value"), how, align="lr")),
    )


def _bounds(manifest: Manifest) -> Markup:
    bounds = manifest.bounds
    rows = [
        (name.replace("_", " "), f"{value:,.12g}")
        for name in bounds.__struct_fields__
        if (value := getattr(bounds, name)) is not None
    ]
    empty = "It was validated without bounds of its own: the desk's limits alone count."
    return table(("Limit", "Bound"), rows, align="lr", empty=empty)
