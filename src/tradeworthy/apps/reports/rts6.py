"""The yearly self-assessment of RTS 6, article by article, from the record: evidence, or the word *missing*.

Idea:   an article is one function of a year's facts. It says what the record shows, and nothing that it does not: an
        absent fact is missing, never passed. No threshold of ours is one of the regulation's.
Reference: Commission Delegated Regulation (EU) 2017/589, articles 1, 5, 7 to 18 and 28. This is no legal advice.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tradeworthy.apps.reports.document import Document, Line, Part
from tradeworthy.change.access.roles import ACTIONS, roles_that_may
from tradeworthy.change.release.distance import gone_by, in_words
from tradeworthy.change.release.standing import Standing
from tradeworthy.change.watch.pulse import ALERT_DELAY_S_MAX, Pulse, read_pulse
from tradeworthy.core import facts
from tradeworthy.core.decisions import SHORT
from tradeworthy.core.errors import BundleRefused, NotFound
from tradeworthy.core.limits import Limits
from tradeworthy.core.time import iso
from tradeworthy.record.ledger import Entry

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

STRESS_FACTOR_MIN = 2.0
"""What article 10 asks for."""

SHOWN = 20
"""So many facts of one kind are listed; the rest are counted."""


class Noted(NamedTuple):
    """A fact of a kind that was asked for, with time, actor and reason."""

    ts_ns: int
    actor: str
    reason: str
    fact: Any


@dataclass(frozen=True)
class Year:
    """What an article may look at."""

    year: int
    env: str
    entries: Sequence[Entry]
    standing: Standing
    limits: Limits
    review: Line
    pulse: Pulse | None
    verified: str

    def of(self, *kinds: type[facts.Fact]) -> list["Noted"]:
        """Return this year's facts of these kinds."""
        found = [entry for entry in self.entries if isinstance(entry.fact, kinds)]
        return [Noted(entry.ts_ns, entry.actor, entry.reason, entry.fact) for entry in found]


def assess(project: "Project", year: int) -> Document:
    """Return the self-assessment of one calendar year (UTC).

    Raises
    ------
    NotFound
        The record holds nothing of that year.
    """
    by_year: dict[int, list[Entry]] = {}
    for entry in project.ledger.facts():
        by_year.setdefault(int(iso(entry.ts_ns)[:4]), []).append(entry)
    if year not in by_year:
        years = ", ".join(map(str, sorted(by_year)))
        raise NotFound(f"the ledger holds nothing of {year}; it has facts of {years or 'no year'}")
    entries = by_year[year]
    found = Year(
        year,
        project.env,
        entries,
        project.registry.standing(),
        project.settings.limits,
        _review(project),
        read_pulse(project.places.watcher),
        _verified(project),
    )
    return Document(
        title=f"{project.settings.desk.name}: RTS 6 self-assessment of {year}",
        subtitle=f"Environment {project.env}; {len(entries):,} facts of the year. Evidence from the record alone.",
        created_ns=project.clock.now_ns(),
        parts=[
            Part(name=f"Article {number}: {name}", about=about, lines=article(found))
            for number, name, about, article in ARTICLES
        ],
    )


def _review(project: "Project") -> Line:
    """Say when the champion is looked at again; a bundle that cannot be read is no evidence."""
    champion, name = project.registry.standing().champion, "its next review"
    try:
        due = project.registry.load(champion).manifest.card.next_review if champion else ""
    except (BundleRefused, NotFound) as error:
        return Line(name=name, said=str(error), verdict="missing")
    return _line(name, due)


def _verified(project: "Project") -> str:
    """Say whether the whole record holds now; nothing where it does not, or where there is none."""
    if not project.places.tape.is_dir():
        return ""
    found = project.verify()
    return f"{found.records:,} records and {found.facts:,} facts hold, signatures included" if found.ok else ""


def _line(name: str, said: str) -> Line:
    """Return a line with evidence, or one that says that there is none."""
    return Line(name=name, said=said or "nothing in the record", verdict="evidence" if said else "missing")


