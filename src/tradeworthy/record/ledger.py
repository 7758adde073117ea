"""The ledger: the few, precious facts about versions, limits and people, each chained to the one before by its hash.

Idea:   an append-only SQL table. An entry's hash covers its number, time, actor, reason, kind, body and the hash of
        the entry before it, so nothing can be changed, taken out or put in without breaking the chain from there on.
        Triggers refuse UPDATE, DELETE and any number out of turn; `verify` finds what someone changed around them.
State:  the database is the state; several processes may append, one at a time (the database's lock orders them).
Time:   `ts_ns` is stamped from the clock when an entry is written; entries are ordered by number, not by time.
Limits: a hash chain does not notice a tail cut off as a whole: publish `head()` elsewhere.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec
import sqlalchemy as sa

from tradeworthy.core.errors import (
    UNDECODABLE,
    DataInvalid,
    Overtaken,
    RecordCorrupt,
    RecordNewer,
    RecordUnwritable,
    TradeworthyError,
)
from tradeworthy.core.facts import AnyFact, Fact
from tradeworthy.core.time import Clock

FORMAT = 1
BUSY_TIMEOUT_S = 30
_GENESIS = "0" * 64
_KINDS: dict[type[Fact], str] = {kind: kind.__name__ for kind in get_args(AnyFact)}
_META = sa.MetaData()

Made = TypeVar("Made", bound=AnyFact | None)

FACTS = sa.Table(
    "facts",
    _META,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("ts_ns", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False, index=True),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("previous", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
)

LEDGER = sa.Table("ledger", _META, sa.Column("format", sa.Integer, primary_key=True))

_SQLITE_GUARDS = (
    (
        "CREATE TRIGGER IF NOT EXISTS facts_no_update BEFORE UPDATE ON facts "
        "BEGIN SELECT RAISE(ABORT, 'facts are never changed'); END"
    ),
    (
        "CREATE TRIGGER IF NOT EXISTS facts_no_delete BEFORE DELETE ON facts "
        "BEGIN SELECT RAISE(ABORT, 'facts are never deleted'); END"
    ),
    (
        "CREATE TRIGGER IF NOT EXISTS facts_in_turn BEFORE INSERT ON facts "
        "WHEN NEW.number <> (SELECT COALESCE(MAX(number), 0) + 1 FROM facts) "
        "BEGIN SELECT RAISE(ABORT, 'facts are numbered in turn'); END"
    ),
)

_POSTGRES_GUARDS = (
    (
        "CREATE OR REPLACE FUNCTION facts_guard() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'facts are never changed or deleted'; END $$"
    ),
    (
        "CREATE OR REPLACE TRIGGER facts_no_change BEFORE UPDATE OR DELETE ON facts "
        "FOR EACH ROW EXECUTE FUNCTION facts_guard()"
    ),
    "CREATE OR REPLACE TRIGGER facts_no_truncate BEFORE TRUNCATE ON facts EXECUTE FUNCTION facts_guard()",
    (
        "CREATE OR REPLACE FUNCTION facts_turn() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF NEW.number <> (SELECT COALESCE(MAX(number), 0) + 1 FROM facts) "
        "THEN RAISE EXCEPTION 'facts are numbered in turn'; END IF; RETURN NEW; END $$"
    ),
    ("CREATE OR REPLACE TRIGGER facts_in_turn BEFORE INSERT ON facts FOR EACH ROW EXECUTE FUNCTION facts_turn()"),
)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One fact with its place, time and author.

    Attributes
    ----------
    number : int
        Place in the ledger, from 1 without a gap.
    ts_ns : int
        When it was written, UTC nanoseconds.
    actor, reason : str
        Who did it, and why.
    fact : AnyFact
        What happened.
    hash : str
        SHA-256 (hexadecimal) of the entry and of the hash before it.
    """

    number: int
    ts_ns: int
    actor: str
    reason: str
    fact: AnyFact
    hash: str


def _digest(*, previous: str, number: int, ts_ns: int, actor: str, reason: str, kind: str, body: str) -> str:
    """Return the hash of an entry: SHA-256 of a JSON list, which no two different entries share."""
    content = msgspec.json.encode([previous, number, ts_ns, actor, reason, kind, body])
    return hashlib.sha256(content).hexdigest()


