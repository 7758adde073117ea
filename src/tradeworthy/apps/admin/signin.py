"""Signing in and out. A name that is tried too often is locked for a while, which is a security finding."""

from typing import Any

from litestar import Controller, Request, get, post
from litestar.concurrency import sync_to_thread
from litestar.params import FromQuery
from litestar.response import Redirect

from tradeworthy.apps.admin.visitor import FRESH, NAME, Asked, Html, deployment_of, html, token_of
from tradeworthy.apps.dashboard.signin import signin_page
from tradeworthy.change.access.incidents import Incident
from tradeworthy.change.access.people import LOCKED_S, NAME_MAX, TRIES_MAX, SignedIn


class SignIn(Controller):
    """The only views that need nobody signed in."""

    include_in_schema = False

    @get("/signin", sync_to_thread=True)
    def form(self, request: Request[Any, Any, Any]) -> Html:
        """Ask for a name and a password."""
        return html(signin_page(token_of(request), nobody=not deployment_of(request).people.everybody()))

    @get("/invited", sync_to_thread=True)
    def invited(self, request: Request[Any, Any, Any], word: FromQuery[str] = "") -> Html | Redirect:
        """Sign in whoever follows the link that the terminal shows."""
        deployment = deployment_of(request)
        name = deployment.invitation.accept(word) if deployment.invitation else None
        if name is None or deployment.people.find(name) is None:
            said = "This link was used, or is too old. Sign in, or start the page again."
            return html(signin_page(token_of(request), failure=said), status=401)
        request.set_session({NAME: name, FRESH: True})
        return Redirect("/", status_code=303)

    @post("/signin")
    async def sign_in(self, request: Request[Any, Any, Any]) -> Html | Redirect:
        """Check them; what is wrong is not told apart."""
        fields, people = await request.form(), deployment_of(request).people
        name, password = str(fields.get("name", "")), str(fields.get("password", ""))
        tried = await sync_to_thread(people.sign_in, name, password)
        if tried.person is not None:
            request.set_session({NAME: tried.person.name, FRESH: True})
            return Redirect("/", status_code=303)
        if tried.locked:
            _record_lock(request, name)
        return html(signin_page(token_of(request), failure=_said(tried)), status=429 if tried.wait_s else 401)

    @post("/signout")
    async def sign_out(self, request: Asked) -> Redirect:
        """Forget the session."""
        request.clear_session()
        return Redirect("/signin", status_code=303)


def _said(tried: SignedIn) -> str:
    if tried.wait_s:
        return f"Too many tries; this name can be tried again in {tried.wait_s:,.0f} s."
    return "Name or password is not right."


def _record_lock(request: Request[Any, Any, Any], name: str) -> None:
    """Put on the record that a name was tried too often."""
    project = deployment_of(request).project
    now_ns = project.clock.now_ns()
    where = request.client.host if request.client else "an unknown address"
    incident = Incident(
        what="brute force",
        who=name[:NAME_MAX],
        severity="critical",
        count=float(TRIES_MAX),
        allowed=float(TRIES_MAX),
        unit="failed tries",
        since_ns=now_ns,
        now_ns=now_ns,
        sentence=f"{TRIES_MAX} wrong passwords for {name[:NAME_MAX]!r} from {where}; locked for {LOCKED_S} s.",
    )
    project.ledger.append(incident.raised(0), actor="admin process", reason="too many failed tries to sign in")
