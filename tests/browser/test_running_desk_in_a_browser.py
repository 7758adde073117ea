"""A desk that trades while people look at its page: what they do there holds from the next event on."""

import http.client
import json
import re
import subprocess
import sys
import time
from contextlib import closing

import pytest
from page_at_work import PASSWORD, WITHIN_MS, need_browser, notice, served
from playwright.sync_api import expect

from tradeworthy.apps.commands.access import create_key
from tradeworthy.apps.commands.project import Project
from tradeworthy.core import facts
from tradeworthy.core.events import Kind
from tradeworthy.record.reader import TapeReader
from tradeworthy.testing.projects import market_frame, write_project

SYMBOL = "ABC"
BARS = market_frame(6_000, seed=7).drop("time").rows(named=True)
FASTER = {
    "orders_per_minute_max = 100.0": "orders_per_minute_max = 1e6",
    "duplicate_window_ms = 1_000.0": "duplicate_window_ms = 0.0",
}
"""Limits of a desk whose bars come as fast as a test can send them."""

SPOKEN = """() => {
    window.spoken = [];
    const keep = (changes) => window.spoken.push(...changes.map((each) => each.target.id || each.target.outerHTML));
    const heard = "[aria-live=polite], output, [role=status], [role=alert]";
    for (const at of document.querySelectorAll(heard)) {
        new MutationObserver(keep).observe(at, { childList: true, subtree: true, characterData: true });
    }
    new MutationObserver(keep).observe(document.getElementById("price"), { attributeFilter: ["aria-label"] });
}"""
"""Keeps what changes of all that is spoken as it changes."""

PEOPLE = {"tom": "trader", "rita": "risk", "paul": "approver"}


class Running:
    """A served desk: events go in one by one, decisions come out; nothing else makes it trade."""

    def __init__(self, project, secret, caller) -> None:
        self.project, self._secret, self._caller = project, secret, caller
        self._sent = 0

    def next(self):
        """Send the next bar, and return its decision."""
        event = {"kind": "bar", "instrument": SYMBOL, **BARS[self._sent]}
        self._sent += 1
        self._caller.request("POST", "/v1/decide", json.dumps(event), {"Authorization": f"Bearer {self._secret}"})
        reply = self._caller.getresponse()
        made = json.loads(reply.read())
        self._caller.close()  # the port would end it itself, where the next one takes long to come
        assert reply.status == 200, made
        return made

    def until(self, wanted):
        """Send bars until a decision fits, and return all of them."""
        made = [self.next()]
        while not wanted(made[-1]):
            made.append(self.next())
        return made

    def until_an_order(self):
        """Send bars until an order is sent, and return its decision."""
        return self.until(lambda each: each["quantity"] != 0.0)[-1]


def faster(folder):
    """Loosen what a real desk would hold against orders within milliseconds of each other."""
    path = folder / "tradeworthy.toml"
    text = path.read_text("utf-8")
    for slow, fast in FASTER.items():
        assert slow in text
        text = text.replace(slow, fast)
    path.write_text(text, "utf-8")
    return folder


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """Serve a small project with a champion; the watcher is not needed."""
    need_browser()
    project = Project(faster(write_project(tmp_path_factory.mktemp("running") / "small")))
    project.train()
    project.register(name="small", actor="ada")
    project.gate(actor="ada")
    project.promote("newest", to="champion", actor="ada", reason="first")
    for name, role in PEOPLE.items():
        project.people.add(name, [role], PASSWORD, actor="test", reason="joins")
    secret = create_key(project, "feed", ["infer"], actor="ops", reason="test").secret
    command = [sys.executable, "-m", "tradeworthy.apps.cli", "serve", "--project", str(project.folder)]
    process = subprocess.Popen([*command, "--port", "0", "--no-watch", "--json"], stdout=subprocess.PIPE, text=True)
    try:
        (address,) = json.loads(process.stdout.readline())["listening"]
        with closing(http.client.HTTPConnection(address.rpartition("/")[2], timeout=WITHIN_MS / 1_000)) as caller:
            yield Running(project, secret, caller)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def desk(running):
    """Return the running desk's project, in the place of the one at rest."""
    return running.project


@pytest.fixture(scope="module")
def address(desk):
    with served(desk) as address:
        yield address


def prices_of(desk):
    """Return how many prices there are on the tape: one of every bar that came in."""
    inputs = TapeReader(desk.places.tape).read("inputs")
    return int(((inputs["kind"] == Kind.BAR) & (inputs["flags"] == 0)).sum())


def last_order(page, decision):
    """Return the way from the desk's last order to why it was sent."""
    return page.locator("[sse-swap=last-act]").get_by_role("link", name=f"Why decision {decision['decision']}")


def test_an_order_is_told_on_the_open_page_as_it_is_sent(visit, running):
    """State, count, last order with its reason and the latest decisions follow the engine without a reload."""
    page = visit("tom")
    page.evaluate("window.kept = true")
    expect(page.locator("#strip")).to_contain_text("trading")
    sent = running.until_an_order()
    expect(last_order(page, sent)).to_be_visible()
    side = "bought" if sent["quantity"] > 0 else "sold"
    expect(page.locator("[sse-swap=last-act]")).to_contain_text(f"{side} {abs(sent['quantity']):g} {SYMBOL}")
    expect(page.locator("[sse-swap=last-act]")).to_contain_text(re.compile("position is (entered|left)"))
    expect(page.locator(f"[sse-swap=latest] a[href='/decisions/{sent['decision']}']")).to_be_visible()
    assert page.evaluate("window.kept") is True


