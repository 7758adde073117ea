"""The tape: appends while a syncer works, commits that survive a power loss, scans, verification; SQLite beside."""

import hashlib
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from floors import bare_file
from harness import Aim, Peer, Report, Setting
from helpers import syncer
from jobs import eth_bars
from measure import Samples, in_turn, median_of, rates

from tradeworthy.core.events import EventBatch
from tradeworthy.core.time import SystemClock
from tradeworthy.record.reader import TapeReader
from tradeworthy.record.tape import TapeWriter
from tradeworthy.record.verify import verify

AIMS = {
    "tape_append_us_p50": Aim("us", "lower", 3.5),
    "tape_append_us_p99": Aim("us", "lower", 15.0),
    "durable_commits_per_s": Aim("commits/s", "higher", 5_000),
    "durable_commit_us_p99": Aim("us", "lower", 500.0),
    "durable_batch_records_per_s": Aim("records/s", "higher", 420_000),
    "tape_scan_records_per_s": Aim("records/s", "higher", 1_000_000),
    "verify_mb_per_s": Aim("MB/s", "higher", 250.0),
}
BATCH = 100
SQLITE = "SQLite, synchronous=FULL"
SEGMENT = 64 << 20
PACE_NS = 50_000  # 20,000 appends a second, as a busy desk


def run(setting: Setting, report: Report) -> None:
    """Measure the family, on the disk that holds the results."""
    events = eth_bars(35_000)
    with tempfile.TemporaryDirectory(dir=setting.folder) as name:
        folder = Path(name)
        _append(setting, report, folder, events)
        _commit(setting, report, folder, events)
        _batches(setting, report, folder, events)
        _read(setting, report, folder, events)


