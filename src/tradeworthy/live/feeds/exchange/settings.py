"""The `[feed]` section: whose market is traded, and when its stream is given up and made anew."""

from typing import Literal
from urllib.parse import urlsplit

import msgspec

from tradeworthy.live.feeds.exchange import binance, coinbase
from tradeworthy.live.feeds.exchange.binance import Binance
from tradeworthy.live.feeds.exchange.coinbase import Coinbase
from tradeworthy.live.feeds.exchange.messages import Dialect
from tradeworthy.live.feeds.files import period_ns

DialectName = Literal["binance", "coinbase"]
BACKFILL_MAX = 100_000
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class FeedSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where market events come from while the desk runs.

    Attributes
    ----------
    kind : str
        ``files``: what follows the training part of the market files. ``exchange``: the public stream of an exchange.
    dialect : str
        How the exchange speaks.
    url : str
        Of its stream, ``wss://`` (``ws://`` only on this machine); the public one of the dialect if left out.
    snapshot_url : str
        Where whole books and bars of the past are asked for, ``https://``; as `url`.
    symbols : table of str
        The exchange's name of an instrument, by our symbol; an instrument that is not named is not subscribed to.
    channels : tuple of str
        What is subscribed to: ``bar``, ``trade``, ``quote``, ``book``.
    period : str
        Of bars.
    book_levels : int
        Levels of a book that an event carries.
    backfill_bars : int
        Bars of the past that are asked for at most, at the start and after a cut, so that features are warm; 0 asks for
        none. Where `url` leads elsewhere, they are asked for only where `snapshot_url` does too.
    backfill_trades : int
        Trades that are asked for at most where their numbers have a hole, after a cut or a restart; a larger hole is
        told as lost, 0 asks for none. Where they may be asked is as for bars.
    backfill_s_max : float
        Time for that; meanwhile the stream's own bars or trades wait. What is still missing then is told as lost.
    authority : str
        A PEM file, beside the settings file, of the authority that signs the exchange's certificate; the machine's
        authorities if left out.
    silence_s_max : float
        A stream on which nothing comes for this long is given up.
    open_s_max : float
        Time to connect, and for a whole book to be answered.
    retry_s_min, retry_s_max : float
        The first pause before connecting anew, doubled each time in vain up to the longest; each is shortened by up to
        half, at random, so that desks do not come back all at once.
    message_bytes_max : int
        A longer message ends the connection.
    """

    kind: Literal["files", "exchange"] = "files"
    dialect: DialectName = "binance"
    url: str = ""
    snapshot_url: str = ""
    symbols: dict[str, str] = {}
    channels: tuple[Literal["bar", "trade", "quote", "book"], ...] = ("bar",)
    period: str = "1m"
    book_levels: int = 5
    backfill_bars: int = 500
    backfill_trades: int = 5_000
    backfill_s_max: float = 30.0
    authority: str = ""
    silence_s_max: float = 30.0
    open_s_max: float = 10.0
    retry_s_min: float = 0.5
    retry_s_max: float = 60.0
    message_bytes_max: int = 8_388_608

    def __post_init__(self) -> None:
        """Refuse what could not be followed."""
        for name in ("silence_s_max", "open_s_max", "backfill_s_max", "retry_s_min", "message_bytes_max"):
            if not getattr(self, name) > 0:
                raise ValueError(f"feed {name} is {getattr(self, name)}, allowed is a positive number")
        if not self.retry_s_max >= self.retry_s_min:
            raise ValueError(f"feed retry_s_max is {self.retry_s_max}, allowed is at least {self.retry_s_min}")
        for name in ("backfill_bars", "backfill_trades"):
            if not 0 <= getattr(self, name) <= BACKFILL_MAX:
                raise ValueError(f"feed {name} is {getattr(self, name)}, allowed is 0 to {BACKFILL_MAX:,}")
        if not 1 <= self.book_levels <= 10:
            raise ValueError(f"feed book_levels is {self.book_levels}, allowed is 1 to 10")
        if self.kind == "exchange" and not (self.symbols and self.channels):
            raise ValueError('feed symbols or channels are empty; name what to follow: symbols = { ETH = "ETHUSDT" }')
        if len(set(self.symbols.values())) < len(self.symbols):
            raise ValueError("feed symbols name the same market twice; one market is one instrument")
        period_ns(self.period)
        _check_url("url", self.stream_url, ("wss", "ws"))
        _check_url("snapshot_url", self.history_url, ("https", "http"))

    @property
    def period_ns(self) -> int:
        """The length of bars."""
        return period_ns(self.period)

    @property
    def stream_url(self) -> str:
        """The stream to connect to."""
        return self.url or {"binance": binance.URL, "coinbase": coinbase.URL}[self.dialect]

    @property
    def history_url(self) -> str:
        """Where whole books and bars of the past are asked for."""
        return self.snapshot_url or {"binance": binance.SNAPSHOT_URL, "coinbase": coinbase.HISTORY_URL}[self.dialect]

    @property
    def bars_asked_max(self) -> int:
        """How many bars of the past are asked for: none of another market than the stream's."""
        return self.backfill_bars if "bar" in self.channels and self._knows_past else 0

    @property
    def trades_asked_max(self) -> int:
        """How many missing trades are asked for; as `bars_asked_max`."""
        return self.backfill_trades if "trade" in self.channels and self._knows_past else 0

    @property
    def _knows_past(self) -> bool:
        """Whether it is known where the past of the stream's own market is asked for."""
        return bool(self.snapshot_url) or not self.url

    def speaker(self) -> Dialect:
        """Return who speaks the exchange's dialect."""
        return Binance() if self.dialect == "binance" else Coinbase()


def _check_url(name: str, url: str, schemes: tuple[str, str]) -> None:
    """Want an encrypted address, or one of this machine."""
    encrypted, plain = schemes
    parts = urlsplit(url)
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError(f"feed {name} is {url!r}, allowed is an address that begins with {encrypted}://")
    if parts.scheme == plain and parts.hostname not in LOOPBACK:
        raise ValueError(f"feed {name} is {url!r}; {plain}:// is allowed for this machine only, use {encrypted}://")