def _begin_in_turn(engine: sa.Engine) -> None:
    """Let SQLite take its write lock when a transaction begins, so that appenders queue instead of failing."""

    @sa.event.listens_for(engine, "connect")
    def _connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY_TIMEOUT_S * 1000}"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        if not connection.get_execution_options().get("reading"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")


class Ledger:
    """An append-only chain of facts in a database.

    Parameters
    ----------
    url_or_path : str or Path
        A SQLAlchemy URL (``postgresql+psycopg://...``), or the path of a SQLite file; created if missing.
    clock : Clock
        Stamps entries.

    Raises
    ------
    RecordNewer
        A newer release wrote it.
    RecordUnwritable
        The database cannot be opened.

    Examples
    --------
    >>> from tradeworthy.core.facts import TradingHalted
    >>> from tradeworthy.core.time import VirtualClock
    >>> ledger = Ledger("sqlite://", clock=VirtualClock(1))
    >>> ledger.append(TradingHalted(scope="all"), actor="ann", reason="drill")
    1
    >>> [entry.actor for entry in ledger.facts(TradingHalted)]
    ['ann']
    """

    def __init__(self, url_or_path: str | Path, *, clock: Clock) -> None:
        self.address = str(url_or_path)
        self._clock = clock
        self._engine = _engine(url_or_path)
        self._sqlite = self._engine.dialect.name == "sqlite"
        if self._sqlite:
            _begin_in_turn(self._engine)
        try:
            with self._errors("opened"):
                self._create()
        except TradeworthyError:
            self.close()
            raise

    def _create(self) -> None:
        with self._engine.begin() as connection:
            self._serialize_creation(connection)
            _META.create_all(connection)
            for statement in _SQLITE_GUARDS if self._sqlite else _POSTGRES_GUARDS:
                connection.exec_driver_sql(statement)
            number = connection.execute(sa.select(LEDGER.c.format)).scalar()
            if number is None:
                connection.execute(sa.insert(LEDGER).values(format=FORMAT))
            elif number > FORMAT:
                raise RecordNewer(f"the ledger has format {number}, this release reads up to {FORMAT}. Upgrade")

    def _serialize_creation(self, connection: sa.Connection) -> None:
        if not self._sqlite:
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7238190)")

    def now_ns(self) -> int:
        """Return the time that a fact written now would carry, UTC nanoseconds."""
        return self._clock.now_ns()

    @contextmanager
    def _errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except sa.exc.DBAPIError as error:
            raise RecordUnwritable(f"the ledger cannot be {verb}: {error.orig}") from error

    def append(self, fact: AnyFact, *, actor: str, reason: str, behind: int | None = None) -> int:
        """Write one fact and return its number when it is on the disk.

        Parameters
        ----------
        fact : AnyFact
            What happened; a kind listed in ``core.facts.AnyFact``.
        actor, reason : str
            Who did it, and why; neither may be empty. Bytes that a shell could not decode are
            written out.
        behind : int, optional
            The number of the newest fact that this one was decided on: nothing may have been written since.

        Raises
        ------
        DataInvalid
            The kind of fact is unknown, it holds text that cannot be kept, or actor or reason is empty.
        Overtaken
            Another fact stands behind `behind` already; nothing was written.
        RecordUnwritable
            The database refused.
        """
        kind = _KINDS.get(type(fact))
        if kind is None:
            raise DataInvalid(f"{type(fact).__name__} is not a kind of fact; add it to core.facts.AnyFact")
        if not actor.strip() or not reason.strip():
            raise DataInvalid(f"a fact names its actor and reason; found actor {actor!r}, reason {reason!r}")
        body, actor, reason = _body(fact), _kept(actor), _kept(reason)
        with self._errors("written"), self._engine.begin() as connection:
            if not self._sqlite:
                connection.exec_driver_sql("LOCK TABLE facts IN EXCLUSIVE MODE")
            number, previous = self._head(connection)
            if behind not in {None, number}:
                raise Overtaken(f"fact {number} was written since fact {behind}, on which this step was decided")
            number += 1
            ts_ns = self._clock.now_ns()
            names = {"actor": actor, "reason": reason, "kind": kind, "body": body, "previous": previous}
            digest = _digest(number=number, ts_ns=ts_ns, **names)
            connection.execute(sa.insert(FACTS).values(number=number, ts_ns=ts_ns, hash=digest, **names))
        return number

    def decide(self, make: Callable[[], Made], *, actor: str, reason: str) -> Made:
        """Append the fact that a look at the ledger leads to, and return it; None where it leads to none.

        Where another fact came between look and fact, `make` looks again: of two hands that decide on the same facts
        at once, the second decides on the first one's too.

        Parameters
        ----------
        make : callable
            Reads what it decides on, and returns the fact; it may raise what refuses the step.
        actor, reason : str
            As for `append`, whose errors are raised.
        """
        while True:
            behind = self.head()[0]
            fact = make()
            if fact is None:
                return fact
            with suppress(Overtaken):
                self.append(fact, actor=actor, reason=reason, behind=behind)
                return fact

    @staticmethod
    def _head(connection: sa.Connection) -> tuple[int, str]:
        newest = sa.select(FACTS.c.number, FACTS.c.hash).order_by(FACTS.c.number.desc()).limit(1)
        row = connection.execute(newest).first()
        return (0, _GENESIS) if row is None else (row.number, row.hash)

    def head(self) -> tuple[int, str]:
        """Return the number and the hash of the newest entry, to be published elsewhere; (0, zeros) when empty."""
        with self._reading() as connection:
            return self._head(connection)

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with self._errors("read"), self._engine.connect() as connection:
            yield connection.execution_options(reading=True)

    def facts(self, *types: type[Fact], after: int = 0) -> list[Entry]:
        """Return entries numbered above `after`, oldest first; only of the given kinds, if any are given.

        Raises
        ------
        RecordNewer
            An entry is of a kind that this release does not know.
        RecordCorrupt
            An entry's body cannot be read.
        """
        query = sa.select(FACTS).where(FACTS.c.number > after).order_by(FACTS.c.number)
        if types:
            query = query.where(FACTS.c.kind.in_([kind.__name__ for kind in types]))
        with self._reading() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def verify(self) -> list[str]:
        """Check the whole chain and return what is wrong, in plain words; an empty list where nothing is."""
        problems, previous, expected = [], _GENESIS, 1
        with self._reading() as connection:
            for row in connection.execute(sa.select(FACTS).order_by(FACTS.c.number)):
                problems += _problems(row, previous, expected)
                previous, expected = row.hash, row.number + 1
        return problems

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()


