"""Disks that fail on demand: short writes, errors, no space, power cuts that lose what was not synced, and kills.

Idea:   a `record.disk.Disk` like any other, with a plan. The tape cannot tell it from a bad day.
State:  what was synced, so that `cut_power` can put back any mixture of old and new sectors, as a real disk may.
"""

import errno
import os
import signal
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from tradeworthy.record.disk import Disk

SECTOR = 512


class FaultyDisk(Disk):
    """A disk that does what it is told to do wrong.

    Parameters
    ----------
    write_max : int, optional
        No write takes more bytes than this.
    space : int, optional
        Bytes that can still be allocated.

    Attributes
    ----------
    boot_id : bytes
        What names this start of the machine.
    calls : dict of str to int
        How often each operation was called.
    """

    def __init__(self, *, write_max: int | None = None, space: int | None = None) -> None:
        self.write_max = write_max
        self.space = space
        self.boot_id = b"\x01" * 16
        self.calls: dict[str, int] = {}
        self._faults: dict[str, tuple[int, int]] = {}
        self._synced: dict[int, bytes] = {}
        self._named: set[Path] = set()

    def fail(self, operation: str, error: int = errno.EIO, *, after: int = 0) -> None:
        """Let every call of an operation fail once `after` more have succeeded."""
        self._faults[operation] = (self.calls.get(operation, 0) + after, error)

    def heal(self) -> None:
        """Let everything succeed again."""
        self._faults.clear()

    def _called(self, operation: str) -> None:
        number = self.calls.get(operation, 0)
        self.calls[operation] = number + 1
        allowed, error = self._faults.get(operation, (number + 1, 0))
        if number >= allowed:
            raise OSError(error, os.strerror(error))

    def pwrite(self, fd: int, data: Any, offset: int) -> int:
        """Write, perhaps fewer bytes than asked for."""
        self._called("pwrite")
        raw = memoryview(data).cast("B")
        return os.pwrite(fd, raw[: self.write_max], offset)

    def fdatasync(self, fd: int) -> None:
        """Remember what the file holds now."""
        self._called("fdatasync")
        status = os.fstat(fd)
        self._synced[status.st_ino] = os.pread(fd, status.st_size, 0)

    def preallocate(self, path: Path, size: int) -> None:
        """Allocate, if there is space."""
        self._called("preallocate")
        if self.space is not None:
            if size > self.space:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.space -= size
        super().preallocate(path, size)

    def replace(self, path: Path, target: Path) -> None:
        """Give a file its name."""
        self._called("replace")
        super().replace(path, target)

    def unlink(self, path: Path) -> None:
        """Delete a file and give its space back."""
        self._called("unlink")
        if self.space is not None and path.exists():
            self.space += path.stat().st_size
        super().unlink(path)

    def sync_folder(self, folder: Path) -> None:
        """Remember the names in the folder."""
        self._called("sync_folder")
        self._named.update(folder.iterdir())

    def boot(self) -> bytes:
        """Return `boot_id`."""
        return self.boot_id

    def cut_power(self, folder: Path, rng: np.random.Generator) -> None:
        """Leave under `folder` what a power cut may leave, and begin a new start of the machine.

        Each sector that changed since its file was synced keeps its new or its old content, at random; each file whose
        name was not synced is there or is not.
        """
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            if path not in self._named and rng.random() < 0.5:
                path.unlink()
            else:
                self._lose_sectors(path, rng)
        self.boot_id = rng.bytes(16)

    def _lose_sectors(self, path: Path, rng: np.random.Generator) -> None:
        now = path.read_bytes()
        old = self._synced.get(path.stat().st_ino, b"").ljust(len(now), b"\0")
        mixed = bytearray(now)
        for start in range(0, len(now), SECTOR):
            if now[start : start + SECTOR] != old[start : start + SECTOR] and rng.random() < 0.5:
                mixed[start : start + SECTOR] = old[start : start + SECTOR]
        with path.open("r+b") as file:
            file.write(mixed)

    def synced(self, path: Path) -> bytes:
        """Return what the file held when it was last synced."""
        return self._synced.get(path.stat().st_ino, b"")


class DeadlyDisk(Disk):
    """A disk that kills its process, with SIGKILL, at one of its operations.

    Parameters
    ----------
    steps : int
        Counted operations that are still done; the next one is deadly.
    half : bool
        Whether a deadly write is half done first; any other operation is not begun.
    counted : collection of str
        Names of the operations that count.
    """

    def __init__(self, steps: int, *, half: bool = False, counted: Collection[str] = ("pwrite",)) -> None:
        self._left, self._half, self._counted = steps, half, frozenset(counted)

    def pwrite(self, fd: int, data: Any, offset: int) -> int:
        """Write; where that is deadly, perhaps one half first."""
        if self._half and self._left == 0 and "pwrite" in self._counted:
            raw = memoryview(data).cast("B")
            os.pwrite(fd, raw[: len(raw) // 2], offset)
        self._step("pwrite")
        return super().pwrite(fd, data, offset)

    def fdatasync(self, fd: int) -> None:
        """Sync a file."""
        self._step("fdatasync")
        super().fdatasync(fd)

    def preallocate(self, path: Path, size: int) -> None:
        """Make a file of zeros."""
        self._step("preallocate")
        super().preallocate(path, size)

    def open(self, path: Path, *, write: bool = False) -> int:
        """Open a file."""
        self._step("open")
        return super().open(path, write=write)

    def replace(self, path: Path, target: Path) -> None:
        """Rename a file over another."""
        self._step("replace")
        super().replace(path, target)

    def unlink(self, path: Path) -> None:
        """Remove a file."""
        self._step("unlink")
        super().unlink(path)

    def sync_folder(self, folder: Path) -> None:
        """Sync a folder's names."""
        self._step("sync_folder")
        super().sync_folder(folder)

    def _step(self, operation: str) -> None:
        """Count an operation, and die where it is the deadly one."""
        if operation not in self._counted:
            return
        if self._left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1
