"""The admin process: the application on uvicorn, on this machine's loopback unless told otherwise."""

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from tradeworthy.apps.admin.app import make_app
from tradeworthy.apps.admin.invitation import Invitation
from tradeworthy.core.errors import SettingsInvalid, near

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

LOOPBACK = ("127.0.0.1", "::1", "localhost")
GRACE_S = 2
BACKLOG = 128


def serve(
    project: "Project",
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    certificate: Path | None = None,
    key: Path | None = None,
    invite: str | None = None,
    parent: int | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the page until interrupted, or until the process that started it has ended.

    Parameters
    ----------
    project : Project
        The deployment.
    host, port : str, int
        Where; port 0 takes any that is free.
    certificate, key : Path, optional
        PEM files of TLS; needed for any address but the loopback's.
    invite : str, optional
        A person whom the address signs in, once, within ten minutes.
    parent : int, optional
        The process that started it and that it must not outlive; nobody's end is waited for if left out.
    ready : callable, optional
        Told the address before the first request.

    Raises
    ------
    SettingsInvalid
        The address needs TLS and there is none, it is taken, or who is invited has no role.
    """
    if (certificate is None) != (key is None):
        raise SettingsInvalid("TLS needs both --certificate and --key")
    if certificate is None and host not in LOOPBACK:
        raise SettingsInvalid(f"{host} is not the loopback: passwords need TLS; give --certificate and --key")
    invitation = _invitation(project, invite)
    bound = _bound(host, port)
    scheme = "http" if certificate is None else "https"
    if ready is not None:
        ready(f"{scheme}://{host}:{bound.getsockname()[1]}{invitation.path if invitation else ''}")
    app = make_app(project, secure=certificate is not None, invitation=invitation)
    threading.Thread(target=app.state.deployment.read_ahead, name="reads ahead", daemon=True).start()
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        limit_concurrency=512,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    Served(config, parent).run(sockets=[bound])


class Served(uvicorn.Server):
    """A server that ends with the process that started it, however that one ended."""

    def __init__(self, config: uvicorn.Config, parent: int | None) -> None:
        super().__init__(config)
        self._parent = parent

    async def on_tick(self, counter: int) -> bool:
        """Tell, ten times a second, whether to end."""
        is_alone = self._parent is not None and os.getppid() != self._parent
        return await super().on_tick(counter) or is_alone


def _invitation(project: "Project", name: str | None) -> Invitation | None:
    """Return an invitation for somebody who has a role."""
    if name is None:
        return None
    known = [person.name for person in project.people.everybody()]
    if name not in known:
        raise SettingsInvalid(
            f"{name!r} has no role here{near(name, known)}; run: tradeworthy people add {name} --role trader"
        )
    return Invitation(name, clock=project.clock)


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens already: who is told the address can ask at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise SettingsInvalid(f"port {port} of {host} cannot be taken: {error.strerror}; give another --port") from None
    return bound
