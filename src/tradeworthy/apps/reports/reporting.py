"""One HTML file that tells a run, filled from the record alone: tape, ledger, bundles, gate reports.

Units:  profit and costs in the desk's currency. Spread and slippage are part of the fill prices; they are shown from
        the paper venue's settings, and what was made before them is the rest.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tradeworthy.apps.commands.measuring import champion_decisions, market_inputs
from tradeworthy.apps.commands.results import Page
from tradeworthy.apps.deployment.keeping import read_swaps, recorded
from tradeworthy.apps.explain.explaining import explain_decision
from tradeworthy.apps.reports import run_data as data
from tradeworthy.apps.reports.run_report import render_run
from tradeworthy.change.registry import VersionInfo
from tradeworthy.change.train.training import FULL_ROWS
from tradeworthy.core import facts
from tradeworthy.core.decisions import version_name
from tradeworthy.core.errors import NotFound
from tradeworthy.core.events import FIELDS, Kind, Word
from tradeworthy.core.kernel_cache import fingerprint
from tradeworthy.core.time import NS_PER_MS
from tradeworthy.judge.metrics_trading import drawdown, sharpe
from tradeworthy.judge.validate.gate import GateReport
from tradeworthy.record.reader import TapeReader

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

Records = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
CLOSE = FIELDS[Kind.BAR].index("close")
BPS = 1e-4


def write_report(project: "Project", output: Path | None = None) -> Page:
    """Write the report of everything recorded, and say where it is.

    Raises
    ------
    NotFound
        Nothing was recorded yet.
    """
    path = output or project.places.pages / "report.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = render_run(run_report(project))
    path.write_text(text, "utf-8")
    return Page(path=str(path), size_bytes=len(text.encode()))


def run_report(project: "Project") -> data.RunReport:
    """Fill a report's values from a project's record."""
    reader = recorded(project)
    decisions = champion_decisions(reader)
    if not decisions.size:
        raise NotFound("nothing was decided yet; run: tradeworthy run")
    number = int(decisions["instrument"][0])
    bars, fills = market_inputs(reader, number, Kind.BAR), _fills(reader, number)
    standing = project.registry.standing()
    versions = project.registry.list()
    explained, said = _explained(project)
    return data.RunReport(
        title=f"{project.settings.desk.name}: {project.settings.instrument[number].symbol}",
        generated_ns=project.clock.now_ns(),
        env=project.env,
        span_ns=(int(decisions["ts_event_ns"][0]), int(decisions["ts_event_ns"][-1])),
        runtime=fingerprint(),
        currency=project.settings.instrument[number].currency,
        look=tuple(project.market[1]),
        trainings=tuple(_training(project, info) for info in versions),
        versions=tuple(_version(project, info, decisions) for info in versions),
        gates=tuple(_gates(project, versions)),
        market=_market(project, number, bars, fills) if bars.size > 1 else None,
        outcome=_outcome(project, bars, fills) if bars.size > 1 else None,
        decisions=_decisions(reader, decisions, fills),
        findings=tuple(finding for _, finding in standing.findings),
        swaps=tuple(_swaps(project, reader, decisions)),
        explained=explained,
        verified=_verified(project),
        replayed=_replayed(project),
        remarks=said,
    )


def _fills(reader: TapeReader, number: int) -> Records:
    inputs = reader.read("inputs")
    chosen = (inputs["kind"] == Kind.FILL) & (inputs["instrument"] == number) & (inputs["flags"] == 0)
    found: Records = inputs[chosen]
    return found


def _training(project: "Project", info: VersionInfo) -> data.Training:
    """Return how a version was trained, from its candidate."""
    candidate = project.registry.candidate(info.version)
    walk, performance, metrics = candidate.walk, candidate.performance, candidate.lineage.fold_metrics
    untested = int(metrics.get(FULL_ROWS, candidate.lineage.trained_on_rows)) - len(walk.fold)
    folds = []
    for fold in np.unique(walk.fold):
        stamps = walk.ts_event_ns[walk.fold == fold]
        folds.append(
            data.Fold(
                train_rows=int((walk.ts_event_ns < stamps[0]).sum()) + untested,
                test_rows=len(stamps),
                first_ns=int(stamps[0]),
                last_ns=int(stamps[-1]),
                auc=metrics[f"fold_{fold}_auc"],
                auc_low=float("nan"),
                auc_high=float("nan"),
                log_loss=float("nan"),
            )
        )
    return data.Training(
        version=info.version,
        label=f"{candidate.label.kind} over {candidate.label.horizon} events",
        rows=candidate.lineage.trained_on_rows,
        features=tuple(f"{name}: {candidate.program.describe(name)}" for name in candidate.program.names),
        folds=tuple(folds),
        auc=performance.auc,
        auc_low=performance.auc_low,
        auc_high=performance.auc_high,
        log_loss=performance.log_loss,
        baseline_log_loss=performance.baseline_log_loss,
        parameters=candidate.lineage.parameters,
    )


def _version(project: "Project", info: VersionInfo, decisions: Records) -> data.VersionLine:
    """Return a version's line, with the spans of event time in which it decided."""
    version = project.registry.load(info.version)
    manifest = version.manifest
    mine = decisions["version"] == version.number
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mine.astype(np.int8), [0]])))
    stamps = decisions["ts_event_ns"]
    return data.VersionLine(
        digest=info.version,
        name=info.name,
        author=info.author,
        created_ns=manifest.created_ns,
        purpose=manifest.card.purpose,
        parent=info.parent,
        trained_on_rows=manifest.lineage.trained_on_rows,
        signed_by=info.author,
        approvals=tuple(info.approved_by),
        roles=tuple(
            data.RoleSpan(role="champion", first_ns=int(stamps[first]), last_ns=int(stamps[last - 1]))
            for first, last in zip(edges[::2], edges[1::2], strict=True)
        ),
        decisions=int(mine.sum()),
    )


