"""Performance: whether it is right more often than chance and a naive rule, by more than luck explains."""

import msgspec

from tradeworthy.core.allowed import require
from tradeworthy.judge.validate.check import Check, Measured, PartCheck, ProfileName
from tradeworthy.judge.validate.evidence import Part, Table


class Performance(Part, frozen=True, kw_only=True):
    """How right the candidate's out-of-fold scores were, with the interval of the AUC and a naive baseline."""

    n: int
    auc: float
    auc_low: float
    auc_high: float
    log_loss: float
    brier: float
    baseline_name: str
    baseline_log_loss: float
    baseline_auc: float = 0.5
    level: float = 0.95
    block: int = 0
    squared_error: float | None = None
    baseline_squared_error: float | None = None


class DrawnPerformance(Performance, frozen=True, kw_only=True):
    """How right the candidate's out-of-fold scores were, with the tables that a page draws of them."""

    tables: list[Table]


class PerformanceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How right a version must be.

    Attributes
    ----------
    auc_low_min : float
        The lower bound of the out-of-fold AUC must lie above this.
    rows_min : int
        Fewer out-of-fold rows than this are no evidence.
    log_loss_gain_min : float
        The log loss must be better than the naive baseline's by more than this (nats a row).
    """

    auc_low_min: float = 0.5
    rows_min: int = 500
    log_loss_gain_min: float = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers that would ask nothing, or what nothing can be."""
        require(self, "gate.performance", counts=("rows_min",), shares=("auc_low_min",), signed=("log_loss_gain_min",))

    def checks(self, _profile: ProfileName, /) -> list[Check]:
        """Return the checks, in every profile."""
        return [
            PartCheck(
                "performance",
                Performance,
                f"lower confidence bound of the out-of-fold AUC above {self.auc_low_min:g} on {self.rows_min:,} rows",
                self._performance,
            ),
            PartCheck(
                "beats_baseline",
                Performance,
                f"log loss (of a regression: the share of the squared error) below the naive baseline's by more than "
                f"{self.log_loss_gain_min:g}, and AUC above the baseline's",
                self._beats_baseline,
            ),
        ]

    def _performance(self, part: Performance) -> Measured:
        """Judge the lower confidence bound."""
        return Measured(
            f"AUC {part.auc:.4f} [{part.auc_low:.4f}, {part.auc_high:.4f}] on {part.n:,} rows",
            part.auc_low > self.auc_low_min and part.n >= self.rows_min,
            (part.auc, part.auc_low),
            (part.auc_low, part.auc_high),
            [self._with_level(table) for table in part.tables] if isinstance(part, DrawnPerformance) else (),
        )

    def _with_level(self, table: Table) -> Table:
        """Mark what is required where AUCs are drawn."""
        return msgspec.structs.replace(table, level=self.auc_low_min) if table.chart == "intervals" else table

    def _beats_baseline(self, part: Performance) -> Measured:
        """Judge the gain over the baseline."""
        if part.squared_error is not None and part.baseline_squared_error is not None:
            return self._of_regression(part, part.squared_error, part.baseline_squared_error)
        gain = part.baseline_log_loss - part.log_loss
        return Measured(
            f"log loss {part.log_loss:.5f} against {part.baseline_log_loss:.5f} ({part.baseline_name})",
            gain > self.log_loss_gain_min and part.auc > part.baseline_auc,
            (gain, part.auc, part.baseline_auc),
        )

    def _of_regression(self, part: Performance, error: float, naive: float) -> Measured:
        """Hold the share of the naive squared error that the model removes against the gain asked for."""
        gain = 1.0 - error / naive if naive > 0.0 else float("nan")
        return Measured(
            f"squared error {error:.4g} against {naive:.4g} ({part.baseline_name}): {gain:+.2%} of it removed",
            gain > self.log_loss_gain_min and part.auc > part.baseline_auc,
            (gain, part.auc, part.baseline_auc),
        )
