"""How the shadows of a project fare beside its champion, as the watcher last saw it.

Idea:   four figures a shadow, each a mean with bounds that hold however often one looks; the policy promotes on the
        first. `comparisons_of` gives them with their paths, for drawing.
"""

from typing import TYPE_CHECKING

import msgspec

from tradeworthy.change.release.comparing import read_comparisons
from tradeworthy.change.release.shadow import Comparison
from tradeworthy.core.decisions import SHORT
from tradeworthy.judge.sequential import Anytime

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of a shadow; NaN where there are too few decisions for it or for its bounds."""

    name: str
    unit: str
    better: str
    mean: Anytime


class ShadowLine(msgspec.Struct, frozen=True, kw_only=True):
    """How one shadow fares.

    Attributes
    ----------
    version, champion : str
        The first 16 characters of their digests.
    role : str
        The version's present one; comparisons of the past stay.
    decisions, decisions_max : int
        Labelled decisions compared, and at most.
    figures : list of Figure
        Loss, profit, disagreement and, between tree ensembles, reasons.
    """

    version: str
    champion: str
    role: str
    decisions: int
    decisions_max: int
    figures: list[Figure]


class Shadows(msgspec.Struct, frozen=True, kw_only=True):
    """Every comparison that was made, those of present shadows first."""

    shadows: list[ShadowLine]


def figures_of(found: Comparison) -> list[Figure]:
    """Return the figures of a comparison with their names and units."""
    figures = [
        Figure(name="loss", unit="nats or squared error a decision", better="below 0", mean=found.loss),
        Figure(name="profit", unit="bps of a full position a decision", better="above 0", mean=found.pnl_bps),
        Figure(name="disagreement", unit="share of decisions", better="", mean=found.disagreement),
    ]
    if found.reasons is not None:
        figures.append(Figure(name="reasons", unit="share of contributions", better="", mean=found.reasons))
    return figures


def shadows_of(project: "Project") -> Shadows:
    """Return how every shadow of a project fares, and how those of the past did."""
    roles = project.registry.standing().roles()
    lines = [
        ShadowLine(
            version=found.version[:SHORT],
            champion=found.champion[:SHORT],
            role=roles.get(found.version, "none"),
            decisions=found.decisions,
            decisions_max=found.decisions_max,
            figures=figures_of(found),
        )
        for found in read_comparisons(project.places.watcher)
    ]
    return Shadows(shadows=sorted(lines, key=lambda line: line.role != "shadow"))
