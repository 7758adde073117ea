"""A version at work on a desk: `run` for the engine, `one` and `many` for everybody else.

Idea:   the kernels of `path` know nothing of versions or folders; a pipeline binds them to one version, one desk, one
        inbox, and keeps what a run wrote until the engine has put it on the tape.
Flow:   trees run inside one kernel; any other predictor is called between the same kernels, event by event.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import DECISION, ORDER, Role, Rule, row_dtype, version_name
from tradeworthy.core.errors import DataInvalid
from tradeworthy.core.events import WIDTH_MIN, EventBatch, Kind
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.kernel import entry
from tradeworthy.core.limits import Limits
from tradeworthy.live.control import ControlWords, no_control
from tradeworthy.live.inbox import Inbox
from tradeworthy.live.path import (
    FACTS,
    NOT_ASKED,
    ROW_HEADER,
    STANDBY,
    Circuit,
    Stage,
    decide_one,
    has_row,
    hold_circuit,
    keep_warm,
    may_go_on,
    no_trees,
    run_trees,
    sense_one,
)
from tradeworthy.live.rerun import decide_again, recall_rows
from tradeworthy.live.signal import group_records, signal_record
from tradeworthy.live.state import CheckSettings, DeskState, new_desk
from tradeworthy.model.features.runtime import FeatureState
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.model.version import Version

Records = npt.NDArray[np.void]
Arrays = dict[str, npt.NDArray[Any]]

ROOM = 1024
"""Events that an inbox of its own takes at once."""


class Run(NamedTuple):
    """What a run did: it consumed the inbox up to `stop`."""

    stop: int
    decisions: int
    rows: int
    ordered: bool


class Played(NamedTuple):
    """What one version made of a stretch of events; views that the next stretch overwrites.

    Attributes
    ----------
    orders : (k,) ORDER
        Sent by them; a run ends with its first.
    """

    pipeline: "Pipeline"
    decisions: Records
    rows: Records
    row_decisions: npt.NDArray[np.int64]
    orders: Records


class Pipeline:
    """One version over the desk's instruments.

    Parameters
    ----------
    version : Version
        What decides.
    instruments : sequence of Instrument
        The desk's list.
    desk : DeskState
        Shared with every other pipeline of the desk; only a champion changes it.
    inbox : Inbox
        Where the events of a run stand.
    control : (512,) uint64, optional
        The control block's words; one that never changes if left out.
    settings : CheckSettings, optional
    role : int
        A `Role`, or `STANDBY`.

    Attributes
    ----------
    decisions, rows, order : arrays of records
        What the last run wrote, from their beginning.
    told : memoryview
        `decisions` as bytes: the cheapest way for Python to read one.
    """

    def __init__(
        self,
        version: Version,
        instruments: Sequence[Instrument],
        desk: DeskState,
        inbox: Inbox,
        *,
        control: ControlWords | None = None,
        settings: CheckSettings | None = None,
        role: int = STANDBY,
    ) -> None:
        self.version, self.number, self._inbox = version, version.number, inbox
        self.features = FeatureState(version.program, instruments)
        n, k = len(version.program.names), version.predictor.n_outputs
        self.decisions: Records = np.zeros(inbox.room, DECISION)
        self.told = self.decisions.view(np.uint64).data.cast("B")
        self.rows: Records = np.zeros(inbox.room, row_dtype(n, k))
        self.row_decisions = np.zeros(inbox.room, np.int64)
        self.order: Records = np.zeros(1, ORDER)
        self._scratch = np.zeros(n)
        self._is_trees = isinstance(version.predictor, Trees)
        self._stage = _new_stage(version, self.features, len(instruments), settings or CheckSettings())
        self._words = self.rows.view(np.float64).reshape(inbox.room, -1)
        self._circuit = Circuit(
            desk=desk,
            stage=self._stage,
            control=no_control() if control is None else control,
            words=inbox.words,
            numbers=inbox.numbers,
            prices=inbox.prices,
            now_ns=inbox.now_ns,
            decisions=self.decisions,
            rows=self._words,
            row_decisions=self.row_decisions,
            order=self.order,
            trees=version.predictor.table if isinstance(version.predictor, Trees) else no_trees(),
        )
        self._handle = hold_circuit(self._circuit)
        self._verdicts, self._sent = np.zeros(inbox.room, np.int64), np.zeros(inbox.room, ORDER)
        self._run_trees = entry(run_trees, self._handle, 0, 0, 0, 0)
        self.role = role

    @classmethod
    def alone(
        cls,
        version: Version,
        instruments: Sequence[Instrument],
        limits: Limits | None = None,
        *,
        settings: CheckSettings | None = None,
        width: int | None = None,
        room: int = ROOM,
    ) -> Self:
        """Return a champion on a desk of its own, for evidence, notebooks and tests.

        Parameters
        ----------
        limits : Limits, optional
            The version's own bounds if left out.
        width : int, optional
            Values an event carries; what the version's rows need if left out.
        """
        row_fields, needed = needs_of(version)
        desk = new_desk(instruments, limits or version.manifest.bounds, settings, row_fields=row_fields)
        inbox = Inbox(room, max(width or 0, needed, WIDTH_MIN))
        return cls(version, instruments, desk, inbox, settings=settings, role=Role.CHAMPION)

    @property
    def role(self) -> int:
        """What the version may do now."""
        return self._role

    @role.setter
    def role(self, role: int) -> None:
        self._role = int(role)
        self._stage.facts["role"] = role

    @property
    def desk(self) -> DeskState:
        """The desk on which it decides."""
        return self._circuit.desk

    @property
    def halted(self) -> bool:
        """Whether orders of this version are refused."""
        return bool(self._stage.facts["halted"][0])

    @halted.setter
    def halted(self, halted: bool) -> None:
        self._stage.facts["halted"] = halted

    @property
    def size(self) -> float:
        """The share of its full size that the version takes."""
        return float(self._stage.signal["share"][0])

    @size.setter
    def size(self, share: float) -> None:
        self._stage.signal["share"] = share

    @property
    def rule(self) -> Rule:
        """What decides in the version's place."""
        return Rule(int(self._stage.signal["rule"][0]))

    @rule.setter
    def rule(self, rule: Rule) -> None:
        self._stage.signal["rule"] = rule

    @property
    def late(self) -> bool:
        """Whether it decides what a crash left undecided: recorded as late, and nothing is sent."""
        return bool(self._stage.facts["late"][0])

    @late.setter
    def late(self, late: bool) -> None:
        self._stage.facts["late"] = late

    @property
    def name(self) -> str:
        """The first 16 characters of the version's digest."""
        return version_name(self.number)

    @property
    def trigger(self) -> int:
        """The kind of event that asks for a decision."""
        return int(self._stage.facts["trigger"][0])

    def imagine(self, positions: npt.NDArray[np.float64]) -> None:
        """Set the positions from which a shadow decides."""
        self._stage.targets[:] = positions

    def run(self, start: int, stop: int, *, generation: int = 0, first_sequence: int = 0) -> Run:
        """Take the inbox's events from `start` up to `stop` to decisions, as far as the run goes.

        Parameters
        ----------
        start, stop : int
            Places in the inbox.
        generation : int
            Of the control block; a run ends before an event at which the block holds another.
        first_sequence : int
            Sequence that the first event will have on the tape; 0 where the events carry theirs.

        Returns
        -------
        Run
            Where it stopped, and how many decisions and rows it wrote.
        """
        if self._role == STANDBY:
            keep_warm(self._handle, start, stop, self._scratch)
            return Run(stop, 0, 0, ordered=False)
        if self._is_trees:
            return Run(*self._run_trees(self._handle, start, stop, generation, first_sequence))
        return self._run_stepwise(start, stop, generation, first_sequence)

    def played(self, run: Run) -> Played:
        """Return what a run wrote."""
        return Played(
            self,
            self.decisions[: run.decisions],
            self.rows[: run.rows],
            self.row_decisions[: run.rows],
            self.order[: int(run.ordered)],
        )

    def rerun(self, count: int, names: npt.NDArray[np.int64]) -> Played:
        """Take the inbox's first `count` recorded inputs, answers included, to decisions; see `rerun`.

        Parameters
        ----------
        names : (count,) int64
            The recorded sequence of each input's decision.
        """
        if self.role == STANDBY:
            keep_warm(self._handle, 0, count, self._scratch)
            return self.played(Run(count, 0, 0, ordered=False))
        rows, n = recall_rows(self._handle, count, self._verdicts), len(self._scratch)
        inputs = self._words[:rows, ROW_HEADER : ROW_HEADER + n]
        self._words[:rows, ROW_HEADER + n :] = self.version.predictor.many(inputs)
        decisions, sent = decide_again(self._handle, count, self._verdicts, names, self._sent)
        made = self.decisions[:decisions], self.rows[:rows], self.row_decisions[:rows]
        return Played(self, *made, self._sent[:sent])

    def _run_stepwise(self, start: int, stop: int, generation: int, first_sequence: int) -> Run:
        """Do what `run_trees` does, with the predictor called between the kernels."""
        place, decisions, rows, ordered = start, 0, 0, False
        while place < stop and not ordered and may_go_on(self._handle, generation):
            sequence = first_sequence + place - start if first_sequence else 0
            verdict, score = sense_one(self._handle, place, rows, sequence), np.nan
            if has_row(verdict):
                score = self._score(rows)
                self.row_decisions[rows] = decisions
                rows += 1
            if verdict != NOT_ASKED:
                ordered = decide_one(self._handle, decisions, place, verdict, score)
                decisions += 1
            place += 1
        return Run(place, decisions, rows, ordered)

    def _score(self, at: int) -> float:
        record, n = self._words[at], len(self._scratch)
        scores = self.version.predictor.one(record[ROW_HEADER : ROW_HEADER + n])
        record[ROW_HEADER + n :] = scores
        return float(scores[0])

    def one(self, event: np.void) -> np.void | None:
        """Take one event to its decision.

        Returns
        -------
        DECISION record or None
            None where the event asks for no decision.
        """
        decisions, _ = self.many(np.asarray(event).reshape(1))
        return decisions[0] if len(decisions) else None

    def many(self, events: EventBatch, start: int = 0) -> tuple[Records, int]:
        """Take events to decisions, up to the first approved order.

        The decision time of each event is its `ts_recv_ns`. To go on, answer the order and call again from the place
        returned.

        Returns
        -------
        decisions : (m,) DECISION
            A copy.
        stop : int
            The first event not consumed.
        """
        made, place, ordered = [], start, False
        while place < len(events) and not ordered:
            count = self._inbox.load(events[place:])
            self._inbox.stamp(0, count, np.iinfo(np.int64).min)
            run = self.run(0, count)
            made.append(self.decisions[: run.decisions].copy())
            place, ordered = place + run.stop, run.ordered
        return (np.concatenate(made) if made else self.decisions[:0].copy()), place

    def warm(self, events: EventBatch) -> None:
        """Step the features through recorded inputs, leaving out what was refused and what is not market data."""
        market = (events["kind"] <= Kind.ROW) | (events["kind"] == Kind.GAP)
        accepted = events[(events["flags"] == 0) & market]
        _, places = self.features.many(accepted)
        gaps = np.flatnonzero(accepted["kind"] == Kind.GAP)
        if len(gaps):
            self._stage.warmed[:], places = 0, places[places > gaps[-1]]
        self._stage.warmed[np.unique(accepted["instrument"][places])] = 1

    def dump(self) -> Arrays:
        """Return the version's own state for a checkpoint."""
        arrays = {f"features/{name}": array for name, array in self.features.dump().items()}
        stage = self._stage
        return {**arrays, "facts": stage.facts.copy(), "targets": stage.targets.copy(), "warmed": stage.warmed.copy()}

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Put back what `dump` returned.

        Raises
        ------
        DataInvalid
            It is another version's.
        """
        facts = arrays["facts"]
        if int(facts["version"][0]) != self.number:
            raise DataInvalid(f"the state is of {version_name(int(facts['version'][0]))}, this is version {self.name}")
        prefix = "features/"
        features = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        self.features.restore(features)
        self._stage.facts[:] = facts
        self._role = int(facts["role"][0])
        self._stage.targets[:] = arrays["targets"]
        self._stage.warmed[:] = arrays["warmed"]


def needs_of(version: Version, width: int = 0) -> tuple[int, int]:
    """Return how many values a row event must carry for this version, and the widest event, `width` or wider."""
    return len(version.program.row_fields), max(version.program.width, width)


def _new_stage(version: Version, features: FeatureState, instruments: int, settings: CheckSettings) -> Stage:
    program, profile = version.program, version.profile
    facts = np.zeros(1, FACTS)
    facts["version"], facts["trigger"], facts["features"] = version.number, int(program.trigger), len(program.names)
    margin = np.inf if settings.range_margin is None else settings.range_margin
    width = np.maximum(profile.maximum - profile.minimum, np.finfo(np.float64).tiny)
    return Stage(
        facts=facts,
        table=features.table,
        state=features.state,
        signal=signal_record(version.manifest.signal, profile.base_rate),
        groups=group_records(version.manifest.thresholds, version.program.row_fields),
        lowest=profile.minimum - margin * width,
        highest=profile.maximum + margin * width,
        targets=np.zeros(instruments),
        warmed=np.zeros(instruments, np.int64),
    )
