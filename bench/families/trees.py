"""Scoring: one row and many, beside LightGBM's own calls and the walk in C."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from floors import Walk, library
from harness import Aim, Peer, Report, Setting, installed
from jobs import FEATURES, Floats, booster, rows_of, single_row_fast
from measure import Samples, in_turn, median_of, rates, ratio_of

from tradeworthy.model.predictors.importing import import_model

AIMS = {
    "trees_one_us_p50": Aim("us", "lower", 5.0),
    "trees_one_us_p99": Aim("us", "lower", 12.0),
    "trees_one_vs_booster_ratio": Aim("times", "higher", 7.0),
    "trees_many_rows_per_s": Aim("rows/s", "higher", 350_000),
    "trees_error_max": Aim("score", "lower", 1e-12),
}
BATCH, BLOCK = 1000, 32
FAST = "LightGBM single-row-fast (ctypes)"


@dataclass(frozen=True)
class Job:
    """One model as everybody has it."""

    trees: Any
    model: Any
    walk: Walk | None
    rows: Floats


def run(setting: Setting, report: Report) -> None:
    """Measure the family."""
    model, rows, found = booster(), rows_of(4096, seed=setting.seed + 1), library()
    job = Job(import_model(model, FEATURES), model, None if found is None else Walk(found, model), rows)
    _one(setting, report, job)
    _many(setting, report, job)
    error = np.abs(job.trees.many(rows)[:, 0] - model.predict(rows, num_threads=1)).max()
    report.add("trees_error_max", float(error), note="largest difference from Booster.predict on 4,096 rows")


def _one(setting: Setting, report: Report, job: Job) -> None:
    trees, model, rows = job.trees, job.model, job.rows
    singles, pairs = list(rows), [rows[i : i + 1] for i in range(len(rows))]
    calls: dict[str, Callable[[int], object]] = {
        "ours": lambda i: trees.one(singles[i]),
        "fast": single_row_fast(model, FEATURES, rows),
        "booster": lambda i: model.predict(pairs[i], num_threads=1),
    }
    taken = in_turn(calls, count=setting.count(4_000), repeats=setting.repeats(21))
    floor = None
    if job.walk is not None:
        floor = 1e6 / median_of(rates({"c": _walker(job.walk, rows, 1)}, repeats=9)["c"]).value
    _report_one(report, taken, floor)


def _report_one(report: Report, taken: dict[str, Samples], floor_us: float | None) -> None:
    version, ours, fast = installed("lightgbm"), taken["ours"], taken["fast"]
    report.add(
        "trees_one_us_p50",
        ours.quantile(0.5),
        floor=floor_us,
        peer=Peer(FAST, version, fast.quantile(0.5).value),
        note="200 trees x 31 leaves, 32 features, called from Python; floor: the same trees in C, without Python",
    )
    report.add("trees_one_us_p99", ours.quantile(0.99), peer=Peer(FAST, version, fast.quantile(0.99).value))
    report.add(
        "trees_one_vs_booster_ratio",
        ratio_of(taken["booster"].medians, ours.medians),
        peer=Peer("LightGBM Booster.predict, us", version, taken["booster"].quantile(0.5).value),
        note="how many times faster than Booster.predict on one row, one thread",
    )


def _many(setting: Setting, report: Report, job: Job) -> None:
    rows = job.rows[:BATCH]
    calls: dict[str, Callable[[], int]] = {
        "ours": lambda: len(job.trees.many(rows)),
        "booster": lambda: len(job.model.predict(rows, num_threads=1)),
    }
    if job.walk is not None:
        calls["c"] = _walker(job.walk, rows, BLOCK)
    taken = rates(calls, repeats=setting.repeats(31))
    report.add(
        "trees_many_rows_per_s",
        median_of(taken["ours"]),
        floor=median_of(taken["c"]).value if "c" in taken else None,
        peer=Peer("LightGBM Booster.predict", installed("lightgbm"), median_of(taken["booster"]).value),
        note=f"batches of {BATCH:,} rows, one core; floor: the same blocks in C with float32 thresholds",
    )


def _walker(walk: Walk, rows: Floats, block: int) -> Callable[[], int]:
    single = np.ascontiguousarray(rows, np.float32)
    return lambda: len(walk.seconds(single, block)[1])
