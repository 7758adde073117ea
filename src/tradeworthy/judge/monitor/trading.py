"""Trading health: slippage against the model, refused orders, turnover, losing trades (by regime), drawdown.

Idea:   each question is a rate: how often is a fill worse than the cost model, an order refused, an order sent, a
        round trip lost, in all and of those opened in one regime of the market? Charts of rates learn what is usual
        from the first of each. The drawdown is a fact, told once at the half, at three quarters and at the whole of
        its limit.
Flow:   inputs -> account, round trips, rejects; decisions -> orders sent; fills with their decisions -> slippage.
State:  account, charts, fills that wait for their decision, the last slippages, findings not yet taken.
Units:  slippage in basis points of the decision's price, positive is worse; money in the instruments' currency.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.allowed import require
from tradeworthy.core.decisions import Role
from tradeworthy.core.events import EventBatch, Kind
from tradeworthy.core.findings import Finding
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.kernel import entry
from tradeworthy.core.time import iso
from tradeworthy.judge.monitor.base import (
    SOME_EVENTS,
    FindingQueue,
    Records,
    State,
    are_decisions,
    are_events,
    chosen,
    fields_as,
    followed_by,
    inputs_of,
    part_of,
)
from tradeworthy.judge.monitor.control_charts.rate_kernels import LEARN
from tradeworthy.judge.monitor.control_charts.rates import RateCharts, RateWords
from tradeworthy.judge.monitor.gauges import Gauge
from tradeworthy.judge.monitor.joins.account import (
    CASH,
    DRAWDOWN,
    FEES,
    LOSSES,
    MARK,
    MULTIPLIER,
    PEAK,
    QUANTITY,
    TURNOVER,
    WINS,
    WORST,
    Account,
    Closes,
    empty_account,
    equity,
    follow,
)
from tradeworthy.judge.monitor.joins.wildness import REGIMES

Floats = npt.NDArray[np.float64]

NAME = "trading"
KIND = "trading"
DRAWN_DOWN = "drawdown"
COSTLY, REFUSED, SENT, LOST, LOST_IN = range(5)
_NEAR = 0.75
"""The part of an allowed drawdown from which a finding is a warning; before, it is said and no more."""

QUESTIONS = ("slippage", "orders refused", "turnover", "trades lost", *(f"trades lost, {each}" for each in REGIMES))
"""From `LOST_IN` on one for each regime."""

OPENED_IN = tuple(f" opened in a {each} market" for each in REGIMES)
ORDERS_MAX = 10_000
RECENT = 200
NO_SIZES = np.empty(0)

FILLED = np.dtype(
    [
        ("sequence", "<u8"),
        ("ts_event_ns", "<i8"),
        ("order", "<u8"),
        ("quantity", "<f8"),
        ("price", "<f8"),
        ("instrument", "<u4"),
    ]
)
SENT_ORDER = np.dtype([("sequence", "<u8"), ("price", "<f8"), ("quantity", "<f8"), ("instrument", "<u4")])


class TradingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``[monitor.trading]`` of tradeworthy.toml.

    Attributes
    ----------
    false_alarms_per_10k : float
        Asked of all questions together, per 10,000 decisions, fills and round trips.
    cost_bps : float
        What the cost model expects a fill to be worse than the decision's price.
    learn_decisions, learn_fills : int
        From how many decisions, and how many fills, refusals and round trips, it is learned what is usual.
    quiet : int
        Events of a question without a further alarm after one; doubles while it stays.
    drawdown_value : float or None
        The limit of the drawdown; none if left out.
    """

    false_alarms_per_10k: float = 0.2
    cost_bps: float = 5.0
    learn_decisions: int = 1_000
    learn_fills: int = 100
    quiet: int = 500
    drawdown_value: float | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that let nothing be seen."""
        require(self, "monitor.trading", counts=["learn_decisions", "learn_fills"], positive=["drawdown_value"])


class TradingSummary(msgspec.Struct, frozen=True, kw_only=True):
    """How trading went so far; NaN where there was nothing to measure.

    Attributes
    ----------
    hit_rate : float
        Share of round trips that made money after fees.
    hit_rates : dict
        The same of those opened in each regime of the market. Until enough prices were seen there is no regime.
    """

    decisions: int
    orders: int
    fills: int
    refused: int
    fill_rate: float
    slippage_bps: float
    slippage_model_bps: float
    turnover_value: float
    fees: float
    exposure_value: float
    equity: float
    drawdown_value: float
    drawdown_worst_value: float
    hit_rate: float
    hit_rates: dict[str, float]


class TradingMonitor:
    """Watches how one desk's trading goes.

    Parameters
    ----------
    instruments : sequence of Instrument
        The desk's list.
    settings : TradingSettings, optional
        Defaults if left out.
    """

    def __init__(self, instruments: Sequence[Instrument], settings: TradingSettings | None = None) -> None:
        self._instruments, self._settings = list(instruments), settings or TradingSettings()
        each, n = self._settings, len(self._instruments)
        self._charts = RateCharts(n * len(QUESTIONS), false_alarms_per_10k=each.false_alarms_per_10k, quiet=each.quiet)
        learn = np.full(len(QUESTIONS), each.learn_fills)
        learn[SENT] = each.learn_decisions
        self._charts.state.memory[:, LEARN] = np.tile(learn, n)
        self._account = empty_account(np.array([i.multiplier for i in self._instruments], np.float64))
        self._follow = entry(follow, self._account, inputs_of(SOME_EVENTS), Closes.room(2), 0.0, 0)
        self._fills, self._orders = np.empty(0, FILLED), np.empty(0, SENT_ORDER)
        self._newest = 0
        self._counts = np.zeros(4, np.int64)  # decisions, orders, fills, rejects
        self._slippage = np.zeros(2)  # sum and number
        self._recent: dict[int, Floats] = {}
        self._queue = FindingQueue()

    def observe(self, records: Records) -> None:
        """Take inputs and decisions; anything else is left."""
        if are_decisions(records):
            self._take_decisions(chosen(records, records["role"] != Role.SHADOW))
        elif are_events(records):
            self._take_inputs(records)
        self._match()

    def findings(self) -> list[Finding]:
        """Return what was found since the last call."""
        return self._queue.take()

    def gauges(self) -> list[Gauge]:
        """Return how near to its limit each question is, by instrument, and how trading went so far."""
        names = [(f"{each.symbol} {question}", each.symbol) for each in self._instruments for question in QUESTIONS]
        near = self._charts.gauges(dict(enumerate(names)))
        if limit := self._settings.drawdown_value:
            used = float(self._account.totals[DRAWDOWN]) / limit
            near.append(Gauge(family="evidence", subject=DRAWN_DOWN, value=used))
        figures = msgspec.structs.asdict(self.summary())
        rates = figures.pop("hit_rates")
        figures |= {f"hit_rate_{regime}": rate for regime, rate in rates.items()}
        return near + [Gauge(family="value", subject=name, value=float(value)) for name, value in figures.items()]

    def summary(self) -> TradingSummary:
        """Return how trading went so far."""
        totals, positions = self._account.totals, self._account.positions
        decisions, orders, fills, refused = (int(count) for count in self._counts)
        trips, held = totals[WINS] + totals[LOSSES], positions[positions[:, QUANTITY] != 0.0]
        return TradingSummary(
            decisions=decisions,
            orders=orders,
            fills=fills,
            refused=refused,
            fill_rate=fills / (fills + refused) if fills + refused else float("nan"),
            slippage_bps=float(self._slippage[0] / self._slippage[1]) if self._slippage[1] else float("nan"),
            slippage_model_bps=self._settings.cost_bps,
            turnover_value=float(totals[TURNOVER]),
            fees=float(totals[FEES]),
            exposure_value=float(np.abs(held[:, QUANTITY] * held[:, MARK] * held[:, MULTIPLIER]).sum()),
            equity=float(equity(self._account)),
            drawdown_value=float(totals[DRAWDOWN]),
            drawdown_worst_value=float(totals[WORST]),
            hit_rate=float(totals[WINS] / trips) if trips else float("nan"),
            hit_rates={
                regime: won / (won + lost) if won + lost else float("nan")
                for regime, (won, lost) in zip(REGIMES, self._account.trips.tolist(), strict=True)
            },
        )

    def state(self) -> State:
        """Return account, charts, what waits, counts and findings not yet taken."""
        state: State = {
            **{name: part.copy() for name, part in self._account._asdict().items()},
            "fills": self._fills.copy(),
            "orders": self._orders.copy(),
            "newest": np.array([self._newest]),
            "counts": self._counts.copy(),
            "slippage": self._slippage.copy(),
            "findings": self._queue.to_array(),
        }
        state |= {f"recent.{instrument}": last.copy() for instrument, last in self._recent.items()}
        return state | self._charts.export("charts.")

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from a state that `state` returned; of one that knew no regimes all but its charts goes on."""
        for name, own in self._account._asdict().items():
            if name in state and state[name].shape == own.shape:
                own[:] = state[name]
        self._fills, self._orders = state["fills"].astype(FILLED), state["orders"].astype(SENT_ORDER)
        self._newest, self._counts = int(state["newest"][0]), state["counts"].copy()
        self._slippage = state["slippage"].copy()
        self._recent = {int(key): recent.copy() for key, recent in part_of(state, "recent.").items()}
        self._queue.from_array(state["findings"])
        self._charts.take_back(state, "charts.")

    def inherit(self, before: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take over what the desk holds, and how wild its markets are; profit, trips and drawdown count from here."""
        own = self._account
        if before["positions"].shape == own.positions.shape:
            markets = before.get("markets", own.markets).copy()
            self._account = Account(before["positions"].copy(), np.zeros_like(own.totals), markets, own.trips)
            self._account.totals[CASH] = -equity(self._account)

    def _take_decisions(self, decisions: Records) -> None:
        """Count decisions and orders, chart how often orders are sent, keep what fills will be held against."""
        if len(decisions) == 0:
            return
        self._newest = max(self._newest, int(decisions["sequence"][-1]))
        sent = decisions["quantity"] != 0.0
        self._counts[:2] += (len(decisions), int(sent.sum()))
        if sent.any():
            fresh = fields_as(chosen(decisions, sent), SENT_ORDER)
            self._orders = followed_by(self._orders, fresh)[-ORDERS_MAX:]
        self._chart(SENT, decisions, sent)

    def _take_inputs(self, events: EventBatch) -> None:
        """Follow the account; chart round trips and answers; keep fills until their decision is known."""
        inputs, closes = inputs_of(events), Closes.room(len(events))
        limit = self._settings.drawdown_value
        quarter, start = math.inf if limit is None else limit / 4.0, 0
        while start < len(events):
            at = self._follow(self._account, inputs, closes, quarter, start)
            if at < len(events):
                self._tell_drawdown(events[at])
            start = at + 1
        kind = np.ascontiguousarray(events["kind"])
        places = np.flatnonzero((kind == Kind.FILL) | (kind == Kind.REJECT))
        places = places[events["flags"][places] == 0]
        if len(places):
            self._take_answers(events.take(places), Closes(closes.sides[places], closes.regimes[places]))

    def _take_answers(self, answers: EventBatch, closes: Closes) -> None:
        """Count fills and refusals that the engine believed, chart them and what they closed, keep fills."""
        refused, closed = answers["kind"] == Kind.REJECT, np.flatnonzero(closes.sides)
        self._counts[2:] += (int((~refused).sum()), int(refused.sum()))
        self._chart(REFUSED, answers, refused)
        trips, lost, regimes = answers.take(closed), closes.sides[closed] < 0, closes.regimes[closed]
        self._chart(LOST, trips, lost)
        for regime in range(len(REGIMES)):
            own = regimes == regime
            self._chart(LOST_IN + regime, trips[own], lost[own])
        self._keep(chosen(answers, ~refused & (answers["reference"] < answers["sequence"])))

    def _keep(self, fills: EventBatch) -> None:
        """Keep fills until the decision behind each is read."""
        if len(fills) == 0:
            return
        fresh = np.empty(len(fills), FILLED)
        fresh["sequence"], fresh["ts_event_ns"] = fills["sequence"], fills["ts_event_ns"]
        fresh["order"], fresh["instrument"] = fills["reference"], fills["instrument"]
        fresh["quantity"], fresh["price"] = fills["values"][:, 0], fills["values"][:, 1]
        self._fills = followed_by(self._fills, fresh)[-ORDERS_MAX:]

    def _match(self) -> None:
        """Hold fills against the prices of their decisions, in the order filled, as far as decisions are read."""
        if len(self._fills) == 0:
            return
        unread = np.flatnonzero(self._fills["order"] > self._newest)
        count = int(unread[0]) if len(unread) else len(self._fills)
        if count == 0:
            return
        ready, self._fills = self._fills[:count], self._fills[count:]
        at = np.searchsorted(self._orders["sequence"], ready["order"])
        found = at < len(self._orders)
        found[found] = self._orders["sequence"][at[found]] == ready["order"][found]
        ready, price = ready[found], self._orders["price"][at[found]]
        with np.errstate(invalid="ignore", divide="ignore"):
            worse = np.sign(ready["quantity"]) * (ready["price"] - price) / price * 1e4
        known = np.isfinite(worse)
        self._slippage += (worse[known].sum(), known.sum())
        self._chart(COSTLY, ready[known], worse[known] > self._settings.cost_bps, worse[known])

    def _chart(self, question: int, records: Records, yes: npt.NDArray[np.bool_], sizes: Floats = NO_SIZES) -> None:
        """Step one question's charts, an instrument each; put what alarms."""
        if len(records) == 0:
            return
        instrument, told = records["instrument"].astype(np.int64), 0
        first = np.where(instrument < len(self._instruments), instrument * len(QUESTIONS) + question, -1)
        for at in self._charts.alarms(first, yes.astype(np.uint8)[:, None], records["ts_event_ns"]):
            self._remember(instrument[told : at + 1], sizes[told : at + 1])
            self._queue.put(self._finding(question, records[at]))
            told = at + 1
        self._remember(instrument[told:], sizes[told:])

    def _remember(self, instruments: npt.NDArray[np.int64], sizes: Floats) -> None:
        """Keep the last slippages of each instrument, for the words of a finding."""
        for instrument, size in zip(instruments[: len(sizes)].tolist(), sizes.tolist(), strict=True):
            before = self._recent.get(instrument, np.empty(0))
            self._recent[instrument] = np.append(before, size)[-RECENT:]

    def _finding(self, question: int, record: np.void) -> Finding:
        """Say what happens more often than it did."""
        instrument = int(record["instrument"])
        alarm = self._charts.take_alarms(instrument * len(QUESTIONS) + question, 1)[0]
        usual = float(self._charts.state.usual[alarm.chart])
        symbol, since = self._instruments[instrument].symbol, iso(alarm.since_ns)
        counts = f"{alarm.hits} of {alarm.seen}"
        extra = ""
        if question == COSTLY:
            worse = self._recent.get(instrument, np.zeros(1))[-max(1, alarm.seen) :].mean()
            extra = f"; {worse:.1f} bps on average, the model says {self._settings.cost_bps:g} bps"
        said = (
            f"{counts} fills of {symbol} since {since} cost more than the model says",
            f"{counts} answers to orders in {symbol} since {since} were refusals",
            f"{counts} decisions on {symbol} since {since} sent an order",
            *(f"{counts} round trips in {symbol}{of} since {since} lost money" for of in ("", *OPENED_IN)),
        )[question]
        words = RateWords(
            monitor=NAME,
            subject=f"{symbol} {QUESTIONS[question]}",
            kind=KIND,
            unit="share",
            sentence=f"{said}, {alarm.share:.0%}; usual was {usual:.0%}{extra}.",
        )
        return self._charts.finding(alarm, record, words)

    def _tell_drawdown(self, event: np.void) -> None:
        """Say how much of the allowed drawdown is used up."""
        now, limit = float(self._account.totals[DRAWDOWN]), self._settings.drawdown_value or math.inf
        self._queue.put(
            Finding(
                monitor=NAME,
                subject=DRAWN_DOWN,
                kind=KIND,
                severity="critical" if now >= limit else "warning" if now >= _NEAR * limit else "info",
                sequence=int(event["sequence"]),
                ts_event_ns=int(event["ts_event_ns"]),
                since_ns=int(event["ts_event_ns"]),
                observed=now,
                reference=limit,
                unit="currency",
                statistic=now,
                threshold=limit,
                false_alarms_per_10k=self._settings.false_alarms_per_10k,
                sentence=(
                    f"Equity is {now:,.2f} below its peak of {self._account.totals[PEAK]:,.2f} made since the record "
                    f"began, {now / limit:.0%} of the {limit:,.2f} allowed."
                ),
            )
        )
