"""What cannot be asked of a version is inapplicable, says why, and follows from what was signed alone."""

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from gate_evidence import GOOD, spoiled, without

from tradeworthy.core.time import VirtualClock
from tradeworthy.judge.validate.evidence import Evidence
from tradeworthy.judge.validate.gate import judge
from tradeworthy.judge.validate.purpose import Purpose, to_all, to_market_readers, to_traders
from tradeworthy.judge.validate.report import to_junit, to_markdown
from tradeworthy.judge.validate.robustness import EventAttacks
from tradeworthy.judge.validate.trading import Trading

CLOCK = VirtualClock(1_500_000_000_000_000_000)
TRADER = Purpose(wants_positions=True, foresees_prices=True, reads_market=True, foresees_classes=True)
SCORER = Purpose(wants_positions=False, foresees_prices=False, reads_market=False, foresees_classes=True)
MONEY = {"after_costs", "costs_borne", "deflated_sharpe", "track_record"}


def full(evidence: Evidence, purpose: Purpose | None):
    """Return the results of a full gate by the names of the checks, and whether it passed."""
    report = judge(replace(evidence, profile="full", purpose=purpose), clock=CLOCK)
    return {result.name: result for result in report.results}, report


def test_money_cannot_be_asked_of_a_version_that_only_scores():
    """The checks of money and of market events are inapplicable, with the reason; the version passes without them."""
    found, report = full(GOOD, SCORER)
    skipped = {name for name, result in found.items() if result.verdict == "inapplicable"}
    assert skipped == {*MONEY, "event_robustness"}
    assert report.passed
    assert found["after_costs"].measured.startswith("does not apply: the version only scores")
    assert found["after_costs"].requirement.startswith("Sharpe ratio after costs above 0")
    assert "no market event" in found["event_robustness"].measured


@pytest.mark.parametrize(
    "purpose",
    [
        TRADER,
        Purpose(wants_positions=True, foresees_prices=False, reads_market=True, foresees_classes=True),
        Purpose(wants_positions=False, foresees_prices=True, reads_market=True, foresees_classes=True),
        None,
    ],
)
def test_whatever_trades_or_is_not_known_is_asked_for_money(purpose):
    """Who wants positions, or foresees a price, or says nothing that can be believed, is asked everything."""
    found, report = full(without(Trading, "no costs"), purpose)
    assert {found[name].verdict for name in ("after_costs", "costs_borne")} == {"missing"}
    assert not report.passed
    assert "inapplicable" not in {result.verdict for result in found.values()}


def test_what_applies_still_stops_a_version_that_only_scores():
    """Being asked less is not being asked nothing: evidence that applies and is absent refuses it."""
    for spoilt in (Evidence(version="00"), spoiled(EventAttacks, events=0)):
        found, report = full(spoilt, SCORER)
        assert found["event_robustness"].verdict == "inapplicable"
        assert report.passed == bool(spoilt.parts)


def test_each_reason_is_empty_where_the_requirement_applies():
    """A reason is given exactly where the requirement cannot apply."""
    assert [to_all(SCORER), to_traders(TRADER), to_market_readers(TRADER)] == ["", "", ""]
    assert to_traders(SCORER)
    assert to_market_readers(SCORER)


def test_every_format_tells_it_from_a_pass():
    """JUnit skips it with its reason; Markdown prints its own word."""
    _, report = full(GOOD, SCORER)
    suite = ET.fromstring(to_junit(report))  # noqa: S314  # our own text
    skipped = {case.get("name"): case.find("skipped") for case in suite}
    assert skipped["after_costs"].get("message").startswith("inapplicable: does not apply")
    assert "| after_costs | inapplicable | does not apply" in to_markdown(report)
