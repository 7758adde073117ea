"""The feed on a real WebSocket server of this machine: every fault, told and survived."""

import asyncio
import datetime as dt
import gc
import socket

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from exchange_desk import DIALECTS, START_NS, book_news, feed_settings, follow, gaps, make_feed, opened, read

from tradeworthy.apps.feed.sockets import Sockets
from tradeworthy.core.errors import FeedRefused, SettingsInvalid
from tradeworthy.core.events import Gap, Kind
from tradeworthy.core.time import NS_PER_MINUTE, NS_PER_S, SystemClock
from tradeworthy.live.feeds.exchange.figures import Figures
from tradeworthy.live.feeds.exchange.lanes import Known
from tradeworthy.testing.exchange.script import News, bars_news
from tradeworthy.testing.exchange.server import Exchange

BOOK_LOST = [(Gap.CUT, Kind.BOOK), (Gap.LOST, Kind.BOOK)]
PACE_S = 0.01


def trades(count):
    return [
        News("trade", "ETHUSDT", START_NS + n * NS_PER_S, n, (f"{300 + n / 100:.2f}", "0.5"), side=1 if n % 2 else -1)
        for n in range(1, count + 1)
    ]


def quotes(count):
    return [
        News(
            "quote",
            "ETHUSDT",
            START_NS + n * NS_PER_S,
            n,
            (f"{300 + n / 100:.2f}", f"{300.05 + n / 100:.2f}", "1.0", "2.0"),
        )
        for n in range(1, count + 1)
    ]


def bars(count, period_ns=NS_PER_MINUTE):
    start_ns = START_NS // (5 * NS_PER_MINUTE) * 5 * NS_PER_MINUTE
    return bars_news("ETHUSDT", [300.0 + n / 10 for n in range(count)], start_ns=start_ns, period_ns=period_ns)


def kept(events, kind):
    return events[events["kind"] == kind]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_undisturbed_book_is_delivered_change_by_change(dialect):
    """Without a gap, each change once, as deep as wanted."""
    news = book_news(40)
    events, feed, _ = follow(news, dialect, pace_s=PACE_S)
    assert gaps(events) == []
    stamps = events["ts_event_ns"]
    assert len(stamps) >= 35
    assert (np.diff(stamps) >= 0).all()
    assert events["values"].shape[1] == 20
    assert feed.figures.cuts == feed.figures.losses == feed.figures.unreadable == 0


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("wrong", ["drop", "swap", "half", "cut", "malformed", "wrong type", "text", "crossed"])
def test_a_book_that_misses_a_change_is_told_and_made_whole(dialect, wrong):
    """The gap is told at once, the loss before the next book; the last book is there."""
    events, feed, _ = follow(book_news(60), dialect, pace_s=PACE_S, faults={20: wrong})
    assert gaps(events)[:2] == BOOK_LOST
    assert events[-1]["kind"] == Kind.BOOK
    assert feed.figures.losses >= 1
    assert feed.figures.unreadable == (wrong in {"malformed", "wrong type", "text"})


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("wrong", ["twice", "unknown"])
def test_what_says_nothing_new_is_counted_and_costs_nothing(dialect, wrong):
    """A repeated change, or a channel that nobody asked for."""
    events, feed, _ = follow(book_news(40), dialect, pace_s=PACE_S, faults={20: wrong, 25: wrong})
    assert gaps(events) == []
    assert (feed.figures.repeated, feed.figures.unknown) == ((2, 0) if wrong == "twice" else (0, 2))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_message_that_is_too_long_ends_the_connection_not_the_feed(dialect):
    """Its bytes are never held; the next connection goes on."""
    small = {"message_bytes_max": 100_000}
    events, feed, exchange = follow(book_news(60), dialect, pace_s=PACE_S, faults={20: "huge"}, settings=small)
    assert gaps(events)[:2] == BOOK_LOST
    assert exchange.connections == 2
    assert feed.figures.connections == 2


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_silent_stream_is_given_up(dialect):
    """Pings are answered, nothing is said: the feed says so and connects anew."""
    events, feed, exchange = follow(
        book_news(160), dialect, pace_s=PACE_S, faults={20: "silence"}, settings={"silence_s_max": 0.4}
    )
    assert exchange.connections >= 2
    assert feed.figures.said.startswith("nothing came for")
    assert gaps(events)[:2] == BOOK_LOST


class Gone(ConnectionError):
    """An answer that did not come."""


