"""The application: routes, who may come in, what every answer carries.

Policy: the page fetches nothing from elsewhere and runs no script but its own files; it is shown in no other site's
        frame; its forms are sent here only and carry a token.
"""

from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from litestar import Litestar, MediaType, get
from litestar.config.csrf import CSRFConfig
from litestar.datastructures import MutableScopeHeaders, State
from litestar.exceptions import HTTPException, NotAuthorizedException
from litestar.middleware import DefineMiddleware
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.static_files import create_static_files_router
from litestar.types import Message, Scope

from tradeworthy.apps import dashboard
from tradeworthy.apps.admin.actions import Actions
from tradeworthy.apps.admin.api import Reading, Steering
from tradeworthy.apps.admin.callers import Callers, FormTokens
from tradeworthy.apps.admin.configuring import Configuring
from tradeworthy.apps.admin.deployment import Deployment
from tradeworthy.apps.admin.invitation import Invitation
from tradeworthy.apps.admin.live import Live
from tradeworthy.apps.admin.pages import Pages
from tradeworthy.apps.admin.permitting import Permitting
from tradeworthy.apps.admin.refusing import failed, http_error, not_signed_in, refused
from tradeworthy.apps.admin.sessions import session_auth
from tradeworthy.apps.admin.signin import SignIn
from tradeworthy.apps.commands.project import Project
from tradeworthy.apps.reports.html import style_sheet
from tradeworthy.core.errors import TradeworthyError

BODY_BYTES_MAX = 65_536
STATIC = Path(dashboard.__file__).with_name("static")

BY_KEY = SecurityScheme(
    type="http",
    scheme="bearer",
    description="A secret of `tradeworthy keys create`, with scope admin, risk or approve.",
)

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
"""What every answer carries."""


@get("/health", media_type=MediaType.TEXT, include_in_schema=False, sync_to_thread=False)
def health() -> str:
    """Say that the process answers."""
    return "ok"


@get("/report.css", media_type="text/css", include_in_schema=False, sync_to_thread=False)
def reports_style() -> str:
    """Return the style that the page shares with reports."""
    return style_sheet()


async def _harden(message: Message, scope: Scope) -> None:
    """Put the policy on every answer, refusals of the middleware included."""
    del scope
    if message["type"] == "http.response.start":
        headers = MutableScopeHeaders.from_message(message)
        for name, value in HEADERS.items():
            headers.setdefault(name, value)


def make_app(project: Project, *, secure: bool = False, invitation: Invitation | None = None) -> Litestar:
    """Build the application of one deployment.

    Parameters
    ----------
    project : Project
        The deployment.
    secure : bool
        It is served over TLS: cookies are for TLS only.
    invitation : Invitation, optional
        A link that signs one person in.
    """
    auth = session_auth(secure=secure)
    tokens = CSRFConfig(
        secret=AESGCM.generate_key(256).hex(), cookie_secure=secure, cookie_httponly=True, cookie_samesite="strict"
    )
    static = create_static_files_router("/static", [STATIC], include_in_schema=False)
    return Litestar(
        route_handlers=[
            health,
            reports_style,
            SignIn,
            Pages,
            Actions,
            Configuring,
            Live,
            Reading,
            Steering,
            Permitting,
            static,
        ],
        on_app_init=[auth.on_app_init],
        middleware=[DefineMiddleware(FormTokens, config=tokens)],
        exception_handlers={
            TradeworthyError: refused,
            NotAuthorizedException: not_signed_in,
            HTTPException: http_error,
            Exception: failed,
        },
        openapi_config=OpenAPIConfig(
            title="tradeworthy",
            version="1",
            path="/api",
            components=Components(security_schemes={"key": BY_KEY}),
            security=[{"key": []}],
            render_plugins=[JsonRenderPlugin()],
        ),
        request_max_body_size=BODY_BYTES_MAX,
        before_send=[_harden],
        state=State({"deployment": Deployment(project, invitation), "callers": Callers(project)}),
        debug=False,
    )