def _engine(url_or_path: str | Path) -> sa.Engine:
    text = str(url_or_path)
    if text == "sqlite://":
        return sa.create_engine(text, poolclass=sa.pool.StaticPool)
    return sa.create_engine(text if "://" in text else f"sqlite:///{text}")


def _body(fact: AnyFact) -> str:
    try:
        return msgspec.json.encode(fact).decode()
    except UnicodeEncodeError as error:
        told = _kept(str(error.object))
        raise DataInvalid(f"{told!r} holds bytes that are no UTF-8; write it in the terminal's own encoding") from None


def _kept(words: str) -> str:
    """Return words with what the shell could not decode written out, so that it keeps no fact from the ledger."""
    return words.encode("utf-8", "backslashreplace").decode()


def _entry(row: Any) -> Entry:
    if row.kind not in _KINDS.values():
        raise RecordNewer(f"fact {row.number} is a {row.kind!r}, which this release does not know. Upgrade")
    try:
        fact = msgspec.json.decode(row.body, type=AnyFact)
    except UNDECODABLE as error:
        raise RecordCorrupt(f"fact {row.number} cannot be read: {error}. Run `tradeworthy verify`") from error
    return Entry(number=row.number, ts_ns=row.ts_ns, actor=row.actor, reason=row.reason, fact=fact, hash=row.hash)


def _problems(row: Any, previous: str, expected: int) -> list[str]:
    problems = []
    if row.number != expected:
        problems.append(f"fact {expected} is missing: the next one there is {row.number}")
    elif row.previous != previous:
        problems.append(f"fact {row.number} does not follow the fact before it")
    content = {name: value for name, value in row._asdict().items() if name != "hash"}
    if row.hash != _digest(**content):
        problems.append(f"fact {row.number} ({row.kind} by {row.actor}) was changed: its hash differs")
    return problems
