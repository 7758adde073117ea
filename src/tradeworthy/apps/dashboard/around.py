"""One decision with everything that belongs to it, as the record tells: before, beside, and after it.

Idea:   nothing is asked of the version again: its features, what its controls observed, what others made of the same
        event, what the venue answered and what the price did next are all on the tape.
Units:  times as ISO 8601 UTC; quantities in units of the instrument; prices and worth in its currency; shares 0 to 1.
Undefined: None is what the record does not tell; it is never shown as passed.
"""

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.apps.dashboard.acting import FIRST_ORDER_CODE
from tradeworthy.apps.dashboard.curves import price_of
from tradeworthy.apps.dashboard.deciding import Decided, symbols_of
from tradeworthy.apps.dashboard.limits import in_words
from tradeworthy.apps.deployment.keeping import recorded
from tradeworthy.apps.explain.explaining import recorded_row
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.events import FIELDS, Kind, Word
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.limits import LIMIT_FIELDS, Limits
from tradeworthy.core.time import iso
from tradeworthy.judge.explain.refusals import explain_refusal
from tradeworthy.live.risk.judge import CHECKS
from tradeworthy.model.profile import LEVELS, Profile
from tradeworthy.model.version import Version
from tradeworthy.record.reader import TapeReader

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

Records = npt.NDArray[Any]

ANSWERS_WITHIN = 100_000
BESIDE = 64
BINS = 28
SHOWN_LEVELS = (0.005, 0.995)
"""The quantiles of training between which a feature's distribution is drawn."""

BPS = 10_000.0


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of the venue to an order: a fill, or a refusal in words.

    Attributes
    ----------
    slippage_bps : float or None
        How much worse than the price at the decision; negative is better.
    """

    time: str
    quantity: float
    price: float | None
    fee: float
    said: str
    slippage_bps: float | None


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """One control of an order: `outcome` is passed, denied, or not asked; a number is None where nothing tells it."""

    code: str
    name: str
    outcome: str
    observed: float | None
    limit: float | None
    unit: str


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """A feature's value among those of training.

    Attributes
    ----------
    rank : float
        Share of training rows below it.
    outside : bool
        Whether training never saw such a value.
    low, high : float
        The ends of what `bins` counts, nearly all of training.
    bins : list of int
        Training rows of the reference profile's sample, in stretches of one width.
    """

    feature: str
    value: float
    rank: float
    outside: bool
    low: float
    high: float
    bins: list[int]


class Later(msgspec.Struct, frozen=True, kw_only=True):
    """What came after so many further events of the instrument.

    Attributes
    ----------
    change : float
        Of the price since the decision.
    worth : float
        What the wanted position made of it, before costs.
    """

    events: int
    time: str
    price: float
    change: float
    worth: float


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """One decision with everything that belongs to it.

    Attributes
    ----------
    event : dict of str to float
        The values of the input that asked for it.
    features : list of Placed
        What the version saw of it; empty where nothing was computed.
    checks : list of Checked
        Of its order, in the order in which they are asked; empty where no order was wanted.
    others : list of Decided
        What other versions made of the same input.
    later : list of Later
        Prices after one event and after the horizon that the version was taught, as far as they are known.
    label : float or None
        The outcome that was reported for this very decision.
    """

    decision: Decided
    kind: str
    event_recv: str
    decided: str
    event: dict[str, float]
    features: list[Placed]
    checks: list[Checked]
    others: list[Decided]
    answers: list[Filled]
    later: list[Later]
    label: float | None


def decision_around(project: "Project", sequence: int) -> Around:
    """Return one decision with its input, checks, answers, what others made of the same input, and what came later.

    Raises
    ------
    NotFound
        No decision has that sequence.
    """
    reader, symbols = recorded(project), symbols_of(project)
    record = reader.find("decisions", sequence)
    version = project.registry.load(int(record["version"]))
    instrument = project.settings.instrument[int(record["instrument"])]
    asked = reader.find("inputs", int(record["input_sequence"]))
    beside = reader.read("decisions", after=int(record["input_sequence"]), limit=BESIDE)
    others = beside[(beside["input_sequence"] == record["input_sequence"]) & (beside["sequence"] != sequence)]
    after = reader.read("inputs", after=sequence, limit=ANSWERS_WITHIN)
    return Around(
        decision=Decided.of(record, symbols),
        kind=Kind(int(asked["kind"])).name.lower(),
        event_recv=iso(int(asked["ts_recv_ns"])),
        decided=iso(int(record["ts_decided_ns"])),
        event=_values(asked),
        features=_features(reader, record, version),
        checks=_checks(reader, record, instrument, version.manifest.bounds),
        others=[Decided.of(each, symbols) for each in others],
        answers=_answers(after, record) if record["quantity"] else [],
        later=_later(after, record, asked, instrument, version),
        label=_label(after, sequence),
    )


def place(profile: Profile, feature: int, name: str, value: float) -> Placed:
    """Say where a value lies among those that training saw."""
    low, high = np.interp(SHOWN_LEVELS, LEVELS, profile.quantiles[:, feature]).tolist()
    seen = np.clip(profile.sample[:, feature], low, high)
    bins = np.histogram(seen, BINS, (low, high if high > low else low + 1.0))[0]
    return Placed(
        feature=name,
        value=value,
        rank=profile.rank(feature, value),
        outside=not profile.minimum[feature] <= value <= profile.maximum[feature],
        low=low,
        high=high,
        bins=bins.tolist(),
    )


def _values(event: np.void) -> dict[str, float]:
    """Return an input's values by name; those that are undefined are left out."""
    kind = Kind(int(event["kind"]))
    names = FIELDS.get(kind) or tuple(f"value {place}" for place in range(len(event["values"])))
    return {name: float(value) for name, value in zip(names, event["values"], strict=False) if np.isfinite(value)}


