"""What training looked like: the reference that live rows and scores are held against.

Idea:   ranges and quantiles come from all training rows; a sample of rows is kept for tests that need rows, taken as
        contiguous blocks spread over the training span, so that dependence in time survives within a block. Where the
        times of the rows are given, so is the season of the week, learned from all of them (`season`).
Undefined: training rows are finite; a profile of anything else is refused.
Units:  each feature's own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import BundleRefused, DataInvalid
from tradeworthy.model.arrays import pack, unpack
from tradeworthy.model.season import UTC, WEEK, Season

Floats = npt.NDArray[np.float64]

SAMPLE_ROWS_MAX = 5_000
BLOCK_ROWS = 500
LEVELS: Floats = np.array([0.0, 0.001, 0.005, 0.01, 0.025, *np.arange(1, 20) / 20, 0.975, 0.99, 0.995, 0.999, 1.0])
"""The levels at which quantiles are kept."""

_ARRAYS = ("minimum", "maximum", "mean", "std", "quantiles", "sample", "sample_scores", "sample_places", "numbers")
_TIMED = ("sample_times", "season_factors", "season_offsets")
"""In the file of a profile whose rows had times."""

_ZONE, _ZONE_LETTERS_MAX = "season_time_zone", 64
"""Beside them, where the season's hours are not UTC's, and how many letters it may have."""

_SEASON = ("factors", "offsets", "time_zone")
_TYPES: Mapping[str, type] = {"sample_places": np.int64, "sample_times": np.int64, _ZONE: np.uint8}
"""Of arrays that are no floats."""

_SEED = 7
"""Of the shuffles against which a season is held."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Profile:
    """The reference profile of one version's training rows.

    Attributes
    ----------
    minimum, maximum, mean, std : (n,) float64
        Of each feature over all training rows.
    quantiles : (levels, n) float64
        At `LEVELS`, over all training rows.
    sample : (s, n) float64
        At most 5,000 training rows, in time order.
    sample_scores : (s, k) float64
        The version's scores of those rows.
    sample_places : (s,) int64
        Which training rows they are; neighbours in a block differ by one.
    sample_times : (s,) int64
        When their events happened; (0,) in a profile that keeps no times.
    season : Season
        What is usual at each hour of the week.
    rows : int
        Number of training rows.
    base_rate : float
        Mean label (share of class 1, or mean value); NaN where there were no labels.
    """

    minimum: Floats
    maximum: Floats
    mean: Floats
    std: Floats
    quantiles: Floats
    sample: Floats
    sample_scores: Floats
    sample_places: npt.NDArray[np.int64]
    sample_times: npt.NDArray[np.int64]
    season: Season
    rows: int
    base_rate: float

    @classmethod
    def of(
        cls,
        rows: Floats,
        scores: Floats,
        labels: Floats | None = None,
        ts_event_ns: npt.NDArray[np.int64] | None = None,
        *,
        time_zone: str = UTC,
    ) -> Self:
        """Describe (m, n) training rows, their (m, k) scores and, where known, their (m,) labels and event times.

        The season is one of hours by the clocks of a time zone.

        Raises
        ------
        DataInvalid
            There are no rows, or one of them is not finite.
        """
        rows, scores = np.asarray(rows, np.float64), np.asarray(scores, np.float64)
        if rows.ndim != 2 or not len(rows) or scores.shape[:1] != rows.shape[:1] or scores.ndim != 2:
            raise DataInvalid(f"a profile needs (m, n) rows and (m, k) scores; found {rows.shape} and {scores.shape}")
        if not np.isfinite(rows).all():
            raise DataInvalid("a training row is not finite; drop warming rows before training")
        places = sample_places(len(rows))
        season, times = Season.unknown(rows.shape[1]), np.empty(0, np.int64)
        if ts_event_ns is not None:
            season = Season.of(rows, ts_event_ns, np.random.default_rng(_SEED), time_zone)
            times = np.asarray(ts_event_ns, np.int64)[places]
        return cls(
            minimum=rows.min(axis=0),
            maximum=rows.max(axis=0),
            mean=rows.mean(axis=0),
            std=rows.std(axis=0),
            quantiles=np.quantile(rows, LEVELS, axis=0),
            sample=np.ascontiguousarray(rows[places]),
            sample_scores=np.ascontiguousarray(scores[places]),
            sample_places=places,
            sample_times=times,
            season=season,
            rows=len(rows),
            base_rate=float(np.mean(labels)) if labels is not None else float("nan"),
        )

    @property
    def n_features(self) -> int:
        """Return the width of a row."""
        return len(self.mean)

    def rank(self, feature: int, value: float) -> float:
        """Return the share of training rows whose feature lies below `value`, interpolated, in 0 to 1."""
        column = self.quantiles[:, feature]
        below = np.interp(value, column, LEVELS)
        above = 1.0 - np.interp(-value, -column[::-1], 1.0 - LEVELS[::-1])
        return float(0.5 * (below + above))

    def outside(self, row: Floats) -> npt.NDArray[np.bool_]:
        """Return (n,) true where a feature lies outside the training range, or is not a number."""
        return ~((row >= self.minimum) & (row <= self.maximum))

    def to_bytes(self) -> bytes:
        """Return the profile as an .npz file."""
        arrays: dict[str, npt.NDArray[Any]] = {name: getattr(self, name) for name in _ARRAYS[:-1]}
        arrays["numbers"] = np.array([float(self.rows), self.base_rate])
        if self.season.is_known:
            arrays["sample_times"] = self.sample_times
            arrays |= {f"season_{name}": array for name, array in self.season.to_arrays().items()}
        return pack(arrays)

    @classmethod
    def from_bytes(cls, data: bytes, what: str = "profile.npz") -> Self:
        """Read what `to_bytes` wrote, now or before times were kept; arrays that do not fit together are refused."""
        arrays: dict[str, npt.NDArray[Any]] = unpack(data, what, expected=_ARRAYS, optional=(*_TIMED, _ZONE))
        _check(arrays, what)
        numbers, n = arrays.pop("numbers"), len(arrays["mean"])
        times, season = arrays.pop("sample_times", np.empty(0, np.int64)), Season.unknown(n)
        if found := {name: arrays.pop(f"season_{name}") for name in _SEASON if f"season_{name}" in arrays}:
            season = _season(found, what)
        return cls(
            **arrays,
            sample_times=times,
            season=season,
            rows=int(numbers[0]),
            base_rate=float(numbers[1]),
        )


