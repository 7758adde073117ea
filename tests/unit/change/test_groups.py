"""Groups of a column, and training that is reweighed by them."""

import numpy as np
import pytest
from change_desk import INSTRUMENTS, START_NS, desk, market, write_strategy
from change_desk import STRATEGY as TRADER
from change_lender import FIELDS, STRATEGY, TRAINING, UNWEIGHED, applicants, lent, register
from msgspec.structs import replace

from tradeworthy.change.train.candidate import load_candidate, save_candidate
from tradeworthy.change.train.groups import VALUES_MAX, column_of, crossed, groups_of, weights_of
from tradeworthy.change.train.strategy import load_strategy
from tradeworthy.change.train.training import reweighed_by, train
from tradeworthy.core.errors import DataInvalid, ModelMismatch
from tradeworthy.core.time import VirtualClock

RNG_SEED = 4


def biased(n=4_000):
    """Return groups and labels of which group 2 has few positives."""
    rng = np.random.default_rng(RNG_SEED)
    groups = rng.integers(0, 3, n)
    return groups, (rng.random(n) < np.array([0.7, 0.5, 0.1])[groups]).astype(float)


def trained(folder, text=STRATEGY, events=None, **settings: object):
    """Train a text on the applicants, or on other events, with other settings."""
    strategy = load_strategy(write_strategy(folder, text))
    events = applicants() if events is None else events
    return train(strategy, events, INSTRUMENTS, replace(TRAINING, **settings), clock=VirtualClock(START_NS))


def test_weighed_groups_have_the_same_share_of_positives():
    """Under the weights every group has the share of positives that all have, and all weigh what they did."""
    groups, labels = biased()
    weights = weights_of(groups, labels)
    shares = [np.average(labels[groups == each], weights=weights[groups == each]) for each in range(3)]
    assert shares == pytest.approx([labels.mean()] * 3, abs=1e-12)
    assert [weights[groups == each].sum() for each in range(3)] == pytest.approx(np.bincount(groups), abs=1e-9)
    assert weights.mean() == pytest.approx(1.0, abs=1e-12)


def test_groups_that_are_alike_are_not_weighed():
    """Where the group says nothing of the label, all weights are 1."""
    groups, labels = np.tile([0, 0, 1, 1], 50), np.tile([0.0, 1.0], 100)
    np.testing.assert_allclose(weights_of(groups, labels), 1.0, atol=1e-12)


def test_a_group_without_one_of_the_labels_has_weights_too():
    """A group that was never granted anything keeps its rows; no weight is infinite."""
    groups, labels = np.array([0, 0, 0, 1, 1]), np.array([1.0, 1.0, 0.0, 0.0, 0.0])
    weights = weights_of(groups, labels)
    assert np.isfinite(weights).all()
    assert (weights > 0).all()


def test_few_values_are_groups_and_many_are_halves():
    """Up to ten values are a group each; one more and the median cuts them."""
    groups, names = groups_of(np.array([2.0, 0.0, 2.0, 5.0]), "sector")
    assert (groups.tolist(), names) == ([1, 0, 1, 2], ["sector 0", "sector 2", "sector 5"])
    groups, names = groups_of(np.arange(VALUES_MAX + 1.0), "age")
    assert (groups.sum(), names) == (5, ["age up to 5", "age over 5"])


def test_a_value_that_is_not_known_is_a_group_of_its_own():
    """A hole in the column neither joins another group nor hides the median."""
    groups, names = groups_of(np.array([1.0, np.nan, 0.0, np.nan]), "sector")
    assert (groups.tolist(), len(names)) == ([1, 2, 0, 2], 3)
    many = np.append(np.arange(20.0), np.nan)
    assert groups_of(many, "age")[0].tolist() == [*[0] * 10, *[1] * 10, 0]


def test_columns_are_crossed():
    """Two columns of two groups give up to four: those that are there."""
    found = crossed([np.array([0, 0, 1, 1, 0]), np.array([0, 1, 0, 0, 0])])
    assert found.tolist() == [0, 1, 2, 2, 0]


def test_a_column_is_a_feature_or_a_field():
    """Both are found by name; of a name that is both the feature is meant; another name gets a hint."""
    events, known = applicants()[:4], {"features": ["skill"], "fields": FIELDS}
    rows = np.arange(4.0)[:, None]
    np.testing.assert_array_equal(column_of("skill", rows, events, **known), rows[:, 0])
    np.testing.assert_array_equal(column_of("group", rows, events, **known), events["values"][:, 2])
    with pytest.raises(DataInvalid, match="near: 'group'"):
        column_of("grupo", rows, events, **known)


def test_reweighed_training_narrows_the_gap_between_groups():
    """Out of fold, the group that was granted less scores nearer to the other, though no model sees the group."""
    gaps = []
    for made in (lent(), lent(reweigh=("group",))):
        stamps = applicants()["ts_event_ns"]
        group = applicants()["values"][np.searchsorted(stamps, made.walk.ts_event_ns), 2] > 0.5
        gaps.append(made.walk.scores[~group].mean() - made.walk.scores[group].mean())
    assert gaps[0] > 0.1
    assert gaps[1] < gaps[0] / 3


def test_a_version_says_by_what_it_was_reweighed(tmp_path):
    """The lineage names the columns, through a candidate's folder and a signed version; without them, nothing."""
    made = lent(reweigh=("group", "district"))
    assert reweighed_by(made.lineage) == ("group", "district")
    save_candidate(made, tmp_path / "candidate")
    assert reweighed_by(load_candidate(tmp_path / "candidate").lineage) == ("group", "district")
    assert reweighed_by(lent().lineage) == ()
    home = desk(tmp_path / "desk")
    manifest = home.registry.load(register(home, made)).manifest
    assert manifest.lineage.parameters["reweighed by"] == "group, district"
    home.close()


def test_a_strategy_without_weights_says_how_to_take_them(tmp_path):
    """Reweighing asked of train(rows, labels) is refused; the same strategy trains where it is not asked for."""
    with pytest.raises(ModelMismatch, match="write def train\\(rows, labels, weights=None\\)"):
        trained(tmp_path, UNWEIGHED, reweigh=("group",))
    assert not load_strategy(write_strategy(tmp_path, UNWEIGHED)).weighs
    assert trained(tmp_path, UNWEIGHED).lineage.parameters.keys() == lent().lineage.parameters.keys()


def test_what_cannot_be_weighed_is_refused(tmp_path):
    """A column that nobody knows, and labels that are no classes, are told by name."""
    with pytest.raises(DataInvalid, match="no column 'gruop' \\(near: 'group'\\)"):
        trained(tmp_path, reweigh=("gruop",))
    returns = TRADER.replace("forward_direction", "forward_return").replace('"binary"', '"regression"')
    with pytest.raises(DataInvalid, match="are not 0 and 1"):
        trained(tmp_path, returns.replace("SEED", "1"), market(400), reweigh=("return_1",))


def test_a_feature_can_be_weighed_by(tmp_path):
    """Of a feature of many values, the halves are weighed: the training runs and says so."""
    made = trained(tmp_path, reweigh=("district",))
    assert reweighed_by(made.lineage) == ("district",)
    assert not np.array_equal(made.walk.scores, lent().walk.scores)
