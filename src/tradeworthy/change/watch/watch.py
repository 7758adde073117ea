"""The champion's monitors over the growing tape, and their findings in the ledger, each exactly once.

Idea:   one file holds the offsets on the tape, the monitors' states and the findings taken but not yet in the ledger;
        it is replaced whole. Findings go to the ledger only after they are in that file.
Flow:   read → observe → save (with new findings) → append to the ledger → forget them at the next save.
Order:  a look gives the monitors what all streams hold up to one sequence, so that what one of them joins does not
        depend on when anybody looked (`record.together`).
Time:   a finding carries the moment from which its alerts' delay counts: its event's time or, in a market of the past,
        the machine's time of the last look that left nothing unread, when its record was not there yet.
Cut:    records that were read and that a power cut then took are told as a finding, and reading goes on where the
        tape now ends (`health`).
Change: while the monitors of a new champion are being calibrated, those of the one before go on and tell what they
        find. The new ones then begin where it became champion: they read what they missed, take over what the desk held
        there, and leave out what was told meanwhile.
State:  killed before the save, the same records are observed again and nothing was told; killed after it, whatever of
        the saved findings is not in the ledger yet is appended. Nothing is lost, nothing doubled.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.change.watch.health import RecordHealth
from tradeworthy.core import facts
from tradeworthy.core.decisions import DECISIONS, INPUTS, Role, rows_stream, version_name
from tradeworthy.core.findings import Finding
from tradeworthy.core.time import NS_PER_S, Clock
from tradeworthy.judge.monitor.base import Monitor, State, load_states, save_states, show, to_bytes
from tradeworthy.judge.monitor.standing import of_desk, resume, succeed
from tradeworthy.record.ledger import Ledger
from tradeworthy.record.together import Together

STATE_FILE = "monitors.npz"
ACTOR = "watcher"

Monitors = Mapping[str, Monitor]
Lens = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
"""Chooses, of records of a stream, what monitors are shown."""
MakeMonitors = Callable[[int], Monitors]
"""Calibrated monitors of a version, by its number."""

_OWN, _BEFORE = "watch", "before."
"""In the state file beside the monitors' states: the offsets, and what the monitors before knew at a change."""


