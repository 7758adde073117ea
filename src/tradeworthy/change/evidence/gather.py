"""Running a registered version to gather what the gate judges: numbers, no verdicts.

Flow:   verify the bundle → run it over market events through the very pipeline that decides live → compare its rows
        with the batch fold, its scores with the training library's → time its decisions → add the out-of-fold figures.
Undefined: what cannot be gathered stays None, which the gate reads as missing.
Units:  microseconds for latency; units of the score for errors.
"""

from collections.abc import Sequence
from time import perf_counter_ns

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.change.registry import Registry
from tradeworthy.change.train.candidate import Candidate
from tradeworthy.core.errors import BundleRefused, NotFound
from tradeworthy.core.events import EventBatch
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.limits import Limits
from tradeworthy.judge.validate.evidence import Artifact, Evidence, Latency, Parity
from tradeworthy.live.pipeline import Pipeline
from tradeworthy.live.state import DeskSettings
from tradeworthy.model.features.runtime import FeatureState
from tradeworthy.model.predictors.formats import files_of
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.model.version import Version

Floats = npt.NDArray[np.float64]

TOLERANCES = {"xgboost": 1e-6}
"""Allowed difference from the training library's score: XGBoost adds its leaves in 32 bits."""

TOLERANCE_TREES, TOLERANCE_ONNX = 1e-12, 1e-5
WARM_UP_DECISIONS = 50
"""Decisions that are not timed: compiled code is loaded and memory is touched for the first time."""


PASSES = 3
"""Each decision is timed so often, and its least time counts: what other processes take is not the version's."""

PROFILES = {"quick": 6_000, "full": 100_000}
"""How many of the latest events each gate profile runs."""


class StreamRun(msgspec.Struct, frozen=True, kw_only=True):
    """What the live pipeline did: (m, n) rows it scored, the events' places, and nanoseconds a decision."""

    rows: Floats
    places: npt.NDArray[np.int64]
    nanoseconds: npt.NDArray[np.int64]


def gather(
    registry: Registry,
    version: str,
    *,
    instruments: Sequence[Instrument],
    limits: Limits,
    events: EventBatch | None = None,
    profile: str = "quick",
) -> Evidence:
    """Gather the evidence for one version.

    Parameters
    ----------
    registry : Registry
        Where the version is registered.
    version : str
        Anything that `Registry.resolve` understands.
    instruments : sequence of Instrument
        The desk's list.
    limits : Limits
        The desk's limits; of these and the version's bounds the tighter count.
    events : (n,) event records, optional
        Market events to run it on, in the order of time; without them parity and latency are missing.
    profile : str
        ``quick`` or ``full``.

    Raises
    ------
    NotFound
        The version or the profile is unknown.
    """
    if profile not in PROFILES:
        raise NotFound(f"no gate profile {profile!r}; allowed are {', '.join(PROFILES)}")
    digest = registry.resolve(version)
    try:
        loaded = registry.load(digest)
        candidate = _own_candidate(registry, loaded)
    except (BundleRefused, NotFound):
        broken = Artifact(formats=[], signature_ok=False, digests_ok=False, files=[])
        return Evidence(version=digest, profile=profile, artifact=broken, limits=limits)
    joint = limits.tightest(loaded.manifest.bounds)
    latest = None if events is None else events[-PROFILES[profile] :]
    stream = None if latest is None else run_stream(loaded, instruments, joint, latest)
    return Evidence(
        version=digest,
        profile=profile,
        performance=candidate.performance,
        parity=None if stream is None or latest is None else parity(loaded, candidate, instruments, latest, stream),
        latency=None if stream is None else latency(stream),
        artifact=Artifact(
            formats=[loaded.manifest.predictor],
            signature_ok=True,
            digests_ok=True,
            files=sorted(loaded.manifest.files),
        ),
        limits=joint,
    )


def run_stream(version: Version, instruments: Sequence[Instrument], limits: Limits, events: EventBatch) -> StreamRun:
    """Decide on events one at a time, as a live engine does, on a desk of its own; several times, for the timing.

    The desk believes any jump of a price: the history to be compared with was trained on with its jumps.
    """
    runs = [_pass(version, instruments, limits, events) for _ in range(PASSES)]
    least = np.minimum.reduce([run.nanoseconds for run in runs])
    return StreamRun(rows=runs[0].rows, places=runs[0].places, nanoseconds=least)


def _pass(version: Version, instruments: Sequence[Instrument], limits: Limits, events: EventBatch) -> StreamRun:
    """Take all events through a fresh pipeline, one by one."""
    width = events.dtype["values"].shape[0]
    pipeline = Pipeline.alone(version, instruments, limits, settings=DeskSettings(jump_bps_max=None), width=width)
    rows, places, spent = [], [], []
    for place in range(len(events)):
        event = events[place]
        begin = perf_counter_ns()
        decision = pipeline.one(event)
        end = perf_counter_ns()
        if decision is not None and np.isfinite(decision["score"]):
            rows.append(pipeline.rows["row"][0].copy())
            places.append(place)
            spent.append(end - begin)
    return StreamRun(
        rows=np.array(rows, np.float64).reshape(-1, len(version.program.names)),
        places=np.array(places, np.int64),
        nanoseconds=np.array(spent, np.int64),
    )


def parity(
    version: Version, candidate: Candidate, instruments: Sequence[Instrument], events: EventBatch, stream: StreamRun
) -> Parity:
    """Compare the stream's rows with the batch fold, bit for bit, and our scores with the training library's."""
    rows, places = FeatureState(version.program, instruments).many(events)
    both, of_batch, of_stream = np.intersect1d(places, stream.places, assume_unique=True, return_indices=True)
    same = np.all(rows[of_batch].view(np.int64) == stream.rows[of_stream].view(np.int64), axis=1)
    alone = len(places) + len(stream.places) - 2 * len(both)
    error = np.abs(version.predictor.many(candidate.golden_rows)[:, 0] - candidate.golden_scores)
    return Parity(
        stream_batch_rows=len(places),
        stream_batch_differences=int(np.count_nonzero(~same)) + alone,
        serving_rows=len(error),
        serving_error_max=float(error.max(initial=0.0)),
        serving_tolerance=_tolerance(version),
    )


def latency(stream: StreamRun) -> Latency | None:
    """Return the percentiles of the time a decision took, without the first few; nothing if there are no more."""
    timed = stream.nanoseconds[WARM_UP_DECISIONS:] / 1_000
    if len(timed) == 0:
        return None
    p50, p99 = np.percentile(timed, [50, 99])
    return Latency(decisions=len(timed), us_p50=float(p50), us_p99=float(p99))


def _own_candidate(registry: Registry, version: Version) -> Candidate:
    """Return how a version was trained, refusing the evidence of another one."""
    candidate = registry.candidate(version.digest)
    files = files_of(candidate.predictor)
    same = candidate.program.digest == version.program.digest and files == files_of(version.predictor)
    if not same or candidate.lineage != version.manifest.lineage:
        raise BundleRefused(f"the candidate kept for version {version.short} is not the one it was made from")
    return candidate


def _tolerance(version: Version) -> float:
    """Return how far our scores may be from the training library's."""
    if version.manifest.predictor != Trees.format:
        return TOLERANCE_ONNX
    return TOLERANCES.get(version.manifest.lineage.parameters.get("library", ""), TOLERANCE_TREES)
