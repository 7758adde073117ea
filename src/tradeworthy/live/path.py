"""One version on a desk: from event to decision, one compiled path.

Idea:   a stage is a small kernel; the path is their composition, and it is read from top to bottom in `run_trees`:
        admit the event, step the features, walk the trees, form the intent, judge the order, write the decision.
        The same kernels serve one live event, a batch, replay and shadow versions, so all give the same bits.
Flow:   a run takes a stretch of the inbox and stops after an approved order (the venue's answers come before the next
        event) and before an event at which the control block has changed. `pipeline` calls it.
State:  all in arrays: the desk's (shared by all versions) and the stage's (this version's own). Nothing is allocated.
Roles:  a champion admits events and sends orders; a shadow believes the champion's admission, decides from its own
        imagined position and never acts; a standby only keeps its features warm.
"""

from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
from numba.experimental import structref

from tradeworthy.core.decisions import LATE, RULED, THRESHOLD_BITS, Role
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.events import Kind
from tradeworthy.core.held import Handle, HandleType, declare
from tradeworthy.core.kernel import kernel
from tradeworthy.live.control import GENERATION
from tradeworthy.live.inbox import (
    SEQUENCE,
    TS_EVENT,
    VALUES,
    Numbers,
    Words,
    flags_of,
    instrument_of,
    kind_of,
)
from tradeworthy.live.inputs import admit
from tradeworthy.live.positions import held_quantity, on_grid
from tradeworthy.live.risk.judge import is_halted, judge, latch_if_repeated, send_order
from tradeworthy.live.signal import needs_no_score, standing_in, wanted_position, worst_price
from tradeworthy.live.state import DeskState, hold_desk
from tradeworthy.model.features.kernel import FORGOTTEN, NO_ROW, ROW_READY, ProgramState, ProgramTable, step
from tradeworthy.model.predictors.tree_table import NODE, SLOT, TreeTable, score_row

Records = npt.NDArray[np.void]

STANDBY = 0
"""The role of a version that only keeps warm."""

NOT_ASKED = -1
"""The event asks for no decision."""

_CHAMPION = int(Role.CHAMPION)
_ROW, _GAP = int(Kind.ROW), int(Kind.GAP)
_NONE = int(DenialCode.NONE)
_WARMING = int(DenialCode.FEATURES_WARMING)
_NOT_FINITE = int(DenialCode.FEATURES_NOT_FINITE)
_OUT_OF_RANGE = int(DenialCode.FEATURES_OUT_OF_RANGE)
_SCORE_NOT_FINITE = int(DenialCode.SCORE_NOT_FINITE)
_OF_THE_MODEL = (_WARMING, _NOT_FINITE, _OUT_OF_RANGE)
_FLAT_WITHOUT_SCORE = 3
"""The edition of the rules (`state.MANNERS`) since which a share of nothing closes a position without a score."""
_HALTED = int(DenialCode.HALTED)
_REFERENCE_MISSING = int(DenialCode.REFERENCE_MISSING)

ROW_HEADER = 3
"""Words of a row record before the row: its frame and its decision."""

FACTS = np.dtype(
    [
        ("version", "<u8"),
        ("role", "<i8"),
        ("trigger", "<i8"),  # the kind of event that asks for a decision
        ("features", "<i8"),
        ("halted", "<i8"),
        ("late", "<i8"),  # 1 while it decides what was left undecided by a crash: nothing is sent
    ]
)
"""What a stage is: which version, in which role, decided by which kind of event."""


class Stage(NamedTuple):
    """One version's own arrays."""

    facts: Records  # (1,) FACTS
    table: ProgramTable
    state: ProgramState
    signal: Records  # (1,) SIGNAL
    groups: Records  # (groups,) GROUP, in the order of their thresholds
    lowest: Numbers  # (features,) the range in which a feature is believed
    highest: Numbers
    targets: Numbers  # (instruments,) a shadow's imagined positions
    warmed: Words  # (instruments,) 1 after the first whole row


