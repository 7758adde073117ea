"""Training in a process of its own, holding no key and writing to no ledger: it leaves a candidate folder."""

import sys
from functools import partial
from pathlib import Path

from tradeworthy.change.attempts import Attempt, Job, report_progress, run_attempt
from tradeworthy.change.train.candidate import NOTE_FILE, save_candidate
from tradeworthy.change.train.history import History, read_history
from tradeworthy.change.train.strategy import load_strategy
from tradeworthy.change.train.training import TrainingSettings, train
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import Clock, SystemClock

CANDIDATE = "candidate"


class TrainJob(Job, frozen=True, kw_only=True):
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
    changed_ns : int or None
        When what is to be learned changed, as far as is known.
    """

    strategy: str
    history: list[History]
    instruments: list[Instrument]
    settings: TrainingSettings = TrainingSettings()
    parent: str | None = None
    changed_ns: int | None = None


def training(folder: Path) -> Attempt:
    """Return the attempt at a training that has this folder."""
    return Attempt(folder, "tradeworthy.change.train.worker", f"{CANDIDATE}/{NOTE_FILE}")


def run_job(job: TrainJob, folder: Path, *, clock: Clock) -> None:
    """Train as the job says and leave the candidate in `folder`.

    Raises
    ------
    TradeworthyError
        Training was not possible; the message says why.
    """
    report = partial(report_progress, folder)
    report("reading history", 0.0)
    events = read_history(job.history, job.instruments)
    strategy = load_strategy(Path(job.strategy))
    candidate = train(
        strategy,
        events,
        job.instruments,
        job.settings,
        clock=clock,
        parent=job.parent,
        changed_ns=job.changed_ns,
        report=report,
    )
    save_candidate(candidate, folder / CANDIDATE)


if __name__ == "__main__":
    sys.exit(run_attempt(Path(sys.argv[1]), TrainJob, partial(run_job, clock=SystemClock())))
