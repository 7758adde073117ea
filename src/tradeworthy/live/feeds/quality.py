"""The Look: what is in a market file, before anything is trained on it or traded with it.

Idea:   counting is separate from mending. Every oddity is counted as found, and what was done with it is said beside.
Flow:   `files.py` reads and mends; it fills a `FileReport`, and `FileReport.sentences()` says it to a person.
Time:   stamps in a report are those of events (a bar's close), UTC nanoseconds.
Undefined: without a calendar a gap cannot be told from a closed market; the report counts both as gaps.
"""

import math
from collections.abc import Mapping
from typing import Literal

import msgspec
import numpy as np

from tradeworthy.core.time import NS_PER_DAY, NS_PER_HOUR, iso
from tradeworthy.live.feeds.mending import Floats, Found, Ints, Table

BarTime = Literal["open", "close"]
GAPS_LISTED = 100
_SURE_T = 4.0  # daily means are close to independent; four standard errors are beyond chance
_DAYS_MIN = 20


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Bars that are not there, between two that are."""

    after_ns: int
    before_ns: int
    missing: int


class StampEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """What the data itself says about whether stamps are opens or closes of bars.

    People and programs act on the full hour, so the bar that begins there carries more volume than the one before it
    ends. `effect` is the mean log ratio of the volume stamped on the hour to that stamped one period later; it is
    positive where stamps are opens. `t` is its distance from zero in standard errors over days.
    """

    declared: BarTime
    suggested: Literal["open", "close", "undecided"]
    effect: float
    t: float
    days: int

    @property
    def agrees(self) -> bool:
        """Tell whether the data does not contradict the declaration."""
        return self.suggested in {self.declared, "undecided"}

    def sentence(self) -> str:
        """Say the evidence in words."""
        if self.suggested == "undecided":
            return f"stamps are declared as bar {self.declared}s; the volume does not decide it (t = {self.t:.1f})"
        verb = "agrees" if self.agrees else "CONTRADICTS"
        return (
            f"stamps are declared as bar {self.declared}s; the data {verb}: the volume stamped on the hour differs by "
            f"{100 * math.expm1(self.effect):+.0f}% from that stamped one period later "
            f"(t = {self.t:.1f} over {self.days} days), which suggests {self.suggested}s"
        )


class FileReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in one market file and what was done with it.

    Attributes
    ----------
    rows, events : int
        Lines read; events given.
    first_ns, last_ns : int
        Event times of the first and last event; 0 where there is none.
    gaps : list of Gap
        The first 100; `gap_count`, `missing` and `missing_longest` count all.
    out_of_order, duplicates, conflicting, unreadable, not_finite, not_positive, inconsistent : int
        Rows with an earlier stamp than one before; with the stamp of another row (bars only), of which `conflicting`
        with other values; with no readable stamp; with a value that is no number; with a price of zero or less;
        bars whose high or low excludes one of their own prices, or quotes with the bid above the ask.
    equal_stamps, zero_volume, flat, off_grid : int
        Found and kept: trades or quotes that share a stamp, bars without volume, bars with one price only, bars not on
        the grid of the period.
    jump_max : float
        The largest absolute log return between neighbouring events, and `jump_ns` its time.
    done : list of str
        What was done with what was found.
    digest : str
        SHA-256 of the file's bytes.
    """

    symbol: str
    path: str
    kind: str
    digest: str
    rows: int
    events: int
    first_ns: int
    last_ns: int
    period_ns: int | None
    gap_count: int
    missing: int
    missing_longest: int
    gaps: list[Gap]
    out_of_order: int
    duplicates: int
    conflicting: int
    unreadable: int
    not_finite: int
    not_positive: int
    inconsistent: int
    equal_stamps: int
    zero_volume: int
    flat: int
    off_grid: int
    jump_max: float
    jump_ns: int
    stamps: StampEvidence | None
    done: list[str]

    def sentences(self) -> list[str]:
        """Say the report to a person, the most important first."""
        if not self.events:
            return [f"{self.symbol}: {self.rows:,} rows read from {self.path}, no usable event", *self.done]
        span = f"{iso(self.first_ns)} to {iso(self.last_ns)}"
        said = [f"{self.symbol}: {self.rows:,} rows read, {self.events:,} {self.kind} events, {span}"]
        if self.period_ns:
            said.append(
                f"{self.gap_count} gaps, {self.missing} bars missing, at most {self.missing_longest} in a row; "
                "nothing was filled in"
            )
        said.append(
            f"{self.duplicates} duplicates, {self.out_of_order} out of order, {self.inconsistent} inconsistent, "
            f"{self.not_finite} not finite, {self.not_positive} not positive, {self.unreadable} unreadable stamps"
        )
        said.append(f"kept: {self.zero_volume} without volume, {self.flat} flat, {self.equal_stamps} with equal stamps")
        said.append(f"largest move between neighbours {100 * self.jump_max:.1f}% (log) at {iso(self.jump_ns)}")
        if self.stamps is not None:
            said.append(self.stamps.sentence())
        return said + self.done


