"""Findings as cases that people handle: what has one cause is one case, with a state and a history.

Idea:   a pure projection of the ledger, like `standing`. Under one champion findings have one cause if monitor, kind
        and subject are the same, or if they may have begun together: the time from the estimated change to the alarm
        overlaps that of the case's first finding. So a jump of a price that is heard as drift, as rows out of range
        and as changed reasons is one case, and what begins after its first alarm is another. Findings about security
        or storage join no other kind. A promotion calibrates monitors afresh, so it opens new cases.
Flow:   raised → open → acknowledged → closed. What has the same cause joins its case, open or acknowledged; after a
        close the next one opens a new case.
Alerts: the first of a case is told; others only if they are graver, or of a kind that the case did not have (drift that
        turns out to do harm), or a day after the last was told while nobody has acknowledged it.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from tradeworthy.core import facts
from tradeworthy.core.decisions import SHORT
from tradeworthy.core.errors import NotFound, ReleaseRefused
from tradeworthy.core.findings import Finding
from tradeworthy.core.time import NS_PER_DAY
from tradeworthy.record.ledger import Entry, Ledger

SEVERITIES = ("info", "warning", "critical")
REMIND_NS = NS_PER_DAY
ALONE = ("security", "storage", "clock", "release", "reconciliation", "surveillance", "serving")
"""Kinds that have no cause in common with any other."""

State = Literal["open", "acknowledged", "closed"]
Cause = tuple[str, str, str]
"""Monitor, kind and subject."""


@dataclass(slots=True)
class Case:
    """One cause and everything found about it.

    Attributes
    ----------
    number : int
        Ledger number of its first finding: what people call it by.
    version : str
        The champion of that time; empty if there was none.
    first, last : Finding
        The first and the newest finding; how many in all is `count`.
    told : Finding
        What people are told of it: the newest of the cause that opened it, or a graver one.
    causes : Counter of (monitor, kind, subject)
        What was found, and how often.
    raised_ns, last_ns : int
        When those were written down, the machine's time.
    severity : str
        The gravest so far.
    state : str
        ``open``, ``acknowledged`` or ``closed``.
    actor, reason : str
        Of the last step that a person took.
    told_ns : int
        When it was last worth an alert.
    """

    number: int
    version: str
    first: Finding
    last: Finding
    told: Finding
    raised_ns: int
    last_ns: int
    severity: str
    told_ns: int
    causes: Counter[Cause] = field(default_factory=Counter)
    state: State = "open"
    actor: str = ""
    reason: str = ""

    @property
    def count(self) -> int:
        """How many findings there are in all."""
        return self.causes.total()

    @property
    def kinds(self) -> list[str]:
        """The kinds of its findings, in the order in which they came."""
        return list(dict.fromkeys(kind for _, kind, _ in self.causes))

    def has_cause_of(self, finding: Finding) -> bool:
        """Tell whether a finding may have begun with the first of this case."""
        first = self.first
        if finding.kind != first.kind and (finding.kind in ALONE or first.kind in ALONE):
            return False
        return finding.since_ns <= first.ts_event_ns and first.since_ns <= finding.ts_event_ns


def cause_of(finding: Finding) -> Cause:
    """Return what a finding is about."""
    return finding.monitor, finding.kind, finding.subject


def gravity(severity: str) -> int:
    """Return the rank of a severity; a word that is not known ranks highest."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)


