"""The profile: what training looked like."""

import numpy as np
import pytest

from tradeworthy.core.errors import BundleRefused, DataInvalid
from tradeworthy.core.time import NS_PER_DAY, NS_PER_HOUR
from tradeworthy.model.arrays import pack, unpack
from tradeworthy.model.profile import BLOCK_ROWS, LEVELS, SAMPLE_ROWS_MAX, Profile, sample_places

NAMES = ("minimum", "maximum", "mean", "std", "quantiles", "sample", "sample_scores", "sample_places", "numbers")


def profile(count=400):
    """Return a profile of two features: a ramp and noise."""
    rng = np.random.default_rng(0)
    rows = np.column_stack([np.arange(float(count)), rng.normal(size=count)])
    return Profile.of(rows, rng.random((count, 1)), (rows[:, 1] > 0).astype(float)), rows


def test_statistics_are_of_all_rows():
    """Ranges, moments, quantiles and base rate are numpy's over all rows."""
    found, rows = profile(20_000)
    np.testing.assert_array_equal(found.minimum, rows.min(axis=0))
    np.testing.assert_array_equal(found.maximum, rows.max(axis=0))
    np.testing.assert_array_equal(found.quantiles, np.quantile(rows, LEVELS, axis=0))
    np.testing.assert_allclose(found.std, rows.std(axis=0))
    assert found.rows == 20_000
    assert found.base_rate == (rows[:, 1] > 0).mean()
    assert found.n_features == 2


@pytest.mark.parametrize("count", [1, 400, SAMPLE_ROWS_MAX])
def test_few_rows_are_all_kept(count):
    """Up to the cap the sample is the training rows."""
    found, rows = profile(count)
    np.testing.assert_array_equal(found.sample, rows)


@pytest.mark.parametrize("count", [SAMPLE_ROWS_MAX + 1, 12_345, 1_000_000])
def test_many_rows_are_kept_in_blocks(count):
    """Above the cap the sample is contiguous blocks, in order, from the first row to the last."""
    places = sample_places(count)
    assert len(places) == SAMPLE_ROWS_MAX
    assert places[0] == 0
    assert places[-1] == count - 1
    assert np.all(np.diff(places) > 0)
    assert np.sum(np.diff(places) != 1) <= SAMPLE_ROWS_MAX // BLOCK_ROWS - 1


def test_the_sample_carries_its_scores():
    """Sampled rows and scores belong together."""
    rows = np.arange(20_000.0)[:, None]
    found = Profile.of(rows, 2 * rows)
    np.testing.assert_array_equal(found.sample_scores, 2 * found.sample)
    np.testing.assert_array_equal(found.sample[:, 0], found.sample_places)
    assert np.isnan(found.base_rate)


def test_ranks_are_shares_of_training_rows():
    """The rank of a value is the share of rows below it, interpolated; constant features give one half."""
    found, _ = profile(401)
    assert found.rank(0, 200.0) == pytest.approx(0.5)
    assert found.rank(0, 300.0) == pytest.approx(0.75, abs=0.01)
    assert (found.rank(0, -5.0), found.rank(0, 900.0)) == (0.0, 1.0)
    constant = Profile.of(np.ones((9, 1)), np.ones((9, 1)))
    assert constant.rank(0, 1.0) == 0.5


def test_outside_marks_what_training_never_saw():
    """Values beyond the range, and NaN, are outside; the ends are inside."""
    found, rows = profile()
    middle = rows[0, 1]
    assert found.outside(np.array([0.0, middle])).tolist() == [False, False]
    assert found.outside(np.array([-0.1, middle])).tolist() == [True, False]
    assert found.outside(np.array([np.nan, np.inf])).tolist() == [True, True]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_rows_that_are_not_finite_are_refused(bad):
    """Training rows are finite, or the reference would be NaN."""
    with pytest.raises(DataInvalid, match="not finite"):
        Profile.of(np.array([[1.0, bad]]), np.ones((1, 1)))


@pytest.mark.parametrize(("rows", "scores"), [((0, 2), (0, 1)), ((3,), (3, 1)), ((3, 2), (2, 1)), ((3, 2), (3,))])
def test_shapes_that_do_not_fit_are_refused(rows, scores):
    """A profile needs rows and scores of the same number."""
    with pytest.raises(DataInvalid, match="a profile needs"):
        Profile.of(np.zeros(rows), np.zeros(scores))


