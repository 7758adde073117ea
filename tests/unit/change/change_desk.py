"""A small desk for the tests of change: a market with an edge, a strategy, versions, and a tape without an engine."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from tradeworthy.change.registry import Registry, VersionSettings
from tradeworthy.change.release.release import Release
from tradeworthy.change.train.candidate import Candidate
from tradeworthy.change.train.strategy import Strategy, load_strategy
from tradeworthy.change.train.training import TrainingSettings, train
from tradeworthy.core.decisions import DECISION, Role, row_dtype, version_name
from tradeworthy.core.events import EventBatch, Kind, event_dtype, events_from_columns
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.limits import Limits
from tradeworthy.core.time import NS_PER_MINUTE, NS_PER_S, VirtualClock
from tradeworthy.judge.validate.documents import DocumentsSettings
from tradeworthy.judge.validate.gate import GateReport
from tradeworthy.live.control import ControlBlock
from tradeworthy.model.features.runtime import FeatureState
from tradeworthy.model.manifest import Card
from tradeworthy.model.trust import SigningKey, TrustStore
from tradeworthy.model.version import Version
from tradeworthy.record.ledger import Ledger
from tradeworthy.record.tape import Stream, TapeWriter

INSTRUMENTS = (Instrument(symbol="ETH"),)
BAR_NS = 30 * NS_PER_MINUTE
START_NS = 1_500_000_000 * NS_PER_S
HORIZON = 3
EVERY_LIMIT = Limits(**dict.fromkeys(Limits.__struct_fields__, 1e9))
CARD = Card(
    purpose="Tests.",
    owner="the tests",
    data="Bars whose returns follow one another.",
    strategy_summary="It follows the last returns.",
    known_failure_modes="A price that is a random walk.",
    next_review="2999-12-31",  # in date by the clock of another process, too
)
REVIEWED = DocumentsSettings(review_within_days=10**6)
SETTINGS = VersionSettings(name="small", bounds=EVERY_LIMIT, card=CARD)
TRAINING = TrainingSettings(folds=3, golden_rows=120)

STRATEGY = '''
import lightgbm

import tradeworthy as tw
from tradeworthy import bar

returns = tw.log_return(bar.close)
features = {"return_1": returns, "mean_4": returns.mean(4), "volatility_12": returns.std(12)}
label = tw.forward_direction(bar.close, 3)


def train(rows, labels):
    """Fit a few small trees."""
    settings = {"objective": "binary", "num_leaves": 4, "verbose": -1, "num_threads": 1, "seed": SEED}
    settings |= {"deterministic": True, "bagging_fraction": 0.7, "bagging_freq": 1}
    return lightgbm.train(settings, lightgbm.Dataset(rows, labels), num_boost_round=12)
'''


def market(n: int = 1_500, *, seed: int = 1, start: int = 0, level: float = 0.0, scale: float = 1.0) -> EventBatch:
    """Bars whose returns follow one another, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    returns = np.zeros(n)
    for i in range(1, n):
        returns[i] = 0.4 * returns[i - 1] + scale * 0.004 * rng.standard_normal() + level
    close = 300.0 * np.exp(np.cumsum(returns))
    wick = np.exp(0.001 * np.abs(rng.standard_normal(n)))
    opened = np.concatenate([[300.0], close[:-1]])
    return events_from_columns(
        Kind.BAR,
        0,
        START_NS + BAR_NS * np.arange(start, start + n, dtype=np.int64),
        {
            "open": opened,
            "high": np.maximum(opened, close) * wick,
            "low": np.minimum(opened, close) / wick,
            "close": close,
            "volume": np.exp(rng.standard_normal(n)),
        },
    )


def write_strategy(folder: Path, text: str = STRATEGY, *, seed: int = 1) -> Path:
    """Write a strategy file."""
    path = folder / "strategy.py"
    wanted = text.replace("SEED", str(seed))
    if not path.exists() or path.read_text("utf-8") != wanted:  # another process may be reading it
        path.write_text(wanted, "utf-8")
    return path