def report_file(
    *,
    symbol: str,
    path: str,
    kind: str,
    digest: str,
    found: Found,
    table: Table,
    shift_ns: int,
    length_ns: int | None,
    declared: BarTime | None,
) -> FileReport:
    """Look at the rows that are left, and join that with what was found on the way to them.

    `shift_ns` leads from the file's stamps to event times; `length_ns` is a bar's length, None for other kinds.
    """
    stamps, columns = table.stamps_ns, table.columns
    times = stamps + shift_ns
    gaps = find_gaps(times, length_ns) if length_ns else []
    jump_max, jump_ns = largest_move(_price(columns), times)
    volume = columns.get("volume", np.empty(0))
    return FileReport(
        symbol=symbol,
        path=path,
        kind=kind,
        digest=digest,
        rows=found.rows,
        events=len(table),
        first_ns=int(times[0]) if len(times) else 0,
        last_ns=int(times[-1]) if len(times) else 0,
        period_ns=length_ns,
        gap_count=len(gaps),
        missing=sum(gap.missing for gap in gaps),
        missing_longest=max((gap.missing for gap in gaps), default=0),
        gaps=gaps[:GAPS_LISTED],
        out_of_order=found.out_of_order,
        duplicates=found.duplicates,
        conflicting=found.conflicting,
        unreadable=found.unreadable,
        not_finite=found.not_finite,
        not_positive=found.not_positive,
        inconsistent=found.inconsistent,
        equal_stamps=int(np.count_nonzero(np.diff(stamps) == 0)),
        zero_volume=int(np.count_nonzero(volume == 0)),
        flat=int(np.count_nonzero(columns["high"] == columns["low"])) if length_ns else 0,
        off_grid=int(np.count_nonzero(stamps % length_ns)) if length_ns else 0,
        jump_max=jump_max,
        jump_ns=jump_ns,
        stamps=stamp_evidence(stamps, volume, length_ns, declared) if length_ns and declared else None,
        done=list(found.done) or ["every row was used as it stands"],
    )


def _price(columns: Mapping[str, Floats]) -> Floats:
    """Return one price a row: a bar's close, a trade's price, or the middle of a quote."""
    for bid, ask in (("bid", "ask"), ("bid_1", "ask_1")):
        if bid in columns:
            return (columns[bid] + columns[ask]) / 2.0
    return columns["close"] if "close" in columns else columns["price"]


def find_gaps(stamps_ns: Ints, period_ns: int) -> list[Gap]:
    """Return every place where neighbouring stamps, (n,) ascending, lie more than one period apart."""
    steps = np.diff(stamps_ns)
    return [
        Gap(
            after_ns=int(stamps_ns[place]),
            before_ns=int(stamps_ns[place + 1]),
            missing=max(1, round(int(steps[place]) / period_ns) - 1),
        )
        for place in np.flatnonzero(steps > period_ns)
    ]


def largest_move(prices: Floats, stamps_ns: Ints) -> tuple[float, int]:
    """Return the largest absolute log return between neighbours, prices (n,) positive, and the time it ended."""
    if len(prices) < 2:
        return 0.0, int(stamps_ns[0]) if len(stamps_ns) else 0
    moves = np.abs(np.diff(np.log(prices)))
    place = int(np.argmax(moves))
    return float(moves[place]), int(stamps_ns[place + 1])


def stamp_evidence(stamps_ns: Ints, volume: Floats, period_ns: int, declared: BarTime) -> StampEvidence:
    """Judge from volume whether the file's own stamps, (n,) ascending, are opens or closes of bars.

    Only bars of half an hour or less can tell: the comparison needs two bars of one hour.
    """
    days = _daily_effects(stamps_ns, volume, period_ns)
    if len(days) < _DAYS_MIN:
        return StampEvidence(declared=declared, suggested="undecided", effect=0.0, t=0.0, days=len(days))
    effect = float(days.mean())
    error = float(days.std(ddof=1)) / math.sqrt(len(days))
    t = effect / error if error > 0 else 0.0
    suggested: Literal["open", "close", "undecided"] = "undecided"
    if abs(t) >= _SURE_T:
        suggested = "open" if t > 0 else "close"
    return StampEvidence(declared=declared, suggested=suggested, effect=effect, t=t, days=len(days))


def _daily_effects(stamps_ns: Ints, volume: Floats, period_ns: int) -> Floats:
    """Return each day's mean log ratio of volume stamped on the hour to volume stamped one period later."""
    if NS_PER_HOUR % period_ns or period_ns > NS_PER_HOUR // 2:
        return np.empty(0)
    sound = volume > 0
    stamps, logs = stamps_ns[sound], np.log(volume[sound])
    pairs = np.flatnonzero((stamps[:-1] % NS_PER_HOUR == 0) & (np.diff(stamps) == period_ns))
    if not len(pairs):
        return np.empty(0)
    _, day = np.unique(stamps[pairs] // NS_PER_DAY, return_inverse=True)
    sums = np.bincount(day, weights=logs[pairs] - logs[pairs + 1])
    means: Floats = sums / np.bincount(day)
    return means