class Refusing(Sockets):
    """Streams, but tells nobody a whole book."""

    async def fetch(self, _):
        raise Gone("no answer")


def test_an_answer_that_did_not_come_is_not_held_while_the_next_is_waited_for():
    """The engine collects only what is young: what lives as long as a pause would stay for ever in a circle."""
    held = []

    async def sleep(seconds) -> None:
        gc.collect()
        held.append(sum(type(each) is Gone for each in gc.get_objects()))
        await asyncio.sleep(seconds)

    async def run() -> None:
        dial = Refusing(bytes_max=1_000_000, timeout_s=5.0)
        async with opened(Exchange(book_news(60), pace_s=PACE_S, waits=True)) as exchange:
            feed = make_feed(feed_settings(port=exchange.port), dial=dial, sleep=sleep)
            reading = asyncio.create_task(read(feed, until=lambda _: False))
            while len(held) < 3 and not reading.done():  # noqa: ASYNC110 - a feed tells nobody that it pauses
                await asyncio.sleep(0.01)
            feed.close()
            await reading

    asyncio.run(run())
    assert held[:3] == [0, 0, 0]


def test_an_old_whole_book_is_never_believed():
    """Snapshots older than the stream are asked for again; no book is delivered from one."""
    news = book_news(100)
    events, feed, exchange = follow(news, pace_s=PACE_S, faults={20: "drop"}, stale_snapshots=3)
    assert exchange.snapshots >= 4
    assert feed.figures.resyncs >= 4
    assert gaps(events) == BOOK_LOST
    assert events[-1]["ts_event_ns"] == news[-1].ts_ns


@pytest.mark.parametrize("dialect", DIALECTS)
def test_lost_trades_are_counted_by_their_numbers(dialect):
    """Two missing ones are a gap of two on one dialect; on the other the connection is made anew, and misses more."""
    events, _, _ = follow(trades(50), dialect, channels=["trade"], pace_s=PACE_S, faults={20: "drop", 21: "drop"})
    found = kept(events, Kind.GAP)
    lost = found["values"][found["values"][:, 0] == Gap.LOST, 2]
    numbers = kept(events, Kind.TRADE)["reference"].astype(int)
    assert lost.sum() == 50 - (numbers[0] - 1) - len(numbers)
    assert lost[0] >= 2
    assert (np.diff(numbers) > 0).all()
    assert set(kept(events, Kind.TRADE)["values"][:, 2]) == {1.0, -1.0}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_quotes_after_a_cut_say_that_others_are_missing(dialect):
    """How many nobody can know."""
    events, _, _ = follow(
        quotes(50), dialect, channels=["quote"], pace_s=PACE_S, faults={20: "cut"}, until=lambda found: len(found) > 35
    )
    assert gaps(events) == [(Gap.CUT, Kind.QUOTE), (Gap.LOST, Kind.QUOTE)]
    assert np.isnan(kept(events, Kind.GAP)["values"][:, 2]).all()
    first = kept(events, Kind.QUOTE)[0]["values"]
    assert first[1] - first[0] == pytest.approx(0.05)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_bars_come_when_they_are_closed(dialect):
    """Each once, stamped with its close, prices to the bit."""
    news = bars(20, 5 * NS_PER_MINUTE if dialect == "coinbase" else NS_PER_MINUTE)
    events, _, _ = follow(news, dialect, channels=["bar"], pace_s=PACE_S)
    assert gaps(events) == []
    assert events["ts_event_ns"].tolist() == [each.ts_ns for each in news][-len(events) :]
    assert events["values"][:, :5].tolist() == [[float(text) for text in each.texts] for each in news][-len(events) :]


def test_a_cut_between_two_bars_loses_nothing():
    """A connection that is back before the next bar closes tells only that it was away."""
    news = bars(20)
    events, feed, _ = follow(news, channels=["bar"], pace_s=PACE_S, faults={12: "away"})
    assert gaps(events) == [(Gap.CUT, Kind.BAR)]
    assert feed.figures.connections == 2
    heard = kept(events, Kind.BAR)["ts_event_ns"].tolist()
    assert heard == [each.ts_ns for each in news][-len(heard) :]
    assert len(heard) >= 10


