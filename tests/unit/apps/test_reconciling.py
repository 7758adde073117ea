"""``tradeworthy reconcile``: the paper venue's own account, statements of another, and what is kept of it."""

import json

import numpy as np
import pytest
from command_words import tell
from small_project import ADA, at, looked_at

from tradeworthy.apps.commands.reconciling import PAPER, account_of
from tradeworthy.core.decisions import ORDER
from tradeworthy.core.errors import DataInvalid, NotFound, RecordCorrupt
from tradeworthy.core.events import Kind, event_dtype
from tradeworthy.core.facts import FillsReconciled, FindingRaised
from tradeworthy.record.reader import TapeReader


@pytest.fixture
def project(tmp_path):
    """A project that has traded, to be spoilt."""
    return at("traded", tmp_path)


def own_account(project):
    """Return what the desk believes of its orders."""
    reader = TapeReader(project.places.tape)
    return account_of(reader.read("inputs"), reader.read("orders"), ["ABC"])


def write_csv(path, fills, head="order,instrument,quantity,price,fee"):
    """Write fills as a venue might."""
    lines = [f"{f.order},{f.instrument},{f.quantity!r},{f.price!r},{f.fee!r}" for f in fills]
    path.write_text("\n".join([head, *lines]) + "\n", "utf-8")
    return path


def facts_of(project, kind):
    """Return the facts of a kind."""
    return [entry.fact for entry in project.ledger.facts(kind)]


def test_the_paper_venue_agrees_with_the_tape_and_that_is_a_fact(project):
    """Nothing differs; the ledger says what was compared, up to which record, by whom and why."""
    result = project.reconcile(actor=ADA, reason="monthly")
    assert (result.ok, result.against, result.not_stated, result.believed) == (True, PAPER, [], 0)
    assert result.fills == result.venues_fills > 100
    [entry] = project.ledger.facts(FillsReconciled)
    assert (entry.actor, entry.reason, entry.fact.differences) == (ADA, "monthly", 0)
    assert entry.fact.through_sequence == result.through_sequence
    assert facts_of(project, FindingRaised) == []


def test_other_costs_than_those_of_the_run_are_a_break(project):
    """A fee that was changed after the run shows in every order, and raises a critical finding."""
    settings = project.folder / "tradeworthy.toml"
    settings.write_text(settings.read_text("utf-8") + "\n[paper]\nfee_bps = 25.0\n", "utf-8")
    result = type(project)(project.folder).reconcile(actor=ADA)
    assert {each.kind for each in result.differences} == {"fee"}
    [raised] = facts_of(project, FindingRaised)
    assert (raised.finding.kind, raised.finding.severity) == ("reconciliation", "critical")
    assert "and" not in raised.finding.unit
    assert raised.finding.observed == len(result.differences) == result.orders


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_statement_that_agrees(project, tmp_path, form):
    """Both forms are read; what they do not state is named."""
    account = own_account(project)
    path = tmp_path / f"venue.{form}"
    if form == "csv":
        write_csv(path, account.fills)
    else:
        fills = [
            {"order": f.order, "instrument": "ABC", "quantity": f.quantity, "price": f.price} for f in account.fills
        ]
        path.write_text(json.dumps({"fills": fills, "positions": account.positions}), "utf-8")
    result = project.reconcile(path, actor=ADA)
    assert (result.ok, result.against) == (True, path.name)
    assert result.not_stated == (["positions", "open orders"] if form == "csv" else ["open orders", "fees"])
    [fact] = facts_of(project, FillsReconciled)
    assert len(fact.digest) == 64


