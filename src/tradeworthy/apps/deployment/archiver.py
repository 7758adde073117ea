"""The archiver process: archives, deletes and watches the disk budget again and again while a desk runs.

Idea:   what `tradeworthy archive` does, by itself, every ``[archive] every_s``: the engine's time and memory are not
        touched, and only sealed segments are.
State:  none; killed at any moment, the next one goes on (`record.archive`).
"""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tradeworthy.apps.deployment.rounds import in_rounds, run_rounds
from tradeworthy.core.time import Stop

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

ACTOR = "archiver"
REASON = "[archive] every_s of tradeworthy.toml"


def archive_on(project: "Project", every_s: float, stop: Stop, *, parent: int | None = None) -> int:
    """Archive every `every_s` seconds, see `rounds.in_rounds`; return how many segments went."""
    segments = 0

    def work() -> Iterable[str]:
        nonlocal segments
        done = project.archive(actor=ACTOR, reason=REASON)
        segments += done.segments
        return done.problems

    in_rounds(work, every_s, stop, parent=parent)
    return segments


def _as_set(project: "Project", stop: Stop, parent: int) -> None:
    if project.settings.archive.every_s is not None:
        archive_on(project, project.settings.archive.every_s, stop, parent=parent)


if __name__ == "__main__":
    sys.exit(run_rounds(sys.argv[1:], _as_set))