def _features(reader: TapeReader, record: np.void, version: Version) -> list[Placed]:
    """Return the row that a decision was made on, each value beside training."""
    row, names = recorded_row(reader, version, record), version.program.names
    if row is None:
        return []
    return [place(version.profile, n, names[n], float(value)) for n, value in enumerate(row) if np.isfinite(value)]


def _checks(reader: TapeReader, record: np.void, instrument: Instrument, bounds: Limits) -> list[Checked]:
    """Return every control of an order that was wanted: those before the one that refused have passed."""
    verdict = DenialCode(int(record["verdict"]))
    if verdict < FIRST_ORDER_CODE and not (verdict == DenialCode.NONE and record["quantity"]):
        return []
    codes = [check.code for check in CHECKS]
    stopped = codes.index(verdict) if verdict in codes else len(codes)
    named = verdict == DenialCode.NONE or verdict in codes
    limits = _limits_at(reader, record).tightest(bounds)
    seen = _observed(reader, record, instrument) | {verdict: _known(record["observed"])}
    found = [] if named else [_before_all(record, verdict)]
    for number, check in enumerate(CHECKS):
        denied = number == stopped
        found.append(
            Checked(
                code=check.code.name,
                name=in_words(check.limit),
                outcome="denied" if denied else "passed" if named and number < stopped else "not asked",
                observed=seen.get(check.code) if number <= stopped and named else None,
                limit=_known(record["limit"]) if denied else getattr(limits, check.limit),
                unit=check.unit,
            )
        )
    return found


def _before_all(record: np.void, verdict: DenialCode) -> Checked:
    """Return a refusal that is no single control's: a halt, a limit that is missing, a price that is."""
    told = explain_refusal(verdict, float(record["observed"]), float(record["limit"]))
    return Checked(
        code=verdict.name,
        name=verdict.name.lower().replace("_", " "),
        outcome="denied",
        observed=_known(record["observed"]),
        limit=_known(record["limit"]),
        unit=told.unit if told else "",
    )


