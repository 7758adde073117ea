"""Two versions side by side: the same events, each one's own reasons, and only what differs."""

import html
import shutil

import numpy as np
import pytest
from command_words import tell
from page_visitors import do, visiting
from small_project import at

from tradeworthy.apps.commands.project import Project
from tradeworthy.apps.dashboard.comparing import compare
from tradeworthy.core.errors import NotFound
from tradeworthy.record.reader import TapeReader


def second(project, rounds="35"):
    """Register and judge a second version, of other trees."""
    strategy = project.folder / "strategy.py"
    strategy.write_text(strategy.read_text("utf-8").replace("num_boost_round=20", f"num_boost_round={rounds}"), "utf-8")
    project.train()
    digest = project.register(name="larger", actor="ada").version
    project.gate(actor="ada")
    return digest


@pytest.fixture(scope="module")
def beside(tmp_path_factory):
    """Return a project that has traded with a champion and a shadow, and both digests."""
    project = at("promoted", tmp_path_factory.mktemp("beside"))
    champion = project.resolve("champion")
    shadow = second(project)
    project.promote(shadow, to="shadow", actor="ada", reason="beside it")
    project.run(watch=False)
    return project, champion, shadow


def test_they_are_compared_on_the_events_that_both_scored(beside):
    """Distance and share of other sides are those of the tape."""
    project, champion, shadow = beside
    told = compare(project, champion, shadow).disagreement
    made = TapeReader(project.places.tape).read("decisions")
    made = made[np.isfinite(made["score"])]
    one, other = (made[made["version"] == int(digest[:16], 16)] for digest in (champion, shadow))
    both = np.intersect1d(one["input_sequence"], other["input_sequence"])  # a shadow may come later than its champion
    one, other = (rows[np.isin(rows["input_sequence"], both)] for rows in (one, other))
    assert told.rows == len(both) > 100
    assert told.on == "the events that both have scored"
    assert told.distance == pytest.approx(np.abs(one["score"] - other["score"]).mean())
    assert 0.0 < told.sides < 0.5
    assert 0.5 < told.correlation < 1.0


def test_examples_are_events_of_both_on_which_they_differ(beside):
    """Each pair is one event, the newest first."""
    project, champion, shadow = beside
    examples = compare(project, champion, shadow).disagreement.examples
    assert examples
    assert all(one.input_sequence == other.input_sequence for one, other in examples)
    assert {(one.version, other.version) for one, other in examples} == {(champion[:16], shadow[:16])}
    assert [one.sequence for one, _ in examples] == sorted((one.sequence for one, _ in examples), reverse=True)


def test_the_other_way_round_is_the_mirror(beside):
    """Order changes the columns, not the figures."""
    project, champion, shadow = beside
    there, back = compare(project, champion, shadow), compare(project, shadow, champion)
    assert there.disagreement.distance == back.disagreement.distance
    assert [(p.name, p.one, p.other) for p in there.metrics] == [(p.name, p.other, p.one) for p in back.metrics]
    assert {(c.name, c.one, c.other) for c in there.manifest} == {(c.name, c.other, c.one) for c in back.manifest}


def test_a_version_beside_itself_differs_in_nothing(beside):
    """No disagreement, no entry of the manifest, no other verdict."""
    project, champion, _ = beside
    found = compare(project, champion, champion)
    assert (found.disagreement.sides, found.disagreement.distance) == (0.0, 0.0)
    assert found.manifest == []
    assert all(each.one == each.other for each in found.gate)
    assert all(pair.one == pair.other for pair in found.importance)


def test_the_manifest_shows_only_what_differs(beside):
    """What training was told differs; the features and the label do not, and stay out."""
    project, champion, shadow = beside
    changed = {each.name: (each.one, each.other) for each in compare(project, champion, shadow).manifest}
    assert changed["lineage.parameters.num_iterations"] == ("20", "35")
    assert changed["name"] == ("small", "larger")
    assert not {"features", "env"} & set(changed)
    assert not any(name.startswith("lineage.fold_metrics") for name in changed)


def test_without_shared_events_they_meet_on_the_sample_of_training(tmp_path):
    """Before the second version has scored anything, the newer one's training rows are what both score."""
    project = at("traded", tmp_path)
    champion, other = project.resolve("champion"), second(project)
    told = compare(project, champion, other).disagreement
    assert told.on == f"the training sample of {other[:8]}"
    assert told.rows == len(project.registry.load(other).profile.sample)
    assert told.examples == []


def test_other_features_and_no_shared_events_are_no_disagreement(tmp_path):
    """What cannot be compared is not called agreement."""
    project = at("traded", tmp_path)
    strategy = project.folder / "strategy.py"
    text = strategy.read_text("utf-8").replace('"mean_4": returns.mean(4)', '"mean_9": returns.mean(9)')
    strategy.write_text(text, "utf-8")
    other = second(project)
    found = compare(project, "champion", other)
    assert found.disagreement is None
    sizes = {pair.name: (pair.one, pair.other) for pair in found.importance}
    assert sizes["mean_4"][1] is None
    assert sizes["mean_9"][0] is None
    with visiting(project, "tom") as client:
        text = client.get(f"/versions/compare?one=champion&other={other[:12]}").text
    assert "share neither events nor features" in text
    assert "not used" in text


