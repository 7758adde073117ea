"""How an error is answered: in words, to a person as a page, to a program as JSON; never with a trace.

Idea:   what the caller can put right is 4xx with the error's own sentence; a form goes back to its page, which says it.
        Anything else is 500 with a number that stands in the process's log too, so that an operator can find it.
"""

import logging
from itertools import count
from typing import Any

import msgspec
from litestar import Request
from litestar.exceptions import HTTPException, NotAuthorizedException
from litestar.response import Redirect, Response
from litestar.utils.scope.state import ScopeState

from tradeworthy.apps.admin.forms import FieldsInvalid
from tradeworthy.apps.admin.visitor import FAILURE, TYPED, html
from tradeworthy.apps.dashboard.layout import document
from tradeworthy.apps.dashboard.putting_back import Typed
from tradeworthy.apps.reports.markup import tag
from tradeworthy.core.errors import NotAllowed, NotFound, RecordBusy, RecordUnwritable, TradeworthyError

_log = logging.getLogger(__name__)
_numbers = count(1)

Anyone = Request[Any, Any, Any]
Answer = Response[Any]

NOT_KEPT = ("_csrf_token", "password")
"""Fields that are never shown again."""

_STATUS: dict[type[TradeworthyError], int] = {NotAllowed: 403, NotFound: 404, RecordBusy: 503, RecordUnwritable: 503}


def refused(request: Anyone, error: TradeworthyError) -> Answer:
    """Answer an operating error."""
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 409)
    if request.method == "POST" and not _is_program(request) and _has_session(request):
        request.session.update({FAILURE: str(error), TYPED: _typed(request, error)})
        return Redirect(_from(request), status_code=303)
    return _answer(request, status, str(error))


def not_signed_in(request: Anyone, error: NotAuthorizedException) -> Answer:
    """Send a person to the sign-in, and tell a program that it is not signed in."""
    del error
    if _is_program(request):
        return _answer(request, 401, "nobody is signed in; sign in at /signin")
    return Redirect("/signin", status_code=303)


def http_error(request: Anyone, error: HTTPException) -> Answer:
    """Answer what the web framework refused."""
    extra = getattr(error, "extra", None)
    said = error.detail if not extra else f"{error.detail}: {extra}"
    answer = _answer(request, error.status_code, said)
    answer.headers.update(error.headers or {})
    return answer


def failed(request: Anyone, error: Exception) -> Answer:
    """Answer a fault of ours, and log it under the number that the caller sees."""
    number = next(_numbers)
    _log.error("error %d at %s", number, request.url.path, exc_info=error)
    return _answer(request, 500, f"this is a fault of ours; it is number {number} in this process's log")


def _is_program(request: Anyone) -> bool:
    return (
        request.url.path.startswith("/api")
        or "hx-request" in request.headers
        or request.url.path in ("/live", "/curves")
    )


def _answer(request: Anyone, status: int, said: str) -> Answer:
    if _is_program(request):
        return Response({"error": said}, status_code=status, media_type="application/json")
    main = tag(
        "main", tag("h1", str(status)), tag("p", said, class_="told bad", role="alert"), tag("a", "Desk", href="/")
    )
    return html(document("Refused", main, signed_in=False), status=status)


def _has_session(request: Anyone) -> bool:
    return isinstance(request.scope.get("session"), dict)


def _typed(request: Anyone, error: TradeworthyError) -> str:
    """Return, as JSON, what a form sent and what is wrong with which of its fields: the page puts it back."""
    sent = ScopeState.from_scope(request.scope).form
    items = sent.items() if isinstance(sent, dict) else ()
    fields = {name: value for name, value in items if name not in NOT_KEPT and isinstance(value, str | list)}
    wrong = error.wrong if isinstance(error, FieldsInvalid) else {"": str(error)}
    return msgspec.json.encode(Typed(action=request.url.path, fields=fields, wrong=wrong)).decode()


def _from(request: Anyone) -> str:
    """Return the path of the page that a form was sent from; the desk if it does not say.

    A page that answered a form cannot be asked for again: then it is the view that the form belongs to.
    """
    origin, _, path = request.headers.get("referer", "").partition("://")[2].partition("/")
    if origin != request.headers.get("host") or path.startswith("/"):
        return "/"
    before, _, after = path.partition("do/")
    return f"/{path}" if before or not after else f"/{after.partition('/')[0]}"
