"""The people of a deployment: their roles are facts, their passwords a file that only this machine's owner reads.

Idea:   a ledger never forgets, so it holds who had which role and when, but no password, not even hashed. Each
        password is an Argon2id hash in a file of its own; losing the file locks people out and lets nobody in.
Failure: a name that is unknown costs as much time as a wrong password, and after `TRIES_MAX` failures within
        `WINDOW_S` a name is locked for `LOCKED_S`; the lock is returned, so that the caller can put it on the record.
"""

import os
from collections import deque
from pathlib import Path

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from tradeworthy.change.access.roles import Role, checked_roles
from tradeworthy.core import facts
from tradeworthy.core.errors import UNDECODABLE, NotFound, RecordCorrupt, SettingsInvalid, near
from tradeworthy.core.time import NS_PER_S, Clock
from tradeworthy.record.ledger import Ledger

PASSWORD_MIN = 12
NAME_MAX = 64
TRIES_MAX = 5
WINDOW_S = 300
LOCKED_S = 300
NAMES_REMEMBERED = 1_000

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_NOBODY = _HASHER.hash("a password that nobody has")


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may sign in."""

    name: str
    roles: tuple[Role, ...]


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """How a try to sign in ended: with a person, or with none; `locked` says that this try locked the name."""

    person: Person | None = None
    locked: bool = False
    wait_s: float = 0.0


class People:
    """Gives and takes roles, and checks passwords.

    Parameters
    ----------
    ledger : Ledger
        Where roles are facts.
    passwords : Path
        The file of hashes; made, readable by its owner only, with the first person.
    clock : Clock
        Times failures.
    """

    def __init__(self, ledger: Ledger, passwords: Path, *, clock: Clock) -> None:
        self._ledger, self._path, self._clock = ledger, passwords, clock
        self._failures: dict[str, deque[int]] = {}

    def everybody(self) -> list[Person]:
        """Return everybody who has a role, by name."""
        roles: dict[str, tuple[Role, ...]] = {}
        for entry in self._ledger.facts(facts.RolesGiven):
            if isinstance(entry.fact, facts.RolesGiven):
                roles[entry.fact.person] = checked_roles(entry.fact.roles)
        return [Person(name=name, roles=held) for name, held in sorted(roles.items()) if held]

    def find(self, name: str) -> Person | None:
        """Return a person, as they stand now; None if they have no role."""
        return next((person for person in self.everybody() if person.name == name), None)

    def add(self, name: str, roles: list[str], password: str | None, *, actor: str, reason: str) -> Person:
        """Let somebody in, or change their roles and password.

        Without a password the one they have stays; who has none comes in by invitation only.

        Raises
        ------
        SettingsInvalid
            The name, a role or the password cannot be used.
        DataInvalid
            Actor or reason is empty; nothing was changed.
        """
        given = checked_roles(roles)
        if not given:
            raise SettingsInvalid(f"{name!r} would have no role; give one, or remove them")
        if name != name.strip() or not 0 < len(name) <= NAME_MAX or not name.isprintable():
            raise SettingsInvalid(f"name is {name!r}; allowed are 1 to {NAME_MAX} printable characters without a rim")
        if password is not None and len(password) < PASSWORD_MIN:
            raise SettingsInvalid(f"the password has {len(password)} characters, allowed are {PASSWORD_MIN} or more")
        hashes = None if password is None else {**self._hashes(), name: _HASHER.hash(password)}
        self._ledger.append(facts.RolesGiven(person=name, roles=list(given)), actor=actor, reason=reason)
        if hashes is not None:
            self._keep(hashes)
        return Person(name=name, roles=given)

    def remove(self, name: str, *, actor: str, reason: str) -> None:
        """Take every role from somebody, and their password.

        Raises
        ------
        NotFound
            Nobody of this name has a role.
        """
        known = [person.name for person in self.everybody()]
        if name not in known:
            raise NotFound(f"nobody is called {name!r}{near(name, known)}; people are {', '.join(known) or 'none'}")
        self._ledger.append(facts.RolesGiven(person=name, roles=[]), actor=actor, reason=reason)
        self._keep({other: kept for other, kept in self._hashes().items() if other != name})

    def sign_in(self, name: str, password: str) -> SignedIn:
        """Check a password.

        Returns
        -------
        SignedIn
            With the person if it is right and the name is not locked.
        """
        name = name[:NAME_MAX]
        wait_s = self._locked_for_s(name)
        right = _matches(self._hashes().get(name, _NOBODY), password)
        person = self.find(name)
        if wait_s:
            return SignedIn(wait_s=wait_s)
        if right and person is not None:
            self._failures.pop(name, None)
            return SignedIn(person=person)
        return self._failed(name)

    def _failed(self, name: str) -> SignedIn:
        """Note a failure, and tell whether it locks the name."""
        if name not in self._failures and len(self._failures) >= NAMES_REMEMBERED:
            del self._failures[next(iter(self._failures))]
        failures = self._failures.setdefault(name, deque(maxlen=TRIES_MAX))
        failures.append(self._clock.monotonic_ns())
        locked = self._locked_for_s(name)
        return SignedIn(locked=bool(locked), wait_s=locked)

    def _locked_for_s(self, name: str) -> float:
        """Return for how long a name is locked still."""
        failures = self._failures.get(name, deque())
        if len(failures) < TRIES_MAX or failures[-1] - failures[0] > WINDOW_S * NS_PER_S:
            return 0.0
        return max(0.0, LOCKED_S - (self._clock.monotonic_ns() - failures[-1]) / NS_PER_S)

    def _hashes(self) -> dict[str, str]:
        """Read the hashes; none where there is no file yet.

        Raises
        ------
        RecordCorrupt
            The file is damaged.
        """
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, str])
        except FileNotFoundError:
            return {}
        except UNDECODABLE as error:
            raise RecordCorrupt(
                f"{self._path} cannot be read: {error}. Remove it, and give everybody a password anew: "
                "tradeworthy people add NAME"
            ) from error

    def _keep(self, hashes: dict[str, str]) -> None:
        """Write the hashes, whole or not at all."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_name(f".{self._path.name}-{os.getpid()}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(hashes))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)


def _matches(kept: str, password: str) -> bool:
    """Tell whether a password is the one that was hashed."""
    try:
        return _HASHER.verify(kept, password)
    except (VerificationError, InvalidHashError):
        return False
