"""The words that many commands share: which project, who, why, and how to answer."""

import getpass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

Folder = Annotated[Path, typer.Option("--project", "-p", help="Folder of tradeworthy.toml.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Actor = Annotated[str, typer.Option("--actor", help="Who does it; recorded.", default_factory=getpass.getuser)]
Reason = Annotated[str, typer.Option("--reason", help="Why; recorded.")]
Version = Annotated[
    str, typer.Argument(help="Digest (or its beginning), a name, or champion, previous, shadow, newest.")
]

HERE = Path()


class Subject(StrEnum):
    """What a report is about."""

    RUN = "run"
    MONITORING = "monitoring"
    RTS6 = "rts6"
    MODEL_CARD = "model-card"
    DECISIONS = "decisions"


def open_project(folder: Path) -> "Project":
    """Open the project; imported late so that --help answers at once."""
    from tradeworthy.apps.commands.project import Project  # noqa: PLC0415

    return Project(folder)