def test_halt_stops_orders_at_the_next_event(visit, running):
    """One click and a confirmation: no order is sent after it, the page says who; a resume lets them pass again."""
    page = visit("tom")
    running.until_an_order()
    page.get_by_role("button", name="Halt", exact=True).click()
    page.get_by_role("dialog").get_by_label("Reason").fill("looks wrong")
    page.get_by_role("button", name="Halt now").click()
    expect(notice(page)).to_contain_text("Halted all")
    stopped = running.until(lambda each: each["verdict"] == "HALTED")
    stopped += [running.next() for _ in range(50)]
    assert [each["decision"] for each in stopped if each["quantity"]] == []
    expect(page.locator(".halted")).to_contain_text("by tom")
    expect(page.locator("[sse-swap=latest]")).to_contain_text("halted")
    other = visit("rita")
    other.locator(".halted summary").click()
    other.locator(".halted").get_by_label("Reason").fill("looked at it")
    other.locator(".halted button").click()
    expect(notice(other)).to_contain_text("Resumed all")
    assert running.until_an_order()["verdict"] == "NONE"


def test_one_version_is_halted_by_itself(visit, running, desk):
    """Chosen in the dialogue: what that version wants is refused, and the page names the scope."""
    scope = f"version:{desk.resolve('champion')[:16]}"
    page = visit("paul")
    page.get_by_role("button", name="Halt", exact=True).click()
    page.get_by_role("dialog").get_by_label("Scope").select_option(scope)
    page.get_by_role("button", name="Halt now").click()
    expect(page.locator(".halted")).to_contain_text(scope)
    assert not any(each["quantity"] for each in running.until(lambda each: each["verdict"] == "HALTED"))
    desk.resume(scope, actor="rita", reason="over")
    running.until_an_order()


def test_a_rule_decides_from_the_next_event_on(visit, running, desk):
    """Chosen on the view of versions: the desk says so, wants nothing any more, and decides itself again afterwards."""
    page = visit("rita")
    page.goto("/versions")
    for to, said in (("flat", "fell back to flat"), ("none", "it decides itself again")):
        step = page.locator(".steps details", has_text="Let something else decide")
        step.locator("summary").click()
        step.get_by_label("Decides instead").select_option(to)
        step.get_by_label("Reason").fill("its inputs are broken")
        step.get_by_role("button").click()
        expect(notice(page)).to_contain_text(said)
        if to == "flat":
            assert [each["target"] for each in (running.next() for _ in range(20))] == [0.0] * 20
            page.goto("/")
            expect(page.locator(".figures").first).to_contain_text("flat decides in the version's place")
            page.goto("/versions")
    assert running.until_an_order()["target"] != 0.0
    given = [(entry.fact.rule, entry.actor) for entry in desk.ledger.facts(facts.RuleSet)]
    assert given == [("flat", "rita"), ("none", "rita")]


def test_two_people_let_one_refused_order_pass(visit, running, desk):
    """A limit from the page stops the next order; two people of two roles let one pass on its page, and one only."""
    page = visit("rita")
    page.goto("/settings")
    page.get_by_label("order value of desk").fill("100")
    page.get_by_role("button", name="See what would change").first.click()
    page.locator("main").get_by_label("Reason").fill("careful")
    page.get_by_role("button", name="Change limits").click()
    expect(notice(page)).to_contain_text("50,000 → 100")
    refused = running.until(lambda each: each["verdict"] == "ORDER_VALUE")[-1]
    for name, said in (("tom", "that counts once another person"), ("rita", "may pass order value, once")):
        person = page if name == "rita" else visit(name)
        person.goto(f"/decisions/{refused['decision']}")
        step = person.locator("#passing details")
        step.locator("summary").click()
        step.get_by_label("What the check may reach").fill("60000")
        step.get_by_label("Reason").fill("a client waits")
        step.get_by_role("button").click()
        expect(notice(person)).to_contain_text(said)
    sent = running.until_an_order()
    after = running.until(lambda each: each["verdict"] == "ORDER_VALUE")
    assert sent["verdict"] == "NONE"
    assert not any(each["quantity"] for each in after)
    until = time.monotonic() + WITHIN_MS / 1_000
    while not desk.ledger.facts(facts.OrderOverrideEnded):  # the engine's process tells it at its next round
        assert time.monotonic() < until
        page.wait_for_timeout(100)
    page.goto(f"/decisions/{refused['decision']}")
    expect(page.locator("#passing")).to_contain_text("It is over: an order was sent")
    expect(page.locator("#passing a")).to_have_attribute("href", f"/decisions/{sent['decision']}")


def test_nothing_speaks_while_events_come_in(visit, running, desk):
    """Neither what is heard when it changes nor the focused chart's name does, until another stretch is asked for."""
    page = visit("tom")
    expect(last_order(page, running.until_an_order())).to_be_visible()  # so the first events have all been heard
    page.wait_for_function("all => Number(document.body.dataset.drawn) === all", arg=prices_of(desk))
    page.locator("#price").focus()
    page.evaluate(SPOKEN)
    running.until_an_order()
    for _ in range(20):
        running.next()
    page.wait_for_function("all => Number(document.body.dataset.drawn) === all", arg=prices_of(desk))
    assert page.evaluate("window.spoken") == []
    box = page.locator("#price .u-over").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 50, steps=3)
    page.mouse.up()
    page.wait_for_function("() => window.spoken.includes('stretch') && window.spoken.includes('price')")
    expect(page.locator("#stretch")).to_have_text(re.compile(r"\d\d:\d\d:\d\d to .*:\d\d:\d\d UTC$"))
