"""A simulated market: prices whose nature changes at known times, and data as dirty as a real feed's.

Idea:   a monitor or a fault drill needs the truth to be judged against, which no real market tells. Here the true
        change points and every planted fault are known, and one seed gives the same day again.
Flow:   regimes → clustered, heavy-tailed returns in steps → bars, quotes and books → gaps, stale and crossed quotes,
        spoofed books.
State:  none kept here; `venues.simulated.SimulatedMarket` delivers the events and takes the orders.
Time:   a stale quote happened when its stamp says, and arrives later; events are in the order of arrival.
Units:  drift and volatility in basis points of log return per bar.
Reference: Bollerslev (1986), generalised autoregressive conditional heteroskedasticity, order (1, 1).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import SettingsInvalid
from tradeworthy.core.events import BOOK_LEVELS_MAX, EventBatch, Kind, book_fields, events_from_columns, widened
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.kernel import kernel
from tradeworthy.core.time import NS_PER_MS
from tradeworthy.live.feeds.files import period_ns
from tradeworthy.live.feeds.tampering import Spoof, spoof

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_BPS = 1e-4
_GAP_BARS_MEAN = 3.0
SPOOF_SIZE = 8.0
"""Of the usual size of a level: what a spoofed order shows."""


class Regime(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stretch of market of one nature.

    Attributes
    ----------
    bars : int
        How long it lasts.
    drift_bps, volatility_bps : float
        Mean and long-run standard deviation of a bar's log return.
    momentum : float
        Share of the last bar's return that the next one repeats; what a model can learn, and what changes when
        the concept drifts.
    """

    bars: int
    drift_bps: float = 0.0
    volatility_bps: float = 40.0
    momentum: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a regime that never ends, never starts or explodes."""
        if self.bars < 1 or not self.volatility_bps > 0 or not abs(self.momentum) < 1:
            raise ValueError(f"{self} is no regime: needs bars >= 1, volatility_bps > 0, momentum between -1 and 1")


class SimulatedSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A market to simulate.

    Attributes
    ----------
    regimes : tuple of Regime
        One after the other.
    start_ns : int
        Open of the first bar, UTC nanoseconds.
    period : str
        Length of a bar.
    steps_per_bar : int
        Price steps within a bar; each gives one quote.
    start_price, spread_bps, volume : float
        First price, distance from bid to ask, and usual volume of a bar.
    arch, garch : float
        Weight of the last squared return and of the last variance; below one in sum.
    tail_degrees : float
        Degrees of freedom of the shocks' Student distribution, above two.
    correlation : float
        Share of variance that the instruments have in common.
    quotes : bool
        Whether quotes are given beside bars.
    book_levels : int
        Levels of the books given beside bars, one a step; 0 gives none.
    book_signal : float
        How much of the next step's move the balance of the book foretells, 0 to 1.
    gap_rate, stale_rate, crossed_rate, spoof_rate : float
        Probability that a gap begins at a bar, that a quote is delivered late, that a quote is crossed, that a book
        shows a large order that nobody means.
    stale_ms : float
        How late a stale quote arrives.
    """

    regimes: tuple[Regime, ...]
    start_ns: int = 1_600_000_200_000_000_000
    period: str = "30m"
    steps_per_bar: int = 8
    start_price: float = 200.0
    spread_bps: float = 4.0
    volume: float = 1_000.0
    arch: float = 0.1
    garch: float = 0.85
    tail_degrees: float = 5.0
    correlation: float = 0.5
    quotes: bool = True
    book_levels: int = 0
    book_signal: float = 0.3
    gap_rate: float = 0.001
    stale_rate: float = 0.001
    crossed_rate: float = 0.001
    spoof_rate: float = 0.0
    stale_ms: float = 600_000.0

    def __post_init__(self) -> None:
        """Refuse a market that cannot exist."""
        if not self.regimes or self.steps_per_bar < 1 or not self.tail_degrees > 2:
            raise ValueError("a simulated market needs a regime, a step per bar and tail_degrees above 2")
        if min(self.arch, self.garch) < 0 or self.arch + self.garch >= 1:
            raise ValueError(f"arch + garch is {self.arch + self.garch:g}, allowed is below 1, each zero or more")
        if not 0 <= self.book_levels <= BOOK_LEVELS_MAX:
            raise ValueError(f"book_levels is {self.book_levels}, allowed is 0 to {BOOK_LEVELS_MAX}")
        for name in ("gap_rate", "stale_rate", "crossed_rate", "spoof_rate", "correlation", "book_signal"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}, allowed is 0 to 1")
        for name in ("start_price", "spread_bps", "volume", "stale_ms"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}, allowed is a positive number")
        period_ns(self.period)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A true change point: the close of the first bar of a new regime, and what is new in it."""

    bar: int
    ts_event_ns: int
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Simulation:
    """Events in order of arrival, and the truth about them.

    `missing_ns` are the closes of the bars left out; `stale`, `crossed` and `spoofed` are (n,) masks over `events`.
    """

    events: EventBatch
    changes: tuple[Change, ...]
    missing_ns: Ints
    stale: Bools
    crossed: Bools
    spoofed: Bools


class _Faults(NamedTuple):
    """Events and what is wrong with which, as masks over them."""

    events: EventBatch
    stale: Bools
    crossed: Bools
    spoofed: Bools

    @classmethod
    def none(cls, events: EventBatch) -> Self:
        """Return events with which nothing is wrong."""
        sound = np.zeros(len(events), np.bool_)
        return cls(events, sound, sound, sound)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return several parts one after the other, all as wide as the widest."""
        width = max(part.events.dtype["values"].shape[0] for part in parts)
        return cls(
            np.concatenate([widened(part.events, width) for part in parts]),
            np.concatenate([part.stale for part in parts]),
            np.concatenate([part.crossed for part in parts]),
            np.concatenate([part.spoofed for part in parts]),
        )

    def take(self, places: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Self:
        """Return some of them, a mask or an order."""
        return type(self)(self.events[places], self.stale[places], self.crossed[places], self.spoofed[places])


def simulate(settings: SimulatedSettings, instruments: Sequence[Instrument], rng: np.random.Generator) -> Simulation:
    """Simulate every instrument of a desk over all regimes.

    Parameters
    ----------
    settings : SimulatedSettings
        The market.
    instruments : sequence of Instrument
        The desk's list; prices keep to their ticks.
    rng : numpy Generator
        The only source of chance: the same state gives the same market.
    """
    if not instruments:
        raise SettingsInvalid("a simulated market needs at least one instrument")
    n_bars = sum(regime.bars for regime in settings.regimes)
    missing = _gaps(n_bars, settings.gap_rate, rng)
    common = _shocks(n_bars, settings, rng)
    parts = []
    for number, instrument in enumerate(instruments):
        own = _shocks(n_bars, settings, rng)
        share = settings.correlation
        prices = _prices(settings, instrument, math.sqrt(share) * common + math.sqrt(1.0 - share) * own)
        parts.append(_events(settings, instrument, number, prices, present=~missing, rng=rng))
    joined = _Faults.joined(parts)
    found = joined.take(np.argsort(joined.events["ts_recv_ns"], kind="stable"))
    closes = settings.start_ns + period_ns(settings.period) * np.arange(1, n_bars + 1)
    return Simulation(
        events=found.events,
        changes=_changes(settings, closes),
        missing_ns=closes[missing],
        stale=found.stale,
        crossed=found.crossed,
        spoofed=found.spoofed,
    )


@kernel
def walk(
    shocks: Floats,
    nature: Floats,
    arch: float,
    garch: float,
    log_prices: Floats,
) -> None:
    """Write the log price after each step into `log_prices` (bars, steps), starting from zero.

    `shocks` (bars, steps) have variance one; `nature` (bars, 3) holds drift and volatility of a bar's log return, and
    momentum. The variance of the shocks clusters around one.
    """
    n_bars, n_steps = shocks.shape
    variance, price, last_return = 1.0, 0.0, 0.0
    for bar in range(n_bars):
        before = price
        pull = (nature[bar, 0] + nature[bar, 2] * last_return) / n_steps
        scale = nature[bar, 1] / math.sqrt(n_steps)
        for step in range(n_steps):
            clustered = math.sqrt(variance) * shocks[bar, step]
            variance = (1.0 - arch - garch) + arch * clustered * clustered + garch * variance
            price += pull + scale * clustered
            log_prices[bar, step] = price
        last_return = price - before


def _shocks(n_bars: int, settings: SimulatedSettings, rng: np.random.Generator) -> Floats:
    degrees = settings.tail_degrees
    drawn: Floats = rng.standard_t(degrees, (n_bars, settings.steps_per_bar))
    return drawn / math.sqrt(degrees / (degrees - 2.0))


def _gaps(n_bars: int, rate: float, rng: np.random.Generator) -> Bools:
    """Return which bars are missing, (n_bars,) bool; the first bar never is."""
    missing = np.zeros(n_bars, np.bool_)
    begins = np.flatnonzero(rng.random(n_bars) < rate)
    for start, length in zip(begins, rng.geometric(1.0 / _GAP_BARS_MEAN, len(begins)), strict=True):
        missing[max(1, start) : start + length] = True
    return missing


def _prices(settings: SimulatedSettings, instrument: Instrument, shocks: Floats) -> Floats:
    """Return the price after each step, (bars, steps), on the instrument's ticks."""
    nature = np.repeat(
        [[r.drift_bps * _BPS, r.volatility_bps * _BPS, r.momentum] for r in settings.regimes],
        [r.bars for r in settings.regimes],
        axis=0,
    )
    log_prices = np.empty_like(shocks)
    walk(shocks, nature, settings.arch, settings.garch, log_prices)
    return _ticks(settings.start_price * np.exp(log_prices), instrument.tick)


def _ticks(prices: Floats, tick: float) -> Floats:
    """Round to ticks, at least one; 20012 ticks of 0.01 are 200.12 exactly."""
    count = np.maximum(np.round(prices / tick), 1.0)
    inverse = round(1.0 / tick)
    exact = inverse >= 1 and math.isclose(inverse * tick, 1.0, rel_tol=1e-9)
    return count / inverse if exact else count * tick


def _events(
    settings: SimulatedSettings,
    instrument: Instrument,
    number: int,
    prices: Floats,
    *,
    present: Bools,
    rng: np.random.Generator,
) -> _Faults:
    """Return one instrument's events, and which of them are stale, crossed or spoofed."""
    bars = _Faults.none(_bars(settings, number, prices, rng)[present])
    kept = np.repeat(present, settings.steps_per_bar)
    parts = []
    if settings.quotes:
        parts.append(_quotes(settings, instrument, number, prices, rng).take(kept))
    if settings.book_levels:
        parts.append(_books(settings, instrument, number, prices, rng).take(kept))
    return _Faults.joined([*parts, bars])


def _bars(settings: SimulatedSettings, number: int, prices: Floats, rng: np.random.Generator) -> EventBatch:
    length_ns = period_ns(settings.period)
    opens = np.concatenate([prices[:1, 0], prices[:-1, -1]])
    range_share = (prices.max(axis=1) - prices.min(axis=1)) / prices[:, -1]
    activity = 0.5 + range_share / np.mean(range_share + 1e-12)
    return events_from_columns(
        Kind.BAR,
        number,
        settings.start_ns + length_ns * np.arange(1, len(prices) + 1),
        {
            "open": opens,
            "high": np.maximum(prices.max(axis=1), opens),
            "low": np.minimum(prices.min(axis=1), opens),
            "close": prices[:, -1],
            "volume": settings.volume * activity * rng.lognormal(0.0, 0.5, len(prices)),
        },
    )


def _quotes(
    settings: SimulatedSettings, instrument: Instrument, number: int, prices: Floats, rng: np.random.Generator
) -> _Faults:
    """Return one quote a step, in the middle of it, and which are stale and which crossed."""
    bid, ask = _best(settings, prices.ravel(), instrument.tick)
    stale = rng.random(len(bid)) < settings.stale_rate
    crossed = rng.random(len(bid)) < settings.crossed_rate
    times = _middles(settings, len(bid))
    sizes = rng.lognormal(0.0, 0.7, (2, len(bid))) * settings.volume / settings.steps_per_bar
    quotes = events_from_columns(
        Kind.QUOTE,
        number,
        times,
        {
            "bid": np.where(crossed, ask, bid),
            "ask": np.where(crossed, bid, ask),
            "bid_size": sizes[0],
            "ask_size": sizes[1],
        },
        ts_recv_ns=times + np.where(stale, int(settings.stale_ms * NS_PER_MS), 0),
    )
    return _Faults(quotes, stale, crossed & (bid < ask), np.zeros(len(bid), np.bool_))


def _best(settings: SimulatedSettings, mid: Floats, tick: float) -> tuple[Floats, Floats]:
    """Return the best bid and ask around a price."""
    half = np.maximum(mid * settings.spread_bps * _BPS / 2.0, tick)
    return _ticks(mid - half, tick), _ticks(mid + half, tick)


def _middles(settings: SimulatedSettings, steps: int) -> Ints:
    """Return the middle of every step, UTC nanoseconds."""
    step_ns = period_ns(settings.period) // settings.steps_per_bar
    return settings.start_ns + step_ns * np.arange(steps) + step_ns // 2


def _books(
    settings: SimulatedSettings, instrument: Instrument, number: int, prices: Floats, rng: np.random.Generator
) -> _Faults:
    """Return one book a step, just after its quote, and which are spoofed.

    Sizes lean to the side to which the price goes next, as far as `book_signal` says.
    """
    bid, ask = _best(settings, prices.ravel(), instrument.tick)
    steps, levels = len(bid), settings.book_levels
    moves = np.diff(np.log(prices.ravel()), append=math.log(prices[-1, -1]))
    lean = settings.book_signal * moves / (moves.std() or 1.0)
    lean += math.sqrt(1.0 - settings.book_signal**2) * rng.normal(size=steps)
    usual = settings.volume / settings.steps_per_bar
    columns = {}
    for level in range(1, levels + 1):
        away = (level - 1) * instrument.tick
        sizes = rng.lognormal(0.0, 0.4, (2, steps)) * usual * (1.0 + 0.2 * (level - 1))
        columns[f"bid_{level}"] = _ticks(bid - away, instrument.tick)
        columns[f"ask_{level}"] = _ticks(ask + away, instrument.tick)
        columns[f"bid_size_{level}"] = sizes[0] * np.exp(0.5 * lean)
        columns[f"ask_size_{level}"] = sizes[1] * np.exp(-0.5 * lean)
    names = book_fields(levels)
    books = events_from_columns(Kind.BOOK, number, _middles(settings, steps) + 1, columns, names=names)
    spoofed = rng.random(steps) < settings.spoof_rate
    places, sides = np.flatnonzero(spoofed), rng.choice([-1, 1], int(spoofed.sum()))
    orders = Spoof(places=places, sides=sides, level=2, size=SPOOF_SIZE * usual)
    return _Faults.none(spoof(books, orders))._replace(spoofed=spoofed)


def _changes(settings: SimulatedSettings, closes: Ints) -> tuple[Change, ...]:
    bar, found = 0, []
    for before, after in zip(settings.regimes, settings.regimes[1:], strict=False):
        bar += before.bars
        names = ("drift_bps", "volatility_bps", "momentum")
        changed = tuple(name for name in names if getattr(before, name) != getattr(after, name))
        if changed:
            found.append(Change(bar=bar, ts_event_ns=int(closes[bar]), changed=changed))
    return tuple(found)
