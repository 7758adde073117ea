"""Reason codes: the principal reasons against somebody, in words that a project has agreed on beforehand.

Idea:   a catalogue gives every feature a code and the text that a person is told when that feature spoke against them.
        Only adverse contributions become reasons, the largest first, at most four; the catalogue's version and digest
        go with them, so that years later it is known what was said, and under which text.
Adverse: a catalogue says which scores are favourable; what moved the margin the other way is adverse.
Reference: Regulation B, 12 CFR 1002.9(b)(2): specific principal reasons, at most four as a rule (its commentary).
"""

import hashlib
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from tradeworthy.core.errors import NotFound, SettingsInvalid, near
from tradeworthy.judge.explain.attribution import Explanation

CODES_MAX = 4
GENERATED = "generated"


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One feature's code, and what is said where it spoke against somebody."""

    code: str
    text: str


class Catalogue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a project says, feature by feature; a TOML file.

    Attributes
    ----------
    version : str
        The catalogue's own; change it with every text.
    favourable : {'high', 'low'}
        Which scores are good for whoever is told the reasons.
    reason : dict of str to Entry
        By feature.
    """

    version: str
    favourable: Literal["high", "low"] = "high"
    reason: dict[str, Entry] = {}

    @property
    def digest(self) -> str:
        """SHA-256 of the catalogue, hexadecimal."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()

    def missing(self, names: Sequence[str]) -> list[str]:
        """Return the features that have no code, or an empty one."""
        given = {name for name, entry in self.reason.items() if entry.code.strip() and entry.text.strip()}
        return [name for name in names if name not in given]


class ReasonCode(msgspec.Struct, frozen=True, kw_only=True):
    """One principal reason: code and text of the catalogue, and the contribution that it rests on."""

    code: str
    text: str
    feature: str
    contribution: float


class ReasonCodes(msgspec.Struct, frozen=True, kw_only=True):
    """The principal reasons against somebody, the largest first, and the catalogue that they are worded by."""

    catalogue: str
    digest: str
    codes: list[ReasonCode]


def read_catalogue(path: Path) -> Catalogue:
    """Read a catalogue.

    Raises
    ------
    NotFound
        There is no such file.
    SettingsInvalid
        It is not a catalogue, or two features with different texts share a code.
    """
    try:
        found = msgspec.toml.decode(path.read_bytes(), type=Catalogue)
    except FileNotFoundError:
        raise NotFound(f"no reason catalogue at {path}; write one with: tradeworthy reasons") from None
    except (tomllib.TOMLDecodeError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"{path} is not a reason catalogue: {error}") from None
    texts: dict[str, str] = {}
    for name, entry in found.reason.items():
        if texts.setdefault(entry.code, entry.text) != entry.text:
            raise SettingsInvalid(f"{path}: code {entry.code!r} of {name!r} stands for another text already")
    return found


def generated_catalogue(names: Sequence[str], describe: Callable[[str], str]) -> Catalogue:
    """Return a catalogue made of the features' descriptions, for a project that has written none."""
    entries = {
        name: Entry(code=f"R{place:02d}", text=f"The value of {describe(name)}") for place, name in enumerate(names, 1)
    }
    return Catalogue(version=GENERATED, reason=entries)


def to_toml(catalogue: Catalogue) -> str:
    """Write a catalogue as a file for people to edit."""
    lines = [f"version = {_quoted(catalogue.version)}", f"favourable = {_quoted(catalogue.favourable)}"]
    for name, entry in catalogue.reason.items():
        lines += ["", f"[reason.{_quoted(name)}]", f"code = {_quoted(entry.code)}", f"text = {_quoted(entry.text)}"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Write a string as TOML, whose basic strings take JSON's escapes."""
    return msgspec.json.encode(text).decode()


def reason_codes(explanation: Explanation, catalogue: Catalogue, *, count: int = CODES_MAX) -> ReasonCodes:
    """Return the principal reasons against somebody: adverse contributions only, the largest first, one a code.

    Raises
    ------
    NotFound
        A feature that speaks against somebody has no code.
    """
    against = -1.0 if catalogue.favourable == "high" else 1.0
    found: dict[str, ReasonCode] = {}
    for place in explanation.by_size():
        contribution, name = explanation.contributions[place], explanation.names[place]
        if contribution * against <= 0.0:
            continue
        entry = catalogue.reason.get(name)
        if entry is None:
            known = sorted(catalogue.reason)
            raise NotFound(
                f"catalogue {catalogue.version} has no reason for feature {name!r}{near(name, known)}; add it"
            )
        found.setdefault(
            entry.code, ReasonCode(code=entry.code, text=entry.text, feature=name, contribution=contribution)
        )
        if len(found) == min(count, CODES_MAX):
            break
    return ReasonCodes(catalogue=catalogue.version, digest=catalogue.digest, codes=list(found.values()))
