"""API keys as a person handles them: made, listed, taken back. A secret is shown once and kept nowhere."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tradeworthy.change.access.keys import KEY_FACTS, SECRET_BYTES, Key, issue, keys_of, revoke
from tradeworthy.core.time import iso

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project


class KeyLine(msgspec.Struct, frozen=True, kw_only=True):
    """One key; `state` is ``good``, ``expired`` or ``revoked``, a bound is absent where None."""

    key: str
    owner: str
    scopes: list[str]
    state: str
    rate_per_s: float | None
    rows_per_day: int | None
    issued: str
    expires: str | None

    @classmethod
    def of(cls, key: Key, now_ns: int) -> Self:
        """Take what a person wants to see of a key."""
        return cls(
            key=key.key,
            owner=key.owner,
            scopes=list(key.scopes),
            state="revoked" if key.revoked else "expired" if key.is_over(now_ns) else "good",
            rate_per_s=key.rate_per_s,
            rows_per_day=key.rows_per_day,
            issued=iso(key.issued_ns),
            expires=None if key.expires_ns is None else iso(key.expires_ns),
        )


class KeyMade(msgspec.Struct, frozen=True, kw_only=True):
    """A new key and its secret: shown now, never again."""

    secret: str
    key: KeyLine


class KeyList(msgspec.Struct, frozen=True, kw_only=True):
    """Every key of a deployment, the earliest first."""

    keys: list[KeyLine]


def create_key(
    project: "Project",
    owner: str,
    scopes: Sequence[str],
    *,
    rate_per_s: float | None = None,
    rows_per_day: int | None = None,
    days: float | None = None,
    actor: str,
    reason: str,
) -> KeyMade:
    """Make a key; see `change.access.keys.issue`."""
    now_ns = project.clock.now_ns()
    secret, key = issue(
        project.ledger,
        owner=owner,
        scopes=scopes,
        entropy=AESGCM.generate_key(8 * SECRET_BYTES),
        now_ns=now_ns,
        actor=actor,
        reason=reason,
        rate_per_s=rate_per_s,
        rows_per_day=rows_per_day,
        days=days,
    )
    return KeyMade(secret=secret, key=KeyLine.of(key, now_ns))


def list_keys(project: "Project") -> KeyList:
    """Return every key, revoked ones included."""
    now_ns = project.clock.now_ns()
    return KeyList(keys=[KeyLine.of(key, now_ns) for key in keys_of(project.ledger.facts(*KEY_FACTS)).values()])


def revoke_key(project: "Project", key: str, *, actor: str, reason: str) -> KeyLine:
    """Take a key back."""
    return KeyLine.of(revoke(project.ledger, key, actor=actor, reason=reason), project.clock.now_ns())
