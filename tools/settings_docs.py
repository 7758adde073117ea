"""Write `docs/settings.md` from `apps.settings.Settings`: every section, key, type, default and meaning.

Usage:  python tools/settings_docs.py
Idea:   the structs are the only source: types and defaults as they stand, meanings from the `Attributes` of their
        docstrings. A test compares the page with `page()`, so the page cannot go stale.
"""

import re
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import msgspec
from source_tree import ROOT

from tradeworthy.apps.commands.settings import Settings, sections_of

PATH = ROOT / "docs" / "settings.md"

OPENING = """# Settings

One file, `tradeworthy.toml`, holds what a deployment is: `tradeworthy init` writes one to start from. A section that is
left out has its defaults; a key that is not on this page is refused, with the nearest one that is. Sections in double
brackets may stand several times. `tradeworthy doctor` looks at the file without running anything.

This page is written by `python tools/settings_docs.py`; a test compares it with the code.
"""

ENTRY = re.compile(r"^([a-z_0-9]+(?:, [a-z_0-9]+)*)(?: : .*)?$")
Struct = type[msgspec.Struct]


def sections(kind: Struct = Settings, place: str = "") -> Iterator[tuple[str, Struct, bool]]:
    """Yield every section's dotted name, its struct, and whether it may stand several times."""
    for field in msgspec.structs.fields(kind):
        for inner in sections_of(field.type):
            name = f"{place}{field.encode_name}"
            yield name, inner, get_origin(field.type) is list
            yield from sections(inner, f"{name}.")


def title(name: str, kind: Struct, *, several: bool) -> str:
    """Return a section's heading, with the key that chooses it."""
    config = kind.__struct_config__
    chosen = f' with `{config.tag_field} = "{config.tag}"`' if config.tag_field else ""
    return f"## `[[{name}]]`{chosen}" if several else f"## `[{name}]`"


def meanings(kind: Struct) -> dict[str, str]:
    """Return what each key of a struct means, from the `Attributes` of its docstring and of those it extends."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if issubclass(base, msgspec.Struct) and base.__doc__:
            found |= _attributes(base.__doc__)
    return found


def _attributes(doc: str) -> dict[str, str]:
    """Read numpydoc's `Attributes`: lines ``name, name : type``, each followed by deeper lines of meaning."""
    _, _, text = doc.partition("Attributes\n")
    indent = len(text) - len(text.lstrip(" "))
    found: dict[str, list[str]] = {}
    words: list[str] = []
    for line in text.splitlines()[1:]:
        depth, entry = len(line) - len(line.lstrip()), ENTRY.match(line.strip())
        if depth == indent and entry:
            words = []
            found |= dict.fromkeys(entry[1].split(", "), words)
        elif line.strip() and depth > indent:
            words.append(line.strip())
        elif line.strip():
            break
    return {name: " ".join(lines) for name, lines in found.items()}


def type_words(kind: Any) -> str:
    """Write a type as a person writes it in TOML."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(f'`"{value}"`' for value in inner)
    if origin in {Union, types.UnionType}:
        return " or ".join(type_words(part) for part in inner if part is not type(None))
    if origin in {list, tuple}:
        return f"list of {type_words(inner[0])}"
    if origin in {dict, Mapping}:
        return f"table of {type_words(inner[1])}"
    return {str: "text", int: "whole number", float: "number", bool: "true or false"}.get(
        kind, getattr(kind, "__name__", str(kind))
    )


def default_words(field: Any) -> str:
    """Write a default as it would stand in the file."""
    if field.required:
        return "required"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return f"`{_toml(value)}`" if value is not None else "not set"


def _toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case list() | tuple():
            return f"[{', '.join(_toml(part) for part in value)}]"
        case dict():
            return "{" + ", ".join(f"{key} = {_toml(part)}" for key, part in value.items()) + "}"
        case float():
            return f"{value:.6g}"
    return str(value)


def rows(kind: Struct) -> list[str]:
    """Return a table row for each key of a section; sections inside have their own."""
    said = meanings(kind)
    return [
        f"| `{field.encode_name}` | {type_words(field.type)} | {default_words(field)} | {said.get(field.name, '')} |"
        for field in msgspec.structs.fields(kind)
        if not sections_of(field.type)
    ]


def about(kind: Struct) -> str:
    """Return what a section is for: its docstring up to the first headed part, without its own name."""
    text = (kind.__doc__ or "").split("Attributes\n")[0]
    text = re.sub(
        r"^(The `\[+[a-z.]+\]+` section|Section ``\[[a-z.]+\]`` of (the settings|tradeworthy\.toml))[:.]? ?",
        "",
        text.strip(),
    )
    parts = [" ".join(part.split()) for part in text.split("\n\n")]
    return "\n\n".join(part[:1].upper() + part[1:] for part in parts if part)


def page() -> str:
    """Return the whole page as Markdown."""
    parts = [OPENING]
    for name, kind, several in sections():
        config = kind.__struct_config__
        which = f' with `{config.tag_field} = "{config.tag}"`' if config.tag_field else ""
        parts += [f"## `[[{name}]]`{which}" if several else f"## `[{name}]`{which}", ""]
        parts += [about(kind), ""] if about(kind) else []
        lines = rows(kind)
        parts += ["| key | type | default | meaning |", "| --- | --- | --- | --- |", *lines, ""] if lines else []
    return "\n".join(parts)


def write(path: Path = PATH) -> None:
    """Write the page."""
    path.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    write()
    print(f"wrote {PATH.relative_to(ROOT)}")
