"""`make simulate SEEDS=N SEED_FROM=K`: many seeds, on every core; those that broke, with how to see them again."""

import argparse
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tradeworthy.core.time import NS_PER_S, SystemClock
from tradeworthy.testing.simulation.cast import Cast
from tradeworthy.testing.simulation.run import Outcome, simulate_seed

_MEMORY = Path("/dev/shm")  # noqa: S108  # a folder in memory, where there is one; only for speed
_BROKEN_MAX = 5


class _Workshop:
    """Where a worker process finds what it needs; set before it is forked."""

    cast: Cast
    folder: Path

    @classmethod
    def work(cls, seed: int) -> Outcome:
        """Simulate one seed."""
        return simulate_seed(seed, cls.folder / f"seed-{seed}", cls.cast)


def outcomes(seeds: range, workers: int) -> Iterator[Outcome]:
    """Yield what became of each seed, as they end."""
    if workers == 1:
        yield from map(_Workshop.work, seeds)
        return
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        yield from pool.imap_unordered(_Workshop.work, seeds, chunksize=4)


def simulate_all(seeds: range, workers: int, *, trace: bool) -> list[Outcome]:
    """Simulate seeds, print what broke as it breaks, and return all outcomes."""
    made = []
    for outcome in outcomes(seeds, workers) if not trace else map(_traced, seeds):
        made.append(outcome)
        if outcome.broken and sum(bool(each.broken) for each in made) <= _BROKEN_MAX:
            print(f"seed {outcome.seed} broke at step {outcome.step}: {outcome.broken}")  # noqa: T201
            print(f"see it again: make simulate SEEDS=1 SEED_FROM={outcome.seed} TRACE=--trace", flush=True)  # noqa: T201
    return made


def _traced(seed: int) -> Outcome:
    return simulate_seed(seed, _Workshop.folder / f"seed-{seed}", _Workshop.cast, tell=print)


def summary(made: Sequence[Outcome], seconds: float) -> str:
    """Say in a line what was lived through."""
    names = ("events", "orders", "lives", "kills", "cuts", "failures")
    totals = ", ".join(f"{sum(getattr(outcome, name) for outcome in made)} {name}" for name in names)
    broken = sum(bool(outcome.broken) for outcome in made)
    return f"{len(made)} seeds in {seconds:.1f} s ({len(made) / seconds * 60:.0f} a minute): {totals}; {broken} broken"


def main(arguments: Sequence[str]) -> int:
    """Run; return 1 if a seed broke."""
    parser = argparse.ArgumentParser(prog="python -m tradeworthy.testing.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--seed-from", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--trace", action="store_true", help="tell every step, in one process")
    given = parser.parse_args(arguments)
    clock, memory = SystemClock(), _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="simulation-", dir=memory) as name:
        _Workshop.folder = Path(name)
        _Workshop.cast = Cast.make(Path(name) / "cast")
        simulate_seed(given.seed_from, Path(name) / "first", _Workshop.cast)  # compiles every kernel before the forks
        started = clock.monotonic_ns()
        seeds = range(given.seed_from, given.seed_from + given.seeds)
        made = simulate_all(seeds, 1 if given.trace else given.workers, trace=given.trace)
        print(summary(made, (clock.monotonic_ns() - started) / NS_PER_S))  # noqa: T201
    return int(any(outcome.broken for outcome in made))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
