"""Findings as cases that people handle: repeats of one cause are one case, with a state and a history.

Idea:   a pure projection of the ledger, like `standing`. The cause of a finding is its monitor, kind and subject under
        the champion of that time; a promotion calibrates monitors afresh, so it opens new cases.
Flow:   raised → open → acknowledged → closed. A repeat joins its case, open or acknowledged; after a close the next
        one opens a new case.
Alerts: the first of a case is told; repeats only if they are graver, or a day after the last was told while nobody
        has acknowledged it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from tradeworthy.core import facts
from tradeworthy.core.errors import NotFound, ReleaseRefused
from tradeworthy.core.findings import Finding
from tradeworthy.core.time import NS_PER_DAY
from tradeworthy.record.ledger import Entry, Ledger

SEVERITIES = ("info", "warning", "critical")
REMIND_NS = NS_PER_DAY

State = Literal["open", "acknowledged", "closed"]
Cause = tuple[str, str, str, str]


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
    raised_ns: int
    last_ns: int
    severity: str
    told_ns: int
    count: int = 1
    state: State = "open"
    actor: str = ""
    reason: str = ""


def gravity(severity: str) -> int:
    """Return the rank of a severity; a word that is not known ranks highest."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)


@dataclass(slots=True)
class Cases:
    """All cases that the facts add up to, in the order in which they were opened."""

    by_number: dict[int, Case] = field(default_factory=dict)
    _current: dict[Cause, int] = field(default_factory=dict)
    _champion: str = ""
    _up_to: int = 0

    def apply(self, entry: Entry) -> Case | None:
        """Move on by one fact; return the case of a finding that is worth an alert. A fact counts once."""
        if entry.number <= self._up_to:
            return None
        self._up_to = entry.number
        match entry.fact:
            case facts.FindingRaised(finding=finding):
                return self._raised(finding, entry)
            case facts.FindingAcknowledged(finding=number):
                self._handled(number, "acknowledged", entry)
            case facts.FindingClosed(finding=number):
                self._handled(number, "closed", entry)
            case facts.VersionPromoted(role="champion", version=version):
                self._champion = version
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

    def _raised(self, finding: Finding, entry: Entry) -> Case | None:
        """Open a case or add to the one that stands."""
        cause = (self._champion, finding.monitor, finding.kind, finding.subject)
        case = self.by_number.get(self._current.get(cause, 0))
        if case is None or case.state == "closed":
            case = Case(
                number=entry.number,
                version=self._champion,
                first=finding,
                last=finding,
                raised_ns=entry.ts_ns,
                last_ns=entry.ts_ns,
                severity=finding.severity,
                told_ns=entry.ts_ns,
            )
            self.by_number[entry.number] = case
            self._current[cause] = entry.number
            return case
        return self._repeated(case, finding, entry.ts_ns)

    @staticmethod
    def _repeated(case: Case, finding: Finding, ts_ns: int) -> Case | None:
        case.last, case.last_ns = finding, ts_ns
        case.count += 1
        graver = gravity(finding.severity) > gravity(case.severity)
        forgotten = case.state == "open" and ts_ns - case.told_ns >= REMIND_NS
        if graver:
            case.severity = finding.severity
        if not (graver or forgotten):
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
    case = read_cases(ledger).of(number)
    if case.state != "open":
        raise ReleaseRefused(f"finding {number} was {case.state} by {case.actor}: {case.reason}")
    ledger.append(facts.FindingAcknowledged(finding=number), actor=actor, reason=reason)
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
    case = read_cases(ledger).of(number)
    if case.state == "closed":
        raise ReleaseRefused(f"finding {number} was closed by {case.actor}: {case.reason}")
    ledger.append(facts.FindingClosed(finding=number), actor=actor, reason=reason)
    return read_cases(ledger).of(number)
