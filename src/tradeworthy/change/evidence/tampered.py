"""Gathers robustness at the level of events: market data tampered with under a budget, and replayed through `live`.

Idea:   each kind of tampering is first tried everywhere at once, far enough apart that one does not reach the next,
        once in each direction. Where that hurt most, in the direction that hurt most, it is then done for good: an
        outsider who knows when the version is easily misled.
Flow:   clean replay → trial replays → the worst places → attack replay → decisions compared, profit at clean prices.
Replay: the version scores on a halted desk in the live pipeline (input checks, features, predictor), and the live
        signal turns scores into sides, with its hysteresis; no order is sent, so risk and venue are not in it. Profit
        is that of the wanted sides.
Units:  basis points of a full position (`signal.notional`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.change.evidence.context import Context, NotGathered, Work
from tradeworthy.core.events import EventBatch, Kind
from tradeworthy.core.kernel import kernel
from tradeworthy.judge.validate.robustness import EventAttack, EventAttacks
from tradeworthy.live.feeds.tampering import Spoof, spike, spoof, stale, wash
from tradeworthy.live.pipeline import Pipeline
from tradeworthy.live.signal import signal_record, wanted_side
from tradeworthy.live.state import CheckSettings

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Tamper = Callable[[EventBatch, Ints, int], EventBatch]
"""``tamper(events, places, direction)``; the direction is 1 or -1."""

EVENTS_MAX = 20_000
"""Of the latest events are replayed; less than the stream's, for every kind is replayed four times."""

SHARE = 0.005
"""Of the replayed events that an outsider may tamper with."""

TRIALS_PER_EVENT = 3
SPIKE_BPS, SIZE_TIMES, SPOOF_LEVEL = 100.0, 10.0, 2
_INPUT_CODES = slice(100, 200)
COST_BPS = 2.0
"""Paid for every change of position, so that a flip there and back is not free."""


class _Way(NamedTuple):
    """One kind of tampering, and the kinds of events it works on."""

    name: str
    kinds: tuple[Kind, ...]
    tamper: Tamper
    cheap: bool


@dataclass(frozen=True, eq=False)
class _Replay:
    """What a version wanted: (d,) event times, sides (-1, 0, 1) and prices, and how many events were refused."""

    ts_event_ns: Ints
    side: Floats
    price: Floats
    refused: int


def gather_event_attacks(context: Context, work: Work) -> EventAttacks:
    """Tamper with the latest events in every way that their kinds allow."""
    if context.events is None or not len(context.events):
        raise NotGathered("there are no market events to tamper with")
    events = context.events[-EVENTS_MAX:]
    ways = _ways(context, events)
    if not ways:
        raise NotGathered("none of its events can be tampered with: no bars, trades, quotes or books")
    clean = _replay(context, events)
    if not len(clean.side):
        raise NotGathered("it made no decision on these events")
    attacks = []
    for number, way in enumerate(ways):
        attacks.append(_attack(context, events, clean, way))
        work.tell((number + 1) / len(ways))
    return EventAttacks(events=len(events), attacks=attacks)


def _ways(context: Context, events: EventBatch) -> list[_Way]:
    """Return the kinds of tampering that these events allow, each with the kinds of events it works on."""
    shown, traded = (Kind.BOOK, Kind.QUOTE), (Kind.TRADE, Kind.BAR)

    def spoofed(events: EventBatch, places: Ints, direction: int) -> EventBatch:
        size = SIZE_TIMES * float(np.nanmean(events["values"][places][:, 2:4]))
        sides = np.full(len(places), direction)
        return spoof(events, Spoof(places=places, sides=sides, level=SPOOF_LEVEL, size=size))

    def washed(events: EventBatch, places: Ints, direction: int) -> EventBatch:
        del direction  # a wash trade has both sides
        column = np.where(events["kind"][places] == Kind.BAR, 4, 1)
        sizes = events["values"][places, column]
        return wash(events, places, SIZE_TIMES * sizes)

    def spiked(events: EventBatch, places: Ints, direction: int) -> EventBatch:
        return spike(events, places, np.full(len(places), direction * SPIKE_BPS))

    def held(events: EventBatch, places: Ints, direction: int) -> EventBatch:
        del direction
        return stale(events, places)

    ways = [
        _Way("spoofed orders", shown, spoofed, cheap=True),
        _Way("wash trades", traded, washed, cheap=True),
        _Way(f"prints spiked by {SPIKE_BPS:g} bps", (*shown, *traded), spiked, cheap=False),
        _Way("stale prints", (*shown, *traded), held, cheap=False),
    ]
    present = set(np.unique(events["kind"]).tolist()) & _kinds_read(context)
    return [way for way in ways if present & set(way.kinds)]


def _kinds_read(context: Context) -> set[int]:
    """Return the kinds of events that the version's features read, and the one that triggers it."""
    program = context.version.program
    return {lane.kind for lane in program.layout.lanes} | {int(program.trigger)}


