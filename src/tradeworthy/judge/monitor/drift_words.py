"""The words of a drift finding: what moved, from where to where, in the units that a person thinks in.

Idea:   one sentence a kind of look; each says what is now, since when, and what training showed.
"""

from typing import NamedTuple

from tradeworthy.core.time import iso
from tradeworthy.judge.monitor.control_charts.looks import Kind


class Moved(NamedTuple):
    """What a chart heard: its name and kind, of which instrument, which way, since when, now and in training."""

    name: str
    kind: Kind
    instrument: str
    up: bool
    since_ns: int
    now: float
    training: float
    deviation: float


def unit_of(name: str, kind: Kind) -> str:
    """Return the unit of what a chart tells."""
    feature = name.removeprefix("spread of ")
    return {
        "level": f"units of {feature}",
        "spread": f"distance from the middle, in units of {feature}",
        "tail": "share of values",
        "pair": "share of rows on the same side",
        "category": "share of rows",
        "joint": "distance from 0 to 1",
    }[kind]


def sentence_of(moved: Moved) -> str:
    """Say what moved, without the full stop."""
    of = f" of {moved.instrument}" if moved.instrument else ""
    since, now, training = iso(moved.since_ns), moved.now, moved.training
    match moved.kind:
        case "spread":
            times = f" ({now / training:.2f} times as far)" if training > 0.0 else ""
            way = "wilder" if moved.up else "calmer"
            return (
                f"{moved.name.removeprefix('spread of ')}{of} has become {way}: {now:.4g} from its middle on average "
                f"since {since}, {training:.4g} in training{times}"
            )
        case "tail":
            often = "more" if moved.up else "less"
            return (
                f"{moved.name.removeprefix('tails of ')}{of} lies far out {often} often: {now:.2%} of values since "
                f"{since}, {training:.2%} in training"
            )
        case "pair":
            return (
                f"{moved.name}{of}: they no longer move together as they did; both are on the same side of their "
                f"middles in {now:.0%} of rows since {since}, {training:.0%} in training"
            )
        case "category":
            often = "more" if moved.up else "less"
            return f"{moved.name}{of} {often} often: {now:.1%} of rows since {since}, {training:.1%} in training"
        case "joint":
            way = "farther from" if moved.up else "nearer to"
            return (
                f"The features{of}, taken together, lie {way} the relations that held in training: {now:.3f} on "
                f"average since {since}, {training:.3f} in training; each by itself may look usual"
            )
        case _:
            way = "up" if moved.up else "down"
            far = abs(now - training)
            size = f" ({far / moved.deviation:.1f} standard deviations)" if moved.deviation > 0.0 else ""
            what = f"{moved.name}{of} has moved {way}: {now:.4g} on average"
            return f"{what} since {since}, {training:.4g} in training{size}"
