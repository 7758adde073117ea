"""How far automatic promotions have come from the last version that a person let act.

Idea:   a small change may be let through by a policy; many small ones are a large one that nobody has looked at. So the
        distance of every automatic promotion from the champion before is added up, each component by itself, and over
        the limit automatic promotion waits until a person approves: the challenger, or the champion that there is.
State:  the facts. A roll back takes the distance of what it takes out away with it.
Missing: a component that is not known counts as the most it can be, 1: nobody can say that it was small.
Reference: REGULATION.md R7: RTS 6 article 11, and ESMA on recalibrations that accumulate.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tradeworthy.core.facts import Distance
from tradeworthy.model.features.program import Program
from tradeworthy.model.manifest import Lineage

COMPONENTS = Distance.__struct_fields__
NOWHERE = Distance(**dict.fromkeys(COMPONENTS, 0.0))
UNKNOWN = Distance(**dict.fromkeys(COMPONENTS))

Floats = npt.NDArray[np.float64]


def features_apart(one: Program, other: Program) -> float:
    """Return the share of the features of both programs that are not defined alike in both."""
    mine, theirs = ({(name, repr(formula)) for name, formula in each.features.items()} for each in (one, other))
    return 1.0 - len(mine & theirs) / len(mine | theirs)


def data_apart(one: Lineage, other: Lineage) -> float | None:
    """Return the share of the time that both learned from that not both did; None where one does not say."""
    spans = [(each.first_ts_ns, each.last_ts_ns) for each in (one, other)]
    if not all(last > first for first, last in spans):
        return None
    (first, last), (their_first, their_last) = spans
    shared = max(0, min(last, their_last) - max(first, their_first))
    return 1.0 - shared / (last - first + their_last - their_first - shared)


def scores_apart(one: Floats, other: Floats) -> float | None:
    """Return twice the mean difference of ranks of two versions' scores of the same (n,) events; None without any.

    Ranks among all scores of both, as shares of their number: so no unit counts, a shift does, and so does another
    order. 0 where they agree, 2/3 expected of two that have nothing to do with each other, 1 where all of one lie above
    all of the other.
    """
    if not len(one):
        return None
    joined = np.concatenate([one, other])
    ordered = np.sort(joined)
    ranks = (np.searchsorted(ordered, joined, "left") + np.searchsorted(ordered, joined, "right")) / (2.0 * len(joined))
    return float(2.0 * np.abs(ranks[: len(one)] - ranks[len(one) :]).mean())


def plus(gone: Distance, step: Distance) -> Distance:
    """Add a step to what was gone, each component by itself; one that is not known counts as 1."""
    return Distance(**{name: counted(getattr(gone, name)) + counted(getattr(step, name)) for name in COMPONENTS})


def counted(component: float | None) -> float:
    """Return what a component counts."""
    return 1.0 if component is None else component


def gone_by(champions: Sequence[str], steps: Mapping[str, Distance]) -> tuple[Distance, str | None]:
    """Return how far the present champion lies from the last that a person let act, and which that was.

    Parameters
    ----------
    champions : sequence of str
        The stack, the present one last.
    steps : mapping of str to Distance
        Of every version that a policy promoted by itself, from the one before it.
    """
    gone = NOWHERE
    for version in reversed(champions):
        if version not in steps:
            return gone, version
        gone = plus(gone, steps[version])
    return gone, None


def too_far(gone: Distance, allowed: float) -> list[str]:
    """Return the components that have come further than is allowed."""
    return [name for name in COMPONENTS if counted(getattr(gone, name)) > allowed]


def in_words(distance: Distance) -> str:
    """Write a distance for people."""
    told = ((name, getattr(distance, name)) for name in COMPONENTS)
    return ", ".join(f"{name} {'not known' if value is None else format(value, '.2f')}" for name, value in told)
