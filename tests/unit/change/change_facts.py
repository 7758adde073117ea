"""Short ways to write down facts for the tests of change."""

from dataclasses import dataclass

from tradeworthy.core import facts
from tradeworthy.core.findings import Finding


@dataclass(frozen=True)
class Line:
    """A line of a ledger that exists only in memory."""

    number: int
    ts_ns: int
    actor: str
    fact: facts.Fact
    reason: str = "a test"


def lines(*written: facts.Fact | tuple[str, facts.Fact], every_ns: int = 1_000) -> list[Line]:
    """Number facts from 1, one every `every_ns`; a pair carries its actor."""
    result = []
    for number, item in enumerate(written, 1):
        actor, fact = item if isinstance(item, tuple) else ("ada", item)
        result.append(Line(number, number * every_ns, actor, fact))
    return result


def registered(version: str, author: str = "ada") -> facts.VersionRegistered:
    return facts.VersionRegistered(version=version, name=f"model-{version}", author=author, env="paper")


def judged(version: str, *, passed: bool = True) -> facts.GateJudged:
    return facts.GateJudged(
        version=version, profile="quick", passed=passed, failed_checks=[], report_path="r.json", report_digest="0"
    )


def promoted(version: str, role: str = "champion") -> facts.VersionPromoted:
    return facts.VersionPromoted(version=version, role=role, env="paper")


def rolled_back(version: str, to: str) -> facts.VersionRolledBack:
    return facts.VersionRolledBack(version=version, to=to)


def finding(
    kind: str = "data_drift", sequence: int = 10, subject: str = "volatility", since_ns: int | None = None
) -> Finding:
    return Finding(
        monitor="drift",
        subject=subject,
        kind=kind,
        sequence=sequence,
        ts_event_ns=sequence,
        since_ns=sequence if since_ns is None else since_ns,
        observed=2.0,
        reference=1.0,
        unit="",
        statistic=9.0,
        threshold=5.0,
        false_alarms_per_10k=1.0,
        sentence=f"{subject} rose",
    )


def raised(kind: str = "data_drift", sequence: int = 10) -> facts.FindingRaised:
    return facts.FindingRaised(finding=finding(kind, sequence))


def started(trigger: str = "drift", last: int = 100) -> facts.RetrainStarted:
    return facts.RetrainStarted(trigger=trigger, first_sequence=0, last_sequence=last)


def ended(version: str | None, error: str | None = None) -> facts.RetrainEnded:
    return facts.RetrainEnded(version=version, error=error)
