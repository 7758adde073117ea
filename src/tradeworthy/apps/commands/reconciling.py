"""The tape beside the venue's own account: read from a statement, or, on paper, made again by the venue itself."""

import csv
import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from tradeworthy.apps.deployment.keeping import recorded
from tradeworthy.change.release.refusals import tell
from tradeworthy.core.decisions import INPUTS, ORDER, ORDERS
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import UNDECODABLE, DataInvalid, NotFound, RecordCorrupt, near
from tradeworthy.core.events import EventBatch, Kind, event_dtype
from tradeworthy.core.facts import FillsReconciled
from tradeworthy.core.findings import Finding
from tradeworthy.judge.reconciliation import Account, Difference, StatedFill, compare
from tradeworthy.live.playback import read_or_none
from tradeworthy.live.venues.base import OrderBatch
from tradeworthy.live.venues.retold import retell
from tradeworthy.record.deletions import read_deletions
from tradeworthy.record.reader import TapeReader

if TYPE_CHECKING:
    from tradeworthy.apps.commands.opened import Opened

PAPER = "the paper venue, shown the tape again"
MONITOR = KIND = "reconciliation"
COLUMNS = ", ".join(StatedFill.__struct_fields__)
TOLD = 3
"""So many differences are told in the fact and the finding; the rest are counted."""


class Reconciled(msgspec.Struct, frozen=True, kw_only=True):
    """What a reconciliation found.

    Attributes
    ----------
    against : str
        Whose account.
    through_sequence : int
        The last record compared.
    orders, fills : int
        On the tape.
    venues_fills : int
        In the venue's account.
    believed : int
        Answers that the paper venue cannot give again, because a crash took the event that caused them.
    not_stated : list of str
        What the venue's account does not say, and was not compared.
    differences : list of Difference
    """

    against: str
    through_sequence: int
    orders: int
    fills: int
    venues_fills: int
    believed: int
    not_stated: list[str]
    differences: list[Difference]

    @property
    def ok(self) -> bool:
        """Whether both accounts agree."""
        return not self.differences


def reconcile_project(project: "Opened", statement: Path | None, *, actor: str, reason: str) -> Reconciled:
    """Compare orders, fills and positions with the venue's account, and keep the outcome as a fact.

    Where they differ, a finding of kind ``reconciliation`` is raised too.

    Parameters
    ----------
    project : Opened
    statement : Path or None
        A CSV or JSON file of the venue; None asks the paper venue.
    actor, reason : str
        Recorded.

    Raises
    ------
    NotFound
        Nothing was recorded, or there is no such file.
    DataInvalid
        The statement cannot be read, or retention deleted what the comparison needs.
    """
    reader = recorded(project)
    _require_whole(reader)
    inputs = read_or_none(reader, INPUTS, event_dtype())
    orders = read_or_none(reader, ORDERS, ORDER)
    symbols = [each.symbol for each in project.settings.instrument]
    ours = account_of(inputs, orders, symbols)
    if statement is None:
        told = retell(reader, project.settings.paper, project.settings.instrument)
        venues = _paper_account(told.answers, told.open_orders, symbols)
        against, believed, digest = PAPER, told.believed, ""
    else:
        venues, digest = read_statement(statement, symbols)
        against, believed = statement.name, 0
    found = compare(
        ours,
        venues,
        sent=frozenset(orders["decision"].tolist()),
        instruments={each.symbol: each for each in project.settings.instrument},
    )
    result = Reconciled(
        against=against,
        through_sequence=int(inputs["sequence"].max(initial=0)),
        orders=len(orders),
        fills=len(ours.fills),
        venues_fills=len(venues.fills),
        believed=believed,
        not_stated=_not_stated(venues),
        differences=found,
    )
    _keep(project, result, digest, actor=actor, reason=reason)
    return result


def account_of(inputs: EventBatch, orders: OrderBatch, symbols: list[str]) -> Account:
    """Return the desk's account: the fills that it believed, what they add up to, and what is open.

    Parameters
    ----------
    inputs : (n,) event records
    orders : (m,) ORDER
    symbols : list of str
        Of the desk's instruments, by number.

    Raises
    ------
    RecordCorrupt
        An order that was filled is not on the tape.
    """
    heard = inputs[inputs["flags"] == DenialCode.NONE]
    fills, positions = _fills(heard, symbols)
    filled = np.zeros(len(orders))
    done = heard[heard["kind"] == Kind.FILL]
    lost = np.setdiff1d(done["reference"], orders["decision"])
    if lost.size:
        raise RecordCorrupt(f"{lost.size} orders that were filled, {lost[0]} first, are not on the tape: run verify")
    np.add.at(filled, np.searchsorted(orders["decision"], done["reference"]), done["values"][:, 0])
    ended = np.isin(orders["decision"], heard["reference"][heard["kind"] == Kind.REJECT])
    rests = ~ended & (np.abs(orders["quantity"] - filled) > 1e-9 * np.abs(orders["quantity"]))
    return Account(fills=fills, positions=positions, open_orders=orders["decision"][rests].tolist())


