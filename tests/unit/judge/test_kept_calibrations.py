"""Calibrations kept on disk: the same again without the work, and never another's."""

import numpy as np
import pytest

from tradeworthy.judge.monitor.control_charts.calibration import Charts, ChartSettings, calibrate
from tradeworthy.judge.monitor.control_charts.kept import calibrations_kept, kept

ROWS = np.random.default_rng(3).normal(size=(600, 2))
SETTINGS = ChartSettings(runs=5, run_length=300)


def charts(rows=ROWS, names=("a", "b"), rate=1.0, seed=7, settings=SETTINGS):
    """Calibrate two series."""
    return calibrate(rows, names, false_alarms_per_10k=rate, rng=np.random.default_rng(seed), settings=settings)


def same(one, other):
    """Whether two calibrations agree to the last bit."""
    ours, theirs = one.to_arrays(), other.to_arrays()
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in ours)


class Counted:
    """A calibration that counts how often it is made."""

    times = 0

    def make(self, rows, by=None):
        """Make it, if it was not kept."""
        return kept(Charts, __file__)(self.anew)(rows, by)

    def anew(self, rows, by):
        """Make it, whatever `by` is."""
        self.times += by is None
        return calibrate.__wrapped__(
            rows, ("a", "b"), false_alarms_per_10k=1.0, rng=np.random.default_rng(7), settings=SETTINGS
        )


def test_what_was_calibrated_is_taken_and_not_made_again(tmp_path):
    """The second time the file answers, to the last bit."""
    counted = Counted()
    with calibrations_kept(tmp_path):
        first, second = counted.make(ROWS), counted.make(ROWS)
    assert counted.times == 1
    assert same(first, second)
    assert same(first, charts())


def test_outside_of_the_block_nothing_is_kept(tmp_path):
    """Who named no folder gets no file."""
    counted = Counted()
    with calibrations_kept(tmp_path):
        counted.make(ROWS)
    counted.make(ROWS)
    assert counted.times == 2
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"rows": np.nextafter(ROWS, np.inf)},
        {"names": ("a", "c")},
        {"rate": 2.0},
        {"seed": 8},
        {"settings": ChartSettings(runs=6, run_length=300)},
    ],
)
def test_whatever_it_depends_on_makes_another(tmp_path, changed):
    """One bit of the reference, a name, the rate, the seed or a setting: none takes another's limits."""
    with calibrations_kept(tmp_path):
        charts()
        found = charts(**changed)
        assert len(list(tmp_path.iterdir())) == 2
    assert same(found, charts(**changed))


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a zip", b"\x93NUMPY"])
def test_a_damaged_file_is_made_again(tmp_path, damage):
    """Half a file, or none of ours, costs the calibration once more and nothing else."""
    with calibrations_kept(tmp_path):
        first = charts()
        (path,) = tmp_path.iterdir()
        path.write_bytes(damage)
        assert same(charts(), first)
    assert path.stat().st_size > len(damage)


def test_a_file_that_lacks_a_part_is_made_again(tmp_path):
    """A file of another release, without what this one needs, is not believed."""
    with calibrations_kept(tmp_path):
        first = charts()
        (path,) = tmp_path.iterdir()
        np.savez(path, about=np.zeros(3, np.uint8))
        assert same(charts(), first)


def test_what_it_cannot_write_is_our_mistake(tmp_path):
    """A dependence that has no bytes must not be left out of the key."""
    with calibrations_kept(tmp_path), pytest.raises(TypeError, match="say in kept"):
        Counted().make(ROWS, by=object())


def test_one_side_alone_does_not_change_what_is_kept(tmp_path):
    """A user that changes the limits it was given changes its own copy."""
    with calibrations_kept(tmp_path):
        charts().constants[:] = 0.0
        assert same(charts(), charts(seed=7))
        assert charts().constants.any()