@dataclass(slots=True)
class Cases:
    """All cases that the facts add up to, in the order in which they were opened."""

    by_number: dict[int, Case] = field(default_factory=dict)
    _champion: str = ""
    _acted: dict[str, str] = field(default_factory=dict)
    _up_to: int = 0

    def apply(self, entry: Entry) -> Case | None:
        """Move on by one fact; return the case of a finding that is worth an alert. A fact counts once."""
        if entry.number <= self._up_to:
            return None
        self._up_to = entry.number
        match entry.fact:
            case facts.FindingRaised() as fact:
                return self._raised(fact, entry)
            case facts.FindingAcknowledged(finding=number):
                self._handled(number, "acknowledged", entry)
            case facts.FindingClosed(finding=number):
                self._handled(number, "closed", entry)
            case facts.VersionPromoted(role="champion" | "canary" as role, version=version):
                self._acted[version[:SHORT]] = version
                self._champion = version if role == "champion" else self._champion
            case facts.VersionRolledBack(to=version):
                self._champion = version
        return None

    def unsettled(self) -> list[Case]:
        """Return the cases that are not closed."""
        return [case for case in self.by_number.values() if case.state != "closed"]

    def of(self, number: int) -> Case:
        """Return the case with that number.

        Raises
        ------
        NotFound
            There is none.
        """
        if number not in self.by_number:
            known = ", ".join(str(case.number) for case in self.unsettled()) or "none"
            raise NotFound(f"no finding has number {number}; open are {known}. See: tradeworthy findings")
        return self.by_number[number]

    def _raised(self, fact: facts.FindingRaised, entry: Entry) -> Case | None:
        """Open a case or add to the one that stands."""
        finding, version = fact.finding, self._acted.get(fact.version, self._champion)
        case = self._standing(finding, version)
        if case is not None:
            return self._joined(case, finding, entry.ts_ns)
        case = Case(
            number=entry.number,
            version=version,
            first=finding,
            last=finding,
            told=finding,
            raised_ns=entry.ts_ns,
            last_ns=entry.ts_ns,
            severity=finding.severity,
            told_ns=entry.ts_ns,
            causes=Counter([cause_of(finding)]),
        )
        self.by_number[entry.number] = case
        return case

    def _standing(self, finding: Finding, version: str) -> Case | None:
        """Return the case of a version that a finding joins: of the very same, else the newest that may begin it."""
        standing = [case for case in reversed(self.unsettled()) if case.version == version]
        same = (case for case in standing if cause_of(finding) in case.causes)
        together = (case for case in standing if case.has_cause_of(finding))
        return next(same, None) or next(together, None)

    @staticmethod
    def _joined(case: Case, finding: Finding, ts_ns: int) -> Case | None:
        news = finding.kind not in case.kinds
        case.last, case.last_ns = finding, ts_ns
        case.causes[cause_of(finding)] += 1
        graver = gravity(finding.severity) > gravity(case.severity)
        forgotten = case.state == "open" and ts_ns - case.told_ns >= REMIND_NS
        if graver or (cause_of(finding) == cause_of(case.told) and finding.severity == case.told.severity):
            case.told = finding
        if graver:
            case.severity = finding.severity
        if not (graver or news or forgotten):
            return None
        case.told_ns = ts_ns
        return case

    def _handled(self, number: int, state: State, entry: Entry) -> None:
        case = self.by_number.get(number)
        if case is not None:
            case.state, case.actor, case.reason = state, entry.actor, entry.reason


def cases_of(entries: Iterable[Entry]) -> Cases:
    """Add up the facts, oldest first."""
    cases = Cases()
    for entry in entries:
        cases.apply(entry)
    return cases


HANDLED = (
    facts.FindingRaised,
    facts.FindingAcknowledged,
    facts.FindingClosed,
    facts.VersionPromoted,
    facts.VersionRolledBack,
)
"""The facts that cases read."""


def read_cases(ledger: Ledger) -> Cases:
    """Return the cases of a ledger."""
    return cases_of(ledger.facts(*HANDLED))


def acknowledge(ledger: Ledger, number: int, *, actor: str, reason: str) -> Case:
    """Take on a case; repeats of it are no longer told unless they are graver.

    Raises
    ------
    NotFound
        There is no such case.
    ReleaseRefused
        Somebody has acknowledged or closed it.
    """

    def decided() -> facts.FindingAcknowledged:
        case = read_cases(ledger).of(number)
        if case.state != "open":
            raise ReleaseRefused(f"finding {number} was {case.state} by {case.actor}: {case.reason}")
        return facts.FindingAcknowledged(finding=number)

    ledger.decide(decided, actor=actor, reason=reason)
    return read_cases(ledger).of(number)


def close(ledger: Ledger, number: int, *, actor: str, reason: str) -> Case:
    """Settle a case; the next finding of the same cause opens a new one.

    Raises
    ------
    NotFound
        There is no such case.
    ReleaseRefused
        Somebody has closed it.
    """

    def decided() -> facts.FindingClosed:
        case = read_cases(ledger).of(number)
        if case.state == "closed":
            raise ReleaseRefused(f"finding {number} was closed by {case.actor}: {case.reason}")
        return facts.FindingClosed(finding=number)

    ledger.decide(decided, actor=actor, reason=reason)
    return read_cases(ledger).of(number)
