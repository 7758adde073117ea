"""Looks that ten pages share: what has not changed is not made again, and what somebody did is in the next one."""

import time
from types import SimpleNamespace

import msgspec
import pytest
from page_visitors import do, visiting
from small_project import at
from test_page_monitors import monitor, sight

from tradeworthy.apps.admin.deployment import Deployment
from tradeworthy.apps.admin.live import _built
from tradeworthy.apps.admin.looking import desk_of
from tradeworthy.change.watch.sight import SIGHT
from tradeworthy.core import facts
from tradeworthy.core.errors import TradeworthyError
from tradeworthy.core.time import NS_PER_S, VirtualClock


@pytest.fixture
def deployment(tmp_path):
    """A deployment of a project with a champion."""
    return Deployment(at("promoted", tmp_path))


def test_what_is_made_of_the_same_is_made_once(deployment):
    """Neither an equal list nor another name is the same."""
    facts, numbers = [1], iter(range(9))
    asked = (("a", facts, True), ("a", facts, True), ("a", [1], True), ("a", facts, False), ("b", facts, False))
    made = [deployment.kept(name, tuple(of), lambda: next(numbers)) for name, *of in asked]
    assert made == [0, 0, 1, 2, 3]


def test_what_is_read_now_and_then_is_read_after_its_time(deployment):
    """Within so many seconds it is what it was; then it is read once more."""
    clock, made = VirtualClock(NS_PER_S), iter(range(9))
    deployment.project = SimpleNamespace(clock=clock)
    read = []
    for seconds in (0, 1, 1, 1):
        clock.advance_to(clock.now_ns() + seconds * NS_PER_S)
        read.append(deployment.lately("speed", 2.0, lambda: next(made)))
    assert read == [0, 0, 0, 1]


def test_a_sight_is_read_when_the_watcher_has_written_it(deployment):
    """The same one until then; none where no watcher ever wrote."""
    assert deployment.sight() is None
    path = deployment.project.places.watcher / SIGHT
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(sight(monitor())))
    first = deployment.sight()
    assert first == sight(monitor())
    assert deployment.sight() is first
    until = time.monotonic() + 60.0
    while deployment.sight() is first:  # until the file system's clock has moved on
        assert time.monotonic() < until
        path.write_bytes(msgspec.json.encode(sight(monitor("range"))))
    assert deployment.sight().monitors[0].monitor == "range"


def test_a_new_fact_is_in_the_next_look(deployment):
    """Halts, what changed, and findings' stories are told anew when the ledger has grown, and only then."""
    first = desk_of(deployment)
    assert desk_of(deployment).changes is first.changes
    deployment.project.halt("all", actor="tom", reason="drill")
    after = desk_of(deployment)
    assert [each.scope for each in after.halts] == ["all"]
    assert after.changes[0].said == "Halted all."


def test_a_second_look_reads_only_new_facts(deployment, monkeypatch):
    """Scopes, bounds, limits, halts and who approved come of what is read already; a new fact is in all of them."""
    ledger, read = deployment.project.ledger, []
    all_of = type(ledger).facts

    def facts_after(ledger, *types: type, after: int = 0) -> list:
        read.append(after)
        return all_of(ledger, *types, after=after)

    desk_of(deployment)
    scopes, standing = deployment.scopes(), deployment.standing()
    monkeypatch.setattr(type(ledger), "facts", facts_after)
    deployment.look_again()
    desk_of(deployment)
    assert deployment.scopes() == scopes
    assert deployment.standing() is standing
    assert set(read) == {ledger.head()[0]}
    champion = deployment.project.resolve("champion")
    ledger.append(facts.VersionApproved(version=champion, env="paper"), actor="paul", reason="looked at it")
    assert desk_of(deployment).approved_by == "approved by paul"
    assert deployment.standing() == deployment.project.registry.standing()


def test_a_record_is_read_ahead_of_the_first_look(tmp_path):
    """All of the tape is in the curves and in the frame; whoever looks first finds nothing left to read."""
    deployment = Deployment(at("traded", tmp_path))
    deployment.read_ahead()
    ahead = {stream: cursor.after for stream, cursor in deployment._cursors.items()}
    with deployment.curves() as curves:
        assert curves.prices[0].ts_ns.size > 1_000
    assert ahead == {stream: cursor.after for stream, cursor in deployment._cursors.items()}
    assert deployment.frame().decisions > 1_000


def test_a_record_that_cannot_be_read_is_told_to_who_looks(tmp_path):
    """Reading ahead ends in silence; the look itself says what is wrong."""
    deployment = Deployment(at("traded", tmp_path))
    (path,) = (deployment.project.places.tape / "streams" / "decisions").glob("*.seg")
    path.write_bytes(b"no segment" * 1_000)
    deployment.read_ahead()
    with pytest.raises(TradeworthyError):
        deployment.frame()


def test_every_piece_of_a_look_is_there(deployment):
    """What open pages swap has a piece of its name, so that nothing on a page stands still."""
    pieces = _built(deployment, deployment.frame())
    with visiting(deployment.project, "tom") as client:
        for path in ("/", "/watch"):
            for name in client.get(path).text.split('sse-swap="')[1:]:
                assert name.partition('"')[0] in pieces


def test_who_did_something_sees_it_at_once(tmp_path):
    """The view that answers a form is of a look after it, however young the last one is."""
    project = at("promoted", tmp_path)
    with visiting(project, "rita") as client:
        for scope, said in (("all", "halted: all"), ("instrument:ABC", "halted: all, instrument:ABC")):
            client.get("/")
            do(client, "/do/halt", scope=scope)
            assert said in client.get("/").text.partition('id="strip"')[2].partition("</dl>")[0]
