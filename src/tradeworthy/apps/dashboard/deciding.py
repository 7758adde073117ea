"""Recorded decisions as a person looks through them: a list with filters, and one with everything around it.

Idea:   the list is read backwards from the newest, in windows of the tape that grow until enough was found, so a page
        of it costs the same on a short and on a long tape.
Units:  times as ISO 8601 UTC; quantities in units of the instrument; prices in its currency.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.apps.deployment.keeping import recorded
from tradeworthy.core.decisions import Role, version_name
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import SettingsInvalid, near
from tradeworthy.core.events import FIELDS, Kind
from tradeworthy.core.time import iso
from tradeworthy.record.reader import TapeReader

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

Records = npt.NDArray[Any]

WINDOW = 20_000
PAGE = 50
OUTCOMES = ("all", "orders", "refused", "held")


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which decisions are wanted.

    Attributes
    ----------
    before : int or None
        Only those with a lower tape sequence.
    outcome : str
        ``all``, ``orders`` (one was sent), ``refused``, or ``held`` (nothing to do).
    instrument, version : str
        A symbol; the beginning of a version's name. Empty for any.
    role : str
        ``champion``, ``canary``, ``shadow`` or ``any``.
    """

    before: int | None = None
    outcome: str = "all"
    instrument: str = ""
    version: str = ""
    role: str = "champion"


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """One decision; `quantity` is that of the order sent, `verdict` why none was, with what its check observed."""

    sequence: int
    input_sequence: int
    time: str
    instrument: str
    version: str
    role: str
    score: float | None
    target: float | None
    position: float
    price: float | None
    quantity: float
    verdict: str
    verdict_text: str
    observed: float | None
    limit: float | None

    @classmethod
    def of(cls, decision: np.void, symbols: list[str]) -> Self:
        """Read a decision record; what is undefined is None."""
        number, code = int(decision["instrument"]), DenialCode(int(decision["verdict"]))
        numbers = {name: _known(decision[name]) for name in ("score", "target", "price", "observed", "limit")}
        return cls(
            sequence=int(decision["sequence"]),
            input_sequence=int(decision["input_sequence"]),
            time=iso(int(decision["ts_event_ns"])),
            instrument=symbols[number] if number < len(symbols) else str(number),
            version=version_name(int(decision["version"])),
            role=Role(int(decision["role"])).name.lower(),
            position=float(decision["position"]),
            quantity=float(decision["quantity"]),
            verdict=code.name,
            verdict_text=code.text,
            **numbers,
        )


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of the venue to an order: a fill, or a refusal in words."""

    time: str
    quantity: float
    price: float | None
    fee: float
    said: str


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """One decision with everything that belongs to it.

    Attributes
    ----------
    event : dict of str to float
        The values of the input that asked for it.
    others : list of Decided
        What other versions made of the same input.
    """

    decision: Decided
    kind: str
    event_recv: str
    event: dict[str, float]
    others: list[Decided]
    answers: list[Filled]


def decisions_before(project: "Project", wanted: Filter, *, count: int = PAGE) -> list[Decided]:
    """Return the newest decisions that are wanted, the newest first.

    Raises
    ------
    SettingsInvalid
        The filter names no outcome, role or instrument that there is.
    NotFound
        There is no record yet.
    """
    symbols = _symbols(project)
    _check(wanted, symbols)
    found: list[Decided] = []
    for decisions in _windows(recorded(project), wanted.before):
        kept = decisions[_mask(decisions, wanted, symbols)]
        found += [Decided.of(each, symbols) for each in kept[::-1][: count - len(found)]]
        if len(found) >= count:
            break
    return found


def decision_around(project: "Project", sequence: int) -> Around:
    """Return one decision with its input, its order's answers, and what others made of the same input.

    Raises
    ------
    NotFound
        No decision has that sequence.
    """
    reader, symbols = recorded(project), _symbols(project)
    record = reader.find("decisions", sequence)
    asked = reader.find("inputs", int(record["input_sequence"]))
    beside = reader.read("decisions", after=int(record["input_sequence"]), limit=64)
    others = beside[(beside["input_sequence"] == record["input_sequence"]) & (beside["sequence"] != sequence)]
    kind = Kind(int(asked["kind"]))
    names = FIELDS.get(kind) or tuple(f"value {place}" for place in range(len(asked["values"])))
    return Around(
        decision=Decided.of(record, symbols),
        kind=kind.name.lower(),
        event_recv=iso(int(asked["ts_recv_ns"])),
        event={name: float(value) for name, value in zip(names, asked["values"], strict=False) if np.isfinite(value)},
        others=[Decided.of(each, symbols) for each in others],
        answers=_answers(reader, sequence) if record["quantity"] else [],
    )


def _answers(reader: TapeReader, order: int) -> list[Filled]:
    """Return what the venue answered to an order, as far as the next hundred thousand inputs tell."""
    inputs = reader.read("inputs", after=order, limit=100_000)
    own = inputs[(inputs["reference"] == order) & np.isin(inputs["kind"], (int(Kind.FILL), int(Kind.REJECT)))]
    return [_answer(each) for each in own]


def _answer(event: np.void) -> Filled:
    time, values = iso(int(event["ts_event_ns"])), event["values"]
    if event["kind"] == Kind.REJECT:
        return Filled(time=time, quantity=0.0, price=None, fee=0.0, said=f"refused by the venue, code {values[0]:g}")
    said = f"{'bought' if values[0] > 0 else 'sold'} {abs(values[0]):,.6g}"
    return Filled(time=time, quantity=float(values[0]), price=float(values[1]), fee=float(values[2]), said=said)


def _windows(reader: TapeReader, before: int | None) -> Iterator[Records]:
    """Yield the decisions below a sequence in stretches that grow, the newest first."""
    if "decisions" not in reader.streams():
        return
    end, width = (reader.last_sequence() + 1) if before is None else before, WINDOW
    while end > 1:
        start = max(0, end - 1 - width)
        records = reader.read("decisions", after=start, limit=width)
        yield records[records["sequence"] < end]
        end, width = start + 1, 2 * width


def _mask(decisions: Records, wanted: Filter, symbols: list[str]) -> npt.NDArray[np.bool_]:
    """Tell which decisions are wanted."""
    keep = np.ones(len(decisions), np.bool_)
    if wanted.role != "any":
        keep &= decisions["role"] == Role[wanted.role.upper()]
    if wanted.outcome == "orders":
        keep &= decisions["quantity"] != 0.0
    elif wanted.outcome == "refused":
        keep &= decisions["verdict"] != DenialCode.NONE
    elif wanted.outcome == "held":
        keep &= (decisions["verdict"] == DenialCode.NONE) & (decisions["quantity"] == 0.0)
    if wanted.instrument:
        keep &= decisions["instrument"] == symbols.index(wanted.instrument)
    if wanted.version:
        known = {int(number) for number in np.unique(decisions["version"])}
        chosen = [number for number in known if version_name(number).startswith(wanted.version[:16])]
        keep &= np.isin(decisions["version"], np.array(chosen, np.uint64))
    return keep


def _check(wanted: Filter, symbols: list[str]) -> None:
    """Refuse a filter that could never find anything."""
    roles = [role.name.lower() for role in Role] + ["any"]
    allowed = {"outcome": list(OUTCOMES), "role": roles, "instrument": ["", *symbols]}
    for name, options in allowed.items():
        value = getattr(wanted, name)
        if value not in options:
            words = ", ".join(option or "(any)" for option in options)
            raise SettingsInvalid(f"{name} is {value!r}{near(value, options)}; allowed are {words}")


def _symbols(project: "Project") -> list[str]:
    return [instrument.symbol for instrument in project.settings.instrument]


def _known(value: float) -> float | None:
    """Return a number, or None for what is undefined: JSON has no NaN."""
    return float(value) if np.isfinite(value) else None
