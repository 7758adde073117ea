"""What our own orders could be taken for: wash trades, layering, marking the close, quote stuffing.

Idea:   a rule is one function of the desk's conduct (its orders, the venue's answers, what the market traded). It looks
        at everything and alerts where a figure is beyond its limit; an alert is a question to a person, not a verdict.
Time:   the market's, UTC nanoseconds, as orders and answers bear it.
Undefined: a rule that lacks what it needs says so, and is not counted as having found nothing.
Reference: Regulation (EU) 596/2014, article 12 and annex I; (EU) 2017/589, article 13. They set no threshold: the
        limits are the desk's own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import SettingsInvalid
from tradeworthy.core.events import EventBatch, Kind
from tradeworthy.core.findings import Finding
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_S, iso

Records = npt.NDArray[np.void]
Nanoseconds = npt.NDArray[np.int64]

KIND = "surveillance"
CANCELLED = 2.0
"""The venue's code of a reject that confirms a cancel."""

NAMED = 5
"""So many orders are named in an alert's sentence."""


class SurveillanceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[surveillance]` section: from where on a person should look at the desk's own orders.

    Attributes
    ----------
    wash_window_s : float
        A purchase and a sale of ours at one price within this time are asked about.
    layering_window_s : float
        How long before and after a fill orders of the other side are looked at.
    layering_orders_min : int
        So many of them, sent before the fill and cancelled after it without one of their own, are asked about.
    layering_share_min : float
        If they are at least this share of what was sent on that side.
    close_utc : str
        When the market's day ends, UTC, as ``HH:MM``; ``00:00`` where it never closes.
    close_window_s : float
        The last part of the day.
    close_share_max : float
        The most that the desk may be of what was traded in it.
    messages_per_s_max : int
        Orders and cancels within one second.
    every_s : float, optional
        While a desk runs, its orders are looked at so often, in a process beside it; by command only, if left out.
    """

    wash_window_s: float = 1.0
    layering_window_s: float = 10.0
    layering_orders_min: int = 3
    layering_share_min: float = 0.8
    close_utc: str = "00:00"
    close_window_s: float = 600.0
    close_share_max: float = 0.2
    messages_per_s_max: int = 20
    every_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse limits that nothing or everything would be beyond."""
        for name in ("wash_window_s", "layering_window_s", "layering_orders_min", "close_window_s"):
            if not getattr(self, name) > 0:
                raise SettingsInvalid(f"surveillance.{name} is {getattr(self, name)}, allowed is a positive number")
        if self.every_s is not None and not self.every_s > 0:
            raise SettingsInvalid(f"surveillance.every_s is {self.every_s:g}, allowed is a positive number, or none")
        for name in ("layering_share_min", "close_share_max"):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise SettingsInvalid(f"surveillance.{name} is {getattr(self, name):g}, allowed is above 0 and up to 1")
        if not self.messages_per_s_max >= 1:
            raise SettingsInvalid(f"surveillance.messages_per_s_max is {self.messages_per_s_max}, allowed is 1 or more")
        _ = self.close_ns

    @property
    def close_ns(self) -> int:
        """When the market's day ends, as nanoseconds after midnight."""
        hours, _, minutes = self.close_utc.partition(":")
        if not (len(self.close_utc) == 5 and hours.isdecimal() and minutes.isdecimal()) or int(hours) > 23:
            raise SettingsInvalid(f"surveillance.close_utc is {self.close_utc!r}, allowed is a time such as 16:00")
        if int(minutes) > 59:
            raise SettingsInvalid(f"surveillance.close_utc is {self.close_utc!r}, allowed is a time such as 16:00")
        return int(hours) * NS_PER_HOUR + int(minutes) * NS_PER_MINUTE


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to ask about.

    Attributes
    ----------
    rule, instrument : str
        What it could be taken for, and in what.
    sequence : int
        The last record that belongs to it.
    from_ns, to_ns : int
        When it began and ended.
    observed, limit : float
        In `unit`.
    orders : list of int
        Whose orders' ids they are.
    """

    rule: str
    instrument: str
    sequence: int
    from_ns: int
    to_ns: int
    observed: float
    limit: float
    unit: str
    orders: list[int]

    def sentence(self) -> str:
        """Say it in words, as a question's ground."""
        named = ", ".join(map(str, self.orders[:NAMED])) + (" and more" if len(self.orders) > NAMED else "")
        return (
            f"Orders in {self.instrument} could be taken for {self.rule}: {self.observed:.4g} {self.unit}, asked about "
            f"from {self.limit:g} on, {iso(self.from_ns)[:19]} to {iso(self.to_ns)[:19]}; orders {named}."
        )

    def finding(self) -> Finding:
        """Return it as a finding."""
        return Finding(
            monitor=self.rule,
            subject=self.instrument,
            kind=KIND,
            sequence=self.sequence,
            ts_event_ns=self.to_ns,
            since_ns=self.from_ns,
            observed=self.observed,
            reference=0.0,
            unit=self.unit,
            statistic=self.observed,
            threshold=self.limit,
            false_alarms_per_10k=0.0,
            sentence=self.sentence(),
        )


@dataclass(frozen=True, eq=False)
class Conduct:
    """What the desk did, and what the market traded meanwhile.

    Attributes
    ----------
    orders : (n,) ORDER
        As sent, in that order.
    fills, cancels : (m,) event records
        The venue's, as far as the desk believed them.
    market : (k,) event records
        Bars and trades.
    instruments : sequence of Instrument
    """

    orders: Records
    fills: EventBatch
    cancels: EventBatch
    market: EventBatch
    instruments: Sequence[Instrument]

    @classmethod
    def of(cls, inputs: EventBatch, orders: Records, instruments: Sequence[Instrument]) -> "Conduct":
        """Read it from the tape's inputs and orders."""
        believed = inputs[inputs["flags"] == DenialCode.NONE]
        kinds, code = believed["kind"], believed["values"][:, 0]
        return cls(
            orders=orders,
            fills=believed[kinds == Kind.FILL],
            cancels=believed[(kinds == Kind.REJECT) & (code == CANCELLED)],
            market=believed[np.isin(kinds, (Kind.BAR, Kind.TRADE))],
            instruments=instruments,
        )


class Looked(NamedTuple):
    """What one rule came to; `lacks` says why it could not look, and is empty where it did."""

    alerts: list[Alert]
    highest: float
    lacks: str = ""


Rule = Callable[[Conduct, SurveillanceSettings], Looked]


def wash_trades(conduct: Conduct, settings: SurveillanceSettings) -> Looked:
    """Ask about purchases and sales of ours at one price, close together: nobody's risk changed hands."""
    fills, window_ns = conduct.fills, int(settings.wash_window_s * NS_PER_S)
    ticks = np.array([each.tick for each in conduct.instruments])[fills["instrument"]]
    price = np.rint(fills["values"][:, 1] / ticks)
    order = np.lexsort((fills["sequence"], fills["ts_event_ns"], price, fills["instrument"]))
    fills, price = fills[order], price[order]
    same = (np.diff(fills["instrument"].astype(np.int64)) == 0) & (np.diff(price) == 0)
    sides = np.sign(fills["values"][:, 0])
    apart_ns = np.diff(fills["ts_event_ns"])
    found = np.flatnonzero(same & (sides[1:] != sides[:-1]) & (apart_ns <= window_ns))
    alerts = [_wash(conduct, fills[place], fills[place + 1]) for place in found]
    return Looked(alerts, max((alert.observed for alert in alerts), default=0.0))


def _wash(conduct: Conduct, first: np.void, second: np.void) -> Alert:
    both = sorted((int(first["reference"]), int(second["reference"])))
    return Alert(
        rule="wash trade",
        instrument=conduct.instruments[int(first["instrument"])].symbol,
        sequence=int(max(first["sequence"], second["sequence"])),
        from_ns=int(first["ts_event_ns"]),
        to_ns=int(second["ts_event_ns"]),
        observed=float(min(abs(first["values"][0]), abs(second["values"][0]))),
        limit=0.0,
        unit="units bought and sold at one price",
        orders=both,
    )


def layering(conduct: Conduct, settings: SurveillanceSettings) -> Looked:
    """Ask about orders on one side that are cancelled, unfilled, around a fill on the other."""
    alerts, highest = list[Alert](), 0.0
    for number in range(len(conduct.instruments)):
        withdrawn = _withdrawn(conduct, number)
        for fill in conduct.fills[conduct.fills["instrument"] == number] if withdrawn.size else ():
            share, chosen = _around(fill, withdrawn, conduct.orders, settings)
            if len(chosen) < settings.layering_orders_min:
                continue
            highest = max(highest, share)
            if share < settings.layering_share_min:
                continue
            named = chosen["order"].tolist()
            if alerts and set(named) <= set(alerts[-1].orders):
                continue  # further fills against the same layers are the same question
            alerts.append(
                Alert(
                    rule="layering",
                    instrument=conduct.instruments[number].symbol,
                    sequence=int(max(fill["sequence"], chosen["sequence"].max())),
                    from_ns=int(chosen["sent_ns"].min()),
                    to_ns=int(chosen["gone_ns"].max()),
                    observed=share,
                    limit=settings.layering_share_min,
                    unit="of the orders of one side withdrawn around a fill of the other",
                    orders=named,
                )
            )
    return Looked(alerts, highest)


_WITHDRAWN = np.dtype([("order", "<i8"), ("side", "<f8"), ("sent_ns", "<i8"), ("gone_ns", "<i8"), ("sequence", "<i8")])


def _withdrawn(conduct: Conduct, number: int) -> Records:
    """Return an instrument's orders that were cancelled without any fill, in the order of sending."""
    orders, cancels = conduct.orders, conduct.cancels[conduct.cancels["instrument"] == number]
    cancels = cancels[~np.isin(cancels["reference"], conduct.fills["reference"])]
    cancels = cancels[np.isin(cancels["reference"], orders["decision"])]
    of = orders[np.searchsorted(orders["decision"], cancels["reference"])]
    found = np.zeros(len(cancels), _WITHDRAWN)
    found["order"], found["side"], found["sent_ns"] = cancels["reference"], np.sign(of["quantity"]), of["ts_sent_ns"]
    found["gone_ns"], found["sequence"] = cancels["ts_event_ns"], cancels["sequence"]
    return np.sort(found, order=["sent_ns", "order"])


def _around(
    fill: np.void, withdrawn: Records, orders: Records, settings: SurveillanceSettings
) -> tuple[float, Records]:
    """Return the share of the other side's orders before a fill that was withdrawn after it, and those orders."""
    at_ns, side, window_ns = (
        int(fill["ts_event_ns"]),
        -np.sign(fill["values"][0]),
        settings.layering_window_s * NS_PER_S,
    )
    chosen = withdrawn[
        (withdrawn["side"] == side)
        & (withdrawn["sent_ns"] >= at_ns - window_ns)
        & (withdrawn["sent_ns"] <= at_ns)
        & (withdrawn["gone_ns"] >= at_ns)
        & (withdrawn["gone_ns"] <= at_ns + window_ns)
    ]
    sent = (
        (orders["instrument"] == fill["instrument"])
        & (np.sign(orders["quantity"]) == side)
        & (orders["ts_sent_ns"] >= at_ns - window_ns)
        & (orders["ts_sent_ns"] <= at_ns)
    )
    return len(chosen) / max(int(sent.sum()), len(chosen), 1), chosen


def marking_the_close(conduct: Conduct, settings: SurveillanceSettings) -> Looked:
    """Ask where the desk was much of what was traded at the end of a market's day."""
    fills, window_ns = conduct.fills, int(settings.close_window_s * NS_PER_S)
    closes = _close_after(fills["ts_event_ns"], settings.close_ns)
    late = closes - fills["ts_event_ns"] < window_ns
    alerts, highest, unknown = list[Alert](), 0.0, 0
    for number, close_ns in sorted(
        {(int(n), int(c)) for n, c in zip(fills["instrument"][late], closes[late], strict=True)}
    ):
        own = fills[late & (fills["instrument"] == number) & (closes == close_ns)]
        traded = _traded(conduct.market, number, close_ns - window_ns, close_ns)
        if not traded > 0:
            unknown += 1
            continue
        share = float(np.abs(own["values"][:, 0]).sum()) / traded
        highest = max(highest, share)
        if share > settings.close_share_max:
            alerts.append(
                Alert(
                    rule="marking the close",
                    instrument=conduct.instruments[number].symbol,
                    sequence=int(own["sequence"].max()),
                    from_ns=int(own["ts_event_ns"].min()),
                    to_ns=int(own["ts_event_ns"].max()),
                    observed=share,
                    limit=settings.close_share_max,
                    unit="of what was traded at the end of the day was ours",
                    orders=np.unique(own["reference"]).tolist(),
                )
            )
    lacks = f"what the market traded is not known at {unknown:,} ends of a day on which we traded" if unknown else ""
    return Looked(alerts, highest, lacks)


def _close_after(ts_ns: Nanoseconds, close_ns: int) -> Nanoseconds:
    """Return the end of the day that each moment belongs to; the end itself belongs to its own."""
    ends: Nanoseconds = -(-(ts_ns - close_ns) // NS_PER_DAY) * NS_PER_DAY + close_ns
    return ends


def _traded(market: EventBatch, number: int, after_ns: int, until_ns: int) -> float:
    """Return what the market traded: of trades where there are any, else of bars, whose close bears their volume."""
    within = market[(market["instrument"] == number) & (market["ts_event_ns"] > after_ns)]
    within = within[within["ts_event_ns"] <= until_ns]
    trades, bars = (within[within["kind"] == kind]["values"] for kind in (Kind.TRADE, Kind.BAR))
    return float(trades[:, 1].sum() if len(trades) else bars[:, 4].sum())


def quote_stuffing(conduct: Conduct, settings: SurveillanceSettings) -> Looked:
    """Ask about seconds in which the desk sent more messages than it should ever need."""
    orders, cancels = conduct.orders, conduct.cancels
    sent_ns = np.concatenate([orders["ts_sent_ns"], cancels["ts_event_ns"]])
    sequence = np.concatenate([orders["sequence"], cancels["sequence"]])
    names = np.concatenate([orders["decision"], cancels["reference"]])
    number = np.concatenate([orders["instrument"], cancels["instrument"]])
    order = np.lexsort((sequence, sent_ns))
    sent_ns, sequence, names, number = sent_ns[order], sequence[order], names[order], number[order]
    ends = np.searchsorted(sent_ns, sent_ns + NS_PER_S)
    counts = ends - np.arange(len(sent_ns))
    beyond = np.flatnonzero(counts > settings.messages_per_s_max)
    alerts, done = list[Alert](), 0
    for start in beyond.tolist():
        if start < done:
            continue
        end = int(ends[start])
        while (more := beyond[(beyond > start) & (beyond < end)]).size and int(ends[more[-1]]) > end:
            end = int(ends[more[-1]])  # a burst goes on as long as seconds that are beyond overlap
        part, done = slice(start, end), end
        symbols = sorted({conduct.instruments[int(n)].symbol for n in number[part]})
        alerts.append(
            Alert(
                rule="quote stuffing",
                instrument=", ".join(symbols),
                sequence=int(sequence[part].max()),
                from_ns=int(sent_ns[start]),
                to_ns=int(sent_ns[end - 1]),
                observed=float(counts[start:end].max()),
                limit=float(settings.messages_per_s_max),
                unit="messages within a second",
                orders=np.unique(names[part]).tolist(),
            )
        )
    return Looked(alerts, float(counts.max(initial=0)))


RULES: dict[str, Rule] = {
    "wash trade": wash_trades,
    "layering": layering,
    "marking the close": marking_the_close,
    "quote stuffing": quote_stuffing,
}
"""Every rule, by the name that its alerts bear."""
