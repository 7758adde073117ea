"""A worker's parts: the messages, the versions it follows, its way to the tape, the routes of a port without engine."""

import asyncio
import socket

import numpy as np
import pytest
from served import CLOCK, NAME, served

from tradeworthy.apps.server.port import Port
from tradeworthy.apps.server.scores import ScoreLog, scores_dtype, scores_stream
from tradeworthy.apps.server.settings import ServeSettings
from tradeworthy.apps.server.wire import Scored, Standing, Worked, framed, heard
from tradeworthy.apps.server.worker import WAITING_BYTES_MAX, FarTape, RowDesk
from tradeworthy.change.access.doorkeeper import Passed
from tradeworthy.core.errors import BundleRefused, RecordUnwritable


class Shelf:
    """Gives versions by number, counts how often, and refuses some."""

    def __init__(self, desk) -> None:
        self.versions = desk.shelf.versions
        self.refuses: set[int] = set()
        self.loaded: list[int] = []

    def load(self, number):
        """Return a version, or refuse it."""
        self.loaded.append(number)
        if number in self.refuses:
            raise BundleRefused("its signature does not fit")
        return self.versions[number]


def standing(*versions: int, previous=0, failure=None):
    """Return what an engine tells."""
    return Standing([*versions], previous, 17, failure, Passed())


def follow(rows, *told: Standing):
    """Let a row desk follow what it is told, one after the other."""

    async def go() -> None:
        for each in told:
            await rows.follow(each)

    asyncio.run(go())


@pytest.fixture(scope="module")
def desk():
    """A small desk with three versions."""
    with served(versions=3) as made:
        yield made.desk


@pytest.fixture
def shelf(desk):
    """The versions of the desk."""
    return Shelf(desk)


def test_a_worker_serves_what_the_engine_serves(shelf):
    """The first answers where none is named; all that the engine keeps warm can be named; others are let go."""
    one, two, three = shelf.versions
    rows = RowDesk(shelf.load)
    follow(rows, standing(one, two))
    assert rows.champion.version.number == one
    assert [warm.version.number for warm in rows.pipelines()] == [one, two]
    follow(rows, standing(three, one, previous=one))
    assert (rows.leading.version.number, rows.previous.version.number) == (three, one)
    assert {warm.version.number for warm in rows.pipelines()} == {one, three}
    assert rows.leading.name == shelf.versions[three].short


def test_a_rollback_loads_nothing(shelf):
    """The champion before is still here."""
    one, two, _ = shelf.versions
    rows = RowDesk(shelf.load)
    follow(rows, standing(one), standing(two, one, previous=one), standing(one, two, previous=two))
    assert rows.leading.version.number == one
    assert shelf.loaded == [one, two]


def test_who_serves_goes_on_when_the_next_cannot_be_loaded(shelf):
    """The reason is kept as long as it matters; nothing is tried again and again."""
    one, two, _ = shelf.versions
    shelf.refuses.add(two)
    rows = RowDesk(shelf.load)
    follow(rows, standing(one), standing(two, one, previous=one), standing(two, one, previous=one))
    assert rows.leading.version.number == one
    assert rows.refused == {two: "BundleRefused: its signature does not fit"}
    assert shelf.loaded == [one, two]
    follow(rows, standing(one))
    assert rows.refused == {}


def test_a_worker_waits_for_a_version(shelf):
    """Before the first is loaded nobody answers."""
    rows = RowDesk(shelf.load)
    assert rows.champion is None
    with pytest.raises(LookupError, match="no version is loaded yet"):
        _ = rows.leading
    shelf.refuses.update(shelf.versions)
    follow(rows, standing(*shelf.versions))
    assert rows.champion is None


def through(work):
    """Run `work(reader, writer, far)` where `far` is the other end of a pair of sockets that the two use."""

    async def go() -> object:
        ours, far = socket.socketpair()
        with far:
            far.settimeout(60)
            reader, writer = await asyncio.open_connection(sock=ours)
            try:
                return await work(reader, writer, far)
            finally:
                writer.close()
                await asyncio.gather(writer.wait_closed(), return_exceptions=True)

    return asyncio.run(go())


