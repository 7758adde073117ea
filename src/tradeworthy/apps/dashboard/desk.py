"""The view of the desk: is it trading, is it healthy, what did it just do, and how near is each limit."""

from collections.abc import Sequence
from dataclasses import dataclass

from tradeworthy.apps.commands.handling import CaseLine
from tradeworthy.apps.dashboard.following import DecisionLine, Frame
from tradeworthy.apps.dashboard.layout import Visit, money_text, positions, reason_form
from tradeworthy.apps.dashboard.telling import FactLine
from tradeworthy.apps.reports.formats import plural
from tradeworthy.apps.reports.html import KeyFigure, Tone, badge, key_figures, meter, pairs, paragraph, table
from tradeworthy.apps.reports.markup import Markup, join, tag
from tradeworthy.change.watch.findings import gravity

WANTED = (
    ("wanted to be long", "s3"),
    ("flat", "s5"),
    ("short", "s2"),
    ("was refused", "refused"),
)
"""The colours of the band under the price."""

WHOLE = "All of it"
LOOKS = (
    ("closer", "+", "Closer"),
    ("wider", "\N{MINUS SIGN}", "Wider"),
    ("earlier", "\N{LEFTWARDS ARROW}", "Earlier"),
    ("later", "\N{RIGHTWARDS ARROW}", "Later"),
    ("whole", "All", WHOLE),
)
"""What the buttons over the charts do, as the script names it, in a sign and in words."""

NO_CHAMPION = "none yet: train, register, gate and promote one"
NO_LIMIT = "Nothing is set yet: the [limits] of tradeworthy.toml are, when the desk first runs; the page changes them."

POINTED = (
    "Drag to look closer, until each is a dot of its own; double-click for all of it; click for the decision. "
    "With keys: + and \N{MINUS SIGN} for closer and wider, arrows to move along, Home for all of it."
)
TOUCHED = "Two fingers look closer, until each is a dot of its own; one moves along; a tap opens the decision."

FINDINGS = 6
"""Open findings that the view tells in words; as tall as the last decisions beside them."""

PRICE = "Price with decisions, buys and sales"


@dataclass(frozen=True, slots=True)
class Halt:
    """A halt that stands: its scope, who asked for it, when and why."""

    scope: str
    actor: str
    time: str
    reason: str


@dataclass(frozen=True, slots=True)
class Exposure:
    """A limit with what is used of it; `used` is None where nothing on the record says."""

    name: str
    used: float | None
    limit: float | None
    unit: str


Percentiles = tuple[float, float, float]
"""p50, p99 and p99.9."""


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast the desk was over its last decisions; None where the record does not say.

    Attributes
    ----------
    decision_us : tuple of float
        From an event's receipt to its decision.
    feed_ms : tuple of float
        From an event at the venue to its receipt.
    is_past : bool
        The market is a past one: its events lag by years, so that says nothing.
    """

    decision_us: Percentiles | None = None
    feed_ms: Percentiles | None = None
    is_past: bool = False


@dataclass(frozen=True, slots=True)
class Desk:
    """What the view shows beside the present moment."""

    halts: Sequence[Halt]
    exposures: Sequence[Exposure]
    approved_by: str
    speed: Speed
    symbols: Sequence[str]
    changes: Sequence[FactLine] = ()


def desk_view(visit: Visit, frame: Frame, desk: Desk) -> Markup:
    """Build the view; the parts that change while one looks are replaced by the server's events."""
    return join(
        tag("div", figures(frame, desk), sse_swap="figures"),
        tag("div", last_act(frame), sse_swap="last-act"),
        halts(visit, desk.halts),
        charts(desk.symbols),
        tag(
            "div",
            tag("section", tag("h2", "Latest decisions"), tag("div", latest(frame.latest), sse_swap="latest")),
            tag("section", tag("h2", "Open findings"), tag("div", findings(frame.findings), sse_swap="findings")),
            class_="columns",
        ),
        tag("section", tag("h2", "What changed"), tag("div", changes(desk.changes), sse_swap="changes")),
        tag("section", tag("h2", "Limits"), tag("div", exposure_table(desk.exposures), sse_swap="limits")),
    )


def figures(frame: Frame, desk: Desk) -> Markup:
    """Set the few numbers that say how the desk is."""
    since = "" if frame.champion_age_s is None else f"champion for {age(frame.champion_age_s)}; {desk.approved_by}"
    return key_figures(
        [
            _trading(frame),
            KeyFigure("Champion", frame.champion[:8] or "none", remark=since.strip("; ") or NO_CHAMPION),
            KeyFigure(
                "P&L after costs",
                money_text(frame.pnl_after_costs),
                remark=f"fees {frame.fees:,.2f}",
                tone="good" if frame.pnl_after_costs > 0 else "bad" if frame.pnl_after_costs < 0 else "",
            ),
            KeyFigure("Position", positions(frame), remark=f"{frame.fills:,} fills{counted_since(frame)}"),
            _decisions(frame),
            _decision_time(desk.speed),
            _feed_lag(desk.speed),
            _watched(frame),
        ]
    )


