"""Why was this decision made? Found on the tape, explained by the very version that made it."""

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.apps.deployment.keeping import recorded
from tradeworthy.apps.explain.checking import Checks, checks_of
from tradeworthy.apps.explain.explained import Compared, Explained, Reason
from tradeworthy.apps.explain.finding_decisions import find_decision
from tradeworthy.apps.explain.past import nearest_past
from tradeworthy.apps.explain.ruling import rule_of, rule_sentence
from tradeworthy.core.decisions import DECISIONS, rows_stream, threshold_number, version_name
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import NotFound
from tradeworthy.core.time import iso
from tradeworthy.judge.explain.attribution import Explanation, Floats
from tradeworthy.judge.explain.catalogue import Catalogue, generated_catalogue, reason_codes
from tradeworthy.judge.explain.comparing import Difference, explain_change, explain_versions
from tradeworthy.judge.explain.counterfactual import counterfactual
from tradeworthy.judge.explain.explaining import explain_row, make_explainer
from tradeworthy.judge.explain.refusals import explain_refusal
from tradeworthy.judge.explain.sides import Place, decides, place_of
from tradeworthy.judge.explain.words import reasons
from tradeworthy.model.version import Version
from tradeworthy.record.reader import TapeReader

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

SAID_MAX = 4


def explain_decision(project: "Project", which: str, *, against: str = "", checks: Checks | None = None) -> Explained:
    """Explain one recorded decision.

    Parameters
    ----------
    project : Project
        The deployment.
    which : str
        See `find_decision`.
    against : str
        The baseline, in place of the project's own setting.
    checks : Checks, optional
        What its order was checked for, where that is known already.

    Raises
    ------
    NotFound
        There is no such decision or baseline.
    """
    reader = recorded(project)
    decision = find_decision(reader, which)
    version = project.registry.load(int(decision["version"]))
    checks = checks_of(project, reader, decision) if checks is None else checks
    found = _explained(project, reader, decision, version, against)
    return msgspec.structs.replace(found, checks=checks.checks, checks_untold=checks.untold)


def explain_since(project: "Project", which: str, since: str) -> Compared:
    """Say why the score moved from one recorded decision to another of the same version and instrument.

    Raises
    ------
    NotFound
        One of them does not exist or has no row, or they are of different versions or instruments.
    """
    reader = recorded(project)
    before, after = find_decision(reader, since), find_decision(reader, which)
    for field in ("version", "instrument"):
        if before[field] != after[field]:
            raise NotFound(
                f"decisions {before['sequence']} and {after['sequence']} have different {field}s; "
                + ("compare one event under both: --under VERSION" if field == "version" else "name one instrument's")
            )
    version = project.registry.load(int(after["version"]))
    _, difference = explain_change(version, _row_of(reader, version, before), _row_of(reader, version, after))
    return _compared(
        project,
        after,
        difference,
        names=(iso(int(before["ts_event_ns"])), iso(int(after["ts_event_ns"]))),
        scores=(float(before["score"]), float(after["score"])),
    )


def explain_under(project: "Project", which: str, other: str) -> Compared:
    """Say why another version scores a recorded decision's event differently.

    The other version's row is the recorded one where it scored the event too (as a shadow), or the same row where both
    compute the same features.

    Raises
    ------
    NotFound
        There is no such decision or version, or the other version's features are not known for that event.
    """
    reader = recorded(project)
    decision = find_decision(reader, which)
    own, second = project.registry.load(int(decision["version"])), project.registry.load(project.resolve(other))
    row = _row_of(reader, own, decision)
    other_row = _row_under(reader, own, second, decision, row)
    difference = explain_versions(own, row, second, other_row)
    return _compared(
        project,
        decision,
        difference,
        names=(f"version {own.short}", f"version {second.short}"),
        scores=(float(decision["score"]), float(second.predictor.one(other_row)[0])),
    )


def rows_of(reader: TapeReader, version: Version) -> npt.NDArray[Any]:
    """Return all recorded rows of a version; none where it has scored nothing."""
    stream = rows_stream(version.number)
    return reader.read(stream) if stream in reader.streams() else np.empty(0, [("decision", "<u8")])


