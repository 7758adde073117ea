"""Comparison: whether it is better than rules that need no model, no worse than the champion, and true to its word."""

import msgspec

from tradeworthy.core.allowed import require
from tradeworthy.judge.validate.check import Check, Measured, PartCheck, ProfileName
from tradeworthy.judge.validate.evidence import Part, Table
from tradeworthy.judge.validate.purpose import to_classifiers


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """By how much the version was better than another on the same events, with a block bootstrap's interval.

    Attributes
    ----------
    other : str
        Than whom, in what.
    n : int
        Events.
    gain, low, high : float
        Above 0 is better: losses a row that were saved, or bps an event that were earned besides.
    money : bool
        Whether it is profit.
    """

    other: str
    n: int
    gain: float
    low: float
    high: float
    money: bool = False

    @property
    def unit(self) -> str:
        """Of the figures."""
        return "bps an event" if self.money else "loss a row"

    @property
    def sentence(self) -> str:
        """The figures in words."""
        return f"{self.other}: {self.gain:+.4g} [{self.low:+.4g}, {self.high:+.4g}] {self.unit}"


class NaiveRules(Part, frozen=True, kw_only=True):
    """Out-of-fold losses and profits against those of the base rate, the previous label, doing nothing, and holding."""

    rows: int
    compared: list[Compared]
    tables: list[Table]


class AgainstChampion(Part, frozen=True, kw_only=True):
    """Losses and profits against the champion's, where neither had seen the row; `champion` is empty without one."""

    champion: str
    compared: list[Compared]
    tables: list[Table]


class Calibration(Part, frozen=True, kw_only=True):
    """Scores against the shares of positives that came of them; `error` is their mean distance, by tenths of scores."""

    rows: int
    error: float
    tables: list[Table]


class ComparisonSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much better than others a version must be.

    Attributes
    ----------
    naive_gain_min : float
        Its loss must lie below that of every naive rule by more than this a row, on average.
    champion_shortfall_max : float
        It must not be surely worse than the champion: the upper end of what it is better by, in loss and in profit,
        may lie below 0 by at most this.
    calibration_error_max : float
        Mean distance of scores from the shares of positives that came of them.
    """

    naive_gain_min: float = 0.0
    champion_shortfall_max: float = 0.0
    calibration_error_max: float = 0.15

    def __post_init__(self) -> None:
        """Refuse numbers that would ask nothing, or what nothing can be."""
        require(self, "gate.comparison", shares=("calibration_error_max",), signed=("naive_gain_min",))

    def checks(self, _profile: ProfileName, /) -> list[Check]:
        """Return the checks, in every profile."""
        naive = f"a loss below that of every naive rule by more than {self.naive_gain_min:g} a row; profits are shown"
        champion = "in loss and profit not surely worse than the champion on the events that neither had seen"
        if self.champion_shortfall_max:
            champion += f", by more than {self.champion_shortfall_max:g}"
        true = f"scores within {self.calibration_error_max:g} of the shares of positives that came of them, on average"
        return [
            PartCheck("naive_rules", NaiveRules, naive, self._naive_rules),
            PartCheck("against_champion", AgainstChampion, champion, self._against_champion),
            PartCheck("calibration", Calibration, true, self._calibration, inapplicable=to_classifiers),
        ]

    def _naive_rules(self, part: NaiveRules) -> Measured:
        """Judge the losses; what doing nothing or holding would have brought is shown."""
        losses = [each for each in part.compared if not each.money]
        least = min(losses, key=lambda each: each.gain)
        return Measured(
            "; ".join(each.sentence for each in part.compared),
            least.gain > self.naive_gain_min,
            tuple(each.gain for each in losses),
            (least.low, least.high),
            part.tables,
        )

    def _against_champion(self, part: AgainstChampion) -> Measured:
        """Judge the upper ends: a version may be new and unsure, not surely worse."""
        if not part.champion:
            return Measured("there is no champion to compare with", None)
        if not part.compared:
            return Measured("the champion foresees something else, and nothing is traded", None, tables=part.tables)
        worst = min(part.compared, key=lambda each: each.high)
        return Measured(
            "; ".join(each.sentence for each in part.compared),
            all(each.high >= -self.champion_shortfall_max for each in part.compared),
            tuple(each.high for each in part.compared),
            (worst.low, worst.high),
            part.tables,
        )

    def _calibration(self, part: Calibration) -> Measured:
        """Judge the mean distance."""
        return Measured(
            f"{part.error:.4f} apart on {part.rows:,} rows",
            part.error <= self.calibration_error_max,
            (part.error,),
            tables=part.tables,
        )
