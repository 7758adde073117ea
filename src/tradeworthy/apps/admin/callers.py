"""Programs that come with a key instead of a session: the same interface, with the roles that the key's scopes give.

Idea:   the key's owner is who acts, so whoever made a version cannot approve it with a key either; the fact's reason
        names the key. The doorkeeper of the port holds callers to rates, expiry and lock-outs here too.
State:  failures and rates are counted in this process; the keys are read at every call, so that a revoked one opens
        nothing any more.
"""

import threading
from typing import Any

from litestar.concurrency import sync_to_thread
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException
from litestar.middleware.authentication import AuthenticationResult
from litestar.middleware.csrf import CSRFMiddleware
from litestar.security.session_auth.middleware import SessionAuthMiddleware
from litestar.types import Empty, Receive, Scope, Send

from tradeworthy.apps.commands.project import Project
from tradeworthy.change.access.doorkeeper import BEARER, Doorkeeper, Refused
from tradeworthy.change.access.keys import KEY_FACTS, Key, keys_of
from tradeworthy.change.access.people import Person
from tradeworthy.change.access.roles import SCOPE_ROLES, checked_roles

API = "/api"
Connection = ASGIConnection[Any, Any, Any, Any]


class Callers:
    """Lets programs in by their keys.

    Parameters
    ----------
    project : Project
        Its ledger has the keys, its settings say when a caller is locked out.
    """

    def __init__(self, project: Project) -> None:
        self._ledger = project.ledger
        self._keeper = Doorkeeper(project.clock, project.settings.serve.door)
        self._keys: dict[str, Key] = {}
        self._number = 0
        self._lock = threading.Lock()

    def let_in(self, authorization: str, address: str) -> tuple[Person, str]:
        """Return the key's owner with the roles of its scopes, and the key's id.

        Raises
        ------
        HTTPException
            401: no such key, or a dead one; 403: its scopes give no role; 429: too often, or locked out.
        """
        with self._lock:
            self._hear()
            found = self._keeper.let_in(authorization, address)
            if not isinstance(found, Refused):
                scopes = [scope for scope in SCOPE_ROLES if scope in found.scopes]
                refused = found.enter(scopes[0] if scopes else "admin")
                if refused is None:
                    roles = checked_roles(SCOPE_ROLES[scope] for scope in scopes)
                    return Person(name=found.key.owner, roles=roles), found.key.key
                found = refused
            self._raise_incidents()
        raise _as_http(found)

    def _hear(self) -> None:
        number = self._ledger.head()[0]
        if number != self._number:
            self._keys = keys_of(self._ledger.facts(*KEY_FACTS, after=self._number), self._keys)
            self._number = number
            self._keeper.hear(self._keys)

    def _raise_incidents(self) -> None:
        """Put on the record what the doorkeeper noted."""
        for incident in self._keeper.incidents.take():
            self._ledger.append(incident.raised(0), actor="admin process", reason=incident.sentence)


def _as_http(refused: Refused) -> HTTPException:
    """Return the doorkeeper's refusal as the framework's."""
    headers = {"retry-after": f"{max(1.0, refused.retry_after_s):.0f}"} if refused.retry_after_s else {}
    if refused.status == 401:
        headers["www-authenticate"] = "Bearer"
    return HTTPException(refused.message, status_code=refused.status, headers=headers)


def comes_with_key(connection: Connection) -> bool:
    """Tell whether a request to the interface brings a key; then neither session nor form token counts."""
    scheme = connection.headers.get("authorization", "")[: len(BEARER)].lower()
    return scheme == BEARER and f"{connection.url.path}/".startswith(f"{API}/")


class Doors(SessionAuthMiddleware):
    """Lets in who brings a key to the interface, and everybody else by their session."""

    async def authenticate_request(self, connection: Connection) -> AuthenticationResult:
        """Return who asks; `auth` is the session, or the key's id."""
        if not comes_with_key(connection):
            return await super().authenticate_request(connection)
        connection.scope["session"] = Empty
        address = connection.client.host if connection.client else "unknown"
        callers: Callers = connection.app.state.callers
        person, key = await sync_to_thread(callers.let_in, connection.headers["authorization"], address)
        return AuthenticationResult(user=person, auth=key)


class FormTokens(CSRFMiddleware):
    """Asks for a form's token, except of who brings a key: no other site can make a browser send one."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        passed = comes_with_key(ASGIConnection(scope))
        await (self.app(scope, receive, send) if passed else super().__call__(scope, receive, send))
