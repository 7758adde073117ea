"""The champion's monitors over the growing tape, and their findings in the ledger, each exactly once.

Idea:   one file holds the offsets on the tape, the monitors' states and the findings taken but not yet in the ledger;
        it is replaced whole. Findings go to the ledger only after they are in that file.
Flow:   read → observe → save (with new findings) → append to the ledger → forget them at the next save.
Time:   a finding carries the moment from which its alerts' delay counts: its event's time or, in a market of the past,
        the machine's time of the last look that left nothing unread, when its record was not there yet.
Cut:    records that were read and that a power cut then took are told as a finding, and reading goes on where the
        tape now ends (`health`).
State:  killed before the save, the same records are observed again and nothing was told; killed after it, whatever of
        the saved findings is not in the ledger yet is appended. Nothing is lost, nothing doubled.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.change.watch.health import RecordHealth
from tradeworthy.core import facts
from tradeworthy.core.decisions import Role, rows_stream
from tradeworthy.core.errors import NotFound
from tradeworthy.core.findings import Finding
from tradeworthy.core.time import NS_PER_S, Clock
from tradeworthy.judge.monitor.base import Monitor, State, load_states, save_states, to_bytes
from tradeworthy.judge.monitor.standing import resume, succeed
from tradeworthy.record.ledger import Ledger
from tradeworthy.record.reader import Cursor, TapeReader

INPUTS, DECISIONS = "inputs", "decisions"
STATE_FILE = "monitors.npz"
ACTOR = "watcher"

Monitors = Mapping[str, Monitor]
MakeMonitors = Callable[[int], Monitors]
"""Calibrated monitors of a version, by its number."""

_OWN = "watch"


class _Offsets(msgspec.Struct, kw_only=True):
    """How far each stream was observed, and for which version."""

    version: int = 0
    streams: dict[str, int] = {}
    decisions: int = 0
    records: int = 0
    pending: list[Finding] = []
    pending_since_ns: int = 0
    caught_up_ns: int = 0
    looked_ns: int = 0
    market_ns: int = 0
    epoch: int = 0
    ledger_number: int = 0


class Watch:
    """Follows one tape for one ledger.

    Parameters
    ----------
    folder : Path
        Where the state file lies; made if absent.
    tape : Path
        The tape's folder; it may not exist yet.
    ledger : Ledger
        Where findings go.
    make_monitors : callable
        Makes the monitors of a version, afresh.
    clock : Clock
        The machine's. Its monotonic time says when the state is due to be saved.
    save_every_ns : int
        At most so much is observed again after a kill; findings are saved at once.
    batch : int
        Records of a stream taken in one step.
    market_past : bool
        The desk trades a market of the past, so that event times are not the machine's.
    """

    def __init__(
        self,
        folder: Path,
        tape: Path,
        ledger: Ledger,
        make_monitors: MakeMonitors,
        *,
        clock: Clock,
        save_every_ns: int = NS_PER_S,
        batch: int = 20_000,
        market_past: bool = False,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / STATE_FILE
        self._tape, self._ledger, self._make = tape, ledger, make_monitors
        self._clock, self._save_every_ns, self._batch = clock, save_every_ns, batch
        self._market_past = market_past
        states = load_states(self._path)
        self._offsets = _offsets(states.pop(_OWN, {}))
        self._health = RecordHealth(tape, clock=clock)
        self._saved_ns = clock.monotonic_ns()
        self._cursors: dict[str, Cursor] = {}
        self._monitors: Monitors = {}
        if self._offsets.version:
            self._monitors = make_monitors(self._offsets.version)
            resume(self._monitors, states)
        self._tell()

    @property
    def version(self) -> int:
        """The number of the version watched; 0 before the first."""
        return self._offsets.version

    @property
    def sequence(self) -> int:
        """The last input observed."""
        return self._offsets.streams.get(INPUTS, 0)

    @property
    def decisions(self) -> int:
        """How many champion decisions were observed in all."""
        return self._offsets.decisions

    @property
    def records(self) -> int:
        """How many records were observed in all."""
        return self._offsets.records

    @property
    def reached(self) -> int:
        """The last record of any stream that was observed."""
        return max(self._offsets.streams.values(), default=0)

    @property
    def caught_up_ns(self) -> int:
        """When a look last left nothing unread, the machine's time; 0 for never."""
        return self._offsets.caught_up_ns

    @property
    def looked_ns(self) -> int:
        """When a look last gave the monitors records, the machine's time; 0 for never."""
        return self._offsets.looked_ns

    @property
    def behind_ns(self) -> int:
        """How long the oldest record that was read has waited to be on the disk."""
        return self._health.behind_ns

    @property
    def market_ns(self) -> int:
        """The event time of the last input observed; 0 before the first."""
        return self._offsets.market_ns

    @property
    def monitors(self) -> Monitors:
        """The monitors at work, by name."""
        return self._monitors

    def step(self, champion: int) -> int:
        """Observe what is new, tell what was found, and return how many records were observed.

        Parameters
        ----------
        champion : int
            The version to watch; another than before starts with fresh monitors from here on.
        """
        if champion != self._offsets.version:
            self._change_to(champion)
        began_ns = self._clock.now_ns()
        health = self._look_at_record()
        observed, drained = self._observe()
        found = [finding for monitor in self._monitors.values() for finding in monitor.findings()] + health
        found.sort(key=lambda finding: finding.sequence)
        if found or (observed and self._save_is_due()):
            self._offsets.pending, self._offsets.pending_since_ns = found, self._offsets.caught_up_ns
            self.save()
        self._tell()
        if observed:
            self._offsets.looked_ns = began_ns
        if drained:
            self._offsets.caught_up_ns = began_ns
        return observed

    def save(self) -> None:
        """Write offsets, monitors and findings not yet told, whole or not at all."""
        self._offsets.ledger_number = self._ledger.head()[0]
        states: dict[str, State] = {_OWN: {"offsets": to_bytes(self._offsets)}}
        states |= {name: monitor.state() for name, monitor in self._monitors.items()}
        save_states(self._path, states)
        self._saved_ns = self._clock.monotonic_ns()

    def _change_to(self, champion: int) -> None:
        self._offsets.version = champion
        made = self._make(champion)
        succeed(made, self._monitors)
        self._monitors = made
        self._cursors.clear()
        self._offsets.streams[rows_stream(champion)] = self._offsets.streams.get(DECISIONS, 0)
        self.save()

    def _look_at_record(self) -> list[Finding]:
        """Return what is wrong with the record; go back to where it ends, if less is there than was read."""
        offsets, reached = self._offsets, self.reached
        offsets.epoch, cut = self._health.cut(offsets.epoch, reached)
        if cut is not None:
            offsets.streams = {name: min(place, cut.kept) for name, place in offsets.streams.items()}
            self._cursors.clear()
        return self._health.findings(reached, cut, offsets.market_ns)

    def _observe(self) -> tuple[int, bool]:
        """Feed every monitor what its streams have beyond their offsets; say how much, and if that was all."""
        observed, drained = 0, True
        for stream in (INPUTS, DECISIONS, rows_stream(self._offsets.version)):
            records = self._poll(stream)
            drained &= len(records) < self._batch
            if len(records) == 0:
                continue
            for monitor in self._monitors.values():
                monitor.observe(records)
            if stream == INPUTS:
                self._offsets.market_ns = int(records["ts_event_ns"][-1])
            if stream == DECISIONS:
                self._offsets.decisions += int(np.count_nonzero(records["role"] == Role.CHAMPION))
            self._offsets.streams[stream] = int(records["sequence"][-1])
            observed += len(records)
        self._offsets.records += observed
        return observed, drained

    def _poll(self, stream: str) -> npt.NDArray[Any]:
        if stream not in self._cursors:
            try:
                after = self._offsets.streams.get(stream, 0)
                self._cursors[stream] = TapeReader(self._tape).follow(stream, after=after)
            except NotFound:
                return np.empty(0)
        return self._cursors[stream].poll(self._batch)

    def _save_is_due(self) -> bool:
        return self._clock.monotonic_ns() - self._saved_ns >= self._save_every_ns

    def _tell(self) -> None:
        """Append the pending findings that the ledger does not have yet."""
        if not self._offsets.pending:
            return
        entries = self._ledger.facts(facts.FindingRaised, after=self._offsets.ledger_number)
        told = [entry.fact.finding for entry in entries if isinstance(entry.fact, facts.FindingRaised)]
        for finding in self._offsets.pending:
            if finding not in told:
                origin_ns = self._offsets.pending_since_ns if self._market_past else finding.ts_event_ns
                fact = facts.FindingRaised(finding=finding, ts_origin_ns=origin_ns)
                self._ledger.append(fact, actor=ACTOR, reason=finding.sentence)
        self._offsets.pending = []


def _offsets(state: State) -> _Offsets:
    if "offsets" not in state:
        return _Offsets()
    return msgspec.json.decode(state["offsets"].tobytes(), type=_Offsets)