def _told(entries: Sequence[Noted], words: Callable[[Noted], str]) -> str:
    """List facts with time, actor and reason."""
    told = [f"{iso(each.ts_ns)[:19]} {each.actor}: {words(each)} ({each.reason})" for each in entries[:SHOWN]]
    rest = len(entries) - SHOWN
    return "\n".join(told) + (f"\nand {rest:,} more" if rest > 0 else "")


def _governance(year: Year) -> list[Line]:
    given = year.of(facts.RolesGiven)
    may = "\n".join(f"{action}: {', '.join(roles_that_may(action))}" for action in ACTIONS)
    return [
        _line("who may do what", may),
        _line(
            "roles given in the year", _told(given, lambda e: f"{e.fact.person} {', '.join(e.fact.roles) or 'none'}")
        ),
    ]


def _deployment(year: Year) -> list[Line]:
    acting = [each for each in year.of(facts.VersionPromoted) if each.fact.role in ("champion", "canary")]
    lines = []
    for each in acting:
        version = each.fact.version
        author = year.standing.registered[version].author
        approved = [
            actor for actor, env in year.standing.approvals.get(version, []) if env == year.env and actor != author
        ]
        said = f"approved by {', '.join(approved)}, made by {author}" if approved else ""
        lines.append(_line(f"authorisation of {version[:SHORT]} as {each.fact.role}, {iso(each.ts_ns)[:19]}", said))
    return lines or [_line("a version that was let act", "")]


def _changes(year: Year) -> list[Line]:
    kinds = (
        facts.VersionPromoted,
        facts.VersionRolledBack,
        facts.LimitsChanged,
        facts.PolicyChanged,
        facts.SizeChanged,
        facts.RuleSet,
    )
    changed = year.of(*kinds)
    counts = Counter(type(each.fact).__name__ for each in changed)
    return [
        _line("when, who, what, why", _told(changed, lambda e: _change(e.fact))),
        _line("by kind", ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))),
        _line("budget of accumulated small changes since the last approval", _accumulated(year)),
    ]


def _accumulated(year: Year) -> str:
    """Say how far automatic promotions have come, and which of them had to wait for a person."""
    gone, since = gone_by(year.standing.champions, year.standing.steps)
    if not year.standing.champions:
        return ""
    waited = year.of(facts.PromotionFrozen)
    from_whom = since[:SHORT] if since else "nobody's approval"
    return f"since {from_whom}: {in_words(gone)}; frozen {len(waited)} times" + (
        f": {_told(waited, lambda e: e.fact.version[:SHORT])}" if waited else ""
    )


def _change(fact: facts.Fact) -> str:
    match fact:
        case facts.VersionPromoted(version=version, role=role):
            return f"{version[:SHORT]} became {role}"
        case facts.VersionRolledBack(version=version, to=to):
            return f"{version[:SHORT]} gave way to {to[:SHORT]}"
        case facts.LimitsChanged(scope=scope):
            return f"limits of {scope}"
        case facts.SizeChanged(share=share):
            return f"size {share:.0%}"
        case facts.RuleSet(rule=rule):
            return f"rule {rule}"
    return type(fact).__name__


def _testing(year: Year) -> list[Line]:
    envs = {v: each.env for v, each in year.standing.registered.items()}
    apart = "" if any(env != year.env for env in envs.values()) else f"all {len(envs)} versions are of {year.env!r}"
    judged = year.of(facts.GateJudged)
    return [
        _line("versions of another environment are kept out", apart if envs else ""),
        _line("tests before deployment", _told(judged, lambda e: f"{e.fact.version[:SHORT]} {_gate(e.fact)}")),
        Line(
            name="checks that people set aside; each counts once two of them did",
            said=_told(year.of(facts.CheckOverridden), lambda e: _override(e.fact)) or "none",
        ),
    ]


def _override(fact: facts.CheckOverridden) -> str:
    return f"{fact.check} of {fact.version[:SHORT]} until {iso(fact.until_ns)[:10]}"


def _gate(fact: facts.GateJudged) -> str:
    return "passed" if fact.passed else f"did not pass: {', '.join(fact.failed_checks)}"


def _limits(year: Year) -> list[Line]:
    return [
        _line(name.replace("_", " "), "" if (value := getattr(year.limits, name)) is None else f"{value:g}")
        for name in Limits.__struct_fields__
    ]


