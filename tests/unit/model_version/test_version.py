"""A version is written whole, comes back as it was, and refuses parts that do not fit."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tradeworthy.core.decisions import version_name
from tradeworthy.core.errors import BundleRefused, ModelMismatch
from tradeworthy.core.limits import Limits
from tradeworthy.model.features.expressions import bar
from tradeworthy.model.features.labels import Label, forward_direction
from tradeworthy.model.features.program import compile_program
from tradeworthy.model.predictors.onnx import Onnx
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.model.profile import Profile
from tradeworthy.model.version import Card, Lineage, Signal, Version, load_version
from tradeworthy.testing.predictors import random_forest
from tradeworthy.testing.versions import small_program, small_trees, trusted_key, write_small_version

ROWS = np.random.default_rng(9).normal(size=(30, 4))


@pytest.fixture
def keys(tmp_path):
    return trusted_key(tmp_path / "keys")


def rng():
    return np.random.default_rng(1)


def test_a_version_comes_back_as_it_was(tmp_path, keys):
    """Program, trees, profile, golden rows and every fact survive; the digest is the name."""
    predictor = small_trees(rng())
    label = forward_direction(bar.close, 6, cost_bps=5.0)
    digest = write_small_version(
        tmp_path / "version", keys[0], rng(), predictor=predictor, label=label.to_json(), env="live",
        signal=Signal(enter_long=0.6), bounds=Limits(order_value_max=5.0), card=Card(owner="Ann"),
        lineage=Lineage(parameters={"rounds": "200"}, fold_metrics={"auc": 0.55}, parent="ab" * 32),
    )  # fmt: skip
    version = load_version(tmp_path / "version", keys[1], digest=digest)
    assert version.digest == digest
    assert version.short == version_name(version.number) == digest[:16]
    assert version.program == small_program()
    assert version.predictor.many(ROWS).tobytes() == predictor.many(ROWS).tobytes()
    assert version.golden_error_max() == 0.0
    assert version.profile.rows == 600
    facts = version.manifest
    assert (facts.env, facts.signal.enter_long, facts.bounds.order_value_max) == ("live", 0.6, 5.0)
    assert (facts.card.owner, facts.lineage.parent, facts.outputs) == ("Ann", "ab" * 32, ["score"])
    assert Label.from_json(facts.label_json()) == label


def test_the_same_version_has_the_same_digest(tmp_path, keys):
    """The digest depends on the content alone: not on the folder, the hour or the key."""
    other, _ = trusted_key(tmp_path / "others", "someone else")
    first = write_small_version(tmp_path / "a", keys[0], rng())
    assert write_small_version(tmp_path / "b", other, rng()) == first
    assert write_small_version(tmp_path / "c", keys[0], rng(), created_ns=5) != first


def test_an_onnx_version_comes_back(tmp_path, keys):
    """A version may hold an ONNX predictor as well."""
    predictor = Onnx.from_sklearn(LogisticRegression().fit(ROWS, ROWS[:, 0] > 0), 4)
    write_small_version(tmp_path / "version", keys[0], rng(), predictor=predictor)
    version = load_version(tmp_path / "version", keys[1])
    assert version.manifest.predictor == "onnx"
    assert version.predictor.many(ROWS).tobytes() == predictor.many(ROWS).tobytes()


def test_a_version_never_changes(tmp_path, keys):
    """Writing over a version is refused and leaves it as it was."""
    digest = write_small_version(tmp_path / "version", keys[0], rng())
    with pytest.raises(BundleRefused, match="never changes"):
        write_small_version(tmp_path / "version", keys[0], rng(), name="other")
    assert load_version(tmp_path / "version", keys[1]).digest == digest


def test_a_failed_write_leaves_nothing_behind(tmp_path, keys):
    """A version that cannot be signed appears neither whole nor in part."""

    class Broken:
        key_id = keys[0].key_id

        def sign(self, data) -> bytes:
            raise OSError(f"the key is gone, {len(data)} bytes unsigned")

    (tmp_path / "versions").mkdir()
    with pytest.raises(OSError, match="gone"):
        write_small_version(tmp_path / "versions" / "one", Broken(), rng())
    assert list((tmp_path / "versions").iterdir()) == []


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"predictor": Trees.from_forest(random_forest(rng(), n_features=3)), "golden_rows": ROWS[:, :3]}, "has 3"),
        ({"profile": Profile.of(ROWS[:, :2], ROWS[:, :1])}, "profile has 2"),
        ({"profile": Profile.of(ROWS, ROWS[:, :2])}, "outputs"),
        ({"golden_rows": ROWS[:, :3]}, "takes"),
        ({"golden_rows": np.zeros((10_001, 4))}, "golden rows"),
        ({"program": compile_program({"a": bar.close})}, "1 features"),
        ({"outputs": ["up", "down"]}, "2 outputs"),
        ({"env": "moon"}, "env"),
        ({"lineage": Lineage(fold_metrics={"auc": float("nan")})}, "NaN"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_parts_that_do_not_fit_are_never_signed(tmp_path, keys, facts, reason):
    """Widths that differ and facts that cannot be stored are refused before anything is written."""
    profile = Profile.of(ROWS, ROWS[:, :1])
    with pytest.raises(ModelMismatch, match=reason):
        write_small_version(tmp_path / "version", keys[0], rng(), **{"profile": profile, **facts})
    assert not (tmp_path / "version").exists()


def test_golden_scores_show_a_model_that_changed(tmp_path, keys):
    """Where scores differ from those of the maker's machine, the difference is told."""
    write_small_version(tmp_path / "version", keys[0], rng())
    version = load_version(tmp_path / "version", keys[1])
    other = replace(version, predictor=small_trees(np.random.default_rng(77)))
    assert isinstance(other, Version)
    assert other.golden_error_max() > 1e-3


def test_the_manifest_can_be_read_by_a_person(tmp_path, keys):
    """The manifest is plain JSON with the names a person looks for."""
    write_small_version(tmp_path / "version", keys[0], rng())
    facts = json.loads((tmp_path / "version" / "manifest.json").read_text())
    assert facts["features"] == ["return_1", "return_3", "mean_5", "std_5"]
    assert set(facts["files"]) == {"program.json", "trees.npz", "profile.npz", "golden.npz"}
