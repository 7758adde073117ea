"""What the desk did last, and why, in two sentences: cheap enough to be told at every look.

Idea:   the record has the score and the version its thresholds; which side of which threshold the score was on is all
        the words that fit. The contributions behind it are the decision's own page.
State:  the version of the last decision asked about; it is loaded once.
"""

import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from tradeworthy.apps.explain.explaining import headline_of
from tradeworthy.core.decisions import RULED, threshold_number
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import TradeworthyError
from tradeworthy.judge.explain.margins import margin_of
from tradeworthy.judge.explain.sides import Place, place_of

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project
    from tradeworthy.model.version import Version

FIRST_ORDER_CODE = DenialCode.HALTED
"""Refusals from here on are of an order; before it, of an event or of features."""


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """The last decision that came to an order, sent or refused: which, and in words what and why."""

    decision: int
    said: str


class Acts:
    """Says what decisions came to.

    Parameters
    ----------
    project : Project
        Its registry has the versions.
    """

    def __init__(self, project: "Project") -> None:
        self._project = project
        self._version: tuple[int, Version] | None = None
        self._said: Act | None = None

    def said(self, decision: np.void, symbol: str) -> Act:
        """Say what one decision came to, and on which side of which threshold its score was."""
        sequence = int(decision["sequence"])
        if self._said is None or self._said.decision != sequence:
            place, more = None, ""
            try:
                place = self._place(decision)
            except TradeworthyError as error:  # the stop stands on this page: a bundle that is gone takes nothing away
                more = f" Its threshold is not known: {error}."
            if decision["flags"] & RULED:
                place, more = None, " A rule decided it, in the champion's place."
            self._said = Act(decision=sequence, said=f"{headline_of(decision, symbol, place)}{more}")
        return self._said

    def _place(self, decision: np.void) -> Place | None:
        """Return where its score stands among its version's thresholds; None where there is no score."""
        score, held = float(decision["score"]), float(decision["position"])
        if not math.isfinite(score):
            return None
        number = int(decision["version"])
        if self._version is None or self._version[0] != number:
            self._version = number, self._project.registry.load(number)
        version = self._version[1]
        signal = version.manifest.signal_of(threshold_number(decision["flags"]))
        margin = margin_of(version.predictor, score)
        return place_of(version.predictor, signal, score=score, margin=margin, held=held)
