"""The frame around every view: what the desk is doing, the way to each view, and the stop.

Idea:   the state of the desk and the halt stand on every page, in the same place; the strip is kept fresh by the
        server's events. Nothing is fetched from elsewhere, no script stands in a page, everything from outside is text.
Access: one heading a page, landmarks, a link past the navigation; the stop is a dialogue that the keyboard reaches.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tradeworthy.apps.captions import Caption
from tradeworthy.apps.dashboard.following import Frame
from tradeworthy.apps.reports.html import Tone, badge
from tradeworthy.apps.reports.markup import Markup, join, tag
from tradeworthy.change.access.people import Person
from tradeworthy.change.access.roles import may

VIEWS = (
    ("/", "Desk"),
    ("/decisions", "Decisions"),
    ("/watch", "Watch"),
    ("/versions", "Versions"),
    ("/fairness", "Fairness"),
    ("/record", "Record"),
    ("/settings", "Settings"),
)
STYLES = ("/static/uPlot.min.css", "/report.css", "/static/page.css")
SCRIPTS = ("htmx.min.js", "sse.min.js", "uPlot.iife.min.js", "page.js", "charts.js")
HTMX = '{"includeIndicatorStyles":false,"allowEval":false,"selfRequestsOnly":true,"scrollBehavior":"auto"}'


@dataclass(frozen=True, slots=True)
class Visit:
    """What a page needs to know of the one who looks at it.

    Attributes
    ----------
    person : Person
        Who looks.
    token : str
        Sent back with every form, so that no other site can send one.
    path : str
        The page's address.
    scopes : sequence of str
        What can be halted: ``all``, and each instrument and version at work.
    caption : Caption, optional
        What a story that plays on the desk tells now.
    """

    person: Person
    token: str
    path: str
    scopes: tuple[str, ...] = ("all",)
    caption: Caption | None = None

    def may(self, action: str) -> bool:
        """Tell whether this person may do an action."""
        return may(self.person.roles, action)


@dataclass(frozen=True, slots=True)
class Told:
    """What a page says first: what the last form did, or why something could not be done."""

    notice: str = ""
    failure: str = ""


def document(title: str, *content: Markup, signed_in: bool = True) -> str:
    """Build a whole page of the usual head and this content."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="htmx-config", content=HTMX),
        tag("title", f"{title} - tradeworthy"),
        tag("link", rel="icon", href="/static/icon.svg"),
        (tag("link", rel="stylesheet", href=address) for address in STYLES),
        (tag("script", src=f"/static/{name}", defer=True) for name in (SCRIPTS if signed_in else ())),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', *content, class_='app'), lang='en')}\n"


def page(visit: Visit, frame: Frame, title: str, *content: Markup, lead: str = "", said: Told) -> str:
    """Build one view."""
    skip = tag("a", "Skip to content", href="#content", class_="skip")
    words = tag("p", lead, class_="lead") if lead else None
    main = tag("main", _told(said), tag("h1", title), words, *content, id="content", tabindex="-1")
    live = tag("div", strip(frame), sse_swap="strip", id="strip", aria_live="off")
    heard = tag("p", state(frame), sse_swap="state", aria_live="polite", class_="unseen")
    told = tag(
        "div",
        tag("div", caption(visit.caption), sse_swap="caption", aria_live="polite"),
        tag("ol", story(visit.caption), sse_swap="story", tabindex="0", aria_label="The story so far"),
        class_="caption",
    )
    bar = tag("div", live, heard, halt_button(), class_="topline")
    top = tag("header", tag("a", "tradeworthy", href="/", class_="brand"), _views(visit), _account(visit), class_="top")
    outer = tag("div", top, bar, told, main, halt_dialogue(visit), hx_ext="sse", sse_connect="/live")
    return document(title, skip, outer)


def strip(frame: Frame) -> Markup:
    """Set the state of the desk in one line: is it trading, what, how is it doing, what is wrong."""
    halted = frame.trading != "yes"
    running = frame.engine == "running"
    at_work = "trading" if frame.size == 1.0 else f"reduced to {frame.size:.0%}"
    good = running and frame.size == 1.0
    state = badge(frame.trading, "bad") if halted else badge(at_work if running else "not running", _tone(good))
    items = [
        ("Desk", join(frame.desk, " ", badge(frame.env, "warn" if frame.env == "live" else ""))),
        ("State", state),
        ("Champion", tag("code", frame.champion or "none")),
        ("P&L after costs", money(frame.pnl_after_costs)),
        ("Position", positions(frame)),
        ("Open findings", tag("a", str(len(frame.findings)), href="/watch")),
        ("Last event, UTC", frame.event_time[:19].replace("T", " ") or "none"),
    ]
    return tag("dl", (tag("div", tag("dt", name), tag("dd", value)) for name, value in items), class_="strip")


def state(frame: Frame) -> Markup:
    """Say what has to be heard when it changes, by somebody who does not see the strip."""
    trading = frame.trading if frame.trading != "yes" else frame.engine
    size = "" if frame.size == 1.0 else f", reduced to {frame.size:.0%}"
    return join(f"Desk {trading}{size}; champion {frame.champion[:8] or 'none'}; open findings: {len(frame.findings)}.")


