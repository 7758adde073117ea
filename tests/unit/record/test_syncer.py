"""The syncer: durable mark, chain, heads, segments ahead."""

import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tradeworthy.core.errors import RecordUnwritable
from tradeworthy.core.time import SystemClock, VirtualClock
from tradeworthy.record.chain import read_chain, read_heads
from tradeworthy.record.marks import SYNCER, durable_mark, read_mark
from tradeworthy.record.signing import FileSigner
from tradeworthy.record.syncer import LOCK, Syncer, SyncerSettings, main, only_syncer
from tradeworthy.record.tape import TapeWriter
from tradeworthy.record.verify import verify
from tradeworthy.testing.disks import FaultyDisk
from tradeworthy.testing.tapes import SAMPLE, open_small, samples


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "key"
    path.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    return path


def test_the_mark_follows_the_writer(tmp_path):
    """Each pass makes durable what was appended before it, in all streams and over segments and openings."""
    for _ in range(2):
        with open_small(tmp_path) as tape, Syncer(tmp_path, clock=VirtualClock(3)) as syncer:
            a, b = tape.stream("a", SAMPLE), tape.stream("b", SAMPLE)
            for count in (1, 100, 0, 7):
                a.append(samples(0, count))
                b.append(samples(0, count))
                assert syncer.sync() == tape.next_sequence - 1
                assert durable_mark(tmp_path).sequence == tape.next_sequence - 1
                assert read_mark(tmp_path / SYNCER).ends == {"a": a.end, "b": b.end}


def test_everything_below_the_mark_was_synced(tmp_path):
    """What the disk saw synced holds every record that the mark promises."""
    disk = FaultyDisk()
    with open_small(tmp_path) as tape, Syncer(tmp_path, clock=VirtualClock(), disk=disk) as syncer:
        stream = tape.stream("a", SAMPLE)
        stream.append(samples(0, 150))
        syncer.sync()
        synced = b"".join(disk.synced(path) for path in sorted((tmp_path / "streams" / "a").glob("*.seg")))
        assert all(value.tobytes() in synced for value in samples(0, 150)["noise"])


def test_an_idle_pass_syncs_only_its_mark(tmp_path):
    """Where nothing was written, no segment is synced again."""
    disk = FaultyDisk()
    with open_small(tmp_path) as tape, Syncer(tmp_path, clock=VirtualClock(), disk=disk) as syncer:
        tape.stream("a", SAMPLE).append(samples(0))
        syncer.sync()
        before = disk.calls["fdatasync"]
        syncer.sync()
        assert disk.calls["fdatasync"] == before + 1


def test_a_failed_sync_is_told_to_the_writer(tmp_path):
    """One failed sync ends the syncer and stops the writer."""
    disk = FaultyDisk()
    with open_small(tmp_path) as tape, Syncer(tmp_path, clock=VirtualClock(), disk=disk) as syncer:
        tape.stream("a", SAMPLE).append(samples(0))
        disk.fail("fdatasync")
        with pytest.raises(RecordUnwritable, match="a sync failed"):
            syncer.sync()
        assert read_mark(tmp_path / SYNCER).failed
        with pytest.raises(RecordUnwritable, match="syncer"):
            tape.check()


def test_a_dead_disk_still_raises(tmp_path):
    """Where even the mark cannot be written, the syncer says so."""
    disk = FaultyDisk()
    with open_small(tmp_path), Syncer(tmp_path, clock=VirtualClock(), disk=disk) as syncer:
        disk.fail("pwrite")
        with pytest.raises(RecordUnwritable, match="a sync failed"):
            syncer.sync()


def test_segments_are_zeroed_ahead(tmp_path):
    """The next segment is ready once the present one is half full, with the size that the writer wants."""
    with open_small(tmp_path) as tape, Syncer(tmp_path, clock=VirtualClock()) as syncer:
        stream = tape.stream("a", SAMPLE)
        spare = tmp_path / "streams" / "a" / "next"
        stream.append(samples(0, 31))
        syncer.step()
        assert not spare.exists()
        stream.append(samples(0, 2))
        syncer.step()
        made = spare.stat()
        assert not any(spare.read_bytes())
        stream.append(samples(0, 40))
        assert (tmp_path / "streams" / "a" / "00000002.seg").stat().st_ino == made.st_ino
        assert list(spare.parent.glob("*.partial")) == []


def test_blocks_and_heads_have_their_own_periods(tmp_path, key):
    """Blocks and heads are made when their time has come, not at every pass."""
    clock, heads = VirtualClock(), tmp_path / "heads"
    settings = SyncerSettings(block_every_s=1.0, head_every_s=3.0)
    names = {"settings": settings, "heads": heads, "signer": FileSigner(key)}
    with open_small(tmp_path / "tape") as tape, Syncer(tmp_path / "tape", clock=clock, **names) as syncer:
        stream = tape.stream("a", SAMPLE)
        for half_second in range(13):
            clock.advance_to(half_second * 500_000_000)
            stream.append(samples(0))
            syncer.step()
        assert len(read_chain(tmp_path / "tape")) == 7
        assert len(read_heads(heads)) == 3


