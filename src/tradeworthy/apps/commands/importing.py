"""``tradeworthy import``: a model file that can run code, opened once where it can do no harm, kept as data."""

from pathlib import Path

import msgspec

from tradeworthy.change.intake.intake import open_model, save_import
from tradeworthy.core.time import SystemClock


class ImportedModel(msgspec.Struct, frozen=True, kw_only=True):
    """What came in, how near it is to its library, and what protected this machine meanwhile."""

    model: str
    format: str
    features: int
    outputs: int
    largest_difference: float
    protected_by: list[str]
    not_available: list[str]
    folder: str
    next: str


_WORDS = {
    "filter": "system-call filter (no network, no processes, no writing)",
    "landlock": "Landlock (reads only the interpreter's files)",
    "network_namespace": "a network of its own",
    "unprivileged": "no privileges",
}


def import_file(file: Path, output: Path, *, features: int | None = None, seconds_max: int = 120) -> ImportedModel:
    """Open a file in a confined process and write its model into a new folder.

    Raises
    ------
    TradeworthyError
        The file, what it holds, or this system does not allow it; the message says which.
    """
    found = open_model(file, clock=SystemClock(), features=features, seconds_max=seconds_max)
    save_import(found, output)
    held = found.layers
    return ImportedModel(
        model=found.model,
        format=found.predictor.format,
        features=found.predictor.n_features,
        outputs=found.predictor.n_outputs,
        largest_difference=found.error_max,
        protected_by=[words for name, words in _WORDS.items() if getattr(held, name)],
        not_available=[words for name, words in _WORDS.items() if not getattr(held, name)],
        folder=str(output),
        next=f'in strategy.py: def train(rows, labels): return tw.load_predictor("{output.resolve()}")',
    )