@cache
def _strategy(folder: Path, seed: int) -> Strategy:
    return load_strategy(write_strategy(folder, seed=seed))


@cache
def _trained(seed: int) -> Candidate:
    import tempfile  # noqa: PLC0415  # only the first test of a run trains

    with tempfile.TemporaryDirectory() as folder:
        strategy = _strategy(Path(folder), seed)
        return train(strategy, market(), INSTRUMENTS, TRAINING, clock=VirtualClock(START_NS + seed))


def trained(seed: int = 1) -> Candidate:
    """Return a candidate trained on the market; the same seed is trained once a run."""
    return _trained(seed)


@dataclass
class Desk:
    """The parts of a deployment in a folder."""

    folder: Path
    clock: VirtualClock
    ledger: Ledger
    key: SigningKey
    registry: Registry
    release: Release

    def registered(self, seed: int = 1, author: str = "ada") -> str:
        """Register a trained candidate."""
        return self.registry.register(trained(seed), SETTINGS, key=self.key, author=author, reason="a test")

    def judged(self, digest: str, *, passed: bool = True) -> str:
        """Record a gate report with that outcome."""
        self.clock.advance_to(self.clock.now_ns() + 1)
        report = GateReport(version=digest, profile="quick", passed=passed, results=[], created_ns=self.clock.now_ns())
        self.registry.record_gate(report, actor="ada", reason="a test")
        return digest

    def champion(self, seed: int = 1) -> str:
        """Register, judge and promote."""
        digest = self.judged(self.registered(seed))
        return self.release.promote(digest, "champion", actor="ada", reason="a test")

    def close(self) -> None:
        """Let go of the ledger."""
        self.ledger.close()


def desk(folder: Path, *, env: str = "paper") -> Desk:
    """Make a deployment with a key that it trusts."""
    folder.mkdir(parents=True, exist_ok=True)
    clock = VirtualClock(START_NS)
    ledger = Ledger(folder / "ledger.db", clock=clock)
    key = SigningKey.create(folder / "author.key", "ada")
    trust = TrustStore(folder / "trust")
    trust.add(key.public)
    registry = Registry(folder, ledger=ledger, trust=trust, env=env)
    release = Release(registry, ControlBlock(folder / "control"), INSTRUMENTS)
    return Desk(folder, clock, ledger, key, registry, release)


class Recorder:
    """Writes what an engine would: every event, each version's decision on it, and the rows that were scored."""

    def __init__(self, folder: Path, versions: dict[Version, Role]) -> None:
        self.tape = TapeWriter.open(folder, clock=VirtualClock(START_NS), segment_bytes=1 << 20)
        self.inputs = self.tape.stream("inputs", event_dtype())
        self.decisions = self.tape.stream("decisions", DECISION)
        self.versions = versions
        self.states = {version.number: FeatureState(version.program, INSTRUMENTS) for version in versions}
        self.rows = {version.number: self._rows(version) for version in versions}

    def _rows(self, version: Version) -> Stream:
        dtype = row_dtype(len(version.program.names), 1)
        return self.tape.stream(f"rows-{version_name(version.number)}", dtype)

    def record(self, events: EventBatch) -> None:
        """Write events, and decisions of those that were scored."""
        first = self.inputs.append(events)
        for version, role in self.versions.items():
            rows, places = self.states[version.number].many(events)
            scores = version.predictor.many(rows)
            decisions = np.zeros(len(places), DECISION)
            decisions["input_sequence"] = first + places.astype(np.uint64)
            decisions["ts_event_ns"] = events["ts_event_ns"][places]
            decisions["version"], decisions["role"] = version.number, role
            decisions["score"] = scores[:, 0]
            sequence = self.decisions.append(decisions)
            records = np.zeros(len(places), self.rows[version.number].dtype)
            records["decision"] = sequence + np.arange(len(places))
            records["row"], records["scores"] = rows, scores
            self.rows[version.number].append(records)

    def close(self) -> None:
        """Seal the tape."""
        self.tape.close()