@pytest.mark.parametrize(("behind", "missed"), [(1, 0.0), (4, 3.0)])
def test_a_restarted_feed_knows_from_the_tape_what_it_missed(behind, missed):
    """Bars that follow the last recorded one are whole; others are told before the first."""
    news = bars(10)
    known = {(0, Kind.BAR): Known(news[0].ts_ns - behind * NS_PER_MINUTE + NS_PER_MINUTE, 0)}
    events, _, _ = follow(news, channels=["bar"], pace_s=PACE_S, known=known)
    lost = kept(events, Kind.GAP)["values"][:, 2].tolist()
    first = int(kept(events, Kind.BAR)["ts_event_ns"][0] - news[0].ts_ns) // NS_PER_MINUTE
    assert lost == ([] if missed + first - 1 < 0 else [missed + first - 1] if missed + first > 1 else lost)


def test_a_bar_that_was_recorded_is_not_delivered_again():
    """A feed that starts behind the tape waits for what is new."""
    news = bars(10)
    known = {(0, Kind.BAR): Known(news[6].ts_ns, 0)}
    events, feed, _ = follow(news, channels=["bar"], pace_s=PACE_S, known=known)
    assert events["ts_event_ns"].tolist() == [each.ts_ns for each in news[7:]]
    assert feed.figures.repeated >= 5


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_refused_subscription_ends_the_feed_with_its_words(dialect):
    """Before anything ever came, nobody would be helped by trying again."""
    with pytest.raises(FeedRefused, match=r"Invalid request.*symbols"):
        follow(trades(5), dialect, channels=["trade"], refuses=True)


def test_an_exchange_that_is_not_there_is_tried_again():
    """Until it listens; what it was is said meanwhile."""

    async def run() -> tuple[str, int, np.ndarray]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        feed = make_feed(feed_settings(port=port, channels=["trade"]))
        reading = asyncio.create_task(read(feed, until=lambda events: len(events) >= 5))
        while not feed.figures.said:  # noqa: ASYNC110 - a feed tells nobody of what it says
            await asyncio.sleep(0.01)
        said, connections = feed.figures.said, feed.figures.connections
        async with opened(Exchange(trades(50), pace_s=PACE_S), port):
            return said, connections, await reading

    said, connections, events = asyncio.run(run())
    assert "cannot be reached" in said
    assert connections == 0
    assert len(events) >= 5


@pytest.mark.parametrize("skew_s", [-3.0, 0.0, 5.0])
def test_the_exchanges_clock_is_compared_with_ours(skew_s):
    """Its offset is found to milliseconds, and lag does not count it."""
    clock = SystemClock()
    _, feed, _ = follow(
        book_news(60), channels=["book"], pace_s=PACE_S, skew_ns=int(skew_s * NS_PER_S), now_ns=clock.now_ns
    )
    figures = feed.figures
    assert figures.clock_offset_ms == pytest.approx(skew_s * 1_000.0, abs=100.0)
    assert 0.0 <= figures.lag_ms <= figures.lag_ms_max < 2_000.0
    assert figures.round_trip_ms > 0.0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for 127.0.0.1, and its key."""
    import ipaddress  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "local exchange")])
    now = dt.datetime.fromtimestamp(SystemClock().now_ns() / NS_PER_S, dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain, private = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return chain, private


def test_a_trusted_certificate_is_followed_stream_and_books(certificate):
    """Over TLS, with an authority of one's own, whole books included."""

    async def run() -> np.ndarray:
        async with opened(Exchange(book_news(60), pace_s=PACE_S, certificate=tuple(map(str, certificate)))) as exchange:
            feed = make_feed(feed_settings(port=exchange.port, tls=True), authority=certificate[0])
            return await read(feed, until=lambda events: len(events) > 5)

    events = asyncio.run(run())
    assert kept(events, Kind.BOOK).size > 5


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate):
    """The machine's authorities do not know it: no message is believed, and the reason is said."""

    async def run() -> Figures:
        async with opened(Exchange(trades(20), pace_s=PACE_S, certificate=tuple(map(str, certificate)))) as exchange:
            feed = make_feed(feed_settings(port=exchange.port, tls=True, channels=["trade"]))
            with pytest.raises(TimeoutError):
                await read(feed, until=lambda _: True, seconds=0.7)
            return feed.figures

    figures = asyncio.run(run())
    assert figures.messages == 0
    assert "certificate" in figures.said.lower()


def test_an_authority_that_cannot_be_read_is_refused_at_once(tmp_path):
    """The message names the file."""
    (tmp_path / "empty.pem").write_text("nothing", "utf-8")
    for name in ("empty.pem", "missing.pem"):
        with pytest.raises(SettingsInvalid, match=name):
            Sockets(bytes_max=1, timeout_s=1.0, authority=tmp_path / name)
