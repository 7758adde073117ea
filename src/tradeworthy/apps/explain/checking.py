"""What an order was checked for: every control, what it observed, the limit it was held to, and how it came out.

Idea:   the numbers are those that the desk itself comes to when it decides the record again (`live.recheck`), so one
        that passed shows how near it was, and one behind the one that refused shows whether it would have too.
Undefined: where a number cannot be told, it is None and a sentence says why; it is never shown as passed on a guess.
Units:  of each check, as its limit says.
"""

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import TradeworthyError
from tradeworthy.core.limits import limit_in_words
from tradeworthy.live.recheck import Measured, is_measured, measured_again
from tradeworthy.live.risk.judge import CHECKS, Check
from tradeworthy.record.reader import TapeReader

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

ENDLESS = {
    DenialCode.DUPLICATE_ORDER: "none like it",
    DenialCode.REPEATED_EXECUTION: "switched off",
    DenialCode.MESSAGE_RATE: "no room for more",
}
"""What an infinite measure means; an infinite value or position is none that an order can have."""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """One control of an order.

    Attributes
    ----------
    code : str
        The control's; of a refusal, the decision's own.
    outcome : str
        ``passed``, ``denied``; ``would pass`` or ``would deny`` behind the one that denied; ``not asked``.
    observed, limit : float or None
        None where there is no number.
    used : float or None
        The share of its limit; None where there is none, as of a least value.
    said : str
        What it observed where no number says it: ``none like it`` of a duplicate, ``not known`` of a missing price.
        Empty beside a number, and where nothing tells it.
    """

    code: str
    name: str
    outcome: str
    observed: float | None
    limit: float | None
    unit: str
    used: float | None = None
    said: str = ""


class Checks(msgspec.Struct, frozen=True):
    """The controls in the order in which they are asked; `untold` says why numbers are missing, if they are."""

    checks: list[Checked] = []
    untold: str = ""


def checks_of(project: "Project", reader: TapeReader, decision: np.void) -> Checks:
    """Return every control of the order that a decision wanted; none where it wanted none."""
    verdict = DenialCode(int(decision["verdict"]))
    if verdict < DenialCode.HALTED and not (verdict == DenialCode.NONE and decision["quantity"]):
        return Checks()
    if not is_measured(decision):
        return Checks(_from_record(decision, verdict))
    try:
        return Checks(_from_replay(measured_again(reader, project.registry.load, decision), verdict))
    except TradeworthyError as error:  # a version that is gone takes nothing of the rest away
        return Checks(_from_record(decision, verdict), f"What each check observed cannot be told: {error}.")


def _from_replay(measured: Measured, verdict: DenialCode) -> list[Checked]:
    """Return what each check saw; the first that did not hold stopped the order."""
    found, stopped = [], False
    for check, observed, limit, held in zip(CHECKS, *measured, measured.held.tolist(), strict=True):
        denied = not held and not stopped
        outcome = ("would pass" if held else "would deny") if stopped else "passed" if held else "denied"
        stopped = stopped or denied
        said = "not known" if np.isnan(observed) else ENDLESS[check.code] if np.isinf(observed) else ""
        one = _checked(check, outcome, observed=observed, limit=limit, said=said)
        found.append(msgspec.structs.replace(one, code=verdict.name) if denied else one)
    return found


def _from_record(decision: np.void, verdict: DenialCode) -> list[Checked]:
    """Return what the record alone tells: those before the check that refused have passed, those behind are not asked.

    A refusal that is no single control's (a halt; without replay also a missing limit or price) stands before them all.
    """
    codes = [check.code for check in CHECKS]
    numbers = float(decision["observed"]), float(decision["limit"])
    if verdict == DenialCode.NONE:
        return [_checked(check, "passed") for check in CHECKS]
    if verdict in codes:
        stopped = codes.index(verdict)
        own = _checked(CHECKS[stopped], "denied", observed=numbers[0], limit=numbers[1])
        passed = [_checked(check, "passed") for check in CHECKS[:stopped]]
        return [*passed, own, *(_checked(check, "not asked") for check in CHECKS[stopped + 1 :])]
    own = Checked(
        code=verdict.name,
        name=verdict.name.lower().replace("_", " "),
        outcome="denied",
        observed=_known(numbers[0]),
        limit=_known(numbers[1]),
        unit="",
    )
    return [own, *(_checked(check, "not asked") for check in CHECKS)]


def _checked(check: Check, outcome: str, *, observed: float = np.nan, limit: float = np.nan, said: str = "") -> Checked:
    used = np.nan if check.at_least or not limit > 0.0 else observed / limit
    return Checked(
        code=check.code.name,
        name=limit_in_words(check.limit),
        outcome=outcome,
        observed=_known(observed),
        used=_known(used),
        limit=_known(limit),
        unit=check.unit,
        said=said,
    )


def _known(value: float) -> float | None:
    """Return a number, or None for what is undefined or endless."""
    return float(value) if np.isfinite(value) else None
