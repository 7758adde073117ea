"""The versions that can be scored now: those that the engine keeps warm, and promoted ones loaded on request.

Idea:   the model is the desk; its versions are the deployment's. Without a version, the champion answers; the reference
        to it is taken once a request, so no answer mixes two.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec

from tradeworthy.apps.server.replies import RequestRefused
from tradeworthy.core.decisions import SHORT
from tradeworthy.core.errors import near
from tradeworthy.model.version import Version

CHAMPION, PREVIOUS = "champion", "previous"
PROMOTED = (CHAMPION, PREVIOUS, "shadow")


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the repository's index."""

    name: str
    version: str
    state: str
    reason: str


class Warm(Protocol):
    """A version that is ready: a `live.pipeline.Pipeline`, or a worker's."""

    @property
    def version(self) -> Version:
        """What scores."""

    @property
    def name(self) -> str:
        """The first 16 characters of its digest."""


class Roster(Protocol):
    """Which versions serve: a `live.desk.Desk`, or a worker's."""

    @property
    def champion(self) -> Warm | None:
        """The version that answers where none is named; None while there is none."""

    @property
    def previous(self) -> Warm | None:
        """The champion before."""

    @property
    def leading(self) -> Warm:
        """The champion, where there must be one."""

    def pipelines(self) -> Iterable[Warm]:
        """Return every version that is ready, the champion first."""


class Models:
    """Finds versions by the words of a request.

    Parameters
    ----------
    name : str
        The model's name: the desk's.
    desk : Roster

    Attributes
    ----------
    loaded : dict of str to Version
        By the first 16 characters of the digest; those beside the engine's own.
    roles : mapping of str to str
        Every registered version's role, as the facts have it.
    """

    def __init__(self, name: str, desk: Roster) -> None:
        self.name, self._desk = name, desk
        self.loaded: dict[str, Version] = {}
        self.roles: Mapping[str, str] = {}

    @property
    def champion(self) -> Version:
        """The version that answers where none is named: not a canary of some instruments."""
        return self._desk.leading.version

    def warm(self) -> dict[str, Version]:
        """Return the versions that the engine keeps, by short name."""
        return {pipeline.name: pipeline.version for pipeline in self._desk.pipelines()}

    def check_name(self, name: str) -> None:
        """Refuse another model's name."""
        if name != self.name:
            raise RequestRefused(404, f"there is no model {name!r}{near(name, [self.name])}; there is {self.name!r}")

    def find(self, word: str = CHAMPION) -> Version:
        """Return the version of a word: ``champion``, ``previous``, or the first 16 characters of a digest.

        Raises
        ------
        RequestRefused
            It is not loaded, or not known.
        """
        if word == CHAMPION:
            return self.champion
        warm = self.warm()
        if word == PREVIOUS and self._desk.previous is not None:
            return self._desk.previous.version
        found = warm.get(word[:SHORT]) or self.loaded.get(word[:SHORT])
        if found is None or not found.digest.startswith(word):
            known = [CHAMPION, *warm, *self.loaded]
            raise RequestRefused(404, f"version {word[:64]!r} is not ready{near(word, known)}; ready are {known}")
        return found

    def versions(self) -> list[str]:
        """Return the short names of every version that is ready, the champion first."""
        return list(dict.fromkeys([*self.warm(), *self.loaded]))

    def index(self) -> list[Listed]:
        """Return every version of the deployment, and whether it is ready."""
        ready = self.versions()
        names = {digest[:SHORT]: role for digest, role in self.roles.items()}
        return [
            Listed(
                name=self.name,
                version=name,
                state="READY" if name in ready else "UNAVAILABLE",
                reason=role if name in ready else f"{role}, not loaded",
            )
            for name, role in (dict.fromkeys(ready, "serving") | names).items()
        ]

    def promoted(self) -> list[str]:
        """Return the digests of all promoted versions."""
        return [digest for digest, role in self.roles.items() if role in PROMOTED]

    def may_load(self, word: str) -> str:
        """Return the digest of a promoted version; nothing goes around the gate.

        Raises
        ------
        RequestRefused
            403: it was never promoted, or was retired.
        """
        digest = next((digest for digest in self.roles if word and digest.startswith(word)), None)
        if digest is None:
            raise RequestRefused(404, f"no version {word!r} is registered; see the repository's index")
        if self.roles[digest] not in PROMOTED:
            raise RequestRefused(
                403,
                f"version {digest[:SHORT]} is {self.roles[digest]}; only a promoted version is loaded: run "
                f"tradeworthy gate, then tradeworthy promote {digest[:SHORT]} --to shadow",
            )
        return digest

    def unload(self, word: str) -> None:
        """Let a version go that was loaded on request.

        Raises
        ------
        RequestRefused
            403: it serves; 404: it is not loaded.
        """
        if word in self.warm():
            raise RequestRefused(403, f"version {word} is at work; roll it back or retire it instead")
        if self.loaded.pop(word, None) is None:
            raise RequestRefused(404, f"version {word!r} is not loaded")