def _validation(year: Year) -> list[Line]:
    champion = year.standing.champion
    judged = champion is not None and any(each.fact.version == champion for each in year.of(facts.GateJudged))
    return [
        _line("the champion was judged in the year", f"{champion[:SHORT]}" if judged and champion else ""),
        year.review,
        *_stress(year),
    ]


def _stress(year: Year) -> list[Line]:
    """Tell every stress run at twice the peak or more; messages and orders are asked for apart."""
    runs = [each for each in year.of(facts.StressTested) if each.fact.factor >= STRESS_FACTOR_MIN]
    ordered = [
        each for each in runs if each.fact.orders_per_minute_driven >= STRESS_FACTOR_MIN * each.fact.orders_per_minute
    ]
    return [
        _line("messages at twice the highest volume of six months (article 10)", _told(runs, lambda e: _bore(e.fact))),
        _line(
            "orders at twice the highest volume of six months (article 10)",
            _told(
                ordered, lambda e: f"{e.fact.orders_per_minute_driven} a minute, {e.fact.orders_per_minute} recorded"
            ),
        ),
    ]


def _bore(fact: facts.StressTested) -> str:
    return (
        f"{fact.version[:SHORT]} {'kept up' if fact.passed else 'did NOT keep up'} at {fact.messages_per_s_driven} "
        f"messages a second, {fact.messages_per_s} recorded; 99% within {fact.us_p99:,.0f} us, {fact.dropped} dropped"
    )


def _stopping(year: Year) -> list[Line]:
    halts, resumed = year.of(facts.TradingHalted), year.of(facts.TradingResumed)
    return [
        _line("trading was halted, in earnest or as a drill", _told(halts, lambda e: e.fact.scope)),
        _line("and resumed by somebody", _told(resumed, lambda e: e.fact.scope)),
    ]


def _surveillance(year: Year) -> list[Line]:
    looks = year.of(facts.ConductSurveilled)
    lacks = {rule: why for each in looks for rule, why in each.fact.lacks.items()}
    asked = {
        entry.number
        for entry in year.entries
        if isinstance(entry.fact, facts.FindingRaised) and entry.fact.finding.kind == "surveillance"
    }
    closed = [each for each in year.of(facts.FindingClosed) if each.fact.finding in asked]
    return [
        _line("our own orders were looked at, rule by rule", _told(looks, lambda e: _looked(e.fact))),
        Line(name="alerts that were settled, and why", said=_told(closed, lambda e: str(e.fact.finding)) or "none"),
        *(Line(name=f"could not look everywhere: {rule}", said=why, verdict="missing") for rule, why in lacks.items()),
    ]


def _looked(fact: facts.ConductSurveilled) -> str:
    found = ", ".join(f"{rule} {count}" for rule, count in fact.alerts.items())
    return f"{fact.orders:,} orders, {fact.cancels:,} cancels up to record {fact.through_sequence}: {found}"


def _continuity(year: Year) -> list[Line]:
    return [
        _line("the record holds, verified now", year.verified),
        _line(
            "a rehearsal of continuity with its result",
            _told(year.of(facts.RecoveryRehearsed), lambda e: _came_back(e.fact)),
        ),
    ]


def _came_back(fact: facts.RecoveryRehearsed) -> str:
    result = "as it was" if fact.passed else f"NOT as it was: {'; '.join(fact.problems) or 'decisions differ'}"
    return f"came back from record {fact.began_after} to {fact.through_sequence} in {fact.seconds:.1f} s, {result}"


def _overrides(year: Year) -> str:
    """Say what was overridden and how it ended."""
    given = _told(year.of(facts.OrderOverridden), lambda e: f"order {e.fact.order}, {e.fact.check}")
    ended = _told(year.of(facts.OrderOverrideEnded), lambda e: f"order {e.fact.order} {e.fact.how}")
    return "\n".join(part for part in (given, ended) if part)