def _append(setting: Setting, report: Report, folder: Path, events: EventBatch) -> None:
    """Append one event at a time, paced, while the syncer works on the other core."""
    singles = [events[i : i + 1].copy() for i in range(setting.count(20_000))]
    with TapeWriter.open(folder / "append", clock=SystemClock(), segment_bytes=SEGMENT) as tape:
        stream = tape.stream("inputs", events.dtype)
        with syncer(folder / "append"), bare_file(folder / "bare", len(singles) * setting.repeats(15) * 64) as write:
            us, floor = [], []
            for _ in range(setting.repeats(15)):
                us.append(_paced(lambda i: stream.append(singles[i]), len(singles) // 4))
                floor.append(_paced(lambda i: write(singles[i]), len(singles) // 4))
    ours, bare = Samples(np.array(us)), Samples(np.array(floor))
    note = f"one {events.dtype.itemsize}-byte event, 20,000 a second, while another process syncs every 10 ms"
    report.add(
        "tape_append_us_p50",
        ours.quantile(0.5),
        floor=bare.quantile(0.5).value,
        note=f"{note}; floor: a bare pwrite of the same bytes",
    )
    report.add("tape_append_us_p99", ours.quantile(0.99), floor=bare.quantile(0.99).value)


def _paced(call: Callable[[int], object], count: int) -> np.ndarray:
    """Time calls that come at a steady pace, as events do; (count,) microseconds."""
    us = np.empty(count)
    clock = time.perf_counter_ns
    due = clock()
    for i in range(count):
        due += PACE_NS
        while clock() < due:
            pass
        start = clock()
        call(i)
        us[i] = (clock() - start) / 1e3
    return us


class Sqlite:
    """SQLite as a durable log: WAL, ``synchronous=FULL``, one table of blobs."""

    def __init__(self, path: Path) -> None:
        self._file = sqlite3.connect(path, isolation_level=None)
        self._file.execute("pragma journal_mode=wal")
        self._file.execute("pragma synchronous=full")
        self._file.execute("create table log (sequence integer primary key, record blob)")

    def one(self, record: bytes) -> None:
        """Commit one record."""
        self._file.execute("insert into log (record) values (?)", (record,))

    def many(self, records: list[tuple[bytes]]) -> None:
        """Commit records together."""
        self._file.execute("begin")
        self._file.executemany("insert into log (record) values (?)", records)
        self._file.execute("commit")

    def scan(self) -> int:
        """Read everything and return how many records there are."""
        return sum(1 for _ in self._file.execute("select record from log"))


def _commit(setting: Setting, report: Report, folder: Path, events: EventBatch) -> None:
    """Commit one record after the other, each on the disk before the next."""
    singles = [events[i : i + 1].copy() for i in range(setting.count(1_000))]
    raws = [each.tobytes() for each in singles]
    peer = Sqlite(folder / "one.sqlite")
    opened = TapeWriter.open(folder / "one", clock=SystemClock(), durability="disk", segment_bytes=SEGMENT)
    with opened as tape, bare_file(folder / "one.bare", 1 << 22) as write:
        stream = tape.stream("inputs", events.dtype)
        file = os.open(folder / "one.bare", os.O_WRONLY)

        def bare(i: int) -> None:
            write(singles[i])
            os.fdatasync(file)

        calls: dict[str, Callable[[int], object]] = {
            "ours": lambda i: stream.append(singles[i]),
            "sqlite": lambda i: peer.one(raws[i]),
            "bare": bare,
        }
        taken = in_turn(calls, count=len(singles), repeats=setting.repeats(11))
        os.close(file)
    _report_commits(report, taken)


def _report_commits(report: Report, taken: dict[str, Samples]) -> None:
    persec = {name: median_of(1e6 / samples.us.mean(axis=1)) for name, samples in taken.items()}
    note = "one record a commit, each synced before the next; floor: pwrite and fdatasync of the same bytes"
    peer = Peer(SQLITE, sqlite3.sqlite_version, persec["sqlite"].value)
    report.add("durable_commits_per_s", persec["ours"], floor=persec["bare"].value, peer=peer, note=note)
    p99 = {name: samples.quantile(0.99) for name, samples in taken.items()}
    peer = Peer(SQLITE, sqlite3.sqlite_version, p99["sqlite"].value)
    report.add(
        "durable_commit_us_p99", p99["ours"], floor=p99["bare"].value, peer=peer, note="the disk's share is most"
    )


def _batches(setting: Setting, report: Report, folder: Path, events: EventBatch) -> None:
    """Commit a hundred records at a time."""
    batches = [events[i : i + BATCH].copy() for i in range(0, setting.count(20_000), BATCH)]
    raws = [[(record.tobytes(),) for record in batch] for batch in batches]
    peer = Sqlite(folder / "batch.sqlite")
    opened = TapeWriter.open(folder / "batch", clock=SystemClock(), durability="disk", segment_bytes=SEGMENT)
    with opened as tape, bare_file(folder / "batch.bare", 1 << 24) as write:
        stream = tape.stream("inputs", events.dtype)
        file = os.open(folder / "batch.bare", os.O_WRONLY)

        def bare(batch: EventBatch) -> None:
            write(batch)
            os.fdatasync(file)

        def each(call: Callable[[Any], object], over: list[Any]) -> Callable[[], int]:
            return lambda: sum(BATCH for one in over if call(one) is not over)

        calls = {"ours": each(stream.append, batches), "sqlite": each(peer.many, raws), "bare": each(bare, batches)}
        taken = {name: median_of(found) for name, found in rates(calls, repeats=setting.repeats(11)).items()}
        os.close(file)
    report.add(
        "durable_batch_records_per_s",
        taken["ours"],
        floor=taken["bare"].value,
        peer=Peer(SQLITE, sqlite3.sqlite_version, taken["sqlite"].value),
        note=f"{BATCH} records a commit, {events.dtype.itemsize} bytes each, synced before the next commit",
    )


def _read(setting: Setting, report: Report, folder: Path, events: EventBatch) -> None:
    """Scan and verify a finished tape of events."""
    path, count = folder / "scan", setting.count(2_000_000)
    with TapeWriter.open(path, clock=SystemClock()) as tape:
        stream = tape.stream("inputs", events.dtype)
        for first in range(0, count, 10_000):
            stream.append(events[: min(10_000, count - first)].copy())
    peer = Sqlite(path / "scan.sqlite")
    peer.many([(record.tobytes(),) for record in events])
    calls = {"ours": lambda: sum(len(part) for part in TapeReader(path).scan("inputs")), "sqlite": peer.scan}
    taken = rates(calls, repeats=setting.repeats(9))
    report.add(
        "tape_scan_records_per_s",
        median_of(taken["ours"]),
        peer=Peer(SQLITE, sqlite3.sqlite_version, median_of(taken["sqlite"]).value),
        note=f"{count:,} events mapped from the files, every checksum computed",
    )
    _verify(setting, report, path)


def _verify(setting: Setting, report: Report, path: Path) -> None:
    files = [file for file in path.rglob("*") if file.suffix != ".sqlite" and file.is_file()]

    def hashed() -> int:
        return sum(file.stat().st_size for file in files if hashlib.sha256(file.read_bytes()).digest())

    def verified() -> int:
        found = verify(path)
        if not found.ok:
            raise RuntimeError(f"a sound tape did not verify: {found.problems[:3]}")
        return found.bytes

    taken = rates({"ours": verified, "sha256": hashed}, repeats=setting.repeats(7))
    report.add(
        "verify_mb_per_s",
        median_of(taken["ours"]).times(1e-6),
        floor=median_of(taken["sha256"]).value / 1e6,
        note="every header, record and sequence; floor: reading the files and SHA-256 alone",
    )
