"""A rule decided in the version's place: whoever explains the decision says so, and gives no reason of the score."""

import pytest
from command_words import tell
from page_visitors import visiting
from small_project import at

from tradeworthy.apps.deployment.desk import Running, run_files
from tradeworthy.apps.explain.ruling import SOME, rule_of
from tradeworthy.apps.reports.order_story import order_story
from tradeworthy.core.decisions import RULED
from tradeworthy.live.feeds.base import Feed
from tradeworthy.record.reader import TapeReader

TURNS = {300: "flat", 400: "base_rate", 500: "hold", 600: "none"}
"""From which event on which rule decides."""


@pytest.fixture(scope="module")
def traded(tmp_path_factory):
    """A project that traded under one rule after another, and its decisions."""
    project = at("promoted", tmp_path_factory.mktemp("ruled"))
    running, done = [], set()

    def pace() -> float:
        for place, rule in TURNS.items():
            if running and running[0].feed.position >= place and place not in done and (holds() or rule != "flat"):
                done.add(place)
                project.fall_back(rule, actor="rita", reason="a test")
        return float("inf")

    def holds() -> bool:
        return bool(running[0].engine.desk.state.positions["quantity"][0])

    def around(begun: Running) -> Feed:
        running.append(begun)
        begun.feed._batch_max = 5
        return begun.feed

    run_files(project, watch=False, pace=pace, around=around)
    return project, TapeReader(project.folder / "desk" / "tape").read("decisions")


def of(decisions, after):
    """Return a decision of the 100 events after one."""
    return decisions[after : after + 100][60]


@pytest.mark.parametrize(
    ("after", "rule", "said"),
    [
        (300, "flat", "The rule flat decided in the version's place: it wants no position."),
        (400, "base_rate", "The rule base_rate decided in the version's place: it acts as if every score were 0."),
        (500, "hold", "The rule hold decided in the version's place: it keeps the position that there is."),
    ],
)
def test_the_rule_is_named_and_nothing_else_is_a_reason(traded, after, rule, said):
    """What the score was made of is there still, but it kept nothing, and no change of a feature would flip it."""
    project, decisions = traded
    decision = of(decisions, after)
    assert decision["flags"] & RULED
    found = project.explain(str(decision["sequence"]))
    assert found.rule == rule
    assert said in found.headline
    assert f"The version's own score, {decision['score']:.4f}, did not count." in found.said
    assert (found.place, found.counterfactual, found.codes) == (None, None, None)
    assert not any(reason.kept or reason.decides for reason in found.reasons)
    assert found.identical
    assert len(found.reasons) == 3


def test_a_version_that_decides_itself_is_explained_as_ever(traded):
    """Before the first rule and after the last the score decides, and the reasons are its own."""
    project, decisions = traded
    for after in (100, 600):
        found = project.explain(str(of(decisions, after)["sequence"]))
        assert found.rule == ""
        assert found.place is not None
        assert "did not count" not in found.said


def test_page_document_command_and_file_say_it(traded, tmp_path, capsys):
    """The order that the rule flat sent is nowhere told as the model's."""
    project, decisions = traded
    sent = decisions[(decisions["flags"] & RULED != 0) & (decisions["quantity"] != 0.0)]
    order = sent[sent["target"] == 0.0][0]
    number = int(order["sequence"])
    with visiting(project, "tom") as client:
        text = client.get(f"/decisions/{number}").text
    for words in (
        "The rule flat decided",
        "did not count: the rule flat decided",
        "Its own score",
        "a rule in its place",
    ):
        assert words in text
    assert "What would have changed it" not in text
    story = order_story(project, str(number))
    assert "The rule flat decided in the version's place" in story.subtitle
    lines = {line.name: line.said for part in story.parts for line in part.lines}
    assert (lines["decided by"], lines["flags"]) == ("the rule flat", "by a rule; threshold 0")
    page = tmp_path / "why.html"
    code, out, _ = tell(capsys, "explain", number, "--project", project.folder, "--html", page)
    assert code == 0
    assert "The rule flat decided in the version's place" in " ".join(out.split())
    assert "This is what the version" in page.read_text("utf-8")


def test_a_rule_that_the_record_no_longer_names_is_a_rule_still(traded):
    """A flag without a control event before it is told as some rule, not as the version's own decision."""
    project, decisions = traded
    reader = TapeReader(project.folder / "desk" / "tape")
    early = decisions[100:101].copy()
    early["flags"] |= RULED
    assert rule_of(reader, early[0]) == SOME
    assert rule_of(reader, decisions[100]) == ""
