"""`tradeworthy shadows`: how versions that score beside the champion fare."""

import json

import msgspec
from command_words import tell
from shadows_sample import compared, left
from small_project import at

from tradeworthy.apps.dashboard.shadowing import shadows_of
from tradeworthy.change.release.comparing import COMPARISONS


def left_by_a_watcher(project, *, n=400):
    """Leave a comparison of the champion, of so many decisions, without reasons."""
    left(project, msgspec.structs.replace(compared(n=n, version=project.resolve("champion"), spread=1.0), reasons=None))


def test_nothing_compared_is_said(tmp_path, capsys):
    """A desk without shadows is told how to start one."""
    project = at("promoted", tmp_path)
    code, said, _ = tell(capsys, "shadows", "--project", project.folder)
    assert code == 0
    assert "--to shadow starts one" in said


def test_each_figure_has_bounds_and_a_unit(tmp_path, capsys):
    """A person reads the mean, the bounds, on how many decisions, and which way is better."""
    project = at("promoted", tmp_path)
    left_by_a_watcher(project)
    code, said, _ = tell(capsys, "shadows", "--project", project.folder)
    assert code == 0
    assert "(champion) beside bbbbbbbbbbbbbbbb, on 400 of at most 2,000 labelled decisions" in said
    for words in ("loss", "profit", "disagreement", "below 0", "above 0", " to ", "so far undecided: "):
        assert words in said


def test_a_comparison_that_cannot_be_read_is_named(tmp_path, capsys):
    """A file that is damaged, or of another edition, is not taken for no comparison: exit code 2, and what to do."""
    project = at("promoted", tmp_path)
    left_by_a_watcher(project)
    path = project.places.watcher / COMPARISONS / "damaged.mp"
    for data in (b"", b"junk", msgspec.msgpack.encode({"version": "a"})):
        path.write_bytes(data)
        code, _, said = tell(capsys, "shadows", "--project", project.folder)
        assert code == 2
        assert "damaged.mp is no comparison of this edition" in said
        assert "remove it" in said


def test_the_path_is_there_for_a_drawing(tmp_path, capsys):
    """Programs get every look; too few decisions are null, never a number."""
    project = at("promoted", tmp_path)
    left_by_a_watcher(project, n=80)
    code, said, _ = tell(capsys, "shadows", "--project", project.folder, "--json")
    [line] = json.loads(said)["shadows"]
    assert code == 0
    assert [each["name"] for each in line["figures"]] == ["loss", "profit", "disagreement"]
    assert (line["figures"][0]["mean"]["low"], line["figures"][0]["mean"]["n"]) == (None, 80)
    assert shadows_of(project).shadows[0].figures[0].mean.path[-1].n == 80


def test_a_folder_that_is_no_project_is_refused(tmp_path, capsys):
    """The words say what is missing."""
    code, _, said = tell(capsys, "shadows", "--project", tmp_path)
    assert code == 2
    assert "tradeworthy.toml" in said