class Circuit(NamedTuple):
    """Everything that the path reads and writes."""

    desk: DeskState
    stage: Stage
    control: npt.NDArray[np.uint64]
    words: Words  # of the inbox
    numbers: Numbers
    prices: Numbers
    now_ns: Words
    decisions: Records  # (room,) DECISION
    rows: Numbers  # (room, words of a row record)
    row_decisions: Words  # (room,) which decision of the run a row led to
    order: Records  # (1,) ORDER
    trees: TreeTable  # one that scores nothing where the predictor is not trees


@structref.register
class StageType(HandleType):
    """The compiled type of a stage's handle."""


@structref.register
class CircuitType(HandleType):
    """The compiled type of a circuit's handle."""


class StageHandle(Handle):
    """What kernels hold of a `Stage`."""


class CircuitHandle(Handle):
    """What kernels hold of a `Circuit`."""


declare(StageHandle, StageType, Stage._fields)
declare(CircuitHandle, CircuitType, Circuit._fields)


@kernel
def _hold_stage(stage: Stage) -> StageHandle:
    return StageHandle(*stage)  # type: ignore[no-untyped-call]


@kernel
def _hold_circuit(circuit: Circuit) -> CircuitHandle:
    return CircuitHandle(*circuit)  # type: ignore[no-untyped-call]


def hold_circuit(circuit: Circuit) -> Circuit:
    """Return the handle of a circuit, for kernels: the same fields, the same arrays."""
    inner = circuit._replace(desk=hold_desk(circuit.desk), stage=cast(Stage, _hold_stage(circuit.stage)))
    return cast(Circuit, _hold_circuit(inner))


def no_trees() -> TreeTable:
    """Return the empty table that stands in a circuit whose predictor is called from outside."""
    groups, bases, ends = np.zeros((0, 9), np.uint32), np.zeros(0), np.zeros(0, np.int64)
    return TreeTable(np.zeros(0, NODE), groups, np.zeros(0, SLOT), np.zeros(0, np.uint32), bases, ends, 1.0, 0)


@kernel
def is_asked(c: Circuit, place: int) -> bool:
    """Tell whether an event asks this version for a decision: its kind of event, of an instrument we trade."""
    instrument = instrument_of(c.words, place)
    if kind_of(c.words, place) != c.stage.facts[0]["trigger"] or instrument >= c.desk.grid.shape[0]:
        return False
    return bool(c.desk.grid[instrument]["traded"] != 0)


@kernel
def range_verdict(stage: Stage, row: Numbers) -> int:
    """Return whether a row lies where the version was validated."""
    for feature in range(row.shape[0]):
        if row[feature] < stage.lowest[feature] or row[feature] > stage.highest[feature]:
            return _OUT_OF_RANGE
    return _NONE


@kernel
def take_in(c: Circuit, place: int) -> int:
    """Return why the event was refused: judged now by the champion, read from its flags by everybody else."""
    if c.stage.facts[0]["role"] != _CHAMPION:
        return flags_of(c.words, place)
    code = admit(c.desk, c.words, c.numbers, place)
    instrument = instrument_of(c.words, place)
    c.prices[place] = c.desk.positions[instrument]["mark"] if instrument < c.desk.grid.shape[0] else np.nan
    return code


@kernel
def perceive(c: Circuit, place: int, refused: int, row: Numbers) -> int:
    """Step the features by an event that was admitted, or refused for the reason given.

    Returns
    -------
    int
        `NOT_ASKED`; or why there can be no score; or `NONE` or `FEATURES_OUT_OF_RANGE` with `row` filled.
    """
    asked = is_asked(c, place)
    if refused != _NONE:
        return refused if asked else NOT_ASKED
    kind, instrument, stage = kind_of(c.words, place), instrument_of(c.words, place), c.stage
    if kind > _ROW and kind != _GAP:
        return NOT_ASKED
    ready = step(stage.table, stage.state, instrument, kind, c.words[place, TS_EVENT], c.numbers[place, VALUES:], row)
    if ready == FORGOTTEN:
        stage.warmed[:] = 0
    if not asked or ready == NO_ROW:
        return _WARMING if asked else NOT_ASKED
    if ready != ROW_READY:
        return _NOT_FINITE if stage.warmed[instrument] != 0 else _WARMING
    stage.warmed[instrument] = 1
    return range_verdict(stage, row)


