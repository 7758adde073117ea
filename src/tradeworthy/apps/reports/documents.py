"""Which documents there are, by their subject, and where each goes."""

from pathlib import Path
from typing import TYPE_CHECKING

from tradeworthy.apps.commands.results import Page
from tradeworthy.apps.reports.document import Document, write
from tradeworthy.apps.reports.model_card import model_card
from tradeworthy.apps.reports.order_story import order_story
from tradeworthy.apps.reports.rts6 import assess
from tradeworthy.core.errors import SettingsInvalid, near

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

SUBJECTS = ("rts6", "model-card", "decisions")


def write_document(project: "Project", subject: str, which: str, output: Path | None = None) -> Page:
    """Write a document as a page, and the same as JSON beside it.

    Raises
    ------
    SettingsInvalid
        There is no such subject, or the year is none.
    NotFound
        The record has nothing of what was asked for.
    """
    document, name = _document(project, subject, which)
    path = output or project.places.pages / f"{name}.html"
    return Page(path=str(path), size_bytes=write(document, path))


def _document(project: "Project", subject: str, which: str) -> tuple[Document, str]:
    """Return a document, and what its file is called."""
    match subject:
        case "rts6":
            if not which.isdigit():
                raise SettingsInvalid(f"the year is {which!r}; allowed is a calendar year such as 2026")
            return assess(project, int(which)), f"rts6-{which}"
        case "model-card":
            return model_card(project, which), f"model-card-{project.resolve(which)[:16]}"
        case "decisions":
            return order_story(project, which), f"order-{which}"
    raise SettingsInvalid(f"subject is {subject!r}{near(subject, SUBJECTS)}; allowed are {', '.join(SUBJECTS)}")
