"""A disk on which the process dies at a chosen operation, as by kill -9, without a process to kill.

Idea:   from the fatal operation on every further one raises `Killed`, which nothing in the house catches: whatever
        the code would still have done, it did not reach the disk. What was written before stays, as on a real machine.
"""

import os
from typing import Any

import numpy as np

from tradeworthy.testing.disks import FaultyDisk


class Killed(BaseException):
    """The simulated process is dead."""


class MortalDisk(FaultyDisk):
    """A faulty disk whose process can be killed at its n-th operation.

    Parameters
    ----------
    remember : bool
        Keep what was synced, for `cut_power`; costs a copy a sync.
    """

    def __init__(self, *, remember: bool = False) -> None:
        super().__init__()
        self.dead = False
        self.died_at = ""
        self._remember = remember
        self._left = -1
        self._half = False

    def kill_after(self, operations: int, *, half: bool) -> None:
        """Die after so many more operations; `half` leaves the first half of a write behind."""
        self._left, self._half = operations, half

    def kill(self, where: str) -> None:
        """Die now."""
        self.dead, self.died_at = True, where
        raise Killed(where)

    def revive(self) -> None:
        """Start a new process on the same disk: it lives, and what was planned for the old one is forgotten."""
        self.dead, self._left = False, -1
        self.heal()
        self.write_max = self.space = None

    @property
    def failing(self) -> bool:
        """Whether an operation is set to fail, or space is short."""
        return bool(self._faults) or self.space is not None

    def _called(self, operation: str) -> None:
        if self.dead:
            raise Killed(self.died_at)
        if self._left == 0:
            self.kill(operation)
        self._left -= self._left > 0
        super()._called(operation)

    def open(self, path: Any, *, write: bool = False) -> int:
        """Open a file, or die or fail."""
        self._called("open")
        return super().open(path, write=write)

    def pwrite(self, fd: int, data: Any, offset: int) -> int:
        """Write, or die before it or half-way through."""
        if self._left == 0 and self._half and not self.dead:
            raw = memoryview(data).cast("B")
            os.pwrite(fd, raw[: len(raw) // 2], offset)
        return super().pwrite(fd, data, offset)

    def fdatasync(self, fd: int) -> None:
        """Sync; remembered only where power may be cut."""
        if self._remember:
            super().fdatasync(fd)
        else:
            self._called("fdatasync")

    def unlink(self, path: Any) -> None:
        """Delete a file, unless dead."""
        if self.dead:
            raise Killed(self.died_at)
        super().unlink(path)


class DriftingClock:
    """Wall time that can be set ahead and back, and a monotonic time that cannot; both move only when told.

    Parameters
    ----------
    start_ns : int
        UTC nanoseconds at which it stands first.
    """

    def __init__(self, start_ns: int) -> None:
        self._true_ns, self._offset_ns = start_ns, 0

    def now_ns(self) -> int:
        """Return what the wall clock shows."""
        return self._true_ns + self._offset_ns

    def monotonic_ns(self) -> int:
        """Return the time that never jumps."""
        return self._true_ns

    def advance_to(self, true_ns: int) -> None:
        """Let time pass."""
        self._true_ns = max(self._true_ns, true_ns)

    def jump(self, by_ns: int) -> None:
        """Set the wall clock."""
        self._offset_ns += by_ns


def drawn(rng: np.random.Generator, *options: Any) -> Any:
    """Return one of the options."""
    return options[int(rng.integers(len(options)))]