def test_a_profile_comes_back_from_bytes():
    """Storing keeps every number."""
    found, _ = profile(6_000)
    back = Profile.from_bytes(found.to_bytes())
    assert back.to_bytes() == found.to_bytes()
    assert (back.rows, back.base_rate) == (found.rows, found.base_rate)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("mean", lambda a: a[:1]),
        ("quantiles", lambda a: a[:3]),
        ("sample", lambda a: a[:, :1]),
        ("sample", lambda a: np.where(a == a[0, 0], np.nan, a)),
        ("sample_scores", lambda a: a[:-1]),
        ("sample_places", lambda a: a.astype(float)),
        ("minimum", lambda a: a.astype(np.float32)),
        ("numbers", lambda a: a[:1]),
        ("numbers", lambda a: a * 0),
        ("mean", lambda a: a[None]),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(name, change):
    """A stored profile whose parts contradict each other is refused."""
    arrays = unpack(profile()[0].to_bytes(), "profile.npz", expected=NAMES)
    arrays[name] = change(arrays[name])
    with pytest.raises(BundleRefused, match=r"profile\.npz"):
        Profile.from_bytes(pack(arrays))


TIMED = ("sample_times", "season_factors", "season_offsets")


def timed(count=6_000, time_zone="UTC"):
    """Return a profile whose rows are half an hour apart and far up at every midnight."""
    times = np.arange(count) * NS_PER_HOUR // 2
    rows = np.random.default_rng(0).normal(size=(count, 2)) + 3.0 * (times % NS_PER_DAY == 0)[:, None]
    return Profile.of(rows, np.zeros((count, 1)), None, times, time_zone=time_zone), times


def test_times_give_the_profile_a_season():
    """The sample knows when its rows were, and all rows say what is usual at an hour of the week."""
    found, times = timed()
    np.testing.assert_array_equal(found.sample_times, times[found.sample_places])
    assert found.season.changes.all()
    back = Profile.from_bytes(found.to_bytes())
    assert back.to_bytes() == found.to_bytes()
    np.testing.assert_array_equal(back.season.offsets, found.season.offsets)


def test_a_profile_of_an_earlier_release_is_read():
    """Without times in the file there is no season, and the rest is as it was."""
    found, _ = profile()
    assert unpack(found.to_bytes(), "profile.npz", expected=NAMES).keys() == set(NAMES)
    back = Profile.from_bytes(found.to_bytes())
    assert not back.season.is_known
    assert len(back.sample_times) == 0


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("sample_times", lambda a: a[:-1]),
        ("sample_times", lambda a: a.astype(float)),
        ("season_factors", lambda a: a[:24]),
        ("season_offsets", lambda a: a[:, :1]),
        ("season_offsets", lambda a: a * np.nan),
        ("season_factors", lambda _: None),
    ],
)
def test_a_season_that_does_not_fit_is_refused(name, change):
    """Times and season fit the rows and each other, or the file is refused."""
    arrays = unpack(timed()[0].to_bytes(), "profile.npz", expected=(*NAMES, *TIMED))
    arrays[name] = change(arrays[name])
    with pytest.raises(BundleRefused, match=r"profile\.npz"):
        Profile.from_bytes(pack({name: array for name, array in arrays.items() if array is not None}))


def test_a_profile_keeps_the_clocks_of_its_season():
    """They come back from bytes; a season in UTC is written with the very arrays that older releases read."""
    found = timed(time_zone="America/New_York")[0]
    back = Profile.from_bytes(found.to_bytes())
    assert back.season.time_zone == "America/New_York"
    assert back.to_bytes() == found.to_bytes()
    assert unpack(timed()[0].to_bytes(), "profile.npz", expected=(*NAMES, *TIMED)).keys() == {*NAMES, *TIMED}
    assert Profile.from_bytes(timed()[0].to_bytes()).season.time_zone == "UTC"


@pytest.mark.parametrize(
    ("change", "timed_too", "said"),
    [
        (lambda _: np.frombuffer(b"Mars/Olympus", np.uint8), True, "Mars/Olympus.*tzdata"),
        (lambda _: np.frombuffer(b"U" * 65, np.uint8), True, "allowed is uint8"),
        (lambda a: a.astype(np.int64), True, "allowed is uint8"),
        (lambda a: a[None], True, "season_time_zone"),
        (lambda a: a, False, "allowed are all of"),
    ],
)
def test_clocks_that_cannot_be_read_are_refused(change, timed_too, said):
    """A name of no time zone, letters that are none, or clocks without a season make no profile."""
    names = (*NAMES, *TIMED, "season_time_zone")
    arrays = unpack(timed(time_zone="Europe/Berlin")[0].to_bytes(), "profile.npz", expected=names)
    arrays["season_time_zone"] = change(arrays["season_time_zone"])
    with pytest.raises(BundleRefused, match=said):
        Profile.from_bytes(pack({name: a for name, a in arrays.items() if timed_too or name not in TIMED}))
