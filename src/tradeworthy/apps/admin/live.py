"""What changes while one looks: pieces of the page as server-sent events, and curves for the charts.

Idea:   an event is sent only when its piece differs from the last one sent; all visitors share one look at the record.
        A curve is thinned to what the asked width can show, so a hundred thousand points cost what two thousand do.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import numpy as np
from litestar import Controller, get
from litestar.concurrency import sync_to_thread
from litestar.exceptions import ValidationException
from litestar.params import FromQuery
from litestar.response import ServerSentEvent
from litestar.response.sse import ServerSentEventMessage

from tradeworthy.apps.admin.deployment import LOOK_EVERY_S, Deployment
from tradeworthy.apps.admin.looking import desk_of
from tradeworthy.apps.admin.visitor import NAME, Asked, deployment_of
from tradeworthy.apps.dashboard.curves import Trades
from tradeworthy.apps.dashboard.desk import changes, exposure_table, figures, findings, last_act, latest
from tradeworthy.apps.dashboard.following import Frame
from tradeworthy.apps.dashboard.layout import caption, state, story, strip
from tradeworthy.apps.dashboard.monitors import monitors_table
from tradeworthy.apps.dashboard.watch import stories, watcher_figures
from tradeworthy.core.time import NS_PER_S

COLUMNS_MAX = 4_000
ALIVE_EVERY = 20


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """Curves of one instrument and of the desk: seconds since 1970, UTC, and values.

    Attributes
    ----------
    price, equity : list of two lists
        Times and values.
    buys, sells : list of three lists
        Times, prices and the orders' numbers, which are those of their decisions.
    decisions : list of six lists
        Times; how many wanted to be long, flat and short and how many were refused; the last one's number. One entry
        counts the decisions of one column of pixels: none is left out.
    span_s : list of float
        The first and the last price's time, of all there are.
    points : int
        How many prices there are in all; what is sent is what a drawing of this width shows of them.
    """

    symbol: str
    span_s: list[float]
    points: int
    price: list[list[float]]
    equity: list[list[float]]
    buys: list[list[float]]
    sells: list[list[float]]
    decisions: list[list[float]]


class Live(Controller):
    """What the page's script asks for."""

    include_in_schema = False

    @get("/live")
    async def live(self, request: Asked) -> ServerSentEvent:
        """Send pieces of the page when they change, as long as somebody looks and may."""
        return ServerSentEvent(_pieces(deployment_of(request), str(request.session.get(NAME, ""))))

    @get("/curves", sync_to_thread=True)
    def curves(
        self,
        request: Asked,
        symbol: FromQuery[str] = "",
        columns: FromQuery[int] = 1_000,
        from_s: FromQuery[float | None] = None,
        to_s: FromQuery[float | None] = None,
    ) -> Drawn:
        """Return curves of a stretch of time."""
        deployment = deployment_of(request)
        symbols = deployment.symbols
        if symbol and symbol not in symbols:
            raise ValidationException(f"symbol is {symbol!r}; allowed are {', '.join(symbols)}")
        number = symbols.index(symbol) if symbol else 0
        stretch = (_ns(from_s), _ns(to_s))
        return drawn(deployment, number, stretch, min(max(columns, 16), COLUMNS_MAX))


def drawn(deployment: Deployment, number: int, stretch: tuple[int | None, int | None], columns: int) -> Drawn:
    """Return the curves of an instrument within a stretch of time."""
    with deployment.curves() as curves:
        price, trades = curves.prices[number], curves.trades[number]
        ts_ns, sequences, counts = curves.wanted[number].seen(*stretch, columns)
        return Drawn(
            symbol=deployment.symbols[number],
            span_s=_listed(price.ts_ns[[0, -1]])[0] if price.ts_ns.size else [],
            points=int(price.ts_ns.size),
            price=_listed(*price.seen(*stretch, columns)),
            equity=_listed(*curves.equity.seen(*stretch, columns)),
            buys=_trades(trades, stretch, bought=True),
            sells=_trades(trades, stretch, bought=False),
            decisions=_listed(ts_ns, *counts.T, sequences),
        )


async def _pieces(deployment: Deployment, name: str) -> AsyncIterator[ServerSentEventMessage]:
    """Yield each piece that differs from the last one sent, and a sign of life now and then."""
    sent: dict[str, str] = {}
    turn = 0
    while True:
        pieces = await sync_to_thread(_read, deployment, name)
        if pieces is None:
            return
        for event, piece in pieces.items():
            if sent.get(event) != piece:
                sent[event] = piece
                yield ServerSentEventMessage(data=piece, event=event)
        turn += 1
        if turn % ALIVE_EVERY == 0:
            yield ServerSentEventMessage(comment="alive", data=None)
        await asyncio.sleep(LOOK_EVERY_S)


def _read(deployment: Deployment, name: str) -> dict[str, str] | None:
    """Return every piece of this moment; None for somebody who may not look any more."""
    if deployment.people.find(name) is None:
        return None
    frame = deployment.frame()
    if deployment.pieces is None or deployment.pieces[0] is not frame:
        deployment.pieces = frame, _built(deployment, frame)
    return deployment.pieces[1]


def _built(deployment: Deployment, frame: Frame) -> dict[str, str]:
    """Build every piece of one moment; they are the same for every visitor."""
    told, desk = deployment.caption(), desk_of(deployment)
    sight, found, watched = deployment.sight(), deployment.told(), frame.watcher is not None
    return {
        "strip": strip(frame),
        "state": state(frame),
        "caption": caption(told),
        "story": story(told),
        "figures": figures(frame, desk),
        "last-act": last_act(frame),
        "changes": changes(desk.changes),
        "limits": exposure_table(desk.exposures),
        "latest": latest(frame.latest),
        "findings": findings(frame.findings),
        "watcher": watcher_figures(frame),
        "monitors": deployment.kept("monitors", (sight, found), lambda: monitors_table(sight, deployment.cases())),
        "stories": deployment.kept("stories", (found, watched), lambda: stories(frame, deployment.cases())),
        "moved": str(frame.events),
    }


def _trades(trades: Trades, stretch: tuple[int | None, int | None], *, bought: bool) -> list[list[float]]:
    first = 0 if stretch[0] is None else np.searchsorted(trades.ts_ns, stretch[0])
    last = trades.ts_ns.size if stretch[1] is None else np.searchsorted(trades.ts_ns, stretch[1], "right")
    part = slice(int(first), int(last))
    chosen = trades.quantities[part] > 0 if bought else trades.quantities[part] < 0
    return _listed(trades.ts_ns[part][chosen], trades.prices[part][chosen], trades.orders[part][chosen])


def _listed(ts_ns: Any, *columns: Any) -> list[list[float]]:
    return [(ts_ns / NS_PER_S).tolist(), *(column.tolist() for column in columns)]


def _ns(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * NS_PER_S)
