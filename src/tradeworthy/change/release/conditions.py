"""What must hold before a version takes a role or leaves one: pure functions of the facts, each with its refusal.

Reference: REGULATION.md R1, R3: approval by another person for live, paper and live kept apart.
"""

from tradeworthy.change.release.standing import Standing
from tradeworthy.core.decisions import SHORT
from tradeworthy.core.errors import Overtaken, ReleaseRefused
from tradeworthy.core.time import iso
from tradeworthy.live.control import SHADOWS_MAX


def check_role(standing: Standing, digest: str, role: str, env: str) -> None:
    """Refuse a version that may not take the role now, whatever the gate says of it."""
    if digest == standing.champion and not (role == "champion" and digest == standing.canary):
        raise ReleaseRefused(f"version {digest[:SHORT]} is {standing.roles()[digest]} already; nothing to do")
    if role == "canary" and standing.champion is None:
        raise ReleaseRefused("there is no champion to go back to; make this version champion instead")
    if role == "shadow" and digest in standing.shadows:
        raise ReleaseRefused(f"version {digest[:SHORT]} is a shadow already; nothing to do")
    if role == "shadow" and len(standing.shadows) >= SHADOWS_MAX:
        raise ReleaseRefused(f"{len(standing.shadows)} versions are shadows, allowed are {SHADOWS_MAX}; retire one")
    if standing.registered[digest].env != env:
        raise ReleaseRefused(
            f"version {digest[:SHORT]} was registered for {standing.registered[digest].env!r}, this is "
            f"{env!r}; train and register it here"
        )
    _check_beside_canary(standing, digest, role)


def _check_beside_canary(standing: Standing, digest: str, role: str) -> None:
    """Refuse what would take the champion away that acts on the instruments which are not a canary's."""
    if not standing.canary_on or digest == standing.champion:
        return
    on = ", ".join(standing.canary_on)
    if digest == standing.previous:
        found = f"version {digest[:SHORT]} acts on all instruments but {on}"
        raise ReleaseRefused(f"{found}; to let it act on these too: tradeworthy rollback")
    if role in {"canary", "champion"}:
        raise ReleaseRefused(
            f"canary {str(standing.champion)[:SHORT]} acts on {on} beside the champion; make it champion, or take it "
            "back with: tradeworthy rollback"
        )


def check_gate(standing: Standing, digest: str, now_ns: int) -> None:
    """Refuse a version that the gate has not passed, or whose overrides have expired."""
    judged = standing.gates.get(digest)
    if judged is None:
        raise ReleaseRefused(f"the gate never judged version {digest[:SHORT]}; run: tradeworthy gate {digest[:SHORT]}")
    if not judged.passed:
        raise ReleaseRefused(
            f"the gate did not pass version {digest[:SHORT]}: {', '.join(judged.failed_checks)}; "
            f"read {judged.report_path} in the state folder, or its .html, then train again"
        )
    if judged.until_ns is not None and now_ns >= judged.until_ns:
        raise ReleaseRefused(
            f"version {digest[:SHORT]} passed only while {', '.join(judged.overridden)} was set aside, which ended at "
            f"{iso(judged.until_ns)}; judge it again: tradeworthy gate {digest[:SHORT]}"
        )


def check_approval(standing: Standing, digest: str) -> None:
    """Refuse a version for live that nobody but its author approved."""
    author = standing.registered[digest].author
    approvers = [actor for actor, env in standing.approvals.get(digest, []) if env == "live" and actor != author]
    if not approvers:
        raise ReleaseRefused(
            f"nobody but {author}, who made it, approved version {digest[:SHORT]} for live; "
            f"another person runs: tradeworthy approve {digest[:SHORT]}"
        )


def check_acting(standing: Standing, acting: str | None) -> None:
    """Refuse a step that was decided while another version acted than does now: somebody was faster."""
    if standing.champion != acting:
        now, then = (f"version {digest[:SHORT]}" if digest else "nobody" for digest in (standing.champion, acting))
        raise Overtaken(f"{now} acts by now, {then} did when this was decided; look at tradeworthy status, ask again")


def check_rollback(standing: Standing, acting: str | None) -> None:
    """Refuse to roll back without a champion before, or where another version acts than the one to be taken out."""
    if standing.champion != acting:
        found = "none acts" if standing.champion is None else f"version {standing.champion[:SHORT]} does"
        raise ReleaseRefused(f"version {str(acting)[:SHORT]} acts no more, {found}; see: tradeworthy status")
    if standing.champion is None or standing.previous is None:
        raise ReleaseRefused("there is no previous champion to roll back to; promote another version, or halt")


def check_retirement(standing: Standing, digest: str) -> None:
    """Refuse to retire the champion, or what is retired."""
    if digest == standing.champion:
        raise ReleaseRefused(f"version {digest[:SHORT]} is champion; take it out with: tradeworthy rollback")
    _check_beside_canary(standing, digest, "retired")
    if digest in standing.retired:
        raise ReleaseRefused(f"version {digest[:SHORT]} is retired already; nothing to do")
