"""Gathers what a new process needs until its first score: time from nothing, and memory.

Flow:   a process of its own verifies and loads the bundle, puts it on a desk and scores one golden row; it is started
        twice, and the quicker start counts: what other processes take is not the version's.
Units:  seconds; mebibytes of the largest resident memory.
"""

import resource
import subprocess
import sys
from pathlib import Path
from time import perf_counter_ns

import msgspec

from tradeworthy.change.evidence.context import Context, NotGathered, Work
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import NS_PER_S
from tradeworthy.judge.validate.latency import Startup
from tradeworthy.live.pipeline import Pipeline
from tradeworthy.model.predictors.formats import files_of
from tradeworthy.model.trust import TrustStore
from tradeworthy.model.version import load_version

STARTS, SECONDS_MAX = 2, 120.0
KIB_PER_MIB = 1_024


class _Asked(msgspec.Struct, frozen=True):
    """What the new process is told."""

    bundle: str
    trust: str
    instruments: list[Instrument]


def gather_startup(context: Context, work: Work, *, seconds_max: float = SECONDS_MAX) -> Startup:
    """Start a process that loads the version and scores one row.

    Raises
    ------
    NotGathered
        It ended without a score, or took too long.
    """
    registry, version = context.registry, context.version
    asked = _Asked(
        bundle=str((registry.folder / "versions" / version.short).resolve()),
        trust=str(registry.trust.folder.resolve()),
        instruments=list(context.instruments),
    )
    spent, memory = [], 0.0
    for number in range(STARTS):
        begun = perf_counter_ns()
        memory = max(memory, _started(asked, seconds_max))
        spent.append((perf_counter_ns() - begun) / NS_PER_S)
        work.tell((number + 1) / STARTS)
    size = sum(len(data) for data in files_of(version.predictor).values())
    return Startup(starts=STARTS, ready_s=min(spent), memory_mb=memory, artifact_mb=size / KIB_PER_MIB**2)


def _started(asked: _Asked, seconds_max: float) -> float:
    """Start the process, wait for its score, and return the memory it took."""
    words = [sys.executable, "-m", __name__]
    try:
        done = subprocess.run(  # noqa: S603  # our own interpreter and module
            words, input=msgspec.json.encode(asked), capture_output=True, check=False, timeout=seconds_max
        )
    except subprocess.TimeoutExpired:
        raise NotGathered(f"a new process gave no score within {seconds_max:g} s") from None
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise NotGathered(f"a new process ended without a score: {' '.join(last) or done.returncode}")
    return float(done.stdout)


def _score_once(asked: _Asked) -> float:
    """Load the version, put it on a desk, score one row; return the memory of this process in mebibytes."""
    version = load_version(Path(asked.bundle), TrustStore(Path(asked.trust)))
    Pipeline.alone(version, asked.instruments)
    version.predictor.one(version.golden.rows[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_MIB


if __name__ == "__main__":
    sys.stdout.write(str(_score_once(msgspec.json.decode(sys.stdin.buffer.read(), type=_Asked))))
