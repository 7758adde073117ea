"""Remedies for unfair groups: what the gate offers is what comes of taking it up."""

import msgspec
import numpy as np
import pytest
from change_desk import EVERY_LIMIT, INSTRUMENTS, REVIEWED, START_NS, desk, write_strategy
from change_lender import STRATEGY, TRAINING, UNWEIGHED, applicants, lent, register

from tradeworthy.change.evidence.gather import gather
from tradeworthy.change.evidence.gatherers import GATHERERS
from tradeworthy.core.decisions import LATE, threshold_number
from tradeworthy.core.limits import Limits
from tradeworthy.core.time import VirtualClock
from tradeworthy.judge.validate.fairness import FairnessSettings, Mitigations, Protected
from tradeworthy.judge.validate.gate import GateSettings, judge
from tradeworthy.live.pipeline import Pipeline
from tradeworthy.model.thresholds import GroupThreshold, GroupThresholds

STRICT = FairnessSettings(protected=("group",), equalized_odds_max=0.15, calibration_gap_max=0.15)
PARTS = (Protected, Mitigations)


@pytest.fixture
def home(tmp_path):
    """A paper deployment."""
    made = desk(tmp_path / "desk")
    yield made
    made.close()


def evidence_of(home, digest, *, fairness=STRICT, text=STRATEGY, profile="full", strategy=True):
    """Gather what is known of groups, on the applicants."""
    return gather(
        home.registry,
        digest,
        instruments=INSTRUMENTS,
        limits=EVERY_LIMIT,
        events=applicants(),
        profile=profile,
        strategy=write_strategy(home.folder, text) if strategy else None,
        training=TRAINING,
        settings=GateSettings(fairness=fairness, documents=REVIEWED),
        gatherers=[each for each in GATHERERS if each.kind in PARTS],
        clock=VirtualClock(START_NS),
    )


def result_of(evidence, name, fairness=STRICT):
    """Judge, and return one check's result."""
    report = judge(evidence, GateSettings(fairness=fairness), clock=VirtualClock(START_NS))
    return next(result for result in report.results if result.name == name)


def by_remedy(evidence):
    """Return the measured remedies by name."""
    return {each.remedy: each for each in evidence.part(Mitigations).options}


def thresholds(low: float, high: float):
    """Return thresholds by group: the first for group 0, the second for group 1."""
    group = [GroupThreshold(value=0.0, enter_long=low), GroupThreshold(value=1.0, enter_long=high)]
    return GroupThresholds(column="group", lawful="the regulator's letter of May", owner="the officer", group=group)


def test_a_bad_candidate_that_is_biased_is_refused_and_shown_what_would_help(home):
    """The lender's habit fails fairness; each remedy is measured again, with intervals and what it costs."""
    found = evidence_of(home, register(home, lent()))
    assert result_of(found, "fairness").verdict == "fail"
    told, options = result_of(found, "mitigation"), by_remedy(found)
    assert told.verdict == "info"
    assert list(options) == [
        "as it is", "reweighing", "thresholds by group, selected alike", "thresholds by group, found alike"
    ]  # fmt: skip
    now, alike = options["as it is"], options["thresholds by group, selected alike"]
    assert not now.fair
    assert now.more_wrong == (0.0, 0.0, 0.0)
    for each in options.values():
        low, high = each.measures.demographic_parity_ratio[1:]
        assert low <= each.measures.demographic_parity_ratio[0] <= high
        assert each.more_wrong[1] <= each.more_wrong[0] <= each.more_wrong[2]
    assert now.measures.demographic_parity_ratio[0] < 0.8
    assert options["reweighing"].measures.demographic_parity_ratio[0] > 0.85
    assert alike.measures.demographic_parity_ratio[0] > 0.85
    assert options["reweighing"].fair
    assert alike.auc == now.auc
    (table,) = told.tables
    assert [row[0] for row in table.rows] == list(options)
    assert table.rows[1][-1] == '[training] reweigh = ["group"]'
    assert "where the law allows it; 0: enter_long = 0." in table.rows[2][-1]


def test_a_remedy_that_is_taken_up_gives_what_was_offered(home):
    """A version that is trained under weights has, fold by fold, the figures that the gate had foretold."""
    never = msgspec.structs.replace(STRICT, demographic_ratio_min=0.999)  # so that both are measured
    offered = by_remedy(evidence_of(home, register(home, lent()), fairness=never))["reweighing"]
    weighed = evidence_of(home, register(home, lent(reweigh=("group",))), fairness=never)
    taken = by_remedy(weighed)["as it is"]
    assert taken.measures.demographic_parity_ratio[0] == offered.measures.demographic_parity_ratio[0]
    assert (taken.auc, taken.wrong, taken.calibration_gap) == (offered.auc, offered.wrong, offered.calibration_gap)


