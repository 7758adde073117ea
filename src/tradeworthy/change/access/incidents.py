"""What callers did that somebody should know of, as findings: brute force, a dead key, probing, a budget used up.

Flow:   the doorkeeper notes an incident where it happens; the port takes what is new about once a second and raises it
        in the ledger, where the watcher finds it and tells people.
State:  one incident of a kind and subject is told again only after a pause, with how often it happened meanwhile.
"""

import msgspec

from tradeworthy.core.facts import FindingRaised
from tradeworthy.core.findings import Finding
from tradeworthy.core.time import NS_PER_MINUTE

MONITOR = "doorkeeper"
AGAIN_NS = 5 * NS_PER_MINUTE
SUBJECTS_MAX = 10_000


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened at the door.

    Attributes
    ----------
    what : str
        ``brute force``, ``dead key``, ``probing`` or ``budget``.
    who : str
        An address, or a key's id and owner; never a secret.
    count, allowed : float
        How often it happened since it was last told, and how often it may.
    """

    what: str
    who: str
    severity: str
    count: float
    allowed: float
    unit: str
    since_ns: int
    now_ns: int
    sentence: str

    def raised(self, sequence: int) -> FindingRaised:
        """Return the fact that it happened."""
        return FindingRaised(finding=self.finding(sequence), ts_origin_ns=self.now_ns)

    def finding(self, sequence: int) -> Finding:
        """Return it as a finding about what came after a tape record."""
        return Finding(
            monitor=MONITOR,
            subject=f"{self.what}: {self.who}",
            kind="security",
            severity=self.severity,
            sequence=sequence,
            ts_event_ns=self.now_ns,
            since_ns=self.since_ns,
            observed=self.count,
            reference=self.allowed,
            unit=self.unit,
            statistic=self.count,
            threshold=self.allowed,
            false_alarms_per_10k=0.0,
            sentence=self.sentence,
        )


class Incidents:
    """Incidents not taken yet, and when each subject was last told."""

    def __init__(self) -> None:
        self._told_ns: dict[tuple[str, str], int] = {}
        self._new: list[Incident] = []

    def note(self, incident: Incident) -> None:
        """Keep an incident, unless its like was told a moment ago."""
        subject = (incident.what, incident.who)
        if incident.now_ns - self._told_ns.get(subject, incident.now_ns - AGAIN_NS) < AGAIN_NS:
            return
        if len(self._told_ns) >= SUBJECTS_MAX:
            self._told_ns.clear()
        self._told_ns[subject] = incident.now_ns
        self._new.append(incident)

    def give_back(self, incidents: list[Incident]) -> None:
        """Keep incidents that could not be written down, for the next time."""
        self._new = [*incidents, *self._new][-SUBJECTS_MAX:]

    def take(self) -> list[Incident]:
        """Return what is new, and forget it."""
        taken, self._new = self._new, []
        return taken
