"""Trading: whether the out-of-fold scores earn what trading them costs, and how soon that ends."""

import msgspec

from tradeworthy.core.allowed import require
from tradeworthy.judge.validate.check import Check, Measured, PartCheck, ProfileName
from tradeworthy.judge.validate.evidence import Part, Table
from tradeworthy.judge.validate.purpose import to_traders


class Trading(Part, frozen=True, kw_only=True):
    """What the version's signal would have brought on scores of models that had not seen the row.

    Sharpe ratios are a year's; the interval is a block bootstrap's. `breakeven_cost_bps` is the cost, one way, at which
    nothing is left; infinite where it never trades at a loss.
    """

    periods: int
    trades: int
    cost_bps: float
    sharpe_gross: float
    sharpe_net: float
    sharpe_net_low: float
    sharpe_net_high: float
    return_gross: float
    return_net: float
    breakeven_cost_bps: float
    drawdown: float
    exposure_share: float
    tables: list[Table]


class TradingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a version must earn on paper; in the quick profile these figures are shown and nothing is required.

    Attributes
    ----------
    sharpe_net_min : float
        The year's Sharpe ratio after costs must lie above this.
    breakeven_multiple_min : float
        Costs may grow to so many times what they are before nothing is left.
    trades_min : int
        Fewer changes of position than this are no evidence.
    """

    sharpe_net_min: float = 0.0
    breakeven_multiple_min: float = 1.0
    trades_min: int = 30

    def __post_init__(self) -> None:
        """Refuse numbers that would ask nothing, or what nothing can be."""
        require(self, "gate.trading", counts=("trades_min",), signed=("sharpe_net_min",))

    def checks(self, profile: ProfileName, /) -> list[Check]:
        """Return the checks; the quick profile requires nothing of them."""
        required = profile == "full"
        return [
            PartCheck(
                "after_costs",
                Trading,
                f"Sharpe ratio after costs above {self.sharpe_net_min:g} over at least {self.trades_min} trades",
                self._after_costs,
                required,
                to_traders,
            ),
            PartCheck(
                "costs_borne",
                Trading,
                f"nothing is left only at costs above {self.breakeven_multiple_min:g} times those assumed",
                self._costs_borne,
                required,
                to_traders,
            ),
        ]

    def _after_costs(self, part: Trading) -> Measured:
        """Judge the Sharpe ratio after costs."""
        low, high = part.sharpe_net_low, part.sharpe_net_high
        holds = part.sharpe_net > self.sharpe_net_min and part.trades >= self.trades_min
        return Measured(
            f"Sharpe {part.sharpe_net:.2f} [{low:.2f}, {high:.2f}] a year after costs, {part.sharpe_gross:.2f} before; "
            f"{part.return_net:+.1%} on {part.trades:,} trades, deepest fall {part.drawdown:.1%}",
            holds,
            (part.sharpe_net,),
            (low, high),
            [self._ratio(part), *part.tables],
        )

    def _ratio(self, part: Trading) -> Table:
        """Set the Sharpe ratio between its bounds."""
        return Table(
            title="Sharpe ratio a year, after costs",
            columns=["", "Sharpe ratio", "low", "high"],
            rows=[["after costs", part.sharpe_net, part.sharpe_net_low, part.sharpe_net_high]],
            chart="intervals",
            level=self.sharpe_net_min,
        )

    def _costs_borne(self, part: Trading) -> Measured:
        """Judge the cost at which nothing is left."""
        holds = part.breakeven_cost_bps > self.breakeven_multiple_min * part.cost_bps
        return Measured(
            f"nothing is left at {part.breakeven_cost_bps:.2f} bps one way, assumed are {part.cost_bps:.2f}",
            holds,
            (part.breakeven_cost_bps,),
        )
