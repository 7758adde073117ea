"""The surveyor beside a desk: it looks by itself where there is something new, and leaves when it should."""

from functools import partial

import pytest
from small_project import at
from test_archiver import After

from tradeworthy.apps.commands.project import Project
from tradeworthy.apps.deployment import surveyor
from tradeworthy.apps.deployment.rounds import Round, in_rounds
from tradeworthy.core.errors import NotFound, SettingsInvalid
from tradeworthy.core.facts import ConductSurveilled, FindingRaised
from tradeworthy.judge.surveillance import SurveillanceSettings


def scheduled(project):
    """Return the project with surveillance every few milliseconds."""
    path = project.folder / "tradeworthy.toml"
    text = path.read_text("utf-8")
    path.write_text(text.replace("[training]", "[surveillance]\nevery_s = 0.05\n\n[training]"), "utf-8")
    return Project(project.folder)


def test_it_looks_once_at_what_is_new(tmp_path):
    """Of three rounds over a record that does not grow the first one looks; alerts are findings by its name."""
    project = at("traded", tmp_path)
    assert in_rounds(partial(surveyor.surveil_once, project), 0.01, After(3)) == 1
    [look] = project.ledger.facts(ConductSurveilled)
    assert (look.actor, look.reason) == (surveyor.ACTOR, surveyor.REASON)
    raised = project.ledger.facts(FindingRaised)
    assert len(raised) == sum(look.fact.alerts.values()) > 0
    assert {entry.actor for entry in raised} == {"surveyor"}


def test_after_a_look_by_command_it_waits_for_more(tmp_path):
    """Whoever looked last, the same records are not looked at again."""
    project = at("traded", tmp_path)
    project.surveil(actor="ada")
    assert in_rounds(partial(surveyor.surveil_once, project), 0.01, After(2)) == 0
    assert len(project.ledger.facts(ConductSurveilled)) == 1


def test_with_nothing_recorded_it_says_so_and_tries_again(tmp_path, capfd):
    """A desk that has just begun is no reason to end."""
    project = at("promoted", tmp_path)
    assert in_rounds(partial(surveyor.surveil_once, project), 0.01, After(2)) == 0
    assert capfd.readouterr().err.count("NotFound: nothing was recorded") == 2


def test_a_run_starts_it_and_ends_it(tmp_path):
    """With a schedule a run has a surveyor beside it, which ends with the run; without one there is none."""
    project = scheduled(at("promoted", tmp_path))
    project.run(watch=False)
    log = project.places.root / "logs" / "surveyor.log"
    assert log.exists()
    assert "Traceback" not in log.read_text("utf-8")
    assert not (project.places.root / "logs" / "archiver.log").exists()


def test_an_unknown_mistake_ends_the_rounds():
    """Only operating errors are said and tried again; a mistake of ours is not hidden."""
    with pytest.raises(ZeroDivisionError):
        in_rounds(lambda: Round(1 // 0), 0.01, After(1))
    rounds = []

    def fails() -> Round:
        rounds.append(1)
        raise NotFound("not yet")

    in_rounds(fails, 0.01, After(3))
    assert len(rounds) == 3


@pytest.mark.parametrize("every_s", [0.0, -1.0, float("nan")])
def test_a_pause_must_be_positive(every_s):
    """A schedule without a pause is refused where it is declared."""
    with pytest.raises(SettingsInvalid, match=r"surveillance.every_s"):
        SurveillanceSettings(every_s=every_s)