def recorded_row(reader: TapeReader, version: Version, decision: np.void) -> np.void | None:
    """Return the record of the features that a decision was made on, and their scores; None where the tape has none.

    Rows are written many at once, in the order of their decisions and after them.
    """
    stream, sequence = rows_stream(version.number), int(decision["sequence"])
    for part in reader.scan(stream, after=sequence) if stream in reader.streams() else ():
        place = int(np.searchsorted(part["decision"], sequence))
        if place < part.size:
            return part[place].copy() if part["decision"][place] == sequence else None
    return None


def symbol_of(project: "Project", decision: np.void) -> str:
    """Return the symbol of a decision's instrument."""
    return project.settings.instrument[int(decision["instrument"])].symbol


def catalogue_of(project: "Project", version: Version) -> Catalogue:
    """Return the project's reason catalogue, or one generated from a version's features where it has none."""
    return project.catalogue() or generated_catalogue(version.program.names, version.program.describe)


def chosen(word: str) -> Any:
    """Return a baseline's name, or refuse it."""
    allowed = ("training", "background", "typical")
    if word not in allowed:
        raise NotFound(f"there is no baseline {word!r}; allowed are {', '.join(allowed)}")
    return word


def _explained(project: "Project", reader: TapeReader, decision: np.void, version: Version, against: str) -> Explained:
    """Explain the score of a decision, or that it has none."""
    own = recorded_row(reader, version, decision)
    if own is None or not np.isfinite(own["scores"][0]):
        return _without_row(project, decision, version, rule_of(reader, decision))
    row, held = own["row"], float(decision["position"])
    told = project.settings.explain
    explainer = make_explainer(version.predictor, version.profile, against=chosen(against or told.against))
    found = explain_row(
        version.predictor,
        row,
        version.program.names,
        version.profile,
        explainer=explainer,
        prior=version.manifest.prior,
    )
    number = threshold_number(decision["flags"])
    signal = version.manifest.signal_of(number)
    rule = rule_of(reader, decision)
    place = None if rule else place_of(version.predictor, signal, score=found.score, margin=found.margin, held=held)
    told_reasons = _reasons(found, version, place)
    headline = headline_of(decision, symbol_of(project, decision), place)
    if rule:
        headline = f"{headline} {rule_sentence(rule, version.profile.base_rate, found.score)}"
    elif version.manifest.thresholds is not None:
        headline = f"{headline} {version.manifest.thresholds.said(number)}"
    return Explained(
        decision=int(decision["sequence"]),
        version=version.digest,
        instrument=symbol_of(project, decision),
        time=iso(int(decision["ts_event_ns"])),
        said=headline if rule else " ".join([headline, *_said(told_reasons)]),
        headline=headline,
        score=found.score,
        margin=found.margin,
        baseline=found.baseline,
        prior=found.prior,
        sum_error=found.sum_error,
        method=found.method,
        reasons=told_reasons,
        identical=found.score == float(own["scores"][0]),
        rule=rule,
        place=place,
        refusal=_refusal(decision),
        codes=None if rule else reason_codes(found, catalogue_of(project, version)),
        counterfactual=None
        if rule
        else counterfactual(
            version.predictor,
            signal,
            version.profile,
            row,
            version.program.names,
            held=held,
            immutable=[name for name in told.immutable if name in version.program.names],
        ),
        nearest=nearest_past(project, reader, version, own),
    )


def _row_of(reader: TapeReader, version: Version, decision: np.void) -> Floats:
    """Return the feature row that a decision was made on."""
    own = recorded_row(reader, version, decision)
    if own is None:
        why = DenialCode(int(decision["verdict"])).text
        raise NotFound(f"decision {decision['sequence']} was made without features ({why}); name another")
    row: Floats = own["row"]
    return row


def _row_under(reader: TapeReader, own: Version, other: Version, decision: np.void, row: Floats) -> Floats:
    """Return what another version saw of a decision's event."""
    if other.manifest.program_digest == own.manifest.program_digest:
        return row
    made = reader.read(DECISIONS)
    twins = made[(made["input_sequence"] == decision["input_sequence"]) & (made["version"] == other.number)]
    rows = rows_of(reader, other)
    found = rows[np.isin(rows["decision"], twins["sequence"])]
    if not found.size:
        raise NotFound(
            f"version {other.short} has other features than {own.short} and did not score that event; "
            "name a decision that it scored too, such as one made while it was a shadow"
        )
    seen: Floats = found["row"][0].copy()
    return seen


