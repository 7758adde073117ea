"""A version: program, predictor, signal, bounds, profile and lineage as one signed, immutable bundle.

Idea:   a version is data, never code. Its name is the digest of its manifest, which covers every byte; loading it runs
        no user code, and parses nothing that was not verified first.
Flow:   `write_version` at the end of training; `load_version` in the engine, the gate and the judge.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import version_name, version_number
from tradeworthy.core.errors import BundleRefused, ModelMismatch, TradeworthyError, near
from tradeworthy.core.events import Kind
from tradeworthy.core.limits import Limits
from tradeworthy.model.arrays import pack, unpack
from tradeworthy.model.bundle import read_folder, write_folder
from tradeworthy.model.features.program import Program
from tradeworthy.model.manifest import Card, Lineage, Manifest, Signal, digest_of
from tradeworthy.model.predictors.base import Predictor
from tradeworthy.model.predictors.formats import files_of, predictor_files, predictor_from_files
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.model.prior import PriorCorrection
from tradeworthy.model.profile import Profile
from tradeworthy.model.running import machine_here, packages_here
from tradeworthy.model.thresholds import GroupThresholds
from tradeworthy.model.trust import PublicKey, SigningKey, TrustStore

__all__ = [
    "Card",
    "Golden",
    "Lineage",
    "Manifest",
    "Profile",
    "PublicKey",
    "Signal",
    "SigningKey",
    "TrustStore",
    "Version",
    "load_version",
    "write_version",
]

PROGRAM_FILE, PROFILE_FILE, GOLDEN_FILE = "program.json", "profile.npz", "golden.npz"
GOLDEN_ROWS_MAX = 10_000
GOLDEN_ERROR_MAX = 1e-5
"""How far golden rows may score from what was recorded; what adds in 32 bits differs by less between processors."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Golden:
    """Rows and the scores that the version gave where it was made: (m, n) and (m, k)."""

    rows: Floats
    scores: Floats


@dataclass(frozen=True, eq=False, kw_only=True)
class Version:
    """A verified version, ready to run.

    Attributes
    ----------
    digest : str
        SHA-256 of the manifest, hexadecimal.
    number : int
        The first 64 bits of the digest, as decisions carry it.
    """

    digest: str
    number: int
    manifest: Manifest
    program: Program
    predictor: Predictor
    profile: Profile
    golden: Golden

    @property
    def short(self) -> str:
        """Return the first 16 characters of the digest."""
        return version_name(self.number)

    def golden_error_max(self) -> float:
        """Return the largest difference between the scores here and where the version was made.

        Zero on the machine that made it; a few last bits elsewhere. Anything more means that this is not the model
        that was validated.
        """
        return _golden_error(self.predictor, self.golden)


def write_version(
    folder: Path,
    *,
    name: str,
    created_ns: int,
    author: str,
    env: str,
    program: Program,
    predictor: Predictor,
    profile: Profile,
    golden_rows: Floats,
    key: SigningKey,
    label: bytes = b"{}",
    signal: Signal | None = None,
    thresholds: GroupThresholds | None = None,
    bounds: Limits | None = None,
    lineage: Lineage | None = None,
    card: Card | None = None,
    outputs: list[str] | None = None,
    prior: PriorCorrection | None = None,
) -> str:
    """Write and sign a version's bundle, and return its digest.

    Parameters
    ----------
    folder : Path
        A new folder; it appears whole or not at all.
    golden_rows : (m, n) float64
        Rows whose scores are kept, for parity checks on other machines.
    label : bytes
        `Label.to_json()`.
    key : SigningKey
        Who vouches for the bundle.
    outputs : list of str, optional
        Names of the scores; `score` where there is one.
    prior : PriorCorrection, optional
        What was done to the predictor's scores; see `predictors.correcting`.

    Raises
    ------
    ModelMismatch
        Program, predictor, profile and rows do not have the same width, or a fact cannot be stored.
    BundleRefused
        The folder exists already.
    """
    golden = _make_golden(golden_rows, predictor)
    files = {
        PROGRAM_FILE: program.to_json(),
        **files_of(predictor),
        PROFILE_FILE: profile.to_bytes(),
        GOLDEN_FILE: pack({"rows": golden.rows, "scores": golden.scores}),
    }
    facts: dict[str, Any] = {
        "name": name,
        "created_ns": created_ns,
        "author": author,
        "env": env,
        "program_digest": program.digest,
        "features": list(program.names),
        "predictor": predictor.format,
        "outputs": outputs or _output_names(predictor),
        "label": msgspec.json.decode(label),
        "signal": signal or Signal(),
        "thresholds": thresholds,
        "bounds": bounds or Limits(),
        "lineage": lineage or Lineage(),
        "card": card or Card(),
        "files": {file: digest_of(data) for file, data in files.items()},
        "machine": machine_here(),
        "packages": packages_here(),
        "prior": prior,
    }
    manifest = _make_manifest(facts)
    _check_fit(manifest, program, predictor, profile, golden)
    return write_folder(folder, manifest, files, key)


def load_version(folder: Path, trust: TrustStore, *, digest: str | None = None) -> Version:
    """Verify a bundle and build what it holds.

    Parameters
    ----------
    folder : Path
        What `write_version` wrote.
    trust : TrustStore
        Whose signatures count.
    digest : str, optional
        The digest (or its first characters) that the version must have.

    Raises
    ------
    BundleRefused
        A byte is not as signed, the signer is not trusted, or a part is not what its format says.
    NotFound
        There is no such folder.
    """
    manifest, files = read_folder(folder, trust, digest=digest)
    _check_file_names(manifest)
    found = digest_of(manifest.to_bytes())
    try:
        program = Program.from_json(files[PROGRAM_FILE])
        predictor = predictor_from_files(files, manifest.predictor)
        profile = Profile.from_bytes(files[PROFILE_FILE])
        golden = _read_golden(files[GOLDEN_FILE])
        _check_fit(manifest, program, predictor, profile, golden)
        _check_golden(manifest, predictor, golden)
    except BundleRefused:
        raise
    except TradeworthyError as error:
        raise BundleRefused(f"version {found[:16]} does not fit together: {error}") from error
    return Version(
        digest=found,
        number=version_number(found),
        manifest=manifest,
        program=program,
        predictor=predictor,
        profile=profile,
        golden=golden,
    )


