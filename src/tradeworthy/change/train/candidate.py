"""What training hands on: a model as data, and the evidence of how it was trained. Not yet signed, not yet a version.

Idea:   a training process ends by writing this folder and nothing else; whoever registers it signs it. So the process
        that runs a user's code holds no key and writes to no ledger.
State:  one folder that appears whole or not at all: `candidate.json`, `program.json`, the predictor's files and
        `evidence.npz`. No pickle.
"""

import math
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import UNDECODABLE, BundleRefused, NotFound
from tradeworthy.judge.robust.levers import Movable
from tradeworthy.judge.validate.performance import Performance
from tradeworthy.model.arrays import pack, unpack
from tradeworthy.model.features.labels import Label
from tradeworthy.model.features.program import Program
from tradeworthy.model.manifest import Lineage
from tradeworthy.model.predictors.base import Predictor
from tradeworthy.model.predictors.formats import files_of, predictor_files, predictor_from_files
from tradeworthy.model.prior import PriorCorrection
from tradeworthy.model.profile import Profile

NOTE_FILE, PROGRAM_FILE, PROFILE_FILE, EVIDENCE_FILE = "candidate.json", "program.json", "profile.npz", "evidence.npz"
_WALK = ("scores", "labels", "values", "baseline", "ts_event_ns", "fold")
_OF_RECORDED = ("scores", "labels", "ts_event_ns")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Scores of rows by models that had not seen them, in order of time.

    Attributes
    ----------
    scores, labels, values : (m,) float64
        Model output, what was foreseen, and the forward log return behind it.
    baseline : (m,) float64
        The naive score: the mean label of the fold's training rows.
    ts_event_ns, fold : (m,) int64
        When, and in which fold.
    binary : bool
        Whether labels are directions, 1.0 or 0.0.
    """

    scores: Floats
    labels: Floats
    values: Floats
    baseline: Floats
    ts_event_ns: npt.NDArray[np.int64]
    fold: npt.NDArray[np.int64]
    binary: bool

    @property
    def up(self) -> Floats:
        """Labels as classes: directions as they are, forward returns by their sign."""
        return self.labels if self.binary else (self.values > 0).astype(np.float64)

    def with_share(self, share: float) -> Self:
        """Return the rows that are left when class 1 is to be so large a share of them.

        The class of which there are too many is thinned evenly over time; nothing is drawn. This is what is to be
        expected of scores where only the mix of classes has changed.
        """
        up = self.labels > 0.5
        odds = share / (1.0 - share) * float((~up).sum()) / max(1.0, float(up.sum()))
        kept = _evenly(up, min(1.0, odds)) | _evenly(~up, min(1.0, 1.0 / odds))
        return replace(self, **{name: getattr(self, name)[kept] for name in _WALK})


@dataclass(frozen=True, eq=False)
class Recorded:
    """Scores that a version gave on the tape, in order of time, with the labels that came of them.

    Attributes
    ----------
    scores, labels : (m,) float64
        As it gave them, uncorrected; 0.0 or 1.0.
    ts_event_ns : (m,) int64
        Of the decisions.
    """

    scores: Floats
    labels: Floats
    ts_event_ns: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.scores)

    def parts(self) -> tuple["Recorded", "Recorded"]:
        """Return the older half, in which shares are counted, and the newer, by which the correction is judged."""
        middle = len(self) // 2
        older, newer = (
            Recorded(self.scores[part], self.labels[part], self.ts_event_ns[part])
            for part in (slice(None, middle), slice(middle, None))
        )
        return older, newer


@dataclass(frozen=True, eq=False, kw_only=True)
class Candidate:
    """A trained model with its evidence.

    Attributes
    ----------
    golden_rows : (g, n) float64
        Rows on which our scores are compared with the training library's.
    golden_scores : (g,) float64
        What the training library said.
    walk : OutOfFold
        The walk-forward's scores.
    performance : Performance
        The figures drawn from them.
    movable, movable_budget
        As the strategy declared them.
    prior : PriorCorrection or None
        That its scores were made right for another mix of classes; those of `walk` are so as well.
    recorded : Recorded or None
        The outcomes that the correction rests on.
    """

    created_ns: int
    program: Program
    label: Label
    predictor: Predictor
    profile: Profile
    golden_rows: Floats
    golden_scores: Floats
    walk: OutOfFold
    performance: Performance
    lineage: Lineage
    movable: tuple[Movable, ...] | None = None
    movable_budget: float = math.inf
    prior: PriorCorrection | None = None
    recorded: Recorded | None = None

    @property
    def foreseen(self) -> OutOfFold:
        """The walk-forward as it would be under the mix of classes that the scores are right for.

        Losses, calibration and monitors go by it; what was traded in the past stays what it was, in `walk`.
        """
        return self.walk if self.prior is None else self.walk.with_share(self.prior.share)


def _evenly(rows: npt.NDArray[np.bool_], share: float) -> npt.NDArray[np.bool_]:
    """Return every so many-th of the rows that are marked."""
    passed = np.floor(np.cumsum(rows) * share)
    kept: npt.NDArray[np.bool_] = rows & (np.diff(passed, prepend=0.0) > 0.0)
    return kept


class _Note(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The candidate's small parts, as `candidate.json`."""

    created_ns: int
    predictor: str
    label: dict[str, Any]
    binary: bool
    performance: dict[str, float | int | str | None]
    lineage: Lineage
    movable: tuple[Movable, ...] | None = None
    movable_budget: float | None = None
    prior: PriorCorrection | None = None