def test_thresholds_that_are_taken_up_are_what_is_judged(home):
    """Selected by its group's own threshold, the same model treats the groups alike, and the check sees it."""
    without = evidence_of(home, register(home, lent()), profile="quick").part(Protected).columns[0]
    scores = lent().walk.scores
    group = applicants()["values"][np.searchsorted(applicants()["ts_event_ns"], lent().walk.ts_event_ns), 2]
    cuts = [float(np.quantile(scores[group == each], 0.5)) for each in (0.0, 1.0)]
    digest = register(home, lent(), thresholds=thresholds(*cuts))
    with_them = evidence_of(home, digest, profile="quick").part(Protected).columns[0]
    assert without.measures.demographic_parity_ratio[0] < 0.8
    assert with_them.measures.demographic_parity_ratio[0] > 0.95


def test_a_fair_version_needs_no_remedy(home):
    """Where nothing is unfair nothing is fitted, and the report says so; without protected columns nobody asks."""
    mild = FairnessSettings(
        protected=("group",), demographic_ratio_min=0.1, equalized_odds_max=0.9, calibration_gap_max=0.9
    )
    found = evidence_of(home, register(home, lent()), fairness=mild, strategy=False)
    assert result_of(found, "mitigation", mild).measured.startswith("no remedy is needed")
    report = judge(found, GateSettings(), clock=VirtualClock(START_NS))
    assert "mitigation" not in {result.name for result in report.results}


def test_the_quick_profile_offers_nothing(home):
    """Remedies are fitted in the full profile only; the quick one does not call them missing."""
    found = evidence_of(home, register(home, lent()), profile="quick")
    report = judge(found, GateSettings(fairness=STRICT), clock=VirtualClock(START_NS))
    assert "mitigation" not in {result.name for result in report.results}


@pytest.mark.parametrize(
    ("given", "words"),
    [({"text": UNWEIGHED}, "takes no weights"), ({"strategy": False}, "no strategy file is at hand")],
)
def test_a_remedy_that_cannot_be_tried_is_named_with_the_reason(home, given, words):
    """Without weights, or without the strategy, thresholds are still measured and reweighing says why it is not."""
    found = evidence_of(home, register(home, lent(given.get("text", STRATEGY))), **given)
    (why,) = found.part(Mitigations).untried
    assert words in why
    assert "reweighing" not in by_remedy(found)
    assert "not tried: reweighing by group" in result_of(found, "mitigation").measured


def test_a_column_of_many_values_is_shown_and_not_set(home):
    """Halves of a feature can be measured; a threshold for each of its values cannot be written down."""
    each = msgspec.structs.replace(STRICT, protected=("district",))
    found = evidence_of(home, register(home, lent()), fairness=each, strategy=False)
    (table,) = result_of(found, "mitigation", each).tables
    assert table.rows[-1][-1] == "shown only: district has too many values for a threshold each"


def test_each_decision_records_the_threshold_it_was_held_against(home):
    """One at a time and in batch: the number is that of the applicant's group, and the rest of the decision stays."""
    told = thresholds(0.6, 0.4)
    events = applicants()[:200].copy()
    events["values"][5, 2] = 7.0  # a group that nobody listed
    plain = home.registry.load(register(home, lent()))
    version = home.registry.load(register(home, lent(), thresholds=told))
    made, _ = Pipeline.alone(version, INSTRUMENTS, Limits()).many(events)
    was, _ = Pipeline.alone(plain, INSTRUMENTS, Limits()).many(events)
    one_by_one = Pipeline.alone(version, INSTRUMENTS, Limits())
    flags = [int(one_by_one.one(event)["flags"]) for event in events]
    expected = told.numbers(events["values"][:, 2])
    assert set(expected) == {0, 1, 2}
    assert [threshold_number(each) for each in flags] == expected.tolist()
    assert made["flags"].tolist() == flags
    assert not (made["flags"] & LATE).any()
    assert not was["flags"].any()
    for name in ("score", "target", "quantity", "verdict"):
        np.testing.assert_array_equal(made[name], was[name])
