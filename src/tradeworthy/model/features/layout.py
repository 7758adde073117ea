"""From expressions to the kernel's table: where every operation runs and where its memory lies.

Idea:   an operation belongs to a *lane*: the events of one kind of one instrument. It keeps the lane of what it reads;
        where it reads several, it runs with the decision. Equal operations of one lane become one.
Flow:   `_Graph.lower` turns trees into nodes, each once, inputs before users; `lay_out` gives every node its registers
        and memory in one of two blocks (what other instruments share, what each traded instrument owns) and orders the
        instructions lane by lane.
Time:   a value crosses from one instrument to another through PUBLISH and READ, the only two operations that compare
        stamps. Kinds of the same instrument share a block and read each other's latest value.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from tradeworthy.core.errors import FeatureInvalid, near
from tradeworthy.core.events import FIELDS, Kind
from tradeworthy.model.features.formula import Expression
from tradeworthy.model.features.kernel import INSTRUCTION, Code, Floats, Records, Words
from tradeworthy.model.features.operations import OPERATIONS

NODES_MAX = 20_000
"""Most operations of one program."""

DEPTH_MAX = 150
"""Most operations inside one another."""

FORMULA_MAX = 20_000
"""Most operations of one formula as it is written out, where shared parts count every time."""

_NEVER = 0


class Lane(NamedTuple):
    """The events of one kind of one instrument; the deciding instrument has no symbol."""

    symbol: str
    kind: int


class _Node(NamedTuple):
    """One operation in its lane; equal nodes are one."""

    code: Code
    lane: Lane
    inputs: tuple[int, ...] = ()
    n: int = 0
    number: float = 0.0


@dataclass(frozen=True, slots=True)
class LaneSpan:
    """Where a lane's instructions stand, and the word that counts its events."""

    first: int
    last: int
    count: int


@dataclass(frozen=True, slots=True)
class Layout:
    """A program as the kernel sees it, before it is bound to a desk's instruments.

    Attributes
    ----------
    instructions : (operations,) INSTRUCTION
    outputs : (features,) int64
        Registers of the row.
    lanes : mapping of Lane to LaneSpan
    shared_numbers, shared_words, own_numbers, own_words
        What the two blocks hold before the first event.
    """

    instructions: Records
    outputs: Words
    lanes: Mapping[Lane, LaneSpan]
    shared_numbers: Floats
    shared_words: Words
    own_numbers: Floats
    own_words: Words


