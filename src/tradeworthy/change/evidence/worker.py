"""The gate in a process of its own, holding no key and writing to no ledger: it leaves a report.

Idea:   running a version over its history takes far longer than a watcher may look away. Whoever started the process
        records the report; a version that was judged twice has two reports and the later one counts.
"""

import sys
from contextlib import closing
from functools import partial
from pathlib import Path

from tradeworthy.change.attempts import Attempt, Job, report_progress, run_attempt
from tradeworthy.change.evidence.gather import gather
from tradeworthy.change.registry import Registry
from tradeworthy.change.train.history import History, read_history
from tradeworthy.change.train.training import TrainingSettings
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.limits import Limits
from tradeworthy.core.time import Clock, SystemClock
from tradeworthy.judge.validate.gate import GateReport, GateSettings, judge
from tradeworthy.model.trust import TrustStore
from tradeworthy.record.ledger import Ledger

REPORT = "report.json"


class GateJob(Job, frozen=True, kw_only=True):
    """What a judging process is told.

    Attributes
    ----------
    version : str
        The digest of the version to judge.
    env, versions, ledger, trust : str
        The registry's env and folder, the ledger's address and the folder of trusted keys.
    history : list of History
        What to run the version on, oldest first.
    instruments : list of Instrument
        The desk's list.
    limits : Limits
        The desk's limits.
    cost_bps : float or None
        What trading costs, one way.
    """

    version: str
    env: str
    versions: str
    ledger: str
    trust: str
    history: list[History]
    instruments: list[Instrument]
    limits: Limits
    gate: GateSettings = GateSettings()
    training: TrainingSettings = TrainingSettings()
    cost_bps: float | None = None


def judging(folder: Path) -> Attempt:
    """Return the attempt at a judgement that has this folder."""
    return Attempt(folder, "tradeworthy.change.evidence.worker", REPORT)


def run_job(job: GateJob, folder: Path, *, clock: Clock) -> None:
    """Gather evidence, judge it, and leave the report in `folder`.

    Raises
    ------
    TradeworthyError
        The version or its history could not be read; the message says why.
    """
    report = partial(report_progress, folder)
    report("reading history", 0.0)
    events = read_history(job.history, job.instruments)
    with closing(Ledger(job.ledger, clock=clock)) as ledger:
        registry = Registry(Path(job.versions), ledger=ledger, trust=TrustStore(Path(job.trust)), env=job.env)
        evidence = gather(
            registry,
            job.version,
            instruments=job.instruments,
            limits=job.limits,
            events=events,
            training=job.training,
            settings=job.gate,
            clock=clock,
            cost_bps=job.cost_bps,
            report=report,
        )
    fresh = folder / f"{REPORT}.new"
    fresh.write_bytes(judge(evidence, job.gate, clock=clock).to_json())
    fresh.replace(folder / REPORT)


def read_report(folder: Path) -> GateReport:
    """Return the report that a judgement left."""
    return GateReport.from_json((folder / REPORT).read_bytes())


if __name__ == "__main__":
    sys.exit(run_attempt(Path(sys.argv[1]), GateJob, partial(run_job, clock=SystemClock())))