def _gates(project: "Project", versions: list[VersionInfo]) -> list[GateReport]:
    return [
        GateReport.from_json(project.registry.gate_report(info.version)) for info in versions if info.gate != "missing"
    ]


def _market(project: "Project", number: int, bars: Records, fills: Records) -> data.Market:
    positions = np.cumsum(fills["values"][:, 0])
    return data.Market(
        symbol=project.settings.instrument[number].symbol,
        price=data.Series(bars["ts_event_ns"].copy(), bars["values"][:, CLOSE].copy()),
        trades=data.Trades(fills["ts_event_ns"].copy(), fills["values"][:, 1].copy(), fills["values"][:, 0].copy()),
        position=data.Series(fills["ts_event_ns"].copy(), positions),
    )


def _outcome(project: "Project", bars: Records, fills: Records) -> data.Outcome:
    """Mark the position at every bar's close; fees as the venue charged, spread and slippage as it is set to."""
    stamps, close = bars["ts_event_ns"], bars["values"][:, CLOSE]
    quantity, price, fee = (fills["values"][:, place] for place in range(3))
    paper = project.settings.paper
    spread = np.abs(quantity * price) * paper.half_spread_bps * BPS
    slippage = np.abs(quantity * price) * paper.slippage_bps * BPS
    cash, held = np.cumsum(-quantity * price - fee), np.cumsum(quantity)
    costs = np.cumsum(fee + spread + slippage)
    at = np.searchsorted(fills["sequence"], bars["sequence"]) - 1
    net = np.where(at >= 0, _take(cash, at) + _take(held, at) * close, 0.0)
    gross = net + np.where(at >= 0, _take(costs, at), 0.0)
    returns = np.diff(net)
    per_year = 365.25 * 86_400e9 / float(np.median(np.diff(stamps)))
    trips = _round_trips(quantity, price, fee)
    return data.Outcome(
        gross=data.Series(stamps.copy(), gross),
        net=data.Series(stamps.copy(), net),
        costs=data.Costs(
            gross=float(gross[-1]),
            fees=float(fee.sum()),
            spread=float(spread.sum()),
            slippage=float(slippage.sum()),
            net=float(net[-1]),
        ),
        drawdown_max=drawdown(net).value,
        turnover=float(np.abs(quantity * price).sum()),
        sharpe=sharpe(returns, per_year),
        hit_rate=float(np.mean(trips > 0)) if len(trips) else float("nan"),
    )


