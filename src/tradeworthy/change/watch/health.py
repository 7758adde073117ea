"""How the record itself fares, as the watcher sees it: records that a power cut took, a slow disk, a clock that jumps.

Idea:   what no monitor of the market can see, because it is not on the tape: that something is gone from it, that it
        reaches the disk late, that the time stamped on it is not to be trusted.
Flow:   epochs, durable mark and both clocks at each look → findings of kind ``storage`` and ``clock``.
Time:   a jump of the wall clock is told by the monotonic one: the two part by as much as the clock was set.
"""

from pathlib import Path

import msgspec

from tradeworthy.core.findings import Finding
from tradeworthy.core.time import NS_PER_S, Clock
from tradeworthy.record.epochs import EPOCHS, read_epochs, writer_alive
from tradeworthy.record.marks import durable_mark

NAME = "record"


class HealthSettings(msgspec.Struct, frozen=True, kw_only=True):
    """When the record's state is worth a finding.

    Attributes
    ----------
    behind_s_max : float
        How long a record that was read may wait to be on the disk.
    jump_s_max : float
        How far the wall clock may be set at once.
    """

    behind_s_max: float = 5.0
    jump_s_max: float = 1.0


class Cut(msgspec.Struct, frozen=True):
    """Records that were read and are no longer there: those above `kept`."""

    epoch: int
    kept: int


class RecordHealth:
    """Looks at one tape.

    Parameters
    ----------
    tape : Path
        Its folder; it may not exist yet.
    clock : Clock
        The machine's.
    """

    def __init__(self, tape: Path, *, clock: Clock, settings: HealthSettings | None = None) -> None:
        self._tape, self._clock, self._settings = tape, clock, settings or HealthSettings()
        self._log_size = -1
        self._apart_ns = clock.now_ns() - clock.monotonic_ns()
        self._waiting: tuple[int, int] | None = None  # a record that is not durable, and since when it was read
        self._told_behind = False
        self.behind_ns = 0
        """How long the oldest record that was read has waited to be on the disk."""

    def cut(self, epoch: int, reached: int) -> tuple[int, Cut | None]:
        """Say which openings are known now, and whether one of those after `epoch` found less than was read."""
        path = self._tape / EPOCHS
        size = path.stat().st_size if path.exists() else -1
        if size == self._log_size:
            return epoch, None
        self._log_size = size
        newer = [each for each in read_epochs(self._tape) if each.epoch > epoch] if size > 0 else []
        kept = min((each.recovery.last_sequence for each in newer), default=reached)
        newest = newer[-1].epoch if newer else epoch
        return newest, Cut(newest, kept) if epoch and kept < reached else None

    def findings(self, reached: int, cut: Cut | None, ts_event_ns: int) -> list[Finding]:
        """Return what is wrong now.

        Parameters
        ----------
        reached : int
            The last record read.
        cut : Cut or None
            What `cut` found.
        ts_event_ns : int
            The market's time, for the findings.
        """
        found = [] if cut is None else [_cut_finding(cut, reached, ts_event_ns)]
        if (jump_s := self._jump_s()) is not None:
            found.append(_jump_finding(jump_s, self._settings.jump_s_max, reached, self._clock.now_ns()))
        if self._is_behind(reached):
            found.append(_behind_finding(self.behind_ns, self._settings.behind_s_max, reached, ts_event_ns))
        return found

    def _jump_s(self) -> float | None:
        """Return by how much the wall clock was set since the last look, where that is too much."""
        before, self._apart_ns = self._apart_ns, self._clock.now_ns() - self._clock.monotonic_ns()
        jump_s = (self._apart_ns - before) / NS_PER_S
        return jump_s if abs(jump_s) > self._settings.jump_s_max else None

    def _is_behind(self, reached: int) -> bool:
        """Measure how long records wait for the disk; tell once each time it becomes too long."""
        durable, now_ns = durable_mark(self._tape).sequence, self._clock.monotonic_ns()
        if self._waiting is not None and durable >= self._waiting[0]:
            self._waiting = None
        if self._waiting is None and reached > durable:
            self._waiting = reached, now_ns
        self.behind_ns = 0 if self._waiting is None else now_ns - self._waiting[1]
        late = self.behind_ns > self._settings.behind_s_max * NS_PER_S and writer_alive(self._tape)
        is_news = late and not self._told_behind
        self._told_behind = late
        return is_news


def _finding(subject: str, kind: str, sequence: int, ts_ns: int, **words: object) -> Finding:
    figures = {"since_ns": ts_ns, "reference": 0.0, "statistic": words["observed"], "false_alarms_per_10k": 0.0}
    return msgspec.convert(
        {"monitor": NAME, "subject": subject, "kind": kind, "sequence": sequence, "ts_event_ns": ts_ns}
        | figures
        | words,
        Finding,
    )


def _cut_finding(cut: Cut, reached: int, ts_ns: int) -> Finding:
    return _finding(
        "records that were read",
        "storage",
        cut.kept,
        ts_ns,
        severity="critical",
        observed=float(reached - cut.kept),
        threshold=0.0,
        unit="records",
        sentence=(
            f"Records {cut.kept + 1} to {reached} were read before opening {cut.epoch} of the tape, and are gone: "
            "a power cut took what was not on the disk. What monitors had seen of them stays in their figures; "
            'orders among them may stand at the venue. durability = "disk" keeps those.'
        ),
    )


def _jump_finding(jump_s: float, limit_s: float, sequence: int, ts_ns: int) -> Finding:
    way = "forward" if jump_s > 0 else "back"
    return _finding(
        "wall clock",
        "clock",
        sequence,
        ts_ns,
        observed=jump_s,
        threshold=limit_s,
        unit="s",
        sentence=(
            f"The machine's clock was set {way} by {abs(jump_s):.3g} s. Records keep their order, which no clock "
            "decides; their times before and after do not compare, and events may be refused as stale or future."
        ),
    )


def _behind_finding(behind_ns: int, limit_s: float, sequence: int, ts_ns: int) -> Finding:
    return _finding(
        "disk",
        "storage",
        sequence,
        ts_ns,
        observed=behind_ns / NS_PER_S,
        threshold=limit_s,
        unit="s",
        sentence=(
            f"Record {sequence} has waited {behind_ns / NS_PER_S:.1f} s to be on the disk, allowed are {limit_s:g} s: "
            "the disk is slow or the syncer is gone. Nothing is dropped; a power cut now would take what waits."
        ),
    )
