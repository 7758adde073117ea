"""Processes that work beside a measurement, on the first core: a syncer, a retraining, a reader.

Idea:   what a desk has running is running while its figures are taken, but never on the core that is measured.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def beside(command: Sequence[str], *, warm_s: float, core: int = 0) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Python command line on another core until the block ends.

    Parameters
    ----------
    command : sequence of str
        What follows `python`.
    warm_s : float
        How long to wait before the block begins.
    core : int
        Counted among all of the machine's cores.

    Raises
    ------
    RuntimeError
        The process had ended before the block did: what was measured was not what was meant.
    """
    process = subprocess.Popen([sys.executable, *command])  # noqa: S603
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process.pid, {sorted(range(os.cpu_count() or 1))[core]})
    try:
        time.sleep(warm_s)
        yield process
        if process.poll() is not None:
            raise RuntimeError(f"{' '.join(command[:3])} ended with code {process.returncode} during the measurement")
    finally:
        process.terminate()
        process.wait(60)


def syncer(tape: Path) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    """Run a tape's syncer."""
    return beside(["-m", "tradeworthy.record.syncer", str(tape)], warm_s=2.0)
