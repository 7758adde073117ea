"""Who is asking: the signed-in person of a request, what they see of the frame, and whether they may."""

from typing import Any, TypedDict

import msgspec
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.response import Redirect, Response
from litestar.utils.scope.state import ScopeState

from tradeworthy.apps.admin.deployment import Deployment
from tradeworthy.apps.dashboard.layout import Told, Visit, page
from tradeworthy.apps.dashboard.putting_back import Typed, put_back
from tradeworthy.apps.reports.markup import Markup
from tradeworthy.change.access.people import Person
from tradeworthy.change.access.roles import require

NAME, FRESH, NOTICE, FAILURE, TYPED = "name", "fresh", "notice", "failure", "typed"
"""The session's keys."""

Asked = Request[Person, Any, Any]
Html = Response[str]


def deployment_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Deployment:
    """Return the deployment that the application serves."""
    deployment: Deployment = connection.app.state.deployment
    return deployment


async def person_of(session: dict[str, Any], connection: ASGIConnection[Any, Any, Any, Any]) -> Person | None:
    """Return who a session belongs to, with the roles of this very moment; nobody if they have none left."""
    name = session.get(NAME)
    return deployment_of(connection).people.find(name) if isinstance(name, str) else None


def actor_for(request: Asked, action: str) -> str:
    """Return the name of whoever asks, if one of their roles may do the action.

    Raises
    ------
    NotAllowed
        None may.
    """
    require(request.user.name, request.user.roles, action)
    return request.user.name


class Signed(TypedDict):
    """Who takes a step, and why: what every call that writes a fact asks for."""

    actor: str
    reason: str


def signed(request: Asked, action: str, reason: str) -> Signed:
    """Return the name and the reason of whoever may do an action; of a key's caller, the reason names the key.

    Raises
    ------
    NotAllowed
        None of their roles may.
    """
    by = f" (by key {request.auth})" if isinstance(request.auth, str) else ""
    return Signed(actor=actor_for(request, action), reason=f"{reason}{by}")


def token_of(request: Request[Any, Any, Any]) -> str:
    """Return the token that every form of this visitor carries."""
    token = ScopeState.from_scope(request.scope).csrf_token
    return token if isinstance(token, str) else ""


def shown(request: Asked, visit: Visit, title: str, *content: Markup, lead: str = "", failure: str = "") -> Html:
    """Return a view in its frame; what the last form did is told by the first view after it, once."""
    frame, told = (
        deployment_of(request).frame(),
        {key: str(request.session.pop(key, "")) for key in (NOTICE, FAILURE, TYPED)},
    )
    said = Told(notice=told[NOTICE], failure=failure or told[FAILURE])
    text = page(visit, frame, title, *content, lead=lead, said=said)
    return html(put_back(text, msgspec.json.decode(told[TYPED], type=Typed)) if told[TYPED] else text)


def visit_of(request: Asked) -> Visit:
    """Return what a page needs to know of this request."""
    return Visit(
        person=request.user,
        token=token_of(request),
        path=request.url.path,
        scopes=deployment_of(request).scopes(),
        caption=deployment_of(request).caption(),
    )


def html(text: str, *, status: int = 200) -> Html:
    """Return a page."""
    return Response(text, media_type="text/html; charset=utf-8", status_code=status)


def back_to(request: Asked, path: str, notice: str) -> Redirect:
    """Return to a view after a form, which tells what was done, and shows it."""
    request.session[NOTICE] = notice
    deployment_of(request).look_again()
    return Redirect(path, status_code=303)
