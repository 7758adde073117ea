"""Connections to an exchange: WebSockets through picows, whole books over HTTPS.

Idea:   the only place of a feed that touches the network. It reads public data and sends nothing but subscriptions and
        pings; no key is ever asked for.
State:  a message in several frames is put together here; whoever is closed hears nothing any more.
"""

import asyncio
import http.client
import re
import ssl
import urllib.error
import urllib.request
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path

from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from tradeworthy.core.errors import SettingsInvalid
from tradeworthy.live.feeds.exchange.feed import Hearer, Line
from tradeworthy.live.feeds.exchange.pauses import AskedTooOften

_TOO_OFTEN = {418, 429}
_SECONDS = re.compile(r"[0-9]{1,9}")
"""More than thirty years are no time to wait, and no clock could hold what a header can."""
_DATA = (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION)


class _Listener(WSListener):
    """Hands whole messages of one connection to whoever hears it."""

    def __init__(self, hearer: Hearer, bytes_max: int) -> None:
        super().__init__()
        self.hearer: Hearer | None = hearer
        self._bytes_max, self._parts = bytes_max, bytearray()
        self._said = "the exchange closed the connection"

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take one frame."""
        if self.hearer is None:
            return
        kind = frame.msg_type
        if kind in _DATA:
            self._data(transport, frame)
        elif kind == WSMsgType.PONG:
            self.hearer.answered()
        elif kind == WSMsgType.CLOSE:
            self._said += f": {frame.get_close_code()} {frame.get_close_reason() or ''}"
            transport.disconnect()

    def _data(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.fin and not self._parts:
            if self.hearer is not None:
                self.hearer.heard(frame.get_payload_as_bytes())
            return
        self._parts += frame.get_payload_as_bytes()
        if len(self._parts) > self._bytes_max:
            self._said = f"a message is longer than {self._bytes_max} bytes"
            transport.disconnect(graceful=False)
        elif frame.fin and self.hearer is not None:
            whole, self._parts = bytes(self._parts), bytearray()
            self.hearer.heard(whole)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Say that the connection is no more."""
        del transport
        hearer, self.hearer = self.hearer, None
        if hearer is not None:
            hearer.ended(self._said)


class _SocketLine:
    """One open connection."""

    def __init__(self, transport: WSTransport, listener: _Listener) -> None:
        self._transport, self._listener = transport, listener

    def send(self, raw: bytes) -> None:
        """Send a text message."""
        self._transport.send(WSMsgType.TEXT, raw)

    def ping(self) -> None:
        """Ask whether anybody is there."""
        self._transport.send_ping()

    def close(self) -> None:
        """End it; nothing is heard of it any more."""
        self._listener.hearer = None
        self._transport.disconnect(graceful=False)


def _refusal(code: int, reason: str, headers: Message) -> ConnectionError:
    """Return an answer in error as an error; one that asks for silence tells for how long."""
    said, wait_s = f"the answer is {code} {reason}", wait_named(headers)
    return AskedTooOften(said, wait_s) if code in _TOO_OFTEN or wait_s else ConnectionError(said)


def wait_named(headers: Message) -> float:
    """Return how many seconds an answer's Retry-After names, 0 where it has none that can be read.

    A date is compared with the answer's own, so that the two clocks need not agree.
    """
    after = (headers["Retry-After"] or "").strip()
    if _SECONDS.fullmatch(after):
        return float(after)
    try:
        until, now = (parsedate_to_datetime(text or "") for text in (after, headers["Date"]))
        return max(0.0, (until - now).total_seconds())
    except (TypeError, ValueError):
        return 0.0


class Sockets:
    """Makes connections.

    Parameters
    ----------
    bytes_max : int
        The longest message, and the longest answer.
    timeout_s : float
        For an answer over HTTP.
    authority : Path, optional
        PEM file of the only authority that is trusted, instead of the machine's.

    Raises
    ------
    SettingsInvalid
        The authority's file cannot be read.
    """

    def __init__(self, *, bytes_max: int, timeout_s: float, authority: Path | None = None) -> None:
        self._bytes_max, self._timeout_s = bytes_max, timeout_s
        try:
            self._trusted = ssl.create_default_context(cafile=None if authority is None else str(authority))
        except (OSError, ssl.SSLError) as error:
            raise SettingsInvalid(f"[feed] authority {authority} cannot be read: {error}") from None

    async def open(self, url: str, hearer: Hearer) -> Line:
        """Connect.

        Raises
        ------
        OSError
            Nobody answers, or not as a WebSocket does.
        """
        listener = _Listener(hearer, self._bytes_max)
        try:
            transport, _ = await ws_connect(
                lambda: listener,
                url,
                ssl_context=self._trusted if url.startswith("wss:") else None,
                max_frame_size=self._bytes_max,
                websocket_handshake_timeout=self._timeout_s,
                max_redirects=0,
            )
        except WSError as error:
            raise ConnectionError(str(error)) from error
        return _SocketLine(transport, listener)

    async def fetch(self, url: str) -> bytes:
        """Return what is at an address.

        Raises
        ------
        OSError
            Nobody answers, or with an error, or at too great length.
        """
        return await asyncio.to_thread(self._get, url)

    def _get(self, url: str) -> bytes:
        """Read an address, in a thread; `url` is an http address by the settings' own check."""
        try:
            with urllib.request.urlopen(url, timeout=self._timeout_s, context=self._trusted) as answer:  # noqa: S310
                raw: bytes = answer.read(self._bytes_max + 1)
        except urllib.error.HTTPError as error:
            with error:  # it holds the connection
                raise _refusal(error.code, error.reason, error.headers) from None
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error
        if len(raw) > self._bytes_max:
            raise ConnectionError(f"an answer longer than {self._bytes_max} bytes")
        return raw
