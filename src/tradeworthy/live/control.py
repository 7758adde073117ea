"""The control block: a small mapped file through which people and policies steer a running engine.

Idea:   the kill switch is a word of memory. Whoever may write the file can halt the desk: no server, no network and no
        cooperation of the engine are needed. The engine reads one word, the generation, before every event.
Flow:   a writer changes words, then raises the generation; the engine notices, writes each change to the tape as a
        control event and applies that. Replay obeys the tape and never sees the block.
State:  4 KiB of 8-byte words. Each word means something by itself and is stored at once, so a reader never sees half.
        Writers take a file lock among themselves, but a halt waits for it at most `_LOCK_WAIT_S`: a stuck writer must
        not keep anybody from halting.
"""

import fcntl
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event as _Pause
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import Rule, version_name
from tradeworthy.core.errors import NotFound, ReleaseRefused, SettingsInvalid
from tradeworthy.core.instruments import Instrument

ControlWords = npt.NDArray[np.uint64]
"""The block as the engine and its kernels see it."""

MAGIC, GENERATION, HALT_ALL, RESUMES, CHAMPION, PREVIOUS, LIMITS_GENERATION, RESUMES_HEARD = range(8)
_SHADOWS = slice(8, 16)
_VERSION_HALTS = slice(16, 48)
_WITHHELD = 48
"""Millionths of full size that the champion may not take: a block of zeros withholds nothing."""
_RULE = 49
_PART = slice(50, 63)
"""One bit for each instrument, by number, on which the version in the next word acts alone."""
_PART_OF = 63
_INSTRUMENT_HALTS = slice(64, 512)

PART_MAX = 64 * (_PART.stop - _PART.start)
"""Instruments with a number below this can be a canary's."""

SHADOWS_MAX = _SHADOWS.stop - _SHADOWS.start
"""How many versions may be in shadow at once."""

_MAGIC_WORD = int.from_bytes(b"twctrl01", "little")
_WORDS = 512
_WHOLE = 1_000_000
SHARE_STEP = 1.0 / _WHOLE
"""Shares of full size that differ by less are one."""
_LOCK_WAIT_S = 0.1
_LOCK_STEP_S = 0.005


class Scope(NamedTuple):
    """What a halt covers: everything, one instrument (by number) or one version."""

    kind: int
    number: int = 0

    @classmethod
    def everything(cls) -> Self:
        """Cover the whole desk."""
        return cls(SCOPE_ALL)

    @classmethod
    def instrument(cls, number: int) -> Self:
        """Cover the instrument at a place in the desk's list."""
        return cls(SCOPE_INSTRUMENT, number)

    @classmethod
    def version(cls, number: int) -> Self:
        """Cover one version, by its 64-bit number."""
        return cls(SCOPE_VERSION, number)

    @classmethod
    def parse(cls, text: str, instruments: list[Instrument] | tuple[Instrument, ...] = ()) -> Self:
        """Read ``all``, ``instrument:ETH`` or ``version:3f9a2c...``.

        Raises
        ------
        SettingsInvalid
            The text is none of these.
        """
        kind, _, name = text.partition(":")
        symbols = [instrument.symbol for instrument in instruments]
        if text == "all":
            return cls.everything()
        if kind == "instrument" and name in symbols:
            return cls.instrument(symbols.index(name))
        if kind == "version" and len(name) >= 16 and all(letter in "0123456789abcdef" for letter in name[:16]):
            return cls.version(int(name[:16], 16))
        raise SettingsInvalid(
            f"scope is {text!r}, allowed are 'all', 'instrument:SYMBOL' with one of {symbols}, "
            "and 'version:DIGEST' with at least 16 characters of the digest"
        )

    def named(self, instruments: Sequence[Instrument]) -> str:
        """Write it as `parse` reads it."""
        if self.kind == SCOPE_INSTRUMENT:
            known = self.number < len(instruments)
            return f"instrument:{instruments[self.number].symbol if known else self.number}"
        return "all" if self.kind == SCOPE_ALL else f"version:{version_name(self.number)}"


SCOPE_ALL, SCOPE_INSTRUMENT, SCOPE_VERSION = range(3)