def caption(told: Caption | None) -> Markup:
    """Set what a story tells at this moment; nothing where none plays."""
    return Markup("") if told is None else tag("p", *_sentence(told))


def story(told: Caption | None) -> Markup:
    """Set what a story has told before, the newest first."""
    return join(tag("li", *_sentence(each)) for each in (told.before if told else ()))


def _sentence(told: Caption) -> tuple[Markup | str | None, ...]:
    way = tag("a", "Look", href=told.link, aria_label=f"Look: {told.about}") if told.link else None
    return tag("strong", told.chapter), f" {told.about} ", way


def positions(frame: Frame) -> str:
    """Write what is held."""
    return ", ".join(f"{quantity:+,.6g} {symbol}" for symbol, quantity in frame.positions.items()) or "flat"


def money(value: float) -> Markup:
    """Write an amount with its sign; a loss is told by the sign, not by colour alone."""
    return tag("span", money_text(value), class_="good" if value > 0 else "bad" if value < 0 else None)


def money_text(value: float) -> str:
    """Write an amount with its sign."""
    return f"{value:+,.2f}".replace("-", "\N{MINUS SIGN}")


def halt_button() -> Markup:
    """Return the stop; it opens the dialogue, and without scripts it leads to the same form on a page."""
    return tag("a", "Halt", href="/halt", id="halt", class_="stop", role="button", aria_keyshortcuts="Shift+H")


def halt_dialogue(visit: Visit) -> Markup:
    """Return the dialogue behind the stop."""
    close = tag("button", "Go on trading", type="button", class_="quiet", data_close="")
    return tag(
        "dialog",
        tag("h2", "Halt trading?", id="halt-title"),
        halt_form(visit, close),
        id="halt-dialogue",
        aria_labelledby="halt-title",
    )


def halt_form(visit: Visit, *more: Markup) -> Markup:
    """Return the form that halts: the scope, a reason that may be left out, and who does it."""
    return form(
        visit,
        "/do/halt",
        tag("p", "The next order in this scope is refused, and what rests at the venue is cancelled."),
        choice("scope", "Scope", visit.scopes),
        entry("reason", "Reason", required=False, placeholder="may be left out"),
        tag("div", tag("button", "Halt now", type="submit", class_="stop"), *more, class_="buttons"),
    )


def form(visit: Visit, action: str, *content: Markup, class_: str = "form") -> Markup:
    """Return a form that is sent to an address of ours, with the token."""
    token = tag("input", type="hidden", name="_csrf_token", value=visit.token)
    return tag("form", token, *content, method="post", action=action, class_=class_)


def entry(name: str, label: str, *, required: bool = True, type_: str = "text", **attributes: str | bool) -> Markup:
    """Return a labelled field of a form."""
    field = tag("input", type=type_, name=name, required=required, **({"autocomplete": "off"} | attributes))
    return tag("label", tag("span", label), field)


def choice(
    name: str, label: str, options: Iterable[str] | Mapping[str, str], chosen: str = "", *, empty: str = "any"
) -> Markup:
    """Return a labelled choice of a form, each option with its words if they are given; `empty` is an empty one's."""
    words = options if isinstance(options, Mapping) else {option: option.replace("_", " ") for option in options}
    items = (tag("option", said or empty, value=value, selected=value == chosen) for value, said in words.items())
    return tag("label", tag("span", label), tag("select", items, name=name))


def reason_form(visit: Visit, action: str, label: str, *hidden: tuple[str, str], tone: str = "") -> Markup:
    """Return a step that asks for a reason, folded behind its name."""
    fields = (tag("input", type="hidden", name=name, value=value) for name, value in hidden)
    return step_form(visit, action, label, *fields, tone=tone)


def step_form(visit: Visit, action: str, label: str, *fields: Markup, tone: str = "") -> Markup:
    """Return a step that asks for these fields and a reason, folded behind its name."""
    button = tag("button", label, type="submit", class_=tone or None)
    return tag("details", tag("summary", label), form(visit, action, *fields, entry("reason", "Reason"), button))


def _views(visit: Visit) -> Markup:
    """Return the way to each view; the present one is marked."""

    def is_here(address: str) -> bool:
        return visit.path == address or (address != "/" and visit.path.startswith(address))

    items = (
        tag("li", tag("a", name, href=address, aria_current="page" if is_here(address) else None))
        for address, name in VIEWS
    )
    return tag("nav", tag("ul", items), aria_label="Views")


def _account(visit: Visit) -> Markup:
    """Return who is signed in, and the way out."""
    out = tag("button", "Sign out", type="submit", class_="quiet")
    name = tag("span", visit.person.name, tag("small", f" {', '.join(visit.person.roles)}"))
    return tag("div", name, form(visit, "/signout", out, class_="inline"), class_="account")


def _told(said: Told) -> Markup | None:
    """Return what the last form did."""
    if said.failure:
        return tag("p", said.failure, class_="told bad", role="alert")
    return tag("p", said.notice, class_="told good", role="status") if said.notice else None


def _tone(good: bool) -> Tone:  # noqa: FBT001  # one word chosen by one fact
    return "good" if good else "warn"
