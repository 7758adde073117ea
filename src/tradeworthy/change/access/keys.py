"""API keys as facts: who may do what through the port, how fast, how much a day, until when.

Idea:   a key is a random secret that is shown once; the ledger holds its SHA-256. The secret has 256 random bits, so
        no slower digest is needed to keep it from being guessed. It names its record, so one digest is compared.
Shape:  ``tw_<8 characters: the id>_<43 characters: the secret>``.
State:  none but the facts `KeyIssued` and `KeyRevoked`.
"""

import base64
import hashlib
import hmac
import math
from collections.abc import Iterable, Sequence
from typing import Self

import msgspec

from tradeworthy.core.errors import NotFound, SettingsInvalid, near
from tradeworthy.core.facts import KeyIssued, KeyRevoked
from tradeworthy.core.time import NS_PER_DAY
from tradeworthy.record.ledger import Entry, Ledger

SCOPES = ("infer", "outcomes", "explain", "admin", "risk", "approve")
"""What a key may allow: ask for scores and decisions; bring labels; read decisions, reasons and findings; load and
unload versions and manage keys; limits and halts; approvals."""

PREFIX = "tw"
SECRET_BYTES = 32
ID_CHARACTERS = 8
DAYS_MAX = 36_500
"""A time beyond that is for ever; far beyond it, it could not even be written."""

KEY_FACTS = (KeyIssued, KeyRevoked)


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key as the facts have it.

    Attributes
    ----------
    key : str
        Its id, the middle of the secret's text.
    owner : str
        Whose it is.
    scopes : tuple of str
        From `SCOPES`.
    digest : str
        SHA-256 of the whole text, hexadecimal.
    rate_per_s, rows_per_day : float or None, int or None
        How many requests a second, and how many rows or events a UTC day; without bound where None.
    expires_ns : int or None
        When it ends, UTC nanoseconds.
    revoked : bool
        Whether somebody has taken it back.
    """

    key: str
    owner: str
    scopes: tuple[str, ...]
    digest: str
    rate_per_s: float | None
    rows_per_day: int | None
    issued_ns: int
    expires_ns: int | None
    revoked: bool = False

    @classmethod
    def of(cls, fact: KeyIssued, issued_ns: int) -> Self:
        """Return the key that a fact issued."""
        return cls(
            key=fact.key,
            owner=fact.owner,
            scopes=tuple(fact.scopes),
            digest=fact.digest,
            rate_per_s=fact.rate_per_s,
            rows_per_day=fact.rows_per_day,
            issued_ns=issued_ns,
            expires_ns=fact.expires_ns,
        )

    def is_over(self, now_ns: int) -> bool:
        """Tell whether it opens nothing any more."""
        return self.revoked or (self.expires_ns is not None and now_ns >= self.expires_ns)


def digest_of(secret: str) -> str:
    """Return what is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def matches(secret: str, digest: str) -> bool:
    """Compare a secret with what was kept, in a time that does not tell where they differ."""
    return hmac.compare_digest(digest_of(secret), digest)


def id_in(secret: str) -> str:
    """Return the id that a text claims; empty for what has not the shape of a key.

    >>> id_in("tw_abcdefgh_" + 43 * "x"), id_in("hunter2")
    ('abcdefgh', '')
    """
    parts = secret.split("_", 2)
    shaped = len(parts) == 3 and parts[0] == PREFIX and len(parts[1]) == ID_CHARACTERS and secret.isascii()
    return parts[1] if shaped else ""


def issue(
    ledger: Ledger,
    *,
    owner: str,
    scopes: Sequence[str],
    entropy: bytes,
    now_ns: int,
    actor: str,
    reason: str,
    rate_per_s: float | None = None,
    rows_per_day: int | None = None,
    days: float | None = None,
) -> tuple[str, Key]:
    """Make a key, record it, and return its secret, which is nowhere else, with its record.

    Parameters
    ----------
    entropy : (32,) bytes
        Random; the secret. Its digest begins with the id.
    days : float, optional
        How long it is good, at most `DAYS_MAX`; for ever if left out.

    Raises
    ------
    SettingsInvalid
        No owner, no scope or one that is not known, or a bound that is not positive or has no end.
    """
    _check(owner, scopes, {"rate_per_s": rate_per_s, "rows_per_day": rows_per_day, "days": days})
    if len(entropy) != SECRET_BYTES:
        raise ValueError(f"{len(entropy)} bytes of entropy, allowed are {SECRET_BYTES}")
    name = hashlib.sha256(entropy).hexdigest()[:ID_CHARACTERS]
    secret = f"{PREFIX}_{name}_{base64.urlsafe_b64encode(entropy).decode().rstrip('=')}"
    fact = KeyIssued(
        key=name,
        owner=owner,
        scopes=[scope for scope in SCOPES if scope in scopes],
        digest=digest_of(secret),
        rate_per_s=rate_per_s,
        rows_per_day=rows_per_day,
        expires_ns=None if days is None else now_ns + int(days * NS_PER_DAY),
    )
    ledger.append(fact, actor=actor, reason=reason)
    return secret, Key.of(fact, now_ns)


def revoke(ledger: Ledger, key: str, *, actor: str, reason: str) -> Key:
    """Take a key back; running ports hear of it within a second.

    Raises
    ------
    NotFound
        There is no such key, or it was revoked before.
    """
    known = keys_of(ledger.facts(*KEY_FACTS))
    found = known.get(key)
    if found is None or found.revoked:
        good = [name for name, each in known.items() if not each.revoked]
        raise NotFound(f"no key {key!r} is good{near(key, good)}; see: tradeworthy keys list")
    ledger.append(KeyRevoked(key=key), actor=actor, reason=reason)
    return msgspec.structs.replace(found, revoked=True)


def keys_of(entries: Iterable[Entry], known: dict[str, Key] | None = None) -> dict[str, Key]:
    """Return every key by its id, as the facts add up, on top of those `known` before."""
    keys = dict(known or {})
    for entry in entries:
        match entry.fact:
            case KeyIssued() as issued:
                keys[issued.key] = Key.of(issued, entry.ts_ns)
            case KeyRevoked(key=name) if name in keys:
                keys[name] = msgspec.structs.replace(keys[name], revoked=True)
    return keys


def _check(owner: str, scopes: Sequence[str], bounds: dict[str, float | None]) -> None:
    """Refuse a key that could do nothing, or that nobody owns."""
    if not owner.strip():
        raise SettingsInvalid("the key has no owner; name who will use it")
    if not scopes:
        raise SettingsInvalid(f"the key has no scope; allowed are {', '.join(SCOPES)}")
    for scope in scopes:
        if scope not in SCOPES:
            raise SettingsInvalid(f"scope {scope!r} is unknown{near(scope, SCOPES)}; allowed are {', '.join(SCOPES)}")
    for name, value in bounds.items():
        if value is not None and not 0 < value < math.inf:
            raise SettingsInvalid(f"{name} is {value:g}, allowed is a positive number, or none for no bound")
    if (bounds["days"] or 0) > DAYS_MAX:
        raise SettingsInvalid(f"days is {bounds['days']:g}, allowed are {DAYS_MAX:,} at most, or none for ever")
