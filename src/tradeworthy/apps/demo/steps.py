"""The steps of a story, read from the ledger: what happened, by whom, why."""

from collections.abc import Iterable, Sequence

import msgspec

from tradeworthy.change.release.canary import in_words
from tradeworthy.core import facts
from tradeworthy.core.decisions import SHORT, version_number
from tradeworthy.core.time import NS_PER_MS
from tradeworthy.record.ledger import Entry


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step; `ts_ns` is the machine's time, `version` the first 16 characters of the digest it is about."""

    step: str
    by: str
    ts_ns: int
    version: str = ""
    said: str


def steps_of(entries: Iterable[Entry], harmed_ns: int, harm: str) -> list[Step]:
    """Return the steps that facts tell, in order, with the harm that began at `harmed_ns` (0 for none) among them."""
    steps = [step for entry in entries if (step := _step(entry)) is not None]
    if harmed_ns:
        steps.append(Step(step="harm", by="demo", ts_ns=harmed_ns, said=harm))
    return sorted(steps, key=lambda step: step.ts_ns)


def rollback_ms(entries: Iterable[Entry], swaps: Sequence[tuple[int, int]]) -> float | None:
    """Return how long after its fact the first roll back was seen to act; `swaps` are times seen and versions."""
    for entry in entries:
        if isinstance(entry.fact, facts.VersionRolledBack):
            back = version_number(entry.fact.to)
            seen = [ts_ns for ts_ns, version in swaps if version == back and ts_ns >= entry.ts_ns]
            return (seen[0] - entry.ts_ns) / NS_PER_MS if seen else None
    return None


def _step(entry: Entry) -> Step | None:
    """Return what one fact tells; nothing for facts that change nobody's role."""
    match entry.fact:
        case facts.RetrainStarted(trigger=trigger):
            kind = "drift" if not trigger.startswith("schedule") else "schedule"
            found = (kind, "", f"a retraining starts because of {trigger}")
        case facts.RetrainEnded(version=version, error=error):
            found = ("retrained", version or "", "a challenger is trained and registered" if version else str(error))
        case facts.GateJudged() as fact:
            said = "passed" if fact.passed else f"did not pass: {', '.join(fact.failed_checks)}"
            found = ("gate", fact.version, f"the gate judged {fact.version[:SHORT]}: {said}")
        case facts.VersionPromoted() as fact:
            part = in_words(fact.share, fact.instruments)
            found = (fact.role, fact.version, f"{fact.version[:SHORT]} becomes {fact.role}{part}: {entry.reason}")
        case facts.FindingAnswered() as fact:
            found = ("answered", "", f"{fact.did}, because of {entry.reason}")
        case facts.VersionRolledBack() as fact:
            found = ("rolled back", fact.version, f"{fact.to[:SHORT]} acts again: {entry.reason}")
        case _:
            return None
    step, version, said = found
    return Step(step=step, by=entry.actor, ts_ns=entry.ts_ns, version=version[:SHORT], said=said)
