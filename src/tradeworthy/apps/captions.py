"""A caption on the page: what a story that plays on the desk tells at this moment, and what it has told.

State:  one small file in the deployment's folder; no story plays where there is none.
"""

from pathlib import Path

import msgspec

from tradeworthy.core.errors import UNDECODABLE

SIZE_MAX = 65_536
BEFORE_MAX, WORDS_MAX = 60, 600


class Caption(msgspec.Struct, frozen=True, kw_only=True):
    """A chapter's name, and one sentence on what happens in it.

    Attributes
    ----------
    link : str
        Where on the page that can be looked at; empty for nowhere.
    before : list of Caption
        What was told before, the newest first.
    """

    chapter: str
    about: str
    link: str = ""
    before: list["Caption"] = []


def write_caption(path: Path, chapter: str, about: str, *, link: str = "", before: Caption | None = None) -> Caption:
    """Show a caption from now on, with the one before and what came before that; and return it."""
    told = [] if before is None else [msgspec.structs.replace(before, before=[]), *before.before]
    said = about if len(about) <= WORDS_MAX else f"{about[: WORDS_MAX - 1]}\N{HORIZONTAL ELLIPSIS}"
    caption = Caption(chapter=chapter, about=said, link=link, before=told[:BEFORE_MAX])
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(caption))
    fresh.replace(path)
    return caption


def read_caption(path: Path) -> Caption | None:
    """Return what is told now; None where no story plays, or the file is none of ours."""
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(SIZE_MAX), type=Caption)
    except (FileNotFoundError, *UNDECODABLE):
        return None