class Part(NamedTuple):
    """The instruments, by number, on which a version (by number; 0 for none) acts alone: a canary's."""

    version: int = 0
    instruments: frozenset[int] = frozenset()


class ControlView(NamedTuple):
    """What the block asks for at one moment."""

    generation: int
    scopes: frozenset[Scope]
    resumes: int
    resumes_heard: int
    champion: int
    previous: int
    shadows: tuple[int, ...]
    limits_generation: int
    size: float = 1.0
    rule: Rule = Rule.NONE
    part: Part = Part()


def check_part(instruments: Collection[int]) -> None:
    """Refuse instruments, by number, of which one is beyond `PART_MAX`, so that a block cannot name it."""
    if max(instruments, default=0) >= PART_MAX:
        raise ReleaseRefused(f"a canary acts on some of the first {PART_MAX} instruments; name others")


class ControlBlock:
    """The mapped file; made, with nothing in it, where there is none.

    Parameters
    ----------
    path : Path
        The file; its folder exists.

    Raises
    ------
    SettingsInvalid
        The file is not a control block of this layout.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _ensure(path)
        self.words: ControlWords = np.memmap(path, np.uint64, "r+", shape=(_WORDS,)).view(np.ndarray)
        if self.words[MAGIC] != _MAGIC_WORD:
            raise SettingsInvalid(f"{path} is not a control block of this release; move it away to start a new one")

    def view(self) -> ControlView:
        """Read what the block asks for now.

        The generation is read first: a change that comes while the rest is read has a later one, and is read again.
        The champion is read before its part, which is written first.
        """
        words, generation = self.words, int(self.words[GENERATION])
        scopes = {Scope.everything()} if words[HALT_ALL] else set()
        scopes |= {Scope.instrument(int(word) - 1) for word in words[_INSTRUMENT_HALTS] if word}
        scopes |= {Scope.version(int(word)) for word in words[_VERSION_HALTS] if word}
        return ControlView(
            generation=generation,
            scopes=frozenset(scopes),
            resumes=int(words[RESUMES]),
            resumes_heard=int(words[RESUMES_HEARD]),
            champion=int(words[CHAMPION]),
            previous=int(words[PREVIOUS]),
            shadows=tuple(int(word) for word in words[_SHADOWS] if word),
            limits_generation=int(words[LIMITS_GENERATION]),
            size=1.0 - min(int(words[_WITHHELD]), _WHOLE) / _WHOLE,
            rule=Rule(min(int(words[_RULE]), max(Rule))),
            part=self._part(),
        )

    def halt(self, scope: Scope | None = None) -> None:
        """Refuse every order in a scope from the next event on; everything if no scope is given.

        Raises
        ------
        ReleaseRefused
            There is no place left for another scope; everything is halted instead.
        """
        scope = scope or Scope.everything()
        with self._writing():
            if scope.kind == SCOPE_ALL:
                self.words[HALT_ALL] = 1
                return
            try:
                self._put(*_slot(scope))
            except ReleaseRefused as error:
                self.words[HALT_ALL] = 1
                raise ReleaseRefused(f"everything is halted instead of one scope: {error}") from error

    def resume(self, scope: Scope | None = None) -> None:
        """Lift a halt; for everything, also re-enable a strategy that its repeated executions switched off."""
        scope = scope or Scope.everything()
        with self._writing():
            if scope.kind == SCOPE_ALL:
                self.words[HALT_ALL] = 0
                self.words[RESUMES] += np.uint64(1)
            else:
                self._remove(*_slot(scope))

    def hear_resumes(self, count: int) -> None:
        """Note, as the engine, how many resumes have reached the desk: one that comes while no engine runs waits."""
        self.words[RESUMES_HEARD] = count

    def set_champion(self, version: int, instruments: Collection[int] | None = None) -> None:
        """Ask for a version to decide; the present one becomes the previous, a shadow leaves the shadows.

        Parameters
        ----------
        version : int
        instruments : collection of int, optional
            The only ones on which it acts, while the previous acts on all others; all if left out.

        Raises
        ------
        ReleaseRefused
            An instrument's number is beyond `PART_MAX`.
        """
        check_part(instruments or ())
        with self._writing():
            if instruments is not None:
                self._name_part(version, instruments)
            present = int(self.words[CHAMPION])
            if present != version:
                self._remove(_SHADOWS, version)
                self.words[PREVIOUS] = present
                self.words[CHAMPION] = version
            if instruments is None:
                self.words[_PART_OF] = 0

    def roll_back(self) -> int:
        """Ask for the previous champion to decide again, and return its number.

        Raises
        ------
        NotFound
            There is none.
        """
        previous = int(self.words[PREVIOUS])
        if not previous:
            raise NotFound("there is no previous champion to roll back to; promote a version instead")
        self.set_champion(previous)
        return previous

    def add_shadow(self, version: int) -> None:
        """Ask for a version to score every event without acting.

        Raises
        ------
        ReleaseRefused
            All places for shadows are taken.
        """
        with self._writing():
            self._put(_SHADOWS, version)

    def remove_shadow(self, version: int) -> None:
        """Ask for a shadow to leave."""
        with self._writing():
            self._remove(_SHADOWS, version)

    def resize(self, share: float) -> None:
        """Ask for the champion to take a share of its full size, 0 to 1, in steps of a millionth."""
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"share is {share}, allowed is 0 to 1")
        with self._writing():
            self.words[_WITHHELD] = _WHOLE - round(share * _WHOLE)

    def fall_back(self, rule: Rule) -> None:
        """Ask for a rule to decide in the champion's place; for the champion itself with `Rule.NONE`."""
        with self._writing():
            self.words[_RULE] = int(rule)

    def limits_changed(self) -> None:
        """Tell the engine to read the desk's limits again."""
        with self._writing():
            self.words[LIMITS_GENERATION] += np.uint64(1)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Keep other writers out (as far as they let us), then raise the generation."""
        with ExitStack() as held:
            with suppress(OSError):  # no descriptor left: a halt is more than a lock
                _lock_soon(held.enter_context(self.path.open("rb")).fileno())
            try:
                yield
            finally:
                self.words[GENERATION] += np.uint64(1)

    def _name_part(self, version: int, instruments: Collection[int]) -> None:
        bits = np.zeros(PART_MAX, np.bool_)
        bits[list(instruments)] = True
        self.words[_PART] = np.packbits(bits, bitorder="little").view(np.uint64)
        self.words[_PART_OF] = version

    def _part(self) -> Part:
        version = int(self.words[_PART_OF])
        if not version:
            return Part()
        bits = np.unpackbits(self.words[_PART].view(np.uint8), bitorder="little")
        return Part(version, frozenset(np.flatnonzero(bits).tolist()))

    def _put(self, table: slice, word: int) -> None:
        places = self.words[table]
        if np.uint64(word) in places:
            return
        free = np.flatnonzero(places == 0)
        if not free.size:
            raise ReleaseRefused(f"all {places.size} places of the control block are taken; remove one first")
        places[free[0]] = word

    def _remove(self, table: slice, word: int) -> None:
        places = self.words[table]
        places[places == np.uint64(word)] = 0


def no_control() -> ControlWords:
    """Return the words of a block that asks for nothing and never changes, for replay and evidence."""
    return np.zeros(_WORDS, np.uint64)


def _slot(scope: Scope) -> tuple[slice, int]:
    """Return the table that holds halts of this kind, and the word written for this scope."""
    if scope.kind == SCOPE_INSTRUMENT:
        return _INSTRUMENT_HALTS, scope.number + 1
    return _VERSION_HALTS, scope.number


def _ensure(path: Path) -> None:
    """Make an empty block in one step, unless there is a file already."""
    if path.exists():
        if path.stat().st_size != _WORDS * 8:
            raise SettingsInvalid(f"{path} has {path.stat().st_size} bytes, a control block has {_WORDS * 8}")
        return
    empty = np.zeros(_WORDS, np.uint64)
    empty[MAGIC] = _MAGIC_WORD
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_bytes(empty.tobytes())
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass  # another process was first; its block is as good
    finally:
        fresh.unlink()


def _lock_soon(descriptor: int) -> None:
    """Take the writers' lock, or go on without it when its holder is stuck."""
    pause = _Pause()
    for _ in range(int(_LOCK_WAIT_S / _LOCK_STEP_S)):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pause.wait(_LOCK_STEP_S)
        else:
            return
