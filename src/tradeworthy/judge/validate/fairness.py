"""Fairness and bias: whether it serves all groups: hours and regimes of a market, values of a protected column."""

import math

import msgspec

from tradeworthy.core.allowed import require
from tradeworthy.judge.group_bootstrap import GroupMeasures
from tradeworthy.judge.validate.check import Check, Measured, PartCheck, ProfileName
from tradeworthy.judge.validate.evidence import Part, Table


class Groups(Part, frozen=True, kw_only=True):
    """How right the out-of-fold scores were in each slice of time and market; the one that is surest below chance.

    `worst_high` is the upper end of that group's AUC, three standard errors up.
    """

    groups: int
    worst: str
    worst_auc: float
    worst_high: float
    tables: list[Table]


class Markets(Part, frozen=True, kw_only=True):
    """How right the out-of-fold scores were on each traded instrument and at each venue; as for `Groups`.

    `silent` are traded instruments without rows in the tested spans.
    """

    markets: int
    silent: list[str]
    worst: str
    worst_auc: float
    worst_high: float
    tables: list[Table]


class ProtectedColumn(msgspec.Struct, frozen=True, kw_only=True):
    """Fairness between the groups of one protected column.

    Attributes
    ----------
    name : str
        Of the column.
    measures : GroupMeasures
        Differences and ratios with intervals.
    calibration_gap : float
        The largest distance, over groups, between the mean score and the share of positives.
    amplification : float
        By how much the model favours a group more than the labels do: the largest excess of a group's share of the
        predicted positives over its share of the labelled ones.
    proxy : str
        The feature that tells the group best.
    proxy_auc : float
        How well: 1/2 not at all, 1 always.
    """

    name: str
    measures: GroupMeasures
    calibration_gap: float
    amplification: float
    proxy: str
    proxy_auc: float


class Protected(Part, frozen=True, kw_only=True):
    """Fairness between the groups of every protected column, measured out of fold."""

    rows: int
    columns: list[ProtectedColumn]
    tables: list[Table]


class Mitigated(msgspec.Struct, frozen=True, kw_only=True):
    """What one remedy gives for the groups of one protected column, on the same rows as every other line.

    Attributes
    ----------
    column, remedy : str
        Whose groups, and what was tried; the first remedy of a column is the version as it is.
    measures : GroupMeasures
        Differences and ratios with intervals.
    calibration_gap, auc : float
        As for the version.
    wrong : float
        Share of rows that are selected and should not be, or the other way round.
    more_wrong : (float, float, float)
        By how much that share is larger than the version's, with its interval.
    fair : bool
        Whether the requirement would be met.
    """

    column: str
    remedy: str
    measures: GroupMeasures
    calibration_gap: float
    auc: float
    wrong: float
    more_wrong: tuple[float, float, float]
    fair: bool


class Mitigations(Part, frozen=True, kw_only=True):
    """What would make a version fairer, measured again; nothing where it is fair. `untried` says what could not be."""

    options: list[Mitigated]
    untried: list[str]
    tables: list[Table]


class FairnessSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Between which groups a version must be fair, and how fair.

    Attributes
    ----------
    protected : tuple of str
        Columns whose values are groups: features, or fields of the rows that the model does not see. Up to ten values
        are a group each; more are cut at the median.
    score_cut : float
        A score above it selects.
    demographic_ratio_min : float
        Lowest over highest selection rate.
    equalized_odds_max : float
        Difference of true or false positive rates, the larger.
    calibration_gap_max : float
        Distance of a group's mean score from its share of positives.
    proxy_auc_max : float or None
        How well a feature may tell a group; only shown if left out.
    venues : dict of str to tuple of str
        Which instruments trade where, to judge venues too.
    """

    protected: tuple[str, ...] = ()
    score_cut: float = 0.5
    demographic_ratio_min: float = 0.8
    equalized_odds_max: float = 0.1
    calibration_gap_max: float = 0.1
    proxy_auc_max: float | None = None
    venues: dict[str, tuple[str, ...]] = {}

    def __post_init__(self) -> None:
        """Refuse numbers that would ask nothing, or what nothing can be."""
        require(
            self,
            "gate.fairness",
            shares=("demographic_ratio_min", "equalized_odds_max", "calibration_gap_max", "proxy_auc_max"),
            signed=("score_cut",),
        )

    def checks(self, profile: ProfileName, /) -> list[Check]:
        """Return the checks: those of protected columns only where there are any."""
        harm = "in every quarter, session, regime and tier of liquidity the AUC, three standard errors up, reaches 1/2"
        always: list[Check] = [PartCheck("worst_group", Groups, harm, self._worst_group)]
        if profile == "full":
            alike = "on every traded instrument and at every venue the AUC, three standard errors up, reaches 1/2"
            always.append(PartCheck("worst_market", Markets, alike, self._worst_market))
        if not self.protected:
            return always
        fair = PartCheck("fairness", Protected, self._fairness_required(), self._fairness)
        offer = (
            "remedies for what is unfair are measured: reweighing, and thresholds by group where the law allows them"
        )
        remedies = [PartCheck("mitigation", Mitigations, offer, self._mitigation)] if profile == "full" else []
        return [*always, fair, *remedies]

    def _worst_group(self, part: Groups) -> Measured:
        """Judge the group that is surest to be below chance."""
        return Measured(
            f"{part.worst}: AUC {part.worst_auc:.4f}, at most {part.worst_high:.4f}, the worst of {part.groups} groups",
            part.worst_high >= 0.5,
            (part.worst_high,),
            tables=part.tables,
        )

    def _worst_market(self, part: Markets) -> Measured:
        """Judge the instrument or venue that is surest to be below chance; one that was not seen is missing."""
        unseen = f"; traded and not seen: {', '.join(part.silent)}" if part.silent else ""
        return Measured(
            f"{part.worst}: AUC {part.worst_auc:.4f}, at most {part.worst_high:.4f}, the worst of {part.markets} "
            f"markets{unseen}",
            part.worst_high >= 0.5,
            (math.nan if part.silent and part.worst_high >= 0.5 else part.worst_high,),
            tables=part.tables,
        )

    def _fairness_required(self) -> str:
        tells = self.proxy_auc_max
        proxy = "" if tells is None else f", no feature that tells a group with an AUC above {tells:g}"
        return (
            f"between the groups of {', '.join(self.protected)}: selection ratio at least "
            f"{self.demographic_ratio_min:g}, equalized odds within {self.equalized_odds_max:g}, calibration within "
            f"{self.calibration_gap_max:g}{proxy}"
        )

    def _fairness(self, part: Protected) -> Measured:
        """Judge every protected column."""
        said = [
            f"{c.name}: ratio {c.measures.demographic_parity_ratio[0]:.3f}, odds "
            f"{c.measures.equalized_odds_difference[0]:.3f}, calibration {c.calibration_gap:.3f}, amplification "
            f"{c.amplification:+.3f}, proxy {c.proxy} ({c.proxy_auc:.3f})"
            for c in part.columns
        ]
        numbers = [number for column in part.columns for number in self._judged(column)]
        worst = max(part.columns, key=lambda c: c.measures.equalized_odds_difference[0])
        return Measured(
            "; ".join(said),
            all(self.is_fair(column) for column in part.columns) and bool(part.columns),
            tuple(numbers),
            worst.measures.equalized_odds_difference[1:],
            part.tables,
        )

    def _judged(self, column: ProtectedColumn) -> tuple[float, float, float]:
        measures = column.measures
        return measures.demographic_parity_ratio[0], measures.equalized_odds_difference[0], column.calibration_gap

    def _mitigation(self, part: Mitigations) -> Measured:
        """Show what remedies would give; nothing is required of them."""
        said = [
            f"{each.column}, {each.remedy}: ratio {each.measures.demographic_parity_ratio[0]:.3f}, odds "
            f"{each.measures.equalized_odds_difference[0]:.3f}, {each.wrong:.1%} wrong ({each.more_wrong[0]:+.1%} "
            f"[{each.more_wrong[1]:+.1%}, {each.more_wrong[2]:+.1%}]), {'fair' if each.fair else 'not fair'}"
            for each in part.options
        ]
        untried = [f"not tried: {why}" for why in part.untried]
        none = "no remedy is needed: the groups of every protected column are treated alike"
        return Measured("; ".join([*said, *untried]) or none, None, tables=part.tables)

    def is_fair(self, column: ProtectedColumn) -> bool:
        """Tell whether the groups of a column are treated alike enough."""
        ratio, odds, calibration = self._judged(column)
        apart = self.proxy_auc_max is None or column.proxy_auc <= self.proxy_auc_max
        alike = ratio >= self.demographic_ratio_min and odds <= self.equalized_odds_max
        return alike and calibration <= self.calibration_gap_max and apart
