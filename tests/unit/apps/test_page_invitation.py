"""The link that signs one person in, the page beside a run, and captions."""

import subprocess
import sys
import time

import httpx
import pytest
from page_visitors import visiting
from small_project import at

from tradeworthy.apps.admin.app import make_app
from tradeworthy.apps.admin.beside import page_beside
from tradeworthy.apps.admin.invitation import GOOD_FOR_NS, Invitation
from tradeworthy.apps.admin.serving import serve
from tradeworthy.apps.captions import read_caption, write_caption
from tradeworthy.apps.deployment.processes import ProcessFailed
from tradeworthy.core.errors import SettingsInvalid
from tradeworthy.core.time import VirtualClock


def word_of(invitation):
    return invitation.path.partition("word=")[2]


def test_an_invitation_is_good_once():
    """The right word signs in whom it was made for, and nobody after that."""
    invitation = Invitation("ada", clock=VirtualClock(1))
    word = word_of(invitation)
    assert invitation.accept("") is None
    assert invitation.accept(word + "0") is None
    assert invitation.accept(word) == "ada"
    assert invitation.accept(word) is None
    assert invitation.path == "/invited?word="
    assert invitation.accept("") is None


def test_an_invitation_ends():
    """After its time the word opens nothing."""
    clock = VirtualClock(1)
    invitation = Invitation("ada", clock=clock)
    clock.advance_to(2 + GOOD_FOR_NS)
    assert invitation.accept(word_of(invitation)) is None


def test_the_link_signs_in_and_is_used_up(tmp_path):
    """Following it shows the desk with that person's roles; a second follower is asked to sign in."""
    project = at("promoted", tmp_path)
    project.people.add("ada", ["risk"], None, actor="test", reason="test")
    with visiting(project) as client:
        deployment = client.app.state.deployment
        deployment.invitation = Invitation("ada", clock=project.clock)
        path = deployment.invitation.path
        assert client.get(path).headers["location"] == "/"
        assert client.get("/api/v1/status").status_code == 200
        client.cookies.clear()
        assert client.get(path).status_code == 401
        assert "used" in client.get(path).text


def test_who_has_no_password_comes_in_by_invitation_only(tmp_path):
    """No password, not even an empty one, is theirs."""
    project = at("promoted", tmp_path)
    project.people.add("ada", ["risk"], None, actor="test", reason="test")
    assert project.people.sign_in("ada", "").person is None


def test_an_invitation_gives_no_role(tmp_path):
    """Somebody without a role cannot be invited; one who loses it is not let in."""
    project = at("promoted", tmp_path)
    with pytest.raises(SettingsInvalid, match="people add eve"):
        serve(project, port=0, invite="eve")
    app = make_app(project, invitation=Invitation("eve", clock=project.clock))
    with visiting(project) as client:
        client.app.state.deployment.invitation = app.state.deployment.invitation
        assert client.get(app.state.deployment.invitation.path).status_code == 401


def test_the_page_stands_beside_a_block_and_ends_with_it(tmp_path):
    """Its address answers inside the block, signs the invited person in, and answers no more after it."""
    project = at("promoted", tmp_path)
    project.people.add("ada", ["risk"], None, actor="test", reason="test")
    with page_beside(project, invite="ada") as address:
        with httpx.Client(follow_redirects=True, timeout=60) as client:
            assert "Sign out" in client.get(address).text
        base = address.partition("/invited")[0]
        assert httpx.get(f"{base}/health", timeout=60).text == "ok"
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{base}/health", timeout=60)


def test_a_page_ends_with_what_started_it_also_when_that_was_killed(tmp_path):
    """Nobody is left to end it: it sees that its parent is gone, and answers no more."""
    project = at("promoted", tmp_path)
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(project.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        base = starter.stdout.readline().strip()
        assert httpx.get(f"{base}/health", timeout=60).text == "ok"
        starter.kill()
        starter.wait()
        assert becomes(lambda: not answers(f"{base}/health"))
    finally:
        starter.kill()
        starter.wait()
        starter.stdin.close()
        starter.stdout.close()


STARTER = """
import sys
from tradeworthy.apps.admin.beside import page_beside
from tradeworthy.apps.commands.project import Project

with page_beside(Project(sys.argv[1])) as address:
    print(address, flush=True)
    sys.stdin.read()
"""
"""What a killed demo was: a process with a page beside it."""


def answers(address):
    """Tell whether anybody answers at an address."""
    try:
        return httpx.get(address, timeout=60).status_code == 200
    except httpx.TransportError:
        return False


def becomes(true, within_s=60.0):
    """Wait until something is true; false if that takes too long."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if true():
            return True
        time.sleep(0.05)
    return False


def test_a_page_that_cannot_start_says_where_to_look(tmp_path):
    """The log has the reason."""
    project = at("promoted", tmp_path)
    with pytest.raises(ProcessFailed, match=r"page\.log"), page_beside(project, invite="nobody"):
        pytest.fail("the page started for nobody")
    assert "people add nobody" in (project.places.root / "logs" / "page.log").read_text()


def test_a_caption_is_shown_as_text(tmp_path):
    """What a story tells stands on every view; no story, no caption; damage is no caption."""
    project = at("promoted", tmp_path)
    assert read_caption(project.places.caption) is None
    with visiting(project, "tom") as client:
        assert "Chapter" not in client.get("/").text
        write_caption(project.places.caption, "Chapter 2", "it learns <b>now</b>")
        assert "it learns &lt;b&gt;now&lt;/b&gt;" in client.get("/versions").text
    assert read_caption(project.places.caption).before == []
    for damage in (b"{", b'{"chapter": "\xff"}'):
        project.places.caption.write_bytes(damage)
        assert read_caption(project.places.caption) is None


def test_what_was_told_before_stays_the_newest_first(tmp_path):
    """Whoever opens the page late reads the whole story; each part leads to where it can be looked at."""
    project = at("promoted", tmp_path)
    path, told = project.places.caption, None
    for number in range(3):
        told = write_caption(path, f"Chapter {number}", f"part <{number}>", link=f"/decisions/{number}", before=told)
    assert read_caption(path) == told
    with visiting(project, "tom") as client:
        text = client.get("/").text
    for number in range(3):
        assert f'href="/decisions/{number}"' in text
    places = [text.index(f"part &lt;{number}&gt;") for number in (2, 1, 0)]
    assert places == sorted(places)


def test_a_long_story_forgets_its_beginning_not_its_end(tmp_path):
    """However much is told, the file stays one that is read whole; a sentence that is too long is cut."""
    told = None
    for number in range(200):
        told = write_caption(tmp_path / "caption", "Live", f"{number} {'x' * 2_000}", before=told)
    read = read_caption(tmp_path / "caption")
    assert read == told
    assert read.about.startswith("199 ")
    assert read.before[0].about.startswith("198 ")
    assert read.before[-1].about.endswith("\N{HORIZONTAL ELLIPSIS}")
