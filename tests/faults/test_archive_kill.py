"""FAULTS 1, 2, 4 of the archive: killed between any two steps of seal, archive, remove and delete, or without power.

Each child is a fork; the step at which it died stands in the message.
"""

import os
import signal
from contextlib import suppress
from functools import partial

import numpy as np
import pytest

from tradeworthy.core.errors import RecordUnwritable
from tradeworthy.core.time import NS_PER_DAY, VirtualClock
from tradeworthy.record.archive import ArchiveSettings, archive_lock, archive_tape
from tradeworthy.record.chain import Notary
from tradeworthy.record.query import Record
from tradeworthy.record.retention import delete, expired
from tradeworthy.record.segment import segment_paths
from tradeworthy.record.tape import TapeReader, TapeWriter
from tradeworthy.record.verify import verify
from tradeworthy.testing.disks import DeadlyDisk, FaultyDisk
from tradeworthy.testing.tapes import SAMPLE, SEGMENT_BYTES, samples, write_trading

LATER = VirtualClock(10**19)
AT_ONCE = ArchiveSettings(after_s=0.0)
MINUTES = 90


COUNTED = ("pwrite", "fdatasync", "replace", "unlink", "sync_folder")


def deadly(steps):
    """Return a disk that kills its process after so many steps, half-way through where that is a write."""
    return DeadlyDisk(steps, half=True, counted=COUNTED)


def survived(work):
    """Run `work` in a child and tell whether it came to its end; anything but an end or a kill is a failure."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            work()
            code = 0
        except BaseException as error:  # noqa: BLE001  # a child never returns into the test runner
            os.write(2, f"{error!r}\n".encode())
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in {0, -signal.SIGKILL}
    return code == 0


def check(tape, words, minutes=MINUTES):
    """Nothing is lost, nothing is there twice: for readers, for queries, for verification."""
    decisions = TapeReader(tape).read("decisions")
    assert decisions["price"].tolist() == [minute + 100.0 for minute in range(minutes)], words
    found = Record(tape).ask("SELECT count(*), count(DISTINCT sequence), sum(price)::BIGINT FROM decisions").rows
    assert found == [[minutes, minutes, int(decisions["price"].sum())]], words
    pnl = Record(tape).ask("SELECT sum(fills)::BIGINT, sum(decisions)::BIGINT FROM pnl_by_hour").rows
    assert pnl == [[minutes // 10, minutes]], words
    assert verify(tape).problems == [], words


def test_kill_9_between_any_two_steps_of_archiving(tmp_path):
    """One tape, an archiver killed one step later in each life until it gets through; checked after each death."""
    write_trading(tmp_path, MINUTES)
    Notary(tmp_path, clock=LATER).extend()
    before = sum(len(segment_paths(stream)) for stream in (tmp_path / "streams").iterdir())
    deaths = 0
    while not survived(partial(archive_tape, tmp_path, AT_ONCE, clock=LATER, disk=deadly(deaths))):
        check(tmp_path, f"killed before step {deaths}")
        deaths += 1
    check(tmp_path, "at the end")
    left = sum(len(segment_paths(stream)) for stream in (tmp_path / "streams").iterdir())
    assert deaths >= 8
    assert left == len(list((tmp_path / "streams").iterdir())) < before
    assert not list(tmp_path.glob("archive/*/*/*.partial"))


@pytest.mark.parametrize("offset", [0, 3, 6])
def test_kill_9_while_a_fresh_archive_is_made(tmp_path, offset):
    """A tape of its own for each step of the first segments' way: the same holds from the very first file on."""
    for step in range(offset, 9 * 2, 9):
        tape = tmp_path / str(step)
        write_trading(tape, 60)
        assert not survived(lambda tape=tape, step=step: archive_tape(tape, AT_ONCE, clock=LATER, disk=deadly(step)))
        check(tape, f"killed before step {step}", 60)
        write_trading(tape, 20, first=60)
        check(tape, f"killed before step {step}, then traded on", 80)


def test_kill_9_of_the_writer_while_segments_end_by_age(tmp_path):
    """A writer that seals by age is killed at every step; what it acknowledged is there, and is archived."""

    def write(step) -> None:
        clock = VirtualClock()
        with TapeWriter.open(
            tmp_path, clock=clock, segment_bytes=SEGMENT_BYTES, segment_s=1.0, disk=deadly(step)
        ) as tape:
            stream = tape.stream("a", SAMPLE)
            for second in range(1, 4):
                stream.append(samples(tape.next_sequence, 5))
                clock.advance_to(clock.now_ns() + second * 10**9)
                tape.check()

    for step in range(0, 60, 4):
        survived(partial(write, step))
        archive_tape(tmp_path, AT_ONCE, clock=LATER)
        values = TapeReader(tmp_path).read("a")["value"].tolist() if (tmp_path / "streams" / "a").exists() else []
        assert values == list(range(1, len(values) + 1)), f"killed before step {step}"
        assert verify(tmp_path).problems == [], f"killed before step {step}"


def test_kill_9_between_any_two_steps_of_deleting(tmp_path):
    """A deletion killed at each step in turn is finished by the next; verification holds throughout."""
    write_trading(tmp_path, 300)
    archive_tape(tmp_path, AT_ONCE, clock=LATER)

    def work(step) -> None:
        with archive_lock(tmp_path):
            going = expired(tmp_path, keep_days={"rows-*": 1.0}, now_ns=LATER.now_ns() + NS_PER_DAY)
            delete(tmp_path, going, deadly(step))

    step = 0
    while not survived(partial(work, step)):
        check(tmp_path, f"killed before step {step}", 300)
        step += 1
    check(tmp_path, "at the end", 300)
    report = verify(tmp_path)
    assert report.deleted > 0
    assert step >= 3
    rows = Record(tmp_path).ask("SELECT count(*) FROM rows").rows[0][0]
    assert 0 < rows < 300


@pytest.mark.parametrize("seed", range(6))
def test_power_cut_after_archiving(tmp_path, seed):
    """Sectors and names that were not synced are gone: what left the tape is whole in the archive."""
    disk = FaultyDisk()
    tape = tmp_path / "tape"
    write_trading(tape, MINUTES)
    for path in tape.rglob("*"):
        if path.is_file():
            disk.sync_file(path)
            disk.sync_folder(path.parent)
    rng = np.random.default_rng(seed)
    disk.fail("fdatasync", after=disk.calls["fdatasync"] + int(rng.integers(1, 12)))
    with suppress(RecordUnwritable):
        archive_tape(tape, AT_ONCE, clock=LATER, disk=disk)
    disk.cut_power(tape, rng)
    check(tape, f"seed {seed}")


def test_queries_while_an_archiver_works(tmp_path):
    """Another process moves segments while this one asks, again and again: never one record more or less."""
    write_trading(tmp_path, 400)
    pid = os.fork()
    if not pid:
        try:
            archive_tape(tmp_path, AT_ONCE, clock=LATER)
        finally:
            os._exit(0)
    ended = False
    while not ended:
        ended = os.waitpid(pid, os.WNOHANG)[0] == pid
        answer = Record(tmp_path).ask("SELECT count(*), count(DISTINCT sequence) FROM decisions")
        assert answer.rows == [[400, 400]]
        assert TapeReader(tmp_path).read("decisions").size == 400
    check(tmp_path, "at the end", 400)
