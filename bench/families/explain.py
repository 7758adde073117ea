"""Explaining: exact Shapley values of one decision and of many, beside LightGBM's and shap's own.

Every peer's figures, each contender in the same turns, go to `bench/explain.json`.
"""

import json
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from floors import Sweep, Walk, library
from harness import HERE, Aim, Peer, Report, Setting, context, digits, installed
from jobs import FEATURES, Floats, booster, rows_of
from measure import Samples, in_turn, median_of, rates

from tradeworthy.judge.explain.interventional import InterventionalShap
from tradeworthy.judge.explain.treeshap import TreeShap
from tradeworthy.model.predictors.importing import import_model
from tradeworthy.model.predictors.tree_table import read_slots

AIMS = {
    "explain_one_us_p50": Aim("us", "lower", 350.0),
    "explain_one_us_p99": Aim("us", "lower", 500.0),
    "explain_many_rows_per_s": Aim("rows/s", "higher", 5_000),
    "explain_against_one_us_p50": Aim("us", "lower", 40.0),
    "explain_against_one_rows_per_s": Aim("rows/s", "higher", 20_000),
    "explain_error_lightgbm_max": Aim("margin", "lower", 1e-9),
    "explain_error_shap_max": Aim("margin", "lower", 1e-9),
    "explain_sum_error_max": Aim("margin", "lower", 1e-9),
}
OUT = HERE / "explain.json"
BATCH, CHECKED = 256, 512
CLOCK = time.process_time_ns
LIGHTGBM, SHAP = "LightGBM pred_contrib", "shap TreeExplainer"
AGAINST = "shap TreeExplainer, one baseline"


@dataclass(frozen=True)
class Job:
    """One model as everybody has it, and the calls that explain (m, n) rows."""

    trees: Any
    model: Any
    rows: Floats
    path: TreeShap
    against: InterventionalShap
    calls: dict[str, Callable[[Floats], Any]]


def job(setting: Setting) -> Job:
    """Make every contender's explainer of the same trees."""
    import shap  # noqa: PLC0415 - a peer

    model, rows = booster(), rows_of(2_048, seed=setting.seed + 1)
    trees, base = import_model(model, FEATURES), rows_of(1, seed=setting.seed + 2)
    path, against = TreeShap(trees), InterventionalShap(trees, base)
    theirs, theirs_against = shap.TreeExplainer(model), shap.TreeExplainer(model, data=base)
    calls: dict[str, Callable[[Floats], Any]] = {
        "ours": lambda rows: path.explain(rows).contributions,
        LIGHTGBM: lambda rows: model.predict(rows, pred_contrib=True, num_threads=1)[:, :-1],
        SHAP: theirs.shap_values,
        "ours, one baseline": lambda rows: against.explain(rows).contributions,
        AGAINST: theirs_against.shap_values,
    }
    return Job(trees, model, rows, path, against, calls)


def run(setting: Setting, report: Report) -> None:
    """Measure the family."""
    warnings.filterwarnings("ignore", category=UserWarning, module="shap")
    done = job(setting)
    errors(report, done)
    one, many = _one(setting, report, done), _many(setting, report, done)
    peers = {
        name: {"one_us_p50": one[name].quantile(0.5).value, "rows_per_s": median_of(many[name]).value}
        for name in done.calls
    }
    about = {"job": "200 trees x 31 leaves, 32 features", "lightgbm": installed("lightgbm"), "shap": installed("shap")}
    written = {
        "about": about | context(quick=setting.quick, realtime=False),
        "figures": [figure.record() for figure in report.figures.values()],
        "contenders": {name: {key: digits(value) for key, value in row.items()} for name, row in peers.items()},
    }
    OUT.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