def _controls(year: Year) -> list[Line]:
    four = ("price_collar_bps_max", "order_value_max", "order_quantity_max", "orders_per_minute_max")
    throttle = year.limits.repeated_orders_max
    return [
        *(line for line in _limits(year) if line.name.replace(" ", "_") in four),
        _line(
            "repeated execution is throttled until a person resumes", "" if throttle is None else f"{throttle:g} orders"
        ),
        _line("overrides of a hard block by two roles", _overrides(year)),
    ]


def _monitoring(year: Year) -> list[Line]:
    raised = year.of(facts.FindingRaised)
    counts = Counter(each.fact.finding.kind for each in raised)
    handled = year.of(facts.FindingAcknowledged, facts.FindingClosed, facts.FindingAnswered)
    pulse, delay = year.pulse, ""
    if pulse is not None and any(sink.sent for sink in pulse.sinks):
        within = "within" if pulse.alert_delay_s_max <= ALERT_DELAY_S_MAX else "beyond"
        delay = f"at most {pulse.alert_delay_s_max:.2f} s, {within} the {ALERT_DELAY_S_MAX:g} s of 16(5)"
    return [
        _line("findings", ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))),
        _line(
            "what was done about them", f"{len(handled):,} answers, acknowledgements and closures" if handled else ""
        ),
        _line("delay from event to alert", delay),
    ]


def _reconciliation(year: Year) -> list[Line]:
    compared = year.of(facts.FillsReconciled)
    apart = [each for each in compared if each.fact.differences]
    return [
        _line("fills were compared with the venue's own record", _told(compared, lambda e: _compared(e.fact))),
        _line(
            "all that was compared agreed, or the differences were told as findings",
            "" if not compared else f"{len(compared) - len(apart)} of {len(compared)} agreed" + _breaks(year),
        ),
    ]


def _compared(fact: facts.FillsReconciled) -> str:
    return f"{fact.fills:,} fills up to record {fact.through_sequence} with {fact.against}, {fact.differences:,} apart"


def _breaks(year: Year) -> str:
    found = [each for each in year.of(facts.FindingRaised) if each.fact.finding.kind == "reconciliation"]
    return "\n" + _told(found, lambda e: e.fact.finding.sentence) if found else ""


def _access(year: Year) -> list[Line]:
    issued = year.of(facts.KeyIssued, facts.KeyRevoked)
    return [
        _line("keys", _told(issued, lambda e: f"{type(e.fact).__name__} {e.fact.key}")),
        _line(
            "every step names who took it",
            f"{len(year.entries):,} facts, {len({e.actor for e in year.entries})} actors",
        ),
    ]


def _records(year: Year) -> list[Line]:
    deleted, held = year.of(facts.RecordDeleted), year.of(facts.LegalHoldPlaced)
    return [
        _line("order records with versions, sequences and paired times", year.verified),
        Line(
            name="deleted by age", said=_told(deleted, lambda e: f"{e.fact.records:,} of {e.fact.stream}") or "nothing"
        ),
        Line(name="legal holds", said=_told(held, lambda e: e.fact.name) or "none"),
    ]


ARTICLES: tuple[tuple[str, str, str, Callable[[Year], list[Line]]], ...] = (
    ("1", "governance", "Clear lines of accountability.", _governance),
    ("5(2)", "authorisation", "A designated person authorises each deployment; never its author.", _deployment),
    ("5(7) and 11", "changes", "When, who made it, who approved it, what it was.", _changes),
    ("7", "testing apart", "The test environment is apart from production.", _testing),
    ("8", "limits before deployment", "Every limit is set.", _limits),
    ("9 and 10", "yearly validation", "Self-assessment, validation, stress.", _validation),
    ("12", "kill functionality", "All orders can be stopped at once.", _stopping),
    ("13", "surveillance", "Attempts at manipulation are noticed.", _surveillance),
    ("14", "continuity", "The desk survives what fails.", _continuity),
    ("15", "pre-trade controls", "Collars, values, volumes, messages, throttle.", _controls),
    ("16", "monitoring in real time", "Alerts within five seconds.", _monitoring),
    ("17", "post-trade controls", "Reconciliation with the venue.", _reconciliation),
    ("18", "security and access", "Access is restricted and traceable.", _access),
    ("28", "records", "Order records are complete and kept.", _records),
)
