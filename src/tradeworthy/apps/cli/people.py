"""``tradeworthy people``, ``who-can`` and ``page``: who may do what, and where they do it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from tradeworthy.apps.cli.options import HERE, Actor, Folder, Json, Reason, open_project
from tradeworthy.apps.cli.show import console, errors, show
from tradeworthy.core.errors import NotFound, SettingsInvalid

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

app = typer.Typer(help="Let people in, with roles; list them; take their roles away.", no_args_is_help=True)

STANDARD_INPUT = Path("-")

Name = Annotated[str, typer.Argument(help="What they sign in as.")]


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """People and their roles."""

    people: dict[str, str]


@app.command("list")
def list_people(project: Folder = HERE, *, as_json: Json = False) -> None:
    """List who may sign in."""
    show(Listed(people=open_project(project).people_and_roles()), as_json=as_json)


@app.command()
def add(
    name: Name,
    project: Folder = HERE,
    *,
    role: Annotated[list[str], typer.Option(help="trader, risk, approver or admin; may be given more than once.")],
    password_file: Annotated[
        Path | None, typer.Option(help="Its first line is the password; - reads standard input. Else it is asked for.")
    ] = None,
    actor: Actor,
    reason: Reason = "let in from the command line",
) -> None:
    """Let somebody in, or change their roles and password."""
    open_project(project).people.add(name, role, _password(password_file), actor=actor, reason=reason)
    console.print(f"{name} may sign in as {', '.join(role)}")


def _password(file: Path | None) -> str:
    """Read a password from a file or standard input, or ask for it, twice; never from the words of a command."""
    if file is not None:
        try:
            text = sys.stdin.readline() if file == STANDARD_INPUT else file.read_text("utf-8")
        except UnicodeDecodeError:
            raise SettingsInvalid(f"what {file} holds is no text in UTF-8; its first line is the password") from None
        return text.partition("\n")[0].removesuffix("\r")
    if not sys.stdin.isatty():
        raise SettingsInvalid(
            "there is no terminal to ask for a password; give --password-file FILE, or --password-file - and the "
            "password on standard input"
        )
    asked: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return asked


@app.command()
def remove(name: Name, project: Folder = HERE, *, actor: Actor, reason: Reason) -> None:
    """Take every role from somebody."""
    open_project(project).people.remove(name, actor=actor, reason=reason)
    console.print(f"{name} may not sign in any more")


def who_can(
    action: Annotated[str, typer.Argument(help="For example halt, resume, promote, limits.")],
    project: Folder = HERE,
    *,
    as_json: Json = False,
) -> None:
    """Say which roles, and which people, may do an action."""
    show(open_project(project).who_can(action), as_json=as_json)


@contextmanager
def beside(project: "Project", invite: str | None) -> Iterator[None]:
    """Serve the page while a block runs, and say where; do nothing where nobody is invited."""
    if invite is None:
        yield
        return
    from tradeworthy.apps.admin.beside import page_beside  # noqa: PLC0415

    with page_beside(project, invite=invite) as address:
        errors.print(f"The page is at {address}")
        yield


def page(
    project: Folder = HERE,
    *,
    host: Annotated[str, typer.Option(help="Address; any but the loopback's needs TLS.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes any that is free.")] = 8080,
    certificate: Annotated[Path | None, typer.Option(help="PEM file of the certificate, for TLS.")] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file of its key.")] = None,
    invite: Annotated[str | None, typer.Option(help="Somebody whom the address signs in, once.")] = None,
    parent: Annotated[int | None, typer.Option(hidden=True, help="End with this process.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the address alone.")] = False,
) -> None:
    """Serve the page of a desk, until interrupted; it is never in the way of a decision."""
    try:
        from tradeworthy.apps.admin.serving import serve  # noqa: PLC0415  # optional packages
    except ImportError as error:
        raise NotFound("the page needs further packages: pip install 'tradeworthy[page]'") from error

    opened = open_project(project)

    def tell(address: str) -> None:
        if as_json:
            print(address, flush=True)  # noqa: T201  # for whoever started this process
        else:
            console.print(f"The page is at [bold underline]{address}[/]   (Ctrl-C ends)", soft_wrap=True)

    serve(opened, host=host, port=port, certificate=certificate, key=key, invite=invite, parent=parent, ready=tell)
