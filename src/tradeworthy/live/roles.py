"""Who sees events on a desk, in which role, and who acts on which instrument.

Idea:   one champion decides and sends; the champion before it stays warm; shadows score and never act. While a canary
        acts on a part of the instruments, the champion before it acts on all others. Whoever acts has the role of a
        champion for as long as its turn lasts, so each event is decided by exactly one version, which its record names.
State:  the versions, the part, the share of full size and the rule by which they act, and what is halted.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import Role, Rule
from tradeworthy.core.errors import NotFound
from tradeworthy.core.events import Word
from tradeworthy.live.control import Part, Scope
from tradeworthy.live.path import STANDBY
from tradeworthy.live.pipeline import Pipeline, Run

Bools = npt.NDArray[np.bool_]


class Roles:
    """The versions of a desk.

    Parameters
    ----------
    instruments : int
        How many the desk has.

    Attributes
    ----------
    champion, previous : Pipeline or None
        The one whom a roll back takes out, and the one whom it puts back.
    shadows : dict of int to Pipeline
        By version number.
    part : Part
        On which instruments a version acts alone, once it is champion.
    size : float
        The share of full size that whoever acts takes.
    rule : Rule
        What decides in its place.
    scopes : set of Scope
        What is halted.
    """

    def __init__(self, instruments: int) -> None:
        self.champion: Pipeline | None = None
        self.previous: Pipeline | None = None
        self.shadows: dict[int, Pipeline] = {}
        self.scopes: set[Scope] = set()
        self.size, self.rule = 1.0, Rule.NONE
        self.part = Part()
        self._count = instruments
        self._turn: Pipeline | None = None
        self._of_canary: Bools | None = None

    # -- who is there --------------------------------------------------------------------------------------------

    @property
    def acting(self) -> Pipeline:
        """The version whose turn it is; the champion's, where no canary acts on a part of the instruments."""
        if self._turn is None:
            raise NotFound("the desk has no champion; promote a version first")
        return self._turn

    @property
    def leading(self) -> Pipeline:
        """The version that acts on all instruments, or on all but a canary's."""
        return self.previous if self.is_shared and self.previous is not None else self._champion()

    @property
    def is_shared(self) -> bool:
        """Whether a canary acts on a part of the instruments, and the champion before it on the others."""
        return self._of_canary is not None

    def actors(self) -> tuple[Pipeline, ...]:
        """Return who acts on some instrument."""
        both = (self.champion, self.previous if self.is_shared else None)
        return tuple(each for each in both if each is not None)

    def acts_on(self, number: int) -> Bools:
        """Return (instruments,) on which a version, by number, acts."""
        own = np.full(self._count, self.champion is not None and self.champion.number == number)
        if self._of_canary is None:
            return own
        before = self.previous is not None and self.previous.number == number
        return np.where(self._of_canary[:-1], own, before)

    def pipelines(self) -> Iterator[Pipeline]:
        """Yield every version that sees events, the one whose turn it is first."""
        if self._turn is not None:
            yield self._turn
        yield from self._others()

    def find(self, number: int) -> Pipeline | None:
        """Return the pipeline of a version that is warm here."""
        return next((pipeline for pipeline in self.pipelines() if pipeline.number == number), None)

    def _champion(self) -> Pipeline:
        if self.champion is None:
            raise NotFound("the desk has no champion; promote a version first")
        return self.champion

    def _others(self) -> Iterator[Pipeline]:
        """Yield everybody whose turn it is not."""
        waiting = self.champion if self._turn is self.previous else self.previous
        if waiting is not None:
            yield waiting
        yield from self.shadows.values()

    # -- roles ---------------------------------------------------------------------------------------------------

    def hear_role(self, control: np.void, find: Callable[[np.void], Pipeline]) -> bool:
        """Take in a control event that says who acts, where and how, and tell whether it was such an event.

        Parameters
        ----------
        control, find
            As of `desk.Desk.apply`.
        """
        number, value = int(control["reference"]), float(control["values"][1])
        match int(control["values"][0]):
            case Word.CHAMPION:
                self.crown(find(control))
            case Word.SHADOW_ADDED:
                self.add_shadow(find(control))
            case Word.SHADOW_REMOVED:
                self.remove_shadow(number)
            case Word.CANARY:
                self.name_part(number, value)
            case Word.SIZE:
                self.act_at(value, self.rule)
            case Word.RULE:
                self.act_at(self.size, Rule(int(value)))
            case _:
                return False
        return True

    def crown(self, pipeline: Pipeline) -> None:
        """Make a pipeline the champion; the present one stays warm as the previous."""
        old = self.champion
        if old is pipeline:
            return
        self.shadows.pop(pipeline.number, None)
        self.champion, self.previous = pipeline, old
        self._heed_halt(pipeline)
        self._share_out()

    def add_shadow(self, pipeline: Pipeline) -> None:
        """Let a pipeline score from now on, beginning with the positions that the desk has."""
        if pipeline is self.champion:
            return
        if pipeline is self.previous:
            self.previous = None
            self._share_out()
        pipeline.role, pipeline.size, pipeline.rule = Role.SHADOW, 1.0, Rule.NONE
        self._heed_halt(pipeline)
        pipeline.imagine(pipeline.desk.positions["quantity"])
        self.shadows[pipeline.number] = pipeline

    def remove_shadow(self, number: int) -> None:
        """Let a shadow go."""
        self.shadows.pop(number, None)

    def name_part(self, number: int, instrument: float) -> None:
        """Let a version, by number, act on one more instrument alone; NaN begins with none, and no version with all."""
        named = frozenset[int]() if np.isnan(instrument) else self.part.instruments | {int(instrument)}
        self.part = Part(number, named)
        self._share_out()

    def act_at(self, share: float, rule: Rule) -> None:
        """Let whoever acts take this share of full size, or a rule decide; a shadow imagines all of itself."""
        self.size, self.rule = share, rule
        for pipeline in (self.champion, self.previous):
            if pipeline is not None:
                pipeline.size, pipeline.rule = share, rule

    def halt_version(self, number: int, *, halt: bool) -> None:
        """Refuse all orders of a version, or no more."""
        for pipeline in self.pipelines():
            if pipeline.number == number:
                pipeline.halted = halt

    def _heed_halt(self, pipeline: Pipeline) -> None:
        """Let a halt count that came while a version was being staged."""
        pipeline.halted = Scope.version(pipeline.number) in self.scopes

    def _share_out(self) -> None:
        """Give the champion its turn, and settle whether it acts on a part alone; with nobody before, nobody else."""
        champion, self._of_canary = self.champion, None
        if champion is not None and self.previous is not None and self.part.version == champion.number:
            chosen = np.zeros(self._count + 1, np.bool_)  # the last one stands for instruments that nobody knows
            chosen[[number for number in self.part.instruments if number < self._count]] = True
            self._of_canary = chosen
        if champion is not None:
            self._give_turn(champion)
        self.act_at(self.size, self.rule)

    def _give_turn(self, pipeline: Pipeline) -> None:
        for each in (self.champion, self.previous):
            if each is not None:
                each.role = Role.CHAMPION if each is pipeline else STANDBY
        self._turn = pipeline

    def restore_roles(self, champion: Pipeline | None, previous: Pipeline | None, shadows: list[Pipeline]) -> None:
        """Put back versions that have their states, with the part, size and rule that are set here."""
        self.champion, self.previous = champion, previous
        self.shadows = {pipeline.number: pipeline for pipeline in shadows}
        self._share_out()

    # -- turns ---------------------------------------------------------------------------------------------------

    def take_turn(self, instruments: npt.NDArray[np.uint32]) -> int:
        """Let that version act who acts on the first of these events' instruments.

        Parameters
        ----------
        instruments : (n,) uint32
            Of the events to come.

        Returns
        -------
        int
            How many of them it decides before somebody else's turn comes.
        """
        champion, previous = self.champion, self.previous
        if self._of_canary is None or champion is None or previous is None:
            return len(instruments)
        mine = self._of_canary[np.minimum(instruments, self._count)]
        actor = champion if mine[0] else previous
        if actor is not self._turn:
            self._give_turn(actor)
        other = np.flatnonzero(mine != mine[0])
        return int(other[0]) if other.size else len(mine)

    @property
    def has_followers(self) -> bool:
        """Whether anybody but whoever acts sees events."""
        return self.previous is not None or bool(self.shadows)

    def follow(self, start: int, stop: int) -> Iterator[tuple[Pipeline, Run]]:
        """Let everybody else take the events that have been decided; yield what shadows wrote."""
        for pipeline in self._others():
            run = pipeline.run(start, stop)
            if pipeline.role == Role.SHADOW:
                yield pipeline, run
