"""What an outsider can move: which features, how far, in which direction, together with what, at what cost.

Idea:   not every input is in a stranger's hand. The size of a resting order costs nothing to show and to withdraw; a
        traded price costs money; the time of day cannot be moved. Each *lever* is one thing that an outsider can do:
        it moves one feature, or several in one go, within a box that grows with epsilon.
Units:  a lever's position is in training standard deviations of its features (``std``) or in the features' own units;
        epsilon 1 allows the whole reach. Cost is in any unit of the user's, for one unit of position.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import SettingsInvalid, near

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Movable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Features that an outsider can move.

    Attributes
    ----------
    features : tuple of str
        Their names in the strategy.
    reach : float
        How far each can be moved at epsilon 1, in `unit`.
    unit : str
        Training standard deviations (``std``), or the features' own units (``own``).
    direction : str
        Whether they can only be moved ``up``, only ``down``, or ``both`` ways.
    together : bool
        Whether one act moves them all at once (a hidden order at the bid moves depth, imbalance and microprice).
    weights : tuple of float
        Of features moved together, how far each goes for one unit of the act (-1 is the other way); all 1 if left out.
    step : float
        The smallest move, in `unit`: a tick or a lot in the feature's own units. 0 allows any.
    cost : float
        What one unit costs the outsider, counted against the budget. 0 is free.
    """

    features: tuple[str, ...]
    reach: float = 1.0
    unit: Literal["std", "own"] = "std"
    direction: Literal["both", "up", "down"] = "both"
    together: bool = False
    weights: tuple[float, ...] = ()
    step: float = 0.0
    cost: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a move that moves nothing, or that nobody could read."""
        if not self.features or not 0.0 < self.reach < np.inf:
            raise ValueError(f"movable {list(self.features)}: needs features, and a reach above 0; found {self.reach}")
        if not (0.0 <= self.step <= self.reach and 0.0 <= self.cost < np.inf):
            raise ValueError(f"movable {list(self.features)}: step is 0 to the reach, cost 0 or more")
        if self.weights and (not self.together or len(self.weights) != len(self.features)):
            raise ValueError(f"movable {list(self.features)}: weights are one a feature, for together = true")
        if not all(np.isfinite(weight) and weight != 0.0 for weight in self.weights):
            raise ValueError(f"movable {list(self.features)}: weights are finite and not 0, found {self.weights}")


class Levers(NamedTuple):
    """The same as arrays that kernels read; l levers that move e features in all.

    Attributes
    ----------
    first : (l + 1,) int64
        Where each lever's features begin in `feature` and `scale`.
    feature : (e,) int64
        A feature's place in the row.
    scale : (e,) float64
        How far it moves, in its own units, for one unit of the lever.
    low, high : (l,) float64
        How far the lever goes at epsilon 1.
    step, cost : (l,) float64
        Of one lever unit.
    """

    first: Ints
    feature: Ints
    scale: Floats
    low: Floats
    high: Floats
    step: Floats
    cost: Floats

    def at(self, epsilon: float, budget: float = np.inf) -> "Levers":
        """Return the levers as far as they go at `epsilon`, and as far as the whole budget takes one of them."""
        with np.errstate(divide="ignore", invalid="ignore"):
            affordable = np.where(self.cost > 0.0, budget / self.cost, np.inf)
        low = np.maximum(self.low * epsilon, -affordable)
        return self._replace(low=low, high=np.minimum(self.high * epsilon, affordable))


def bind_levers(movable: Sequence[Movable], names: Sequence[str], std: Floats) -> Levers:
    """Return the levers on the features of one program.

    Parameters
    ----------
    movable : sequence of Movable
        What the user marked.
    names : sequence of str
        The program's features, in the order of the row.
    std : (n,) float64
        Their standard deviations in training.

    Raises
    ------
    SettingsInvalid
        A name is not a feature, or stands twice.
    """
    places = {name: place for place, name in enumerate(names)}
    groups = [(each, group) for each in movable for group in _groups(each)]
    marked = [name for _, group in groups for name, _ in group]
    for name in marked:
        if name not in places:
            raise SettingsInvalid(f"movable feature {name!r} is not in the program{near(name, places)}")
        if marked.count(name) > 1:
            raise SettingsInvalid(f"movable feature {name!r} is marked twice; a feature has one lever")
    entries = [
        (places[name], weight * _unit(each, std[places[name]])) for each, group in groups for name, weight in group
    ]
    return Levers(
        first=np.cumsum([0, *(len(group) for _, group in groups)]).astype(np.int64),
        feature=np.array([place for place, _ in entries], np.int64),
        scale=np.array([scale for _, scale in entries], np.float64),
        low=np.array([0.0 if each.direction == "up" else -each.reach for each, _ in groups]),
        high=np.array([0.0 if each.direction == "down" else each.reach for each, _ in groups]),
        step=np.array([each.step for each, _ in groups]),
        cost=np.array([each.cost for each, _ in groups]),
    )


def _groups(movable: Movable) -> list[list[tuple[str, float]]]:
    """Return the acts: features with weights; each feature an act of its own unless moved together."""
    weights = movable.weights or (1.0,) * len(movable.features)
    marked = list(zip(movable.features, weights, strict=True))
    return [marked] if movable.together else [[each] for each in marked]


def _unit(movable: Movable, std: float) -> float:
    return float(std) if movable.unit == "std" else 1.0


def moved_rows(rows: Floats, levers: Levers, positions: Floats) -> Floats:
    """Return (m, n) rows with the levers at (m, l) positions."""
    lever = np.repeat(np.arange(len(levers.low)), np.diff(levers.first))
    moved = rows.copy()
    moved[:, levers.feature] += levers.scale * positions[:, lever]
    return moved


def settle(levers: Levers, positions: Floats, budget: float) -> Floats:
    """Return (m, l) positions brought into the box, onto the steps, and, shrunk as a whole, into the budget."""
    held = np.clip(positions, levers.low, levers.high)
    spent = np.abs(held) @ levers.cost
    with np.errstate(divide="ignore", invalid="ignore"):
        held = held * np.where(spent > budget, budget / spent, 1.0)[:, None]
        stepped = np.trunc(held / levers.step) * levers.step
    return np.where(levers.step > 0.0, stepped, held)
