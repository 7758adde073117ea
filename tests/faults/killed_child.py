"""A process for strace to kill: it writes a tape, archives one, registers or promotes versions, and tells what it did.

Usage:  python killed_child.py tape FOLDER | archive FOLDER | register FOLDER CAST | promote FOLDER CAST
State:  ``told`` in the folder has a line for each step that was acknowledged.
"""

import os
import sys
from pathlib import Path

import numpy as np

from tradeworthy.testing.tapes import SAMPLE, open_small, samples

BATCHES = 24


def write_tape(folder: Path, told: int) -> None:
    """Append batches of many sizes to two streams, with syncs, checkpoints and rotations, and close."""
    rng = np.random.default_rng(7)
    tape = open_small(folder / "tape")
    streams = [tape.stream(name, SAMPLE) for name in "ab"]
    for batch in range(BATCHES):
        streams[batch % 2].append(samples(tape.next_sequence, int(rng.integers(1, 40))))
        os.write(told, f"{tape.next_sequence - 1}\n".encode())
        if batch % 6 == 5:
            tape.checkpoint({"x": np.arange(3)})
            tape.sync()
    tape.close()


def archive(folder: Path) -> None:
    """Move every sealed segment of the tape in the folder into its archive."""
    from tradeworthy.core.time import VirtualClock  # noqa: PLC0415  # a tape is written without these
    from tradeworthy.record.archive import ArchiveSettings, archive_tape  # noqa: PLC0415  # a tape is written without

    archive_tape(folder / "tape", ArchiveSettings(after_s=0.0), clock=VirtualClock(10**19))


def register(folder: Path, candidate: Path, told: int) -> None:
    """Register the candidate twice under names of its own, signed with a key in the folder."""
    from tradeworthy.change.registry import Registry, VersionSettings  # noqa: PLC0415  # a tape is written without
    from tradeworthy.change.train.candidate import load_candidate  # noqa: PLC0415  # a tape is written without these
    from tradeworthy.core.time import SystemClock  # noqa: PLC0415  # a tape is written without these
    from tradeworthy.model.trust import SigningKey, TrustStore  # noqa: PLC0415  # a tape is written without these
    from tradeworthy.record.ledger import Ledger  # noqa: PLC0415  # a tape is written without these

    key, trust = SigningKey.load(folder / "author.key"), TrustStore(folder / "trust")
    registry = Registry(folder, ledger=Ledger(folder / "ledger.db", clock=SystemClock()), trust=trust, env="paper")
    for name in ("first", "second"):
        settings = VersionSettings(name=name)
        digest = registry.register(load_candidate(candidate), settings, key=key, author="drill", reason="a drill")
        os.write(told, f"registered {digest}\n".encode())


def promote(folder: Path, cast: Path, told: int) -> None:
    """Promote every version in turn, roll back, halt and resume."""
    from tradeworthy.change.registry import Registry  # noqa: PLC0415  # a tape is written without these
    from tradeworthy.change.release.release import Release  # noqa: PLC0415  # a tape is written without these
    from tradeworthy.core.errors import ReleaseRefused  # noqa: PLC0415  # a tape is written without these
    from tradeworthy.core.time import SystemClock  # noqa: PLC0415  # a tape is written without these
    from tradeworthy.live.control import ControlBlock  # noqa: PLC0415  # a tape is written without these
    from tradeworthy.model.trust import TrustStore  # noqa: PLC0415  # a tape is written without these
    from tradeworthy.record.ledger import Ledger  # noqa: PLC0415  # a tape is written without these
    from tradeworthy.testing.desks import INSTRUMENTS  # noqa: PLC0415  # a tape is written without these

    ledger = Ledger(folder / "ledger.db", clock=SystemClock())
    registry = Registry(cast, ledger=ledger, trust=TrustStore(cast / "shelf" / "trust"), env="paper")
    release = Release(registry, ControlBlock(folder / "control"), INSTRUMENTS)
    release.reconcile()
    words = {"actor": "drill", "reason": "a drill"}
    for digest in list(registry.standing().registered):
        try:
            release.promote(digest, "champion", **words)
            os.write(told, f"champion {digest}\n".encode())
        except ReleaseRefused:
            continue
        release.halt(**words)
        os.write(told, b"halted\n")
        release.resume(**words)
        os.write(told, b"resumed\n")


if __name__ == "__main__":
    work, home = sys.argv[1], Path(sys.argv[2])
    descriptor = os.open(home / "told", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, b"begun\n")
    if work == "tape":
        write_tape(home, descriptor)
    elif work == "archive":
        archive(home)
    elif work == "register":
        register(home, Path(sys.argv[3]), descriptor)
    else:
        promote(home, Path(sys.argv[3]), descriptor)
    os.write(descriptor, b"done\n")
