"""Whatever happens to a bundle's bytes, loading answers with the version that was signed or with a refusal."""

import contextlib
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeworthy.core.errors import BundleRefused
from tradeworthy.model.arrays import pack, unpack
from tradeworthy.model.predictors.onnx_safety import check_onnx
from tradeworthy.model.predictors.trees import TREES_FILE, Trees
from tradeworthy.model.version import load_version
from tradeworthy.testing.predictors import random_forest, random_rows
from tradeworthy.testing.versions import trusted_key, write_small_version

ARRAYS = ("nodes", "slots", "categories", "roots", "covers", "numbers", "counts")


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Return a good bundle's folder and the store that trusts it."""
    home = tmp_path_factory.mktemp("bytes")
    key, trust = trusted_key(home / "keys")
    write_small_version(home / "version", key, np.random.default_rng(1))
    return home / "version", trust


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_changed_cut_or_added_byte_is_refused(good, data):
    """Flip, cut or add bytes anywhere in any file: the bundle is refused."""
    folder, trust = good
    with tempfile.TemporaryDirectory() as home:
        copy = Path(home) / "version"
        shutil.copytree(folder, copy)
        path = data.draw(st.sampled_from(sorted(copy.iterdir())))
        content = path.read_bytes()
        place = data.draw(st.integers(0, len(content) - 1))
        flipped = content[:place] + bytes([content[place] ^ data.draw(st.integers(1, 255))]) + content[place + 1 :]
        path.write_bytes(data.draw(st.sampled_from([flipped, content[:place], content + b"\x00"])))
        with pytest.raises(BundleRefused):
            load_version(copy, trust)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_spoiled_trees_are_refused_or_safe(seed):
    """Random edits of the arrays are refused, or leave trees whose every walk ends in a leaf."""
    rng = np.random.default_rng(seed)
    files = Trees.from_forest(random_forest(rng, trees=3, categories=True)).to_files()
    arrays = unpack(files[TREES_FILE], TREES_FILE, expected=ARRAYS)
    name = ARRAYS[rng.integers(len(ARRAYS))]
    raw = np.frombuffer(arrays[name].tobytes(), np.uint8).copy()
    raw[rng.integers(0, len(raw), 3)] = rng.integers(0, 256, 3)
    arrays[name] = raw.view(arrays[name].dtype).reshape(arrays[name].shape)
    rows = random_rows(rng, 5, 4)
    with contextlib.suppress(BundleRefused):
        trees = Trees.from_files({TREES_FILE: pack(arrays)})
        if trees.n_features == 4:
            leaves = trees.table.nodes["threshold"][trees.table.nodes["slot"] == 0]
            bound = np.abs(trees.table.bases[0]) + np.sum(np.abs(leaves))
            assert all(abs(trees.margin(row)) <= bound * (1 + 1e-9) for row in rows)


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_the_onnx_check_refuses_nonsense_and_nothing_else(data):
    """Any bytes are passed or refused; the check itself never fails in another way."""
    with contextlib.suppress(BundleRefused):
        check_onnx(data)


def test_threads_may_share_trees():
    """Trees are immutable: four threads scoring at once get the bits of one."""
    trees = Trees.from_forest(random_forest(np.random.default_rng(0), trees=40))
    rows = random_rows(np.random.default_rng(1), 400)
    expected = trees.many(rows).tobytes()

    def score(_: int) -> bytes:
        return np.array([trees.one(row) for row in rows]).tobytes()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(score, range(8))) == {expected}
