"""Why was this decision made? Found on the tape, explained by the very version that made it."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tradeworthy.apps.keeping import recorded
from tradeworthy.apps.results import Explained, Reason
from tradeworthy.core.decisions import Role
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import NotFound
from tradeworthy.core.events import Kind
from tradeworthy.core.time import NS_PER_S, iso
from tradeworthy.judge.explain.explaining import explain_row
from tradeworthy.judge.explain.words import reasons
from tradeworthy.record.reader import TapeReader

if TYPE_CHECKING:
    from tradeworthy.apps.project import Project

LARGEST = "largest"
DECISIONS, INPUTS = "decisions", "inputs"


def explain_decision(project: "Project", which: str) -> Explained:
    """Explain one recorded decision.

    Parameters
    ----------
    project : Project
        The deployment.
    which : str
        Its tape sequence; a UTC time such as ``2019-01-05T14:30:00Z``, for the champion's last decision up to then; or
        ``largest``, for the filled trade of the highest value.

    Raises
    ------
    NotFound
        There is no such decision, or it was made without a score.
    """
    reader = recorded(project)
    decision = find_decision(reader, which)
    version = project.registry.load(int(decision["version"]))
    row = _row_of(reader, f"rows-{version.short}", int(decision["sequence"]))
    explanation = explain_row(version.predictor, row, version.program.names, version.profile)
    found = reasons(explanation, version.profile, version.program.describe, count=len(row))
    symbol = project.settings.instrument[int(decision["instrument"])].symbol
    return Explained(
        decision=int(decision["sequence"]),
        version=version.digest,
        instrument=symbol,
        time=iso(int(decision["ts_event_ns"])),
        said=_said(decision, symbol, [reason.sentence for reason in found[:4]]),
        score=explanation.score,
        margin=explanation.margin,
        baseline=explanation.baseline,
        sum_error=explanation.sum_error,
        method=explanation.method,
        reasons=[
            Reason(feature=each.feature, value=each.value, contribution=each.contribution, sentence=each.sentence)
            for each in found
        ],
    )


def find_decision(reader: TapeReader, which: str) -> np.void:
    """Return the decision record that a word names.

    Raises
    ------
    NotFound
        There is none.
    """
    if which == LARGEST:
        return reader.find(DECISIONS, largest_trade(reader.read(INPUTS)))
    made = reader.read(DECISIONS)
    if not made.size:
        raise NotFound("nothing was decided yet; run: tradeworthy run")
    if which.isdigit():
        return _of_sequence(made, int(which))
    champions = made[made["role"] == Role.CHAMPION]
    found = champions[champions["ts_event_ns"] <= _utc_ns(which)]
    if not found.size:
        raise NotFound(f"no decision was made up to {which}; the first is of {iso(int(made['ts_event_ns'][0]))}")
    last: np.void = found[-1]
    return last


def _of_sequence(made: npt.NDArray[Any], sequence: int) -> np.void:
    """Return the decision with a tape sequence; every record has one, so most numbers are no decision's."""
    found = made[made["sequence"] == sequence]
    if not found.size:
        near = int(made["sequence"][np.argmin(np.abs(made["sequence"].astype(np.float64) - sequence))])
        raise NotFound(
            f"tape sequence {sequence} is no decision's; the nearest is {near}, "
            f"they lie between {made['sequence'][0]} and {made['sequence'][-1]}"
        )
    decision: np.void = found[0]
    return decision


def largest_trade(inputs: npt.NDArray[Any]) -> int:
    """Return the order id of the fill of the highest value.

    Raises
    ------
    NotFound
        Nothing was traded.
    """
    fills = inputs[inputs["kind"] == Kind.FILL]
    if not fills.size:
        raise NotFound("nothing was traded; name a decision by its sequence or its time")
    values = np.abs(fills["values"][:, 0] * fills["values"][:, 1])
    return int(fills["reference"][np.argmax(values)])


def _utc_ns(text: str) -> int:
    """Read an ISO 8601 time; one without an offset is UTC."""
    try:
        at = datetime.fromisoformat(text if text.endswith("Z") or "+" in text else f"{text}+00:00")
    except ValueError:
        raise NotFound(
            f"{text!r} is no decision; allowed are a tape sequence, a UTC time such as 2019-01-05T14:30:00Z, or largest"
        ) from None
    return int(at.timestamp()) * NS_PER_S + at.microsecond * 1_000


def _row_of(reader: TapeReader, stream: str, sequence: int) -> npt.NDArray[np.float64]:
    """Return the feature row that a decision was made on."""
    found: npt.NDArray[Any] = np.empty(0)
    if stream in reader.streams():
        rows = reader.read(stream, after=sequence)
        found = rows[rows["decision"] == sequence]
    if not found.size:
        raise NotFound(f"decision {sequence} was made without features; its verdict says why: see the decision record")
    row: npt.NDArray[np.float64] = found[0]["row"].copy()
    return row


def _said(decision: np.void, symbol: str, sentences: list[str]) -> str:
    """Say what was decided, and why."""
    quantity, verdict = float(decision["quantity"]), DenialCode(int(decision["verdict"]))
    if verdict != DenialCode.NONE:
        done = f"refused an order in {symbol}, because {verdict.text}"
    elif quantity:
        done = f"{'bought' if quantity > 0 else 'sold'} {abs(quantity):g} {symbol} at about {decision['price']:,.2f}"
    else:
        done = f"left the position in {symbol} at {decision['position']:g}"
    head = f"At {iso(int(decision['ts_event_ns']))} the desk {done}; it wanted a position of {decision['target']:g}."
    return " ".join([head, *sentences])
