"""What a gatherer works with: one candidate, what it can be run on, and a budget.

Idea:   a gatherer is one function from a `Context` and its `Work` to one part of the evidence. What several of them
        need is made once, when the first one asks for it, and kept in the context.
Time:   budgets are processor time, so that a busy machine does not thin the evidence.
Units:  seconds.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from tradeworthy.change.evidence.stream import StreamRun, run_stream
from tradeworthy.change.evidence.walk import PaperWalk, paper_walk
from tradeworthy.change.registry import Registry
from tradeworthy.change.train.candidate import Candidate
from tradeworthy.change.train.dataset import Dataset, Training, build_dataset, traded_instrument
from tradeworthy.change.train.folds import Fold
from tradeworthy.change.train.refit import Refits
from tradeworthy.change.train.training import TrainingSettings, reweighed_by, training_folds
from tradeworthy.core.errors import BundleRefused
from tradeworthy.core.events import EventBatch
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.limits import Limits
from tradeworthy.core.time import NS_PER_S
from tradeworthy.judge.explain.catalogue import Catalogue
from tradeworthy.judge.validate.check import ProfileName
from tradeworthy.judge.validate.evidence import Part
from tradeworthy.judge.validate.gate import GateSettings
from tradeworthy.model.manifest import Lineage
from tradeworthy.model.predictors.base import Predictor
from tradeworthy.model.version import Version

Report = Callable[[str, float], None]
"""``report(what goes on, share done from 0 to 1)``."""

Timer = Callable[[], int]
"""Nanoseconds of processor time, from an arbitrary start."""


class NotGathered(Exception):  # named by what happened
    """A part cannot be gathered here; the sentence is the reason that the gate's report gives."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Context:
    """One candidate, and what it can be run on.

    Attributes
    ----------
    version : Version
        Loaded and verified.
    candidate : Candidate
        How it was trained.
    instruments : sequence of Instrument
        The desk's list.
    limits : Limits
        Of the desk's limits and the version's bounds the tighter.
    events : (n,) event records or None
        All market events that there are to run it on, in the order of time.
    profile : str
        ``quick`` or ``full``.
    training : TrainingSettings
        How it was trained: the folds are made again as they were.
    registry : Registry
        Where it and its rivals are registered.
    settings : GateSettings
        What the checks will require, and how much the gatherers are to do for it.
    now_ns : int
        UTC nanoseconds.
    cost_bps : float or None
        What trading costs, one way, of the value traded.
    refits : Refits or None
        Fits the strategy's model again, in processes of its own; None where no strategy is at hand.
    catalogue : Catalogue or None
        The project's reason codes; None where they are generated.
    seed : int
        Of every draw; see `rng`.
    """

    version: Version
    candidate: Candidate
    instruments: Sequence[Instrument]
    limits: Limits
    events: EventBatch | None
    profile: ProfileName
    training: TrainingSettings
    registry: Registry
    settings: GateSettings
    now_ns: int
    cost_bps: float | None = None
    refits: Refits | None = None
    catalogue: Catalogue | None = None
    seed: int = 1

    def rng(self, name: str) -> np.random.Generator:
        """Return a fresh generator of a name: what one gatherer draws does not depend on the others."""
        return np.random.default_rng([self.seed, *name.encode()])

    @cached_property
    def stream(self) -> StreamRun:
        """What the live pipeline does with the latest events.

        Raises
        ------
        NotGathered
            There are no events.
        """
        if self.events is None or not len(self.events):
            raise NotGathered("there are no market events to run it on")
        latest = self.events[-STREAM_EVENTS[self.profile] :]
        return run_stream(self.version, self.instruments, self.limits, latest)

    @cached_property
    def history(self) -> EventBatch:
        """The events up to the last one whose row was trained on, and those that its label reads.

        Raises
        ------
        NotGathered
            There are no events.
        """
        if self.events is None or not len(self.events):
            raise NotGathered("there are no market events to train on")
        return self.events

    @cached_property
    def dataset(self) -> Dataset:
        """The rows and labels that the candidate was trained on, made again.

        Raises
        ------
        NotGathered
            The events do not give those rows.
        """
        lineage = self.candidate.lineage
        whole = build_dataset(self.version.program, self.candidate.label, self.history, self.instruments, self.number)
        found = whole.between(lineage.first_ts_ns, lineage.last_ts_ns)
        same = len(found) == lineage.trained_on_rows and np.array_equal(
            found.rows.mean(axis=0), self.version.profile.mean
        )
        if not same:
            raise NotGathered(
                f"these events give {len(found):,} rows of its training span, it was trained on "
                f"{lineage.trained_on_rows:,} others; give the history that it was trained on"
            )
        return found.grouped(reweighed_by(lineage), self.version.program, self.candidate.label, self.history)

    @property
    def reach(self) -> int:
        """How many rows share the moments of one label."""
        return self.candidate.label.reach

    @property
    def number(self) -> int:
        """The place in the desk's list of the instrument that is decided on."""
        return traded_instrument(self.instruments, self.training.instrument)

    @property
    def counts_money(self) -> bool:
        """Whether what trading its scores brings can be counted: what it foresees has a price, and costs are known."""
        return not self.candidate.label.is_reported and self.cost_bps is not None

    @cached_property
    def folds(self) -> list[Fold]:
        """The walk-forward folds of its training, over `dataset`."""
        return training_folds(self.dataset, self.candidate.label, self.training)

    @cached_property
    def fold_predictors(self) -> list[Predictor]:
        """The models of the walk-forward, fitted again: one a fold, each on that fold's training rows."""
        return list(self.fit(self.dataset.training(fold.train) for fold in self.folds))

    @cached_property
    def paper_walk(self) -> PaperWalk:
        """The walk-forward's scores traded on paper; see `walk_of`."""
        return self.walk_of(self.version, self.candidate)

    def walk_of(self, version: Version, candidate: Candidate) -> PaperWalk:
        """Trade the walk-forward's scores of a version on paper.

        Raises
        ------
        NotGathered
            Costs or events are not known, or what is foreseen has no price.
        """
        if candidate.label.is_reported:
            raise NotGathered(f"nothing is traded on {candidate.label}: an outcome has no price")
        if self.cost_bps is None:
            raise NotGathered("what trading costs is not known; set [paper] fees, spread and slippage")
        walk = paper_walk(
            candidate.walk.scores,
            candidate.walk.ts_event_ns,
            signal=version.manifest.signal,
            label=candidate.label,
            events=self.history,
            instruments=self.instruments,
            number=self.number,
            cost_bps=self.cost_bps,
        )
        if len(walk) < 2:
            raise NotGathered("these events do not reach over its walk-forward; give the history it was trained on")
        return walk

    @cached_property
    def trials(self) -> list[tuple[Version, Candidate]]:
        """The other trials in the registry: the latest version of each other strategy or set of parameters.

        Raises
        ------
        NotGathered
            A version of the registry cannot be read, so nobody can say how often was tried.
        """
        found: dict[Trial, Version] = {}
        for digest in self.registry.standing().registered:
            version = self._registered(digest)
            found[_trial(version.manifest.lineage)] = version
        found.pop(_trial(self.candidate.lineage), None)
        return [(version, self.registry.candidate(version.digest)) for version in found.values()]

    @cached_property
    def champion(self) -> tuple[Version, Candidate] | None:
        """The version that acts now, and how it was trained; None where there is none, or it is this one.

        Raises
        ------
        NotGathered
            It cannot be read.
        """
        digest = self.registry.standing().champion
        if digest is None or digest == self.version.digest:
            return None
        return self._registered(digest), self.registry.candidate(digest)

    def _registered(self, digest: str) -> Version:
        try:
            return self.registry.load(digest)
        except BundleRefused as refusal:
            raise NotGathered(f"version {digest[:12]} of the registry cannot be read: {refusal}") from refusal

    def fit(self, trainings: Iterable[Training]) -> Iterator[Predictor]:
        """Fit the strategy's model on each of several trainings, lazily and in order.

        Raises
        ------
        NotGathered
            No strategy is at hand.
        """
        if self.refits is None:
            raise NotGathered("it needs the model to be fitted again, and no strategy file is at hand")
        return self.refits.fits(trainings)