def _make_manifest(facts: dict[str, Any]) -> Manifest:
    """Return the manifest, after reading it back: what cannot be read must not be signed."""
    try:
        manifest = msgspec.convert(facts, Manifest)
        Manifest.from_bytes(manifest.to_bytes())
    except (msgspec.ValidationError, BundleRefused) as error:
        raise ModelMismatch(f"the version's facts cannot be stored: {error} (NaN has no place in JSON)") from error
    return manifest


def _output_names(predictor: Predictor) -> list[str]:
    """Return the scores' names, as the model's classes are called where it says so."""
    if isinstance(predictor, Trees):
        return list(predictor.outputs)
    count = predictor.n_outputs
    return ["score"] if count == 1 else [f"score_{place}" for place in range(count)]


def _make_golden(rows: Floats, predictor: Predictor) -> Golden:
    rows = np.ascontiguousarray(rows, np.float64)
    if len(rows) > GOLDEN_ROWS_MAX:
        raise ModelMismatch(f"{len(rows)} golden rows, allowed are {GOLDEN_ROWS_MAX}; choose some of them")
    return Golden(rows, predictor.many(rows))


def _read_golden(data: bytes) -> Golden:
    arrays: Mapping[str, npt.NDArray[Any]] = unpack(data, GOLDEN_FILE, expected=("rows", "scores"))
    rows, scores = arrays["rows"], arrays["scores"]
    plain = all(array.dtype == np.float64 and array.ndim == 2 for array in (rows, scores))
    if not plain or len(rows) != len(scores) or len(rows) > GOLDEN_ROWS_MAX:
        raise BundleRefused(f"{GOLDEN_FILE} holds {rows.dtype} {rows.shape} and {scores.dtype} {scores.shape}")
    return Golden(rows, scores)


def _golden_error(predictor: Predictor, golden: Golden) -> float:
    """Return the largest difference between scores here and those recorded; infinite where one is no number."""
    apart = np.abs(predictor.many(golden.rows) - golden.scores)
    return float(np.max(np.where(np.isnan(apart), np.inf, apart), initial=0.0))


def _check_golden(manifest: Manifest, predictor: Predictor, golden: Golden) -> None:
    """Refuse a version that does not score here as it did where it was registered."""
    error = _golden_error(predictor, golden)
    if error > GOLDEN_ERROR_MAX:
        raise BundleRefused(
            f"its golden rows score up to {error:.3g} away from what was recorded, allowed is {GOLDEN_ERROR_MAX:g}: "
            f"recorded on {manifest.machine or 'an unnamed machine'}, here is {machine_here()}; register it on this "
            "machine, or run it where it was registered"
        )


def _check_file_names(manifest: Manifest) -> None:
    allowed = {PROGRAM_FILE, PROFILE_FILE, GOLDEN_FILE, *predictor_files(manifest.predictor)}
    if set(manifest.files) != allowed:
        raise BundleRefused(f"manifest.json names files {sorted(manifest.files)}, allowed are {sorted(allowed)}")


def _check_fit(manifest: Manifest, program: Program, predictor: Predictor, profile: Profile, golden: Golden) -> None:
    """Refuse parts that were not made for each other."""
    _check_thresholds(manifest, program)
    if program.digest != manifest.program_digest:
        raise ModelMismatch(f"the manifest is for program {manifest.program_digest[:16]}, found {program.digest[:16]}")
    if list(program.names) != manifest.features:
        raise ModelMismatch(f"the manifest names features {manifest.features}, the program gives {list(program.names)}")
    n, k = len(manifest.features), len(manifest.outputs)
    widths = {"predictor": predictor.n_features, "profile": profile.n_features, "golden rows": golden.rows.shape[1]}
    for part, width in widths.items():
        if width != n:
            raise ModelMismatch(f"the program gives {n} features, the {part} has {width}")
    outputs = {"predictor": predictor.n_outputs, "profile": profile.sample_scores.shape[1]}
    for part, width in outputs.items():
        if width != k:
            raise ModelMismatch(f"the manifest names {k} outputs, the {part} has {width}")
    if golden.scores.shape[1] != k:
        raise ModelMismatch(f"the manifest names {k} outputs, the golden scores have {golden.scores.shape[1]}")


def _check_thresholds(manifest: Manifest, program: Program) -> None:
    """Refuse thresholds by group that no decision could be held against."""
    told = manifest.thresholds
    if told is None:
        return
    if manifest.signal.notional:
        raise ModelMismatch(
            f"thresholds by group are for versions that only score, this one wants positions of "
            f"{manifest.signal.notional:g}; set [signal] notional = 0.0, or leave [thresholds] out"
        )
    if program.trigger != Kind.ROW or told.column not in program.row_fields:
        raise ModelMismatch(
            f"thresholds by {told.column!r}{near(told.column, program.row_fields)}: "
            f"allowed are the fields of the rows that ask for a decision: {list(program.row_fields)}"
        )
    try:
        for number in range(1, len(told.group) + 1):
            manifest.signal_of(number)
    except ValueError as error:
        raise ModelMismatch(f"the threshold of {told.column} {told.group[number - 1].value:g}: {error}") from error
