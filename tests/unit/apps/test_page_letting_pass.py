"""A refused order on its page: two people of two roles let it pass the check that refused it, once."""

import re

import pytest
from page_visitors import do, visiting
from small_project import at, looked_at

from tradeworthy.apps.commands.project import Project
from tradeworthy.apps.dashboard.deciding import Filter, decisions_before
from tradeworthy.core import facts


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A desk whose limit of an order's value stops every order."""
    project = at("promoted", tmp_path_factory.mktemp("stopped"))
    settings = project.folder / "tradeworthy.toml"
    text = settings.read_text("utf-8").replace("order_value_max = 50_000.0", "order_value_max = 5_000.0")
    settings.write_text(text, "utf-8")
    project = Project(project.folder)
    project.run(watch=False)
    return project


@pytest.fixture
def orders(stopped):
    """Refused orders that no test has spoken about yet, the newest first."""
    spoken = {entry.fact.order for entry in stopped.ledger.facts(facts.OrderOverridden, facts.OrderOverrideEnded)}
    found = decisions_before(stopped, Filter(code="ORDER_VALUE"), count=50)
    return [each for each in found if each.sequence not in spoken]


def section(client, order):
    """Return what an order's page says about letting it pass; nothing where it does not."""
    page = client.get(f"/decisions/{order.sequence}").text
    return page.partition('id="passing"')[2].partition("</section>")[0]


def told(client, order):
    """Return what the last form did."""
    return re.search(r'class="told \w+"[^>]*>([^<]*)<', client.get(f"/decisions/{order.sequence}").text)[1]


def test_two_people_let_it_pass(stopped, orders):
    """The first is listed and waited for; the second, of another role, makes it count, up to what both agreed on."""
    order = orders[0]
    step = f"/do/decisions/{order.sequence}/override"
    with visiting(stopped, "tom") as client:
        assert "Nobody has let it pass." in section(client, order)
        assert "What the check of order value has stopped" in section(client, order)
        do(client, step, minutes="30", up_to="20,000", reason="a large client order")
        assert told(client, order) == (
            "tom lets it pass order value; that counts once another person of another role says so here."
        )
        for said in ("tom", "trader", "a large client order", "20,000"):
            assert said in section(client, order)
        do(client, step, minutes="30", up_to="", reason="again")
        assert "another person of another role must" in told(client, order)
    with visiting(stopped, "rita") as client:
        do(client, step, minutes="10", up_to="", reason="I have called them")
        assert told(client, order).startswith("The next order of ABC may pass order value, once, until 20")
        assert "I have called them" in section(client, order)
    given = [(e.actor, e.fact.up_to, e.fact.roles) for e in stopped.ledger.facts(facts.OrderOverridden)]
    assert given[-2:] == [("tom", 20_000.0, ["trader"]), ("rita", given[-1][1], ["risk"])]
    assert given[-1][1] == pytest.approx(order.observed)


def test_what_has_ended_is_told_and_offered_to_nobody(stopped, orders):
    """The order that was sent under it is one click away."""
    order = orders[0]
    ended = facts.OrderOverrideEnded(order=order.sequence, instrument="ABC", how="sent", sent=orders[1].sequence)
    stopped.ledger.append(ended, actor="engine", reason="over")
    with visiting(stopped, "tom") as client:
        said = section(client, order)
        assert "It is over: an order was sent, by " in said
        assert f'href="/decisions/{orders[1].sequence}"' in said
        assert "<form" not in said


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"minutes": "0", "reason": "x"}, "minutes is 0, allowed is 1 to 1440"),
        ({"minutes": "2.5", "reason": "x"}, "minutes is '2.5', allowed is a whole number"),
        ({"minutes": "", "reason": "x"}, "minutes is '', allowed is a whole number"),
        ({"minutes": "5", "up_to": "1", "reason": "x"}, "up to 1 is not allowed: the check observed"),
        ({"minutes": "5", "up_to": "inf", "reason": "x"}, "up to inf is not allowed"),
        ({"minutes": "5", "up_to": "much", "reason": "x"}, "up_to is 'much', allowed is a number"),
        ({"minutes": "5", "reason": " "}, "reason is empty"),
    ],
)
def test_what_is_not_allowed_is_refused_in_words(stopped, orders, sent, said):
    """A time, a value or a reason that does not fit: nothing is recorded."""
    with visiting(stopped, "tom") as client:
        before = stopped.ledger.head()
        do(client, f"/do/decisions/{orders[0].sequence}/override", **sent)
        assert said in told(client, orders[0]).replace("&#x27;", "'")
    assert stopped.ledger.head() == before


def test_who_may_not_is_told_who_could(stopped, orders):
    """An admin sees what was said, has no form, and changes nothing by sending one."""
    before = stopped.ledger.head()
    with visiting(stopped, "adam") as client:
        assert "It needs the role trader or risk or approver." in section(client, orders[0])
        assert "<form" not in section(client, orders[0])
        do(client, f"/do/decisions/{orders[0].sequence}/override", minutes="5", reason="x")
        assert "'override' is not open to adam here" in told(client, orders[0])
    assert [e for e in stopped.ledger.facts(after=before[0]) if isinstance(e.fact, facts.OrderOverridden)] == []


def test_an_order_that_was_sent_has_no_such_section():
    """Nor has a halt: nobody may let an order pass a halt."""
    project = looked_at("traded")
    sent = decisions_before(project, Filter(outcome="orders"), count=1)[0]
    with visiting(project, "tom") as client:
        assert section(client, sent) == ""


def test_a_halt_cannot_be_passed(tmp_path):
    """What a halt refused is offered to nobody; it takes a resume."""
    project = at("promoted", tmp_path)
    project.halt("all", actor="tom", reason="drill")
    project.run(watch=False)
    halted = decisions_before(project, Filter(code="HALTED"), count=1)[0]
    with visiting(project, "tom") as client:
        assert section(client, halted) == ""
        do(client, f"/do/decisions/{halted.sequence}/override", minutes="5", reason="x")
        assert "which nobody can override" in told(client, halted)
