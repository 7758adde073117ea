"""Roles, and what each may do: one table, so that the page, the interface and `who-can` give one answer.

Idea:   an action is a word; a role is a set of them. Halting is everybody's: stopping must never wait for the right
        person. What opens risk again, or changes what may trade, is not.
Reference: REGULATION.md R1, R13, R17: approval apart from authorship, re-enabling by a designated person,
        traced access.
"""

from collections.abc import Iterable
from typing import Literal

from tradeworthy.core.errors import NotAllowed, NotFound, SettingsInvalid, near

Role = Literal["trader", "risk", "approver", "admin"]

ROLES: dict[Role, str] = {
    "trader": "runs the desk day by day",
    "risk": "answers for limits and halts",
    "approver": "lets versions trade",
    "admin": "gives people their roles and keys",
}
"""Every role, and what it is for."""

SCOPE_ROLES: dict[str, Role] = {"risk": "risk", "approve": "approver", "admin": "admin"}
"""The scopes of a key that open the interface for programs, and the role that each gives."""

ACTIONS: dict[str, tuple[Role, ...]] = {
    "see": ("trader", "risk", "approver", "admin"),
    "halt": ("trader", "risk", "approver", "admin"),
    "resume": ("risk",),
    "resize": ("risk",),
    "limits": ("risk",),
    "override": ("trader", "risk", "approver"),
    "policy": ("risk",),
    "acknowledge": ("trader", "risk", "approver"),
    "close": ("trader", "risk"),
    "approve": ("approver",),
    "promote": ("approver",),
    "set_aside": ("risk", "approver"),
    "rollback": ("trader", "risk", "approver"),
    "query": ("trader", "risk", "admin"),
    "people": ("admin",),
    "keys": ("admin",),
    "alerts": ("risk", "admin"),
}
"""Which roles may do an action."""


def checked_roles(words: Iterable[str]) -> tuple[Role, ...]:
    """Return roles in their usual order.

    Raises
    ------
    SettingsInvalid
        A word is no role.
    """
    wanted = set(words)
    for word in sorted(wanted - set(ROLES)):
        raise SettingsInvalid(f"role is {word!r}{near(word, ROLES)}; allowed are {', '.join(ROLES)}")
    return tuple(role for role in ROLES if role in wanted)


def may(roles: Iterable[str], action: str) -> bool:
    """Tell whether somebody with these roles may do an action."""
    return bool(set(roles) & set(ACTIONS[action]))


def require(name: str, roles: Iterable[str], action: str) -> None:
    """Refuse an action that none of the roles may do.

    Raises
    ------
    NotAllowed
        With who could.
    """
    if not may(roles, action):
        needed = " or ".join(ACTIONS[action])
        raise NotAllowed(f"{action!r} is not open to {name} here: it needs the role {needed}; ask somebody who has it")


def roles_that_may(action: str) -> tuple[Role, ...]:
    """Return the roles that may do an action.

    Raises
    ------
    NotFound
        There is no such action.
    """
    if action not in ACTIONS:
        raise NotFound(f"no action {action!r}{near(action, ACTIONS)}; actions are {', '.join(ACTIONS)}")
    return ACTIONS[action]
