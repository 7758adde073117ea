"""What the views need and no single call of `Project` gives: halts with their reasons, exposures, lives, storage."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from tradeworthy.apps.admin.deployment import Deployment
from tradeworthy.apps.commands.project import Project
from tradeworthy.apps.dashboard.desk import Desk, Exposure, Halt, Speed
from tradeworthy.apps.dashboard.limits import unit_of
from tradeworthy.apps.dashboard.telling import FactLine, said_of, told
from tradeworthy.apps.dashboard.versions import Step, Stretch
from tradeworthy.change.release.standing import Standing, stand, stand_on
from tradeworthy.core import facts
from tradeworthy.core.decisions import LATE, Role
from tradeworthy.core.limits import LIMIT_FIELDS, limit_in_words
from tradeworthy.core.time import NS_PER_MS, NS_PER_US, iso
from tradeworthy.live.desk import is_own
from tradeworthy.record.ledger import Entry
from tradeworthy.record.reader import TapeReader

RECENT, CHANGES = 20_000, 6
SPEED_EVERY_S = 2.0
"""Percentiles of thousands of decisions are read again after so long."""

A_DAY_MS = 86_400_000.0
"""Events that come later than this, or not later at all, are those of a market of the past."""


def desk_of(deployment: Deployment) -> Desk:
    """Read what the view of the desk shows beside the present moment."""
    project = deployment.project
    entries, standing = deployment.facts(), deployment.standing()
    approvals = [actor for actor, _ in standing.approvals.get(standing.champion or "", [])]
    return Desk(
        halts=deployment.kept("halts", (entries,), lambda: halts_of(entries)),
        exposures=exposures_of(deployment),
        approved_by=f"approved by {', '.join(approvals)}" if approvals else "no approval needed on paper",
        speed=deployment.lately("speed", SPEED_EVERY_S, lambda: speed_of(project)),
        symbols=deployment.symbols,
        changes=deployment.kept("changes", (entries,), lambda: facts_of(entries, CHANGES)),
    )


def halts_of(entries: Iterable[Entry]) -> list[Halt]:
    """Return the halts that stand, each with the fact that made it."""
    entries = list(entries)
    made = {e.fact.scope: e for e in entries if isinstance(e.fact, facts.TradingHalted)}
    return [
        Halt(scope, made[scope].actor, iso(made[scope].ts_ns), made[scope].reason)
        for scope in sorted(stand(entries).halted)
    ]


def exposures_of(deployment: Deployment) -> list[Exposure]:
    """Return each limit that counts, with what the record says is used of it."""
    limits = deployment.limits()
    bounds = deployment.bounds()
    counts = limits if bounds is None else limits.tightest(bounds)
    used = _used(deployment)
    return [
        Exposure(limit_in_words(name), used.get(name), getattr(counts, name), unit_of(name)) for name in LIMIT_FIELDS
    ]


def _used(deployment: Deployment) -> dict[str, float]:
    """Return what positions and losses take of their limits."""
    frame = deployment.frame()
    with deployment.curves() as curves:
        lines = zip(deployment.symbols, curves.prices, strict=True)
        marks = {symbol: line.values[-1] for symbol, line in lines if line.values.size}
        equity, peak = curves.equity.values, curves.peak
    multipliers = {i.symbol: i.multiplier for i in deployment.instruments}
    held = frame.positions
    values = [abs(quantity) * marks.get(symbol, np.nan) * multipliers[symbol] for symbol, quantity in held.items()]
    return {
        "position_quantity_max": max((abs(quantity) for quantity in held.values()), default=0.0),
        "position_value_max": float(max(values, default=0.0)),
        "drawdown_value_max": max(0.0, peak - float(equity[-1])) if equity.size else 0.0,
    }


def speed_of(project: Project) -> Speed:
    """Return how fast the desk was over its last decisions: from an event to its receipt, and on to the decision."""
    if not project.places.tape.is_dir():
        return Speed()
    reader = TapeReader(project.places.tape)
    if not {"decisions", "inputs"} <= set(reader.streams()):
        return Speed()
    after = max(0, reader.last_sequence() - RECENT)
    made, asked = reader.read("decisions", after=after), reader.read("inputs", after=after)
    made = made[(made["role"] == Role.CHAMPION) & (made["flags"] & LATE == 0)]
    places = np.searchsorted(asked["sequence"], made["input_sequence"])
    there = places < asked.size
    lags = (made["ts_decided_ns"][there] - asked["ts_recv_ns"][places[there]]) / NS_PER_US
    market = asked[~is_own(asked)]
    waits = (market["ts_recv_ns"] - market["ts_event_ns"]) / NS_PER_MS
    past = waits.size > 0 and (not (waits > 0).any() or float(np.median(waits)) > A_DAY_MS)
    feed = None if past else _percentiles(waits)
    return Speed(decision_us=_percentiles(lags[lags > 0]), feed_ms=feed, is_past=past)


def _percentiles(values: npt.NDArray[np.float64]) -> tuple[float, float, float] | None:
    """Return p50, p99 and p99.9."""
    if not values.size:
        return None
    p50, p99, p999 = np.quantile(values, (0.5, 0.99, 0.999)).tolist()
    return p50, p99, p999


def life_of(entries: Iterable[Entry], digest: str) -> list[Step]:
    """Return every fact that names a version."""
    return [
        Step(e.ts_ns, iso(e.ts_ns), said_of(e.fact), e.actor, e.reason)
        for e in entries
        if digest in (getattr(e.fact, "version", ""), getattr(e.fact, "to", ""))
    ]


def stretches_of(entries: Iterable[Entry], now_ns: int) -> list[Stretch]:
    """Return who was in which role when."""
    found: list[Stretch] = []
    since: dict[str, tuple[str, int]] = {}
    standing = Standing()
    for entry in entries:
        stand_on(standing, entry)
        if not isinstance(entry.fact, facts.VersionPromoted | facts.VersionRolledBack):
            continue
        roles = {v: role for v, role in standing.roles().items() if role in ("champion", "shadow", "canary")}
        for version, (role, first_ns) in list(since.items()):
            if roles.get(version) != role:
                found.append(Stretch(version, role, first_ns, entry.ts_ns))
                del since[version]
        since |= {version: (role, entry.ts_ns) for version, role in roles.items() if version not in since}
    return found + [Stretch(version, role, first_ns, now_ns) for version, (role, first_ns) in since.items()]


def facts_of(entries: Iterable[Entry], count: int | None = None) -> list[FactLine]:
    """Return the newest facts in words, the newest first; all of them where no count is given."""
    entries = list(entries)
    told_of = [*zip(entries, told(entries), strict=True)][::-1][:count]
    return [FactLine(e.number, iso(e.ts_ns), type(e.fact).__name__, said, e.actor, e.reason) for e, said in told_of]
