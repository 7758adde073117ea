"""A version made right for another mix of classes: what is counted, what is kept, and what the gate asks of it."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from change_desk import START_NS, STRATEGY, desk
from gate_candidates import PATIENT, candidate, judged, register, verdicts

from tradeworthy.change.train.candidate import Recorded, load_candidate, save_candidate
from tradeworthy.change.train.correcting import OUTCOMES_MIN, correct, prior_of
from tradeworthy.core.errors import BundleRefused, DataInvalid, ModelMismatch
from tradeworthy.core.time import NS_PER_MINUTE, VirtualClock
from tradeworthy.judge.metrics import auc, log_losses
from tradeworthy.judge.validate.prior import PriorEvidence, PriorSettings
from tradeworthy.model.prior import PriorCorrection

CLOCK = VirtualClock(START_NS)
OF_RETURNS = STRATEGY.replace("forward_direction", "forward_return").replace("binary", "regression")


def recorded_with(share, newer=None, *, count=900, seed=3):
    """Return outcomes that differ from the walk-forward in the mix of classes alone, the newer half in its own way."""
    walk, rng = candidate().walk, np.random.default_rng(seed)
    up, down = np.flatnonzero(walk.labels > 0.5), np.flatnonzero(walk.labels < 0.5)
    shares = np.repeat([share, share if newer is None else newer], [count // 2, count - count // 2])
    places = np.where(rng.random(count) < shares, rng.choice(up, count), rng.choice(down, count))
    stamps = START_NS + 30 * NS_PER_MINUTE * np.arange(count)
    return Recorded(walk.scores[places], walk.labels[places], stamps)


@pytest.fixture
def home(tmp_path):
    """A paper deployment."""
    made = desk(tmp_path / "desk")
    yield made
    made.close()


def corrected_in(home, recorded, prior=None):
    """Register a version and, made from it, one that is corrected; return both digests."""
    parent = register(home, candidate())
    prior = prior or prior_of(candidate(), recorded)
    return parent, register(home, correct(candidate(), prior, recorded, parent=parent, clock=CLOCK))


def of_prior(home, digest, settings=PATIENT):
    """Return the verdicts on the correction alone."""
    report = judged(home, digest, only=(PriorEvidence,), settings=settings)
    return {result.name: result for result in report.results if result.name.startswith("prior")}


def test_the_share_is_counted_in_the_older_half():
    """What is judged later has not been seen: only the older outcomes make the share."""
    outcomes = recorded_with(0.8, newer=0.3)
    older, newer = outcomes.parts()
    assert (len(older), len(newer)) == (450, 450)
    prior = prior_of(candidate(), outcomes)
    assert prior.share == older.labels.mean()
    assert prior.learned == candidate().profile.base_rate
    assert (newer.ts_event_ns > older.ts_event_ns[-1]).all()


def test_too_few_outcomes_are_refused():
    """A count of a few is none; the message says how many there are and how many it takes."""
    with pytest.raises(DataInvalid, match=f"398 recorded outcomes leave 199 .* needed are {OUTCOMES_MIN} of each"):
        prior_of(candidate(), recorded_with(0.7, count=398))


def test_outcomes_of_one_class_are_refused():
    """No odds make a score sure."""
    with pytest.raises(DataInvalid, match="all 450 older outcomes are of class 1"):
        prior_of(candidate(), recorded_with(1.0))


def test_a_model_of_returns_is_refused():
    """Where nothing is foreseen but a number, there is no mix of classes."""
    with pytest.raises(ModelMismatch, match="foresees a return"):
        prior_of(candidate(OF_RETURNS), recorded_with(0.8))


def test_a_corrected_version_is_not_corrected_again():
    """Corrections do not pile up: the version that it was made from is named."""
    outcomes = recorded_with(0.8)
    made = correct(candidate(), prior_of(candidate(), outcomes), outcomes, parent="ab" * 32, clock=CLOCK)
    with pytest.raises(ModelMismatch, match=r"correct version abababababababab"):
        prior_of(made, outcomes)


def test_everything_that_scores_is_moved_alike():
    """Walk-forward, baseline, profile and golden scores are as the corrected predictor would give them."""
    outcomes = recorded_with(0.8)
    prior = prior_of(candidate(), outcomes)
    made = correct(candidate(), prior, outcomes, parent="ab" * 32, clock=CLOCK)
    golden = made.predictor.many(made.golden_rows)[:, 0]
    np.testing.assert_allclose(golden, made.golden_scores, atol=1e-12)
    np.testing.assert_allclose(prior.undone(made.walk.scores), candidate().walk.scores, rtol=1e-12)
    np.testing.assert_allclose(prior.undone(made.walk.baseline), candidate().walk.baseline, rtol=1e-12)
    np.testing.assert_allclose(prior.undone(made.profile.sample_scores), candidate().profile.sample_scores, rtol=1e-12)
    np.testing.assert_array_equal(made.profile.sample, candidate().profile.sample)
    np.testing.assert_array_equal(made.walk.labels, candidate().walk.labels)
    assert made.lineage.parent == "ab" * 32
    assert made.lineage.data_digest == candidate().lineage.data_digest


def test_what_is_foreseen_has_the_new_mix():
    """The class of which there are too many is thinned evenly over time; order, folds and scores of the rest stay."""
    outcomes = recorded_with(0.8)
    prior = prior_of(candidate(), outcomes)
    made = correct(candidate(), prior, outcomes, parent="ab" * 32, clock=CLOCK)
    seen, walk = made.foreseen, made.walk
    assert seen.labels.mean() == pytest.approx(prior.share, abs=0.01)
    assert int(seen.labels.sum()) == int(walk.labels.sum())
    assert (np.diff(seen.ts_event_ns) > 0).all()
    assert set(seen.fold) == set(walk.fold)
    halves = np.array_split(np.isin(walk.ts_event_ns, seen.ts_event_ns)[walk.labels < 0.5], 2)
    assert abs(int(halves[0].sum()) - int(halves[1].sum())) <= 2
    assert made.performance.n == len(seen.labels)
    assert made.performance.auc == pytest.approx(auc(seen.scores, seen.labels), abs=1e-12)
    assert made.performance.log_loss < made.performance.baseline_log_loss


def test_without_a_correction_what_is_foreseen_is_the_walk():
    """A version as it was trained is judged by what it was trained with."""
    assert candidate().foreseen is candidate().walk


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_a_share_is_reached_from_either_side(share):
    """Classes are thinned, never doubled, whichever is too many."""
    walk = candidate().walk
    seen = walk.with_share(share)
    assert seen.labels.mean() == pytest.approx(share, abs=0.02)
    assert len(np.unique(seen.ts_event_ns)) == len(seen.labels) < len(walk.labels)


def test_a_corrected_candidate_comes_back_as_it_was(tmp_path):
    """Correction and outcomes are kept beside the model; a candidate without them has neither."""
    outcomes = recorded_with(0.7)
    made = correct(candidate(), prior_of(candidate(), outcomes), outcomes, parent="ab" * 32, clock=CLOCK)
    save_candidate(made, tmp_path / "corrected")
    back = load_candidate(tmp_path / "corrected")
    assert back.prior == made.prior
    for name in ("scores", "labels", "ts_event_ns"):
        np.testing.assert_array_equal(getattr(back.recorded, name), getattr(outcomes, name))
    save_candidate(candidate(), tmp_path / "plain")
    plain = load_candidate(tmp_path / "plain")
    assert (plain.prior, plain.recorded) == (None, None)


@pytest.mark.parametrize("found", [b"", b"{}", b'{"author": "\xff"}', b"[" * 100_000])
def test_a_candidate_that_cannot_be_read_is_refused(tmp_path, found):
    """Its note is named, with what to do."""
    save_candidate(candidate(), tmp_path / "spoilt")
    (tmp_path / "spoilt" / "candidate.json").write_bytes(found)
    with pytest.raises(BundleRefused, match=r"candidate\.json is not a candidate of this release.*train again"):
        load_candidate(tmp_path / "spoilt")


def test_a_candidate_of_an_older_release_is_read(tmp_path):
    """Notes that do not know of corrections are of candidates without one."""
    save_candidate(candidate(), tmp_path / "old")
    note = msgspec.json.decode((tmp_path / "old" / "candidate.json").read_bytes())
    del note["prior"]
    (tmp_path / "old" / "candidate.json").write_bytes(msgspec.json.encode(note))
    assert load_candidate(tmp_path / "old").prior is None


def test_a_true_correction_passes_the_whole_gate(home):
    """Where only the mix has changed, the corrected version passes every check, beside which the mix is shown."""
    outcomes = recorded_with(0.8)
    _, digest = corrected_in(home, outcomes)
    assert set(verdicts(judged(home, digest)).values()) == {"pass", "info"}
    told = of_prior(home, digest)
    low, high = told["prior_correction"].interval
    newer = outcomes.parts()[1]
    prior = home.registry.load(digest).manifest.prior
    saved = log_losses(newer.scores, newer.labels) - log_losses(prior.applied(newer.scores), newer.labels)
    assert 0.0 < low < saved.mean() < high
    rows = {row[0].split(",")[0]: row[1:4] for row in told["prior_supported"].tables[0].rows}
    assert rows["training"][0] == candidate().profile.base_rate
    assert rows["newer outcomes"][1] < 0.8 < rows["newer outcomes"][2]
    assert rows["older outcomes"][0] == prior.share


def test_the_gate_refuses_a_correction_that_saves_nothing(home):
    """With outcomes as they were in training a correction is noise, and noise is no gain."""
    _, digest = corrected_in(home, recorded_with(candidate().profile.base_rate, seed=5))
    told = of_prior(home, digest)
    assert told["prior_correction"].verdict == "fail"
    assert told["prior_correction"].interval[0] <= 0.0


def test_the_gate_refuses_a_share_that_newer_outcomes_deny(home):
    """A mix that has gone back since then is not what scores are corrected for."""
    _, digest = corrected_in(home, recorded_with(0.85, newer=0.45))
    told = of_prior(home, digest)
    assert (told["prior_supported"].verdict, told["prior_correction"].verdict) == ("fail", "fail")
    assert "corrected from" in told["prior_supported"].measured


def test_the_gate_refuses_a_share_that_was_not_counted(home):
    """A share that somebody made up is held against the outcomes like any other."""
    invented = PriorCorrection(learned=float(candidate().profile.base_rate), share=0.97)
    _, digest = corrected_in(home, recorded_with(0.75), invented)
    assert of_prior(home, digest)["prior_supported"].verdict == "fail"


def test_the_gate_refuses_another_model_under_the_name_of_a_correction(home):
    """The predictor must be the parent's with other odds, byte for byte: nothing else comes in this way."""
    outcomes = recorded_with(0.8)
    parent = register(home, candidate())
    made = correct(candidate(), prior_of(candidate(), outcomes), outcomes, parent=parent, clock=CLOCK)
    digest = register(home, replace(made, predictor=made.predictor.shifted(0.01)))
    found = of_prior(home, digest)["prior_supported"]
    assert found.verdict == "fail"
    assert "NOT that of the version before" in found.measured


