"""The surveyor process: looks at the desk's own orders again and again while a desk runs.

Idea:   what `tradeworthy surveil` does, by itself, every ``[surveillance] every_s``. What is new becomes a finding,
        which the watcher's alerts tell; where nothing was recorded since the last look, there is none.
State:  none but the ledger's facts of looks; killed at any moment, the next one goes on.
"""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tradeworthy.apps.commands.surveilling import looked_up_to
from tradeworthy.apps.deployment.keeping import recorded
from tradeworthy.apps.deployment.rounds import in_rounds, run_rounds
from tradeworthy.core.time import Stop
from tradeworthy.live.staging import INPUTS

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

ACTOR = "surveyor"
REASON = "[surveillance] every_s of tradeworthy.toml"


def surveil_on(project: "Project", every_s: float, stop: Stop, *, parent: int | None = None) -> int:
    """Look every `every_s` seconds, see `rounds.in_rounds`; return how many looks there were."""
    looks = 0

    def work() -> Iterable[str]:
        nonlocal looks
        after = looked_up_to(project)
        if not any(len(part) for part in recorded(project).scan(INPUTS, after)):
            return []
        looks += 1
        result = project.surveil(actor=ACTOR, reason=REASON)
        return [alert.sentence() for alert in result.alerts]

    in_rounds(work, every_s, stop, parent=parent)
    return looks


def _as_set(project: "Project", stop: Stop, parent: int) -> None:
    if project.settings.surveillance.every_s is not None:
        surveil_on(project, project.settings.surveillance.every_s, stop, parent=parent)


if __name__ == "__main__":
    sys.exit(run_rounds(sys.argv[1:], _as_set))
