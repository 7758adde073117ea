"""Gathering the evidence for one registered version: every gatherer in turn, each with its budget.

Flow:   verify the bundle → build the context → run the gatherers of the profile → parts, and why others are absent.
Undefined: a bundle that is refused is not run: all that is known then is that it was refused.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tradeworthy.change.evidence.context import Context, Gatherer, NotGathered, Report, Timer, Work
from tradeworthy.change.evidence.gatherers import GATHERERS
from tradeworthy.change.registry import Registry
from tradeworthy.change.train.candidate import Candidate
from tradeworthy.change.train.refit import Refits
from tradeworthy.change.train.training import TrainingSettings
from tradeworthy.core.errors import BundleRefused, DataInvalid, ModelMismatch, NotFound, near
from tradeworthy.core.events import EventBatch, Kind
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.limits import Limits
from tradeworthy.core.time import Clock, SystemClock, processor_ns
from tradeworthy.judge.explain.catalogue import Catalogue
from tradeworthy.judge.validate.artifact import Artifact
from tradeworthy.judge.validate.check import ProfileName
from tradeworthy.judge.validate.evidence import Evidence, Part
from tradeworthy.judge.validate.gate import GateSettings
from tradeworthy.judge.validate.limits import LimitsInForce
from tradeworthy.judge.validate.purpose import Purpose
from tradeworthy.model.predictors.formats import files_of
from tradeworthy.model.version import Version

PROFILES: dict[str, ProfileName] = {"quick": "quick", "full": "full"}


def gather(
    registry: Registry,
    version: str,
    *,
    instruments: Sequence[Instrument],
    limits: Limits,
    events: EventBatch | None = None,
    profile: str = "quick",
    strategy: Path | None = None,
    training: TrainingSettings | None = None,
    cost_bps: float | None = None,
    settings: GateSettings | None = None,
    catalogue: Catalogue | None = None,
    gatherers: Sequence[Gatherer] = GATHERERS,
    clock: Clock | None = None,
    timer: Timer = processor_ns,
    report: Report | None = None,
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
    strategy : Path, optional
        The strategy file; without it nothing that needs the model to be fitted again is gathered.
    training : TrainingSettings, optional
        How the version was trained; the defaults if left out.
    cost_bps : float, optional
        What trading costs, one way, of the value traded; without it no money is counted.
    settings : GateSettings, optional
        What will be required, and how much to do for it; the defaults if left out.
    catalogue : Catalogue, optional
        The project's reason codes; generated ones if left out.
    gatherers : sequence of Gatherer, optional
        The built-in ones if left out.
    clock : Clock, optional
        Says what day it is, for reviews that are due; the machine's if left out.
    timer : Timer, optional
        Counts the budgets; this process's processor time if left out.
    report : Report, optional
        Told what is gathered, and the share done of all.

    Raises
    ------
    NotFound
        The version or the profile is unknown.
    """
    if profile not in PROFILES:
        raise NotFound(f"no gate profile {profile!r}{near(profile, PROFILES)}; allowed are {', '.join(PROFILES)}")
    digest = registry.resolve(version)
    try:
        loaded = registry.load(digest)
        candidate = _own_candidate(registry, loaded)
    except (BundleRefused, NotFound) as error:
        return _refused(digest, PROFILES[profile], limits, str(error))
    with _refits(strategy) as refits:
        context = Context(
            version=loaded,
            candidate=candidate,
            instruments=instruments,
            limits=limits.tightest(loaded.manifest.bounds),
            events=events,
            profile=PROFILES[profile],
            training=training or TrainingSettings(),
            registry=registry,
            settings=settings or GateSettings(),
            now_ns=(clock or SystemClock()).now_ns(),
            cost_bps=cost_bps,
            refits=refits,
            catalogue=catalogue,
        )
        parts, absent = _run(context, gatherers, _with_refits(timer, refits), report or _silent)
    return Evidence(version=digest, profile=profile, parts=parts, absent=absent, purpose=_purpose(loaded, candidate))


def _purpose(version: Version, candidate: Candidate) -> Purpose:
    """Read from a version's signed parts what it is for."""
    return Purpose(
        wants_positions=version.manifest.signal.notional > 0.0,
        foresees_prices=not candidate.label.is_reported,
        reads_market=any(lane.kind != Kind.ROW for lane in version.program.layout.lanes),
        foresees_classes=candidate.label.kind != "forward_return",
    )


@contextmanager
def _refits(strategy: Path | None) -> Iterator[Refits | None]:
    """Lend workers that fit a strategy's model, and a folder of their own; nothing where there is no strategy."""
    if strategy is None:
        yield None
        return
    with TemporaryDirectory(prefix="tradeworthy-fits-") as folder, Refits(strategy, Path(folder)) as refits:
        yield refits


def _with_refits(timer: Timer, refits: Refits | None) -> Timer:
    """Count what the workers have spent, who have not ended yet, as our own time."""
    return timer if refits is None else lambda: timer() + refits.spent_ns


def _run(
    context: Context, gatherers: Sequence[Gatherer], timer: Timer, report: Report
) -> tuple[list[Part], dict[str, str]]:
    """Run the gatherers of the profile, and note why a part is absent."""
    asked = [gatherer for gatherer in gatherers if gatherer.quick or context.profile == "full"]
    whole = sum(gatherer.budget_s for gatherer in asked)
    parts: list[Part] = []
    absent: dict[str, str] = {}
    begun = 0.0
    for gatherer in asked:
        tell = partial(_part_of, report, begun / whole, gatherer.budget_s / whole)
        work = Work(gatherer.title, gatherer.budget_s, timer=timer, report=tell)
        try:
            parts.append(gatherer.gather(context, work))
        except (NotGathered, DataInvalid, ModelMismatch) as error:
            absent[gatherer.kind.__name__] = str(error)
        begun += gatherer.budget_s
    report("gathered", 1.0)
    return parts, absent


def _part_of(report: Report, begun: float, share: float, title: str, done: float) -> None:
    """Report one gatherer's progress as a part of the whole."""
    report(title, begun + share * done)


def _refused(digest: str, profile: ProfileName, limits: Limits, why: str) -> Evidence:
    """Return the evidence of a bundle that was not loaded, and so not run."""
    broken = Artifact(formats=[], signature_ok=False, digests_ok=False, files=[], refusal=why)
    absent = {gatherer.kind.__name__: "the bundle was refused" for gatherer in GATHERERS}
    return Evidence(version=digest, profile=profile, parts=(broken, LimitsInForce.of(limits)), absent=absent)


def _own_candidate(registry: Registry, version: Version) -> Candidate:
    """Return how a version was trained, refusing the evidence of another one."""
    candidate = registry.candidate(version.digest)
    files = files_of(candidate.predictor)
    same = candidate.program.digest == version.program.digest and files == files_of(version.predictor)
    told = (candidate.lineage, candidate.prior) == (version.manifest.lineage, version.manifest.prior)
    if not (same and told):
        raise BundleRefused(f"the candidate kept for version {version.short} is not the one it was made from")
    return candidate


def _silent(title: str, done: float) -> None:
    """Report to nobody."""
