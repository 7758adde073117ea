"""Candidates for the gate's tests: a good one, and others that differ from it in one fault."""

import tempfile
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
from change_desk import (
    EVERY_LIMIT,
    INSTRUMENTS,
    REVIEWED,
    SETTINGS,
    START_NS,
    STRATEGY,
    TRAINING,
    Desk,
    market,
    write_strategy,
)

from tradeworthy.change.evidence.gather import gather
from tradeworthy.change.evidence.gatherers import GATHERERS
from tradeworthy.change.train.candidate import Candidate
from tradeworthy.change.train.strategy import load_strategy
from tradeworthy.change.train.training import train
from tradeworthy.core.time import VirtualClock
from tradeworthy.judge.validate.gate import GateReport, GateSettings, judge
from tradeworthy.judge.validate.latency import LatencySettings

BARS = 1_500
SIGNAL = msgspec.structs.replace(
    SETTINGS.signal, enter_long=0.6, exit_long=0.5, enter_short=0.4, exit_short=0.5, allow_short=True
)
VERSION = msgspec.structs.replace(SETTINGS, signal=SIGNAL)
PATIENT = GateSettings(latency=LatencySettings(us_p99_max=1e9), documents=REVIEWED)
"""Requirements that do not mind a busy machine."""


@cache
def events(kind: str = "edge"):
    """Return a market: with an edge, a random walk, with a volume that knows the future, or the same over and over."""
    made = market(BARS)
    if kind == "noise":
        made["values"][:, :4] = walk_prices()
    elif kind == "leaky":
        levels = np.log(made["values"][:, 3])
        ahead = np.append(levels[3:], np.full(3, levels[-1])) - levels
        noise = 0.2 * np.random.default_rng(5).standard_normal(BARS)
        made["values"][:, 4] = np.exp(ahead / ahead.std() + noise)
    elif kind == "breaking":
        made["values"][BARS // 2 :] = events("leaky")["values"][BARS // 2 :]
    elif kind == "repeated":
        made["values"] = np.tile(made["values"][:125], (BARS // 125, 1))
    return made


def walk_prices() -> np.ndarray:
    """Return open, high, low and close of a random walk."""
    rng = np.random.default_rng(8)
    close = 300.0 * np.exp(np.cumsum(0.004 * rng.standard_normal(BARS)))
    opened = np.concatenate([[300.0], close[:-1]])
    return np.column_stack([opened, np.maximum(opened, close), np.minimum(opened, close), close])


@cache
def candidate(text: str = STRATEGY, kind: str = "edge", seed: int = 1) -> Candidate:
    """Train a strategy's text on a market; the same is trained once a run."""
    with tempfile.TemporaryDirectory() as folder:
        strategy = load_strategy(write_strategy(Path(folder), text, seed=seed))
        return train(strategy, events(kind), INSTRUMENTS, TRAINING, clock=VirtualClock(START_NS + seed))


def register(home: Desk, made: Candidate, **changes: object) -> str:
    """Register a candidate, with changes to what the desk adds."""
    settings = msgspec.structs.replace(VERSION, **changes)
    return home.registry.register(made, settings, key=home.key, author="ada", reason="a test")


def judged(
    home: Desk,
    digest: str,
    *,
    text: str = STRATEGY,
    kind: str = "edge",
    profile: str = "quick",
    seed: int = 1,
    settings: GateSettings = PATIENT,
    only: tuple[type, ...] = (),
    **given: object,
) -> GateReport:
    """Gather and judge; with `only`, gather nothing but those parts."""
    gatherers = [each for each in GATHERERS if not only or each.kind in only]
    told = {
        "limits": EVERY_LIMIT,
        "events": events(kind),
        "cost_bps": 1.0,
        "training": TRAINING,
        "clock": home.clock,
    } | given
    evidence = gather(
        home.registry,
        digest,
        instruments=INSTRUMENTS,
        profile=profile,
        settings=settings,
        gatherers=gatherers,
        strategy=write_strategy(home.folder, text, seed=seed) if profile == "full" else None,
        **told,
    )
    return judge(evidence, settings, clock=home.clock)


def verdicts(report: GateReport) -> dict[str, str]:
    """Return each check's verdict by its name."""
    return {result.name: result.verdict for result in report.results}


__all__ = ["PATIENT", "candidate", "events", "judged", "register", "verdicts"]
