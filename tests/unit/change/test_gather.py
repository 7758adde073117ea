"""Evidence about a registered version, and the gate's verdict on it."""

from typing import Any

import numpy as np
import pytest
from change_desk import EVERY_LIMIT, INSTRUMENTS, START_NS, desk, market, trained

from tradeworthy.change.evidence.gather import StreamRun, gather, latency, run_stream
from tradeworthy.change.train.candidate import save_candidate
from tradeworthy.core.errors import NotFound
from tradeworthy.core.limits import Limits
from tradeworthy.core.time import VirtualClock
from tradeworthy.judge.validate.gate import GateSettings, judge


@pytest.fixture
def home(tmp_path):
    """A paper deployment."""
    made = desk(tmp_path / "desk")
    yield made
    made.close()


def evidence_of(home, digest, **changes: Any):
    """Gather on 400 bars."""
    given = {"instruments": INSTRUMENTS, "limits": EVERY_LIMIT, "events": market(400)} | changes
    return gather(home.registry, digest, **given)


def verdicts(evidence):
    """Judge with a gate that does not mind a busy machine."""
    settings = GateSettings(latency_us_p99_max=1e9)
    report = judge(evidence, settings, clock=VirtualClock(START_NS))
    return {result.name: result.verdict for result in report.results}


def test_a_sound_version_passes_every_check(home):
    """Stream and batch agree to the bit, serving and library to 1e-12, and every part is there."""
    found = evidence_of(home, home.registered())
    assert found.parity.stream_batch_rows == 400 - 12
    assert found.parity.stream_batch_differences == 0
    assert found.parity.serving_error_max <= 1e-12
    assert found.latency.decisions == 400 - 12 - 50
    assert 0 < found.latency.us_p50 <= found.latency.us_p99
    assert found.performance == trained().performance
    assert set(verdicts(found).values()) == {"pass"}


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
    assert found.performance is None
    assert verdicts(found)["artifact_safety"] == "fail"


def test_desk_and_bundle_limits_are_joined(home):
    """The tighter limit counts; one that only the bundle sets counts too."""
    found = evidence_of(home, home.registered(), limits=Limits(order_value_max=5.0))
    assert found.limits.order_value_max == 5.0
    assert found.limits.missing() == []


def test_the_live_rows_are_those_of_training(home):
    """The pipeline's rows, one event at a time, are the dataset's rows."""
    version = home.registry.load(home.registered())
    events = market(1_500)
    stream = run_stream(version, INSTRUMENTS, EVERY_LIMIT, events)
    np.testing.assert_array_equal(stream.places, np.arange(12, 1_500))
    kept = np.unique(np.linspace(0, 1_484, 120).astype(int))
    np.testing.assert_array_equal(stream.rows[kept], trained().golden_rows)


def test_too_few_decisions_give_no_latency():
    """The first decisions are not timed."""
    run = StreamRun(rows=np.zeros((50, 1)), places=np.arange(50), nanoseconds=np.full(50, 1_000))
    assert latency(run) is None


def test_an_unknown_profile_is_refused(home):
    """The message names the profiles there are."""
    with pytest.raises(NotFound, match="quick, full"):
        evidence_of(home, home.registered(), profile="quik")
