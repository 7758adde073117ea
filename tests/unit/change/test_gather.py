"""Evidence about a registered version, and the gate's verdict on it."""

from typing import Any

import numpy as np
import pytest
from change_desk import EVERY_LIMIT, INSTRUMENTS, REVIEWED, START_NS, TRAINING, desk, market, trained
from msgspec.structs import asdict

from tradeworthy.change.evidence.context import Context, Gatherer, NotGathered, Work
from tradeworthy.change.evidence.gather import gather
from tradeworthy.change.evidence.stream import run_stream
from tradeworthy.change.train.candidate import save_candidate
from tradeworthy.core.errors import NotFound
from tradeworthy.core.limits import Limits
from tradeworthy.core.time import VirtualClock
from tradeworthy.judge.validate.documents import ChangeFromChampion, DocumentsSettings
from tradeworthy.judge.validate.evidence import Evidence, Part
from tradeworthy.judge.validate.gate import GateSettings, judge
from tradeworthy.judge.validate.latency import Latency, LatencySettings
from tradeworthy.judge.validate.limits import LimitsInForce
from tradeworthy.judge.validate.parity import Parity
from tradeworthy.judge.validate.performance import Performance


@pytest.fixture
def home(tmp_path):
    """A paper deployment."""
    made = desk(tmp_path / "desk")
    yield made
    made.close()


def evidence_of(home, digest, **changes: Any):
    """Gather on the bars it was trained on."""
    given = {"instruments": INSTRUMENTS, "limits": EVERY_LIMIT, "events": market(), "cost_bps": 8.0}
    given |= {"training": TRAINING, "clock": VirtualClock(START_NS)} | changes
    return gather(home.registry, digest, **given)


def verdicts(evidence):
    """Judge with a gate that does not mind a busy machine."""
    settings = GateSettings(latency=LatencySettings(us_p99_max=1e9), documents=REVIEWED)
    report = judge(evidence, settings, clock=VirtualClock(START_NS))
    return {result.name: result.verdict for result in report.results}


def test_a_sound_version_passes_every_check(home):
    """Stream and batch agree to the bit, serving and library to 1e-12, and every part is there."""
    found = evidence_of(home, home.registered())
    assert found.part(Parity).stream_batch_rows == 1_500 - 12
    assert found.part(Parity).stream_batch_differences == 0
    assert found.part(Parity).serving_error_max <= 1e-12
    assert found.part(Latency).decisions == 1_500 - 12 - 50
    assert 0 < found.part(Latency).us_p50 <= found.part(Latency).us_p99
    known = found.part(Performance)
    assert {name: getattr(known, name) for name in Performance.__struct_fields__} == asdict(trained().performance)
    assert [(table.chart, len(table.rows)) for table in known.tables] == [("intervals", 4), ("reliability", 10)]
    assert all(low <= value <= high for _, value, low, high, _ in known.tables[0].rows)
    assert sum(n for *_, n in known.tables[1].rows) == known.n
    assert set(verdicts(found).values()) == {"pass", "info"}


def test_without_events_parity_and_latency_are_missing(home):
    """What was not run is missing, never passed."""
    found = evidence_of(home, home.registered(), events=None)
    assert verdicts(found)["parity_features"] == "missing"
    assert verdicts(found)["latency"] == "missing"


def test_a_damaged_bundle_fails_and_is_not_run(home):
    """Bytes that were not signed fail the artifact check; nothing else was gathered."""
    digest = home.registered()
    path = home.folder / "versions" / digest[:16] / "profile.npz"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    found = evidence_of(home, digest)
    assert verdicts(found)["artifact_safety"] == "fail"
    assert verdicts(found)["performance"] == "missing"


def test_the_evidence_of_another_candidate_is_refused(home):
    """Figures of a better model do not vouch for this one."""
    digest = home.registered(1)
    save_candidate(trained(2), home.folder / "candidates" / digest[:16])
    found = evidence_of(home, digest)
    assert found.part(Performance) is None
    assert verdicts(found)["artifact_safety"] == "fail"


def test_desk_and_bundle_limits_are_joined(home):
    """The tighter limit counts; one that only the bundle sets counts too."""
    found = evidence_of(home, home.registered(), limits=Limits(order_value_max=5.0))
    assert found.part(LimitsInForce).limits.order_value_max == 5.0
    assert found.part(LimitsInForce).unset == []


