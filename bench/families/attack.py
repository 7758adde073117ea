"""Attacking: how many decisions fall at each epsilon, what proves that others cannot, and what both cost.

Every budget, and ART's HopSkipJump on the same rows where it is installed, go to `bench/attack.json`.
"""

import json
import subprocess
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from harness import HERE, KEPT, PEERS, Aim, Peer, Report, Setting, context, digits, installed
from jobs import FEATURES, LEAVES, TREES, Floats, booster, rows_of
from measure import rates

from tradeworthy.judge.robust.levers import Levers, Movable, bind_levers
from tradeworthy.judge.robust.measure import cuts_around
from tradeworthy.judge.robust.search import Target, decision_attack
from tradeworthy.judge.robust.tree_attack import TreeAttack, attack_trees
from tradeworthy.judge.robust.tree_bounds import certify
from tradeworthy.model.predictors.importing import import_model

AIMS = {
    "attack_found_at_01": Aim("share", "higher", 0.95),
    "attack_found_at_03": Aim("share", "higher", 0.95),
    "attack_success_at_03": Aim("share", "higher", 0.57),
    "attack_ms_per_row_at_01": Aim("ms", "lower", 5.0),
    "attack_ms_per_row_at_03": Aim("ms", "lower", 5.0),
    "attack_movable_ms_per_row_at_03": Aim("ms", "lower", 5.0),
    "certificate_us_per_row": Aim("us", "lower", 40.0),
    "undecided_movable_at_01": Aim("share", "lower", 0.03),
    "undecided_movable_at_03": Aim("share", "lower", 0.08),
    "decision_attack_success_at_03": Aim("share", "higher", 0.43),
}
OUT = HERE / "attack.json"
ART = PEERS / "art" / "bin" / "python"
MOVABLE, CUT, ROWS, PEER_ROWS, DECISION_ROWS = 8, 0.5, 500, 60, 40
STARTS = (0, 3, 10)
BUDGETS: dict[str, dict[str, int]] = {
    "small": {"max_iter": 3, "max_eval": 200, "init_eval": 20},
    "large": {"max_iter": 10, "max_eval": 1_000, "init_eval": 100},
}


@dataclass(frozen=True)
class Job:
    """The job's trees, rows around the cut, and levers on all features and on those a participant can move."""

    trees: Any
    rows: Floats
    std: Floats
    cuts: tuple[Floats, Floats]
    whole: Levers
    movable: Levers


def job(setting: Setting) -> Job:
    """Make the job: levers in standard deviations, epsilon 1 is one of them."""
    trees = import_model(booster(), FEATURES)
    rows = rows_of(setting.count(ROWS), seed=setting.seed + 3)
    std, names = rows_of(4_096, seed=setting.seed).std(axis=0), [f"f{place}" for place in range(FEATURES)]
    cuts = cuts_around(trees.many(rows)[:, 0], np.array([CUT]))
    whole, movable = (
        bind_levers([Movable(features=tuple(names[:count]))], names, std) for count in (FEATURES, MOVABLE)
    )
    return Job(trees, rows, std, cuts, whole, movable)


def run(setting: Setting, report: Report) -> None:
    """Measure the family."""
    done = job(setting)
    budgets = _trees(setting, report, done)
    _certificate(setting, report, done)
    budgets += _decisions(setting, report, done)
    peers = _art(setting, done) if setting.peers else []
    best = max((each for each in peers if each["epsilon"] == 0.3), key=lambda each: each["success"], default=None)
    if best is not None:
        peer = Peer(f"ART HopSkipJump, {best['budget']} budget", str(best["version"]), float(best["success"]))
        figure = report.figures["attack_success_at_03"]
        note = f"{figure.note}; the peer on {PEER_ROWS} of them at {best['ms_per_row']:.0f} ms a row"
        report.add("attack_success_at_03", figure.value, peer=peer, note=note)
    about = {
        "job": f"{TREES} trees x {LEAVES} leaves, {FEATURES} features, cut {CUT}, epsilon in standard deviations",
        "rows": len(done.rows),
        "movable": MOVABLE,
        "lightgbm": installed("lightgbm"),
    }
    written = {
        "about": about | context(quick=setting.quick, realtime=False),
        "figures": [figure.record() for figure in report.figures.values()],
        "budgets": budgets,
        "peers": peers or "not run: make bench-peers, then --peers",
    }
    OUT.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


def _attacked(done: Job, levers: Levers, epsilon: float, starts: int, seed: int) -> tuple[TreeAttack, float]:
    """Attack all rows; return what was found and processor milliseconds a row."""
    begun = time.process_time_ns()
    rng = np.random.default_rng(seed)
    found = attack_trees(done.trees, levers.at(epsilon), done.rows, *done.cuts, starts=starts, rng=rng)
    return found, (time.process_time_ns() - begun) / 1e6 / len(done.rows)


