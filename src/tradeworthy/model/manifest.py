"""What a version says about itself, in words and numbers a person can read.

Idea:   one canonical JSON text (keys sorted, no spaces). Its SHA-256 is the version's digest, and so its name; it holds
        the SHA-256 of every other file, so the name covers every byte.
Units:  `notional` in the instrument's currency; times are UTC nanoseconds.
"""

import hashlib
import math
from typing import Any, Literal

import msgspec

from tradeworthy.core.errors import UNDECODABLE, BundleRefused
from tradeworthy.core.limits import Limits
from tradeworthy.model.prior import PriorCorrection
from tradeworthy.model.thresholds import COMMON, GroupThresholds

SCHEMA = 1


class Signal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a score becomes a wanted position, with hysteresis.

    Attributes
    ----------
    enter_long, exit_long : float
        Go long at a score of at least `enter_long`; stay until it falls below `exit_long`.
    enter_short, exit_short : float
        Go short at a score of at most `enter_short`; stay until it rises above `exit_short`.
    notional : float
        Value of a position, in the instrument's currency; 0 for a version that only scores: it wants no position.
    allow_short : bool
        Whether the version may be short at all.
    """

    enter_long: float = 0.55
    exit_long: float = 0.5
    enter_short: float = 0.45
    exit_short: float = 0.5
    notional: float = 1_000.0
    allow_short: bool = False

    def __post_init__(self) -> None:
        """Refuse thresholds that contradict each other."""
        numbers = (self.enter_long, self.exit_long, self.enter_short, self.exit_short, self.notional)
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError(f"signal thresholds and notional must be finite, found {numbers}")
        if self.exit_long > self.enter_long:
            raise ValueError(f"signal exit_long {self.exit_long} is above enter_long {self.enter_long}")
        if self.exit_short < self.enter_short:
            raise ValueError(f"signal exit_short {self.exit_short} is below enter_short {self.enter_short}")
        if self.allow_short and self.enter_short >= self.enter_long:
            raise ValueError(f"signal enter_short {self.enter_short} is not below enter_long {self.enter_long}")
        if self.notional < 0:
            raise ValueError(f"signal notional is {self.notional}, allowed is a positive number, or 0 to score only")


class Lineage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a version comes from.

    Attributes
    ----------
    data_digest, code_version : str
        SHA-256 of the training events; version of the code that trained.
    parameters : dict of str to str
        What training was told.
    device : str
        Where it was trained.
    trained_on_rows : int
        Number of training rows.
    first_ts_ns, last_ts_ns : int
        Event times of the first and last training row.
    fold_metrics : dict of str to float
        Out-of-fold figures.
    parent : str, optional
        Digest of the version that this one replaces.
    """

    data_digest: str = ""
    code_version: str = ""
    parameters: dict[str, str] = {}
    device: str = ""
    trained_on_rows: int = 0
    first_ts_ns: int = 0
    last_ts_ns: int = 0
    fold_metrics: dict[str, float] = {}
    parent: str | None = None