def _attack(context: Context, events: EventBatch, clean: _Replay, way: _Way) -> EventAttack:
    """Try a kind of tampering in many places, then do it where it hurt most."""
    mask = np.isin(events["kind"], way.kinds) & np.isin(events["kind"], list(_kinds_read(context)))
    candidates = np.flatnonzero(mask)[1:]
    count = max(1, int(SHARE * len(events)))
    trials = candidates[np.unique(np.linspace(0, len(candidates) - 1, count * TRIALS_PER_EVENT).astype(np.int64))]
    hurt = np.stack(
        [_hurt(events, clean, _replay(context, way.tamper(events, trials, side)), trials) for side in (1, -1)]
    )
    side = np.where(hurt[0] >= hurt[1], 1, -1)
    worst = np.sort(np.argsort(-hurt.max(axis=0), kind="stable")[:count])
    changed = events
    for direction in (1, -1):
        places = trials[worst][side[worst] == direction]
        if len(places):
            changed = way.tamper(changed, _shifted(events, changed, places), direction)
    found = _replay(context, changed)
    of_clean, of_found = _matched(clean, found)
    flips = clean.side[of_clean] != found.side[of_found]
    after = np.searchsorted(events["ts_event_ns"][trials[worst]], clean.ts_event_ns[of_clean], side="right") - 1
    prices = clean.price[of_clean]
    lost = _profit(clean.side[of_clean], prices) - _profit(found.side[of_found], prices)
    return EventAttack(
        name=way.name,
        cheap=way.cheap,
        events=len(worst),
        hits=len(np.unique(after[flips & (after >= 0)])),
        decisions=len(of_clean),
        flipped=int(np.count_nonzero(flips)),
        refused=max(found.refused - clean.refused, 0),
        loss_bps=float(lost.sum() * 1e4 / len(worst)),
    )


def _shifted(events: EventBatch, changed: EventBatch, places: Ints) -> Ints:
    """Return where events stand now, after others were inserted among them."""
    if len(changed) == len(events):
        return places
    first = np.searchsorted(changed["ts_event_ns"], events["ts_event_ns"][places], side="left")
    within = places - np.searchsorted(events["ts_event_ns"], events["ts_event_ns"][places], side="left")
    return first + within


def _replay(context: Context, events: EventBatch) -> _Replay:
    """Let the version decide on every event of a fresh, halted desk: it scores everything and sends nothing."""
    width = events.dtype["values"].shape[0]
    pipeline = Pipeline.alone(
        context.version, context.instruments, context.limits, settings=CheckSettings(), width=width
    )
    pipeline.halted = True
    decisions, _ = pipeline.many(events)
    own = decisions[decisions["instrument"] == decisions["instrument"][:1]]
    side = np.empty(len(own))
    follow_signal(signal_record(context.version.manifest.signal), np.ascontiguousarray(own["score"]), side)
    times, first = np.unique(own["ts_event_ns"], return_index=True)
    refused = int(pipeline.desk.denials[_INPUT_CODES].sum())
    return _Replay(times, side[first], own["price"][first], refused)


@kernel
def follow_signal(signal: npt.NDArray[np.void], scores: Floats, side: Floats) -> None:
    """Write the side that the live signal wants after each score, from flat; without a score it stays."""
    held = 0.0
    for place in range(scores.shape[0]):
        if np.isfinite(scores[place]):
            held = wanted_side(signal[0], scores[place], held)
        side[place] = held


def _matched(clean: _Replay, found: _Replay) -> tuple[Ints, Ints]:
    """Return the places of decisions on the same event in both replays."""
    _, of_clean, of_found = np.intersect1d(
        clean.ts_event_ns, found.ts_event_ns, assume_unique=True, return_indices=True
    )
    return of_clean, of_found


def _profit(side: Floats, price: Floats) -> Floats:
    """Return the profit of each decision until the next, as a share of a full position, costs taken off."""
    moves = np.diff(price, append=price[-1]) / price
    turned = np.abs(np.diff(side, prepend=0.0))
    profit: Floats = np.clip(side, -1.0, 1.0) * np.nan_to_num(moves) - np.minimum(turned, 2.0) * COST_BPS / 1e4
    return profit


def _hurt(events: EventBatch, clean: _Replay, found: _Replay, trials: Ints) -> Floats:
    """Return what each trial cost: flips between it and the next one, and the profit lost, flips first."""
    of_clean, of_found = _matched(clean, found)
    flips = clean.side[of_clean] != found.side[of_found]
    prices = clean.price[of_clean]
    lost = _profit(clean.side[of_clean], prices) - _profit(found.side[of_found], prices)
    after = np.searchsorted(events["ts_event_ns"][trials], clean.ts_event_ns[of_clean], side="right") - 1
    inside = after >= 0
    hurt: Floats = np.bincount(after[inside], (flips + lost)[inside], minlength=len(trials)).astype(np.float64)
    return hurt
