"""Decisions, versions, record and settings as a person uses them, in a real browser."""

import re

import polars as pl
from page_at_work import ALERTS, PASSWORD, SYMBOL, notice
from playwright.sync_api import expect

from tradeworthy.apps.captions import write_caption
from tradeworthy.apps.dashboard.deciding import Filter, decisions_before
from tradeworthy.apps.deployment.limits import limits_by_scope
from tradeworthy.core import facts


def order_of(desk):
    """Return an order that has been answered, and has an afterwards."""
    return decisions_before(desk, Filter(outcome="orders"), count=10)[-1]


def test_the_list_is_filtered_by_what_it_did(visit, desk):
    """A side and a code narrow the list; what fits nothing says what to do."""
    page = visit("tom")
    page.goto("/decisions")
    page.get_by_label("Side").select_option("sell")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**side=sell**")  # and for all of its lines
    done = page.locator("tbody tr td:nth-child(7)").all_inner_texts()
    assert done
    assert all(text.startswith("sell") for text in done)
    page.get_by_text("More conditions").click()
    page.get_by_label("Refused with").select_option("DRAWDOWN")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("tbody")).to_contain_text("No decision fits")
    page.get_by_role("link", name="All", exact=True).click()
    expect(page.locator("tbody tr")).to_have_count(51)


def test_a_decision_tells_everything_on_one_page(visit, desk):
    """Features, checks, what would have changed it, others, fills, what came after, and decisions like it."""
    page = visit("tom")
    order = order_of(desk)
    page.goto(f"/decisions/{order.sequence}")
    for heading in ("Why", "What would have changed it", "What it saw", "What was checked", "Order and answers"):
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    strips = page.get_by_role("img", name="of training")
    expect(strips).to_have_count(3)
    checks = page.locator("section", has=page.get_by_role("heading", name="What was checked"))
    expect(checks.get_by_text("passed", exact=True)).to_have_count(10)
    expect(checks.locator("tr", has_text="order value")).to_contain_text("50,000")
    others = page.locator("section", has=page.get_by_role("heading", name="What others thought"))
    expect(others.locator("tbody tr")).to_have_count(1)
    after = page.locator("section", has=page.get_by_role("heading", name="What came after"))
    expect(after.locator("tbody tr")).to_have_count(2)
    expect(page.get_by_role("link", name=f"/decisions/{order.sequence}")).to_be_visible()
    page.get_by_role("link", name="Why decision").last.click()
    expect(page).not_to_have_url(re.compile(f"/{order.sequence}$"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Decision")


def test_two_versions_side_by_side(visit):
    """From the list to the comparison and to an event on which the two wanted different sides."""
    page = visit("paul")
    page.goto("/versions")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_text("the events that both have scored")).to_be_visible()
    expect(page.get_by_text("num_iterations")).to_be_visible()
    page.locator("summary", has_text="on which they differed").click()
    page.get_by_role("link", name="Why decision").first.click()
    expect(page.get_by_role("heading", name="What others thought")).to_be_visible()


def test_a_canary_and_back_from_the_page(visit, desk):
    """An approver gives a share; a trader may not, and rolls back; each step is a fact with a reason."""
    champion = desk.resolve("champion")
    shadow = next(v.version for v in desk.registry.list() if v.version != champion)
    if shadow not in desk.registry.standing().shadows:
        desk.promote(shadow, to="shadow", actor="paul", reason="once more")
    trader = visit("tom")
    trader.goto(f"/versions/{shadow[:16]}")
    expect(trader.get_by_text("Make canary")).to_have_count(0)
    expect(trader.get_by_text("To promote needs the role approver")).to_be_visible()
    page = visit("paul")
    page.goto(f"/versions/{shadow[:16]}")
    step = page.locator("details", has_text="Make canary")
    step.locator("summary").click()
    step.get_by_label("Share of full size").fill("25")
    step.get_by_label("Reason").fill("a quarter first")
    step.get_by_role("button").click()
    expect(notice(page)).to_contain_text("canary from the next event")
    assert desk.registry.standing().size == 0.25
    trader.goto("/versions")
    back = trader.locator("details", has_text="Roll back")
    back.locator("summary").click()
    back.get_by_label("Reason").fill("it was better before")
    back.get_by_role("button").click()
    expect(notice(trader)).to_contain_text("Rolled back")
    last = [*desk.ledger.facts(facts.VersionRolledBack)][-1]
    assert (last.actor, last.reason, last.fact.version) == ("tom", "it was better before", shadow)


def test_the_record_is_verified_asked_and_taken_along(visit, tmp_path):
    """The button says whole; a question has an answer; a period comes as a file with that many rows."""
    page = visit("rita")
    page.goto("/record")
    page.get_by_role("button", name="Verify now").click()
    expect(notice(page)).to_contain_text("The record is whole")
    page.get_by_label("SQL").fill("SELECT count(*) AS n FROM fills")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("main tbody td")).to_have_count(1)
    count = int(page.locator("main tbody td").inner_text())
    assert count > 0
    page.goto("/record")
    page.get_by_label("Table").select_option("fills")
    for form, read in (("csv", pl.read_csv), ("parquet", pl.read_parquet)):
        page.locator("select[name=form]").select_option(form)
        with page.expect_download() as loaded:
            page.get_by_role("button", name="Download").click()
        loaded.value.save_as(tmp_path / form)
        assert len(read(tmp_path / form)) == count