class Card(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a risk officer wants to read before anything else.

    Attributes
    ----------
    purpose, owner, data, known_failure_modes : str
        What the version is for; whose it is; what it learned from; where it is known to fail.
    strategy_summary : str
        What it does and when, in plain language, for a reader without the code.
    next_review : str
        ISO date.
    """

    purpose: str = ""
    owner: str = ""
    data: str = ""
    known_failure_modes: str = ""
    strategy_summary: str = ""
    next_review: str = ""


_LATER = ("machine", "packages", "prior", "thresholds")
"""What manifests of older releases do not say; nothing that the version does depends on it."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The signed statement of what a version is; see `Lineage`, `Card` and `Signal` for its parts.

    Attributes
    ----------
    program_digest : str
        Digest of the feature program.
    features : list of str
        Names of a row's columns, in order.
    predictor : str
        Format of the predictor's files.
    outputs : list of str
        Names of the scores.
    label : dict
        What the model was taught, as `Label.to_json` wrote it.
    bounds : Limits
        The limits for which the version was validated; the desk's may only be tighter.
    files : dict of str to str
        SHA-256 of every other file of the bundle.
    machine : str
        On which its golden rows were scored when it was registered.
    packages : dict of str to str
        The versions of the packages that scored them.
    prior : PriorCorrection, optional
        That its scores are those of the version in `lineage.parent`, made right for another mix of classes.
    thresholds : GroupThresholds or None
        Of groups that are held against thresholds of their own.
    """

    schema: int = SCHEMA
    name: str
    created_ns: int
    author: str
    env: Literal["paper", "live"]
    program_digest: str
    features: list[str]
    predictor: str
    outputs: list[str]
    label: dict[str, Any]
    signal: Signal
    bounds: Limits
    lineage: Lineage
    card: Card
    files: dict[str, str]
    machine: str = ""
    packages: dict[str, str] = {}
    prior: PriorCorrection | None = None
    thresholds: GroupThresholds | None = None

    def signal_of(self, number: int) -> Signal:
        """Return the thresholds that a decision was held against, by the number that it recorded.

        Raises
        ------
        ValueError
            The group's threshold contradicts the others.
        """
        if self.thresholds is None or number == COMMON:
            return self.signal
        enter = self.thresholds.group[number - 1].enter_long
        return msgspec.structs.replace(self.signal, enter_long=enter, exit_long=min(enter, self.signal.exit_long))

    def to_bytes(self) -> bytes:
        """Return the canonical JSON text; what older releases could not say is left out where it is not said."""
        said = msgspec.to_builtins(self)
        for name in _LATER:
            if not said[name]:
                del said[name]
        return msgspec.json.encode(said, order="sorted")

    @classmethod
    def from_bytes(cls, data: bytes) -> "Manifest":
        """Read a canonical JSON text; any other spelling of the same content is refused.

        Raises
        ------
        BundleRefused
            It is not such a text, or a newer release wrote it.
        """
        try:
            manifest = msgspec.json.decode(data, type=cls)
        except (*UNDECODABLE, ValueError) as error:
            raise BundleRefused(f"manifest.json is not a manifest: {error}; write the version again") from error
        if manifest.schema != SCHEMA:
            raise BundleRefused(f"manifest.json has schema {manifest.schema}, this release reads {SCHEMA}; upgrade")
        if manifest.to_bytes() != data:
            raise BundleRefused(_why_not_ours(data, manifest.to_bytes()))
        return manifest

    def label_json(self) -> bytes:
        """Return the label's JSON, for `Label.from_json`."""
        return msgspec.json.encode(self.label, order="sorted")


def _why_not_ours(data: bytes, ours: bytes) -> str:
    """Say why a manifest that can be read is not spelt as this release spells it: an older one's, or nobody's."""
    theirs = msgspec.json.decode(data)
    if msgspec.json.encode(theirs, order="sorted") != data:
        return "manifest.json is not in canonical form (sorted keys, no spaces, no doubled keys)"
    lacking = ", ".join(_lacking(theirs, msgspec.json.decode(ours)))
    return (
        f"manifest.json was written by an older tradeworthy: it does not say {lacking}; train and register the version "
        "again with this one, or run it with the release that wrote it"
    )


def _lacking(theirs: dict[str, Any], ours: dict[str, Any], place: str = "") -> list[str]:
    """Return the dotted names of keys that an older text does not have."""
    found = [f"{place}{name}" for name in ours if name not in theirs]
    for name, inner in theirs.items():
        if isinstance(inner, dict) and isinstance(ours.get(name), dict):
            found += _lacking(inner, ours[name], f"{place}{name}.")
    return found


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of some bytes, hexadecimal; of a manifest's bytes it is the version's digest."""
    return hashlib.sha256(data).hexdigest()
