"""Which past decisions of a version were made on values like these.

Idea:   rows are read no further back than `LOOKED_BACK`, a part at a time, and only those that are nearest so far are
        kept. So a desk with years of record answers as soon as one with a week.
Units:  distances in widths of the middle 90% of training, a mean over features.
"""

from typing import TYPE_CHECKING

import numpy as np

from tradeworthy.apps.explain.explained import Neighbour
from tradeworthy.core.decisions import DECISIONS, rows_stream
from tradeworthy.core.time import iso
from tradeworthy.judge.explain.comparing import nearest_rows
from tradeworthy.model.version import Version
from tradeworthy.record.reader import TapeReader

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

LOOKED_BACK = 2_000_000
"""Records of the tape before the decision among which those like it are looked for: some 600,000 decisions."""
AMONG = f"among the {LOOKED_BACK:,} records before it"

NEIGHBOURS, PART = 5, 16_384


def nearest_past(project: "Project", reader: TapeReader, version: Version, own: np.void) -> list[Neighbour]:
    """Return the earlier decisions of a version on the most similar values, the nearest first.

    Parameters
    ----------
    own : row record
        What the decision itself was made on.
    """
    upto = int(own["sequence"]) - 1
    decisions, far = np.empty(0, np.uint64), np.empty(0)
    for rows in reader.scan(rows_stream(version.number), max(0, upto - LOOKED_BACK), upto):
        for part in (rows[first : first + PART] for first in range(0, rows.size, PART)):
            places, away = nearest_rows(version.profile, own["row"], part["row"], NEIGHBOURS)
            decisions, far = np.append(decisions, part["decision"][places]), np.append(far, away)
            kept = np.argsort(far, kind="stable")[:NEIGHBOURS]
            decisions, far = decisions[kept], far[kept]
    return [_neighbour(project, reader, *each) for each in zip(decisions.tolist(), far.tolist(), strict=True)]


def _neighbour(project: "Project", reader: TapeReader, sequence: int, distance: float) -> Neighbour:
    made = reader.find(DECISIONS, sequence)
    return Neighbour(
        decision=sequence,
        time=iso(int(made["ts_event_ns"])),
        instrument=project.settings.instrument[int(made["instrument"])].symbol,
        distance=distance,
        score=float(made["score"]),
        target=float(made["target"]),
    )
