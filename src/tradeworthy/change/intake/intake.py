"""Importing a model file that can run code: opened in a confined process, taken back as data, never opened here.

Idea:   pickle, joblib and torch files are programs. One is run exactly once, by somebody who has nothing to lose: a
        process without network, without files, without a key in its environment. What it answers is trees or ONNX, and
        is read with the same suspicion as any bundle. Serving never sees the file.
Flow:   bytes → confined process → message → checks of the format → files in a new folder.
"""

import os
import select
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from tradeworthy.change.attempts import THREAD_VARIABLES
from tradeworthy.change.intake.message import ANSWER_BYTES_MAX, Answer, Layers
from tradeworthy.core.errors import UNDECODABLE, BundleRefused, ModelMismatch, NotFound, SettingsInvalid
from tradeworthy.core.time import NS_PER_S, Clock
from tradeworthy.model.arrays import unpack
from tradeworthy.model.predictors.base import Predictor
from tradeworthy.model.predictors.formats import predictor_files, predictor_from_files

FILE_BYTES_MAX = 512 * 1024 * 1024
SECONDS_MAX = 120
ERROR_MAX = 1e-4
"""A model whose scores differ from its library's by more than this is not the same model."""

SUFFIXES = (".pkl", ".pickle", ".joblib", ".sav", ".pt", ".pth", ".bin")


@dataclass(frozen=True, eq=False)
class Imported:
    """A model that came in, checked here.

    Attributes
    ----------
    predictor : Predictor
        Trees or ONNX.
    model : str
        What the file said it held.
    error_max : float
        Largest difference between our scores of random rows and those that its library was said to give.
    layers : Layers
        What protected this machine while the file was open.
    """

    predictor: Predictor
    model: str
    error_max: float
    layers: Layers


def open_model(path: Path, *, clock: Clock, features: int | None = None, seconds_max: int = SECONDS_MAX) -> Imported:
    """Open a file that can run code, in a confined process, and return its model as a predictor.

    Parameters
    ----------
    path : Path
        A file of pickle, joblib or torch.
    clock : Clock
        Counts the time that the process is given.
    features : int, optional
        Width of a row, where the model does not say.
    seconds_max : int
        The process is ended after so long.

    Raises
    ------
    NotFound
        There is no such file.
    SettingsInvalid
        The file needs no import, or this system cannot confine a process.
    BundleRefused
        What came out is not a safe model, or nothing came out in time.
    ModelMismatch
        The model cannot be represented exactly.
    """
    data = _read(path)
    environment = {"PATH": os.defpath, "NUMBA_DISABLE_JIT": "1", "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/nonexistent"}
    environment |= dict.fromkeys(THREAD_VARIABLES, "1")
    command = [sys.executable, "-I", "-m", "tradeworthy.change.intake.opening", str(seconds_max), str(features or 0)]
    with subprocess.Popen(  # noqa: S603  # our own interpreter and module
        command,
        env=environment,
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            deadline_ns = clock.monotonic_ns() + seconds_max * NS_PER_S
            _give(process, data)
            layers = _message(process, Layers, deadline_ns, clock)
            if not layers.filter:
                raise SettingsInvalid(
                    "this system cannot take network and files away from a process (Linux on x86-64 or arm64 can); "
                    "import the model there, or save it in a safe format: LightGBM .txt, XGBoost .json, ONNX"
                )
            answer = _message(process, Answer, deadline_ns, clock)
        finally:
            process.kill()
    predictor = _checked(answer)
    return Imported(predictor, answer.model, _error(predictor, answer), layers)


def save_import(imported: Imported, folder: Path) -> None:
    """Write the predictor's files into a new folder.

    Raises
    ------
    SettingsInvalid
        The folder exists already.
    """
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise SettingsInvalid(f"folder {folder} exists already; name another with --output") from error
    imported.predictor.save(folder)


def _read(path: Path) -> bytes:
    """Return the file's bytes, which nobody here looks into."""
    if path.suffix not in SUFFIXES:
        raise SettingsInvalid(
            f"{path.name} has suffix {path.suffix!r}; files that can run code have one of {list(SUFFIXES)}. Return the "
            "path of a .txt, .json, .ubj or .onnx file from train() as it is: those are data"
        )
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise BundleRefused(f"{path} has {path.stat().st_size:,} bytes, allowed are {FILE_BYTES_MAX:,}")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"there is no model file {path}") from error


def _give(process: subprocess.Popen[bytes], data: bytes) -> None:
    """Hand the file over."""
    if process.stdin is not None:
        try:
            process.stdin.write(data)
            process.stdin.close()
        except BrokenPipeError:
            pass  # it has ended; that is told where its message is read


T = TypeVar("T", Layers, Answer)


def _message(process: subprocess.Popen[bytes], kind: type[T], deadline_ns: int, clock: Clock) -> T:
    """Return the next message, or refuse whatever else comes, or does not come."""
    size = int.from_bytes(_bytes(process, 8, deadline_ns, clock), "little")
    if size > ANSWER_BYTES_MAX:
        raise BundleRefused(f"the process that opened the file answers with {size:,} bytes; nothing of it is used")
    try:
        return msgspec.msgpack.decode(_bytes(process, size, deadline_ns, clock), type=kind)
    except UNDECODABLE as error:
        raise BundleRefused(f"the process that opened the file does not answer with a model: {error}") from error


def _bytes(process: subprocess.Popen[bytes], size: int, deadline_ns: int, clock: Clock) -> bytes:
    """Return so many bytes of the process's answer, as long as there is time."""
    parts, left = [], size
    while left:
        seconds = (deadline_ns - clock.monotonic_ns()) / NS_PER_S
        if process.stdout is None or seconds <= 0 or not select.select([process.stdout], [], [], seconds)[0]:
            raise BundleRefused("opening the file took too long, and was ended; nothing of it is used")
        part = os.read(process.stdout.fileno(), min(left, 1 << 20))
        if not part:
            raise BundleRefused(
                f"opening the file ended its process (exit code {process.wait()}): out of memory or time, a crash, or "
                "something that is not allowed there; nothing of it is used"
            )
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _checked(answer: Answer) -> Predictor:
    """Return the predictor that an answer holds, checked as a stranger's file is."""
    if answer.refusal:
        raise ModelMismatch(f"the file holds no model that can be imported: {answer.refusal}")
    if set(answer.files) != set(predictor_files(answer.form)):
        raise BundleRefused(f"the answer holds files {sorted(answer.files)[:5]}, allowed are those of {answer.form!r}")
    predictor = predictor_from_files(answer.files, answer.form)
    if predictor.n_features != answer.features:
        raise BundleRefused(f"the answer promises {answer.features} features, its model takes {predictor.n_features}")
    return predictor


def _error(predictor: Predictor, answer: Answer) -> float:
    """Return how far our scores are from the library's; too far is refused."""
    arrays = unpack(answer.golden, "golden.npz", expected=("rows", "scores"))
    rows: Any = arrays["rows"]
    scores: Any = arrays["scores"]
    if not rows.dtype == scores.dtype == np.float64 or scores.shape != (len(rows),) or not len(rows):
        raise BundleRefused(f"the answer's scores are {scores.dtype} {scores.shape} for {rows.dtype} {rows.shape} rows")
    error = float(np.abs(predictor.many(rows)[:, 0] - scores).max())
    if not error <= ERROR_MAX:
        raise ModelMismatch(f"our scores differ from the library's by {error:g}, allowed is {ERROR_MAX:g}")
    return error
