"""Evidence of findings: gathered by a process of its own from the tape, kept beside the watcher's state."""

from threading import Event

import pytest
from change_desk import Recorder, desk, market
from change_facts import lines, promoted, raised
from change_watching import watch_job

from tradeworthy.change.attempts import JOB
from tradeworthy.change.watch import explaining
from tradeworthy.change.watch.explaining import EVIDENCE, explanation, read_evidence
from tradeworthy.change.watch.findings import cases_of, read_cases
from tradeworthy.change.watch.watcher import Watcher
from tradeworthy.core.decisions import Role
from tradeworthy.core.time import SystemClock


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """A deployment whose watcher has found drift, and has not had it explained."""
    home = desk(tmp_path_factory.mktemp("explained") / "desk")
    champion = home.registry.load(home.champion())
    recorder = Recorder(home.folder / "tape", {champion: Role.CHAMPION})
    recorder.record(market(700, seed=9, scale=4.0))
    recorder.close()
    watcher = Watcher(watch_job(home), clock=SystemClock())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(watcher._explainer, "explain", lambda _: None)
        while watcher.step():
            pass
    yield home, watcher
    watcher.close()
    home.close()


def drifted(home):
    """Return the last case of drift; the first is told after too few rows to explain it."""
    return [case for case in read_cases(home.ledger).unsettled() if case.first.monitor == "drift"][-1]


def wait(condition):
    """Wait until something is so, at most a minute."""
    pause = Event()
    for _ in range(1_200):
        if condition():
            return
        pause.wait(0.05)
    raise AssertionError("not so within a minute")


def test_a_finding_is_explained_by_another_process(found):
    """What it leaves is what would be gathered here: the path up to the alarm, features, effect, labels."""
    home, watcher = found
    case = drifted(home)
    work = explanation(home.folder / "watcher", case.number)
    watcher._explainer.explain([case])
    wait(lambda: work.state in ("done", "failed"))
    assert work.state == "done", work.error
    evidence = read_evidence(home.folder / "watcher", case.number)
    assert evidence == explaining.gather_evidence(watcher._explainer._job(case), home.registry)
    assert (evidence.number, evidence.version, evidence.finding) == (case.number, case.version, case.first)
    assert evidence.path[-1] == (case.first.ts_event_ns, case.first.statistic / case.first.threshold)
    assert all(0.0 <= share < 1.0 for _, share in evidence.path[:-1])
    assert any(each.name in case.first.subject for each in evidence.change.features[:3])
    assert evidence.change.effect.labelled > 0
    assert (work.folder / EVIDENCE).stat().st_size < 50_000
    assert watcher._explainer.now(case) == evidence


def test_what_failed_is_left_and_the_next_is_explained(found, monkeypatch):
    """A process that was killed is not started again; one runs at a time; without a champion none does."""
    home, watcher = found
    started = []
    monkeypatch.setattr(explaining.Attempt, "start", lambda _, job: started.append(job.number) or 1)
    cases = [*cases_of(lines(promoted("a" * 64), raised(), raised("performance", 900))).by_number.values()]
    cases += cases_of(lines(raised())).by_number.values()
    failed = explanation(home.folder / "watcher", cases[0].number).folder
    failed.mkdir(parents=True, exist_ok=True)
    (failed / JOB).write_bytes(b"{}")
    for _ in range(2):
        watcher._explainer.explain(cases)
    assert started == [cases[1].number]


def test_why_there_is_no_change_is_said(found):
    """A finding about the feed is not explained by features; its path is there all the same."""
    home, watcher = found
    case = drifted(home)
    job = watcher._explainer._job(case)
    finding = explaining.msgspec.structs.replace(job.finding, kind="input_quality", monitor="none")
    evidence = explaining.gather_evidence(explaining.msgspec.structs.replace(job, finding=finding), home.registry)
    assert evidence.change is None
    assert evidence.said == "a finding of input_quality is not one that features explain"
    assert evidence.path == []


@pytest.mark.parametrize("found", [b'{"number": 7', b'{"number": "\xff"}'])
def test_a_damaged_file_is_no_evidence(tmp_path, found):
    """Half a file, or one of other bytes, is read as none."""
    folder = explanation(tmp_path, 7).folder
    assert read_evidence(tmp_path, 7) is None
    folder.mkdir(parents=True)
    (folder / EVIDENCE).write_bytes(found)
    assert read_evidence(tmp_path, 7) is None
