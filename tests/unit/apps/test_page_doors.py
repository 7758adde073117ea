"""Who comes in: every route but a few needs somebody signed in, every step its role and its token."""

from typing import Never

import pytest
from page_visitors import EVERYBODY, ask, do, sign_in, token, visiting
from small_project import at

from tradeworthy.apps.admin.app import make_app
from tradeworthy.change.access.people import TRIES_MAX
from tradeworthy.change.access.roles import ACTIONS
from tradeworthy.core import facts
from tradeworthy.core.errors import NotFound

OPEN = {"/signin", "/invited", "/static", "/static/{file_path:path}", "/health", "/report.css"}
STEPS = {
    "halt": ("/api/v1/halt", {"scope": "all", "reason": "x"}),
    "resume": ("/api/v1/resume", {"scope": "all", "reason": "x"}),
    "rollback": ("/api/v1/rollback", {"reason": "x"}),
    "approve": ("/api/v1/versions/newest/approve", {"reason": "x"}),
    "promote": ("/api/v1/versions/newest/promote", {"role": "shadow", "reason": "x"}),
    "acknowledge": ("/api/v1/findings/1/acknowledge", {"reason": "x"}),
    "close": ("/api/v1/findings/1/close", {"reason": "x"}),
    "resize": ("/api/v1/size", {"share": 0.5, "reason": "x"}),
    "override": ("/api/v1/decisions/1/override", {"minutes": 5, "reason": "x"}),
    "limits": ("/api/v1/limits", {"limits": {}, "reason": "x"}),
    "policy": ("/api/v1/policy", {"policy": {}, "reason": "x"}),
    "set_aside": ("/api/v1/versions/newest/override", {"check": "x", "until": "2027-01-31", "reason": "x"}),
    "keys": ("/api/v1/keys", {"owner": "x", "scopes": ["infer"], "reason": "x"}),
    "query": ("/api/v1/query", {"sql": "SELECT 1"}),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return at("promoted", tmp_path_factory.mktemp("doors"))


def filled(path):
    """Return a route's path with its parameters filled."""
    words = [part.partition(":")[2].rstrip("}") if part.startswith("{") else None for part in path.split("/")]
    values = {"int": "1", "str": "newest", "path": "x"}
    return "/".join(values[kind] if kind else part for kind, part in zip(words, path.split("/"), strict=True))


def routes(project):
    """Return every route with its methods."""
    app = make_app(project)
    return [
        (route.path, sorted(route.methods - {"OPTIONS", "HEAD"})) for route in app.routes if hasattr(route, "methods")
    ]


def during_a_view(client, path, **fields: object):
    """Have a form sent while the view of fairness is on its way."""

    def insight() -> Never:
        do(client, path, **fields)
        raise NotFound("nothing to say yet")

    client.app.state.deployment.insight = insight


def test_every_other_route_needs_somebody_signed_in(project):
    """The whole table of routes is walked; nobody signed in sees nothing and changes nothing."""
    before = project.ledger.head()
    with visiting(project) as client:
        before = project.ledger.head()
        headers = {"x-csrftoken": token(client)}
        walked = 0
        for path, methods in routes(project):
            for method in methods:
                if path in OPEN:
                    continue
                answer = client.request(method, filled(path), headers=headers)
                out = answer.status_code == 401 or answer.headers.get("location") == "/signin"
                assert out, (method, path, answer.status_code)
                walked += 1
    assert walked > 40
    assert project.ledger.head() == before


def test_every_step_without_a_token_is_refused(project):
    """Another site cannot send a form of ours, whoever is signed in."""
    with visiting(project, "rita") as client:
        before = project.ledger.head()
        for path, methods in routes(project):
            if "POST" in methods and not path.startswith("/static"):
                assert client.post(filled(path), json={"reason": "x"}).status_code == 403, path
    assert project.ledger.head() == before


@pytest.mark.parametrize("action", STEPS)
def test_a_step_asks_for_its_role(project, action):
    """Whoever lacks the role gets 403 with who could; the step is not taken."""
    path, body = STEPS[action]
    for name, (role,) in EVERYBODY.items():
        if role in ACTIONS[action]:
            continue
        with visiting(project, name) as client:
            before = project.ledger.head()
            answer = ask(client, path, **body)
            assert answer.status_code == 403, (name, action)
            assert "ask somebody" in answer.json()["error"]
            assert project.ledger.head() == before


def test_a_form_sent_while_a_view_is_on_its_way_tells_what_it_did(tmp_path):
    """The view that was asked for before the form brings no older session back; the next view tells, once."""
    with visiting(at("promoted", tmp_path), "rita") as client:
        during_a_view(client, "/do/halt", scope="all")
        assert "next order there is refused" not in client.get("/fairness").text
        assert "next order there is refused" in client.get("/record").text
        assert "next order there is refused" not in client.get("/record").text


def test_signing_out_while_a_view_is_on_its_way_is_for_good(tmp_path):
    """The view comes back after the sign-out and signs nobody in again."""
    with visiting(at("promoted", tmp_path), "rita") as client:
        during_a_view(client, "/signout")
        assert client.get("/fairness").status_code == 200
        assert client.get("/").headers["location"] == "/signin"


def test_looking_keeps_a_session_and_its_cookie_alive(tmp_path):
    """Each view sends the cookie of the same session for another twelve hours; nobody's has none."""
    with visiting(at("promoted", tmp_path)) as client:
        assert "tradeworthy=" not in client.get("/signin").headers["set-cookie"]
        sign_in(client, "tom")
        number = client.cookies["tradeworthy"]
        sent = client.get("/").headers["set-cookie"]
        assert f"tradeworthy={number}" in sent
        for words in ("Max-Age=43200", "HttpOnly", "SameSite=strict", "Path=/"):
            assert words in sent, words


def test_five_wrong_passwords_lock_a_name_and_are_a_finding(tmp_path):
    """The lock answers 429 also to the right password, and stands in the ledger as a security finding."""
    project = at("promoted", tmp_path)
    with visiting(project) as client:
        answers = [sign_in(client, "tom", "wrong").status_code for _ in range(TRIES_MAX)]
        assert answers == [401] * (TRIES_MAX - 1) + [429]
        assert sign_in(client, "tom").status_code == 429
    raised = [entry.fact.finding for entry in project.ledger.facts(facts.FindingRaised)]
    assert [(finding.kind, finding.subject) for finding in raised] == [("security", "brute force: tom")]


def test_an_unknown_name_is_answered_like_a_wrong_password(project):
    """What is wrong is not told apart."""
    with visiting(project) as client:
        unknown, wrong = sign_in(client, "nobody", "x"), sign_in(client, "paul", "x")
    assert unknown.status_code == wrong.status_code == 401
    assert "not right" in unknown.text
    assert "not right" in wrong.text


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/v1/halt", {"scope": "everything", "reason": "x"}, 409),
        ("/api/v1/halt", {"scope": "all", "reason": ""}, 400),
        ("/api/v1/halt", {"scope": "all", "reason": "x", "more": 1}, 400),
        ("/api/v1/halt", {}, 400),
        ("/api/v1/nothing", {}, 404),
    ],
)
def test_wrong_requests_are_told_what_is_wrong(project, path, body, status):
    """4xx in JSON, with words and without a trace."""
    with visiting(project, "rita") as client:
        answer = ask(client, path, **body)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert "Traceback" not in answer.text