def _observed(reader: TapeReader, record: np.void, instrument: Instrument) -> dict[DenialCode, float | None]:
    """Return what controls observed of an order that was sent, as far as its record tells."""
    orders = reader.read("orders", after=int(record["sequence"]), limit=BESIDE) if record["quantity"] else None
    own = orders[orders["decision"] == record["sequence"]] if orders is not None else []
    if not len(own):
        return {}
    quantity, worst, price = (float(own[0][name]) for name in ("quantity", "limit_price", "reference_price"))
    one, wanted = max(worst, price) * instrument.multiplier, float(record["position"]) + quantity
    known = {
        DenialCode.PRICE_COLLAR: abs(worst - price) / price * BPS,
        DenialCode.ORDER_VALUE: abs(quantity) * one,
        DenialCode.ORDER_QUANTITY: abs(quantity),
        DenialCode.POSITION_QUANTITY: max(0.0, wanted if quantity > 0 else -wanted),
    }
    return {**known, DenialCode.POSITION_VALUE: known[DenialCode.POSITION_QUANTITY] * one}


def _limits_at(reader: TapeReader, record: np.void) -> Limits:
    """Return the limits that held at a decision: the tape has every change, in the order in which it was obeyed."""
    table: dict[int, dict[str, float]] = {0: {}, 1 + int(record["instrument"]): {}}
    for inputs in reader.scan("inputs"):
        words = inputs["values"][:, 0]
        set_here = (inputs["kind"] == Kind.CONTROL) & (words >= Word.LIMIT) & (inputs["sequence"] < record["sequence"])
        for each in inputs[set_here]:
            name = LIMIT_FIELDS[int(each["values"][0]) - Word.LIMIT]
            table.get(int(each["reference"]), {})[name] = float(each["values"][1])
        if inputs.size and inputs["sequence"][-1] >= record["sequence"]:
            break
    desk, own = (Limits(**{k: v for k, v in values.items() if np.isfinite(v)}) for values in table.values())
    return desk.tightest(own)


def _answers(after: Records, record: np.void) -> list[Filled]:
    """Return what the venue answered to an order, as far as the next hundred thousand inputs tell."""
    kinds = (int(Kind.FILL), int(Kind.REJECT))
    own = after[(after["reference"] == record["sequence"]) & np.isin(after["kind"], kinds)]
    return [_answer(each, float(record["price"])) for each in own]


def _answer(event: np.void, decided_at: float) -> Filled:
    time, values = iso(int(event["ts_event_ns"])), event["values"]
    if event["kind"] == Kind.REJECT:
        said = f"refused by the venue, code {values[0]:g}"
        return Filled(time=time, quantity=0.0, price=None, fee=0.0, said=said, slippage_bps=None)
    quantity, price = float(values[0]), float(values[1])
    return Filled(
        time=time,
        quantity=quantity,
        price=price,
        fee=float(values[2]),
        said=f"{'bought' if quantity > 0 else 'sold'} {abs(quantity):,.6g}",
        slippage_bps=_known(np.sign(quantity) * (price - decided_at) / decided_at * BPS) if decided_at else None,
    )


def _later(after: Records, record: np.void, asked: np.void, instrument: Instrument, version: Version) -> list[Later]:
    """Return what the price did next."""
    price = float(record["price"])
    same = after[
        (after["instrument"] == record["instrument"]) & (after["kind"] == asked["kind"]) & (after["flags"] == 0)
    ]
    prices = price_of(same)
    same, prices = same[np.isfinite(prices)], prices[np.isfinite(prices)]
    target = float(np.nan_to_num(record["target"]))
    return [
        Later(
            events=count,
            time=iso(int(same["ts_event_ns"][count - 1])),
            price=float(prices[count - 1]),
            change=float(prices[count - 1]) / price - 1.0,
            worth=target * (float(prices[count - 1]) - price) * instrument.multiplier if target else 0.0,
        )
        for count in sorted({1, int(version.manifest.label.get("horizon", 1))})
        if price > 0.0 and count <= len(same)
    ]


def _label(after: Records, sequence: int) -> float | None:
    """Return the outcome that was reported for a decision; the last one counts."""
    own = after[(after["kind"] == Kind.OUTCOME) & (after["reference"] == sequence)]
    return _known(own["values"][-1, 0]) if own.size else None


def _known(value: float) -> float | None:
    """Return a number, or None for what is undefined."""
    return float(value) if np.isfinite(value) else None
