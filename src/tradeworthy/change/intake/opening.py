"""The one place where a pickle is opened: a confined process that reads a file on its input and answers with data.

Flow:   the process is confined → what holds is told → the file is unpickled → the model becomes
        trees or ONNX → its files go out, with the library's own scores of random rows, as one message.
Trust:  none. Whatever comes out was made by code that may be hostile; the parent reads it as data from a stranger.
Run:    only as ``python -m tradeworthy.change.intake.opening``; nobody imports it.
"""

import importlib
import importlib.util
import io
import os
import pickle
import site
import sys
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tradeworthy.change.intake.confinement import confine
from tradeworthy.change.intake.message import ANSWER_BYTES_MAX, Answer, Layers
from tradeworthy.change.train.source import source_scores
from tradeworthy.core.errors import TradeworthyError
from tradeworthy.model.arrays import pack
from tradeworthy.model.predictors.formats import files_of
from tradeworthy.model.predictors.importing import import_model

SYSTEM_FILES = (
    "/usr",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/dev/null",
    "/dev/urandom",
    "/sys",
)
CHECK_ROWS = 200


def readable() -> list[Path]:
    """Return what the interpreter and its libraries may need to read."""
    here = Path(__file__).resolve().parents[3]
    wanted = [sys.prefix, sys.base_prefix, *site.getsitepackages(), str(here), *SYSTEM_FILES]
    return [path for path in dict.fromkeys(Path(each) for each in wanted) if path.exists()]


def load(data: bytes) -> Any:
    """Unpickle a file of pickle, joblib or torch."""
    if zipfile.is_zipfile(io.BytesIO(data)) and importlib.util.find_spec("torch") is not None:
        torch = importlib.import_module("torch")
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=False)
    if importlib.util.find_spec("joblib") is not None:
        return importlib.import_module("joblib").load(io.BytesIO(data))
    return pickle.loads(data)  # noqa: S301  # what this process is for


def width_of(model: Any) -> int:
    """Return how many features a model takes, as its library says."""
    inner = getattr(model, "booster_", model)
    for name in ("n_features_in_", "num_feature", "num_features", "n_features_"):
        found = getattr(inner, name, None)
        if found is not None:
            return int(found() if callable(found) else found)
    raise TypeError(f"a {type(model).__name__} does not say how many features it takes; give --features")


def convert(data: bytes, width: int | None) -> Answer:
    """Open the file and return its model as data."""
    model = load(data)
    library = type(model).__module__.partition(".")[0]
    width = width_of(model) if width is None else width
    predictor = import_model(model, width)
    rows = np.random.default_rng(len(data)).normal(size=(CHECK_ROWS, width))
    golden = pack({"rows": rows, "scores": source_scores(model, rows)})
    return Answer(
        form=predictor.format,
        files=files_of(predictor),
        model=f"{library} {type(model).__name__}"[:200],
        features=width,
        golden=golden,
    )


def main(arguments: list[str]) -> int:
    """Read the file from the input, confine this process, and write two messages: the layers, and the model."""
    seconds, width = int(arguments[0]), int(arguments[1]) or None
    data = sys.stdin.buffer.read()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the file prints is no answer
    layers = Layers(**confine(seconds, readable=readable())._asdict())
    _send(answers, msgspec.msgpack.encode(layers))
    if not layers.filter:
        return 1
    try:
        answer = convert(data, width)
    except TradeworthyError as error:
        answer = Answer(refusal=f"{type(error).__name__}: {error}"[:2_000])
    except BaseException as error:  # noqa: BLE001  # whatever a hostile file raises, it is told and nothing else
        answer = Answer(refusal=f"opening it raised {type(error).__name__}: {error}"[:2_000])
    message = msgspec.msgpack.encode(answer)
    if len(message) > ANSWER_BYTES_MAX:
        message = msgspec.msgpack.encode(Answer(refusal=f"the model has {len(message):,} bytes"))
    _send(answers, message)
    return 0


def _send(answers: Any, message: bytes) -> None:
    """Write a message after its length."""
    answers.write(len(message).to_bytes(8, "little") + message)
    answers.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
