"""Training in a process of its own: niced, limited in time and threads, holding no key and writing to no ledger.

Flow:   ``python -m tradeworthy.change.train.worker JOB.json`` reads the job, trains, and leaves a candidate folder, or
        a sentence saying why there is none.
State:  one folder an attempt: `job.json`, `lock`, `progress.json`, `log.txt`, and `candidate/` or `failed.txt`.
        Whether it still runs is told by the lock, which the operating system frees when the process ends, however it
        ends; so a watcher that was itself killed finds out what became of its training.
"""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Literal

import msgspec

from tradeworthy.change.train.candidate import NOTE_FILE, save_candidate
from tradeworthy.change.train.history import History, read_history
from tradeworthy.change.train.strategy import load_strategy
from tradeworthy.change.train.training import TrainingSettings, train
from tradeworthy.core.errors import TradeworthyError
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import Clock, SystemClock

CANDIDATE, JOB, LOCK, FAILED, LOG, PROGRESS = (
    "candidate",
    "job.json",
    "lock",
    "failed.txt",
    "log.txt",
    "progress.json",
)
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")

State = Literal["absent", "running", "done", "failed"]


class TrainJob(msgspec.Struct, frozen=True, kw_only=True):
    """What a training process is told.

    Attributes
    ----------
    strategy : str
        Path of the strategy file.
    history : list of History
        What to learn from, oldest first.
    instruments : list of Instrument
        The desk's list.
    parent : str or None
        The version to be replaced.
    nice : int
        Added to the process's niceness, so that decisions come first.
    seconds_max : int
        The process ends itself after so long.
    threads : int
        Threads that the training library may use.
    """

    strategy: str
    history: list[History]
    instruments: list[Instrument]
    settings: TrainingSettings = TrainingSettings()
    parent: str | None = None
    nice: int = 10
    seconds_max: int = 3_600
    threads: int = 1


class TrainingProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a training has come: its stage, and the share done, 0 to 1."""

    stage: str
    done: float


def start_retrain(job: TrainJob, folder: Path) -> int:
    """Start a training process for an attempt's folder, and return its process id.

    The process outlives its parent; ask `attempt_state` about it. An attempt that runs or is done is left alone, and
    0 is returned.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _take(lock) or (folder / CANDIDATE / NOTE_FILE).exists():
            return 0
        (folder / JOB).write_bytes(msgspec.json.encode(job))
        (folder / FAILED).unlink(missing_ok=True)
        with (folder / LOG).open("ab") as log:
            process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
                [sys.executable, "-m", "tradeworthy.change.train.worker", str(folder / JOB)],
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


def attempt_state(folder: Path) -> State:
    """Return what became of an attempt; `failed` also where its process was killed."""
    if not (folder / JOB).is_file():
        return "absent"
    if (folder / CANDIDATE / NOTE_FILE).is_file():
        return "done"
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        return "failed" if _take(lock) else "running"
    finally:
        os.close(lock)


def attempt_error(folder: Path) -> str:
    """Return why an attempt left no candidate, in one sentence."""
    if (folder / FAILED).is_file():
        return (folder / FAILED).read_text("utf-8")
    return f"the training process ended without a candidate: killed, crashed, or out of time; see {folder / LOG}"


def attempt_progress(folder: Path) -> TrainingProgress:
    """Return how far an attempt has come."""
    try:
        return msgspec.json.decode((folder / PROGRESS).read_bytes(), type=TrainingProgress)
    except (FileNotFoundError, msgspec.DecodeError):
        return TrainingProgress(stage="starting", done=0.0)


def run_job(job: TrainJob, folder: Path, *, clock: Clock) -> None:
    """Train as the job says and leave the candidate in `folder`.

    Raises
    ------
    TradeworthyError
        Training was not possible; the message says why.
    """

    def report(stage: str, done: float) -> None:
        fresh = folder / f"{PROGRESS}.new"
        fresh.write_bytes(msgspec.json.encode(TrainingProgress(stage=stage, done=done)))
        fresh.replace(folder / PROGRESS)

    report("reading history", 0.0)
    events = read_history(job.history, job.instruments)
    strategy = load_strategy(Path(job.strategy))
    candidate = train(strategy, events, job.instruments, job.settings, clock=clock, parent=job.parent, report=report)
    save_candidate(candidate, folder / CANDIDATE)


def main(arguments: list[str]) -> int:
    """Run one job; return 0, or 1 with the reason in the attempt's folder."""
    path = Path(arguments[0])
    job = msgspec.json.decode(path.read_bytes(), type=TrainJob)
    os.nice(job.nice)
    signal.alarm(job.seconds_max)
    try:
        run_job(job, path.parent, clock=SystemClock())
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