def test_the_gate_refuses_a_correction_of_a_version_that_is_not_here(home):
    """Without the version before nobody can say that only the odds were changed."""
    outcomes = recorded_with(0.8)
    made = correct(candidate(), prior_of(candidate(), outcomes), outcomes, parent="cd" * 32, clock=CLOCK)
    assert of_prior(home, register(home, made))["prior_supported"].verdict == "fail"


def test_without_its_outcomes_a_correction_is_missing_and_stops(home):
    """What cannot be judged does not pass."""
    outcomes = recorded_with(0.8)
    parent = register(home, candidate())
    made = correct(candidate(), prior_of(candidate(), outcomes), outcomes, parent=parent, clock=CLOCK)
    told = of_prior(home, register(home, replace(made, recorded=None)))
    assert {each.verdict for each in told.values()} == {"missing"}
    assert "correct the version again" in told["prior_correction"].measured


def test_a_version_without_a_correction_is_asked_for_none(home):
    """Off by default: the checks say why they do not apply, and stop nothing."""
    told = of_prior(home, register(home, candidate()))
    assert {each.verdict for each in told.values()} == {"info"}
    assert "holds no prior correction" in told["prior_correction"].measured


def test_a_candidate_that_hides_its_correction_is_refused(home):
    """The evidence kept beside a version must say the same correction as the signed manifest."""
    _, digest = corrected_in(home, recorded_with(0.8))
    folder = home.registry.folder / "candidates" / digest[:16]
    save_candidate(replace(load_candidate(folder), prior=None), folder)
    assert verdicts(judged(home, digest))["artifact_safety"] == "fail"


def test_what_the_gate_asks_is_a_setting(home):
    """A desk may ask for more gain, or more outcomes."""
    _, digest = corrected_in(home, recorded_with(0.8))
    for strict in (PriorSettings(gain_low_min=10.0), PriorSettings(outcomes_min=451)):
        told = of_prior(home, digest, msgspec.structs.replace(PATIENT, prior=strict))
        assert told["prior_correction"].verdict == "fail"
