"""What a run's report is made of: plain, immutable values that the desk fills from the record.

Idea:   a report never reads a tape or a ledger; whoever fills these values has read them, and a test can make them up.
        Where another room already has the right value (a file's look, the gate's report, a finding) it is used as is.
        A part that is absent is reported as absent; nothing missing looks like something good.
Units:  times are UTC nanoseconds; money is in `currency`; prices in the instrument's currency.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.findings import Finding
from tradeworthy.judge.validate.gate import GateReport
from tradeworthy.live.feeds.quality import FileReport

Floats = npt.NDArray[np.float64]
Nanoseconds = npt.NDArray[np.int64]


class Series(msgspec.Struct, frozen=True, eq=False):
    """A value over time: (n,) ascending UTC nanoseconds, (n,) float64; NaN leaves a gap."""

    ts_ns: Nanoseconds
    values: Floats


class Fold(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the walk-forward: what it was trained and tested on, and how well it ranked the test rows."""

    train_rows: int
    test_rows: int
    first_ns: int
    last_ns: int
    auc: float
    auc_low: float
    auc_high: float
    log_loss: float


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """How one version was trained, and what it scored on rows it had not seen.

    Attributes
    ----------
    version : str
        Its digest.
    label, features : str, tuple of str
        What it predicts, and the features it reads, in words.
    auc, auc_low, auc_high : float
        Out-of-fold over all folds, with its confidence interval.
    interval_method : str
        How the interval was made, in words.
    baseline : str
        The naive forecast it was compared with; `baseline_log_loss` is its loss.
    """

    version: str
    label: str
    rows: int
    features: tuple[str, ...]
    folds: tuple[Fold, ...]
    auc: float
    auc_low: float
    auc_high: float
    log_loss: float
    baseline_log_loss: float
    interval_method: str = "95% interval by moving-block bootstrap, because labels overlap"
    baseline: str = "the base rate of the training rows"
    parameters: Mapping[str, str] = {}


class RoleSpan(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of event time in which a version had a role."""

    role: Literal["champion", "shadow", "canary", "training"]
    first_ns: int
    last_ns: int


class VersionLine(msgspec.Struct, frozen=True, kw_only=True):
    """One version: what it is called, where it came from, and its roles in this run."""

    digest: str
    name: str
    author: str
    created_ns: int
    purpose: str = ""
    parent: str | None = None
    trained_on_rows: int = 0
    signed_by: str = ""
    approvals: tuple[str, ...] = ()
    roles: tuple[RoleSpan, ...] = ()
    decisions: int = 0


class Trades(msgspec.Struct, frozen=True, eq=False):
    """The venue's fills: (n,) times, prices, signed quantities (above zero bought), and the version that asked."""

    ts_ns: Nanoseconds
    prices: Floats
    quantities: Floats


class Market(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What was traded: the price as the engine saw it, and the fills."""

    symbol: str
    price: Series
    trades: Trades
    position: Series


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """From the result before costs to the result after; costs are amounts of zero or more."""

    gross: float
    fees: float
    spread: float
    slippage: float
    net: float

    @property
    def total(self) -> float:
        """All costs together."""
        return self.fees + self.spread + self.slippage


class Outcome(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The trading result over time, and the figures that sum it up.

    Attributes
    ----------
    gross, net : Series
        Profit and loss since the start, before and after costs.
    holding : Series or None
        What simply holding the instrument would have made, at the same notional.
    drawdown_max : float
        The largest fall of `net` from its highest value so far; zero or more.
    turnover : float
        Traded value.
    sharpe : float
        Of `net`, annualised; NaN where it is undefined.
    """

    gross: Series
    net: Series
    costs: Costs
    drawdown_max: float
    turnover: float
    sharpe: float
    hit_rate: float
    holding: Series | None = None


class Decisions(msgspec.Struct, frozen=True, kw_only=True):
    """How many decisions, and by verdict: `core.denials.DenialCode` numbers to counts, 0 for none refused."""

    verdicts: Mapping[int, int]
    orders: int
    fills: int
    rejects: int = 0
    decision_us_p50: float = float("nan")
    decision_us_p99: float = float("nan")

    @property
    def total(self) -> int:
        """Every decision of a champion."""
        return sum(self.verdicts.values())

    @property
    def denied(self) -> int:
        """Decisions in which something was refused, warming up left out."""
        return sum(count for code, count in self.verdicts.items() if code not in {0, 201})


class Rolling(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A realised metric over time beside what training led to expect."""

    name: str
    unit: str
    series: tuple[tuple[str, Series], ...]
    expected: float | None = None
    expected_name: str = "out of fold"
    remark: str = ""


class Swap(msgspec.Struct, frozen=True, kw_only=True):
    """One change of champion while events flowed.

    Attributes
    ----------
    ms : float
        From the command to the first decision of `to`.
    events : int
        Events consumed in between, each decided by `before`.
    decisions_lost : int
        Events that should have been decided and were not.
    """

    kind: Literal["promotion", "rollback"]
    ts_ns: int
    before: str
    to: str
    actor: str
    reason: str
    ms: float
    events: int
    decisions_lost: int


class Contribution(msgspec.Struct, frozen=True, kw_only=True):
    """What one feature added to a score, and the sentence that says so."""

    feature: str
    value: float
    contribution: float
    sentence: str = ""


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """One decision, explained: `baseline` plus `prior` and all contributions is `margin`, up to `sum_error`."""

    decision: int
    version: str
    symbol: str
    ts_ns: int
    heading: str
    baseline: float
    margin: float
    score: float
    contributions: tuple[Contribution, ...]
    sum_error: float
    method: str
    unit: str = "log-odds"
    prior: float = 0.0


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What checking every byte of the record gave."""

    ok: bool
    records: int
    size_bytes: int
    problems: tuple[str, ...] = ()
    heads: str = ""


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What deciding everything again from the recorded inputs gave."""

    identical: bool
    decisions: int
    orders: int
    differences: int
    first_difference: str = ""
    fingerprint_recorded: str = ""
    fingerprint_here: str = ""


class RunReport(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Everything that the report of one run shows. A part left at its default is reported as not part of the run."""

    title: str
    generated_ns: int
    env: str
    span_ns: tuple[int, int]
    runtime: str
    currency: str = "USD"
    look: tuple[FileReport, ...] = ()
    trainings: tuple[Training, ...] = ()
    versions: tuple[VersionLine, ...] = ()
    gates: tuple[GateReport, ...] = ()
    market: Market | None = None
    outcome: Outcome | None = None
    decisions: Decisions | None = None
    findings: tuple[Finding, ...] = ()
    watched: tuple[Rolling, ...] = ()
    swaps: tuple[Swap, ...] = ()
    explained: tuple[Explained, ...] = ()
    verified: Verified | None = None
    replayed: Replayed | None = None
    remarks: tuple[str, ...] = ()