@kernel
def sense(c: Circuit, place: int, row: Numbers) -> int:
    """Admit an event and step the features; see `perceive`."""
    return perceive(c, place, take_in(c, place), row)


@kernel
def has_row(verdict: int) -> bool:
    """Tell whether `sense` filled the row."""
    return verdict in (_NONE, _OUT_OF_RANGE)


@kernel
def threshold_of(c: Circuit, place: int) -> int:
    """Return the number of the threshold that an event's score is held against: 0, or its group's from 1 on."""
    groups = c.stage.groups
    for number in range(groups.shape[0]):
        if c.numbers[place, VALUES + groups[number]["place"]] == groups[number]["value"]:
            return number + 1
    return 0


@kernel
def write_decision(c: Circuit, at: int, place: int, score: float, held: float) -> None:
    """Begin decision number `at` of the run: everything known before the intent."""
    facts, decision = c.stage.facts[0], c.decisions[at]
    decision["input_sequence"] = c.words[place, SEQUENCE]
    decision["ts_event_ns"] = c.words[place, TS_EVENT]
    decision["ts_decided_ns"] = c.now_ns[place]
    decision["version"] = facts["version"]
    decision["role"] = facts["role"]
    late, ruled = facts["late"] != 0, c.stage.signal[0]["rule"] != 0.0
    flags = (LATE if late else 0) | (RULED if ruled else 0)
    decision["flags"] = flags | (threshold_of(c, place) << THRESHOLD_BITS)
    decision["instrument"] = instrument_of(c.words, place)
    decision["score"] = score
    decision["position"] = held
    decision["target"] = held
    decision["price"] = c.prices[place]
    decision["quantity"] = 0.0
    decision["observed"] = np.nan
    decision["limit"] = np.nan


@kernel
def write_order(c: Circuit, place: int, quantity: float, limit_price: float) -> None:
    """Write the order that follows from the run's last decision; its name comes from the tape."""
    order = c.order[0]
    order["ts_sent_ns"] = c.now_ns[place]
    order["version"] = c.stage.facts[0]["version"]
    order["quantity"] = quantity
    order["limit_price"] = limit_price
    order["reference_price"] = c.prices[place]
    order["instrument"] = instrument_of(c.words, place)


@kernel
def act(c: Circuit, at: int, place: int, quantity: float) -> int:
    """Judge the order that the champion wants and, if nothing refuses it, send it; return the verdict."""
    desk, decision, instrument = c.desk, c.decisions[at], instrument_of(c.words, place)
    price, now_ns = c.prices[place], c.now_ns[place]
    limit_price = worst_price(quantity, price, desk.rules[0]["limit_price_bps"], desk.grid[instrument]["tick"])
    code, check = judge(desk, instrument, quantity, limit_price, price, now_ns)
    if code != _NONE:
        latch_if_repeated(desk, code)
        decision["observed"] = desk.observed[check]
        decision["limit"] = desk.limits[instrument, check]
        return code
    send_order(desk, instrument, quantity, limit_price, now_ns)
    write_order(c, place, quantity, limit_price)
    decision["quantity"] = quantity
    return code


@kernel
def intend(c: Circuit, at: int, place: int, score: float, held: float) -> int:
    """Turn a score into a target; a champion acts on it, a shadow takes it as done. Returns the verdict."""
    instrument = instrument_of(c.words, place)
    grid, price = c.desk.grid[instrument], c.prices[place]
    target = wanted_position(c.stage.signal[0], score, held, price, grid["multiplier"], grid["lot"])
    c.decisions[at]["target"] = target
    if abs(target - held) < 0.5 * grid["lot"]:
        return _NONE
    quantity = target - held
    if c.desk.manners[0] >= 1:
        quantity = on_grid(np.round(quantity / grid["lot"]), grid["lot"])
    if c.stage.facts[0]["role"] == _CHAMPION:
        return act(c, at, place, quantity)
    if np.isnan(target):
        return _REFERENCE_MISSING
    c.stage.targets[instrument] = target
    return _NONE


