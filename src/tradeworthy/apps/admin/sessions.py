"""Who is signed in: sessions kept in this process, so that a restart or a lost role signs people out.

Idea:   a session's number is made when somebody signs in, never before, so that nobody can be given one beforehand.
        A request writes a session only where it changed it: one that was on its way while a form was sent, or somebody
        signed out, brings nothing older back.
Cookies: unreadable for scripts, never sent from another site; `Secure` where the page is served over TLS.
"""

from dataclasses import dataclass
from typing import Any

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie, MutableScopeHeaders
from litestar.middleware.session.server_side import ServerSideSessionBackend, ServerSideSessionConfig
from litestar.security.session_auth import SessionAuth
from litestar.types import Message, ScopeSession

from tradeworthy.apps.admin.callers import Doors
from tradeworthy.apps.admin.visitor import FRESH, person_of
from tradeworthy.change.access.people import Person

OPEN_PATHS = ["^/signin$", "^/invited$", "^/static/", "^/health$", "^/report.css$"]
"""What may be asked without signing in; a test walks all other routes."""

HOURS_MAX = 12

CAME = "session as it came"
"""Where a request's state keeps it."""

COOKIE = ("key", "max_age", "path", "secure", "httponly", "samesite")


class FreshSessions(ServerSideSessionBackend):
    """Litestar's sessions, with a new number at every sign-in, and written by who changed them only."""

    async def load_from_connection(self, connection: ASGIConnection[Any, Any, Any, Any]) -> dict[str, Any]:
        """Return a connection's session, and remember how it came."""
        session = await super().load_from_connection(connection)
        connection.state[CAME] = dict(session)
        return session

    async def store_in_message(
        self, scope_session: ScopeSession, message: Message, connection: ASGIConnection[Any, Any, Any, Any]
    ) -> None:
        """Write a session that this request changed; of one that it only used, the cookie lives on."""
        if scope_session != connection.state[CAME]:
            await super().store_in_message(scope_session, message, connection)
        elif scope_session:
            kept = {name: getattr(self.config, name) for name in COOKIE}
            cookie = Cookie(value=self.get_session_id(connection), **kept)
            MutableScopeHeaders.from_message(message).add("set-cookie", cookie.to_header(header=""))

    def get_session_id(self, connection: ASGIConnection[Any, Any, Any, Any]) -> str:
        """Return the number of a connection's session; a new one for somebody who has just signed in."""
        session = connection.scope.get("session")
        if isinstance(session, dict) and session.pop(FRESH, False):
            return self.generate_session_id()
        return super().get_session_id(connection)


@dataclass
class SessionSettings(ServerSideSessionConfig):
    """Litestar's settings of sessions, for these."""

    _backend_class: type[ServerSideSessionBackend] = FreshSessions


def session_auth(*, secure: bool) -> SessionAuth[Person, ServerSideSessionBackend]:
    """Return how requests are told apart; everything but `OPEN_PATHS` needs somebody signed in."""
    settings = SessionSettings(
        key="tradeworthy",
        max_age=HOURS_MAX * 3_600,
        renew_on_access=True,
        httponly=True,
        samesite="strict",
        secure=secure,
    )
    return SessionAuth[Person, ServerSideSessionBackend](
        authentication_middleware_class=Doors,
        retrieve_user_handler=person_of,
        session_backend_config=settings,
        exclude=OPEN_PATHS,
        exclude_http_methods=[],
    )
