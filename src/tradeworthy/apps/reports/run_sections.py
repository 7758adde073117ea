"""The report's sections on evidence: explanation, versions, gate, training, data, and the record itself."""

from collections.abc import Mapping, Sequence

from tradeworthy.apps.reports.bars import Interval, Step, interval_chart, waterfall
from tradeworthy.apps.reports.formats import compact, count, decimal, interval, plural, short, size
from tradeworthy.apps.reports.gate_report import TONES
from tradeworthy.apps.reports.html import (
    Section,
    absent,
    badge,
    code,
    heading,
    more,
    pairs,
    paragraph,
    sentences,
    table,
)
from tradeworthy.apps.reports.markup import Markup, join
from tradeworthy.apps.reports.run_data import (
    Contribution,
    Explained,
    Replayed,
    RunReport,
    Training,
    Verified,
    VersionLine,
)
from tradeworthy.apps.reports.scales import day, minute
from tradeworthy.judge.validate.check import CheckResult
from tradeworthy.judge.validate.gate import GateReport
from tradeworthy.live.feeds.quality import FileReport

CONTRIBUTIONS_SHOWN = 10


def sections(report: RunReport) -> list[Section]:
    """Return these sections in the order in which they are read."""
    return [_explained(report), _versions(report), _gates(report), _trained(report), _looked(report), _record(report)]


def _explained(report: RunReport) -> Section:
    """Show why a decision was made."""
    parts = [_explanation(item) for item in report.explained]
    sentence = "What each feature added to the score of one decision; the parts sum to the whole."
    return Section("explanation", "Why it traded", sentence, join(parts) if parts else absent())


def _explanation(item: Explained) -> Markup:
    """Draw one decision's contributions, largest first, the small ones in one step, and say the reasons."""
    ordered = sorted(item.contributions, key=lambda c: -abs(c.contribution))
    shown = ordered[:CONTRIBUTIONS_SHOWN]
    what = f"Decision {item.decision:,} on {item.symbol}, by version {short(item.version)}."
    rows = [(c.feature, compact(c.value, 6), decimal(c.contribution, 6)) for c in ordered]
    return join(
        _drawn(item, ordered),
        paragraph(what, "empty"),
        sentences([c.sentence for c in shown if c.sentence]),
        more("All contributions", table(("feature", "value", f"contribution, {item.unit}"), rows, align="lrr")),
    )


def _drawn(item: Explained, ordered: Sequence[Contribution]) -> Markup:
    """Draw how contributions lead from the baseline to the decision's margin."""
    shown, rest = ordered[:CONTRIBUTIONS_SHOWN], ordered[CONTRIBUTIONS_SHOWN:]
    steps = [Step(f"{c.feature} = {compact(c.value)}", c.contribution, c.sentence) for c in shown]
    if rest:
        steps.append(Step(plural(len(rest), "other feature"), sum(c.contribution for c in rest)))
    if item.prior:
        steps.insert(0, Step("prior correction", item.prior))
    exact = f"Contributions sum to the score within {item.sum_error:.1e}."
    return waterfall(
        f"{item.heading}, {minute(item.ts_ns)}",
        steps,
        start=Step("average of the training rows", item.baseline),
        end=Step("this decision", item.margin),
        unit=item.unit,
        description="; ".join(f"{step.name}: {step.value:+.4f}" for step in steps),
        caption=f"Score {decimal(item.score, 4)}. Method: {item.method}. {exact}",
    )


def _versions(report: RunReport) -> Section:
    """List the versions of this run with where they came from."""
    names = {v.digest: v.name for v in report.versions}
    rows = [_version(v, names) for v in report.versions]
    head = ("version", "digest", "made", "author", "trained on rows", "parent", "decisions", "approved by")
    sentence = "A version is data: its name is the digest of its content, and its manifest is signed."
    if not rows:
        return Section("versions", "Versions", sentence, absent())
    details = [_version_details(v) for v in report.versions]
    content = join(table(head, rows, align="lltlrlrl"), more("Purpose, signature and full digest", *details))
    return Section("versions", "Versions", sentence, content)


def _version(v: VersionLine, names: Mapping[str, str]) -> tuple[Markup | str, ...]:
    """Set one version as a row."""
    parent = names.get(v.parent, short(v.parent)) if v.parent else "none"
    approved = ", ".join(v.approvals) or "nobody"
    digest = code(short(v.digest))
    return (
        v.name,
        digest,
        minute(v.created_ns),
        v.author,
        count(v.trained_on_rows),
        parent,
        count(v.decisions),
        approved,
    )


def _version_details(v: VersionLine) -> Markup:
    """Say what a version is for, and what names it."""
    facts = [
        ("Purpose", v.purpose or "not stated"),
        ("Signed by", v.signed_by or "not stated"),
        ("Digest", code(v.digest)),
    ]
    return join(heading(f"Version {v.name}"), pairs(facts))


def _gates(report: RunReport) -> Section:
    """Show what the gate found about each version."""
    names = {v.digest: v.name for v in report.versions}
    parts = [_gate(gate, names.get(gate.version, short(gate.version))) for gate in report.gates]
    sentence = (
        "What a version had to show before it might trade. A missing measurement stops it just as a failed one does."
    )
    return Section("gate", "Gate", sentence, join(parts) if parts else absent())