def _paper_account(answers: EventBatch, left: OrderBatch, symbols: list[str]) -> Account:
    fills, positions = _fills(answers, symbols)
    return Account(fills=fills, positions=positions, open_orders=left["decision"].tolist())


def _fills(answers: EventBatch, symbols: list[str]) -> tuple[list[StatedFill], dict[str, float]]:
    """Return the fills among answers, and the position that they add up to, by symbol."""
    fills = answers[answers["kind"] == Kind.FILL]
    sums = np.bincount(fills["instrument"], weights=fills["values"][:, 0], minlength=len(symbols))
    stated = [
        StatedFill(order=order, instrument=symbols[number], quantity=values[0], price=values[1], fee=values[2])
        for order, number, values in zip(
            fills["reference"].tolist(), fills["instrument"].tolist(), fills["values"][:, :3].tolist(), strict=True
        )
    ]
    return stated, dict(zip(symbols, sums.tolist(), strict=True))


def _not_stated(venues: Account) -> list[str]:
    parts = {"positions": venues.positions, "open orders": venues.open_orders}
    missing = [name for name, part in parts.items() if part is None]
    return missing + (["fees"] if any(fill.fee is None for fill in venues.fills) else [])


def _require_whole(reader: TapeReader) -> None:
    """Refuse a tape of which retention has deleted inputs or orders: what is gone cannot be compared."""
    gone = sorted({each.stream for each in read_deletions(reader.folder).values()} & {INPUTS, ORDERS})
    if gone:
        raise DataInvalid(
            f"retention deleted the oldest {' and '.join(gone)}; reconcile before that, and keep the fact"
        )


def read_statement(path: Path, symbols: list[str]) -> tuple[Account, str]:
    """Read a venue's statement; return it and its SHA-256.

    ``.json`` holds an `Account`; ``.csv`` holds its fills, a line each, under their names, without positions.

    Raises
    ------
    NotFound
        There is no such file.
    DataInvalid
        It cannot be read, or names an instrument that the desk does not have.
    """
    if not path.is_file():
        raise NotFound(f"there is no statement {path}; name a .csv or .json file of the venue's fills")
    data = path.read_bytes()
    try:
        account = _from_csv(data, path.name) if path.suffix == ".csv" else msgspec.json.decode(data, type=Account)
    except (*UNDECODABLE, csv.Error) as error:
        raise DataInvalid(f"{path.name} cannot be read as a statement: {error}") from None
    for symbol in {fill.instrument for fill in account.fills} | set(account.positions or {}):
        if symbol not in symbols:
            raise DataInvalid(f"{path.name} names {symbol!r}{near(symbol, symbols)}; the desk has {', '.join(symbols)}")
    return account, hashlib.sha256(data).hexdigest()


def _from_csv(data: bytes, name: str) -> Account:
    """Read fills from lines under a head; an empty fee is not stated."""
    table = csv.DictReader(io.StringIO(data.decode("utf-8-sig")), strict=True)
    fills = []
    for number, line in enumerate(table, 2):
        told = {column: value for column, value in line.items() if value != ""}
        try:
            fills.append(msgspec.convert(told, StatedFill, strict=False))
        except msgspec.ValidationError as error:
            raise DataInvalid(f"{name}, line {number}: {error}; columns are {COLUMNS}") from None
    return Account(fills=fills)


def _keep(project: "Opened", result: Reconciled, digest: str, *, actor: str, reason: str) -> None:
    """Write the fact and, where the accounts differ, the finding."""
    first = "; ".join(each.sentence() for each in result.differences[:TOLD])
    fact = FillsReconciled(
        against=result.against,
        digest=digest,
        through_sequence=result.through_sequence,
        orders=result.orders,
        fills=result.fills,
        differences=len(result.differences),
        first=first,
    )
    project.ledger.append(fact, actor=actor, reason=reason)
    if result.differences:
        tell(project.ledger, _finding(result, first, project.clock.now_ns()), actor=actor)


def _finding(result: Reconciled, first: str, now_ns: int) -> Finding:
    count = len(result.differences)
    return Finding(
        monitor=MONITOR,
        subject="fills and positions",
        kind=KIND,
        severity="critical",
        sequence=result.through_sequence,
        ts_event_ns=now_ns,
        since_ns=now_ns,
        observed=float(count),
        reference=0.0,
        unit="differences",
        statistic=float(count),
        threshold=0.0,
        false_alarms_per_10k=0.0,
        sentence=f"The tape and {result.against} differ in {count:,} ways: {first}.",
    )