def test_a_limit_is_reviewed_then_changed(visit, desk):
    """The page between shows now and then; the change is a fact with the reason; the list of facts tells it."""
    page = visit("rita")
    page.goto("/settings")
    page.get_by_label("order quantity of desk").fill("450")
    page.get_by_role("button", name="See what would change").first.click()
    expect(page.locator("main tbody tr")).to_have_count(1)
    expect(page.locator("main tbody tr")).to_contain_text("tighter")
    assert limits_by_scope(desk)["desk"].order_quantity_max == 500.0
    page.locator("main").get_by_label("Reason").fill("thin book")
    page.get_by_role("button", name="Change limits").click()
    expect(notice(page)).to_contain_text("500 → 450")
    assert limits_by_scope(desk)["desk"].order_quantity_max == 450.0
    page.goto("/record?kind=LimitsChanged&actor=rita")
    expect(page.locator("#facts tbody tr")).to_contain_text("thin book")


def test_a_key_is_shown_once_and_revoked(visit):
    """Its secret stands on one page; afterwards only its name does."""
    page = visit("adam")
    page.goto("/settings")
    page.get_by_text("Make a key").click()
    page.get_by_label("Who will use it").fill("robot")
    page.get_by_label("risk", exact=True).check()
    page.locator("details", has_text="Make a key").get_by_label("Reason").fill("for the robot")
    page.get_by_role("button", name="Make it").click()
    secret = page.locator(".secret").inner_text()
    assert secret.startswith("tw_")
    page.get_by_role("link", name="Back to settings").click()
    assert secret not in page.content()
    row = page.locator("tr", has_text="robot")
    row.locator("summary").click()
    row.get_by_label("Reason").fill("over")
    row.get_by_role("button", name="Revoke").click()
    expect(notice(page)).to_contain_text("opens nothing any more")


def test_where_alerts_go_is_tried(visit, desk):
    """The button sends a test, and the page says who took it."""
    page = visit("rita")
    page.goto("/settings")
    page.get_by_role("button", name="Test log-book").click()
    expect(notice(page)).to_contain_text("took the test alert")
    assert "This is a test by rita" in (desk.folder / ALERTS).read_text("utf-8")


def test_five_wrong_passwords_lock_the_name_on_the_page(browser, address):
    """The sixth try is told to wait, the right password too; the cookies are for nobody's script."""
    context = browser.new_context(base_url=address)
    page = context.new_page()
    page.goto("/signin")
    for password in [*["wrong password"] * 5, PASSWORD]:
        page.get_by_label("Name").fill("lou")
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("Too many tries")
    kept = {cookie["name"]: (cookie["httpOnly"], cookie["sameSite"]) for cookie in context.cookies()}
    assert set(kept.values()) == {(True, "Strict")}
    context.close()


def test_a_form_without_its_token_is_refused(visit, desk):
    """What another site would send with the visitor's cookies changes nothing."""
    page = visit("tom")
    before = desk.ledger.head()[0]
    answer = page.request.post("/do/halt", form={"scope": "all"})
    assert answer.status == 403
    assert desk.ledger.head()[0] == before


def test_a_script_in_an_instruments_name_is_text(visit, desk):
    """On every view that names it, it is words: no element, no change of the page, nothing run."""
    page = visit("tom")
    for path in ("/", "/decisions", f"/decisions/{order_of(desk).sequence}", "/settings", "/halt"):
        page.goto(path)
        expect(page.locator("main")).to_contain_text(SYMBOL)
        assert page.locator("main script").count() == 0
        assert page.title().endswith(" - tradeworthy")


def test_a_story_plays_on_an_open_page(visit, desk):
    """A chapter, a finding, a promotion and a roll back appear without a reload."""
    page = visit("paul")
    page.evaluate("window.kept = true")
    write_caption(desk.places.caption, "Drift", "the market has changed")
    expect(page.locator(".caption")).to_contain_text("the market has changed")
    champion, shadow = desk.resolve("champion"), desk.registry.standing().shadows
    other = shadow[0] if shadow else next(v.version for v in desk.registry.list() if v.version != champion)
    desk.promote(other, to="champion", actor="policy", reason="it is no worse")
    expect(page.locator("#strip")).to_contain_text(other[:8])
    desk.rollback(actor="riya", reason="drill")
    expect(page.locator("#strip")).to_contain_text(champion[:8])
    assert page.evaluate("window.kept") is True
