"""One decision with everything that belongs to it, as the record tells: before, beside, and after it.

Idea:   nothing is asked of the version again: its features, what others made of the same event, what the venue answered
        and what the price did next are all on the tape. What its controls observed is decided again, to the last bit.
Units:  times as ISO 8601 UTC; quantities in units of the instrument; prices and worth in its currency; shares 0 to 1.
Undefined: None is what the record does not tell; it is never shown as passed.
"""

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.apps.dashboard.curves import price_of
from tradeworthy.apps.dashboard.deciding import Decided, symbols_of
from tradeworthy.apps.deployment.keeping import recorded
from tradeworthy.apps.explain.checking import Checked, checks_of
from tradeworthy.apps.explain.explaining import recorded_row
from tradeworthy.core.events import FIELDS, Kind
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import iso
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
    checks_untold : str
        Why numbers of them are missing; empty where none are.
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
    checks_untold: str
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
    checks = checks_of(project, reader, record)
    after = reader.read("inputs", after=sequence, limit=ANSWERS_WITHIN)
    return Around(
        decision=Decided.of(record, symbols),
        kind=Kind(int(asked["kind"])).name.lower(),
        event_recv=iso(int(asked["ts_recv_ns"])),
        decided=iso(int(record["ts_decided_ns"])),
        event=_values(asked),
        features=_features(reader, record, version),
        checks=checks.checks,
        checks_untold=checks.untold,
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
    own = recorded_row(reader, version, record)
    named = () if own is None else zip(version.program.names, own["row"].tolist(), strict=True)
    return [place(version.profile, n, name, value) for n, (name, value) in enumerate(named) if np.isfinite(value)]


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