def _trees(setting: Setting, report: Report, done: Job) -> list[dict[str, Any]]:
    """Attack with several budgets of random starts, on all features and on those that can be moved."""
    _attacked(done, done.whole, 0.1, 0, setting.seed)  # compiled before it is timed
    kept = []
    for levers, which in ((done.whole, "all"), (done.movable, "movable")):
        for epsilon, name in ((0.1, "01"), (0.3, "03")):
            for starts in STARTS:
                found, spent_ms = _attacked(done, levers, epsilon, starts, setting.seed)
                success, safe = float(found.broken.mean()), float(found.safe.mean())
                gap = float((~found.broken & ~found.safe).mean())
                kept.append(
                    {
                        "attack": "greedy",
                        "features": which,
                        "epsilon": epsilon,
                        "budget": f"{starts} random starts",
                        "success": digits(success),
                        "certified": digits(safe),
                        "undecided": digits(gap),
                        "ms_per_row": digits(spent_ms),
                    }
                )
                if starts == STARTS[1]:
                    _told(report, which, name, kept[-1])
    return kept


def _told(report: Report, which: str, name: str, found: dict[str, Any]) -> None:
    """Report the middle budget's figures."""
    shares = f"{found['success']:.3f} broken, {found['certified']:.3f} certified, {found['undecided']:.3f} undecided"
    if which == "all":
        found_share = found["success"] / max(1.0 - found["certified"], 1e-9)
        note = f"of the rows that are not proved safe, those broken; all {FEATURES} features: {shares}"
        report.add(f"attack_found_at_{name}", found_share, note=note)
        if name == "03":
            report.add("attack_success_at_03", found["success"], note=f"all {FEATURES} features: {shares}")
        report.add(f"attack_ms_per_row_at_{name}", found["ms_per_row"], note="proofs included, 3 random starts")
        return
    report.add(f"undecided_movable_at_{name}", found["undecided"], note=f"{MOVABLE} movable features: {shares}")
    if name == "03":
        report.add("attack_movable_ms_per_row_at_03", found["ms_per_row"], note=f"{MOVABLE} movable features")


def _certificate(setting: Setting, report: Report, done: Job) -> None:
    levers = done.movable.at(0.1)
    taken = rates(
        {"ours": lambda: certify(done.trees, levers, done.rows) and len(done.rows)},
        repeats=setting.repeats(21),
        clock=time.process_time_ns,
    )
    micro = 1e6 / np.array(taken["ours"])
    report.add("certificate_us_per_row", float(np.median(micro)), note=f"{MOVABLE} movable features at epsilon 0.1")


def _decisions(setting: Setting, report: Report, done: Job) -> list[dict[str, Any]]:
    """Attack from decisions alone, as HopSkipJump does, within the box of epsilon 0.3."""
    kept = []
    for queries in (400, 2_000):
        begun, broken = time.process_time_ns(), 0
        rng = np.random.default_rng(setting.seed)
        count = setting.count(DECISION_ROWS)
        for place in range(count):
            target = Target(
                score=lambda asked: done.trees.many(asked)[:, 0],
                row=done.rows[place],
                levers=done.whole.at(0.3),
                below=float(done.cuts[0][place]),
                above=float(done.cuts[1][place]),
            )
            broken += decision_attack(target, queries=queries, rng=rng)[0] is not None
        spent_ms = (time.process_time_ns() - begun) / 1e6 / count
        share = broken / count
        kept.append(
            {
                "attack": "decisions",
                "features": "all",
                "epsilon": 0.3,
                "budget": f"{queries} queries",
                "success": digits(share),
                "ms_per_row": digits(spent_ms),
            }
        )
    report.add(
        "decision_attack_success_at_03", share, note=f"{queries} queries on {count} rows, {spent_ms:.1f} ms a row"
    )
    return kept


def _art(setting: Setting, done: Job) -> list[dict[str, Any]]:
    """Let ART attack the first rows with each budget; success is a distance of at most epsilon."""
    if not ART.exists():
        return []
    model = next(KEPT.glob(f"lightgbm-*-{TREES}x{LEAVES}-{FEATURES}.txt"))
    kept = []
    for name, budget in BUDGETS.items():
        asked = {
            "model": str(model),
            "rows": done.rows[:PEER_ROWS].tolist(),
            "std": done.std.tolist(),
            "mask": [1.0] * FEATURES,
            "budget": budget,
            "seed": setting.seed,
        }
        command = [str(ART), str(HERE / "peers" / "art_attack.py")]
        told = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=True)  # noqa: S603
        answer = json.loads(told.stdout.splitlines()[-1])
        distances = np.array([np.inf if each is None else each for each in answer["distances"]])
        kept += [
            {
                "attack": "ART HopSkipJump",
                "version": answer["version"],
                "epsilon": epsilon,
                "budget": name,
                "success": digits(float((distances <= epsilon).mean())),
                "ms_per_row": digits(answer["ms_per_row"]),
                "rows": len(distances),
            }
            for epsilon in (0.1, 0.3)
        ]
    return kept
