"""FAULTS 1, 4, 5, 8, 20, 21: processes killed at any step, full disks, no descriptors, clocks that jump, two writers.

Each child is a fork, so that a round takes milliseconds; seeds and steps stand in the messages.
"""

import os
import resource
import signal
import threading

import numpy as np
import pytest

from tradeworthy.core.errors import RecordBusy, RecordUnwritable
from tradeworthy.record.epochs import writer_alive
from tradeworthy.record.tape import TapeReader, TapeWriter
from tradeworthy.record.verify import verify
from tradeworthy.testing.disks import DeadlyDisk, FaultyDisk
from tradeworthy.testing.tapes import SAMPLE, open_small, samples


def fork(work):
    """Run `work` in a child; the child ends with code 0, or 1 after an exception. Return its process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except BaseException as error:  # noqa: BLE001  # a child never returns into the test runner
        os.write(2, f"{error!r}\n".encode())
    finally:
        os._exit(code)


def ended(pid):
    """Wait for a child and return its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def write_and_acknowledge(folder, pipe, seed, disk=None):
    """Append random batches for ever, and tell each sequence through a pipe once its append has returned."""
    rng = np.random.default_rng(seed)
    tape = open_small(folder, disk=disk)
    streams = [tape.stream(name, SAMPLE) for name in "ab"]
    while True:
        count = int(rng.integers(1, 40))
        streams[int(rng.integers(2))].append(samples(tape.next_sequence, count))
        os.write(pipe, (tape.next_sequence - 1).to_bytes(8, "little"))
        if rng.random() < 0.05:
            tape.checkpoint({"x": np.arange(5)})
        if rng.random() < 0.05:
            tape.sync()


def acknowledged(reader):
    """Return the last sequence told through the pipe."""
    data = b""
    while chunk := os.read(reader, 1 << 16):
        data += chunk
    return int.from_bytes(data[len(data) // 8 * 8 - 8 :][:8], "little") if len(data) >= 8 else 0


def check(folder, last, words):
    """Open again: every acknowledged record is there, whole, in order; nothing else stands between."""
    with open_small(folder) as tape:
        assert tape.next_sequence > last, words
        end = tape.next_sequence - 1
    reader = TapeReader(folder)
    records = np.sort(
        np.concatenate([reader.read(name) for name in reader.streams()] or [samples(0, 0)]), order="sequence"
    )
    assert records["sequence"].tolist() == list(range(1, end + 1)), words
    assert records["value"].tolist() == records["sequence"].tolist(), words
    assert verify(folder).problems == [], words


def run_until_killed(folder, seed, disk=None, delay_s=None):
    """Start a writing child, let it be killed (by itself, or after a while), and return what it acknowledged."""
    reader, writer = os.pipe()
    pid = fork(lambda: write_and_acknowledge(folder, writer, seed, disk))
    os.close(writer)
    if delay_s is not None:
        threading.Event().wait(delay_s)
        os.kill(pid, signal.SIGKILL)
    last = acknowledged(reader)
    os.close(reader)
    assert ended(pid) == -signal.SIGKILL
    return last


def test_kill_9_again_and_again(tmp_path):
    """A writer killed at random moments, one tape through twelve lives: no acknowledged record is ever missing."""
    for seed in range(12):
        delay = float(np.random.default_rng(seed).uniform(0.0, 0.08))
        last = run_until_killed(tmp_path, seed, delay_s=delay)
        check(tmp_path, last, f"seed {seed}, killed after {delay:.4f} s, {last} acknowledged")


COUNTED = ("pwrite", "fdatasync", "preallocate", "sync_folder", "open")


@pytest.mark.parametrize("half", [False, True])
def test_kill_9_at_every_step(tmp_path, half):
    """Killed at each disk operation in turn, from the very first of opening to rotation, syncs and checkpoints.

    Even steps die before the operation, odd ones half-way through a write.
    """
    for step in range(half, 90, 2):
        folder = tmp_path / f"{step % 30}"  # so that each tape is also recovered, and killed while recovering
        last = run_until_killed(folder, step, DeadlyDisk(step, half=half, counted=COUNTED))
        check(folder, last, f"step {step}, half {half}, {last} acknowledged")


def test_a_second_writer_is_refused_while_the_first_lives(tmp_path):
    """Two processes open one tape: the second is refused; after kill -9 of the first it gets in."""
    reader, writer = os.pipe()
    pid = fork(lambda: write_and_acknowledge(tmp_path, writer, 1))
    os.close(writer)
    os.read(reader, 8)
    assert writer_alive(tmp_path)
    with pytest.raises(RecordBusy, match=str(pid)):
        open_small(tmp_path)
    os.kill(pid, signal.SIGKILL)
    assert ended(pid) == -signal.SIGKILL
    check(tmp_path, acknowledged(reader), "after the first writer")
    os.close(reader)


def test_a_file_size_limit_stops_the_tape_cleanly(tmp_path):
    """No byte more may be written: the append fails, the halt is recorded, the rest is in order."""

    def work() -> None:
        tape = open_small(tmp_path)
        stream = tape.stream("a", SAMPLE)
        stream.append(samples(1, 50))
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))
        with pytest.raises(RecordUnwritable, match="stop trading"):
            stream.append(samples(51, 30))
        assert tape.append_last(stream, samples(tape.next_sequence)) <= 81

    assert ended(fork(work)) == 0
    check(tmp_path, 51, "file size limit")


def test_no_descriptors_left_stops_the_tape_cleanly(tmp_path):
    """Without a free file descriptor the next segment cannot be begun: the append fails, the record is valid."""

    def work() -> None:
        tape = open_small(tmp_path)
        stream = tape.stream("a", SAMPLE)
        stream.append(samples(1, 50))
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
        with pytest.raises(RecordUnwritable, match="Too many open files"):
            stream.append(samples(51, 30))

    assert ended(fork(work)) == 0
    check(tmp_path, 50, "no descriptors")


def test_a_full_disk_stops_within_the_batch_and_resumes(tmp_path):
    """No space for the next segment: stop, record the halt, and go on after space came back, without loss."""
    disk = FaultyDisk()
    tape = open_small(tmp_path, disk=disk)
    stream = tape.stream("a", SAMPLE)
    stream.append(samples(1, 60))
    disk.space = 500
    with pytest.raises(RecordUnwritable, match="No space left"):
        stream.append(samples(61, 10))
    halted = tape.append_last(stream, samples(tape.next_sequence))
    tape.close()
    check(tmp_path, halted, "after the space came back")
    with open_small(tmp_path) as again:
        again.stream("a", SAMPLE).append(samples(again.next_sequence, 100))
    check(tmp_path, halted + 100, "resumed")


class JumpingClock:
    """A clock that jumps an hour ahead and a day back."""

    def __init__(self) -> None:
        self._times = iter([0, 3600, -86_400] * 1000)

    def now_ns(self):
        return (10**9 + next(self._times)) * 10**9

    def monotonic_ns(self):
        return 0


def test_a_clock_that_jumps_does_not_touch_the_order(tmp_path):
    """The sequence orders records; time only stamps headers."""
    for _ in range(3):
        with TapeWriter.open(tmp_path, clock=JumpingClock(), segment_bytes=8192) as tape:
            stream = tape.stream("a", SAMPLE)
            for _ in range(10):
                stream.append(samples(tape.next_sequence, 25))
                tape.sync()
    check(tmp_path, 750, "jumping clock")
