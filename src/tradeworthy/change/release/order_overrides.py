"""Overrides of a hard block: an order that a check refused may pass it once, if two people of two roles say so.

Idea:   a limit is not to be argued with by one person, in silence, for ever, or for more than was looked at. Each of
        the two says of one refused decision up to which value its check may go, until when and why: a fact each. The
        narrower value and the earlier time count. The engine lets one order of the instrument pass; how that ended is
        a fact too.
State:  the ledger's facts. One decision is overridden once; what must hold for longer is a limit to change.
Reference: REGULATION.md R14 (two roles, an expiry, one order id); RTS 6 15(4) to (6), 15c3-5(c).
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from tradeworthy.change.access.roles import Role
from tradeworthy.core import facts
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import ReleaseRefused
from tradeworthy.core.limits import LEAST, LIMIT_FIELDS, Override
from tradeworthy.core.time import NS_PER_MINUTE, iso
from tradeworthy.live.overrides import Allowed, End
from tradeworthy.live.risk.judge import CHECKS
from tradeworthy.record.ledger import Entry, Ledger

PEOPLE = 2
MINUTES_MAX = 24 * 60
MAY: tuple[Role, ...] = ("trader", "risk", "approver")
"""The roles that count; two people need two of them."""

OVERRIDABLE: dict[DenialCode, int] = {
    DenialCode(check.code): place for place, check in enumerate(CHECKS) if check.code != DenialCode.REPEATED_EXECUTION
}
"""The checks that two people may let an order pass, and the place of each."""

_ENDS = {End.SENT: "sent", End.EXPIRED: "expired", End.RESTARTED: "restarted"}


class Overridden(msgspec.Struct, frozen=True, kw_only=True):
    """Where an override stands: what it allows, who has given it, whether it counts, and what is to be done next."""

    order: int
    check: str
    instrument: str
    observed: float
    limit: float
    up_to: float
    until: str
    given_by: list[str]
    in_force: bool
    next: str


class Person(NamedTuple):
    """Who asks, with which roles."""

    name: str
    roles: Sequence[str]


def override_order(
    ledger: Ledger,
    denied: np.void,
    symbols: Sequence[str],
    *,
    by: Person,
    minutes: int,
    up_to: float | None,
    reason: str,
) -> Overridden:
    """Record one person's override of the check that refused an order; with the second person's it counts.

    Parameters
    ----------
    ledger : Ledger
        Where facts go.
    denied : DECISION record
        What was refused.
    symbols : sequence of str
        The desk's instruments.
    by : Person
        Who asks.
    minutes : int
        For how long, from now.
    up_to : float, optional
        The value that the check may reach; what it observed, if left out.
    reason : str
        Why.

    Raises
    ------
    ReleaseRefused
        The decision was not refused by a check that can be overridden, the time or the value is not allowed, or the
        person may not, or has done so already.
    """
    code, order, now_ns = DenialCode(int(denied["verdict"])), int(denied["sequence"]), ledger.now_ns()
    observed, limit = float(denied["observed"]), float(denied["limit"])
    up_to = observed if up_to is None else up_to
    _check_asked(code, order, minutes, reason)
    _check_value(code, observed, limit, up_to)
    fact = facts.OrderOverridden(
        order=order,
        check=code.name,
        instrument=symbols[int(denied["instrument"])],
        observed=observed,
        limit=limit,
        up_to=up_to,
        until_ns=now_ns + minutes * NS_PER_MINUTE,
        roles=[role for role in MAY if role in by.roles],
    )

    def decided() -> facts.OrderOverridden:
        _check_person(ledger, by, order, _in_time(ledger, now_ns).get(order, []))
        return fact

    ledger.decide(decided, actor=by.name, reason=reason)
    given = _in_time(ledger, now_ns)[order]
    counts = _counts(given)
    return Overridden(
        order=order,
        check=code.name,
        instrument=fact.instrument,
        observed=observed,
        limit=limit,
        up_to=_narrowest(given),
        until=iso(min(each.fact.until_ns for each in given)),
        given_by=[each.actor for each in given],
        in_force=counts,
        next=_next(order, fact.instrument, in_force=counts),
    )


def overrides_in_force(ledger: Ledger, symbols: Sequence[str]) -> tuple[Override, ...]:
    """Return the overrides that two people have given and that have not expired, as the engine takes them."""
    return tuple(
        Override(
            order=order,
            instrument=symbols.index(given[0].fact.instrument),
            check=OVERRIDABLE[DenialCode[given[0].fact.check]],
            limit=_narrowest(given),
            until_ns=min(each.fact.until_ns for each in given),
        )
        for order, given in _in_time(ledger, ledger.now_ns()).items()
        if _counts(given) and given[0].fact.instrument in symbols
    )


class Endings:
    """Tells how overrides ended, each once.

    Parameters
    ----------
    ledger : Ledger
        Where facts go.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._told: set[int] | None = None

    def tell(self, ended: Iterable[Allowed], symbols: Sequence[str]) -> None:
        """Record those that are not on record yet, also of an engine that died before it could."""
        for each in ended:
            if self._told is None:
                self._told = {_fact(entry).order for entry in self._ledger.facts(facts.OrderOverrideEnded)}
            if each.order not in self._told:
                fact = facts.OrderOverrideEnded(
                    order=each.order, instrument=symbols[each.instrument], how=_ENDS[End(each.end)], sent=each.sent
                )
                self._ledger.append(fact, actor="engine", reason=f"the override of order {each.order} is over")
                self._told.add(each.order)


