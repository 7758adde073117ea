"""The page beside something else: started in a process of its own, ended with what it stands beside, killed or not."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tradeworthy.apps.deployment.processes import ProcessFailed

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

END_WITHIN_S = 10.0


@contextmanager
def page_beside(project: "Project", *, invite: str | None = None, port: int = 0) -> Iterator[str]:
    """Serve a project's page while a block runs.

    Parameters
    ----------
    project : Project
        The deployment.
    invite : str, optional
        A person whom the address signs in, once.
    port : int
        0 takes any that is free.

    Yields
    ------
    str
        The address to open.

    Raises
    ------
    ProcessFailed
        It did not start; its log says why.
    """
    logs = project.places.root / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tradeworthy.apps.cli", "page", "--project", str(project.folder), "--json"]
    command += ["--port", str(port), "--parent", str(os.getpid()), *(("--invite", invite) if invite else ())]
    with (logs / "page.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  # our own module, arguments of our own
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        address = process.stdout.readline().strip() if process.stdout else ""
        if not address.startswith("http"):
            raise ProcessFailed(f"the page did not start; see {logs / 'page.log'}")
        yield address
    finally:
        process.terminate()
        try:
            process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()
