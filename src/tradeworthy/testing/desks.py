"""A whole small desk in a folder: signed versions, control block, tape, paper venue, engine.

For drills: everything is real but the model, whose trees are drawn from a seed, and the clock, which the feed moves. A
user's own venue, feed or clock takes the place of ours by an argument.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from tradeworthy.core.decisions import version_number
from tradeworthy.core.errors import NotFound
from tradeworthy.core.events import EventBatch, Kind, events_from_columns, merge
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.limits import Limits
from tradeworthy.core.time import NS_PER_MINUTE, Clock, VirtualClock
from tradeworthy.live.control import ControlBlock
from tradeworthy.live.engine import Engine, EngineSettings
from tradeworthy.live.feeds.replay import ReplayFeed
from tradeworthy.live.summary import RunSummary
from tradeworthy.live.venues.base import Venue
from tradeworthy.live.venues.paper import Paper, PaperSettings
from tradeworthy.model.features.expressions import bar, log_return, on
from tradeworthy.model.features.program import Program, compile_program
from tradeworthy.model.features.runtime import FeatureState
from tradeworthy.model.predictors.base import Predictor
from tradeworthy.model.predictors.forest import Forest
from tradeworthy.model.predictors.tree_table import Link, Reading
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.model.version import Profile, Signal, SigningKey, TrustStore, Version, load_version, write_version
from tradeworthy.record.disk import Disk
from tradeworthy.record.tape import Durability, TapeWriter

INSTRUMENTS = (Instrument(symbol="ETH"), Instrument(symbol="BTC", traded=False))
BAR_NS = 30 * NS_PER_MINUTE
START_NS = 1_600_000_000 * 1_000_000_000
SPLITS = 3
NODES = 2 * SPLITS + 1

LIMITS = Limits(
    price_collar_bps_max=200.0,
    order_value_max=5_000.0,
    order_quantity_max=100.0,
    orders_per_minute_max=30.0,
    repeated_orders_max=8.0,
    duplicate_window_ms=100.0,
    position_quantity_max=100.0,
    position_value_max=5_000.0,
    drawdown_value_max=100_000.0,
    market_age_ms_max=60_000.0,
)


def market(bars: int, seed: int = 0, *, first_bar: int = 0) -> EventBatch:
    """Return bars of both instruments, BTC's before ETH's at each time."""
    return merge([_walk(1, bars, seed + 1, first_bar), _walk(0, bars, seed, first_bar)])


def _walk(instrument: int, bars: int, seed: int, first_bar: int) -> EventBatch:
    rng = np.random.default_rng(seed)
    close = 300.0 * np.exp(np.cumsum(rng.normal(0.0, 0.004, bars)))
    opened = np.concatenate([[300.0], close[:-1]])
    columns = {
        "open": opened,
        "high": np.maximum(opened, close) * 1.001,
        "low": np.minimum(opened, close) * 0.999,
        "close": close,
        "volume": rng.uniform(1.0, 100.0, bars),
    }
    times = START_NS + BAR_NS * np.arange(first_bar + 1, first_bar + bars + 1, dtype=np.int64)
    return events_from_columns(Kind.BAR, instrument, times, columns)


def small_program(window: int = 10) -> Program:
    """Return five features, one of them BTC's."""
    returns = log_return(bar.close)
    features = {
        "last_return": returns,
        "trend": returns.mean(window),
        "volatility": returns.std(2 * window),
        "z": bar.close.zscore(2 * window),
        "btc_return": on("BTC", returns),
    }
    return compile_program(features)


def random_trees(rows: np.ndarray, seed: int, count: int = 16) -> Trees:
    """Return trees of depth two whose splits are drawn from the rows' own values; scores are spread over 0 to 1."""
    rng = np.random.default_rng(seed)
    nodes = count * NODES
    place = np.arange(nodes) % NODES
    split = place < SPLITS
    base = np.arange(nodes) - place
    feature = rng.integers(0, rows.shape[1], nodes)
    return Trees.from_forest(
        Forest(
            source="drawn from a seed",
            n_features=rows.shape[1],
            tree=np.arange(nodes) // NODES,
            left=np.where(split, base + 2 * place + 1, -1),
            right=np.where(split, base + 2 * place + 2, -1),
            feature=np.where(split, feature, -1),
            reading=np.full(nodes, int(Reading.PLAIN)),
            missing_left=np.zeros(nodes, np.bool_),
            threshold=rows[rng.integers(0, len(rows), nodes), feature],
            value=np.where(split, 0.0, rng.normal(0.0, 0.3, nodes)),
            cover=np.ones(nodes),
            category=np.full(nodes, -1),
            link=Link.SIGMOID,
        )
    )


