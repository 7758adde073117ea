"""Recorded inputs through the path again: a whole stretch in three steps, the venue's answers included.

Idea:   live, an order ends a run, because nobody knows what the venue will answer. On the tape the answers stand where
        the engine heard them, and every input bears its verdict. So the rows of a stretch can be made first, scored
        all at once, and then decided in order: events admitted, answers settled, orders named as recorded.
Bits:   the kernels are those of `path`, and a predictor's batch has the bits of its single row. A verdict that comes
        out otherwise than recorded is written over the recorded one, where the caller finds it.
State:  as after the live run: the desk's, the stage's and, for a shadow, its imagined positions.
"""

import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import Role
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.events import Kind
from tradeworthy.core.kernel import kernel
from tradeworthy.live.answers import settle
from tradeworthy.live.inbox import Words, flags_of, kind_of
from tradeworthy.live.path import NOT_ASKED, ROW_HEADER, Circuit, decide, has_row, perceive, take_in

Records = npt.NDArray[np.void]

_CHAMPION = int(Role.CHAMPION)
_FILL, _REJECT = int(Kind.FILL), int(Kind.REJECT)
_UNKNOWN_KIND = int(DenialCode.INPUT_UNKNOWN_KIND)


@kernel
def is_answer(words: Words, place: int) -> bool:
    """Tell whether a recorded input is a venue's answer; a fill that came from a feed is of no known kind."""
    kind = kind_of(words, place)
    return kind in (_FILL, _REJECT) and flags_of(words, place) != _UNKNOWN_KIND


@kernel
def recall_rows(c: Circuit, count: int, verdicts: Words) -> int:
    """Make the rows of the inbox's first `count` inputs, believing what is recorded of their admission.

    Returns
    -------
    int
        How many rows; `verdicts` (count,) holds what `perceive` said of each input.
    """
    features, rows = c.stage.facts[0]["features"], 0
    for place in range(count):
        row = c.rows[rows][ROW_HEADER : ROW_HEADER + features]
        verdicts[place] = perceive(c, place, flags_of(c.words, place), row)
        if has_row(verdicts[place]):
            rows += 1
    return rows


@kernel
def decide_again(c: Circuit, count: int, verdicts: Words, names: Words, orders: Records) -> tuple[int, int]:
    """Decide on the inbox's first `count` inputs, their rows made and scored.

    Parameters
    ----------
    verdicts : (count,) int64
        From `recall_rows`.
    names : (count,) int64
        The recorded sequence of the decision on each input: the name of its order.
    orders : (room,) ORDER
        Filled with what was sent.

    Returns
    -------
    decisions, orders : int
        How many.
    """
    acts, score_at = c.stage.facts[0]["role"] == _CHAMPION, ROW_HEADER + c.stage.facts[0]["features"]
    decisions, rows, sent = 0, 0, 0
    for place in range(count):
        if acts and is_answer(c.words, place):
            settle(c.desk, c.words, c.numbers, place)
            continue
        if acts:
            take_in(c, place)
        verdict, score = verdicts[place], np.nan
        if has_row(verdict):
            score = c.rows[rows][score_at]
            c.row_decisions[rows] = decisions
            rows += 1
        if verdict == NOT_ASKED:
            continue
        if decide(c, decisions, place, verdict, score):
            c.desk.orders[c.desk.account[0]["open_orders"] - 1]["order"] = names[place]
            orders[sent] = c.order[0]
            orders[sent]["decision"] = names[place]
            sent += 1
        decisions += 1
    return decisions, sent