def counted_since(frame: Frame) -> str:
    """Say from when on is counted, where that is not the whole tape."""
    return f"; since {frame.since[:16].replace('T', ' ')}" if frame.since else ""


def _trading(frame: Frame) -> KeyFigure:
    """Say whether it trades, where, and at which size."""
    halted, running = frame.trading != "yes", frame.engine == "running"
    ruled, reduced = frame.rule != "none", frame.size < 1.0 or frame.rule != "none"
    fallen = "by a rule" if ruled else "reduced" if reduced else "yes"
    said = "halted" if halted else "engine not running" if not running else fallen
    where = f"on {frame.env}" + (f", at {frame.size:.0%} of full size" if frame.size < 1.0 else "")
    where += f"; {frame.rule} decides in the version's place" if ruled else ""
    tone: Tone = "bad" if halted else "good" if running and not reduced else "warn"
    return KeyFigure("Trading", said, remark=f"{frame.trading}, {where}" if halted else where, tone=tone)


def _decisions(frame: Frame) -> KeyFigure:
    """Say how many decisions there were, how fast they come, and what was refused most."""
    rate = f"{frame.decisions_per_s:,.0f} a second; " if frame.decisions_per_s else ""
    refused = sum(frame.denials.values())
    remark = f"{rate}{refused:,} refused: {_most(frame.denials)}" if refused else f"{rate}nothing was refused"
    return KeyFigure("Decisions", f"{frame.decisions:,}", remark=remark + counted_since(frame))


def _decision_time(speed: Speed) -> KeyFigure:
    """Say how long a decision takes."""
    if speed.decision_us is None and speed.is_past:
        return KeyFigure("Decision time", "unknown", remark="played from files, in the market's own time")
    if speed.decision_us is None:
        return KeyFigure("Decision time", "unknown", remark="not measured yet")
    p50, p99, p999 = speed.decision_us
    remark = f"p50 {p50:,.0f}, p99.9 {p999:,.0f} us; from receipt to decision"
    return KeyFigure("Decision time", f"{p99:,.0f}", "us p99", remark=remark)


def _feed_lag(speed: Speed) -> KeyFigure:
    """Say how late events come."""
    if speed.is_past:
        return KeyFigure("Feed lag", "none", remark="played from files, a market of the past")
    if speed.feed_ms is None:
        return KeyFigure("Feed lag", "unknown", remark="no event yet")
    p50, p99, _ = speed.feed_ms
    return KeyFigure("Feed lag", f"{p99:,.1f}", "ms p99", remark=f"p50 {p50:,.1f} ms; from the venue to the desk")


def _watched(frame: Frame) -> KeyFigure:
    """Say how the watcher is."""
    if frame.watcher is None:
        return KeyFigure("Watcher", "none", remark="nobody watches this desk", tone="warn")
    late = frame.watcher.heard_s_ago > 10.0
    remark = f"{frame.behind_records:,} records behind; slowest alert {frame.watcher.alert_delay_s_max:.1f} s"
    return KeyFigure("Watcher", f"{age(frame.watcher.heard_s_ago)} ago", remark=remark, tone="warn" if late else "")


def halts(visit: Visit, standing: Sequence[Halt]) -> Markup | None:
    """Say what is halted, by whom and why, with the way back for those who may."""
    if not standing:
        return None
    rows = [_halt(visit, each) for each in standing]
    return tag("section", tag("h2", "Halted"), *rows, class_="halted")


def _halt(visit: Visit, halt: Halt) -> Markup:
    said = tag("p", tag("strong", halt.scope), f" by {halt.actor} at {halt.time[:19].replace('T', ' ')}: {halt.reason}")
    way = reason_form(visit, "/do/resume", "Resume", ("scope", halt.scope))
    return tag("div", said, way if visit.may("resume") else paragraph("Resuming needs the role risk.", "empty"))


def last_act(frame: Frame) -> Markup:
    """Say what the desk did last, and why."""
    act = frame.last_act
    if act is None:
        return paragraph("It has sent no order yet.", "said")
    way = tag("a", "Why?", href=f"/decisions/{act.decision}", aria_label=f"Why decision {act.decision}")
    return tag("p", tag("strong", "Last order. "), act.said, " ", way, class_="said")