def errors(report: Report, done: Job) -> None:
    """Compare contributions with the peers' and with the margin."""
    rows = done.rows[:CHECKED]
    ours = done.path.explain(rows)
    for name, figure in ((LIGHTGBM, "explain_error_lightgbm_max"), (SHAP, "explain_error_shap_max")):
        apart = np.abs(ours.contributions - done.calls[name](rows)).max()
        report.add(figure, float(apart), note=f"largest difference from {name} on {CHECKED} rows and every feature")
    found = [ours, done.against.explain(rows)]
    off = [np.abs(each.baseline + each.contributions.sum(axis=1) - each.explained).max() for each in found]
    report.add("explain_sum_error_max", float(max(off)), note="path-dependent and against one baseline")


def _one(setting: Setting, report: Report, done: Job) -> dict[str, Samples]:
    """Time one row, contender by contender."""
    singles = [done.rows[i : i + 1] for i in range(len(done.rows))]
    calls = {name: lambda i, call=call: call(singles[i]) for name, call in done.calls.items()}
    taken = in_turn(calls, count=setting.count(500), repeats=setting.repeats(21))
    ours, against = taken["ours"], taken["ours, one baseline"]
    for name, share in (("explain_one_us_p50", 0.5), ("explain_one_us_p99", 0.99)):
        report.add(
            name,
            ours.quantile(share),
            floor=floor_path_us(done, 1) if share == 0.5 else None,
            peer=Peer(LIGHTGBM, installed("lightgbm"), taken[LIGHTGBM].quantile(share).value),
            note="path-dependent, called from Python; floor: the same two sweeps in C, without Python"
            if share == 0.5
            else "",
        )
    report.add(
        "explain_against_one_us_p50",
        against.quantile(0.5),
        floor=floor_against_us(done),
        peer=Peer(AGAINST, installed("shap"), taken[AGAINST].quantile(0.5).value),
        note="interventional, one row against one baseline row; floor: both rows walked in C, nothing attributed",
    )
    return taken


def _many(setting: Setting, report: Report, done: Job) -> dict[str, list[float]]:
    """Count rows a second in batches, contender by contender."""
    rows = done.rows[:BATCH]
    calls = {name: lambda call=call: len(call(rows)) for name, call in done.calls.items()}
    taken = rates(calls, repeats=setting.repeats(11), clock=CLOCK)
    for name, ours, peer, version in (
        ("explain_many_rows_per_s", "ours", LIGHTGBM, "lightgbm"),
        ("explain_against_one_rows_per_s", "ours, one baseline", AGAINST, "shap"),
    ):
        path = name == "explain_many_rows_per_s"
        report.add(
            name,
            median_of(taken[ours]),
            floor=_per_s(floor_path_us(done, BATCH)) if path else _per_s(floor_against_us(done)),
            peer=Peer(peer, installed(version), median_of(taken[peer]).value),
            note=f"batches of {BATCH} rows, one core; processor time",
        )
    return taken


def _per_s(us: float | None) -> float | None:
    return None if us is None else 1e6 / us


def floor_path_us(done: Job, block: int) -> float | None:
    """Return what one row costs in C where so many are explained together: the least of all repeats."""
    found = library()
    if found is None:
        return None
    sweeps = [Sweep(found, table, done.trees) for table in done.path.tables()]
    numbers = np.empty((block, len(done.trees.table.slots)))
    for place in range(block):
        read_slots(done.trees.table, done.rows[place], numbers[place])
    contributions = np.sum([sweep.seconds(numbers)[1] for sweep in sweeps], axis=0)
    np.testing.assert_allclose(contributions, done.path.explain(done.rows[:block]).contributions, atol=1e-9)
    repeats = 21 if block > 1 else 501
    return min(sum(sweep.seconds(numbers)[0] for sweep in sweeps) for _ in range(repeats)) / block * 1e6


def floor_against_us(done: Job) -> float | None:
    """Return what walking two rows costs in C."""
    found = library()
    if found is None:
        return None
    walk, pair = Walk(found, done.model), np.ascontiguousarray(done.rows[:2], np.float32)
    return min(walk.seconds(pair)[0] for _ in range(501)) * 1e6
