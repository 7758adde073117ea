"""One seed from its first event to its last promise; and how a broken one is told."""

import shutil
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np

from tradeworthy.core.events import FIELDS, Kind, events_from_columns
from tradeworthy.testing.simulation.cast import Cast
from tradeworthy.testing.simulation.invariants import check_all
from tradeworthy.testing.simulation.mortal import Killed
from tradeworthy.testing.simulation.steps import TABLE
from tradeworthy.testing.simulation.world import World

STEPS_MAX = 80
QUIET_BARS_MAX = 60
_TOLD_LAST = 12


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one seed.

    Attributes
    ----------
    broken : str
        The promise that was not kept and the steps before; empty if all were.
    step : int
        The step at which it broke, or the number of steps.
    """

    seed: int
    broken: str
    step: int
    lives: int = 0
    kills: int = 0
    cuts: int = 0
    failures: int = 0
    orders: int = 0
    events: int = 0


def simulate_seed(seed: int, folder: Path, cast: Cast, *, tell: Callable[[str], None] | None = None) -> Outcome:
    """Live through one seed in a fresh folder, which is deleted afterwards.

    Parameters
    ----------
    seed : int
    folder : Path
        Does not exist yet.
    cast : Cast
    tell : callable, optional
        Told of every step as it is taken.
    """
    told: list[str] = []

    def say(words: str) -> None:
        told.append(words)
        if tell is not None:
            tell(f"  {len(told):3d} {words}")

    folder.mkdir(parents=True)
    world: World | None = None
    try:
        world = World(seed, folder, cast, say)
        _live(world)
        _end(world)
        check_all(world)
    except (Exception, Killed) as error:  # noqa: BLE001  # whatever breaks is what we look for
        where = "".join(traceback.format_exception(error, limit=-4))
        broken = "\n".join([f"{type(error).__name__}: {error}", *told[-_TOLD_LAST:], where])
        return Outcome(seed=seed, broken=broken, step=len(told))
    finally:
        if world is not None:
            with suppress(Exception):
                world.release()
        shutil.rmtree(folder, ignore_errors=True)
    return _outcome(seed, world, len(told))


def _outcome(seed: int, world: World, steps: int) -> Outcome:
    return Outcome(
        seed=seed,
        broken="",
        step=steps,
        lives=world.lives,
        kills=world.kills,
        cuts=world.cuts,
        failures=world.failures,
        orders=len(world.sent),
        events=len(world.feed),
    )


def _live(world: World) -> None:
    """Take steps until the feed has nothing more."""
    steps, weights = list(TABLE), np.array(list(TABLE.values()))
    chances = np.cumsum(weights / weights.sum())
    for _ in range(STEPS_MAX):
        if world.is_over:
            return
        step = steps[int(np.searchsorted(chances, world.rng.random()))]
        world.say(step(world))


def _end(world: World) -> None:
    """Repair everything, halt, let every order be answered, and stop in good order."""
    world.disk.revive()
    world.admin.cut = ""
    world.control.halt()
    price, at_ns = 300.0, int(world.clock.monotonic_ns())
    for _ in range(QUIET_BARS_MAX):
        at_ns += 1_000_000_000
        columns = {name: [price] for name in FIELDS[Kind.BAR]}
        bar = events_from_columns(Kind.BAR, 0, np.array([at_ns]), columns)
        with world.surviving():
            world.engine.consume(world.stamped(bar))
        if not world.venue.pending:
            break
    world.close()
