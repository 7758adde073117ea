"""How far versions have come without a person: the sum, what is allowed, who waits, and each promotion of the past."""

import re

from page_visitors import visiting
from small_project import looked_at

from tradeworthy.apps.dashboard.accumulated import accumulated_section
from tradeworthy.change.release.standing import stand
from tradeworthy.core.facts import Distance, PromotionFrozen, VersionPromoted, VersionRolledBack
from tradeworthy.record.ledger import Entry

A, B, C, D = ("a" * 64, "b" * 64, "c" * 64, "d" * 64)
SMALL = Distance(features=0.0, scores=0.2, reasons=0.3, data=0.4)
VAGUE = Distance(features=0.0, scores=None, reasons=0.1, data=0.1)


def promoted(version, distance=None):
    """Return the fact of a champion, of a policy's where there is a distance."""
    return VersionPromoted(version=version, role="champion", env="paper", share=1.0, distance=distance)


def section(*told: object, allowed=1.0):
    """Return the section that facts make."""
    entries = [
        Entry(number=n, ts_ns=n, actor="policy", reason="x", fact=fact, hash="") for n, fact in enumerate(told, 1)
    ]
    return accumulated_section(stand(entries), allowed, entries)


def sums(text):
    """Return the sums that are drawn, by component."""
    said = re.search(r"<desc[^>]*>([^<]*)</desc>", text)[1]
    return dict(part.split(": ") for part in said.split("; "))


def test_before_the_first_champion_there_is_nothing_to_say():
    """No heading over nothing."""
    assert section() is None


def test_a_champion_that_a_person_let_act_is_where_it_counts_from():
    """Nothing has come by itself, and the page says from which version it counts."""
    text = section(promoted(A))
    assert "Nothing has come by itself since" in text
    assert f"<code>{A[:8]}</code>" in text
    assert "<svg" not in text


def test_promotions_add_up_component_by_component():
    """Two small steps are drawn as one larger one, beside what is allowed; both are listed with what they added."""
    text = section(promoted(A), promoted(B, SMALL), promoted(C, SMALL), allowed=1.0)
    assert sums(text) == {
        "features defined otherwise": "0",
        "ranks of the scores": "0.4",
        "contributions attributed otherwise": "0.6",
        "time not learned from by both": "0.8",
    }
    assert "allowed" in text
    assert "2 automatic promotions" in text
    assert text.count(">counts<") == 2
    assert "a person has to look" not in text


def test_too_far_is_said_with_the_component():
    """Over what is allowed a person has to look, and at what."""
    text = section(promoted(A), promoted(B, SMALL), promoted(C, SMALL), allowed=0.5)
    assert "a person has to look: reasons, data" in text


def test_what_is_not_known_counts_as_all_of_it():
    """Nobody can say that it was small, and the list says so."""
    text = section(promoted(A), promoted(B, VAGUE))
    assert sums(text)["ranks of the scores"] == "1"
    assert "not known: counts as 1" in text


def test_a_person_ends_the_counting():
    """Once a person lets a version act it counts from there; the past stays listed, and no longer counts."""
    text = section(promoted(A), promoted(B, SMALL), promoted(C))
    assert "Nothing has come by itself since" in text
    assert f"<code>{C[:8]}</code>" in text
    assert text.count(">no longer<") + text.count(">counts<") == 1


def test_a_roll_back_takes_its_distance_away():
    """What was taken out is still told as an automatic promotion, and counts no more."""
    text = section(promoted(A), promoted(B, SMALL), VersionRolledBack(version=B, to=A))
    assert "Nothing has come by itself since" in text
    assert ">no longer<" in text


def test_who_waits_is_named():
    """A challenger that came too far leads to its page."""
    gone = Distance(features=0.0, scores=0.4, reasons=1.2, data=0.8)
    text = section(promoted(A), promoted(B, SMALL), PromotionFrozen(version=D, gone=gone, allowed=1.0))
    assert f'href="/versions/{D[:16]}"' in text
    assert "waits for a person: too far in reasons." in text


def test_it_stands_on_the_view_of_versions():
    """Whoever looks at versions sees it, whatever their role."""
    with visiting(looked_at("promoted"), "adam") as client:
        assert "Come without a person" in client.get("/versions").text
