"""The ledger on a real PostgreSQL server on loopback: chained, guarded, appended to by several processes, killed."""

import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from tradeworthy.core.errors import RecordNewer, RecordUnwritable
from tradeworthy.core.facts import LimitsChanged, TradingHalted, TradingResumed
from tradeworthy.core.limits import Limits
from tradeworthy.core.time import VirtualClock
from tradeworthy.record.ledger import Ledger

psycopg = pytest.importorskip("psycopg")

OWNER = "postgres"
WRITERS, EACH = 2, 15


def programs():
    """Return the folder of the server's programs, or skip; on CI they must be there."""
    places = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in places:
        if (place / "initdb").exists() and (place / "postgres").exists():
            return place
    if os.environ.get("CI") == "true":
        pytest.fail("PostgreSQL is not installed, and CI must test the ledger on it: apt-get install postgresql")
    return pytest.skip("PostgreSQL is not installed: apt-get install postgresql")


class Server:
    """A PostgreSQL server of its own, on a free port; root runs it as the user that the package makes."""

    def __init__(self, folder) -> None:
        self.folder, self._programs = folder, programs()
        self._who = {"user": OWNER, "group": OWNER} if os.getuid() == 0 else {}
        if self._who:
            shutil.chown(folder, OWNER, OWNER)
        with closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._run("initdb", "-D", folder / "data", "-U", OWNER, "-A", "trust", "--no-sync")
        self.start()

    def _run(self, program, *arguments: object) -> None:
        command = [str(self._programs / program), *map(str, arguments)]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, **self._who)

    def start(self):
        """Start it, and return when it answers."""
        command = [self._programs / "postgres", "-D", self.folder / "data", "-h", "127.0.0.1"]
        command += ["-p", str(self.port), "-k", self.folder]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                list(map(str, command)), stdout=log, stderr=log, cwd=self.folder, **self._who
            )
        for _ in range(600):
            try:
                psycopg.connect(host="127.0.0.1", port=self.port, user=OWNER, dbname="postgres").close()
            except psycopg.OperationalError:
                assert self.process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.05)
            else:
                return
        pytest.fail((self.folder / "log").read_text())

    def kill(self):
        """End it as a power cut would, its children with it."""
        self.process.send_signal(signal.SIGQUIT)  # immediate: no checkpoint is written, the next start recovers
        self.process.wait(timeout=30)

    def database(self, name):
        """Make a database and return its address."""
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user=OWNER, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return f"postgresql+psycopg://{OWNER}@127.0.0.1:{self.port}/{name}"


@pytest.fixture(scope="module")
def server():
    folder = Path(tempfile.mkdtemp(prefix="ledger-"))
    made = Server(folder)
    yield made
    made.kill()
    shutil.rmtree(folder)


NAMES = (f"ledger_{number}" for number in range(1_000))


@pytest.fixture
def address(server):
    return server.database(next(NAMES))


@pytest.fixture
def ledger(address):
    made = Ledger(address, clock=VirtualClock(42))
    yield made
    made.close()


def test_facts_are_chained_and_found(ledger, address):
    """The same facts, numbers and hashes as in SQLite, and again after opening anew."""
    twin = Ledger("sqlite://", clock=VirtualClock(42))
    for fact in (TradingHalted(scope="all"), LimitsChanged(scope="desk", limits=Limits(order_value_max=1.5))):
        assert ledger.append(fact, actor="ann", reason="because") == twin.append(fact, actor="ann", reason="because")
    assert ledger.head() == twin.head()
    again = Ledger(address, clock=VirtualClock(43))
    assert again.facts() == twin.facts()
    assert [entry.number for entry in again.facts(LimitsChanged, after=1)] == [2]
    assert again.append(TradingResumed(scope="all"), actor="bob", reason="over") == 3
    assert again.verify() == []
    again.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE facts SET actor = 'eve' WHERE number = 1",
        "DELETE FROM facts WHERE number = 1",
        "TRUNCATE facts",
        "INSERT INTO facts SELECT number + 7, ts_ns, actor, reason, kind, body, previous, 'x' FROM facts",
        "INSERT INTO facts SELECT number, ts_ns, actor, reason, kind, body, previous, 'x' FROM facts",
    ],
)
def test_the_database_refuses_changes(ledger, address, statement):
    """Nobody changes, deletes or leaves out a fact through SQL, whatever rights they have on the table."""
    ledger.append(TradingHalted(scope="all"), actor="ann", reason="drill")
    engine = sa.create_engine(address)
    with pytest.raises(sa.exc.DBAPIError), engine.begin() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()
    assert ledger.verify() == []


def test_what_somebody_changed_around_the_guards_is_found(ledger, address):
    """A superuser can drop the triggers; the chain tells."""
    for scope in ("all", "instrument:ETH", "all"):
        ledger.append(TradingHalted(scope=scope), actor="ann", reason="drill")
    engine = sa.create_engine(address)
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE facts DISABLE TRIGGER ALL"))
        connection.execute(sa.text("UPDATE facts SET actor = 'eve' WHERE number = 2"))
        connection.execute(sa.text("DELETE FROM facts WHERE number = 1"))
    engine.dispose()
    assert [problem[:20] for problem in ledger.verify()] == ["fact 1 is missing: t", "fact 2 (TradingHalte"]


def append_some(address, name):
    """Append facts from a process of its own."""
    ledger = Ledger(address, clock=VirtualClock(1))
    for place in range(EACH):
        ledger.append(TradingHalted(scope="all"), actor=name, reason=str(place))
    ledger.close()


def test_several_processes_append_at_once(ledger, address):
    """Each fact gets a number of its own and follows the one before, whoever wrote that."""
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=append_some, args=(address, f"w{n}")) for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    found = ledger.facts()
    assert [entry.number for entry in found] == list(range(1, WRITERS * EACH + 1))
    assert ledger.verify() == []
    for n in range(WRITERS):
        assert [entry.reason for entry in found if entry.actor == f"w{n}"] == [str(place) for place in range(EACH)]


def test_a_server_that_dies_loses_no_fact(server, ledger):
    """Facts that were acknowledged are there after the server was killed; meanwhile the ledger says what failed."""
    for place in range(5):
        ledger.append(TradingHalted(scope="all"), actor="ann", reason=str(place))
    server.kill()
    with pytest.raises(RecordUnwritable, match="cannot be written"):
        ledger.append(TradingResumed(scope="all"), actor="ann", reason="too early")
    server.start()
    assert [entry.reason for entry in ledger.facts()] == [str(place) for place in range(5)]
    assert ledger.append(TradingResumed(scope="all"), actor="ann", reason="now") == 6
    assert ledger.verify() == []


def test_a_newer_ledger_is_refused(ledger, address):
    """A ledger of a later format is told by its number."""
    engine = sa.create_engine(address)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE ledger SET format = 9"))
    engine.dispose()
    with pytest.raises(RecordNewer, match="format 9"):
        Ledger(address, clock=VirtualClock(1))


def test_a_server_that_is_not_there(server):
    """An address where nobody answers is an operating error in words."""
    with pytest.raises(RecordUnwritable, match="cannot be opened"):
        Ledger(f"postgresql+psycopg://{OWNER}@127.0.0.1:{server.port}/nothing", clock=VirtualClock(1))
