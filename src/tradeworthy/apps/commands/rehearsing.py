"""A rehearsal of coming back: what an engine does after a kill, done on the record beside everything live.

Idea:   whoever comes back restores a checkpoint, obeys the tape from there, and must stand where the desk stood. So
        that is done, timed, and every decision made again compared with its record. Whatever else a start needs is
        looked at too: record, ledger, signatures, and whether block and facts name the same versions.
State:  none; the live desk, its tape and its control block are only read. What was shown is a fact.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tradeworthy.apps.commands.verifying import verify_project
from tradeworthy.apps.deployment.keeping import recorded
from tradeworthy.core.decisions import SHORT, version_name, version_number
from tradeworthy.core.errors import TradeworthyError
from tradeworthy.core.facts import RecoveryRehearsed
from tradeworthy.core.time import NS_PER_S
from tradeworthy.live.playback import inputs_after
from tradeworthy.live.replay import ReplayReport, replay
from tradeworthy.record.checkpoint import checkpoint_paths
from tradeworthy.record.reader import TapeReader

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

NOWHERE = ReplayReport(
    inputs=0, decisions=0, rows=0, orders=0, differences=0, first_difference=None, fingerprint_same=False
)
"""Of a desk that could not be brought up at all."""


class Rehearsed(msgspec.Struct, frozen=True, kw_only=True):
    """What coming back was like.

    Attributes
    ----------
    began_after, through_sequence : int
        The checkpoint that the desk was restored from, and the last record it came to.
    inputs, decisions, orders : int
        Consumed and made again on the way.
    differences : int
        Records that came out otherwise than recorded.
    seconds : float
        From opening the record to standing there.
    problems : list of str
        What would have kept an engine from starting, or from being believed.
    """

    began_after: int
    through_sequence: int
    inputs: int
    decisions: int
    orders: int
    differences: int
    seconds: float
    problems: list[str]

    @property
    def ok(self) -> bool:
        """Whether the desk came back as it was."""
        return not self.differences and not self.problems


def rehearse_recovery(project: "Project", *, actor: str, reason: str) -> Rehearsed:
    """Come back from a checkpoint, compare, and keep what was shown as a fact.

    Parameters
    ----------
    project : Project
    actor, reason : str
        Recorded.

    Raises
    ------
    NotFound
        Nothing was recorded.
    """
    reader = recorded(project)
    began_ns = project.clock.monotonic_ns()
    report, through, problems = _come_back(project, reader)
    seconds = (project.clock.monotonic_ns() - began_ns) / NS_PER_S
    result = Rehearsed(
        began_after=report.began_after,
        through_sequence=through,
        inputs=report.inputs,
        decisions=report.decisions,
        orders=report.orders,
        differences=report.differences,
        seconds=seconds,
        problems=[*problems, *verify_project(project).problems, *_apart(project)],
    )
    fact = RecoveryRehearsed(
        through_sequence=result.through_sequence,
        began_after=result.began_after,
        inputs=result.inputs,
        decisions=result.decisions,
        seconds=result.seconds,
        passed=result.ok,
        problems=result.problems,
    )
    project.ledger.append(fact, actor=actor, reason=reason)
    return result


def _come_back(project: "Project", reader: TapeReader) -> tuple[ReplayReport, int, list[str]]:
    """Restore and consume up to the last record; a desk that cannot is a result, too."""
    try:
        through = reader.last_sequence()
        report = replay(reader.folder, project.registry.load, after=last_crossed(reader.folder))
    except TradeworthyError as error:
        return NOWHERE, 0, [f"it could not come back: {type(error).__name__}: {error}"]
    said = report.first_difference
    return report, through, [] if said is None else [f"it came back otherwise: {said}"]


def last_crossed(folder: Path) -> int | None:
    """Return the newest checkpoint that has inputs after it: one from before the end, as a kill leaves it."""
    reader = TapeReader(folder)
    found = [int(path.stem) for path in checkpoint_paths(folder)]
    return next((sequence for sequence in reversed(found) if len(inputs_after(reader, sequence))), None)


def _apart(project: "Project") -> list[str]:
    """Say where control block and facts name other versions; an engine that starts would follow the facts."""
    standing, view = project.registry.standing(), project.control.view()
    if standing.champion is None or view.champion == version_number(standing.champion):
        return []
    named = version_name(view.champion) if view.champion else "no version"
    facts = f"the facts {standing.champion[:SHORT]}; start the desk to repair it"
    return [f"the control block names {named} champion, {facts}"]