def test_a_fill_that_the_venue_lacks_and_one_that_we_lack_are_told(project, tmp_path):
    """A statement with one fill taken out and one put in gives two differences, in words in the fact."""
    fills = own_account(project).fills
    strange = type(fills[0])(order=7, instrument="ABC", quantity=1.0, price=300.0, fee=0.3)
    result = project.reconcile(write_csv(tmp_path / "venue.csv", [*fills[1:], strange]), actor=ADA)
    assert {each.kind for each in result.differences} == {"not at the venue", "unknown order"}
    [fact] = facts_of(project, FillsReconciled)
    assert fact.differences == 2
    assert "order 7 (ABC): unknown order" in fact.first


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("venue.csv", "order,instrument,quantity,price\n1,ABD,1,2\n", "names 'ABD' (near: 'ABC')"),
        ("venue.csv", "order,instrument,quantity,price\n1,ABC,1,2\n1,ABC,x,2\n", "venue.csv, line 3: "),
        ("venue.csv", "order,instrument,quantity,price\n1,ABC,nan,2\n", "quantity is nan, allowed is a finite number"),
        ("venue.json", '{"fills": [], "positions": {"ABC": 1e999}}', "venue.json cannot be read"),
        ("venue.csv", "order,instrument,qty,price\n1,ABC,1,2\n", "line 2: "),
        ("venue.csv", "order,instrument,quantity,price\n,ABC,1,2\n", "missing required field `order`"),
        ("venue.csv", 'order,instrument,quantity,price\n"1,ABC,1,2\n', "cannot be read"),
        ("venue.json", "{", "venue.json cannot be read as a statement"),
        ("venue.json", "[]", "venue.json cannot be read as a statement"),
        ("venue.json", '{"fills": [], "positions": {"XYZ": 1}}', "names 'XYZ'"),
    ],
)
def test_a_statement_that_cannot_be_read_is_refused_and_leaves_no_fact(project, tmp_path, name, text, said):
    """The message says where it is wrong; nothing is kept of a comparison that never was."""
    (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(DataInvalid) as refused:
        project.reconcile(tmp_path / name, actor=ADA)
    assert said in str(refused.value)
    assert facts_of(project, FillsReconciled) == []


def test_without_a_statement_or_a_tape_there_is_nothing_to_compare(project, tmp_path):
    """A file that is not there, and a desk that never ran, are said to be that."""
    with pytest.raises(NotFound, match=r"there is no statement .*none\.csv"):
        project.reconcile(tmp_path / "none.csv", actor=ADA)
    with pytest.raises(NotFound, match="nothing was recorded"):
        looked_at("promoted").reconcile(actor=ADA)


def test_the_command_leaves_with_one_where_accounts_differ(project, tmp_path, capsys):
    """0 where they agree, 1 where they do not, 2 where they could not be compared."""
    folder = project.folder
    assert tell(capsys, "reconcile", "--project", folder)[0] == 0
    path = write_csv(tmp_path / "venue.csv", own_account(project).fills[:-1])
    code, out, _ = tell(capsys, "reconcile", "--project", folder, "--statement", path, "--json")
    assert (code, len(json.loads(out)["differences"])) == (1, 1)
    code, _, error = tell(capsys, "reconcile", "--project", folder, "--statement", tmp_path / "none.csv")
    assert code == 2
    assert "none.csv" in error


def test_what_was_refused_or_was_said_twice_is_in_no_account():
    """A fill that the desk did not believe counts for nothing; a reject closes its order."""
    orders = np.zeros(3, ORDER)
    orders["decision"], orders["quantity"] = [10, 20, 30], [2.0, -1.0, 3.0]
    inputs = np.zeros(4, event_dtype())
    inputs["kind"] = [Kind.FILL, Kind.FILL, Kind.FILL, Kind.REJECT]
    inputs["reference"], inputs["flags"] = [10, 10, 20, 30], [0, 21, 0, 0]
    inputs["values"][:, 0] = [1.5, 1.5, -1.0, 2.0]
    account = account_of(inputs, orders, ["ABC"])
    assert account.positions == {"ABC": 0.5}
    assert account.open_orders == [10]
    assert [fill.order for fill in account.fills] == [10, 20]


def test_fills_of_orders_that_are_lost_are_no_account():
    """A fill is never counted for the order next to the one that is gone: verify has to be run."""
    orders = np.zeros(1, ORDER)
    orders["decision"], orders["quantity"] = 30, 3.0
    inputs = np.zeros(2, event_dtype())
    inputs["kind"], inputs["reference"], inputs["values"][:, 0] = Kind.FILL, [20, 40], 1.0
    with pytest.raises(RecordCorrupt, match="2 orders that were filled, 20 first, are not on the tape"):
        account_of(inputs, orders, ["ABC"])