class _Graph:
    """The operations of a program, each once, inputs before users."""

    __slots__ = ("_homes", "_lowered", "_simpler", "nodes", "places", "row_fields", "trigger")

    def __init__(self, trigger: Kind, row_fields: Sequence[str]) -> None:
        self.trigger = trigger
        self.row_fields = tuple(row_fields)
        self.nodes: list[_Node] = []
        self.places: dict[_Node, int] = {}
        self._homes: dict[tuple[int, str], Lane | None] = {}
        self._simpler: dict[int, tuple[Expression, Expression]] = {}
        self._lowered: dict[tuple[int, str, Lane], int] = {}

    def lower(self, tree: Expression, symbol: str, wanted: Lane, depth: int = 0) -> int:
        """Add a tree's operations; return the node that holds its value for users in the lane `wanted`."""
        depth = _deeper(depth)
        tree = self._expand(tree)
        key = (id(tree), symbol, wanted)
        if key not in self._lowered:
            if tree.op == "on":
                self._lowered[key] = self.lower(tree.inputs[0], tree.name, wanted, depth)
            else:
                self._lowered[key] = self._cross(self._lower_here(tree, symbol, wanted, depth), wanted)
        return self._lowered[key]

    def _lower_here(self, tree: Expression, symbol: str, wanted: Lane, depth: int) -> int:
        lane = self._home(tree, symbol, 0) or wanted
        if tree.op == "number":
            return self._add(_Node(Code.CONSTANT, Lane(lane.symbol, _NEVER), number=tree.number))
        if tree.op == "field":
            return self._add(_Node(Code.FIELD, lane, n=self._field_place(tree.name)))
        inputs = tuple(self.lower(each, symbol, lane, depth) for each in tree.inputs)
        code = OPERATIONS[tree.op].code
        if code.windowed:
            inputs = tuple(self._add(_Node(Code.HISTORY, lane, (each,))) for each in inputs)
        return self._add(_Node(code, lane, inputs, tree.n))

    def _cross(self, place: int, wanted: Lane) -> int:
        """Hand a value to another instrument's lane; within one instrument it is read where it lies."""
        lane = self.nodes[place].lane
        if lane.symbol == wanted.symbol:
            return place
        published = self._add(_Node(Code.PUBLISH, lane, (place,)))
        return self._add(_Node(Code.READ, wanted, (published,)))

    def _home(self, tree: Expression, symbol: str, depth: int) -> Lane | None:
        """Return the lane of a tree's value; None where it reads no events (constants, the time)."""
        tree = self._expand(tree)
        key = (id(tree), symbol)
        if key not in self._homes:
            self._homes[key] = self._find_home(tree, symbol, _deeper(depth))
        return self._homes[key]

    def _find_home(self, tree: Expression, symbol: str, depth: int) -> Lane | None:
        if tree.op == "on":
            return self._home(tree.inputs[0], tree.name, depth)
        if tree.op == "field":
            return Lane(symbol, Kind[tree.name.partition(".")[0].upper()])
        homes = {home for each in tree.inputs if (home := self._home(each, symbol, depth)) is not None}
        if len(homes) <= 1:
            return homes.pop() if homes else None
        symbols = {home.symbol for home in homes}
        return Lane(symbols.pop() if len(symbols) == 1 else "", self.trigger)

    def _expand(self, tree: Expression) -> Expression:
        """Return the tree made of operations that the kernel knows; the same object for the same object."""
        while (expand := OPERATIONS[tree.op].expand) is not None:
            if id(tree) not in self._simpler:
                self._simpler[id(tree)] = (tree, expand(tree))
            tree = self._simpler[id(tree)][1]
        return tree

    def _field_place(self, name: str) -> int:
        kind, _, own = name.partition(".")
        if kind != "row":
            return FIELDS[Kind[kind.upper()]].index(own)
        if own not in self.row_fields:
            hint = near(own, self.row_fields)
            raise FeatureInvalid(f"row field {own!r} is not declared{hint}; declared: {list(self.row_fields)}")
        return self.row_fields.index(own)

    def _add(self, node: _Node) -> int:
        if node not in self.places:
            if len(self.nodes) >= NODES_MAX:
                raise FeatureInvalid(f"the program needs more than {NODES_MAX} operations; use fewer features")
            self.places[node] = len(self.nodes)
            self.nodes.append(node)
        return self.places[node]


def _deeper(depth: int) -> int:
    """Return the depth of a part, unless the formula is too deep."""
    if depth >= DEPTH_MAX:
        raise FeatureInvalid(f"more than {DEPTH_MAX} operations inside one another; split the formula")
    return depth + 1


def _size(tree: Expression, sizes: dict[int, int], depth: int = 0) -> int:
    """Return how many operations a formula has when it is written out."""
    if id(tree) not in sizes:
        sizes[id(tree)] = 1 + sum(_size(each, sizes, _deeper(depth)) for each in tree.inputs)
    if sizes[id(tree)] > FORMULA_MAX:
        raise FeatureInvalid(f"a formula of more than {FORMULA_MAX} operations; make parts of it features of their own")
    return sizes[id(tree)]