def test_a_run_ends_with_its_writer(tmp_path):
    """The syncer works while there is a writer, and finishes what is left."""
    tape = open_small(tmp_path)
    tape.stream("a", SAMPLE).append(samples(0, 10))
    with Syncer(tmp_path, clock=SystemClock(), settings=SyncerSettings(sync_every_ms=1)) as syncer:
        thread = threading.Thread(target=syncer.run, args=(threading.Event(),))
        thread.start()
        tape.close()
        thread.join(20)
        assert not thread.is_alive()
    assert read_chain(tmp_path)[-1].upto == 10


def test_a_run_without_a_writer_gives_up(tmp_path):
    """Where no writer comes, nothing is done."""
    open_small(tmp_path).close()
    with Syncer(tmp_path, clock=SystemClock(), settings=SyncerSettings(start_within_s=0)) as syncer:
        syncer.run(threading.Event())
    assert read_chain(tmp_path) == []


class TakenOver:
    """A pause in which one writer leaves and another comes, as after a kill and a quick start."""

    def __init__(self, tape, folder) -> None:
        self.tape, self.folder = tape, folder

    def is_set(self):
        """Never stop."""
        return False

    def wait(self, _=None):
        """Let the other writer come."""
        self.tape.close()
        self.tape = open_small(self.folder)
        return False


def test_a_run_hands_over_where_another_writer_has_opened_the_tape(tmp_path):
    """What was read before may have been recovered since: a new syncer is to begin; nothing is chained meanwhile."""
    tape = open_small(tmp_path)
    tape.stream("a", SAMPLE).append(samples(0, 10))
    change = TakenOver(tape, tmp_path)
    with Syncer(tmp_path, clock=SystemClock()) as syncer:
        assert syncer.run(change) is True
    assert read_chain(tmp_path) == []
    change.tape.close()


def test_one_syncer_works_on_a_tape_at_a_time(tmp_path):
    """A second one waits until the first lets go, or until it is told to stop."""
    open_small(tmp_path).close()
    stopped = threading.Event()
    stopped.set()
    turns = []

    def second() -> None:
        with only_syncer(tmp_path, threading.Event()) as mine:
            turns.append(("second", mine))

    with only_syncer(tmp_path, stopped) as mine:
        assert mine
        with only_syncer(tmp_path, stopped) as other:
            assert not other
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.1)
        turns.append(("first", mine))
    waiting.join(20)
    assert turns == [("first", True), ("second", True)]


def at_the_lock(process):
    """Tell whether a syncer has come so far as to ask for its turn."""
    assert process.poll() is None
    for opened in Path(f"/proc/{process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since the folder was listed
            if opened.readlink().name == LOCK:
                return True
    return False


def test_the_syncers_of_a_killed_engine_and_of_the_next_make_one_chain(tmp_path, key):
    """The next engine is there before the old syncer has seen that its own is gone: the record verifies."""
    folder, heads = tmp_path / "tape", tmp_path / "heads"
    settings = '{"block_every_s": 0.01, "head_every_s": 0.02, "sync_every_ms": 1, "start_within_s": 1}'
    command = [sys.executable, "-m", "tradeworthy.record.syncer", str(folder), "--heads", str(heads), "--key", str(key)]
    tape = TapeWriter.open(folder, clock=SystemClock())
    processes = []
    try:
        for _ in range(3):
            processes.append(subprocess.Popen([*command, "--settings", settings]))
            there = 0
            while there < 20:
                tape.stream("a", SAMPLE).append(samples(0, 10))
                there += at_the_lock(processes[-1])
                threading.Event().wait(0.02)
            tape.close()
            tape = TapeWriter.open(folder, clock=SystemClock())
        tape.stream("a", SAMPLE).append(samples(0, 5))
        last = tape.next_sequence - 1
        tape.close()
        assert [process.wait(300) for process in processes] == [0, 0, 0]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert read_chain(folder)[-1].upto == last
    signer = FileSigner(key)
    assert verify(folder, heads=heads, public_keys={signer.key_id: signer.public_key}).problems == []


def test_the_process_makes_a_tape_verifiable(tmp_path, key):
    """Started beside a writer, the process ends with code 0 after it, and the tape passes with its heads."""
    folder, heads = tmp_path / "tape", tmp_path / "heads"
    tape = TapeWriter.open(folder, clock=SystemClock())
    command = [sys.executable, "-m", "tradeworthy.record.syncer", str(folder), "--heads", str(heads), "--key", str(key)]
    process = subprocess.Popen(command, env=os.environ)
    try:
        tape.stream("a", SAMPLE).append(samples(0, 1000))
        while durable_mark(folder).sequence < 1000 and process.poll() is None:
            threading.Event().wait(0.01)
        tape.close()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    signer = FileSigner(key)
    report = verify(folder, heads=heads, public_keys={signer.key_id: signer.public_key})
    assert (report.ok, report.chained_sequence, report.notes) == (True, 1000, [])


def test_the_process_says_what_is_wrong(tmp_path, capsys):
    """Wrong settings or a missing key end the process with code 1 and a sentence."""
    open_small(tmp_path).close()
    assert main([str(tmp_path), "--settings", '{"sync_evry_ms": 3}']) == 1
    assert "sync_evry_ms" in capsys.readouterr().err
    assert main([str(tmp_path), "--key", str(tmp_path / "none")]) == 1
    assert "no key file" in capsys.readouterr().err