def _take(values: Floats, places: npt.NDArray[np.intp]) -> Floats:
    """Return values at places; 0 where there is no value at all."""
    if not len(values):
        return np.zeros(len(places))
    found: Floats = values[np.maximum(places, 0)]
    return found


def _round_trips(quantity: Floats, price: Floats, fee: Floats) -> Floats:
    """Return what each stretch between two flat moments made, after costs."""
    cash, held = np.cumsum(-quantity * price - fee), np.cumsum(quantity)
    flat = np.flatnonzero(np.abs(held) < 1e-9)
    return np.diff(cash[flat], prepend=0.0)


def _decisions(reader: TapeReader, decisions: Records, fills: Records) -> data.Decisions:
    codes, counts = np.unique(decisions["verdict"], return_counts=True)
    inputs = reader.read("inputs")
    return data.Decisions(
        verdicts=dict(zip(codes.tolist(), counts.tolist(), strict=True)),
        orders=len(reader.read("orders")) if "orders" in reader.streams() else 0,
        fills=len(fills),
        rejects=int((inputs["kind"] == Kind.REJECT).sum()),
    )


def _swaps(project: "Project", reader: TapeReader, decisions: Records) -> list[data.Swap]:
    """Return the changes of champion after the first, from control events and the facts behind them."""
    inputs = reader.read("inputs")
    changes = inputs[(inputs["kind"] == Kind.CONTROL) & (inputs["values"][:, 0] == Word.CHAMPION)]
    entries = [entry for entry in project.ledger.facts() if _makes_champion(entry.fact)]
    waits = {swap.sequence: swap for swap in read_swaps(project)}
    found = []
    for before, change, entry in zip(changes[:-1], changes[1:], entries[1:], strict=False):
        after = decisions[decisions["input_sequence"] > change["sequence"]]
        rolled = isinstance(entry.fact, facts.VersionRolledBack)
        found.append(
            data.Swap(
                kind="rollback" if rolled else "promotion",
                ts_ns=int(change["ts_event_ns"]),
                before=version_name(int(before["reference"])),
                to=version_name(int(change["reference"])),
                actor=entry.actor,
                reason=entry.reason,
                ms=waits[int(change["sequence"])].wait_ns / NS_PER_MS if int(change["sequence"]) in waits else math.nan,
                events=waits[int(change["sequence"])].events if int(change["sequence"]) in waits else 0,
                decisions_lost=int(bool(after.size) and after["version"][0] != change["reference"]),
            )
        )
    return found


def _makes_champion(fact: facts.Fact) -> bool:
    """Tell whether a fact put a version in charge."""
    match fact:
        case facts.VersionRolledBack():
            return True
        case facts.VersionPromoted(role=role):
            return role == "champion"
    return False


def _explained(project: "Project") -> tuple[tuple[data.Explained, ...], tuple[str, ...]]:
    """Explain the largest trade, if there was one."""
    try:
        found = explain_decision(project, "largest")
    except NotFound as error:
        return (), (str(error),)
    decision = data.Explained(
        decision=found.decision,
        version=found.version,
        symbol=found.instrument,
        ts_ns=_ns_of(project, found.decision),
        heading="The largest trade",
        baseline=found.baseline,
        prior=found.prior,
        margin=found.margin,
        score=found.score,
        contributions=tuple(
            data.Contribution(
                feature=each.feature, value=each.value, contribution=each.contribution, sentence=each.sentence
            )
            for each in found.reasons
        ),
        sum_error=found.sum_error,
        method=found.method,
    )
    return (decision,), ()


def _ns_of(project: "Project", decision: int) -> int:
    return int(recorded(project).find("decisions", decision)["ts_event_ns"])


def _verified(project: "Project") -> data.Verified:
    result = project.verify()
    return data.Verified(
        ok=result.ok, records=result.records, size_bytes=result.size_bytes, problems=tuple(result.problems)
    )


def _replayed(project: "Project") -> data.Replayed:
    result = project.replay()
    return data.Replayed(
        identical=result.identical,
        decisions=result.decisions,
        orders=result.orders,
        differences=result.differences,
        first_difference=result.first_difference,
        fingerprint_here=fingerprint(),
    )
