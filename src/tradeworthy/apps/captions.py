"""A caption on the page: what a story that plays on the desk tells at this moment.

State:  one small file in the deployment's folder; no story plays where there is none.
"""

from pathlib import Path

import msgspec

SIZE_MAX = 4_096


class Caption(msgspec.Struct, frozen=True, kw_only=True):
    """A chapter's name, and one sentence on what happens in it."""

    chapter: str
    about: str


def write_caption(path: Path, chapter: str, about: str) -> None:
    """Show a caption from now on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(Caption(chapter=chapter, about=about)))
    fresh.replace(path)


def read_caption(path: Path) -> Caption | None:
    """Return what is told now; None where no story plays, or the file is none of ours."""
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(SIZE_MAX), type=Caption)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
