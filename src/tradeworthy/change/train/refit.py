"""Fitting a strategy's model again, many times, in processes of their own: the gate's "what if".

Idea:   whoever gathers evidence must not run a user's code in its own process, nor unpickle what such code hands back.
        Workers run it, one thread each, as nice as whoever starts them; arrays go in and predictors come out as data,
        read with the same suspicion as a bundle.
Flow:   rows, labels and perhaps groups are written as `N.npz`, its number goes to a worker's input, and a line comes
        back: the format of the predictor whose files now lie beside it, or why there is none. Fits come back in the
        order given.
State:  a folder of its own, empty between fits. Workers start with the first fit and end with `close`.
"""

import itertools
import os
import select
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Self

import msgspec
import numpy as np

from tradeworthy.change.attempts import THREAD_VARIABLES
from tradeworthy.change.train.dataset import Training
from tradeworthy.change.train.strategy import load_strategy
from tradeworthy.change.train.training import fit
from tradeworthy.core.errors import ModelMismatch, TradeworthyError
from tradeworthy.core.time import processor_ns
from tradeworthy.model.arrays import pack, unpack
from tradeworthy.model.predictors.base import Predictor
from tradeworthy.model.predictors.formats import files_of, predictor_files, predictor_from_files
from tradeworthy.model.predictors.importing import import_model

WORKERS, SECONDS_MAX = 2, 600.0


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One fit's end: the predictor's format or the reason why there is none, and the processor time it took."""

    form: str = ""
    error: str = ""
    spent_ns: int = 0


class Refits:
    """Workers that fit one strategy's model.

    Parameters
    ----------
    strategy : Path
        The strategy file.
    folder : Path
        An empty folder for what goes to and fro.
    workers : int
        How many fit side by side.

    Attributes
    ----------
    spent_ns : int
        Processor time that fits have taken.
    """

    def __init__(self, strategy: Path, folder: Path, *, workers: int = WORKERS) -> None:
        self._strategy, self._folder, self._wanted = strategy, folder, workers
        self._workers: list[subprocess.Popen[bytes]] = []
        self._numbers = itertools.count()
        self.spent_ns = 0

    def __enter__(self) -> Self:
        """Return itself; workers start with the first fit."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the workers."""
        self.close()

    def fits(self, trainings: Iterable[Training]) -> Iterator[Predictor]:
        """Fit on each; predictors come in the order given, made a few ahead.

        Raises
        ------
        ModelMismatch
            The strategy cannot be run, or its model cannot be represented exactly.
        """
        self._start()
        running: deque[tuple[int, subprocess.Popen[bytes]]] = deque()
        try:
            for training, worker in zip(trainings, itertools.cycle(self._workers), strict=False):
                running.append((self._send(worker, training), worker))
                if len(running) == len(self._workers):
                    yield self._receive(*running.popleft())
            while running:
                yield self._receive(*running.popleft())
        finally:
            if running:  # nobody wants the rest: answers that come late must not be taken for others
                self.close()

    def close(self) -> None:
        """End the workers; a later fit starts them anew."""
        for worker in self._workers:
            worker.kill()
            worker.communicate()
        self._workers = []

    def _start(self) -> None:
        if self._workers:
            return
        command = [sys.executable, "-m", "tradeworthy.change.train.refit", str(self._strategy), str(self._folder)]
        self._workers = [
            subprocess.Popen(  # noqa: S603  # our own interpreter and module
                command,
                env={**os.environ, **dict.fromkeys(THREAD_VARIABLES, "1")},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            for _ in range(self._wanted)
        ]

    def _send(self, worker: subprocess.Popen[bytes], training: Training) -> int:
        number = next(self._numbers)
        told = {name: array for name, array in training._asdict().items() if array is not None}
        (self._folder / f"{number}.npz").write_bytes(pack(told))
        if worker.stdin is not None:
            try:
                worker.stdin.write(b"%d\n" % number)
                worker.stdin.flush()
            except BrokenPipeError:
                pass  # it has ended; that is told where its answer is read
        return number

    def _receive(self, number: int, worker: subprocess.Popen[bytes]) -> Predictor:
        answer = self._answer(worker)
        self.spent_ns += answer.spent_ns
        if answer.error:
            raise ModelMismatch(f"fitting again was not possible: {answer.error}")
        paths = {name: self._folder / f"{number}.{name}" for name in predictor_files(answer.form)}
        predictor = predictor_from_files({name: path.read_bytes() for name, path in paths.items()}, answer.form)
        for path in paths.values():
            path.unlink()
        return predictor

    def _answer(self, worker: subprocess.Popen[bytes]) -> _Answer:
        """Wait for a worker's line; one that takes too long is ended."""
        if worker.stdout is None or not select.select([worker.stdout], [], [], SECONDS_MAX)[0]:
            self.close()
            return _Answer(error=f"a fit took longer than {SECONDS_MAX:g} s")
        line = worker.stdout.readline()
        if not line:
            return _Answer(error=f"the process that fits ended with {worker.wait()}; does `tradeworthy train` work?")
        return msgspec.json.decode(line, type=_Answer)


_strategy = cache(load_strategy)


def _fit(strategy: Path, folder: Path, number: int) -> str:
    """Fit on what was sent, leave the predictor's files, and return its format."""
    path = folder / f"{number}.npz"
    told = unpack(path.read_bytes(), path.name, expected=("rows", "labels"), optional=("groups",))
    path.unlink()
    groups = np.asarray(told["groups"], np.int64) if "groups" in told else None
    training = Training(np.asarray(told["rows"], np.float64), np.asarray(told["labels"], np.float64), groups)
    known = _strategy(strategy)
    predictor = import_model(fit(known, training), training.rows.shape[1], acts_on=known.acts_on)
    for name, data in files_of(predictor).items():
        (folder / f"{number}.{name}").write_bytes(data)
    return predictor.format


def main(arguments: list[str]) -> int:
    """Fit on each number that comes in, and answer with a line each; return 0 when no more come."""
    strategy, folder = Path(arguments[0]), Path(arguments[1])
    with os.fdopen(os.dup(1), "wb", buffering=0) as answers:
        os.dup2(2, 1)  # what a strategy prints must not be taken for an answer
        for line in sys.stdin:
            begun = processor_ns()
            try:
                answer = _Answer(form=_fit(strategy, folder, int(line)))
            except TradeworthyError as error:
                answer = _Answer(error=f"{type(error).__name__}: {error}")
            answer = msgspec.structs.replace(answer, spent_ns=processor_ns() - begun)
            answers.write(msgspec.json.encode(answer) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