def test_a_body_that_is_too_large_is_refused(project):
    """Nobody fills the memory of the page's process."""
    with visiting(project, "rita") as client:
        headers = {"x-csrftoken": token(client, "/halt"), "content-type": "application/json"}
        answer = client.post("/api/v1/query", content=b'{"sql": "' + b"x" * 200_000 + b'"}', headers=headers)
    assert answer.status_code == 413


def test_people_are_let_in_and_taken_out_by_an_admin_only(tmp_path):
    """A role is a fact with the admin's name; a trader gives none."""
    project = at("promoted", tmp_path)
    new = {"name": "nina", "password": "another long password", "roles": ["risk", "trader"], "reason": "joins"}
    with visiting(project, "tom") as client:
        do(client, "/do/settings/people/add", **new)
        assert project.people.find("nina") is None
    with visiting(project, "adam") as client:
        do(client, "/do/settings/people/add", **new)
        assert project.people.find("nina").roles == ("trader", "risk")
        assert [each["name"] for each in client.get("/api/v1/who-can/resume").json()] == ["nina", "rita"]
        do(client, "/do/settings/people/remove", name="nina", reason="left")
    assert project.people.find("nina") is None
    assert {entry.actor for entry in project.ledger.facts(facts.RolesGiven)} == {"test", "adam"}
