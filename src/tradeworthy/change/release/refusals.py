"""Bad deployments, told: what was to act and does not, and why; whoever acted before goes on.

Idea:   that nothing happened is no news to the desk, and all the more to people: a version that cannot be let in, or
        that gate or comparison stopped, is a finding of kind ``release``: a case and an alert like any other.
State:  the ledger; the same refusal is told once.
"""

from collections.abc import Mapping

from tradeworthy.change.release.distance import counted, in_words, too_far
from tradeworthy.core import facts
from tradeworthy.core.decisions import SHORT
from tradeworthy.core.findings import Finding
from tradeworthy.judge.validate.gate import GateReport
from tradeworthy.record.ledger import Ledger

NAME = KIND = "release"
CHECKS_TOLD = 3
"""Checks of a gate that a finding tells in full; the report has all."""


def refusal(
    version: str, why: str, *, now_ns: int, sequence: int = 0, severity: str = "warning", next_step: str = ""
) -> Finding:
    """Return the finding that a version, by its digest or the beginning of it, was stopped, and what to do next."""
    sentence = f"Version {version[:SHORT]} was stopped: {why}. The version before goes on as it was.{next_step}"
    return _finding(version[:SHORT], sentence, now_ns=now_ns, sequence=sequence, severity=severity)


def gate_words(report: GateReport) -> str:
    """Say which checks of the gate stopped a version, what each found and what it requires; of many, the first ones."""
    stopped = [result for result in report.results if result.stops]
    told = [
        f"{each.name.replace('_', ' ')} found {each.measured.rstrip('.')}; required is {each.requirement.rstrip('.')}"
        for each in stopped[:CHECKS_TOLD]
    ]
    more = f"; and {len(stopped) - CHECKS_TOLD} more" if len(stopped) > CHECKS_TOLD else ""
    return f"the gate did not pass it ({'. '.join(told)}{more})"


def unanswered(subject: str, what: str, why: str, *, now_ns: int) -> Finding:
    """Return the finding that the policy is at a loss about another one, so that a person must act."""
    sentence = f"The policy has no answer to {what}: {why}. Halt or resize the desk, or promote another version."
    return _finding(subject, sentence, now_ns=now_ns, severity="critical")


def frozen(fact: facts.PromotionFrozen, since: str | None, *, now_ns: int) -> Finding:
    """Return the finding that a challenger waits for a person, however good it is."""
    version, far = fact.version[:SHORT], too_far(fact.gone, fact.allowed)
    whom = f"version {since[:SHORT]}, the last" if since else "any version"
    sentence = (
        f"Automatic promotion is frozen: with version {version} it would have come too far in {' and '.join(far)} from "
        f"{whom} that a person let act ({in_words(fact.gone)}; allowed is {fact.allowed:g}). Version {version} passed "
        f"its comparison and waits as a shadow: look at what has changed, then run tradeworthy approve {version}, or "
        "approve champion."
    )
    worst = max(counted(getattr(fact.gone, name)) for name in far)
    return _finding(
        version, sentence, now_ns=now_ns, severity="warning", observed=worst, threshold=fact.allowed, unit="distance"
    )


def _finding(
    subject: str,
    sentence: str,
    *,
    now_ns: int,
    severity: str,
    sequence: int = 0,
    observed: float = 1.0,
    threshold: float = 0.0,
    unit: str = "refusals",
) -> Finding:
    return Finding(
        monitor=NAME,
        subject=subject,
        kind=KIND,
        severity=severity,
        sequence=sequence,
        ts_event_ns=now_ns,
        since_ns=now_ns,
        observed=observed,
        reference=0.0,
        unit=unit,
        statistic=observed,
        threshold=threshold,
        false_alarms_per_10k=0.0,
        sentence=sentence,
    )


def tell(ledger: Ledger, finding: Finding, *, actor: str) -> None:
    """Append a finding, to be told from now on."""
    fact = facts.FindingRaised(finding=finding, ts_origin_ns=finding.ts_event_ns)
    ledger.append(fact, actor=actor, reason=finding.sentence)


class Refusals:
    """Tells what an engine refuses to let in, each reason once.

    Parameters
    ----------
    ledger : Ledger
        Where findings go.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger, self._told = ledger, dict[str, str]()

    def tell(self, refused: Mapping[str, str], *, now_ns: int, sequence: int) -> None:
        """Tell what is new.

        Parameters
        ----------
        refused : mapping of str to str
            Why, by the version's first 16 characters.
        now_ns : int
            UTC nanoseconds of the machine.
        sequence : int
            The last record written.
        """
        for version, why in refused.items():
            if self._told.get(version) != why:
                self._told[version] = why
                found = refusal(
                    version,
                    f"the engine does not let it in: {why.rstrip('.')}",
                    now_ns=now_ns,
                    sequence=sequence,
                    severity="critical",
                    next_step=f" Take it back with tradeworthy rollback, a shadow with promote {version} --to retired.",
                )
                tell(self._ledger, found, actor="engine")
