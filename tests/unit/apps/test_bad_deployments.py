"""Bad deployments, a drill each: the old version goes on serving, and a finding says why the new one does not.

Three are promoted while a desk trades, and the engine does not let them in; two do not come so far.
"""

import asyncio
import threading

import pytest
from small_project import ADA, at

from tradeworthy.apps.commands.measuring import market_inputs
from tradeworthy.apps.commands.project import Project
from tradeworthy.apps.deployment.desk import run_files
from tradeworthy.apps.deployment.processes import conduct_settings
from tradeworthy.change.release.conduct import Conductor
from tradeworthy.core import facts
from tradeworthy.core.decisions import Role
from tradeworthy.core.errors import ReleaseRefused
from tradeworthy.core.events import Kind
from tradeworthy.model.trust import SigningKey
from tradeworthy.record.reader import TapeReader

ANOTHER = ('"seed": 1', '"seed": 2, "bagging_fraction": 0.7, "bagging_freq": 1')
WEAKER = ("num_boost_round=20", "num_boost_round=4")


def rewrite(project, name, *changes: tuple[str, str]):
    """Change a file of a project, and open the project anew."""
    path = project.folder / name
    text = path.read_text("utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, "utf-8")
    project.ledger.close()
    return Project(project.folder)


def another(project, *changes: tuple[str, str]):
    """Train and register another version; return the project and its digest."""
    project = rewrite(project, "strategy.py", *(changes or [ANOTHER]))
    project.train()
    return project, project.register(name="other", actor=ADA).version


def promoted_while_trading(project, version, spoil=None):
    """Trade, and promote a version on the way; `spoil` follows at once, before the engine has looked."""

    async def promote(running) -> None:
        while running.feed.position < 300:  # noqa: ASYNC110  # it is the feed that moves
            await asyncio.sleep(0.002)
        project.promote(version, to="champion", actor=ADA, reason="looks good")
        if spoil is not None:
            spoil(project.places.root / "versions" / version[:16])
        while version[:16] not in running.engine.summary().refused_versions:  # noqa: ASYNC110  # the engine tells nobody
            await asyncio.sleep(0.002)

    return run_files(project, pace=lambda: 2_000.0, watch=False, alongside=promote)


def found(project):
    """Return the findings about deployments."""
    raised = [entry.fact.finding for entry in project.ledger.facts(facts.FindingRaised)]
    return [finding for finding in raised if finding.kind == "release"]


def assert_old_one_serves(project, old, kind=Kind.BAR):
    """Every decision that acted is the old version's, and no event went without one."""
    reader = TapeReader(project.places.tape)
    decisions, asked = reader.read("decisions"), market_inputs(reader, 0, kind)
    acted = decisions[decisions["role"] == Role.CHAMPION]
    assert {f"{number:016x}" for number in acted["version"].tolist()} == {old[:16]}
    assert acted["input_sequence"].tolist() == asked["sequence"].tolist()


def flip(folder):
    """Change one byte of the model."""
    data = bytearray((folder / "trees.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "trees.npz").write_bytes(data)


def test_one_that_does_not_load(tmp_path):
    """A file is missing from its folder: refused at the door, the desk does not stop for an event."""
    project, bad = another(at("promoted", tmp_path))
    old = project.resolve("champion")
    assert project.gate(bad, actor=ADA).passed
    promoted_while_trading(project, bad, spoil=lambda folder: (folder / "trees.npz").unlink())
    assert_old_one_serves(project, old)
    [finding] = found(project)
    assert (finding.subject, finding.severity) == (bad[:16], "critical")
    assert "trees.npz" in finding.sentence
    assert "The version before goes on" in finding.sentence


def test_one_that_is_poisoned(tmp_path):
    """One byte of the model is not what was signed: refused before it is built."""
    project, bad = another(at("promoted", tmp_path))
    old = project.resolve("champion")
    assert project.gate(bad, actor=ADA).passed
    promoted_while_trading(project, bad, spoil=flip)
    assert_old_one_serves(project, old)
    [finding] = found(project)
    assert "the engine does not let it in: BundleRefused" in finding.sentence
    assert "trees.npz" in finding.sentence
    assert "tradeworthy rollback" in finding.sentence


def test_one_of_the_wrong_schema(tmp_path):
    """It reads a column that this desk is not brought any more: refused, with what is missing."""
    project = at("fresh", tmp_path)
    (project.folder / "rows.csv").write_bytes((project.folder / "ABC.csv").read_bytes())
    rows = '[[rows]]\npath = "rows.csv"\ninstrument = "ABC"\nfields = ["close", "volume"]\n\n[training]'
    project = rewrite(project, "tradeworthy.toml", ("[training]", rows))
    reads = 'row_fields = ("close",)\ntrigger = tw.Kind.ROW\nreturns = tw.log_return(tw.row("close"))'
    of_rows = ("returns = tw.log_return(bar.close)", reads), ("(bar.close, 3)", '(tw.row("close"), 3)')
    project, old = another(project, *of_rows)
    assert project.gate(old, actor=ADA).passed
    project.promote(old, to="champion", actor=ADA, reason="first")
    wider = ('("close",)', '("close", "volume")'), ('"mean_4"', '"volume": tw.row("volume").mean(4), "mean_4"')
    project, bad = another(project, *wider)
    assert project.gate(bad, actor=ADA).passed
    project = rewrite(project, "tradeworthy.toml", (', "volume"]', "]"))
    promoted_while_trading(project, bad)
    assert_old_one_serves(project, old, Kind.ROW)
    [finding] = found(project)
    assert "volume" in finding.sentence


def conduct(project, challenger, done):
    """Let the policy go on with a challenger, as a watcher does, until something is so."""
    key = SigningKey.load(project.places.author_key)
    hands = Conductor(
        project.release,
        conduct_settings(project),
        folder=project.places.watcher,
        tape=project.places.tape,
        key=key,
        clock=project.clock,
    )
    if not project.registry.standing().retrains:
        started = facts.RetrainStarted(trigger="a drill", first_sequence=1, last_sequence=1)
        project.ledger.append(started, actor="drill", reason="a drill")
        project.ledger.append(facts.RetrainEnded(version=challenger), actor="drill", reason="a drill")
    pause = threading.Event()
    for _ in range(2_400):
        if done(project.registry.standing()):
            return
        hands.step(project.registry.standing(), 1)
        pause.wait(0.05)
    raise AssertionError("not within two minutes")


def test_one_that_is_slow(tmp_path):
    """The gate measures it before it may act; nobody can promote it."""
    project, bad = another(at("promoted", tmp_path))
    project = rewrite(project, "tradeworthy.toml", ("us_p99_max = 1e9", "us_p99_max = 0.001"))
    old = project.resolve("champion")
    project.run(watch=False)
    conduct(project, bad, lambda standing: bad in standing.gates)
    with pytest.raises(ReleaseRefused, match=r"did not pass.*latency"):
        project.promote(bad, to="champion", actor=ADA, reason="looks good")
    assert_old_one_serves(project, old)
    [finding] = found(project)
    assert "the gate did not pass it (latency found " in finding.sentence
    assert "required is" in finding.sentence
    assert f"on the page: /versions/{bad[:16]}/gate." in finding.sentence


def test_one_that_is_worse(tmp_path):
    """It knows less than the champion: the gate compares them on the same rows, before it ever acts."""
    project, bad = another(at("promoted", tmp_path), WEAKER)
    old = project.resolve("champion")
    project.run(watch=False)
    conduct(project, bad, lambda standing: bad in standing.gates)
    with pytest.raises(ReleaseRefused, match=r"did not pass.*against_champion"):
        project.promote(bad, to="champion", actor=ADA, reason="looks good")
    assert_old_one_serves(project, old)
    [finding] = found(project)
    assert "against champion found" in finding.sentence
