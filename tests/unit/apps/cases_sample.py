"""A case with all that can stand behind it, made up: for the report and for the page."""

from collections import Counter

import msgspec

from tradeworthy.apps.reports.case_story import CasePage
from tradeworthy.change.watch.explaining import CaseEvidence
from tradeworthy.change.watch.findings import Case
from tradeworthy.core.findings import Finding
from tradeworthy.core.time import NS_PER_DAY
from tradeworthy.judge.explain.change import Change, Effect, FeatureChange

START = 1_550_000_000_000_000_000
FINDING = Finding(
    monitor="drift",
    subject="spread",
    kind="data_drift",
    sequence=70,
    ts_event_ns=START + 10 * NS_PER_DAY,
    since_ns=START + 9 * NS_PER_DAY,
    observed=2.0,
    reference=1.0,
    unit="units of spread",
    statistic=9.0,
    threshold=5.0,
    false_alarms_per_10k=1.0,
    sentence="spread has moved up.",
)


def feature(name, moved=1.0, loss=0.01):
    """Return a feature that has moved."""
    shares = [0.25, 0.5, 0.25]
    return FeatureChange(
        name=name,
        mean_then=0.0,
        mean_now=1.0,
        deviation=1.0,
        moved=moved,
        edges=[-1.0, 0.0, 1.0, 2.0],
        then=shares,
        now=shares[::-1],
        reason_then=0.1,
        reason_now=0.2,
        loss=loss,
        loss_error=0.001,
    )


def change(names=("spread", "return_1"), **realised: object):
    """Return an explained change; realised figures are absent unless given."""
    features = [feature(name, moved=len(names) - place) for place, name in enumerate(names)]
    total = sum(each.loss for each in features)
    known = {"realised_now": None, "realised_low": None, "realised_high": None, "labelled": 0, "rest": None}
    effect = Effect(
        loss="log loss",
        method="Shapley values of a test",
        expected_then=0.69,
        expected_now=0.69 + total,
        change=total,
        low=0.001,
        high=0.05,
        realised_then=0.68,
        **(known | realised),
    )
    return Change(rows=400, reasons="exact", features=features, effect=effect)


def case_page(evidence=None, answers=(), **changes: object):
    """Return a case with what stands behind it."""
    finding = msgspec.structs.replace(FINDING, **changes)
    case = Case(
        number=5,
        version="ab" * 32,
        first=finding,
        last=finding,
        told=finding,
        raised_ns=START,
        last_ns=START,
        severity="warning",
        told_ns=START,
        causes=Counter([(finding.monitor, finding.kind, finding.subject)]),
    )
    path = [(finding.ts_event_ns - (5 - n) * NS_PER_DAY, n / 5) for n in range(6)]
    kept = CaseEvidence(number=5, version=case.version, finding=finding, path=path, change=change())
    return CasePage(case, evidence or kept, answers)