@dataclass
class Shelf:
    """A folder of signed versions."""

    folder: Path
    versions: dict[int, Version] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Make or find the key that signs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "drill.key"
        self.key = SigningKey.load(path) if path.exists() else SigningKey.create(path, "drill")
        self.trust = TrustStore(self.folder / "trust")
        self.trust.add(self.key.public)

    def make(
        self,
        seed: int,
        *,
        signal: Signal | None = None,
        bounds: Limits | None = None,
        program: Program | None = None,
        predictor: Callable[[np.ndarray], Predictor] | None = None,
    ) -> Version:
        """Write, sign, load and keep a version drawn from a seed."""
        program = program or small_program()
        rows, _ = FeatureState(program, INSTRUMENTS).many(market(400, seed=1_000))
        made = predictor(rows) if predictor is not None else random_trees(rows, seed)
        name = f"drill-{seed}-{len(self.versions)}"
        digest = write_version(
            self.folder / name,
            name=name,
            created_ns=START_NS,
            author="drill",
            env="paper",
            program=program,
            predictor=made,
            profile=Profile.of(rows, made.many(rows)),
            golden_rows=rows[:8],
            key=self.key,
            signal=signal or Signal(enter_long=0.5, exit_long=0.5),
            bounds=bounds or LIMITS,
        )
        version = load_version(self.folder / name, self.trust)
        self.versions[version_number(digest)] = version
        return version

    def load(self, number: int) -> Version:
        """Return a version by number.

        Raises
        ------
        NotFound
            It was never made here.
        """
        if number not in self.versions:
            raise NotFound(f"no version {number:016x} on this shelf; make it first")
        return self.versions[number]


class SmallDesk:
    """An engine with all that it needs, in a folder.

    Parameters
    ----------
    folder : Path
    versions : int
        How many to make; the first is the champion.
    shelf : Shelf, optional
        Versions that are there already, from another run in the same process.
    venue, clock, limits, settings, instruments, durability, disk : optional
        In place of the paper venue, a virtual clock, `LIMITS`, quick settings, ETH and BTC, and the machine's disk.
    """

    def __init__(
        self,
        folder: Path,
        *,
        versions: int = 1,
        shelf: Shelf | None = None,
        venue: Venue | None = None,
        clock: Clock | None = None,
        limits: Limits = LIMITS,
        settings: EngineSettings | None = None,
        instruments: Sequence[Instrument] = INSTRUMENTS,
        durability: Durability = "process",
        disk: Disk | None = None,
    ) -> None:
        self.folder, self.limits, self.instruments = folder, limits, tuple(instruments)
        folder.mkdir(parents=True, exist_ok=True)
        self.shelf = shelf or Shelf(folder / "versions")
        while len(self.shelf.versions) < versions:
            self.shelf.make(len(self.shelf.versions))
        self.numbers = list(self.shelf.versions)
        self.control = ControlBlock(folder / "control")
        if not self.control.view().champion:
            self.control.set_champion(self.numbers[0])
        self.clock = clock or VirtualClock(START_NS)
        self.venue = venue or Paper(PaperSettings(), self.instruments)
        self.tape = TapeWriter.open(folder / "tape", clock=self.clock, durability=durability, disk=disk)
        self.settings = settings or EngineSettings(stage_in_background=False)
        self.engine = Engine(
            instruments=self.instruments,
            load=self.shelf.load,
            tape=self.tape,
            control=self.control,
            venue=self.venue,
            clock=self.clock,
            limits=lambda: self.limits,
            settings=self.settings,
        )

    def run(self, events: EventBatch, *, batch_max: int = 64) -> RunSummary:
        """Feed events through the engine, in batches, and return the summary."""
        feed = ReplayFeed(events, clock=self.clock, batch_max=batch_max)
        return asyncio.run(self.engine.run(feed))

    def close(self) -> None:
        """Keep a checkpoint, seal the tape."""
        self.engine.close()
        self.tape.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
