"""Overrides: a check that refused a version, set aside by two people, for a time, on the record.

Idea:   the gate is not to be argued with by one person, in silence, or for ever. Each of two people says which check of
        which version is set aside, until when and why: a fact each. With the second, the gate's report is judged anew,
        with the verdict *overridden*, so that every reader of the report meets it; after the earlier of the two days
        the version may take no role any more.
State:  the ledger's facts. Nothing is carried over to another version, and what the bundle is cannot be set aside.
Reference: REGULATION.md R14 (two roles, an expiry), 15c3-5(c).
"""

from collections.abc import Mapping

import msgspec

from tradeworthy.change.registry import Registry
from tradeworthy.change.release.standing import OverrideGiven, Standing
from tradeworthy.core import facts
from tradeworthy.core.decisions import SHORT
from tradeworthy.core.errors import ReleaseRefused, near
from tradeworthy.core.time import NS_PER_DAY, iso
from tradeworthy.judge.validate.gate import GateReport, Override

PEOPLE = 2
DAYS_MAX = 92
NEVER = frozenset({"artifact_safety"})
"""Checks that nobody can set aside: a bundle that is not what was signed is not run."""


class Overriding(msgspec.Struct, frozen=True, kw_only=True):
    """Where an override stands: who has given it, whether it counts, and what is to be done next."""

    version: str
    check: str
    until: str
    given_by: list[str]
    in_force: bool
    still_stops: list[str]
    next: str


def override(registry: Registry, version: str, check: str, *, until_ns: int, actor: str, reason: str) -> Overriding:
    """Record one person's override of a check; with the second person's the gate's report is judged anew.

    Parameters
    ----------
    registry : Registry
        Where the version is registered, and its ledger.
    version : str
        Anything that `Registry.resolve` understands.
    check : str
        Which stops the version by its latest report.
    until_ns : int
        UTC nanoseconds: until when; at most `DAYS_MAX` days ahead.
    actor, reason : str
        Who, and why.

    Returns
    -------
    Overriding
        Where it stands.

    Raises
    ------
    ReleaseRefused
        The check does not stop the version or cannot be set aside, the day is not allowed, or the same person asks
        twice.
    NotFound
        There is no such version, or the gate never judged it.
    """
    if not actor.strip() or not reason.strip():
        raise ReleaseRefused("actor or reason is empty; every override is recorded with who and why")
    digest, now_ns = registry.resolve(version), registry.ledger.now_ns()
    judged = GateReport.from_json(registry.gate_report(digest))
    _check_asked(judged, check, until_ns, now_ns)
    given = _valid(registry.standing(), digest, now_ns).get(check, [])
    if actor in [each.actor for each in given]:
        raise ReleaseRefused(f"{actor} has set {check} of version {digest[:SHORT]} aside already; another person must")
    fact = facts.CheckOverridden(version=digest, check=check, until_ns=until_ns, report_digest=judged.digest)
    registry.ledger.append(fact, actor=actor, reason=reason)
    found = overrides_in_force(registry.standing(), digest, now_ns)
    report = judged.overridden_by(found, now_ns) if check in found else None
    if report is not None:
        registry.record_gate(report, actor=actor, reason=f"{check} overridden: {reason}")
    stops = report.failed if report else judged.failed
    return Overriding(
        version=digest,
        check=check,
        until=iso(found[check].until_ns if check in found else until_ns),
        given_by=[*(each.actor for each in given), actor],
        in_force=check in found,
        still_stops=stops,
        next=_next(digest, check, stops, in_force=check in found),
    )


def overrides_in_force(standing: Standing, digest: str, now_ns: int) -> Mapping[str, Override]:
    """Return, by check, the overrides of a version that two people have given and that have not expired."""
    return {
        check: Override(
            until_ns=min(each.fact.until_ns for each in given),
            by=[each.actor for each in given],
            reasons=[each.reason for each in given],
        )
        for check, given in _valid(standing, digest, now_ns).items()
        if len(given) >= PEOPLE
    }


def _valid(standing: Standing, digest: str, now_ns: int) -> dict[str, list[OverrideGiven]]:
    """Return, by check, who has set it aside and is still to be heard: each person's last word."""
    found: dict[str, dict[str, OverrideGiven]] = {}
    for each in standing.overrides.get(digest, []):
        if each.fact.until_ns > now_ns:
            found.setdefault(each.fact.check, {})[each.actor] = each
    return {check: [*given.values()] for check, given in found.items()}


def _check_asked(judged: GateReport, check: str, until_ns: int, now_ns: int) -> None:
    """Refuse to set aside what does not stop the version or never may be, or for a day that is not allowed."""
    if judged.until_ns is not None and judged.until_ns <= now_ns:
        raise ReleaseRefused(f"an override has expired; judge it again: tradeworthy gate {judged.version[:SHORT]}")
    if check in NEVER:
        raise ReleaseRefused(f"{check} cannot be set aside: what is not as it was signed is not run; register it again")
    if check not in judged.failed:
        stops = ", ".join(judged.failed) or "nothing"
        raise ReleaseRefused(
            f"{check!r} does not stop version {judged.version[:SHORT]}{near(check, judged.failed)}; what does: {stops}"
        )
    if not now_ns < until_ns <= now_ns + DAYS_MAX * NS_PER_DAY:
        raise ReleaseRefused(
            f"until is {iso(until_ns)}, allowed is after {iso(now_ns)} and within {DAYS_MAX} days; what must hold for "
            "longer is a requirement to change in [gate]"
        )


def _next(digest: str, check: str, stops: list[str], *, in_force: bool) -> str:
    """Say what is to be done now."""
    if not in_force:
        return f"another person runs: tradeworthy override {digest[:SHORT]} {check}"
    if stops:
        return f"still stopped by {', '.join(stops)}"
    return f"it may be promoted: tradeworthy promote {digest[:SHORT]} --to shadow"
