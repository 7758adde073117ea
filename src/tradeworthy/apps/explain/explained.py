"""What explaining answers: immutable values, printed in words, as JSON, or drawn on a page.

Units:  contributions in margin units (log-odds of a classifier); times as ISO 8601 UTC text.
"""

import math

import msgspec

from tradeworthy.apps.explain.checking import Checked
from tradeworthy.judge.explain.catalogue import ReasonCodes
from tradeworthy.judge.explain.comparing import Difference
from tradeworthy.judge.explain.counterfactual import Counterfactual
from tradeworthy.judge.explain.refusals import Refusal
from tradeworthy.judge.explain.sides import Place


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """What one feature added to a score.

    Attributes
    ----------
    rank : float
        Share of training rows whose value lies below, 0 to 1.
    error : float
        Standard error of the contribution; 0 where the method is exact.
    kept : bool
        Whether it pushed towards the side that was decided.
    decides : bool
        Whether without this contribution alone the score would be past the threshold.
    """

    feature: str
    value: float
    contribution: float
    sentence: str
    rank: float = math.nan
    error: float = 0.0
    kept: bool = False
    decides: bool = False


class Neighbour(msgspec.Struct, frozen=True, kw_only=True):
    """An earlier decision of the same version on much the same values; the distance is in widths of features."""

    decision: int
    time: str
    instrument: str
    distance: float
    score: float
    target: float


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """Why a decision was made: `baseline` plus `prior` and all contributions is `margin`, up to `sum_error`.

    Attributes
    ----------
    prior : float
        What the version's prior correction adds to every score; 0 without one.
    said : str
        The decision and its main reasons in words.
    headline : str
        Its first sentences: what was decided, and on which side of which threshold the score stood.
    identical : bool
        Whether the version, loaded now, gives the recorded score to the last bit.
    rule : str
        Which rule decided in the version's place; empty where the version did. Under one the score decided nothing: no
        reason kept the decision, and no change of a feature would have flipped it.
    place : Place or None
        Where the score stands among the thresholds; None where nothing was scored, or a rule decided.
    refusal : Refusal or None
        Why the order, the row or the event was refused.
    codes : ReasonCodes or None
        The principal reasons against, by the project's catalogue.
    counterfactual : Counterfactual or None
        The smallest change that would have flipped the decision.
    nearest : list of Neighbour
        Past decisions on the most similar values, among the `past.LOOKED_BACK` records of the tape before this one.
    checks : list of Checked
        Of its order, in the order in which they are asked; empty where no order was wanted.
    checks_untold : str
        Why numbers of them are missing; empty where none are.
    """

    decision: int
    version: str
    instrument: str
    time: str
    said: str
    headline: str
    score: float
    margin: float
    baseline: float
    sum_error: float
    method: str
    reasons: list[Reason]
    identical: bool
    prior: float = 0.0
    rule: str = ""
    place: Place | None = None
    refusal: Refusal | None = None
    codes: ReasonCodes | None = None
    counterfactual: Counterfactual | None = None
    nearest: list[Neighbour] = []
    checks: list[Checked] = []
    checks_untold: str = ""


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """Why two scores differ: of two events under one version, or of one event under two versions."""

    said: str
    instrument: str
    before: str
    after: str
    score_before: float
    score_after: float
    difference: Difference


class InBulk(msgspec.Struct, frozen=True, kw_only=True):
    """What a file of explanations holds.

    Attributes
    ----------
    sum_error_max : float
        How far contributions are from adding up, at most.
    different : int
        Scores that did not come out as recorded.
    """

    path: str
    decisions: int
    without_score: int
    versions: int
    sum_error_max: float
    different: int
    seconds: float


class Catalogued(msgspec.Struct, frozen=True, kw_only=True):
    """A reason catalogue: where it is, how many features have a code, and which have none."""

    path: str
    version: str
    reasons: int
    missing: list[str]
    next: str
