"""The archive: a question over ten million decisions, and what one of them costs on disk."""

import importlib.util
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from harness import Aim, Peer, Report, Setting, unpin
from measure import median_of, rates

from tradeworthy.core.decisions import DECISION, Role
from tradeworthy.core.time import SystemClock
from tradeworthy.record.archive import ArchiveSettings, archive_tape
from tradeworthy.record.tape import TapeWriter

AIMS = {
    "archive_query_s": Aim("s", "lower", 0.6),
    "archive_bytes_per_decision": Aim("bytes", "lower", 64.0),
    "archive_decisions_per_s": Aim("decisions/s", "higher", 200_000),
}
PART = 100_000
QUERY = (
    "select ts_event_ns // 3600000000000 as hour, -sum(quantity * price) as cash "
    "from {source} group by hour order by hour"
)


def run(setting: Setting, report: Report) -> None:
    """Measure the family, where its packages are installed."""
    missing = [name for name in ("duckdb", "pyarrow") if importlib.util.find_spec(name) is None]
    if missing:
        for name in AIMS:
            report.add(name, None, note=f"{' and '.join(missing)} not installed: pip install 'tradeworthy[archive]'")
        return
    count = 500_000 if setting.quick else 10_000_000
    with tempfile.TemporaryDirectory(dir=setting.folder) as name:
        tape = Path(name) / "tape"
        _write(tape, count, np.random.default_rng(setting.seed))
        _archive(report, tape)
        if setting.quick:
            report.add("archive_query_s", None, note="not in a quick run")
        else:
            _query(setting, report, tape, count)


def _decisions(count: int, first: int, rng: np.random.Generator) -> npt.NDArray[np.void]:
    """Return decisions as a busy desk makes them: irregular times, scores of full precision, prices on a tick."""
    made = np.zeros(count, DECISION)
    place = np.arange(first, first + count)
    made["input_sequence"] = 3 * place + 1
    made["ts_event_ns"] = 1_600_000_000_000_000_000 + place * 50_000_000 + rng.integers(0, 40_000_000, count)
    made["ts_decided_ns"] = made["ts_event_ns"] + rng.lognormal(10.0, 0.4, count).astype(np.int64)
    made["version"] = 0x9F3A2C4D5E6F7081
    made["score"] = 1.0 / (1.0 + np.exp(-rng.normal(0.0, 0.3, count)))
    made["price"] = np.round((2_000.0 + np.cumsum(rng.normal(0.0, 0.02, count))) / 0.01) * 0.01
    held = np.repeat(rng.choice([0.0, 0.41, -0.37], count // 20 + 1), 20)[:count]
    made["position"], made["target"] = held, np.roll(held, -1)
    made["quantity"] = made["target"] - made["position"]
    made["observed"], made["limit"] = np.nan, np.nan
    made["role"] = Role.CHAMPION
    return made


def _write(tape: Path, count: int, rng: np.random.Generator) -> None:
    with TapeWriter.open(tape, clock=SystemClock()) as writer:
        stream = writer.stream("decisions", DECISION)
        for first in range(0, count, PART):
            stream.append(_decisions(PART, first, rng))


def _archive(report: Report, tape: Path) -> None:
    """Move every sealed segment; the newest stays, so cost is taken from those moved."""
    settings = ArchiveSettings(after_s=0.0)
    taken: list[tuple[int, int]] = []

    def move() -> int:
        moved = archive_tape(tape, settings, clock=SystemClock()).moved
        taken.extend((each.records, each.archive_bytes) for each in moved)
        return sum(each.records for each in moved)

    rate = rates({"ours": move}, repeats=1, warm=False)["ours"]
    records, size = (sum(column) for column in zip(*taken, strict=True))
    note = f"{records:,} decisions without their rows, Parquet with zstd; on the tape {DECISION.itemsize} bytes each"
    report.add("archive_bytes_per_decision", size / records, note=note)
    report.add("archive_decisions_per_s", median_of(rate), note="packed, rebuilt, compared, then moved; once")


def _query(setting: Setting, report: Report, tape: Path, count: int) -> None:
    """Ask DuckDB over the archive, and SQLite over a table of the same fields."""
    import duckdb  # noqa: PLC0415 - an optional package

    unpin()
    source = f"read_parquet('{tape}/archive/**/*.parquet')"
    database, peer = duckdb.connect(), _sqlite(tape.parent / "peer.sqlite", count, np.random.default_rng(setting.seed))
    calls: dict[str, Callable[[], int]] = {
        "ours": lambda: len(database.execute(QUERY.format(source=source)).fetchall()),
        "sqlite": lambda: len(peer.execute(QUERY.replace("//", "/").format(source="decisions")).fetchall()),
    }
    taken = rates(calls, repeats=setting.repeats(5))
    hours = calls["ours"]()
    report.add(
        "archive_query_s",
        median_of(hours / np.array(taken["ours"])),
        peer=Peer("SQLite", sqlite3.sqlite_version, median_of(hours / np.array(taken["sqlite"])).value),
        note=f"cash flow by hour over {count:,} decisions, DuckDB {duckdb.__version__} on all cores",
    )


def _sqlite(path: Path, count: int, rng: np.random.Generator) -> sqlite3.Connection:
    peer = sqlite3.connect(path)
    peer.execute("pragma synchronous=off")
    peer.execute("create table decisions (ts_event_ns integer, quantity real, price real)")
    for first in range(0, count, PART):
        made = _decisions(PART, first, rng)
        columns = (made[name].tolist() for name in ("ts_event_ns", "quantity", "price"))
        peer.executemany("insert into decisions values (?, ?, ?)", zip(*columns, strict=True))
    peer.commit()
    return peer