def test_an_unknown_version_is_not_found(beside):
    """The page says which word names no version."""
    project, champion, _ = beside
    with pytest.raises(NotFound):
        compare(project, champion, "nothing")
    with visiting(project, "tom") as client:
        assert client.get("/versions/compare?one=champion&other=nothing").status_code == 404
        assert client.get("/versions/compare?one=champion").status_code == 400


def test_the_page_has_both_in_every_table(beside):
    """Names, figures and a link to an event on which they differ."""
    project, champion, shadow = beside
    with visiting(project, "tom") as client:
        text = client.get(f"/versions/compare?one={champion[:16]}&other={shadow[:16]}").text
    for word in ("small", "larger", champion[:8], shadow[:8], "Different side", "num_iterations", "log loss gain"):
        assert word in text
    assert 'href="/decisions/' in text


def test_a_canary_takes_the_share_that_was_asked_for(beside, tmp_path):
    """The approver says the share; nonsense makes no canary; risk changes its size later, within 0 to 100."""
    source, _, shadow = beside
    project = Project(shutil.copytree(source.folder, tmp_path / "canary"))
    with visiting(project, "paul") as client:
        do(client, f"/do/versions/{shadow[:16]}/promote", role="canary", share="much", reason="try")
        assert "allowed is a number of percent" in client.get("/versions").text
        do(client, f"/do/versions/{shadow[:16]}/promote", role="canary", share="25", reason="try")
        assert "canary from the next event" in client.get("/versions").text
        assert project.registry.standing().size == 0.25
        do(client, "/do/resize", share="50", reason="more")
        assert "needs the role risk" in client.get("/versions").text
    with visiting(project, "rita") as client:
        do(client, "/do/resize", share="150", reason="more")
        assert "allowed is 0" in client.get("/versions").text
        do(client, "/do/resize", share="5", reason="careful")
    assert project.registry.standing().size == 0.05
    assert [e.actor for e in project.ledger.facts()][-1] == "rita"


def test_a_canary_on_some_instruments_from_every_door(beside, tmp_path, capsys):
    """Page, interface and command line let it act on what is named; what is not traded is refused in words."""
    source, champion, shadow = beside
    project = Project(shutil.copytree(source.folder, tmp_path / "some"))
    settings = project.folder / "tradeworthy.toml"
    more = '[[instrument]]\nsymbol = "XYZ"\n\n[[instrument]]\nsymbol = "UVW"\n\n[[market]]'
    settings.write_text(settings.read_text("utf-8").replace("[[market]]", more), "utf-8")
    project = Project(project.folder)
    address = f"/do/versions/{shadow[:16]}/promote"
    with visiting(project, "paul") as client:
        assert "Or in full on some of ABC, XYZ, UVW alone" in client.get(f"/versions/{shadow[:16]}").text
        do(client, address, role="canary", share="10", instruments="XYW", reason="try")
        assert "'XYW' is not traded here (near: 'XYZ')" in html.unescape(client.get("/versions").text)
        do(client, address, role="canary", share="10", instruments="XYZ, ABC", reason="try")
        assert "canary on XYZ, ABC alone from the next event" in client.get("/versions").text
        assert "became canary on paper on ABC, XYZ alone" in client.get("/record").text
    standing = project.registry.standing()
    assert (standing.canary_on, standing.size, standing.acting) == (("ABC", "XYZ"), 1.0, [champion, shadow])
    assert project.status().canary_on == ["ABC", "XYZ"]
    project.rollback(actor="paul", reason="back")
    words = ["promote", shadow[:16], "--to", "canary", "--actor", "paul", "--reason", "r", "--project"]
    for part, said in (
        (["--instruments", " , "], "no instrument is named; allowed are some of ABC, XYZ, UVW"),
        (["--instrument-share", "0.2"], "0.2 of the 3 instruments traded here is none; allowed is 0.334 or more"),
    ):
        code, _, err = tell(capsys, *words, project.folder, *part)
        assert code == 2
        assert said in " ".join(err.split())
    code, out, _ = tell(capsys, *words, project.folder, "--instrument-share", "0.4")
    [drawn] = project.registry.standing().canary_on
    assert code == 0
    assert f"promoted to canary on {drawn}" in out


def test_steps_are_offered_to_those_who_may_take_them(beside):
    """An approver sees the roles of a shadow; a trader is told whose step it is; nobody is offered what is done."""
    project, _, shadow = beside
    with visiting(project, "paul") as client:
        text = client.get(f"/versions/{shadow[:16]}").text
        assert all(f"Make {role}" in text for role in ("canary", "champion"))
        assert "Retire" in text
        assert "Make shadow" not in text
        assert "To resize needs the role risk" in text
        assert "Make champion" not in client.get("/versions/champion").text
    with visiting(project, "tom") as client:
        text = client.get(f"/versions/{shadow[:16]}").text
        assert "Make " not in text
        assert "To promote needs the role approver" in text