class _Change(msgspec.Struct, kw_only=True):
    """A champion whose monitors do not stand yet: where they will begin, and what others have told since then."""

    champion: int
    streams: dict[str, int]
    caught_up_ns: int
    told: list[tuple[str, str]] = []


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
    change: _Change | None = None


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
        The desk trades a market of the past, or others stamp its events, so that event times are not the machine's.
    lens : callable, optional
        What the monitors are shown; everything, and the state of the record itself, if left out.
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
        lens: Lens | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / STATE_FILE
        self._tape, self._ledger, self._make = tape, ledger, make_monitors
        self._clock, self._save_every_ns, self._batch = clock, save_every_ns, batch
        self._market_past, self._lens = market_past, lens
        states = load_states(self._path)
        self._offsets = _offsets(states.pop(_OWN, {}))
        self._before = {name.removeprefix(_BEFORE): states[name] for name in states if name.startswith(_BEFORE)}
        self._health = RecordHealth(tape, clock=clock)
        self._saved_ns = clock.monotonic_ns()
        self._following: Together | None = None
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

    def step(self, champion: int, *, ready: bool = True) -> int:
        """Observe what is new, tell what was found, and return how many records were observed.

        Parameters
        ----------
        champion : int
            The version to watch; another than before starts with fresh monitors.
        ready : bool
            Whether these can be made at once; until then the monitors at work go on.
        """
        if champion == self._offsets.version:
            self._offsets.change, self._before = None, {}
        elif ready:
            self._change_to(champion)
        else:
            self._expect(champion)
        began_ns = self._clock.now_ns()
        health = self._look_at_record()
        observed, drained = self._observe()
        found = [finding for monitor in self._monitors.values() for finding in monitor.findings()] + health
        found.sort(key=lambda finding: finding.sequence)
        if self._offsets.change is not None:
            self._offsets.change.told += [(finding.monitor, finding.subject) for finding in found]
        if found or (observed and self._save_is_due()):
            self._offsets.pending, self._offsets.pending_since_ns = found, self._offsets.caught_up_ns
            self.save()
        self._tell()
        if observed:
            self._offsets.looked_ns = began_ns
        if drained:
            self._offsets.caught_up_ns = began_ns
        return observed

    def begin_beside(self, other: "Watch", champion: int) -> None:
        """Begin to watch a version where another watch stands now, with what its monitors know of the desk."""
        theirs = other._offsets  # noqa: SLF001  # of our own kind
        self._offsets.streams, self._offsets.epoch = dict(theirs.streams), theirs.epoch
        self._offsets.caught_up_ns, self._offsets.market_ns = theirs.caught_up_ns, theirs.market_ns
        self._expect(champion)
        self._before = of_desk(other.monitors)
        self.save()

    def save(self) -> None:
        """Write offsets, monitors and findings not yet told, whole or not at all."""
        self._offsets.ledger_number = self._ledger.head()[0]
        states: dict[str, State] = {_OWN: {"offsets": to_bytes(self._offsets)}}
        states |= {name: monitor.state() for name, monitor in self._monitors.items()}
        states |= {f"{_BEFORE}{name}": state for name, state in self._before.items()}
        save_states(self._path, states)
        self._saved_ns = self._clock.monotonic_ns()

    def _expect(self, champion: int) -> _Change:
        """Note once where the monitors of a new champion will begin."""
        change = self._offsets.change
        if change is None or change.champion != champion:
            offsets = self._offsets
            change = _Change(champion=champion, streams=dict(offsets.streams), caught_up_ns=offsets.caught_up_ns)
            offsets.change, self._before = change, of_desk(self._monitors)
        return change

    def _change_to(self, champion: int) -> None:
        """Put the monitors of a new champion to work, and tell what they find in what they have missed."""
        change, offsets = self._expect(champion), self._offsets
        made = self._make(champion)
        succeed(made, self._before)
        reached = self._read_missed(made, change.streams)
        found = [finding for monitor in made.values() for finding in monitor.findings()]
        offsets.pending = [each for each in found if (each.monitor, each.subject) not in change.told]
        offsets.pending_since_ns = offsets.caught_up_ns = change.caught_up_ns
        offsets.version, offsets.change = champion, None
        offsets.streams |= {INPUTS: reached, DECISIONS: reached}
        offsets.streams[rows_stream(champion)] = change.streams.get(DECISIONS, 0)
        self._monitors, self._before, self._following = made, {}, None
        self.save()
        self._tell()

    def _read_missed(self, monitors: Monitors, since: Mapping[str, int]) -> int:
        """Feed monitors what others have read of inputs and decisions since some place; return how far that is."""
        reached, begin = self.reached, {stream: since.get(stream, 0) for stream in (INPUTS, DECISIONS)}
        following = Together(self._tape, begin, batch=self._batch)
        while missed := following.look(until=reached)[0]:
            self._show(monitors, [*missed.values()])
        return reached

    def _look_at_record(self) -> list[Finding]:
        """Return what is wrong with the record; go back to where it ends, if less is there than was read."""
        offsets, reached = self._offsets, self.reached
        epoch, cut = self._health.cut(offsets.epoch, reached)
        if epoch != offsets.epoch:
            offsets.epoch, self._following = epoch, None  # what was read ahead may be gone too
        if cut is not None:
            offsets.streams = {name: min(place, cut.kept) for name, place in offsets.streams.items()}
        return [] if self._lens is not None else self._health.findings(reached, cut, offsets.market_ns)

    def _observe(self) -> tuple[int, bool]:
        """Feed every monitor what its streams have beyond their offsets; say how much, and if that was all."""
        offsets = self._offsets
        if self._following is None:
            streams = (INPUTS, DECISIONS, rows_stream(offsets.version))
            after = {stream: offsets.streams.get(stream, 0) for stream in streams}
            self._following = Together(self._tape, after, batch=self._batch)
        look, drained = self._following.look()
        self._show(self._monitors, [*look.values()])
        for stream, records in look.items():
            offsets.streams[stream] = int(records["sequence"][-1])
        if INPUTS in look:
            offsets.market_ns = int(look[INPUTS]["ts_event_ns"][-1])
        if DECISIONS in look:
            offsets.decisions += int(np.count_nonzero(look[DECISIONS]["role"] == Role.CHAMPION))
        observed = sum(map(len, look.values()))
        offsets.records += observed
        return observed, drained

    def _show(self, monitors: Monitors, look: Sequence[npt.NDArray[Any]]) -> None:
        shown = look if self._lens is None else [self._lens(records) for records in look]
        show(monitors.values(), shown)

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
                version = version_name(self.version) if self.version else ""
                fact = facts.FindingRaised(finding=finding, ts_origin_ns=origin_ns, version=version)
                self._ledger.append(fact, actor=ACTOR, reason=finding.sentence)
        self._offsets.pending = []


def _offsets(state: State) -> _Offsets:
    if "offsets" not in state:
        return _Offsets()
    return msgspec.json.decode(state["offsets"].tobytes(), type=_Offsets)
