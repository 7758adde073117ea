"""When an override ends while its version has a role: the version before takes over, or orders are refused.

Idea:   what two people set aside for a time is not set aside for ever because nobody stopped the engine. Whoever
        follows the facts looks at the clock: a shadow is retired; from an acting version the champion before takes
        over, where gate and approval let it act; else every order of the version is refused, until somebody acts.
State:  the ledger's facts: the end of an override is told once, however often this runs.
Time:   the machine's. The watcher does it at once; where it does not, the engine's own process does so a little later.
"""

from collections.abc import Iterator
from contextlib import suppress

from tradeworthy.change.release.refusals import KIND, NAME, tell
from tradeworthy.change.release.release import Release
from tradeworthy.change.release.standing import Standing
from tradeworthy.core.decisions import SHORT
from tradeworthy.core.errors import ReleaseRefused
from tradeworthy.core.facts import GateJudged
from tradeworthy.core.findings import Finding
from tradeworthy.core.time import NS_PER_S, Clock, iso

GRACE_NS = 5 * NS_PER_S
"""So long the engine's process leaves it to the watcher; that not both take a version back is the ledger's doing."""


class Backstop:
    """Ends overrides from beside the engine, where no watcher has: it looks at the clock, seldom at the facts.

    Parameters
    ----------
    release : Release
        Through which roles are taken.
    clock : Clock
        The machine's.
    """

    def __init__(self, release: Release, *, clock: Clock) -> None:
        self._release, self._clock = release, clock
        self._read_up_to = -1
        self._ends_ns: int | None = None

    def look(self) -> bool:
        """End what should have ended a while ago; return whether there was any."""
        now_ns = self._clock.now_ns()
        number = self._release.registry.ledger.head()[0]
        if number != self._read_up_to:
            ends_ns = (end_ns for end_ns, *_ in _overrides(self._release.registry.standing()))
            self._read_up_to, self._ends_ns = number, min(ends_ns, default=None)
        if self._ends_ns is None or now_ns < self._ends_ns + GRACE_NS:
            return False
        return end_overrides(self._release, self._release.registry.standing(), now_ns=now_ns, actor="engine")


def end_overrides(release: Release, standing: Standing, *, now_ns: int, actor: str) -> bool:
    """Take out what has a role only by an override that has ended, told first; return whether there was any.

    The finding comes before the deed, so that no rule answers it by taking back the version that takes over.
    """
    found = False
    for end_ns, digest, judged in _overrides(standing):
        if now_ns < end_ns:
            continue
        finding = expiry_finding(digest, judged, what_follows(release, standing, digest), now_ns=now_ns)
        if not is_told(standing, finding):
            tell(release.registry.ledger, finding, actor=actor)
        with suppress(ReleaseRefused):  # somebody was faster: the next look sees what there is left to do
            take_out(release, standing, digest, actor=actor, reason=finding.sentence)
        found = True
    return found


def _overrides(standing: Standing) -> Iterator[tuple[int, str, GateJudged]]:
    """Yield, of each version that has a role only by an override, when that ends, and its last judgement.

    One that acts and is halted has nothing left to be taken.
    """
    for digest in [*standing.shadows, *standing.acting]:
        judged = standing.gates.get(digest)
        if judged is None or judged.until_ns is None:
            continue
        if digest not in standing.acting or _scope(digest) not in standing.halted:
            yield judged.until_ns, digest, judged


def what_follows(release: Release, standing: Standing, digest: str) -> str:
    """Say what `take_out` does with a version."""
    if digest not in standing.acting:
        return "it is retired"
    if _gives_way(release, standing, digest):
        return f"the champion before, {str(standing.previous)[:SHORT]}, takes over"
    return "no champion before it may act, so its orders are refused; positions stay until somebody acts"


def take_out(release: Release, standing: Standing, digest: str, *, actor: str, reason: str) -> None:
    """Take the role from a version, or refuse its orders; done twice it is the same."""
    if digest not in standing.acting:
        release.promote(digest, "retired", actor=actor, reason=reason)
    elif _gives_way(release, standing, digest):
        release.rollback(actor=actor, reason=reason, acting=digest)
    else:
        release.halt(_scope(digest), actor=actor, reason=reason)


def _gives_way(release: Release, standing: Standing, digest: str) -> bool:
    """Tell whether a version can be rolled back: it is the one that a roll back takes out, and another may act."""
    before = standing.previous
    return digest == standing.champion and before is not None and release.may_act(standing, before)


def expiry_finding(digest: str, judged: GateJudged, follows: str, *, now_ns: int) -> Finding:
    """Return what is told: which checks were set aside until when, what is done, and what a person can do."""
    until_ns = judged.until_ns or now_ns
    return Finding(
        monitor=NAME,
        subject=digest[:SHORT],
        kind=KIND,
        severity="critical",
        sequence=0,
        ts_event_ns=now_ns,
        since_ns=until_ns,
        observed=1.0,
        reference=0.0,
        unit="overrides",
        statistic=1.0,
        threshold=0.0,
        false_alarms_per_10k=0.0,
        sentence=(
            f"Version {digest[:SHORT]} may have its role no more: {', '.join(judged.overridden)} was set aside until "
            f"{iso(until_ns)}; {follows}. Judge it again: tradeworthy gate {digest[:SHORT]}."
        ),
    )


def is_told(standing: Standing, finding: Finding) -> bool:
    """Tell whether the end of this very override is on the record, as it is after a kill between word and deed."""
    key = (finding.monitor, finding.subject, finding.since_ns, finding.unit)
    return any((each.monitor, each.subject, each.since_ns, each.unit) == key for _, each in standing.findings)


def _scope(digest: str) -> str:
    return f"version:{digest[:SHORT]}"
