"""The surveyor process: looks at the desk's own orders again and again while a desk runs.

Idea:   what `tradeworthy surveil` does, by itself, every ``[surveillance] every_s``. What is new becomes a finding,
        which the watcher's alerts tell; where nothing was recorded since the last look, there is none.
State:  none but the ledger's facts of looks; killed at any moment, the next one goes on.
"""

import sys
from typing import TYPE_CHECKING

from tradeworthy.apps.commands.surveilling import looked_up_to
from tradeworthy.apps.deployment.keeping import recorded
from tradeworthy.apps.deployment.rounds import Round, run_rounds
from tradeworthy.core.decisions import INPUTS

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

ACTOR = "surveyor"
REASON = "[surveillance] every_s of tradeworthy.toml"


def surveil_once(project: "Project") -> Round:
    """Look, where something was recorded since the last look; done are looks."""
    if not any(len(part) for part in recorded(project).scan(INPUTS, looked_up_to(project))):
        return Round(0)
    result = project.surveil(actor=ACTOR, reason=REASON)
    return Round(1, [alert.sentence() for alert in result.alerts])


if __name__ == "__main__":
    sys.exit(run_rounds(sys.argv[1:], surveil_once, lambda settings: settings.surveillance.every_s))
