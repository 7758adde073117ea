"""A program: named features, checked and compiled, as plain data.

Idea:   a program is what a version ships: its JSON holds the formulas and nothing that could run. Reading it compiles
        the same table again, and its digest names it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from tradeworthy.core.errors import UNDECODABLE, FeatureInvalid, near
from tradeworthy.core.events import BOOK_LEVEL_FIELDS, FIELDS, Kind
from tradeworthy.model.features.formula import Expression
from tradeworthy.model.features.kernel import Code
from tradeworthy.model.features.layout import Layout, lay_out

FORMAT = 1
"""Raised when the same formulas would give other values."""

TRIGGERS = (Kind.BAR, Kind.TRADE, Kind.QUOTE, Kind.BOOK, Kind.ROW)


class _Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A program's JSON."""

    format: int
    trigger: str
    row_fields: tuple[str, ...]
    features: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True)
class Program:
    """Features in the order of the row, and the table that computes them; from `compile_program` or `from_json`.

    Attributes
    ----------
    features : mapping of str to Expression
    trigger : Kind
        The kind of event that asks for a row.
    row_fields : tuple of str
        The declared fields of `row` events, in the order of their values.
    layout : Layout
        What the kernel runs.
    """

    features: Mapping[str, Expression]
    trigger: Kind
    row_fields: tuple[str, ...]
    layout: Layout = field(compare=False, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The features, in the order of the row."""
        return tuple(self.features)

    @property
    def instruments(self) -> tuple[str, ...]:
        """Symbols of the other instruments that are read."""
        return tuple(sorted({lane.symbol for lane in self.layout.lanes if lane.symbol}))

    @property
    def width(self) -> int:
        """How many values an event of this desk must at least carry."""
        kinds = {Kind(lane.kind) for lane in self.layout.lanes} - {Kind.ROW, Kind.BOOK}
        read = self.layout.instructions["a"][self.layout.instructions["code"] == Code.FIELD]
        levels = -(-(int(read.max(initial=-1)) + 1) // BOOK_LEVEL_FIELDS) * BOOK_LEVEL_FIELDS  # whole levels of a book
        has_book = any(lane.kind == Kind.BOOK for lane in self.layout.lanes)
        return max(len(self.row_fields), levels if has_book else 0, *(len(FIELDS[kind]) for kind in kinds), 0)

    @property
    def digest(self) -> str:
        """SHA-256 of `to_json`, in hexadecimal."""
        return hashlib.sha256(self.to_json()).hexdigest()

    def to_json(self) -> bytes:
        """Return the program as canonical JSON: same program, same bytes."""
        stored = _Stored(FORMAT, self.trigger.name.lower(), self.row_fields, tuple(self.features.items()))
        return msgspec.json.encode(stored)

    @staticmethod
    def from_json(data: bytes) -> "Program":
        """Read and compile a stored program.

        Raises
        ------
        FeatureInvalid
            The bytes are not a program, or one of a newer format.
        """
        try:
            stored = msgspec.json.decode(data, type=_Stored)
        except UNDECODABLE as error:
            raise FeatureInvalid(f"these bytes are not a stored program: {error}") from error
        if stored.format != FORMAT:
            raise FeatureInvalid(f"the program has format {stored.format}, allowed is {FORMAT}; compile it again")
        trigger = Kind.__members__.get(stored.trigger.upper())
        if trigger is None:
            raise FeatureInvalid(f"trigger {stored.trigger!r} is not a kind{near(stored.trigger, _kind_words())}")
        features = dict(stored.features)
        if len(features) != len(stored.features):
            raise FeatureInvalid("two features of the stored program have the same name")
        return compile_program(features, trigger=trigger, row_fields=stored.row_fields)

    def describe(self, name: str) -> str:
        """Return what a feature is, in plain words."""
        if name not in self.features:
            raise FeatureInvalid(f"the program has no feature {name!r}{near(name, self.features)}")
        return self.features[name].words


def compile_program(
    features: Mapping[str, Expression], *, trigger: Kind = Kind.BAR, row_fields: Sequence[str] = ()
) -> Program:
    """Check features and compile them into a program.

    Parameters
    ----------
    features : mapping of str to Expression
        Their order is the order of the row.
    trigger : Kind
        The kind of event that asks for a row: of the deciding instrument, bars unless said otherwise.
    row_fields : sequence of str
        The declared fields of `row` events.

    Raises
    ------
    FeatureInvalid
        No features, a label among them, an unknown field, a program that is too large.

    Examples
    --------
    >>> from tradeworthy.model.features.expressions import bar, log_return
    >>> program = compile_program({"volatility": log_return(bar.close).std(60)})
    >>> program.describe("volatility")
    'the standard deviation over 60 bars of the log return of bar close over 1 bar'
    """
    if not features:
        raise FeatureInvalid("found no features, allowed is one or more")
    if trigger not in TRIGGERS:
        raise FeatureInvalid(f"trigger is {Kind(trigger).name.lower()}, allowed: {', '.join(_kind_words())}")
    if len(set(row_fields)) != len(row_fields):
        raise FeatureInvalid(f"a row field is declared twice: {list(row_fields)}")
    for name, feature in features.items():
        _check_feature(name, feature)
    layout = lay_out(features.values(), trigger, row_fields)
    return Program(dict(features), trigger, tuple(row_fields), layout)


def _check_feature(name: object, feature: object) -> None:
    if not isinstance(name, str) or not name:
        raise FeatureInvalid(f"a feature is called {name!r}, allowed is a word")
    if getattr(feature, "looks_ahead", False):
        raise FeatureInvalid(f"feature {name!r} looks ahead: {feature!r} is a label; train on it, do not read it")
    if not isinstance(feature, Expression):
        raise FeatureInvalid(f"feature {name!r} is {feature!r}, allowed is an expression such as bar.close.std(20)")


def _kind_words() -> list[str]:
    return [kind.name.lower() for kind in TRIGGERS]
