"""How the shadows of a project fare beside its champion, as the watcher last saw it.

Idea:   four figures a shadow, each a mean with bounds that hold however often one looks; the policy promotes on the
        first. What is decided so far is the policy's own word (`policy.conclude`), never judged a second time.
"""

import math
from typing import TYPE_CHECKING

import msgspec

from tradeworthy.apps.deployment.policy import policy_now
from tradeworthy.change.release.comparing import read_comparisons
from tradeworthy.change.release.policy import PolicySettings, PromoteChallenger, RetireChallenger, StartCanary, conclude
from tradeworthy.change.release.shadow import Comparison
from tradeworthy.change.release.standing import Standing
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
    decided : str
        What the policy makes of it so far: ``good enough``, ``not good enough`` or ``undecided``; and why.
    figures : list of Figure
        Loss, profit, disagreement and, between tree ensembles, reasons.
    """

    version: str
    champion: str
    role: str
    decisions: int
    decisions_max: int
    decided: str
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


def decided_so_far(found: Comparison, policy: PolicySettings, standing: Standing, env: str) -> str:
    """Say what the policy makes of a comparison so far, and why."""
    step, is_over = conclude(found, policy, standing, env)
    if isinstance(step, RetireChallenger):
        return f"not good enough: {step.reason}"
    if step is not None or is_over:
        who = "" if isinstance(step, StartCanary | PromoteChallenger) else "; a person promotes here"
        margin = f"an upper end of {found.loss.high:+.4f} is within the allowed {policy.loss_margin:+.4f}"
        return f"good enough: {margin}{who}"
    return f"undecided: {_lacking(found, policy)}"


def _lacking(found: Comparison, policy: PolicySettings) -> str:
    """Say what is still wanted for a word about a comparison."""
    left = f"after {found.decisions:,} of at most {found.decisions_max:,} labelled decisions"
    if math.isnan(found.loss.high):
        return f"too few for bounds {left}"
    return f"the loss may lie on either side of the allowed {policy.loss_margin:+.4f} {left}"


def shadows_of(project: "Project") -> Shadows:
    """Return how every shadow of a project fares, and how those of the past did."""
    policy, standing = policy_now(project), project.registry.standing()
    roles = standing.roles()
    lines = [
        ShadowLine(
            version=found.version[:SHORT],
            champion=found.champion[:SHORT],
            role=roles.get(found.version, "none"),
            decisions=found.decisions,
            decisions_max=found.decisions_max,
            decided=decided_so_far(found, policy, standing, project.env),
            figures=figures_of(found),
        )
        for found in read_comparisons(project.places.watcher)
    ]
    return Shadows(shadows=sorted(lines, key=lambda line: line.role != "shadow"))
