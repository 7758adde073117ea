"""What the watcher says of itself, for people and for other processes: one small file, replaced whole.

Flow:   the watcher writes it four times a second, and when it has caught up; `tradeworthy status` and `watch` read it.
Time:   all of it is the machine's. A file that stays old means a watcher that is gone or stuck.
"""

from pathlib import Path

import msgspec

from tradeworthy.change.alerts.delivery import SinkState, replace_file
from tradeworthy.core.time import NS_PER_S

PULSE = "pulse.json"
ALERT_DELAY_S_MAX = 5.0
"""RTS 6, article 16(5): alerts within five seconds of the event."""


class Pulse(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of a watcher.

    Attributes
    ----------
    ts_ns : int
        When it was written.
    version : str
        The version watched, by the first 16 characters of its digest; empty before the first.
    reached : int
        The last tape record observed.
    records, decisions : int
        Observed in all: records of every stream; decisions of the champion.
    caught_up_ns : int
        When a look last left nothing unread; 0 for never.
    settled_ns : int
        When a look last left nothing unread, and the policy nothing to do or to wait for; 0 for never.
    sinks : list of SinkState
        How every way of telling fares.
    looked_ns : int
        When the monitors were last given records; 0 for never.
    step_ns_last, step_ns_max : int
        How long the last look took, and the longest since the watcher has had a champion: no finding waits longer.
    behind_ns : int
        How long the oldest record that was read has waited to be on the disk.
    canary : str
        The canary of some instruments whose own monitors are at work beside those of `version`; empty for none.
    followed : int
        The fact up to which the policy has taken every step that it may; 0 while records are left to read.
    """

    ts_ns: int
    version: str
    reached: int
    records: int
    decisions: int
    caught_up_ns: int
    sinks: list[SinkState]
    looked_ns: int = 0
    step_ns_last: int = 0
    step_ns_max: int = 0
    behind_ns: int = 0
    canary: str = ""
    settled_ns: int = 0
    followed: int = 0

    @property
    def is_settled(self) -> bool:
        """Whether all that was there at its last look was read, and led to nothing that is still under way."""
        return self.settled_ns >= max(self.looked_ns, 1)

    @property
    def alert_delay_s_max(self) -> float:
        """The largest delay from an event to an alert that a sink took, seconds."""
        return max((sink.delay_ns_max for sink in self.sinks), default=0) / NS_PER_S

    @property
    def alerts_failed(self) -> int:
        """Alerts that were given up."""
        return sum(sink.failed for sink in self.sinks)


def write_pulse(folder: Path, pulse: Pulse) -> None:
    """Replace the watcher's file."""
    replace_file(folder / PULSE, msgspec.json.encode(pulse))


def read_pulse(folder: Path) -> Pulse | None:
    """Read the watcher's file; None if no watcher ever ran here."""
    try:
        return msgspec.json.decode((folder / PULSE).read_bytes(), type=Pulse)
    except FileNotFoundError:
        return None
