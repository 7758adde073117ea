"""Which rule decided in a version's place, and what that means: read from the record before the decision.

Idea:   a decision says that a rule made it (a flag); which one is the last control event that set a rule before it, or
        what the checkpoint before it holds. Then the version's score decided nothing, and no reason of it does.
Undefined: where retention deleted what said it, it is some rule.
"""

import math

import numpy as np

from tradeworthy.core.decisions import RULED, Rule
from tradeworthy.core.errors import NotFound
from tradeworthy.core.events import Kind, Word
from tradeworthy.record.reader import TapeReader

SOME = "a rule that the record no longer names"


def is_ruled(decision: np.void) -> bool:
    """Tell whether a rule made a decision in its version's place."""
    return bool(int(decision["flags"]) & RULED)


def rule_of(reader: TapeReader, decision: np.void) -> str:
    """Return the name of the rule that made a decision, in small letters; empty where the version made it."""
    if not is_ruled(decision):
        return ""
    upto = int(decision["input_sequence"])
    found = reader.checkpoint(upto)
    after, rule = (0, Rule.NONE) if found is None else (found[0], Rule(int(found[1]["size"][1])))
    try:
        for part in reader.scan("inputs", after, upto - 1):
            told = part[(part["kind"] == Kind.CONTROL) & (part["values"][:, 0] == Word.RULE) & (part["flags"] == 0)]
            rule = Rule(int(told["values"][-1, 1])) if told.size else rule
    except NotFound:
        return SOME
    return SOME if rule == Rule.NONE else rule.name.lower()


def rule_sentence(rule: str, base_rate: float, score: float) -> str:
    """Say that a rule decided, what it wants, and that the version's own score did not count.

    >>> rule_sentence("flat", 0.5, float("nan"))
    "The rule flat decided in the version's place: it wants no position. Nothing was scored."
    """
    wants = {"flat": ": it wants no position", "hold": ": it keeps the position that there is"}.get(rule, "")
    if rule == "base_rate":
        wants = f": it acts as if every score were {base_rate:.4f}, the mean label of training"
    own = "nothing was scored" if math.isnan(score) else f"The version's own score, {score:.4f}, did not count"
    name = rule if rule == SOME else f"The rule {rule}"
    return f"{name[:1].upper()}{name[1:]} decided in the version's place{wants}. {own[:1].upper()}{own[1:]}."
