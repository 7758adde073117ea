"""A made-up run, large enough to look like a real one, for tests and for looking at a rendering."""

import numpy as np

from tradeworthy.apps.reports import run_data as data
from tradeworthy.core.findings import Finding
from tradeworthy.judge.validate.check import CheckResult
from tradeworthy.judge.validate.gate import GateReport
from tradeworthy.live.feeds.quality import FileReport, Gap, StampEvidence

START = 1_544_313_600_000_000_000  # 2018-12-09
BAR = 1_800_000_000_000
BARS = 14_004
A = "a3f09c1be77d5a2204e1c8f6b9d0417733aa90ce51d2f8846b07e19c3d5588af"
B = "7be1d20f94c86a5513fe0a9b28d47c6641bb03de92a5f7710c48e62d9f3144c0"


def make_report(seed: int = 7) -> data.RunReport:
    """Return a whole report from one seed."""
    rng = np.random.default_rng(seed)
    ts = START + BAR * np.arange(BARS, dtype=np.int64)
    price = 100 * np.exp(np.cumsum(rng.standard_t(4, BARS) * 0.006))
    price[3000:3010] = np.nan
    end = int(ts[-1])
    promoted, rolled = int(ts[9000]), int(ts[12500])
    return data.RunReport(
        title="ETH 30-minute desk, replayed as a live feed",
        generated_ns=1_763_836_500_000_000_000,
        env="paper",
        span_ns=(int(ts[0]), end),
        runtime="numba 0.68.1, llvmlite 0.50.0, numpy 2.4.6, x86_64",
        look=(_look(),),
        trainings=(_training(rng, A, 0.0), _training(rng, B, 0.01)),
        versions=_versions(int(ts[0]), promoted, rolled, end),
        gates=(_gate(A), _gate(B)),
        market=_market(rng, ts, price),
        outcome=_outcome(rng, ts),
        decisions=data.Decisions(
            verdicts={0: 13_551, 201: 241, 203: 112, 307: 8, 311: 92},
            orders=612,
            fills=612,
            decision_us_p50=14.2,
            decision_us_p99=41.0,
        ),
        findings=_findings(ts),
        watched=(_rolling(rng, ts),),
        swaps=(
            data.Swap(
                kind="promotion",
                ts_ns=promoted,
                before=A,
                to=B,
                actor="policy",
                ms=3.1,
                events=1,
                reason="shadow of 500 bars passed the gate",
                decisions_lost=0,
            ),
            data.Swap(
                kind="rollback",
                ts_ns=rolled,
                before=B,
                to=A,
                actor="demo",
                ms=1.8,
                events=1,
                reason="command given while events flowed",
                decisions_lost=0,
            ),
        ),
        explained=(_explained(rng, int(ts[8123])),),
        verified=data.Verified(
            ok=True, records=56_830, size_bytes=14_020_311, heads="4 signed heads, the last at the seal"
        ),
        replayed=data.Replayed(identical=True, decisions=14_004, orders=612, differences=0),
        remarks=("An AUC near 0.55 out of time is what this data gives; after costs this does not earn its keep.",),
    )


def _look() -> FileReport:
    gaps = [
        Gap(after_ns=START - 90 * BAR * k, before_ns=START - (90 * k - 5) * BAR, missing=4) for k in range(13, 0, -1)
    ]
    return FileReport(
        symbol="ETH", path="ETH.csv", kind="bar", digest="9d" * 32, rows=35_011, events=35_011,
        first_ns=1_507_852_800_000_000_000, last_ns=START + BAR * BARS, period_ns=BAR, gap_count=13, missing=86,
        missing_longest=26, gaps=gaps, out_of_order=0, duplicates=0, conflicting=0, unreadable=0, not_finite=0,
        not_positive=0, inconsistent=0, equal_stamps=0, zero_volume=3, flat=11, off_grid=0, jump_max=0.11,
        jump_ns=START - 500 * BAR,
        stamps=StampEvidence(declared="open", suggested="open", effect=0.09, t=11.2, days=729),
        done=["nothing was changed"],
    )  # fmt: skip


def _training(rng: np.random.Generator, version: str, lift: float) -> data.Training:
    folds = []
    for k in range(5):
        auc = 0.545 + lift + rng.normal() * 0.008
        first = START - (5 - k) * 3000 * BAR
        folds.append(
            data.Fold(train_rows=6000 + 3000 * k, test_rows=2988, first_ns=first, last_ns=first + 2988 * BAR, auc=auc,
                      auc_low=auc - 0.018, auc_high=auc + 0.019, log_loss=0.6905)
        )  # fmt: skip
    return data.Training(
        version=version, label="whether the close is higher 6 bars later", rows=21_006, folds=tuple(folds),
        features=("the log return of close, over 12 bars", "its standard deviation over 60 bars", "BTC's log return"),
        auc=0.546 + lift, auc_low=0.538 + lift, auc_high=0.555 + lift, log_loss=0.6899, baseline_log_loss=0.6928,
        parameters={"num_leaves": "15", "learning_rate": "0.03", "rounds": "200"},
    )  # fmt: skip


