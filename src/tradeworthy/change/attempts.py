"""Work in a process of its own, niced and limited in time and threads, so that nothing that trades or watches waits.

Idea:   an attempt is a folder. Whether its process still runs is told by a lock, which the operating system frees when
        the process ends, however it ends; so a watcher that was itself killed finds out what became of its work.
Flow:   ``python -m MODULE JOB.json`` reads the job, works, and leaves a result, or a sentence saying why there is none.
State:  `job.json`, `lock`, `progress.json`, `log.txt`, and the result or `failed.txt`.
"""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from tradeworthy.core.errors import UNDECODABLE, TradeworthyError

JOB, LOCK, FAILED, LOG, PROGRESS = "job.json", "lock", "failed.txt", "log.txt", "progress.json"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")

State = Literal["absent", "running", "done", "failed"]


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What every such process is told beside its work.

    Attributes
    ----------
    nice : int
        Added to the process's niceness, so that decisions come first.
    seconds_max : int
        The process ends itself after so long.
    threads : int
        Threads that libraries may use.
    """

    nice: int = 10
    seconds_max: int = 3_600
    threads: int = 1


class WorkProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a process has come: its stage, and the share done, 0 to 1."""

    stage: str
    done: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a piece of work.

    Attributes
    ----------
    folder : Path
        The attempt's own.
    module : str
        What runs in the process.
    result : str
        The file below the folder whose presence says that the work is done.
    """

    folder: Path
    module: str
    result: str

    def start(self, job: Job) -> int:
        """Start the process, and return its process id; it outlives its parent.

        An attempt that runs or is done is left alone, and 0 is returned.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not _take(lock) or (self.folder / self.result).exists():
                return 0
            (self.folder / JOB).write_bytes(msgspec.json.encode(job))
            (self.folder / FAILED).unlink(missing_ok=True)
            with (self.folder / LOG).open("ab") as log:
                process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
                    [sys.executable, "-m", self.module, str(self.folder / JOB)],
                    env={**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(job.threads))},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[lock],
                    start_new_session=True,
                )
            process.returncode = 0  # nobody waits for it: the lock says when it has ended
        finally:
            os.close(lock)
        return process.pid

    @property
    def state(self) -> State:
        """What became of it; `failed` also where its process was killed."""
        if not (self.folder / JOB).is_file():
            return "absent"
        if (self.folder / self.result).is_file():
            return "done"
        lock = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not _take(lock):
                return "running"
            return "done" if (self.folder / self.result).is_file() else "failed"
        finally:
            os.close(lock)

    @property
    def error(self) -> str:
        """Why it left no result, in one sentence."""
        if (self.folder / FAILED).is_file():
            return (self.folder / FAILED).read_text("utf-8")
        return f"the process ended without a result: killed, crashed, or out of time; see {self.folder / LOG}"

    @property
    def progress(self) -> WorkProgress:
        """How far it has come."""
        try:
            return msgspec.json.decode((self.folder / PROGRESS).read_bytes(), type=WorkProgress)
        except (FileNotFoundError, *UNDECODABLE):
            return WorkProgress(stage="starting", done=0.0)


def report_progress(folder: Path, stage: str, done: float) -> None:
    """Say how far the work in a folder has come."""
    fresh = folder / f"{PROGRESS}.new"
    fresh.write_bytes(msgspec.json.encode(WorkProgress(stage=stage, done=done)))
    fresh.replace(folder / PROGRESS)


AnyJob = TypeVar("AnyJob", bound=Job)


def run_attempt(path: Path, kind: type[AnyJob], work: Callable[[AnyJob, Path], None]) -> int:
    """Do the work of one job file; return 0, or 1 with the reason in the attempt's folder."""
    job = msgspec.json.decode(path.read_bytes(), type=kind)
    os.nice(job.nice)
    signal.alarm(job.seconds_max)
    try:
        work(job, path.parent)
    except TradeworthyError as error:
        (path.parent / FAILED).write_text(f"{type(error).__name__}: {error}", "utf-8")
        return 1
    return 0


def _take(lock: int) -> bool:
    """Take the lock if nobody holds it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