MESSAGES = (
    Scored("scores-0123456789abcdef", 2, 1, b"records"),
    Worked(Passed({"a": (1, 2)}, [("10.0.0.1", "")]), True, {"200": 3}, {2**64 - 1: "why"}),
    Standing([2**64 - 1, 5], 5, 2**40, None, Passed()),
    Standing([], 0, 1, "the disk is full", Passed()),
)


def test_messages_arrive_as_they_were_sent():
    """Whole, in order, however the bytes come; where the other end is gone, the end is told, even within a message."""

    async def work(reader, writer, far) -> object:
        sent = b"".join(framed(each) for each in MESSAGES)
        arrived = []
        for place in range(0, len(sent), 7):
            far.sendall(sent[place : place + 7])
        far.sendall(framed(MESSAGES[0])[:-1])
        far.shutdown(socket.SHUT_WR)
        while (message := await heard(reader)) is not None:
            arrived.append(message)
        return arrived

    assert through(work) == list(MESSAGES)


def test_what_is_scored_goes_to_the_tape(desk):
    """The records are those that the engine's own port would write, but for their frames."""
    version = next(iter(desk.shelf.versions.values()))
    n = len(version.manifest.features)

    async def work(reader, writer, far) -> object:
        tape = FarTape(writer)
        tape.hear(standing(version.number))
        log = ScoreLog(tape)
        log.add(version, np.full((2, n), 0.5), np.full((2, 1), 0.25), "00000000000000ff", 7)
        log.write()
        await writer.drain()
        arrived = asyncio.StreamReader()
        arrived.feed_data(far.recv(65_536))
        return await heard(arrived)

    scored = through(work)
    assert (scored.stream, scored.features, scored.scores) == (scores_stream(version.number), n, 1)
    records = np.frombuffer(scored.records, scores_dtype(n, 1))
    assert records["ts_ns"].tolist() == [7, 7]
    assert records["key"].tolist() == [255, 255]
    assert (records["row"] == 0.5).all()
    assert (records["scores"] == 0.25).all()


def test_nothing_is_scored_that_cannot_be_recorded():
    """Before the engine was heard of, when its tape failed, when it takes nothing, when it is gone."""

    async def work(reader, writer, far) -> object:
        tape, found = FarTape(writer), []
        found.append(tape.failure)
        tape.hear(standing(1, failure="the disk is full"))
        found.append(tape.failure)
        tape.hear(standing(1))
        found.append(tape.failure)
        while tape.failure is None:
            tape.send(Scored("scores-0", 1, 1, bytes(WAITING_BYTES_MAX // 4)))
        found.append(tape.failure)
        with pytest.raises(RecordUnwritable, match="does not take"):
            tape.send(Scored("scores-0", 1, 1, b""))
        writer.transport.abort()
        found.append(tape.failure)
        return found

    unheard, full, fine, stuck, gone = through(work)
    assert "not told" in unheard
    assert full == "the disk is full"
    assert fine is None
    assert "does not take" in stuck
    assert "is gone" in gone


def test_a_port_without_an_engine_has_the_routes_of_rows_only(desk, shelf):
    """Health, metadata, inference and the index; each needs a key of scope infer, or none."""
    with served() as whole:
        rows = RowDesk(shelf.load)
        follow(rows, standing(*list(shelf.versions)[:1]))
        port = Port(whole.project, rows, whole.desk.tape, CLOCK, ServeSettings(port=0))
        assert port.not_ready() is None
        own, all_of_them = ({(route.method, route.path) for route in each.routes.table} for each in (port, whole.port))
    assert own < all_of_them
    assert all(path.startswith("/v2") and "{model}/load" not in path for _, path in own)
    assert ("POST", "/v2/models/{model}/infer") in own
    assert port.models.name == NAME


@pytest.mark.parametrize(("name", "value"), [("workers", -1), ("workers", 257), ("rows_port", 65_536)])
def test_settings_that_cannot_be_are_refused(name, value):
    """What was found, what is allowed."""
    with pytest.raises(ValueError, match=f"{name} is {value}, allowed is 0 to"):
        ServeSettings(**{name: value})
