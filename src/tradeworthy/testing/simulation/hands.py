"""Whoever steers the desk from outside: through the control block alone, or through the ledger and the block.

Idea:   the admin process can die too, between the fact and the word. Then it starts again, and `reconcile` makes both
        agree, with the more cautious of the two winning.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from tradeworthy.change.release.release import Release
from tradeworthy.core.decisions import version_number
from tradeworthy.core.errors import NotFound, ReleaseRefused
from tradeworthy.core.instruments import Instrument
from tradeworthy.live.control import SCOPE_ALL, SCOPE_INSTRUMENT, ControlBlock, Scope
from tradeworthy.testing.contract import require
from tradeworthy.testing.desks import INSTRUMENTS
from tradeworthy.testing.simulation.mortal import Killed


class Hands(Protocol):
    """Steps that people and policies take."""

    def role(self, number: int, role: str) -> None:
        """Make a version champion or shadow, or retire it."""

    def canary(self, number: int, instrument: int) -> None:
        """Let a version act on one instrument alone, and the champion on the others."""

    def roll_back(self) -> None:
        """Put the previous champion back."""

    def halt(self, scope: Scope, *, lift: bool = False) -> None:
        """Halt a scope, or lift the halt."""


class BlockHands:
    """Steers through the control block alone."""

    def __init__(self, control: ControlBlock) -> None:
        self._control = control

    def role(self, number: int, role: str) -> None:
        """Write the word; a champion cannot be retired."""
        if role == "champion":
            self._control.set_champion(number)
        elif role == "shadow":
            self._control.add_shadow(number)
        else:
            self._control.remove_shadow(number)

    def canary(self, number: int, instrument: int) -> None:
        """Write the word."""
        self._control.set_champion(number, [instrument])

    def roll_back(self) -> None:
        """Write the word, if there was a champion before."""
        if self._control.view().previous:
            self._control.roll_back()

    def halt(self, scope: Scope, *, lift: bool = False) -> None:
        """Write the word."""
        if lift:
            self._control.resume(scope)
        else:
            self._control.halt(scope)


class MortalControl(ControlBlock):
    """A control block whose writer can be killed just before or just after a word is written."""

    cut = ""

    @contextmanager
    def _writing(self) -> Iterator[None]:
        cut, self.cut = self.cut, ""
        if cut == "before":
            raise Killed("before the word")
        with super()._writing():
            yield
        if cut == "after":
            raise Killed("after the word")


class ReleaseHands:
    """Steers through `change.release`: every step a fact and a word.

    Parameters
    ----------
    release : Release
        Its control block is a `MortalControl`.
    names : dict of int to str
        The digests of version numbers.
    """

    def __init__(self, release: Release, names: dict[int, str]) -> None:
        self._release, self._names = release, names

    def role(self, number: int, role: str) -> None:
        """Promote or retire."""
        version = self._names.get(number, f"{number:016x}")
        with self._stepping():
            self._release.promote(version, role, actor="sim", reason="a simulated step")

    def canary(self, number: int, instrument: int) -> None:
        """Promote to canary of an instrument; where a desk trades one alone this is refused."""
        with self._stepping():
            symbol = self._release.instruments[instrument].symbol
            self._release.promote(
                self._names[number], "canary", actor="sim", reason="a simulated step", instruments=[symbol]
            )

    def roll_back(self) -> None:
        """Roll back."""
        with self._stepping():
            self._release.rollback(actor="sim", reason="a simulated step")

    def halt(self, scope: Scope, *, lift: bool = False) -> None:
        """Halt or resume."""
        step = self._release.resume if lift else self._release.halt
        with self._stepping():
            step(scope_words(scope, self._release.instruments, self._names), actor="sim", reason="a simulated step")

    @contextmanager
    def _stepping(self) -> Iterator[None]:
        """Take a refusal for an answer; after death start again and reconcile."""
        try:
            yield
        except (ReleaseRefused, NotFound):
            pass
        except Killed:
            self._release.reconcile()
            self._check()

    def _check(self) -> None:
        """Require that facts and words agree, or that the words are the more cautious."""
        standing, view = self._release.registry.standing(), self._release.control.view()
        if standing.champion is not None:
            require(
                view.champion == version_number(standing.champion), "after a crash the block's champion is the fact's"
            )
        halted = {Scope.parse(text, self._release.instruments) for text in standing.halted}
        require(halted <= view.scopes, "after a crash every halt on the ledger stands in the block")


def scope_words(scope: Scope, instruments: tuple[Instrument, ...], names: dict[int, str]) -> str:
    """Write a scope as people do."""
    if scope.kind == SCOPE_ALL:
        return "all"
    if scope.kind == SCOPE_INSTRUMENT:
        return f"instrument:{instruments[scope.number].symbol}"
    return f"version:{names[scope.number]}"


def scopes(numbers: tuple[int, ...]) -> tuple[Scope, ...]:
    """Return scopes worth halting."""
    return (
        Scope.everything(),
        Scope.everything(),
        *map(Scope.instrument, range(len(INSTRUMENTS))),
        Scope.version(numbers[0]),
    )
