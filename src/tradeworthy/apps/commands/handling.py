"""Findings as a person handles them: listed by case, taken on, closed; and how the watcher is."""

from typing import TYPE_CHECKING, Self

import msgspec

from tradeworthy.change.watch.findings import Case, acknowledge, close, read_cases
from tradeworthy.change.watch.pulse import ALERT_DELAY_S_MAX, read_pulse
from tradeworthy.core.decisions import SHORT
from tradeworthy.core.time import NS_PER_S, iso

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project


class CaseLine(msgspec.Struct, frozen=True, kw_only=True):
    """One cause and what was found about it.

    Attributes
    ----------
    number : int
        Names it.
    kind, monitor, subject : str
        Of the first finding.
    count : int
        Findings so far.
    others : list of str
        What else was found that has the same cause: ``monitor: subject``.
    sentence : str
        What was found, in words: the newest of the cause that opened it, or a graver one.
    """

    number: int
    state: str
    severity: str
    kind: str
    monitor: str
    subject: str
    count: int
    others: list[str]
    first: str
    last: str
    version: str
    sentence: str
    actor: str
    reason: str

    @classmethod
    def of(cls, case: Case) -> Self:
        """Take what a person wants to see of a case; times are those of the market."""
        return cls(
            number=case.number,
            state=case.state,
            severity=case.severity,
            kind=case.first.kind,
            monitor=case.first.monitor,
            subject=case.first.subject,
            count=case.count,
            others=[f"{monitor}: {subject}" for monitor, _, subject in [*case.causes][1:]],
            first=iso(case.first.ts_event_ns),
            last=iso(case.last.ts_event_ns),
            version=case.version[:SHORT],
            sentence=case.told.sentence,
            actor=case.actor,
            reason=case.reason,
        )


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """The cases of a deployment, the newest last."""

    cases: list[CaseLine]


class WatcherStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How the watcher is.

    Attributes
    ----------
    heard_s_ago : float
        Since it last wrote its state; a running one does so every second.
    behind_s : float
        How long before that it had last read everything.
    alert_delay_s_max : float
        The largest delay from an event to its alert; `alerts_in_time` compares it with the five seconds of RTS 6.
    alerts_sent, alerts_failed : int
        Over all sinks.
    errors : dict of str to str
        What the last failure of a sink said, by sink.
    """

    heard_s_ago: float
    behind_s: float
    version: str
    alert_delay_s_max: float
    alerts_in_time: bool
    alerts_sent: int
    alerts_failed: int
    errors: dict[str, str]


def findings_of(project: "Project", *, open_only: bool = False) -> Findings:
    """List the cases of a project, or only those that nobody has closed."""
    cases = read_cases(project.ledger)
    chosen = cases.unsettled() if open_only else list(cases.by_number.values())
    return Findings(cases=[CaseLine.of(case) for case in chosen])


def acknowledge_finding(project: "Project", number: int, *, actor: str, reason: str) -> CaseLine:
    """Take on a case."""
    return CaseLine.of(acknowledge(project.ledger, number, actor=actor, reason=reason))


def close_finding(project: "Project", number: int, *, actor: str, reason: str) -> CaseLine:
    """Settle a case."""
    return CaseLine.of(close(project.ledger, number, actor=actor, reason=reason))


def watcher_status(project: "Project") -> WatcherStatus | None:
    """Read how the watcher is; None if none ever ran."""
    pulse = read_pulse(project.places.watcher)
    if pulse is None:
        return None
    return WatcherStatus(
        heard_s_ago=max(0, project.clock.now_ns() - pulse.ts_ns) / NS_PER_S,
        behind_s=max(0, pulse.ts_ns - pulse.caught_up_ns) / NS_PER_S if pulse.caught_up_ns else float("inf"),
        version=pulse.version,
        alert_delay_s_max=pulse.alert_delay_s_max,
        alerts_in_time=pulse.alert_delay_s_max <= ALERT_DELAY_S_MAX and not pulse.alerts_failed,
        alerts_sent=sum(sink.sent for sink in pulse.sinks),
        alerts_failed=pulse.alerts_failed,
        errors={sink.name: sink.error for sink in pulse.sinks if sink.error},
    )
