"""The few file operations that the tape is built on, in one object, so that a test can make any of them fail.

Idea:   the tape never calls the operating system for a write, a sync or an allocation except through a `Disk` that was
        passed to it. A faulty disk is a subclass.
State:  none.
"""

import os
from pathlib import Path
from typing import Any

Bytes = Any
"""Anything that lends its bytes: bytes, a memory view, an array."""

_PAGE = bytes(4096)
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Disk:
    """The machine's own files."""

    pwrite = staticmethod(os.pwrite)
    """Write bytes at an offset; returns how many were written, which may be fewer."""

    def open(self, path: Path, *, write: bool = False) -> int:
        """Return a file descriptor of an existing file."""
        return os.open(path, (os.O_RDWR if write else os.O_RDONLY) | os.O_CLOEXEC)

    def fdatasync(self, fd: int) -> None:
        """Return when the file's bytes are on the disk."""
        os.fdatasync(fd)

    def preallocate(self, path: Path, size: int) -> None:
        """Create (or replace) a file of `size` zero bytes, really written, so that later writes allocate nothing.

        Written page by page, so that the system caches single pages. What is written at once may be cached as one large
        piece, and then every small write into it looks at all of its blocks: ten times the cost.
        """
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            os.posix_fallocate(fd, 0, size)
            while size > 0:
                size -= os.write(fd, memoryview(_PAGE)[:size])
        except OSError:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)

    def write_all(self, fd: int, data: Bytes, offset: int) -> None:
        """Write all of `data` at `offset`, going on after a short write."""
        rest = memoryview(data).cast("B")
        while rest:
            written = self.pwrite(fd, rest, offset)
            if written <= 0:
                raise OSError(5, "a write made no progress")
            rest = rest[written:]
            offset += written

    def unlink(self, path: Path) -> None:
        """Delete a file if it is there."""
        path.unlink(missing_ok=True)

    def replace(self, path: Path, target: Path) -> None:
        """Give a file its name, in place of one that has it; a reader sees the one or the other."""
        path.replace(target)

    def sync_folder(self, folder: Path) -> None:
        """Return when the names in `folder` are on the disk."""
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def sync_file(self, path: Path) -> None:
        """Return when the bytes of the file at `path` are on the disk."""
        fd = self.open(path)
        try:
            self.fdatasync(fd)
        finally:
            os.close(fd)

    def boot(self) -> bytes:
        """Name this start of the machine in 16 bytes: while it lasts, written bytes outlive any process.

        Zeros where the system does not tell; every restart then counts as a power loss.
        """
        try:
            return bytes.fromhex(_BOOT_ID.read_text().strip().replace("-", ""))
        except (OSError, ValueError):
            return bytes(16)


def write_whole(disk: Disk, path: Path, data: bytes, *, sync: bool) -> None:
    """Write a small file so that a reader sees all of it or nothing.

    Parameters
    ----------
    disk : Disk
        Where to write.
    path : Path
        The file's name; a file of that name is replaced.
    data : bytes
        All of its content.
    sync : bool
        Return only when the bytes and the name are on the disk.
    """
    partial = path.with_name(path.name + ".partial")
    fd = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        disk.write_all(fd, data, 0)
        if sync:
            disk.fdatasync(fd)
    finally:
        os.close(fd)
    disk.replace(partial, path)
    if sync:
        disk.sync_folder(path.parent)


def append_line(disk: Disk, path: Path, line: bytes) -> None:
    """Add a line to a log and return when it is on the disk; a torn last line is overwritten."""
    existing = path.read_bytes().rfind(b"\n") + 1 if path.exists() else 0
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.ftruncate(fd, existing)
        disk.write_all(fd, line + b"\n", existing)
        disk.fdatasync(fd)
    finally:
        os.close(fd)
    if not existing:
        disk.sync_folder(path.parent)


def whole_lines(path: Path) -> list[bytes]:
    """Return the finished lines of a log; a torn last line is not in force."""
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []
