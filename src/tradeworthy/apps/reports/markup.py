"""HTML and SVG as values that are escaped by construction.

Idea:   `tag` builds an element; a plain `str` inside it is text and is escaped, a `Markup` is an element and is kept.
        Nothing else makes `Markup`, so a feature called ``<script>`` can only ever be shown, never run. Characters that
        nobody sees, or that turn the direction of what follows, are shown as a replacement.
"""

import re
from collections.abc import Iterable
from html import escape

EMPTY_ELEMENTS = frozenset({"br", "col", "hr", "img", "input", "link", "meta"})

UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
"""Controls, zero-width and direction marks, halves of surrogate pairs."""

Attribute = str | float | bool | None
REPLACED = "\N{REPLACEMENT CHARACTER}"


class Markup(str):
    """A piece of HTML or SVG that is already safe to show."""

    __slots__ = ()


def tag(name: str, /, *children: "Markup | str | Iterable[Markup | str] | None", **attributes: Attribute) -> Markup:
    """Build one element.

    Parameters
    ----------
    name : str
        The element's name; ours, never a user's.
    children : Markup, str, iterable of them, or None
        What is inside; text is escaped, `None` is left out.
    attributes : str, number, bool or None
        Written in the order given. A trailing underscore is dropped and other underscores become hyphens
        (``class_``, ``stroke_width``); `True` writes the bare name; `None` and `False` leave it out.
    """
    head = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in EMPTY_ELEMENTS:
        return Markup(f"<{name}{head}>")
    return Markup(f"<{name}{head}>{join(*children)}</{name}>")


def join(*children: "Markup | str | Iterable[Markup | str] | None") -> Markup:
    """Put children side by side; text is escaped, `None` is left out."""
    return Markup("".join(_flat(children)))


def number(value: float) -> str:
    """Write a coordinate with at most two decimals and no trailing zeros."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def _flat(children: "Iterable[Markup | str | Iterable[Markup | str] | None]") -> Iterable[str]:
    """Yield the safe text of every child, however nested."""
    for child in children:
        if isinstance(child, Markup):
            yield child
        elif isinstance(child, str):
            yield escape(UNSEEN.sub(REPLACED, child), quote=False)
        elif child is not None:
            yield from _flat(child)


def _attribute(key: str, value: Attribute) -> str:
    """Write one attribute with its leading space."""
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    text = value if isinstance(value, str) else number(value)
    return f' {name}="{escape(UNSEEN.sub(REPLACED, text))}"'