@kernel
def is_ruled(c: Circuit) -> bool:
    """Tell whether the decision needs no model: then nothing that is wrong with features or score stops it."""
    signal = c.stage.signal[0]
    return needs_no_score(signal) and (c.desk.manners[0] >= _FLAT_WITHOUT_SCORE or signal["rule"] != 0.0)


@kernel
def decide(c: Circuit, at: int, place: int, verdict: int, score: float) -> bool:
    """Make decision number `at` of the run, and tell whether it sent an order."""
    instrument, facts = instrument_of(c.words, place), c.stage.facts[0]
    acts = facts["role"] == _CHAMPION
    held = c.stage.targets[instrument]
    if acts:
        held = held_quantity(c.desk.positions[instrument], c.desk.grid[instrument]["lot"])
    write_decision(c, at, place, score, held)
    if acts and (facts["late"] != 0 or facts["halted"] != 0 or is_halted(c.desk, instrument)):
        verdict = _HALTED
    elif verdict == _NONE or (verdict in _OF_THE_MODEL and is_ruled(c)):
        acted_on = standing_in(c.stage.signal[0]) if is_ruled(c) else score
        verdict = intend(c, at, place, acted_on, held) if np.isfinite(acted_on) else _SCORE_NOT_FINITE
    c.decisions[at]["verdict"] = verdict
    if acts and verdict >= _WARMING:
        c.desk.denials[verdict] += 1
    return bool(c.decisions[at]["quantity"] != 0.0)


@kernel
def may_go_on(c: Circuit, generation: int) -> bool:
    """Tell whether nobody has steered since the run began; only a champion has to ask."""
    return bool(c.stage.facts[0]["role"] != _CHAMPION or c.control[GENERATION] == generation)


@kernel
def run_trees(c: Circuit, start: int, stop: int, generation: int, first_sequence: int) -> tuple[int, int, int, bool]:
    """Take events of the inbox through the whole path; see `pipeline.Pipeline.run`."""
    trees, features = c.trees, c.stage.facts[0]["features"]
    place, decisions, rows, ordered = start, 0, 0, False
    while place < stop and not ordered and may_go_on(c, generation):
        if first_sequence > 0:
            c.words[place, SEQUENCE] = first_sequence + place - start
        record = c.rows[rows]
        verdict = sense(c, place, record[ROW_HEADER : ROW_HEADER + features])
        score = np.nan
        if has_row(verdict):
            score_row(trees, record[ROW_HEADER : ROW_HEADER + features], record[ROW_HEADER + features :])
            score = record[ROW_HEADER + features]
            c.row_decisions[rows] = decisions
            rows += 1
        if verdict != NOT_ASKED:
            ordered = decide(c, decisions, place, verdict, score)
            decisions += 1
        place += 1
    return place, decisions, rows, ordered


@kernel
def sense_one(c: Circuit, place: int, rows: int, sequence: int) -> int:
    """Take one event up to the row, for predictors outside the kernels."""
    if sequence > 0:
        c.words[place, SEQUENCE] = sequence
    features = c.stage.facts[0]["features"]
    return sense(c, place, c.rows[rows][ROW_HEADER : ROW_HEADER + features])


@kernel
def decide_one(c: Circuit, at: int, place: int, verdict: int, score: float) -> bool:
    """Take one event from the score to the decision."""
    return decide(c, at, place, verdict, score)


@kernel
def keep_warm(c: Circuit, start: int, stop: int, scratch: Numbers) -> None:
    """Step the features of a standby through events that the champion has consumed."""
    for place in range(start, stop):
        sense(c, place, scratch)
