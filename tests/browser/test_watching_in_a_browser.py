"""What a person sees of the watcher, a finding, the gate and fairness, in a real browser."""

import msgspec
from page_at_work import SYMBOL, notice
from playwright.sync_api import expect

from tradeworthy.change.alerts.delivery import replace_file
from tradeworthy.change.watch.sight import SIGHT, read_sight


def drift_of(desk):
    """Return the case that stands in the desk's ledger from the beginning."""
    return desk.findings().cases[0]


def test_monitors_follow_without_a_reload(visit, desk):
    """What the watcher writes of a monitor is in its row within moments; the row leads to its page."""
    page = visit("tom")
    page.goto("/watch")
    row = page.locator("tr", has=page.locator("#monitor-drift"))
    expect(row.locator("svg.spark")).to_be_visible()
    sight = read_sight(desk.places.watcher)
    raised = [
        msgspec.structs.replace(series, shares=[*series.shares[:-1], 0.77]) for series in sight.monitors[0].series
    ]
    assert sight.monitors[0].monitor == "drift"
    changed = [msgspec.structs.replace(sight.monitors[0], series=raised), *sight.monitors[1:]]
    path = desk.places.watcher / SIGHT
    try:
        replace_file(path, msgspec.json.encode(msgspec.structs.replace(sight, monitors=changed)))
        expect(row).to_contain_text("0.77")
    finally:
        replace_file(path, msgspec.json.encode(sight))
    page.locator("#monitor-drift").click()
    expect(page.get_by_role("heading", name="Monitor drift")).to_be_visible()
    expect(page.get_by_role("heading", name="Statistics as shares of their limits")).to_be_visible()


def test_a_finding_tells_its_story_and_changes_hands(visit, desk):
    """Path, then and now, shares and cost are drawn; its words are text; acknowledged and closed with reasons."""
    page = visit("tom")
    page.goto("/watch")
    page.locator(".stories a", has_text="<script>").click()
    expect(page.locator(".said")).to_contain_text("<script>")
    for name in ("What explains it", "What moved", "What it costs", "What was done about it"):
        expect(page.get_by_role("heading", name=name)).to_be_visible()
    expect(page.locator("#evidence svg").nth(3)).to_be_attached()
    page.get_by_text("Acknowledge").first.click()
    page.get_by_label("Reason").first.fill("looking into it")
    page.get_by_role("button", name="Acknowledge").click()
    expect(notice(page)).to_contain_text("Acknowledged")
    assert drift_of(desk).state == "acknowledged"
    expect(page.locator("main")).to_contain_text("acknowledged: looking into it")


def test_the_gate_says_why_and_draws_what_it_rests_on(visit):
    """One sentence at the top; folds, reliability and latency as drawings whose numbers unfold."""
    page = visit("paul")
    page.goto("/versions/champion/gate")
    expect(page.locator(".said")).to_contain_text("Passed: nothing of")
    for name in ("AUC by fold of the walk-forward", "Reliability", "How long one decision takes"):
        expect(page.get_by_role("heading", name=name).first).to_be_visible()
    folded = page.locator("#check-performance details").first
    expect(folded.locator("table")).to_be_hidden()
    folded.locator("summary").press("Enter")
    expect(folded.locator("table")).to_be_visible()


def test_groups_and_reasons_are_drawn(visit):
    """Importance over time, rates by session with intervals, the other rates behind a line."""
    page = visit("tom")
    page.get_by_role("link", name="Fairness").click()
    expect(page.get_by_role("heading", name="Importance over time")).to_be_visible()
    expect(page.get_by_role("heading", name="By session")).to_be_visible()
    hidden = page.get_by_role("heading", name="How often it calls what does not come").first
    expect(hidden).to_be_hidden()
    page.get_by_text("The other rates over time").first.click()
    expect(hidden).to_be_visible()


def test_one_scope_is_halted_with_the_keyboard(visit, desk):
    """Shift+H, the scope by its first letter, Enter: only that scope stands halted, with who and why."""
    page = visit("tom")
    page.keyboard.press("Shift+H")
    page.get_by_role("dialog").get_by_label("Scope").focus()
    page.keyboard.type("instrument")
    page.get_by_role("dialog").get_by_label("Reason").focus()
    page.keyboard.type("a bad feed")
    page.keyboard.press("Enter")
    expect(page.locator(".halted")).to_contain_text("by tom")
    assert desk.status().halted == [f"instrument:{SYMBOL}"]
    expect(page.locator(".halted")).to_contain_text("a bad feed")
    desk.resume(f"instrument:{SYMBOL}", actor="rita", reason="looked at it")
    expect(page.locator("#strip")).not_to_contain_text("halted")
