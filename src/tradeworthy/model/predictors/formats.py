"""Which files each predictor format consists of, and who reads them."""

from collections.abc import Mapping
from pathlib import Path

from tradeworthy.core.errors import BundleRefused, ModelMismatch, NotFound
from tradeworthy.model.predictors.base import Predictor
from tradeworthy.model.predictors.onnx import ONNX_FILE, Onnx
from tradeworthy.model.predictors.trees import TREES_FILE, Trees

_FORMATS: Mapping[str, tuple[str, type[Trees] | type[Onnx]]] = {
    Trees.format: (TREES_FILE, Trees),
    Onnx.format: (ONNX_FILE, Onnx),
}


def predictor_files(form: str) -> tuple[str, ...]:
    """Return the names of the files of a format.

    Raises
    ------
    BundleRefused
        This release does not know the format.
    """
    if form not in _FORMATS:
        raise BundleRefused(f"predictor format {form[:40]!r} is unknown; allowed are {sorted(_FORMATS)}")
    return (_FORMATS[form][0],)


def files_of(predictor: Predictor) -> dict[str, bytes]:
    """Return a built-in predictor's files as bytes by name; others cannot be part of a version."""
    if not isinstance(predictor, (Trees, Onnx)):
        raise ModelMismatch(
            f"a {type(predictor).__name__} cannot be stored in a version, because loading it would run its code; "
            "use import_model to turn the model into trees or ONNX"
        )
    return predictor.to_files()


def predictor_from_files(files: Mapping[str, bytes], form: str) -> Predictor:
    """Build a predictor from the (verified) bytes of its files."""
    needed = {name: files[name] for name in predictor_files(form)}
    return _FORMATS[form][1].from_files(needed)


def load_predictor(folder: str | Path, form: str = "") -> Predictor:
    """Read a predictor that `Predictor.save` wrote into `folder`; of the format whose file is there, if none is named.

    Raises
    ------
    NotFound
        A file is missing.
    BundleRefused
        The format is unknown, or a file is not what it should be.
    """
    folder = Path(folder)
    form = form or next((each for each, (name, _) in _FORMATS.items() if (folder / name).is_file()), Trees.format)
    try:
        files = {name: (folder / name).read_bytes() for name in predictor_files(form)}
    except FileNotFoundError as error:
        raise NotFound(f"folder {folder} has no {form} predictor: {error.filename} is missing") from error
    return predictor_from_files(files, form)