def _gate(gate: GateReport, name: str) -> Markup:
    """Set one gate report as a table."""
    words = badge(gate.outcome, "bad" if not gate.passed else "warn" if gate.overridden else "good")
    head = ("verdict", "check", "measured", "interval", "required")
    rows = [_check(result) for result in gate.results]
    judged = f"Profile {gate.profile}, judged {minute(gate.created_ns)}."
    return join(heading(join(f"Version {name} ", words)), table(head, rows), paragraph(judged, "empty"))


def _check(result: CheckResult) -> tuple[Markup | str, ...]:
    """Set one check as a row."""
    bounds = interval(*result.interval) if result.interval else ""
    name = result.name.replace("_", " ")
    return badge(result.verdict, TONES[result.verdict]), name, result.measured, bounds, result.requirement


def _trained(report: RunReport) -> Section:
    """Show out-of-fold performance of each training."""
    names = {v.digest: v.name for v in report.versions}
    parts = [_training(item, names.get(item.version, short(item.version))) for item in report.trainings]
    sentence = "Scores on rows that the model had not seen: each fold is tested on what came after its training rows."
    return Section("training", "Training", sentence, join(parts) if parts else absent())


def _training(item: Training, name: str) -> Markup:
    """Draw each fold's AUC with its interval, and say what was trained."""
    folds = [
        Interval(f"fold {n}: {day(f.first_ns)} to {day(f.last_ns)}", f.auc, f.auc_low, f.auc_high)
        for n, f in enumerate(item.folds, 1)
    ]
    together = Interval("all folds together", item.auc, item.auc_low, item.auc_high, strong=True)
    title = f"Version {name}: AUC out of fold"
    caption = f"{item.interval_method}."
    drawn = interval_chart(title, [*folds, together], unit="AUC", level=(0.5, "chance"), caption=caption)
    facts = [
        ("Predicts", item.label),
        ("Rows", count(item.rows)),
        ("AUC, all folds", f"{decimal(item.auc)} ({interval(item.auc_low, item.auc_high)})"),
        ("Log loss", f"{decimal(item.log_loss, 4)}, against {decimal(item.baseline_log_loss, 4)} for {item.baseline}"),
    ]
    details = (_folds(item), sentences(item.features), pairs(item.parameters.items()))
    return join(drawn, pairs(facts), more("Folds, features and parameters", *details))


def _folds(item: Training) -> Markup:
    """Set the folds as a table."""
    head = ("fold", "trained on rows", "tested on rows", "AUC", "interval", "log loss")
    rows = [
        (
            str(n),
            count(f.train_rows),
            count(f.test_rows),
            decimal(f.auc),
            interval(f.auc_low, f.auc_high),
            decimal(f.log_loss, 4),
        )
        for n, f in enumerate(item.folds, 1)
    ]
    return table(head, rows, align="rrrrrr")


def _looked(report: RunReport) -> Section:
    """Show what the market files held and what was done with it."""
    parts = [_look(item) for item in report.look]
    sentence = "What was in the market data, and what was done with each oddity, before anything was trained on it."
    return Section("data", "Data", sentence, join(parts) if parts else absent())


def _look(item: FileReport) -> Markup:
    """Say what one file held."""
    missing = f"{count(item.missing)} bars missing, the longest {count(item.missing_longest)}"
    facts = [
        ("Rows read", count(item.rows)),
        ("Events given", count(item.events)),
        ("Span", f"{day(item.first_ns)} to {day(item.last_ns)}"),
        ("Gaps", f"{count(item.gap_count)}; {missing}" if item.gap_count else "none"),
        ("File digest", code(short(item.digest))),
    ]
    gaps = [(minute(gap.after_ns), minute(gap.before_ns), count(gap.missing)) for gap in item.gaps]
    listed = more("Gaps", table(("last before", "first after", "bars missing"), gaps, align="ttr")) if gaps else None
    return join(heading(f"{item.symbol} ({item.kind})"), pairs(facts), sentences(item.sentences()), listed)


def _record(report: RunReport) -> Section:
    """Show what verifying and replaying the record gave."""
    parts = [
        heading("Verify: is every byte as it was written?"),
        _verification(report.verified) if report.verified else absent(),
        heading("Replay: do the recorded inputs give the same decisions again?"),
        _replay(report.replayed) if report.replayed else absent(),
    ]
    return Section(
        "record",
        "The record",
        "Everything the engine consumed and decided, and whether it can be trusted.",
        join(parts),
    )


def _verification(v: Verified) -> Markup:
    """Say what checking the bytes gave."""
    verdict = badge("whole", "good") if v.ok else badge("damaged", "bad")
    facts = [
        ("Verdict", verdict),
        ("Records", count(v.records)),
        ("Size", size(v.size_bytes)),
        ("Signed heads", v.heads or "none given"),
    ]
    return join(pairs(facts), sentences(v.problems) if v.problems else None)


def _replay(r: Replayed) -> Markup:
    """Say what deciding again gave."""
    facts = [
        ("Verdict", badge("identical", "good") if r.identical else badge("different", "bad")),
        ("Decisions compared", count(r.decisions)),
        ("Orders compared", count(r.orders)),
        ("Differences", count(r.differences)),
    ]
    if r.fingerprint_recorded != r.fingerprint_here:
        facts.append(("Runtime", f"recorded on {r.fingerprint_recorded}, replayed on {r.fingerprint_here}"))
    return join(pairs(facts), paragraph(f"First difference: {r.first_difference}") if r.first_difference else None)
