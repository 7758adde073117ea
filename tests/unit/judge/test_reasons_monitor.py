"""Attribution drift: told when the reasons of the scores change, and only then."""

import numpy as np
import pytest
from drift_streams import streams

from tradeworthy.core.decisions import DECISION, row_dtype
from tradeworthy.core.errors import DataInvalid
from tradeworthy.core.time import NS_PER_MINUTE
from tradeworthy.judge.explain.treeshap import TreeShap
from tradeworthy.judge.monitor.control_charts.calibration import ChartSettings
from tradeworthy.judge.monitor.reasons import ReasonSettings, ReasonsMonitor
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.model.profile import Profile
from tradeworthy.testing.monitors import check_monitor, run
from tradeworthy.testing.predictors import random_forest

VERSION, N, HALF = 0xABC, 4_000, 2_000
NAMES = ["strong", "weak", "third", "unused"]
SETTINGS = ReasonSettings(false_alarms_per_10k=0.2, features_max=3, charts=ChartSettings(runs=10, run_length=2_000))


class Linear:
    """Explains a model that adds up its features, each with a weight of its own."""

    weights = np.array([1.0, 0.2, 0.4, 0.0])

    def explain(self, rows):
        """Return a feature's weight times its value, for each row."""
        return Explained(rows * self.weights)


class Explained:
    """What a linear explanation holds."""

    def __init__(self, contributions) -> None:
        self.contributions = contributions


def monitor(seed=0, explainer=None):
    """Return a monitor calibrated on normal rows."""
    rows = np.random.default_rng(seed).normal(size=(2_000, 4))
    profile = Profile.of(rows, rows[:, :1])
    return ReasonsMonitor(
        explainer or Linear(), profile, NAMES, version=VERSION, instruments=["ETH"], settings=SETTINGS
    )


def tape(scales, seed=1):
    """Return decisions and rows whose features are scaled from half way on."""
    rng = np.random.default_rng(seed)
    decisions, rows = np.zeros(N, DECISION), np.zeros(N, row_dtype(4, 1))
    decisions["sequence"], decisions["ts_event_ns"] = 10 * np.arange(N) + 10, NS_PER_MINUTE * (1 + np.arange(N))
    decisions["version"] = VERSION
    rows["sequence"], rows["decision"] = decisions["sequence"] + 1, decisions["sequence"]
    rows["row"] = rng.normal(size=(N, 4))
    rows["row"][HALF:] *= scales
    return decisions, rows


def slices(streams):
    """Return the streams in slices, one after the other."""
    return [stream[begin : begin + 500] for begin in range(0, N, 500) for stream in streams]


def test_it_keeps_the_promise_of_every_monitor():
    """Slices, restarts, foreign records: the contract kit's checks."""
    check_monitor(monitor, slices(tape([2.0, 1.0, 3.0, 1.0])))


def test_a_feature_that_moves_scores_more_is_told():
    """A spread that doubles is heard though the mean stays, with its time and sizes."""
    found = run(monitor(), slices(tape([2.0, 1.0, 1.0, 1.0])))
    assert found[0].subject == "strong"
    assert found[0].kind == "attribution_drift"
    assert abs(found[0].since_ns / NS_PER_MINUTE - HALF) < 150
    assert found[0].reference == pytest.approx(np.sqrt(2 / np.pi), abs=0.05)
    assert found[0].observed > 1.3 * found[0].reference
    assert "moves the scores of ETH more than it did" in found[0].sentence


def test_a_feature_that_the_model_does_not_use_changes_no_reason():
    """What moves no score may move as it likes."""
    assert run(monitor(), slices(tape([1.0, 1.0, 1.0, 50.0]))) == []


def test_reasons_that_vanish_are_told():
    """A feature that went silent moves the scores less."""
    found = run(monitor(), slices(tape([0.0, 1.0, 1.0, 1.0])))
    assert found[0].subject == "strong"
    assert "less than it did" in found[0].sentence


def test_what_changes_together_is_one_finding():
    """Features that alarm at nearly the same row are told once."""
    found = run(monitor(), slices(tape([5.0, 5.0, 5.0, 1.0])))
    assert len([each for each in found if each.sequence < 10 * (HALF + 100)]) == 1


def test_only_the_most_important_features_are_watched():
    """The largest contributions of training come first; a feature without any is left out."""
    heard = monitor()
    heard.observe(tape([1.0, 1.0, 1.0, 1.0])[0][:10])
    heard.observe(tape([1.0, 1.0, 1.0, 1.0])[1][:10])
    assert [gauge.subject for gauge in heard.gauges()] == ["strong", "third", "weak"]
    assert all(0.0 <= gauge.value < 1.0 for gauge in heard.gauges())


def test_a_state_of_other_features_is_refused():
    """Memories of other charts are no memories."""
    state = monitor().state()
    state["names"] = np.frombuffer(b'["other"]', np.uint8)
    with pytest.raises(DataInvalid, match="the state watches other"):
        monitor().restore(state)


def test_it_works_on_a_forest():
    """The contributions are those of the exact kernel."""
    trees = Trees.from_forest(random_forest(np.random.default_rng(4), trees=10, n_features=4))
    found = run(monitor(explainer=TreeShap(trees)), slices(tape([0.05, 0.05, 0.05, 0.05])))
    assert found[0].monitor == "reasons"


@pytest.mark.parametrize("law", ["gauss", "t3", "garch", "ar1"])
def test_it_alarms_without_change_about_as_rarely_as_asked(law):
    """Eight streams of 10,000 rows of each kind, one alarm in 10,000 asked: within three times, clusters included."""
    settings = ReasonSettings(charts=ChartSettings(runs=40, run_length=1_000))
    found = 0
    for seed in range(8):
        rows = streams(law, 15_000, seed, width=4)
        profile = Profile.of(rows[:5_000], rows[:5_000, :1])
        watching = ReasonsMonitor(Linear(), profile, NAMES, version=VERSION, instruments=["ETH"], settings=settings)
        decisions, records = np.zeros(10_000, DECISION), np.zeros(10_000, row_dtype(4, 1))
        decisions["sequence"] = 2 * np.arange(10_000) + 1
        decisions["version"] = VERSION
        records["sequence"], records["decision"] = decisions["sequence"] + 1, decisions["sequence"]
        records["row"] = rows[5_000:]
        found += len(run(watching, [decisions, records]))
    assert found <= 24


def test_a_short_past_is_watched_in_shorter_blocks():
    """With 400 rows of training a block has two, and a change is still told."""
    rows = np.random.default_rng(0).normal(size=(400, 4))
    watching = ReasonsMonitor(
        Linear(), Profile.of(rows, rows[:, :1]), NAMES, version=VERSION, instruments=["ETH"], settings=SETTINGS
    )
    found = run(watching, slices(tape([4.0, 1.0, 1.0, 1.0])))
    assert found[0].subject == "strong"