def _versions(start: int, promoted: int, rolled: int, end: int) -> tuple[data.VersionLine, ...]:
    span = data.RoleSpan
    return (
        data.VersionLine(
            digest=A, name="A", author="ann", created_ns=start - BAR, trained_on_rows=21_006, signed_by="desk key 4f21",
            purpose="direction of ETH over three hours", approvals=("ben",), decisions=10_504,
            roles=(
                span(role="champion", first_ns=start, last_ns=promoted),
                span(role="champion", first_ns=rolled, last_ns=end),
            ),
        ),
        data.VersionLine(
            digest=B, name="B", author="policy", created_ns=promoted - 900 * BAR, parent=A, trained_on_rows=28_000,
            decisions=3_500,
            roles=(
                span(role="training", first_ns=promoted - 900 * BAR, last_ns=promoted - 500 * BAR),
                span(role="shadow", first_ns=promoted - 500 * BAR, last_ns=promoted),
                span(role="champion", first_ns=promoted, last_ns=rolled),
            ),
        ),
    )  # fmt: skip


def _gate(version: str) -> GateReport:
    rows = [
        ("parity_features", "stream and batch give the same bits", "0 of 5,000 rows differ", None),
        ("parity_serving", "error at most 1e-5", "largest error 4.4e-16 over 5,000 rows", None),
        ("performance", "lower bound above 0.500", "AUC 0.546", (0.538, 0.555)),
        ("beats_baseline", "log loss below the base rate's", "0.6899 against 0.6928", None),
        ("latency", "p99 at most 1,000 µs", "p50 13 µs, p99 38 µs over 2,000 decisions", None),
        ("artifact_safety", "signed, digests hold, data only", "6 files", None),
        ("limits_complete", "every limit set", "10 of 10", None),
    ]
    results = [CheckResult(name=n, requirement=r, measured=m, interval=i, verdict="pass") for n, r, m, i in rows]
    return GateReport(version=version, profile="quick", passed=True, results=results, created_ns=START - BAR)


def _market(rng: np.random.Generator, ts: data.Nanoseconds, price: data.Floats) -> data.Market:
    places = np.sort(rng.choice(np.arange(300, BARS - 10)[np.isfinite(price[300 : BARS - 10])], 612, replace=False))
    side = np.where(np.arange(612) % 2 == 0, 1.0, -1.0)
    held = np.zeros(BARS)
    np.add.at(held, places, side * 4.5)
    return data.Market(
        symbol="ETH",
        price=data.Series(ts, price),
        trades=data.Trades(ts[places], price[places], side * 4.5),
        position=data.Series(ts, np.cumsum(held)),
    )


def _outcome(rng: np.random.Generator, ts: data.Nanoseconds) -> data.Outcome:
    gross = np.cumsum(rng.normal(0.012, 2.2, BARS))
    paid = np.linspace(0, 700, BARS)
    net = gross - paid
    costs = data.Costs(gross=float(gross[-1]), fees=420.0, spread=190.0, slippage=90.0, net=float(net[-1]))
    fall = float((np.maximum.accumulate(net) - net).max())
    holding = np.cumsum(rng.normal(0.01, 3.5, BARS))
    return data.Outcome(
        gross=data.Series(ts, gross), net=data.Series(ts, net), holding=data.Series(ts, holding), costs=costs,
        drawdown_max=fall, turnover=275_400.0, sharpe=-1.12, hit_rate=0.527,
    )  # fmt: skip


def _findings(ts: data.Nanoseconds) -> tuple[Finding, ...]:
    common = {"sequence": 20_000, "statistic": 7.1, "threshold": 6.0, "false_alarms_per_10k": 1.0}
    return (
        Finding(
            monitor="drift", subject="volatility_60", kind="data_drift",
            ts_event_ns=int(ts[7600]), since_ns=int(ts[7390]), observed=0.0021,
            reference=0.0063, unit="log return", **common,
            sentence="volatility_60 fell from 0.0063 to 0.0021 and has stayed there.",
        ),
        Finding(
            monitor="performance", subject="ETH", kind="performance", severity="critical", ts_event_ns=int(ts[8050]),
            since_ns=int(ts[7500]), observed=0.48, reference=0.53, unit="hit rate", **common,
            sentence="The share of right directions fell from 0.53 to 0.48.",
        ),
    )  # fmt: skip


def _rolling(rng: np.random.Generator, ts: data.Nanoseconds) -> data.Rolling:
    values = 0.54 + np.cumsum(rng.normal(0, 0.0006, BARS))
    values[:500] = np.nan
    return data.Rolling(
        name="AUC of the last 500 decisions",
        unit="AUC",
        series=(("champion", data.Series(ts, values)),),
        expected=0.546,
    )


def _explained(rng: np.random.Generator, ts_ns: int) -> data.Explained:
    names = [f"feature_{k}" for k in range(12)]
    names[:4] = ["log_return_12", "volatility_60", "btc_log_return_6", "hour_sin"]
    parts = rng.normal(0, 0.06, 12)
    words = {0: "log_return_12 is high (higher than 93% of the training rows), which speaks for a rise."}
    rows = tuple(
        data.Contribution(feature=n, value=float(rng.normal()), contribution=float(c), sentence=words.get(k, ""))
        for k, (n, c) in enumerate(zip(names, parts, strict=True))
    )
    total = 0.02 + float(parts.sum())
    return data.Explained(
        decision=31_702, version=A, symbol="ETH", ts_ns=ts_ns, heading="The largest trade", baseline=0.02, margin=total,
        score=1 / (1 + np.exp(-total)), contributions=rows, sum_error=2.2e-16, method="exact TreeSHAP, path-dependent",
    )  # fmt: skip
