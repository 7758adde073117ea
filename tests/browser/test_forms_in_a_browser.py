"""Forms that are refused, as a person fills them in, in a real browser."""

import re

from page_at_work import ALERTS
from playwright.sync_api import expect

from tradeworthy.apps.deployment.policy import policy_now
from tradeworthy.core import facts


def test_a_refused_policy_comes_back_as_it_was_typed(visit, desk):
    """Two wrong numbers stand in the open form with what is allowed beside each; corrected, it goes on."""
    page = visit("rita")
    page.goto("/settings")
    page.locator("summary", has_text="Change the policy").click()
    budget, tries = page.get_by_label("Retrainings at most"), page.get_by_label("Tries the gate")
    budget.fill("2.5")
    tries.fill("0")
    page.get_by_label("Between two retrainings").fill("777")
    retrains = page.get_by_role("group", name="Retrains on a finding of")
    retrains.get_by_label("performance", exact=True).uncheck()
    page.locator("select[name=on-0]").select_option("latency")
    page.locator("select[name=do-0]").select_option("halt")
    page.get_by_role("button", name="See what would change").last.click()
    expect(budget).to_be_focused()
    expect(budget).to_have_value("2.5")
    expect(budget).to_have_accessible_description("budget is '2.5', allowed is a whole number")
    expect(tries).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Between two retrainings")).to_have_value("777")
    expect(page.get_by_label("Between two retrainings")).not_to_have_attribute("aria-invalid", "true")
    expect(retrains.get_by_label("performance", exact=True)).not_to_be_checked()
    expect(page.locator("select[name=do-0]")).to_have_value("halt")
    budget.fill("2")
    tries.fill("1")
    page.get_by_role("button", name="See what would change").last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Change the policy?")
    for said in ("777", "halt on latency from warning"):
        expect(page.locator("main table").first).to_contain_text(said)
    assert policy_now(desk).budget == 3


def refused_step(page):
    """Ask for a size that there is not, and return the step's form once its refusal is shown."""
    page.goto("/versions/champion")
    step = page.locator("details", has_text="Change its size")
    step.locator("summary").click()
    step.get_by_label("Share of full size").fill("250")
    step.get_by_label("Reason").fill("more of it")
    step.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_be_visible()
    return step


def test_a_refused_step_keeps_its_reason(visit, desk):
    """What is wrong with a step as a whole stands above its button, and the reason need not be typed again."""
    page = visit("rita")
    step = refused_step(page)
    expect(step.locator(".wrong")).to_contain_text("share")
    expect(step.get_by_label("Reason")).to_have_value("more of it")
    assert not desk.ledger.facts(facts.SizeChanged)


def test_without_scripts_a_refused_form_comes_back_too(browser, address, visit):
    """The server puts it back: what was typed, the fold open, the fault above the button, the focus in the form."""
    signed_in = visit("rita").context.storage_state()
    context = browser.new_context(base_url=address, storage_state=signed_in, java_script_enabled=False)
    page = context.new_page()
    step = refused_step(page)
    expect(step.get_by_label("Share of full size")).to_be_visible()
    expect(step.get_by_label("Share of full size")).to_have_value("250")
    expect(step.get_by_label("Reason")).to_have_value("more of it")
    expect(step.locator(".wrong")).to_contain_text("share")
    context.close()


def test_a_refused_button_is_where_one_goes_on(visit, desk):
    """A form of a button alone, with no field to go back to, says beside it what is wrong, and has the focus."""
    page, taken = visit("rita"), desk.folder / ALERTS
    before = taken.read_bytes() if taken.exists() else b""
    taken.unlink(missing_ok=True)
    taken.mkdir()  # nothing can be written where a folder stands
    try:
        page.goto("/settings")
        button = page.get_by_role("button", name="Test log-book")
        button.click()
        expect(page.get_by_role("alert")).to_contain_text("log-book did not take the test alert")
        expect(button).to_be_focused()
        expect(button).to_have_accessible_description(re.compile("log-book did not take the test alert"))
    finally:
        taken.rmdir()
        taken.write_bytes(before)
