"""What a person is told about a finding, and what every way of telling promises.

Time:   `ts_event_ns` is the event's, `ts_emit_ns` the machine's when the alert was handed to the sink. `delay_ns`
        counts from the event, or, in a market of the past, from the machine's time before which the event's record was
        not on the tape; so it never flatters.
"""

from typing import Protocol

import msgspec

from tradeworthy.change.watch.findings import Case
from tradeworthy.core.errors import TradeworthyError
from tradeworthy.core.findings import Finding


class AlertFailed(TradeworthyError):
    """A sink could not deliver; it may be tried again."""


class AlertRefused(AlertFailed):
    """The receiver said no for good; trying again would change nothing."""


class Desk(msgspec.Struct, frozen=True):
    """What alerts say about where they come from."""

    name: str
    env: str


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One finding, told.

    Attributes
    ----------
    desk, env : str
        Where it was found.
    number : int
        Of the case: what `tradeworthy findings ack` and `close` take.
    entry : int
        Ledger number of this very finding. An alert may be told twice after a crash; `entry` is then the same.
    count : int
        Findings of the same cause so far, this one included.
    version : str
        The champion of that time.
    ts_raised_ns, ts_emit_ns : int
        When it was written into the ledger, and when it was handed to the sink; UTC nanoseconds.
    delay_ns : int or None
        From the event to `ts_emit_ns`; None where the event's moment is not known.
    """

    desk: str
    env: str
    number: int
    entry: int
    count: int
    version: str
    severity: str
    ts_event_ns: int
    ts_raised_ns: int
    ts_emit_ns: int
    delay_ns: int | None
    finding: Finding

    @classmethod
    def of(cls, case: Case, desk: Desk, *, entry: int, ts_origin_ns: int, now_ns: int) -> "Alert":
        """Take what is to be said from a case whose last finding is the one to tell."""
        return cls(
            desk=desk.name,
            env=desk.env,
            number=case.number,
            entry=entry,
            count=case.count,
            version=case.version,
            severity=case.severity,
            ts_event_ns=case.last.ts_event_ns,
            ts_raised_ns=case.last_ns,
            ts_emit_ns=now_ns,
            delay_ns=max(0, now_ns - ts_origin_ns) if ts_origin_ns else None,
            finding=case.last,
        )

    def headline(self) -> str:
        """Say it in one line, without control characters."""
        again = f" (finding {self.count} of this cause)" if self.count > 1 else ""
        line = f"[{self.desk} {self.env}] {self.severity}: {self.finding.sentence}{again}"
        return "".join(c if c.isprintable() else " " for c in line)


class AlertSink(Protocol):
    """A way to tell people."""

    def send(self, alert: Alert) -> None:
        """Deliver one alert; return when the receiver has it.

        Raises
        ------
        AlertFailed
            It was not delivered and may be tried again.
        AlertRefused
            It was not delivered and never will be.
        """