def test_the_live_rows_are_those_of_training(home):
    """The pipeline's rows, one event at a time, are the dataset's rows."""
    version = home.registry.load(home.registered())
    events = market(1_500)
    stream = run_stream(version, INSTRUMENTS, EVERY_LIMIT, events)
    np.testing.assert_array_equal(stream.places, np.arange(12, 1_500))
    kept = np.unique(np.linspace(0, 1_484, 120).astype(int))
    np.testing.assert_array_equal(stream.rows[kept], trained().golden_rows)


def test_too_few_decisions_give_no_latency(home):
    """The first decisions are not timed."""
    found = evidence_of(home, home.registered(), events=market(12 + 50))
    assert found.part(Latency) is None
    assert found.why(Latency) == "it made 50 decisions, of which the first 50 are not timed"


def test_an_unknown_profile_is_refused(home):
    """The message names the profiles there are."""
    with pytest.raises(NotFound, match="quick, full"):
        evidence_of(home, home.registered(), profile="quik")


class Nothing(Part, frozen=True, kw_only=True):
    """A part that a test gathers."""

    share: float


def with_gatherer(home, gather_nothing, *, profile="quick", quick=True, **given: Any):
    """Gather with one gatherer of a test's own."""
    gatherer = Gatherer(Nothing, gather_nothing, "looking for nothing", budget_s=2.0, quick=quick)
    return evidence_of(home, home.registered(), gatherers=(gatherer,), profile=profile, **given)


def test_a_gatherer_is_told_its_budget_and_tells_its_progress(home):
    """Processor time is counted down; progress is a share of the whole."""
    spent = iter((0, 0, 500_000_000))
    told: list[Any] = []

    def half(context: Context, work: Work) -> Nothing:
        work.tell(0.5)
        return Nothing(share=work.left_s if work.spent_s >= 0 else 0.0)

    found = with_gatherer(home, half, timer=lambda: next(spent), report=lambda *words: told.append(words))
    assert found.part(Nothing) == Nothing(share=1.5)
    assert told == [("looking for nothing", 0.0), ("looking for nothing", 0.5), ("gathered", 1.0)]


def test_what_cannot_be_gathered_is_absent_with_its_reason(home):
    """The reason is kept for the report; the other parts are not disturbed."""

    def refuse(context: Context, work: Work) -> Nothing:
        raise NotGathered("there is nothing to look at")

    found = with_gatherer(home, refuse)
    assert found.part(Nothing) is None
    assert found.why(Nothing) == "there is nothing to look at"


def test_a_mistake_in_a_gatherer_is_no_evidence_and_no_silence(home):
    """A programmer's mistake crashes; it is never read as missing."""

    def stumble(context: Context, work: Work) -> Nothing:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        with_gatherer(home, stumble)


def test_the_quick_profile_leaves_out_what_is_only_full(home):
    """A gatherer for the full profile runs there and not in the quick one."""

    def found(context: Context, work: Work) -> Nothing:
        return Nothing(share=1.0)

    assert with_gatherer(home, found, quick=False).parts == []
    assert with_gatherer(home, found, quick=False, profile="full").parts == [Nothing(share=1.0)]


def test_what_one_gatherer_draws_does_not_depend_on_the_others(home):
    """Generators are fresh and named: the same name draws the same again, another name something else."""
    draws = []

    def draw(context: Context, work: Work) -> Nothing:
        draws.append([context.rng(name).random() for name in ("a", "a", "b")])
        return Nothing(share=1.0)

    with_gatherer(home, draw)
    ((first, again, other),) = draws
    assert first == again != other


def test_a_champion_that_scores_no_common_event_is_no_distance(home):
    """Too few events for a row of either: features and figures are compared, distances are not, and nothing warns."""
    home.champion(1)
    change = evidence_of(home, home.registered(2), events=market(5)).part(ChangeFromChampion)
    assert (change.rows, change.features_added, change.features_removed) == (0, [], [])
    assert np.isnan([change.score_distance, change.sides_differ, change.attribution_distance]).all()
    assert len(change.tables) == 1
    asked = GateSettings(documents=DocumentsSettings(score_distance_max=0.1))
    (shown, bounded) = (
        next(check for check in settings.checks("quick") if check.name == "change").judge(
            Evidence(version="", profile="quick", parts=(change,))
        )
        for settings in (GateSettings(), asked)
    )
    assert (shown.verdict, bounded.verdict) == ("info", "missing")
    assert "no event that both score" in shown.measured