@dataclass(slots=True)
class _Block:
    """Memory being handed out."""

    numbers: list[Floats] = field(default_factory=list)
    used: int = 0
    words: int = 0

    def take(self, size: int, value: float) -> int:
        """Hand out `size` floats that start as `value`."""
        at = self.used
        self.numbers.append(np.full(size, value))
        self.used += size
        return at

    def take_words(self, size: int) -> int:
        """Hand out `size` integers that start as 0."""
        at = self.words
        self.words += size
        return at

    def initial(self) -> tuple[Floats, Words]:
        """Return the block before the first event."""
        return np.concatenate([np.empty(0), *self.numbers]), np.zeros(self.words, np.int64)


def lay_out(features: Iterable[Expression], trigger: Kind, row_fields: Sequence[str]) -> Layout:
    """Compile expressions into instructions and memory.

    Raises
    ------
    FeatureInvalid
        An undeclared row field, or a program that is too large.
    """
    features = tuple(features)
    for feature in features:
        _size(feature, {})
    graph = _Graph(trigger, row_fields)
    decision = Lane("", trigger)
    roots = [graph.lower(feature, "", decision) for feature in features]
    shared, own = _Block(), _Block()
    records = _place_memory(graph.nodes, shared, own)
    order, lanes = _order_lanes(graph.nodes, shared, own)
    instructions = _link(graph.nodes, records, order)
    shared_numbers, shared_words = shared.initial()
    own_numbers, own_words = own.initial()
    outputs = records["out"][roots].astype(np.int64)
    return Layout(instructions, outputs, lanes, shared_numbers, shared_words, own_numbers, own_words)


def _ring_sizes(nodes: Sequence[_Node]) -> dict[int, int]:
    """Return, for each history, the power of two that holds its longest window and the value before it."""
    longest: dict[int, int] = {}
    for node in nodes:
        if node.code.windowed:
            for history in node.inputs:
                longest[history] = max(longest.get(history, 0), node.n)
    return {history: 1 << n.bit_length() for history, n in longest.items()}


def _place_memory(nodes: Sequence[_Node], shared: _Block, own: _Block) -> Records:
    """Give every node a register and its memory; windows and codes are filled in, inputs are not yet."""
    rings = _ring_sizes(nodes)
    records = np.zeros(len(nodes), INSTRUCTION)
    for place, node in enumerate(nodes):
        block = shared if node.lane.symbol else own
        record = records[place]
        record["code"], record["n"] = node.code, node.n
        record["out"] = block.take(1, node.number if node.code == Code.CONSTANT else np.nan)
        if node.code == Code.HISTORY:
            record["n"] = rings[place] - 1
            record["numbers"] = block.take(rings[place], np.nan)
        else:
            record["numbers"] = block.take(node.code.numbers, np.nan if node.code == Code.PUBLISH else 0.0)
        queue = rings[node.inputs[0]] if node.code.queued else 0
        record["words"] = block.take_words(node.code.words + queue)
    return records


def _order_lanes(nodes: Sequence[_Node], shared: _Block, own: _Block) -> tuple[list[int], dict[Lane, LaneSpan]]:
    """Return the nodes lane after lane, and where each lane stands."""
    order: list[int] = []
    lanes: dict[Lane, LaneSpan] = {}
    for lane in sorted({node.lane for node in nodes if node.lane.kind != _NEVER}):
        first = len(order)
        order += [place for place, node in enumerate(nodes) if node.lane == lane]
        lanes[lane] = LaneSpan(first, len(order), (shared if lane.symbol else own).take_words(1))
    return order, lanes


def _link(nodes: Sequence[_Node], records: Records, order: Sequence[int]) -> Records:
    """Return the instructions in running order, each naming the registers (or histories) that it reads."""
    running = {place: i for i, place in enumerate(order)}
    for place, node in enumerate(nodes):
        if node.code == Code.FIELD:
            records["a"][place] = node.n
        elif node.code == Code.READ:
            for name in ("numbers", "words"):
                records[name][place] = records[name][node.inputs[0]]
        else:
            for name, source in zip("abc", node.inputs, strict=False):
                records[name][place] = running[source] if node.code.windowed else records["out"][source]
    return records[list(order)]