def save_candidate(candidate: Candidate, folder: Path) -> None:
    """Write a candidate into a new folder, whole or not at all; one that is there already is replaced."""
    fresh = folder.with_name(f"{folder.name}.{os.getpid()}.new")
    fresh.mkdir(parents=True)
    note = _Note(
        created_ns=candidate.created_ns,
        predictor=candidate.predictor.format,
        label=msgspec.json.decode(candidate.label.to_json()),
        binary=candidate.walk.binary,
        performance=msgspec.structs.asdict(candidate.performance),
        lineage=candidate.lineage,
        movable=candidate.movable,
        movable_budget=candidate.movable_budget if math.isfinite(candidate.movable_budget) else None,
        prior=candidate.prior,
    )
    arrays = {name: getattr(candidate.walk, name) for name in _WALK}
    arrays |= {"golden_rows": candidate.golden_rows, "golden_scores": candidate.golden_scores}
    if candidate.recorded is not None:
        arrays |= {f"recorded_{name}": getattr(candidate.recorded, name) for name in _OF_RECORDED}
    files = {
        **files_of(candidate.predictor),
        PROGRAM_FILE: candidate.program.to_json(),
        PROFILE_FILE: candidate.profile.to_bytes(),
        EVIDENCE_FILE: pack(arrays),
        NOTE_FILE: msgspec.json.encode(note),
    }
    for name, data in files.items():
        _write_synced(fresh / name, data)
    if folder.exists():
        shutil.rmtree(folder)
    fresh.rename(folder)


def load_candidate(folder: Path) -> Candidate:
    """Read what `save_candidate` wrote.

    Raises
    ------
    NotFound
        There is no candidate.
    BundleRefused
        A file is not what its name says.
    """
    if not (folder / NOTE_FILE).is_file():
        raise NotFound(f"no candidate in {folder}; train one with: tradeworthy train")
    try:
        note = msgspec.json.decode((folder / NOTE_FILE).read_bytes(), type=_Note)
    except UNDECODABLE as error:
        raise BundleRefused(f"{folder / NOTE_FILE} is not a candidate of this release: {error}; train again") from error
    arrays: dict[str, Any] = unpack(
        (folder / EVIDENCE_FILE).read_bytes(),
        EVIDENCE_FILE,
        expected=(*_WALK, "golden_rows", "golden_scores"),
        optional=tuple(f"recorded_{name}" for name in _OF_RECORDED),
    )
    recorded = [arrays[name] for name in (f"recorded_{each}" for each in _OF_RECORDED) if name in arrays]
    files = {name: (folder / name).read_bytes() for name in predictor_files(note.predictor)}
    return Candidate(
        created_ns=note.created_ns,
        program=Program.from_json((folder / PROGRAM_FILE).read_bytes()),
        label=Label.from_json(msgspec.json.encode(note.label)),
        predictor=predictor_from_files(files, note.predictor),
        profile=Profile.from_bytes((folder / PROFILE_FILE).read_bytes()),
        golden_rows=arrays["golden_rows"],
        golden_scores=arrays["golden_scores"],
        walk=OutOfFold(**{name: arrays[name] for name in _WALK}, binary=note.binary),
        performance=_performance(note.performance),
        lineage=note.lineage,
        movable=note.movable,
        movable_budget=math.inf if note.movable_budget is None else note.movable_budget,
        prior=note.prior,
        recorded=Recorded(*recorded) if len(recorded) == len(_OF_RECORDED) else None,
    )


def _performance(figures: dict[str, float | int | str | None]) -> Performance:
    """Read figures back; JSON has no NaN, so a required number that is null was one."""
    optional = ("squared_error", "baseline_squared_error")
    known = {name: np.nan if value is None and name not in optional else value for name, value in figures.items()}
    return msgspec.convert(known, Performance)


def _write_synced(path: Path, data: bytes) -> None:
    """Write a file that is on the disk when the folder gets its name."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
