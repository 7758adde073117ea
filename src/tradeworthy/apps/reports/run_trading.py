"""The report's sections on trading: the result after costs, price and fills, decisions by verdict."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from tradeworthy.apps.reports.bars import Step, count_chart, waterfall
from tradeworthy.apps.reports.charts import Curve, Fills, Mark, line_chart, price_chart
from tradeworthy.apps.reports.formats import amount, count, decimal, plural, share, short
from tradeworthy.apps.reports.html import KeyFigure, Section, absent, code, key_figures, paragraph, table
from tradeworthy.apps.reports.markup import Markup, join
from tradeworthy.apps.reports.run_data import Costs, Decisions, Market, Outcome, RunReport, Swap
from tradeworthy.core.denials import DenialCode

_CODES: Mapping[int, DenialCode] = {member.value: member for member in DenialCode}
_SMALL = 170.0


def sections(report: RunReport) -> list[Section]:
    """Return these sections in the order in which they are read."""
    return [_result(report), _trades(report), _decisions(report)]


def swap_marks(report: RunReport) -> list[Mark]:
    """Return the changes of champion as marks for charts over time."""
    names = {v.digest: v.name for v in report.versions}
    return [Mark(swap.ts_ns, _swap_words(swap, names)) for swap in report.swaps]


def _swap_words(swap: Swap, names: Mapping[str, str]) -> str:
    """Name a change of champion in two or three words."""
    to = names.get(swap.to, short(swap.to))
    return f"{to} promoted" if swap.kind == "promotion" else f"back to {to}"


def _result(report: RunReport) -> Section:
    """Show the profit and loss before and after costs."""
    content = absent() if report.outcome is None else _outcome(report, report.outcome)
    return Section("result", "Result", "What trading made, before and after what it cost.", content)


def _outcome(report: RunReport, outcome: Outcome) -> Markup:
    """Draw the result, its drawdown, and where the costs went."""
    net, span = outcome.net, report.span_ns
    fall = net.values - np.maximum.accumulate(np.fmax(net.values, 0.0))
    unit = report.currency
    return join(
        line_chart(
            "Profit and loss since the start", _results(outcome), unit=unit, marks=swap_marks(report), span_ns=span
        ),
        line_chart(
            "Drawdown: below the highest result so far",
            [Curve("drawdown", net.ts_ns, fall, "area", 2)],
            unit=unit,
            span_ns=span,
            height=_SMALL,
        ),
        _costs(outcome.costs, unit),
        _summary(outcome, unit),
    )


def _results(outcome: Outcome) -> list[Curve]:
    """Return the result after costs, before them, and that of holding."""
    drawn = [
        ("after costs", outcome.net, 1),
        ("before costs", outcome.gross, 2),
        ("holding instead", outcome.holding, 5),
    ]
    return [Curve(name, series.ts_ns, series.values, tone=tone) for name, series, tone in drawn if series is not None]


def _costs(costs: Costs, unit: str) -> Markup:
    """Draw how costs lead from the gross result to the net one."""
    steps = [Step("fees", -costs.fees), Step("half spread", -costs.spread), Step("slippage", -costs.slippage)]
    start, end = Step("before costs", costs.gross), Step("after costs", costs.net)
    return waterfall("From gross to net", steps, start=start, end=end, unit=unit, places=2, from_zero=True)


def _summary(outcome: Outcome, unit: str) -> Markup:
    """Set the figures that sum the result up."""
    per_value = outcome.costs.total / outcome.turnover * 1e4 if outcome.turnover else math.nan
    return key_figures(
        [
            KeyFigure("Traded value", amount(outcome.turnover), unit, f"costs {decimal(per_value, 1)} bps of it"),
            KeyFigure("Sharpe ratio", decimal(outcome.sharpe, 2), "a year", "after costs"),
            KeyFigure("Hit rate", f"{outcome.hit_rate:.1%}", remark="share of round trips that gained after costs"),
        ]
    )


def _trades(report: RunReport) -> Section:
    """Show the market with what was bought and sold."""
    content = absent() if report.market is None else _market(report, report.market)
    return Section(
        "trades", "Market and trades", "The price as the engine saw it, with every fill of the venue.", content
    )


def _market(report: RunReport, market: Market) -> Markup:
    """Draw the price with fills, and the position below it on the same time axis."""
    fills = Fills(market.trades.ts_ns, market.trades.prices, market.trades.quantities)
    points = f"{len(market.price.values):,} prices; every pixel column keeps its first, lowest, highest and last."
    position = Curve("position", market.position.ts_ns, market.position.values, "step", 4)
    return join(
        price_chart(
            f"{market.symbol}: price and fills",
            Curve("price", market.price.ts_ns, market.price.values, tone=5),
            fills,
            unit=report.currency,
            marks=swap_marks(report),
            span_ns=report.span_ns,
            caption=f"{points} {plural(len(fills.ts_ns), 'fill')}.",
        ),
        line_chart(f"{market.symbol}: position", [position], unit=market.symbol, span_ns=report.span_ns, height=_SMALL),
    )


def _decisions(report: RunReport) -> Section:
    """Show decisions by verdict."""
    content = absent() if report.decisions is None else _verdicts(report.decisions)
    sentence = "Every event that asked for a decision got exactly one; a refusal says why."
    return Section("decisions", "Decisions", sentence, content)


def _verdicts(made: Decisions) -> Markup:
    """Draw decisions by verdict, and say what each code means."""
    ordered = sorted(made.verdicts.items(), key=lambda item: (item[0] != 0, -item[1]))
    bars = [(_verdict(number), times, _verdict_tone(number)) for number, times in ordered]
    return join(
        count_chart(f"{made.total:,} decisions by verdict", bars),
        table(
            ("code", "number", "why", "count", "share"),
            _refusals(ordered, made.total),
            align="lrlrr",
            empty="Nothing was refused.",
        ),
        _timing(made),
    )


def _refusals(ordered: Sequence[tuple[int, int]], total: int) -> list[tuple[Markup | str, ...]]:
    """Return a row for each code that refused something."""
    return [
        (
            code(_verdict(n)),
            str(n),
            _CODES[n].text if n in _CODES else "unknown to this release",
            count(k),
            share(k, total),
        )
        for n, k in ordered
        if n
    ]


def _timing(made: Decisions) -> Markup | None:
    """Say how long a decision took, where it was measured."""
    if math.isnan(made.decision_us_p50):
        return None
    p50, p99 = decimal(made.decision_us_p50, 1), decimal(made.decision_us_p99, 1)
    return paragraph(f"Event to decision: {p50} µs at the median, {p99} µs at the 99th percentile.", "empty")


def _verdict(number: int) -> str:
    """Name a verdict; a number that this release does not know stays a number."""
    if number == DenialCode.NONE:
        return "not refused"
    return _CODES[number].name if number in _CODES else f"code {number}"


def _verdict_tone(number: int) -> str:
    """Return the colour of a verdict: passed, still warming up, refused."""
    return {0: "s1", int(DenialCode.FEATURES_WARMING): "s5"}.get(number, "s2")