def _fact(entry: Entry) -> facts.OrderOverrideEnded:
    fact = entry.fact
    if not isinstance(fact, facts.OrderOverrideEnded):
        raise TypeError(type(fact))
    return fact


class _Given(NamedTuple):
    """One person's override."""

    actor: str
    fact: facts.OrderOverridden


def _in_time(ledger: Ledger, now_ns: int) -> dict[int, list[_Given]]:
    """Return, by order, each person's override that has not expired."""
    found: dict[int, list[_Given]] = {}
    for entry in ledger.facts(facts.OrderOverridden):
        if isinstance(entry.fact, facts.OrderOverridden) and entry.fact.until_ns > now_ns:
            found.setdefault(entry.fact.order, []).append(_Given(entry.actor, entry.fact))
    return found


def _counts(given: Sequence[_Given]) -> bool:
    """Tell whether two different people have given it, each in a role of their own."""
    return any(
        one.actor != other.actor and mine != theirs
        for one in given
        for other in given
        for mine in one.fact.roles
        for theirs in other.fact.roles
    )


def _narrowest(given: Sequence[_Given]) -> float:
    """Return the value on which everybody agrees."""
    values = [each.fact.up_to for each in given]
    least = LIMIT_FIELDS[OVERRIDABLE[DenialCode[given[0].fact.check]]] in LEAST
    return max(values) if least else min(values)


def _check_asked(code: DenialCode, order: int, minutes: int, reason: str) -> None:
    """Refuse what was not refused by a check, or for a time that is not allowed, or in silence."""
    if not reason.strip():
        raise ReleaseRefused("reason is empty; every override is recorded with who and why")
    if code not in OVERRIDABLE:
        allowed = ", ".join(check.name for check in OVERRIDABLE)
        raise ReleaseRefused(f"decision {order} is {code.name}, which nobody can override; allowed are {allowed}")
    if not 0 < minutes <= MINUTES_MAX:
        raise ReleaseRefused(
            f"minutes is {minutes}, allowed is 1 to {MINUTES_MAX}; what must hold for longer is a limit to change"
        )


def _check_value(code: DenialCode, observed: float, limit: float, up_to: float) -> None:
    """Refuse a value that would not let the order pass, or that is no number."""
    least = LIMIT_FIELDS[OVERRIDABLE[code]] in LEAST
    passes = up_to <= observed if least else up_to >= observed
    if not np.isfinite(up_to) or not passes:
        wanted = "at most" if least else "at least"
        raise ReleaseRefused(
            f"up to {up_to:g} is not allowed: the check observed {observed:g} (limit {limit:g}); give {wanted} that"
        )


def _check_person(ledger: Ledger, by: Person, order: int, given: Sequence[_Given]) -> None:
    """Refuse who has no role that counts, who has spoken already, and an order whose override is over."""
    if not set(by.roles) & set(MAY):
        raise ReleaseRefused(
            f"{by.name!r} has none of the roles {', '.join(MAY)}; an override takes two people of two of them: "
            "tradeworthy who-can override"
        )
    if by.name in [each.actor for each in given]:
        raise ReleaseRefused(f"{by.name} has overridden order {order} already; another person of another role must")
    if any(_fact(entry).order == order for entry in ledger.facts(facts.OrderOverrideEnded)):
        raise ReleaseRefused(f"the override of order {order} is over; look at the decision that is refused now")


def _next(order: int, instrument: str, *, in_force: bool) -> str:
    """Say what is to be done now."""
    if in_force:
        return f"the next order of {instrument} may pass this check; `tradeworthy halt {instrument}` stops it"
    return f"another person of another role runs: tradeworthy override-order {order}"
