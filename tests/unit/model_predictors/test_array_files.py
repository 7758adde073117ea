"""Arrays as bytes: repeatable when written, suspicious when read."""

import io

import numpy as np
import pytest

from tradeworthy.core.errors import BundleRefused
from tradeworthy.model.arrays import pack, unpack

ARRAYS = {"small": np.arange(3, dtype=np.int64), "wide": np.ones((2, 3)), "none": np.zeros((0, 4), np.float32)}


def test_arrays_come_back_as_they_were():
    """Names, types, shapes and values survive."""
    back = unpack(pack(ARRAYS), "file", expected=tuple(ARRAYS))
    for name, array in ARRAYS.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)


def test_the_same_arrays_give_the_same_bytes():
    """Nothing of the hour or the machine enters the file."""
    assert pack(ARRAYS) == pack({name: array.copy() for name, array in ARRAYS.items()})


def test_numpy_reads_the_file():
    """The file is an ordinary .npz."""
    with np.load(io.BytesIO(pack(ARRAYS)), allow_pickle=False) as stored:
        assert sorted(stored.files) == sorted(ARRAYS)


def test_arrays_that_were_read_can_be_written():
    """What comes back is its own memory, aligned and writable."""
    array = unpack(pack(ARRAYS), "file", expected=tuple(ARRAYS))["wide"]
    array[0, 0] = 5.0
    assert array.flags.aligned


def test_a_column_major_array_is_stored_by_row():
    """An array is stored in one layout, whatever it had."""
    assert pack({"a": np.asfortranarray(np.ones((2, 3)))}) == pack({"a": np.ones((2, 3))})


def test_an_object_array_is_not_written():
    """What would need a pickle is refused when it is written."""
    with pytest.raises(ValueError, match="Object arrays"):
        pack({"a": np.array([None])})


@pytest.mark.parametrize("expected", [("small",), ("small", "wide", "none", "more"), ()])
def test_other_names_are_refused(expected):
    """A file must hold exactly the arrays expected."""
    with pytest.raises(BundleRefused, match="allowed are exactly"):
        unpack(pack(ARRAYS), "file", expected=expected)


def test_the_message_names_the_file():
    """A refusal says which file and which array."""
    spoiled = pack({"a": np.ones(3)}).replace(b"'<f8'", b"'|O8'")
    with pytest.raises(BundleRefused, match=r"trees\.npz"):
        unpack(spoiled, "trees.npz", expected=("a",))
