"""Why something was refused: which check, what it observed, what is allowed, what would have passed.

Idea:   the decision on the tape carries the code, the observed value and the limit; what the numbers mean and what
        would have passed follows from the code alone. Every code has an entry here, and a test holds that.
"""

import math
from typing import NamedTuple

import msgspec

from tradeworthy.core.denials import DenialCode


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why something was refused.

    Attributes
    ----------
    code, text : str
        The check's code, and what it says.
    observed, limit : float or None
        What was observed and what is allowed; None where the check compares no numbers.
    unit : str
        Of both.
    passing : str
        What would have passed.
    """

    code: str
    text: str
    observed: float | None
    limit: float | None
    unit: str
    passing: str

    @property
    def sentence(self) -> str:
        """All of it in words."""
        seen = "" if self.observed is None else f" (observed {self.observed:,.6g} {self.unit}"
        allowed = ")" if self.limit is None else f", allowed {self.limit:,.6g})"
        return f"{self.text}{seen + allowed if seen else ''}. {self.passing}"


class _Rule(NamedTuple):
    """A code's unit, and what would have passed; ``{limit}`` is the limit."""

    unit: str
    passing: str


_RULES = {
    DenialCode.INPUT_NOT_FINITE: _Rule("", "An event whose values are all numbers passes."),
    DenialCode.INPUT_NOT_POSITIVE: _Rule("", "An event with prices above zero and sizes not below it passes."),
    DenialCode.INPUT_INCONSISTENT: _Rule("", "A bar whose high and low enclose its open and close passes."),
    DenialCode.INPUT_CROSSED: _Rule("", "A quote whose bid is not above its ask passes."),
    DenialCode.INPUT_OUT_OF_ORDER: _Rule("ns", "An event that happened at or after {limit} passes."),
    DenialCode.INPUT_DUPLICATE: _Rule("", "Its first copy was consumed; nothing is lost."),
    DenialCode.INPUT_JUMP: _Rule("bps", "A price within {limit} bps of the one before passes; so does the next event."),
    DenialCode.INPUT_UNKNOWN_INSTRUMENT: _Rule("", "An instrument that the desk declares passes."),
    DenialCode.INPUT_STALE: _Rule("ms", "An event seen within {limit} ms of its happening passes."),
    DenialCode.INPUT_UNKNOWN_KIND: _Rule("", "Events of the market's kinds pass."),
    DenialCode.INPUT_UNSORTED: _Rule("", "A book whose levels lead away from its best prices without a hole passes."),
    DenialCode.INPUT_NOT_AN_ANSWER: _Rule("", "Fills and rejects pass."),
    DenialCode.FEATURES_WARMING: _Rule("", "It passes by itself when the longest window is full."),
    DenialCode.FEATURES_NOT_FINITE: _Rule("", "A row whose features are all numbers passes."),
    DenialCode.FEATURES_OUT_OF_RANGE: _Rule("", "A row inside the range seen in training passes."),
    DenialCode.SCORE_NOT_FINITE: _Rule("", "A score that is a number passes."),
    DenialCode.HALTED: _Rule("", "It passes after somebody resumes trading in that scope."),
    DenialCode.LIMIT_MISSING: _Rule("", "It passes once the limit is set; a missing limit always refuses."),
    DenialCode.REFERENCE_MISSING: _Rule("", "It passes once a usable price was seen."),
    DenialCode.PRICE_COLLAR: _Rule("bps", "An order priced within {limit} bps of the reference passes."),
    DenialCode.ORDER_VALUE: _Rule("currency", "An order worth at most {limit} passes."),
    DenialCode.ORDER_QUANTITY: _Rule("units", "An order of at most {limit} passes."),
    DenialCode.MESSAGE_RATE: _Rule("messages", "It passes when fewer than {limit} were sent in a minute."),
    DenialCode.REPEATED_EXECUTION: _Rule("orders", "It passes after a person re-enables the strategy."),
    DenialCode.DUPLICATE_ORDER: _Rule("ms", "The same order passes {limit} ms after the one before."),
    DenialCode.POSITION_QUANTITY: _Rule("units", "An order that leaves at most {limit} passes; so does a reduction."),
    DenialCode.POSITION_VALUE: _Rule("currency", "An order that leaves at most {limit} passes; so does a reduction."),
    DenialCode.DRAWDOWN: _Rule(
        "currency", "An order that only reduces the position passes; or a loss of at most {limit}."
    ),
    DenialCode.MARKET_STALE: _Rule("ms", "It passes on a price at most {limit} ms old."),
}


def explain_refusal(code: DenialCode, observed: float, limit: float) -> Refusal | None:
    """Say why something was refused; None where nothing was.

    Parameters
    ----------
    code : DenialCode
        The verdict.
    observed, limit : float
        Of the check; NaN where it compares no numbers.
    """
    if code == DenialCode.NONE:
        return None
    rule = _RULES[code]
    shown = "the limit" if math.isnan(limit) else f"{limit:,.6g}"
    return Refusal(
        code=code.name,
        text=code.text[:1].upper() + code.text[1:],
        observed=None if math.isnan(observed) else observed,
        limit=None if math.isnan(limit) else limit,
        unit=rule.unit,
        passing=rule.passing.format(limit=shown),
    )
