"""Making a version's scores right for the mix of classes that came: from its own record, as a version of its own."""

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from tradeworthy.apps.commands.keys import own_key
from tradeworthy.apps.deployment.keeping import recorded
from tradeworthy.apps.explain.finding_decisions import utc_ns
from tradeworthy.change.registry import VersionSettings
from tradeworthy.change.train.candidate import Candidate, Recorded
from tradeworthy.change.train.correcting import correct, prior_of
from tradeworthy.core import facts
from tradeworthy.core.decisions import DECISION, DECISIONS, INPUTS, version_name, version_number
from tradeworthy.core.errors import NotFound
from tradeworthy.core.time import iso
from tradeworthy.judge.monitor.class_balance import KIND
from tradeworthy.judge.monitor.joins.outcomes import OutcomeJoin

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project


class Corrected(msgspec.Struct, frozen=True, kw_only=True):
    """A version whose scores are another one's, made right for another mix of classes.

    Attributes
    ----------
    version, of : str
        Its digest, and that of the version that was corrected.
    learned, share : float
        Of class 1: in training, and among the outcomes that it was counted in.
    log_odds : float
        What is added to the log-odds of every score.
    counted, outcomes : int
        Outcomes that the share was counted in, and newer ones by which the gate judges it.
    since : str
        The first of them.
    """

    version: str
    of: str
    learned: float
    share: float
    log_odds: float
    counted: int
    outcomes: int
    since: str
    next: str


OUTCOMES_MAX = 100_000
"""So many of the latest decisions are looked at."""


def correct_prior(project: "Project", word: str, *, since: str, actor: str, reason: str) -> Corrected:
    """Register a version whose scores are another one's, made right for the mix of classes that was recorded.

    Parameters
    ----------
    project : Project
        Whose record, whose key.
    word : str
        Names the version to correct.
    since : str
        The UTC time from which outcomes count; if empty, since the latest finding of a changed mix began, or all.

    Raises
    ------
    NotFound
        There is no such version or time, or no outcome since then.
    DataInvalid
        There are too few outcomes.
    ModelMismatch
        Its scores cannot be corrected.
    """
    digest = project.resolve(word)
    version, candidate = project.registry.load(digest), project.registry.candidate(digest)
    since_ns = utc_ns(since) if since else _shift_began(project)
    outcomes = _outcomes(project, candidate, version_number(digest), since_ns)
    prior = prior_of(candidate, outcomes)
    made = correct(candidate, prior, outcomes, parent=digest, clock=project.clock)
    own = version.manifest
    settings = VersionSettings(name=own.name, signal=own.signal, bounds=own.bounds, card=own.card)
    key = own_key(project.places.author_key, actor, project.trust)
    registered = project.registry.register(made, settings, key=key, author=actor, reason=reason)
    older, newer = outcomes.parts()
    return Corrected(
        version=registered,
        of=digest,
        learned=prior.learned,
        share=prior.share,
        log_odds=prior.log_odds,
        counted=len(older),
        outcomes=len(newer),
        since=iso(int(outcomes.ts_event_ns[0])),
        next=f"tradeworthy gate {registered[:16]}",
    )


def _shift_began(project: "Project") -> int:
    """Return when the latest finding of a changed mix of classes says that it began; 0 without one."""
    told = [entry.fact for entry in project.ledger.facts(facts.FindingRaised)]
    found = [fact.finding for fact in told if isinstance(fact, facts.FindingRaised)]
    return max((finding.since_ns for finding in found if finding.kind == KIND), default=0)


def _outcomes(project: "Project", candidate: Candidate, number: int, since_ns: int) -> Recorded:
    """Return what a version scored on the tape, with the labels that came of it, in order of the decisions."""
    tape = recorded(project)
    made = tape.read(DECISIONS) if DECISIONS in tape.streams() else np.empty(0, DECISION)
    wanted = (made["version"] == number) & np.isfinite(made["score"]) & (made["ts_event_ns"] >= since_ns)
    made = made[wanted][-OUTCOMES_MAX:]
    if not len(made):
        when = f" since {iso(since_ns)}" if since_ns else ""
        raise NotFound(f"version {version_name(number)} has scored nothing{when}; run it, or name one that ran")
    join = OutcomeJoin(candidate.label, instruments=project.settings.instrument, versions=[number])
    join.observe(made)
    join.observe(tape.read(INPUTS, after=int(made["input_sequence"][0]) - 1))
    joined = np.sort(join.take(), order="decision")
    joined = joined[np.isfinite(joined["label"])]
    labels = (joined["label"] > 0.5).astype(np.float64)
    return Recorded(joined["score"].copy(), labels, joined["ts_event_ns"].copy())
