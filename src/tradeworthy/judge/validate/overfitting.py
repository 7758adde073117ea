"""Overfitting: whether what it shows is more than luck, selection and memory explain. Judged in the full profile."""

import msgspec

from tradeworthy.core.allowed import require
from tradeworthy.judge.validate.check import Check, Measured, PartCheck, ProfileName
from tradeworthy.judge.validate.evidence import Part, Table
from tradeworthy.judge.validate.purpose import to_traders


class TrackRecord(Part, frozen=True, kw_only=True):
    """Returns after costs on out-of-fold scores, against the best that so many trials show by luck.

    Sharpe ratios are those of one period. `trials` counts different strategies and parameters in the registry, and what
    the desk declares besides.
    """

    periods: int
    sharpe: float
    skewness: float
    kurtosis: float
    trials: int
    trials_spread: float
    best_by_luck: float
    deflated_sharpe: float
    periods_needed: float


class Selection(Part, frozen=True, kw_only=True):
    """How often the trial that is best in one half of time is below the median in the other.

    Best by returns after costs; of versions that only score by the loss that they save a row.
    """

    trials: int
    periods: int
    overfitting_probability: float


class Permutation(Part, frozen=True, kw_only=True):
    """The model fitted again on shifted labels: what it shows where there is nothing to learn.

    Gains are a loss on unseen rows below that of the mean of the training labels, a row: log loss of directions,
    squared error of returns over their variance.
    """

    draws: int
    gain: float
    gain_shifted_mean: float
    gain_shifted_max: float
    p_value: float


class Paths(Part, frozen=True, kw_only=True):
    """Combinatorial purged cross-validation: the AUC on every whole path through time, and on every split."""

    fits: int
    paths: int
    auc_min: float
    auc_median: float
    auc_max: float
    splits_above_chance: float
    tables: list[Table]


class Memory(Part, frozen=True, kw_only=True):
    """How much better the model looks on the rows that it learned from."""

    auc_seen: float
    auc_unseen: float


class OverfittingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How sure it must be that a version is more than luck; asked in the full profile.

    Attributes
    ----------
    deflated_sharpe_min : float
        Probability that the Sharpe ratio passes what the best of all trials shows by luck.
    trials_declared : int
        Trials that the registry does not know: notebooks, hyperparameter searches.
    pbo_max : float
        Probability of backtest overfitting, where there are enough trials.
    trials_min : int
        Fewer trials than this in the registry, and selection is not judged.
    permutation_p_max : float
        Share of fits on shifted labels that look as good.
    permutation_draws : int
        Such fits, at most.
    paths_above_chance_min : float
        Share of the splits of combinatorial cross-validation whose AUC is above 1/2.
    auc_gap_max : float or None
        How much better the AUC may be on rows that the model learned from; forests that memorise and still generalise
        are refused by it, so it is only shown if left out.
    """

    deflated_sharpe_min: float = 0.95
    trials_declared: int = 0
    pbo_max: float = 0.5
    trials_min: int = 4
    permutation_p_max: float = 0.05
    permutation_draws: int = 39
    paths_above_chance_min: float = 0.8
    auc_gap_max: float | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that would ask nothing, or what nothing can be."""
        require(
            self,
            "gate.overfitting",
            counts=("trials_min", "permutation_draws"),
            shares=("deflated_sharpe_min", "pbo_max", "permutation_p_max", "paths_above_chance_min", "auc_gap_max"),
        )

    def checks(self, profile: ProfileName, /) -> list[Check]:
        """Return the checks of the full profile; the quick one has none."""
        if profile == "quick":
            return []
        return [
            PartCheck(
                "deflated_sharpe",
                TrackRecord,
                "probability that the Sharpe ratio passes the luck of all trials at least "
                f"{self.deflated_sharpe_min:g}",
                self._deflated_sharpe,
                inapplicable=to_traders,
            ),
            PartCheck(
                "track_record",
                TrackRecord,
                f"at least as many periods as it takes to be {self.deflated_sharpe_min:.0%} sure of a positive Sharpe "
                "ratio",
                self._track_record,
                inapplicable=to_traders,
            ),
            PartCheck(
                "backtest_overfitting",
                Selection,
                f"probability of backtest overfitting at most {self.pbo_max:g}, once {self.trials_min} different "
                "trials are registered",
                self._backtest_overfitting,
            ),
            PartCheck(
                "label_permutation",
                Permutation,
                f"at most {self.permutation_p_max:.0%} of fits on shifted labels look as good on unseen rows",
                self._label_permutation,
            ),
            PartCheck(
                "combinatorial_paths",
                Paths,
                f"at least {self.paths_above_chance_min:.0%} of the tested groups of combinatorial purged splits have "
                "an AUC above 1/2",
                self._combinatorial_paths,
            ),
            PartCheck("memory", Memory, self._memory_required(), self._memory),
        ]

    def _deflated_sharpe(self, part: TrackRecord) -> Measured:
        """Judge the deflated Sharpe ratio."""
        return Measured(
            f"{part.deflated_sharpe:.3f}: Sharpe {part.sharpe:.4f} a period over {part.periods:,}, luck of "
            f"{part.trials} {'trial' if part.trials == 1 else 'trials'} {part.best_by_luck:.4f}",
            part.deflated_sharpe >= self.deflated_sharpe_min,
            (part.deflated_sharpe,),
        )

    def _track_record(self, part: TrackRecord) -> Measured:
        """Judge the number of periods."""
        return Measured(
            f"{part.periods:,} periods, needed are {part.periods_needed:,.0f}",
            part.periods >= part.periods_needed,
            (part.periods_needed,),
        )

    def _backtest_overfitting(self, part: Selection) -> Measured:
        """Judge the probability; too few trials are no selection."""
        if part.trials < self.trials_min:
            return Measured(f"{part.trials} different trials in the registry: nothing to choose from", None)
        return Measured(
            f"{part.overfitting_probability:.3f} over {part.trials} trials and {part.periods:,} periods",
            part.overfitting_probability <= self.pbo_max,
            (part.overfitting_probability,),
        )

    def _label_permutation(self, part: Permutation) -> Measured:
        """Judge the p-value; it counts the fit itself, so it is never zero."""
        return Measured(
            f"p {part.p_value:.3f}: gain {part.gain:.2g} over the mean label, on shifted labels "
            f"{part.gain_shifted_mean:.2g} on average and {part.gain_shifted_max:.2g} at most, in {part.draws} fits",
            part.p_value <= self.permutation_p_max,
            (part.p_value,),
        )

    def _combinatorial_paths(self, part: Paths) -> Measured:
        """Judge the share of splits."""
        return Measured(
            f"{part.splits_above_chance:.0%}; AUC of {part.paths} paths {part.auc_min:.4f} to {part.auc_max:.4f} "
            f"(median {part.auc_median:.4f}) in {part.fits} fits",
            part.splits_above_chance >= self.paths_above_chance_min,
            (part.splits_above_chance,),
            (part.auc_min, part.auc_max),
            part.tables,
        )

    def _memory_required(self) -> str:
        if self.auc_gap_max is None:
            return "nothing; set [gate.overfitting] auc_gap_max to bound the gap"
        return f"AUC on rows that it learned from at most {self.auc_gap_max:g} above that on unseen rows"

    def _memory(self, part: Memory) -> Measured:
        """Judge the gap, where a desk bounds it."""
        gap = part.auc_seen - part.auc_unseen
        return Measured(
            f"AUC {part.auc_seen:.4f} on rows that it learned from, {part.auc_unseen:.4f} on unseen ones",
            None if self.auc_gap_max is None else gap <= self.auc_gap_max,
            (gap,),
        )