def _compared(
    project: "Project",
    decision: np.void,
    difference: Difference,
    *,
    names: tuple[str, str],
    scores: tuple[float, float],
) -> Compared:
    """Put a difference into words."""
    symbol, (first, second) = symbol_of(project, decision), scores
    verb = "rose" if second > first else "fell" if second < first else "stayed"
    head = f"The score of {symbol} {verb} from {first:.4f} ({names[0]}) to {second:.4f} ({names[1]})."
    parts = [
        f"{part.feature} ({part.before:.4g} to {part.after:.4g}) {part.contribution:+.3g}"
        for part in difference.parts[:SAID_MAX]
        if part.contribution
    ]
    return Compared(
        said=" ".join([head, f"Of the margin: {'; '.join(parts)}." if parts else "No feature made a difference."]),
        instrument=symbol,
        before=names[0],
        after=names[1],
        score_before=first,
        score_after=second,
        difference=difference,
    )


def _reasons(found: Explanation, version: Version, place: Place | None) -> list[Reason]:
    """Return every contribution in words, and what it did for the side that was decided, if the score decided it."""
    return [
        Reason(
            feature=each.feature,
            value=each.value,
            contribution=each.contribution,
            rank=each.rank,
            error=each.error,
            sentence=each.sentence,
            kept=place is not None and each.contribution * place.towards > 0.0,
            decides=place is not None and decides(place, each.contribution),
        )
        for each in reasons(found, version.profile, version.program.describe, count=len(found.names))
    ]


def _refusal(decision: np.void) -> Any:
    """Return why a decision was refused; None where it was not."""
    code = DenialCode(int(decision["verdict"]))
    return explain_refusal(code, float(decision["observed"]), float(decision["limit"]))


def _without_row(project: "Project", decision: np.void, version: Version, rule: str) -> Explained:
    """Explain a decision that was refused before anything was scored, or that a rule made without a score."""
    symbol, nothing = symbol_of(project, decision), float("nan")
    headline = headline_of(decision, symbol, None)
    if rule:
        headline = f"{headline} {rule_sentence(rule, version.profile.base_rate, nothing)}"
    return Explained(
        decision=int(decision["sequence"]),
        version=version.digest,
        instrument=symbol,
        time=iso(int(decision["ts_event_ns"])),
        said=headline,
        headline=headline,
        score=nothing,
        margin=nothing,
        baseline=nothing,
        sum_error=nothing,
        method=f"nothing was scored by version {version_name(version.number)}",
        reasons=[],
        rule=rule,
        identical=bool(np.isnan(decision["score"])),
        refusal=_refusal(decision),
    )


def headline_of(decision: np.void, symbol: str, place: Place | None) -> str:
    """Say what was decided, and on which side of which threshold."""
    quantity, refusal = float(decision["quantity"]), _refusal(decision)
    only_scored = refusal is None and np.isnan(decision["price"])
    if refusal is not None:
        done = f"refused {symbol}"
    elif quantity:
        done = f"{'bought' if quantity > 0 else 'sold'} {abs(quantity):g} {symbol} at about {decision['price']:,.2f}"
    else:
        done = f"scored {symbol}" if only_scored else f"left the position in {symbol} at {decision['position']:g}"
    wanted = "" if place is None or only_scored else f"; it wanted a position of {decision['target']:g}"
    said = [f"At {iso(int(decision['ts_event_ns']))} the desk {done}{wanted}."]
    said += [] if refusal is None else [refusal.sentence]
    said += [] if place is None else [place.sentence]
    return " ".join(said)


def _said(found: list[Reason]) -> list[str]:
    """Say what kept a decision on its side and what spoke against it."""
    kept, spoke = [r for r in found if r.kept][:SAID_MAX], [r for r in found if not r.kept][:1]
    said = [reason.sentence for reason in kept or found[:SAID_MAX]]
    if kept and spoke:
        said.append(f"Against it: {spoke[0].sentence[:1].lower()}{spoke[0].sentence[1:]}")
    return said