Trial = tuple[str, tuple[tuple[str, str], ...]]


def _trial(lineage: Lineage) -> Trial:
    """Return what makes a version a trial of its own: its strategy and parameters, not the data it learned from."""
    return lineage.code_version, tuple(sorted(lineage.parameters.items()))


STREAM_EVENTS: dict[ProfileName, int] = {"quick": 6_000, "full": 30_000}
"""How many of the latest events are decided on one by one."""


class Work:
    """One gatherer's progress and budget.

    Parameters
    ----------
    title : str
        What it does.
    budget_s : float
        Processor time that it may take.
    timer : Timer
        Counts it.
    report : Report
        Told the title and the share done of this gatherer.
    """

    def __init__(self, title: str, budget_s: float, *, timer: Timer, report: Report) -> None:
        self._title, self._budget_s, self._timer, self._report = title, budget_s, timer, report
        self._begun_ns = timer()
        self.tell(0.0)

    @property
    def spent_s(self) -> float:
        """Processor time taken so far."""
        return (self._timer() - self._begun_ns) / NS_PER_S

    @property
    def left_s(self) -> float:
        """What is left of the budget; negative where it was overdrawn."""
        return self._budget_s - self.spent_s

    def tell(self, done: float) -> None:
        """Say what share of the work is done, 0 to 1."""
        self._report(self._title, done)


class Gatherer(NamedTuple):
    """One entry of the list of gatherers.

    Attributes
    ----------
    kind : type of Part
        What it gathers.
    gather : callable
        From a context and its work to the part; raises `NotGathered` with the reason why not.
    title : str
        What it does, for the progress bar.
    budget_s : float
        Processor time it may take in the full profile.
    quick : bool
        Whether the quick profile gathers it too.
    """

    kind: type[Part]
    gather: Callable[[Context, Work], Part]
    title: str
    budget_s: float
    quick: bool = True
