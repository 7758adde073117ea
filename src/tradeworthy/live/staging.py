"""Versions getting ready: loaded, verified and warmed while the desk goes on with the ones it has.

Idea:   a version may decide only when its features have seen what they would have seen had it been here. Staging loads
        it in a thread and folds the tape's tail through its program; the engine adds the last few events and lets it in
        between two events. If anything is wrong with it, nothing changes: the old one keeps serving.
Time:   the control event that lets a version in says from which record it was warmed, so replay does the same.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

from tradeworthy.core.decisions import INPUTS, version_name
from tradeworthy.core.errors import BundleRefused, TradeworthyError
from tradeworthy.live.pipeline import Pipeline
from tradeworthy.model.version import Version
from tradeworthy.record.tape import TapeReader

_OF_A_VERSION = (TradeworthyError, OSError, ValueError, ImportError, MemoryError)
"""What may be wrong with a version, or too much of it for this machine; all else is a programmer's mistake."""

WARM_EVENTS = 4_096
"""Inputs folded at once: between two such pieces the engine, in the other thread, has its turn."""


class Staged:
    """A pipeline that is warm up to a place on the tape.

    Attributes
    ----------
    warm_from : int
        It has seen the inputs with a sequence above this.
    """

    def __init__(self, pipeline: Pipeline, folder: Path, warm_from: int) -> None:
        self.pipeline, self.warm_from = pipeline, warm_from
        self._cursor = TapeReader(folder).follow(INPUTS, warm_from)

    def catch_up(self) -> None:
        """Fold what the tape has gained since."""
        while (events := self._cursor.poll(WARM_EVENTS)).size:
            self.pipeline.warm(events)


def load_checked(load: Callable[[int], Version], number: int) -> Version:
    """Load a version and make sure that it is the one asked for.

    Raises
    ------
    BundleRefused
        It is another one.
    """
    version = load(number)
    if version.number != number:
        raise BundleRefused(f"asked for version {version_name(number)}, was given {version.short}; check the registry")
    return version


def warm_between(pipeline: Pipeline, reader: TapeReader, after: int, before: int) -> None:
    """Fold recorded inputs with ``after < sequence < before`` through a pipeline, as staging did live."""
    for events in reader.scan(INPUTS, after, before - 1):
        pipeline.warm(events)


class Staging:
    """The versions on their way in.

    Parameters
    ----------
    load : callable
        Gives a verified version by number.
    make : callable
        Makes a cold pipeline of it.
    folder : Path
        The tape's.
    background : bool
        Load in a thread; otherwise at once, in the caller's time.
    """

    def __init__(
        self,
        load: Callable[[int], Version],
        make: Callable[[Version], Pipeline],
        folder: Path,
        *,
        background: bool = True,
    ) -> None:
        self._load, self._make, self._folder = load, make, folder
        self._pool = ThreadPoolExecutor(1, "staging") if background else None
        self._coming: dict[int, Future[Staged]] = {}
        self._ready: dict[int, Staged] = {}
        self.refused: dict[int, str] = {}

    @property
    def pending(self) -> bool:
        """Whether anything is on its way."""
        return bool(self._coming)

    def want(self, number: int, warm_from: int) -> None:
        """Begin to stage a version, unless it is on its way, ready or refused."""
        if number in self._coming or number in self._ready or number in self.refused:
            return
        future: Future[Staged]
        if self._pool is not None:
            try:
                future = self._pool.submit(self._stage, number, warm_from)
            except RuntimeError as error:  # no thread can be started: whoever serves keeps serving
                self.refused[number] = f"{type(error).__name__}: {error}"
                return
        else:
            future = Future()
            try:
                future.set_result(self._stage(number, warm_from))
            except Exception as error:  # noqa: BLE001  # kept, and looked at in `_collect`
                future.set_exception(error)
        self._coming[number] = future

    def forget(self, wanted: set[int]) -> None:
        """Drop what nobody wants any more, so that a later wish tries again."""
        for table in (self._ready, self.refused):
            for number in set(table) - wanted:
                del table[number]

    def collect(self) -> None:
        """Sort what is done into ready and refused."""
        for number, future in list(self._coming.items()):
            if not future.done():
                continue
            del self._coming[number]
            error = future.exception()
            if error is None:
                self._ready[number] = future.result()
            elif isinstance(error, _OF_A_VERSION):
                self.refused[number] = f"{type(error).__name__}: {error}"
            else:
                raise error

    def wait(self, *numbers: int) -> None:
        """Return when those of the versions that are on their way are ready or refused."""
        wait([self._coming[number] for number in numbers if number in self._coming])

    def warm_from(self, number: int) -> int | None:
        """Return from where a ready version was warmed; None if it is not ready."""
        staged = self._ready.get(number)
        return None if staged is None else staged.warm_from

    def take(self, number: int) -> Staged | None:
        """Hand over a version that is ready."""
        return self._ready.pop(number, None)

    def close(self) -> None:
        """Wait for what is on its way, and let the thread go."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _stage(self, number: int, warm_from: int) -> Staged:
        staged = Staged(self._make(load_checked(self._load, number)), self._folder, warm_from)
        staged.catch_up()
        return staged
