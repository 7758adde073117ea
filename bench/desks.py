"""A whole desk for measurements: a signed version of the engine job, a tape, a paper venue, an engine.

Idea:   nothing is faked. The version is written, signed, verified and loaded; the engine is the one that
        `tradeworthy run` starts; only the feed is a loop of ours, because it holds the clock.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from harness import KEPT, installed
from jobs import ETH, TREES, engine_features, eth_bars, tick_features, train_booster

from tradeworthy.core.events import EventBatch, Kind
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.limits import Limits
from tradeworthy.core.time import MarketClock
from tradeworthy.live.control import ControlBlock
from tradeworthy.live.engine import Engine, EngineSettings
from tradeworthy.live.feeds.emini import EMINI
from tradeworthy.live.venues.paper import Paper, PaperSettings
from tradeworthy.model.features.expressions import Expression, bar, trade
from tradeworthy.model.features.labels import forward_direction
from tradeworthy.model.features.program import compile_program
from tradeworthy.model.features.runtime import FeatureState
from tradeworthy.model.predictors.importing import import_model
from tradeworthy.model.trust import SigningKey, TrustStore
from tradeworthy.model.version import Profile, Signal, Version, load_version, write_version
from tradeworthy.record.tape import TapeWriter

BARS, TRAINED, HORIZON = 35_000, 21_000, 6
TRADING = Signal(enter_long=0.52, exit_long=0.5, enter_short=0.48, exit_short=0.5, allow_short=True)
SILENT = Signal(enter_long=2.0, exit_long=2.0, enter_short=-1.0, exit_short=-1.0)
"""Thresholds that no score reaches: decisions, but never an order."""

LIMITS = Limits(
    price_collar_bps_max=500.0,
    order_value_max=10_000.0,
    order_quantity_max=1_000.0,
    orders_per_minute_max=60.0,
    repeated_orders_max=1_000.0,
    duplicate_window_ms=1.0,
    position_quantity_max=1_000.0,
    position_value_max=10_000.0,
    drawdown_value_max=1e9,
    market_age_ms_max=60_000.0,
)


def engine_model(features: Mapping[str, Expression] | None = None, trees: int = TREES) -> Path:
    """Return the text of the engine job's LightGBM model, trained once on the older bars."""
    features = features or engine_features()
    path = KEPT / f"engine-{installed('lightgbm')}-{trees}-{len(features)}.txt"
    if not path.exists():
        events = eth_bars(TRAINED)
        rows, places = FeatureState(compile_program(features), [ETH]).many(events)
        labels, _, labelled = forward_direction(bar.close, HORIZON).compute(events, 0, [ETH])
        _, rows_at, labels_at = np.intersect1d(places, labelled, return_indices=True)
        train_booster(rows[rows_at], labels[labels_at], trees, path)
    return path


def version_of(folder: Path, *, signal: Signal = TRADING, name: str = "engine", trees: int = TREES) -> Version:
    """Write, sign, load and verify a version of the engine job."""
    program = compile_program(engine_features())
    rows, _ = FeatureState(program, [ETH]).many(eth_bars(BARS))
    predictor = import_model(engine_model(trees=trees), len(program.names))
    return sealed(folder, name, signal=signal, program=program, predictor=predictor, rows=rows)


def sealed(folder: Path, name: str, *, signal: Signal, program: Any, predictor: Any, rows: Any) -> Version:
    """Make a bundle and load it as the engine would."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "bench.key"
    key = SigningKey.load(path) if path.exists() else SigningKey.create(path, "bench")
    trust = TrustStore(folder / "trust")
    trust.add(key.public)
    write_version(
        folder / name,
        name=name,
        created_ns=1,
        author="bench",
        env="paper",
        program=program,
        predictor=predictor,
        profile=Profile.of(rows, predictor.many(rows)),
        golden_rows=rows[:16],
        key=key,
        signal=signal,
        bounds=LIMITS,
    )
    return load_version(folder / name, trust)


def ticks_version(folder: Path, trades: EventBatch) -> Version:
    """Return a version that decides on every trade: eight features, trees trained on the first trades."""
    program = compile_program(tick_features(), trigger=Kind.TRADE)
    rows, places = FeatureState(program, [EMINI]).many(trades)
    path = KEPT / f"ticks-{installed('lightgbm')}.txt"
    if not path.exists():
        labels, _, labelled = forward_direction(trade.price, 100).compute(trades, 0, [EMINI])
        _, rows_at, labels_at = np.intersect1d(places, labelled, return_indices=True)
        train_booster(rows[rows_at[:TRAINED]], labels[labels_at[:TRAINED]], TREES, path)
    predictor = import_model(path, len(program.names))
    return sealed(folder, "ticks", signal=SILENT, program=program, predictor=predictor, rows=rows)


def scores_of(events: EventBatch) -> npt.NDArray[np.float64]:
    """Return the engine job's score of every bar that has one."""
    rows, _ = FeatureState(compile_program(engine_features()), [ETH]).many(events)
    scores: npt.NDArray[np.float64] = import_model(engine_model(), rows.shape[1]).many(rows)[:, 0]
    return scores


@dataclass
class BenchDesk:
    """An engine at work on a tape."""

    folder: Path
    engine: Engine
    clock: MarketClock
    control: ControlBlock

    def consumer(self, events: EventBatch) -> Callable[[int], None]:
        """Return `call(i)`: hand event i to the engine as a live feed does, one by one."""
        singles = [events[i : i + 1].copy() for i in range(len(events))]
        consume, advance = self.engine.consume, self.clock.advance_to
        stamps = events["ts_event_ns"].tolist()

        def call(i: int) -> None:
            advance(stamps[i])
            consume(singles[i])

        return call

    def feed(self, events: EventBatch, stretch: int = 1024) -> int:
        """Hand over a history in stretches, as a feed that runs as fast as possible does."""
        for first in range(0, len(events), stretch):
            part = events[first : first + stretch]
            self.clock.advance_to(int(part["ts_event_ns"][0]))
            self.engine.consume(part)
            self.clock.advance_to(int(part["ts_event_ns"][-1]))
        return len(events)


@contextmanager
def desk(
    folder: Path,
    versions: list[Version],
    *,
    instruments: tuple[Instrument, ...] = (ETH,),
    settings: EngineSettings | None = None,
    start_ns: int = 0,
) -> Iterator[BenchDesk]:
    """Run an engine in a folder; the first version is champion, the others are shadows."""
    folder.mkdir(parents=True, exist_ok=True)
    control, clock = ControlBlock(folder / "control"), MarketClock(start_ns)
    control.set_champion(versions[0].number)
    for shadow in versions[1:]:
        control.add_shadow(shadow.number)
    shelf = {version.number: version for version in versions}
    with TapeWriter.open(folder / "tape", clock=clock) as tape:
        engine = Engine(
            instruments=instruments,
            load=shelf.__getitem__,
            tape=tape,
            control=control,
            venue=Paper(PaperSettings(), instruments),
            clock=clock,
            limits=lambda: LIMITS,
            settings=settings or EngineSettings(stage_in_background=False),
        )
        try:
            yield BenchDesk(folder, engine, clock, control)
        finally:
            engine.close()
