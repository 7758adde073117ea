"""Gathers trading on paper: the walk-forward's scores through the version's signal, after costs and delays."""

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from tradeworthy.change.evidence.context import Context, Work
from tradeworthy.change.evidence.slices import Slice, periods, regimes, sessions
from tradeworthy.change.evidence.walk import BPS, PaperWalk
from tradeworthy.judge.metrics_interval import mean_interval
from tradeworthy.judge.metrics_trading import drawdown, sharpe
from tradeworthy.judge.validate.evidence import Table, known
from tradeworthy.judge.validate.trading import Trading

Floats = npt.NDArray[np.float64]

COSTS, DELAYS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0), (0, 1, 2, 5)


def gather_trading(context: Context, work: Work) -> Trading:
    """Trade the out-of-fold scores on paper."""
    walk = context.paper_walk
    work.tell(0.5)
    gross, net, year = walk.net(costs=0.0), walk.net(), walk.periods_per_year
    scale = math.sqrt(year) / float(net.std(ddof=1)) if len(net) > 1 and net.std() > 0 else math.nan
    mean = mean_interval(net, horizon=1, rng=context.rng("trading"), level=context.training.level)
    turned = float(walk.traded.sum())
    return Trading(
        periods=len(walk),
        trades=int(np.count_nonzero(walk.traded)),
        cost_bps=walk.cost_bps,
        sharpe_gross=sharpe(gross, year),
        sharpe_net=sharpe(net, year),
        sharpe_net_low=mean.low * scale,
        sharpe_net_high=mean.high * scale,
        return_gross=float(gross.sum()),
        return_net=float(net.sum()),
        breakeven_cost_bps=float(gross.sum()) / turned / BPS if turned else math.inf,
        drawdown=drawdown(1.0 + np.concatenate([[0.0], np.cumsum(net)])).value,
        exposure_share=float(np.mean(walk.sides != 0)),
        tables=[_sensitivity(walk), *_by_slice(walk, net)],
    )


def _sensitivity(walk: PaperWalk) -> Table:
    """Return the Sharpe ratio by costs and by how late one acts."""
    year = walk.periods_per_year
    return Table(
        title="Sharpe ratio a year, by multiple of costs and by events of delay",
        columns=["costs", *(f"delay {delay}" for delay in DELAYS)],
        rows=[
            [f"x {costs:g}", *(known(sharpe(walk.net(costs=costs, delay=delay), year)) for delay in DELAYS)]
            for costs in COSTS
        ],
    )


def _by_slice(walk: PaperWalk, net: Floats) -> list[Table]:
    """Return the result by period, by session and by regime."""
    return [
        _slices("Return after costs by period", periods(walk.ts_event_ns), walk, net),
        _slices("Return after costs by session", sessions(walk.ts_event_ns), walk, net),
        _slices("Return after costs by regime", regimes(walk), walk, net),
    ]


def _slices(title: str, slices: Iterable[Slice], walk: PaperWalk, net: Floats) -> Table:
    year = walk.periods_per_year
    return Table(
        title=title,
        columns=["slice", "return", "sharpe", "trades", "periods"],
        rows=[
            [
                each.name,
                float(net[each.rows].sum()),
                known(sharpe(net[each.rows], year)),
                int(np.count_nonzero(walk.traded[each.rows])),
                int(each.rows.sum()),
            ]
            for each in slices
        ],
        chart="bars",
    )