def sample_places(count: int) -> npt.NDArray[np.int64]:
    """Return which of `count` rows are kept: all, or contiguous blocks spread evenly from first to last."""
    if count <= SAMPLE_ROWS_MAX:
        return np.arange(count, dtype=np.int64)
    starts = np.linspace(0, count - BLOCK_ROWS, SAMPLE_ROWS_MAX // BLOCK_ROWS).astype(np.int64)
    return (starts[:, None] + np.arange(BLOCK_ROWS)).ravel()


def _season(arrays: Mapping[str, npt.NDArray[Any]], what: str) -> Season:
    """Read a season; one by the clocks of a time zone that is none is refused."""
    try:
        return Season.from_arrays(arrays)
    except ValueError as error:
        raise BundleRefused(f"{what}: the season's {error}; install tzdata, or train the version anew") from None


def _check(arrays: Mapping[str, npt.NDArray[Any]], what: str) -> None:
    n = len(arrays["mean"]) if arrays["mean"].ndim == 1 else -1
    s = len(arrays["sample"])
    k = arrays["sample_scores"].shape[-1] if arrays["sample_scores"].ndim == 2 else -1
    shapes: dict[str, Sequence[int]] = dict.fromkeys(("minimum", "maximum", "mean", "std"), (n,))
    shapes |= {"quantiles": (len(LEVELS), n), "sample": (s, n), "sample_scores": (s, k), "sample_places": (s,)}
    shapes |= {"numbers": (2,)}
    timed = [name for name in _TIMED if name in arrays]
    if timed:
        shapes |= {"sample_times": (s,), "season_factors": (WEEK, n), "season_offsets": (WEEK, n)}
    if _ZONE in arrays and timed:
        shapes |= {_ZONE: (min(len(arrays[_ZONE]), _ZONE_LETTERS_MAX),)}
    if len(timed) not in (0, len(_TIMED)) or (_ZONE in arrays and not timed):
        raise BundleRefused(f"{what} holds {timed}, allowed are all of {list(_TIMED)} or none")
    for name, shape in shapes.items():
        dtype = np.dtype(_TYPES.get(name, np.float64))
        if arrays[name].shape != tuple(shape) or arrays[name].dtype != dtype:
            found = f"{arrays[name].dtype} {arrays[name].shape}"
            raise BundleRefused(f"{what}: {name} is {found}, allowed is {dtype} {tuple(shape)}")
    if timed and not (np.isfinite(arrays["season_factors"]).all() and np.isfinite(arrays["season_offsets"]).all()):
        raise BundleRefused(f"{what}: a factor or an offset of the season is not finite")
    if s > SAMPLE_ROWS_MAX or not np.isfinite(arrays["sample"]).all() or not arrays["numbers"][0] >= s:
        raise BundleRefused(f"{what}: the sample has {s} rows (allowed {SAMPLE_ROWS_MAX}) or is not finite")
