"""The archiver process: archives, deletes and watches the disk budget again and again while a desk runs.

Idea:   what `tradeworthy archive` does, by itself, every ``[archive] every_s``: the engine's time and memory are not
        touched, and only sealed segments are.
State:  none; killed at any moment, the next one goes on (`record.archive`).
"""

import sys
from typing import TYPE_CHECKING

from tradeworthy.apps.deployment.rounds import Round, run_rounds

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

ACTOR = "archiver"
REASON = "[archive] every_s of tradeworthy.toml"


def archive_once(project: "Project") -> Round:
    """Archive what is due; done are segments."""
    done = project.archive(actor=ACTOR, reason=REASON)
    return Round(done.segments, done.problems)


if __name__ == "__main__":
    sys.exit(run_rounds(sys.argv[1:], archive_once, lambda settings: settings.archive.every_s))
