"""What must hold of a desk whatever happened to it, read from the finished tape and from the venue's own books.

Idea:   none of this asks the engine: the tape is read anew, and roles and halts are derived from it a second time, in
        the simplest way.
"""

import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import DECISION, DECISIONS, LATE, ORDER, ORDERS, Role
from tradeworthy.core.events import EventBatch, Kind, Word
from tradeworthy.live.desk import is_own
from tradeworthy.live.playback import read_or_none
from tradeworthy.live.replay import replay
from tradeworthy.record.tape import TapeReader
from tradeworthy.record.verify import verify
from tradeworthy.testing.contract import require
from tradeworthy.testing.desks import INSTRUMENTS
from tradeworthy.testing.simulation.exchange import Exchange
from tradeworthy.testing.simulation.world import World

Records = npt.NDArray[np.void]

_LOT = 1e-6
_ABOUT_ROLES = (Word.CHAMPION, Word.SHADOW_ADDED, Word.CANARY)


def check_all(world: World) -> None:
    """Check every promise on a world that has ended.

    Raises
    ------
    ContractBroken
        The first that is not kept.
    """
    reader = TapeReader(world.folder / "tape")
    inputs = reader.read("inputs")
    decisions, orders = read_or_none(reader, DECISIONS, DECISION), read_or_none(reader, ORDERS, ORDER)
    check_decisions(inputs, decisions)
    check_versions(inputs, decisions)
    check_orders(inputs, decisions, orders, world.sent)
    check_positions(world, inputs)
    check_record(world)
    if world.watcher is not None:
        world.watcher.catch_up()
        require(world.watcher.same(), "a watcher that was interrupted finds what an uninterrupted one finds")


def check_decisions(inputs: EventBatch, decisions: Records) -> None:
    """Every event that asks for a decision has exactly one of the champion's; shadows decide no event twice."""
    asked = inputs["sequence"][(inputs["kind"] == Kind.BAR) & (inputs["instrument"] == 0)]
    made = np.sort(decisions["input_sequence"][decisions["role"] == Role.CHAMPION])
    require(len(np.unique(made)) == len(made), f"no decision is doubled; {_repeated(made)} are")
    require(np.array_equal(asked, made), f"every bar has its decision; differing: {np.setxor1d(asked, made)[:5]}")
    pairs = decisions[["input_sequence", "version"]]
    require(len(np.unique(pairs)) == len(pairs), "no version decides an event twice")


def check_versions(inputs: EventBatch, decisions: Records) -> None:
    """Each decision names the version that acted on its instrument, by the control events before it."""
    words = inputs[_controls(inputs, *_ABOUT_ROLES)]
    acted = _acted(words)
    made = decisions[decisions["role"] == Role.CHAMPION]
    turns = np.searchsorted(words["sequence"], made["input_sequence"]) - 1
    require((turns >= 0).all(), "no decision comes before the first champion")
    wanted = [acted[turn][each] for turn, each in zip(turns, made["instrument"], strict=True)]
    right = np.array(wanted, np.uint64) == made["version"]
    require(right.all(), f"each decision names who acted; {made['sequence'][~right][:5].tolist()} do not")


def _acted(words: EventBatch) -> list[tuple[int, ...]]:
    """Return, after each control word about roles, which version acts on each instrument."""
    champion, before, part, acted = 0, 0, (0, frozenset[int]()), []
    told = zip(words["values"][:, 0], words["reference"].tolist(), words["values"][:, 1], strict=True)
    for word, number, value in told:
        if word == Word.CHAMPION and number != champion:
            champion, before = number, champion
        elif word == Word.SHADOW_ADDED and number == before:
            before = 0
        elif word == Word.CANARY:
            part = (number, frozenset() if np.isnan(value) else part[1] | {int(value)})
        shared = before and part[0] == champion
        acted.append(tuple(before if shared and each not in part[1] else champion for each in range(len(INSTRUMENTS))))
    return acted


def check_orders(inputs: EventBatch, decisions: Records, orders: Records, sent: dict[int, float]) -> None:
    """Every order follows from one decision, none from a halted one, and the venue got none that is not on the tape."""
    acting = decisions[(decisions["quantity"] != 0.0)]
    require((acting["role"] == Role.CHAMPION).all(), "only a champion acts")
    require(len(np.unique(orders["decision"])) == len(orders), "no order is recorded twice")
    require(np.isin(orders["decision"], acting["sequence"]).all(), "every order follows from its decision")
    known = dict(zip(orders["decision"].tolist(), orders["quantity"].tolist(), strict=True))
    require(
        sent.items() <= known.items(), f"every order sent is on the tape; {sorted(set(sent) - set(known))[:5]} are not"
    )
    halted = _halted(inputs, acting["input_sequence"])
    require(not halted.any(), f"no order after a halt; {acting['sequence'][halted][:5].tolist()} are")
    late = acting[acting["flags"] & LATE != 0]
    require(not len(late), "nothing is sent for an event from before a crash")


def check_positions(world: World, inputs: EventBatch) -> None:
    """Check that the position is the sum of the fills on the tape, and what the exchange believes."""
    fills = inputs[(inputs["kind"] == Kind.FILL) & (inputs["flags"] == 0) & is_own(inputs)]
    position, total = float(world.engine.desk.state.positions["quantity"][0]), float(fills["values"][:, 0].sum())
    require(abs(position - total) < _LOT, f"the position is the sum of fills; {position} is not {total}")
    unknown = set(fills["reference"].tolist()) - set(world.sent)
    require(not unknown, f"no fill without an order that was sent; {sorted(unknown)[:5]} are")
    if isinstance(world.venue, Exchange):
        truth = world.venue.filled()
        require(abs(position - truth) < _LOT, f"the desk holds what the exchange says; {position} is not {truth}")
    require(not world.engine.summary().open_orders, "no order is left open when all are answered")


def check_record(world: World) -> None:
    """Check that the record verifies, and that replay makes every decision again."""
    report = verify(world.folder / "tape")
    require(report.ok, f"the record verifies; {[str(problem) for problem in report.problems[:3]]}")
    replayed = replay(world.folder / "tape", world.cast.load)
    require(replayed.identical, f"replay is identical; {replayed.first_difference}")


def _controls(inputs: EventBatch, *words: int) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = (inputs["kind"] == Kind.CONTROL) & np.isin(inputs["values"][:, 0], words)
    return found & is_own(inputs)


def _halted(inputs: EventBatch, sequences: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Tell at which inputs everything was halted."""
    everything = inputs["values"][:, 1] == 0.0
    turns = inputs[(_controls(inputs, Word.HALT) | _controls(inputs, Word.RESUME)) & everything]
    if not len(turns):
        return np.zeros(len(sequences), np.bool_)
    last = np.searchsorted(turns["sequence"], sequences) - 1
    halted: npt.NDArray[np.bool_] = (last >= 0) & (turns["values"][last, 0] == Word.HALT)
    return halted


def _repeated(sequences: npt.NDArray[np.uint64]) -> list[int]:
    values, counts = np.unique(sequences, return_counts=True)
    found: list[int] = values[counts > 1][:5].tolist()
    return found