def charts(symbols: Sequence[str]) -> Markup:
    """Return the places that the page's script fills with charts, and the words for those who cannot see them."""
    choices = (tag("option", symbol, value=symbol) for symbol in symbols)
    pick = tag("label", tag("span", "Instrument"), tag("select", choices, id="symbol"))
    return tag(
        "section",
        tag("div", tag("h2", "Price, decisions, fills and equity"), pick if len(symbols) > 1 else None, class_="head"),
        looks(),
        tag(
            "div",
            id="price",
            class_="plot",
            role="img",
            aria_label=PRICE,
            aria_describedby="looking",
            data_curves="/curves",
        ),
        tag("ul", (tag("li", tag("i", class_=f"box {tone}"), words) for words, tone in WANTED), class_="legend wanted"),
        tag("div", id="equity", class_="plot low", role="img", aria_label="Equity after costs"),
        tag(
            "p",
            "The band under the price counts every decision: of those in a column of pixels, which share wanted what. ",
            tag("span", POINTED, class_="pointed"),
            tag("span", TOUCHED, class_="touched"),
            class_="empty",
            id="looking",
        ),
        data_symbol=symbols[0] if symbols else "",
        id="charts",
    )


def looks() -> Markup:
    """Return the buttons that look closer at the charts; they show once there is something to see.

    What is seen is announced when somebody asks for another stretch, and not as events come in: the script writes it
    only when it changes.
    """
    buttons = (
        tag("button", sign, type="button", data_look=look, aria_label=said, title=said) for look, sign, said in LOOKS
    )
    seen = tag("output", WHOLE, id="stretch", class_="empty")
    return tag("div", buttons, seen, role="group", aria_label="What the charts show", class_="looks", hidden=True)


def latest(lines: Sequence[DecisionLine]) -> Markup:
    """List the last decisions, the newest first."""
    rows = [
        (
            line.time[5:19].replace("T", " "),
            line.instrument,
            f"{line.score:.4f}",
            did(line.quantity, line.verdict),
            tag("a", "Why?", href=f"/decisions/{line.sequence}", aria_label=f"Why decision {line.sequence}"),
        )
        for line in lines
    ]
    head = ("Time, UTC", "Instrument", "Score", "What it did", "")
    listed = table(head, rows, align="tlrll", empty="Nothing was decided yet.")
    return join(listed, tag("p", tag("a", "All decisions", href="/decisions")))


def changes(told: Sequence[FactLine]) -> Markup:
    """List the last facts: what changed, who did it, and why."""
    rows = [(each.time[:19].replace("T", " "), each.said, each.actor, each.why) for each in told]
    listed = table(("Time, UTC", "What", "Who", "Why"), rows, align="tlll", empty="Nothing has changed yet.")
    return join(tag("div", listed, class_="stack"), tag("p", tag("a", "All facts", href="/record#facts")))


def did(quantity: float, verdict: str) -> Markup:
    """Say what a decision came to."""
    if verdict != "NONE":
        return badge(verdict.lower().replace("_", " "), "warn")
    if quantity:
        return badge(f"{'buy' if quantity > 0 else 'sell'} {abs(quantity):,.6g}", "good")
    return tag("span", "no order", class_="empty")


def findings(cases: Sequence[CaseLine]) -> Markup:
    """List the gravest of what nobody has closed, the newest first among those alike, and the way to the others."""
    if not cases:
        return paragraph("Nothing is open.", "empty")
    told = sorted(cases, key=lambda case: (-gravity(case.severity), -case.number))
    items = (
        tag("li", badge(case.severity, tone(case.severity)), " ", tag("a", case.sentence, href=f"/watch/{case.number}"))
        for case in told[:FINDINGS]
    )
    more = tag("p", tag("a", f"All {len(told)} open findings", href="/watch")) if len(told) > FINDINGS else None
    return join(tag("ul", items, class_="cases"), more)


def tone(severity: str) -> Tone:
    """Return the tone of a severity."""
    tones: dict[str, Tone] = {"critical": "bad", "warning": "warn"}
    return tones.get(severity, "")


def exposure_table(exposures: Sequence[Exposure]) -> Markup:
    """List limits with what is used of them, and those that are held against each order by itself."""
    used = [each for each in exposures if each.used is not None or each.limit is None]
    single = [(each.name.capitalize(), f"{each.limit:,.6g} {each.unit}") for each in exposures if each not in used]
    rows = [(each.name.capitalize(), *_used(each)) for each in used]
    head = ("In use", "Used", "Limit", "Unit", "")
    return join(
        paragraph(NO_LIMIT, "empty") if all(each.limit is None for each in exposures) else None,
        table(head, rows, align="lrrll") if rows else None,
        paragraph("Held against each order or event by itself:", "lead") if single else None,
        pairs(single) if single else None,
    )


def _used(each: Exposure) -> tuple[Markup | str, ...]:
    if each.limit is None:
        return "", badge("not set: refuses", "bad"), each.unit, ""
    used = each.used or 0.0
    share = abs(used) / each.limit if each.limit else 1.0
    return f"{used:,.6g}", f"{each.limit:,.6g}", each.unit, meter(each.name, share)


def _most(denials: dict[str, int]) -> str:
    """Name the commonest refusal."""
    code_name, count = next(iter(denials.items()))
    return f"{count:,} {code_name.lower().replace('_', ' ')}"


def age(seconds: float) -> str:
    """Write a length of time in its largest unit."""
    for length, name in ((86_400.0, "days"), (3_600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {name}"
    return plural(round(seconds), "second")
