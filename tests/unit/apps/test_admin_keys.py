"""Programs come in with a key: its scopes are roles, its owner is who acts, and it opens nothing but the interface."""

import threading

import pytest
from page_visitors import EVERYBODY, ask, visiting
from small_project import ADA, at
from test_page_doors import STEPS, filled, routes

from tradeworthy.apps.commands.access import create_key, revoke_key
from tradeworthy.change.access.roles import ACTIONS, SCOPE_ROLES
from tradeworthy.core import facts
from tradeworthy.core.limits import Limits

READS = ("status", "desk", "versions", "versions/newest", "versions/newest/gate", "findings", "facts", "limits", "keys")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return at("promoted", tmp_path_factory.mktemp("keys"))


def key(project, *scopes: str, owner="prog", **bounds: object):
    """Make a key and return its secret."""
    return create_key(project, owner, scopes, actor="test", reason="test", **bounds).secret


def by(secret):
    """Return the headers of a caller with a key."""
    return {"authorization": f"Bearer {secret}"}


def api_routes(project):
    """Return every route of the interface with its method."""
    return [
        (method, filled(path))
        for path, methods in routes(project)
        for method in methods
        if path.startswith("/api") and method != "HEAD"
    ]


def test_every_route_refuses_a_wrong_key(project):
    """The table of routes is walked; who brings a key that nobody made gets 401, and learns nothing else."""
    walked = api_routes(project)
    assert len(walked) > 30
    with visiting(project) as client:
        before = project.ledger.head()
        for method, path in walked:
            wrong = "tw_00000000_" + "x" * 43
            answer = client.request(method, path, headers=by(wrong), json={"reason": "x"})
            assert answer.status_code in (401, 429), (method, path)
            assert answer.json()["error"] in ("this key is not known here", "locked out: too many wrong credentials")
    changed = [entry.fact for entry in project.ledger.facts()][before[0] :]
    assert all(isinstance(fact, facts.FindingRaised) for fact in changed)


def test_every_route_refuses_a_key_of_the_port_only(project):
    """Scopes of the inference port give no role here: 403 with the scope that is missing."""
    secret = key(project, "infer", "outcomes", "explain")
    with visiting(project) as client:
        for method, path in api_routes(project):
            answer = client.request(method, path, headers=by(secret), json={"reason": "x"})
            assert answer.status_code == 403, (method, path)
            assert "needs the scope 'admin'" in answer.json()["error"]


@pytest.mark.parametrize("path", READS)
def test_a_key_reads_what_a_person_reads(project, path):
    """A program needs neither session nor cookie, and gets none."""
    secret = key(project, "risk")
    with visiting(project) as client:
        answer = client.get(f"/api/v1/{path}", headers=by(secret))
    assert answer.status_code == 200, answer.text
    assert "tw_" not in answer.text
    assert not any(name == "tradeworthy" for name in client.cookies if client.cookies[name] != "null")


@pytest.mark.parametrize("action", STEPS)
def test_a_step_asks_for_the_role_that_a_scope_gives(project, action):
    """A key whose scopes do not give the role gets 403 with who could."""
    path, body = STEPS[action]
    with visiting(project) as client:
        for scope, role in SCOPE_ROLES.items():
            if role not in ACTIONS[action]:
                answer = client.post(path, headers=by(key(project, scope)), json=body)
                assert answer.status_code == 403, (action, scope)
                assert "ask somebody" in answer.json()["error"]


def test_a_step_is_a_fact_with_the_owner_and_the_key(tmp_path):
    """Who halted is the key's owner; which key it was stands in the reason. No form token is needed."""
    project = at("promoted", tmp_path)
    secret = key(project, "risk", owner="rita")
    with visiting(project) as client:
        assert client.post("/api/v1/halt", headers=by(secret), json={"reason": "looks wrong"}).status_code == 200
        assert client.get("/api/v1/status", headers=by(secret)).json()["halted"] == ["all"]
        assert client.post("/api/v1/resume", headers=by(secret), json={"reason": "is right"}).status_code == 200
    halted = project.ledger.facts(facts.TradingHalted)[-1]
    assert halted.actor == "rita"
    assert halted.reason == f"looks wrong (by key {secret.split('_')[1]})"


def test_an_author_does_not_approve_with_a_key_either(tmp_path):
    """Four eyes: the owner of the key is the author of the version."""
    project = at("gated", tmp_path)
    own, other = key(project, "approve", owner=ADA), key(project, "approve", owner="paul")
    with visiting(project) as client:
        path, body = "/api/v1/versions/newest/approve", {"reason": "good"}
        refused = client.post(path, headers=by(own), json=body)
        assert refused.status_code == 409
        assert ADA in refused.json()["error"]
        assert client.post(path, headers=by(other), json=body).json()["actor"] == "paul"
        life = client.get("/api/v1/versions/newest", headers=by(other)).json()
    assert life["version"]["approved_by"] == ["paul"]
    assert [step["actor"] for step in life["life"]][-1] == "paul"


def test_a_key_does_not_open_the_page(project):
    """Views and forms are for people: a key leads to the sign-in."""
    secret = key(project, "admin", "risk", "approve")
    with visiting(project) as client:
        for path, methods in routes(project):
            if path.startswith(("/api", "/static", "/signin", "/invited")) or path in ("/health", "/report.css"):
                continue
            for method in methods:
                answer = client.request(method, filled(path), headers=by(secret))
                assert answer.status_code in (303, 401, 403), (method, path)
                assert answer.headers.get("location", "/signin") == "/signin"


def test_a_session_does_not_help_a_wrong_key(project):
    """Who brings a key is judged by it: no form token is asked, so no session may count."""
    with visiting(project, "rita") as client:
        assert client.get("/api/v1/status").status_code == 200
        assert client.post("/api/v1/halt", headers=by("x"), json={"reason": "x"}).status_code == 401


def test_another_scheme_leaves_the_session_as_it_is(project):
    """A proxy in front may ask for a password of its own."""
    with visiting(project, "rita") as client:
        assert client.get("/api/v1/status", headers={"authorization": "Basic cml0YTpy"}).status_code == 200


def test_a_revoked_key_opens_nothing_from_that_moment(tmp_path):
    """The facts are read at every call; its further use is a finding."""
    project = at("promoted", tmp_path)
    secret = key(project, "risk")
    with visiting(project) as client:
        assert client.get("/api/v1/status", headers=by(secret)).status_code == 200
        revoke_key(project, secret.split("_")[1], actor="test", reason="left")
        answer = client.get("/api/v1/status", headers=by(secret))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert [f.fact.finding.kind for f in project.ledger.facts(facts.FindingRaised)] == ["security"]


def test_guessing_at_a_key_locks_out_and_is_a_finding(tmp_path):
    """Five wrong secrets for one key: 429 with how long, also to the right secret; the finding names no secret."""
    project = at("promoted", tmp_path)
    secret = key(project, "risk")
    guesses = [secret[:-2] + end for end in ("aa", "bb", "cc", "dd", "ee", "ff") if secret[-2:] != end][:5]
    with visiting(project) as client:
        assert [client.get("/api/v1/status", headers=by(guess)).status_code for guess in guesses] == [401] * 5
        locked = client.get("/api/v1/status", headers=by(secret))
    assert locked.status_code == 429
    assert int(locked.headers["retry-after"]) > 0
    (raised,) = project.ledger.facts(facts.FindingRaised)
    assert raised.fact.finding.subject.startswith("brute force")
    assert all(guess not in raised.fact.finding.sentence for guess in [secret, *guesses])


def test_a_keys_rate_holds_here_too(tmp_path):
    """One request a second: the next at once is 429."""
    project = at("promoted", tmp_path)
    secret = key(project, "risk", rate_per_s=0.001)
    with visiting(project) as client:
        assert [client.get("/api/v1/status", headers=by(secret)).status_code for _ in range(2)] == [200, 429]


def test_an_admin_makes_and_revokes_keys(tmp_path):
    """The secret is in the answer once; the list and the ledger do not have it."""
    project = at("promoted", tmp_path)
    with visiting(project) as client:
        admin = by(key(project, "admin", owner="adam"))
        wanted = {"owner": "ann", "scopes": ["infer"], "rate_per_s": 5, "days": 30, "reason": "for her bot"}
        made = client.post("/api/v1/keys", headers=admin, json=wanted)
        assert made.status_code == 201
        name, secret = made.json()["key"]["key"], made.json()["secret"]
        listed = client.get("/api/v1/keys", headers=admin)
        assert secret not in listed.text
        assert [line["owner"] for line in listed.json()["keys"]] == ["adam", "ann"]
        done = client.post(f"/api/v1/keys/{name}/revoke", headers=admin, json={"reason": "left"})
        assert done.json()["state"] == "revoked"
        assert client.post(f"/api/v1/keys/{name}/revoke", headers=admin, json={"reason": "x"}).status_code == 404
        unknown = client.post("/api/v1/keys", headers=admin, json={**wanted, "scopes": ["infre"]})
    assert unknown.status_code == 409
    assert "infer" in unknown.json()["error"]
    assert all(secret not in str(entry) for entry in project.ledger.facts())
    assert project.ledger.facts(facts.KeyIssued)[-1].actor == "adam"


def test_limits_and_size_are_changed_by_risk(tmp_path):
    """Both are facts of whoever owns the key; the same limits again are none."""
    project = at("promoted", tmp_path)
    with visiting(project) as client:
        risk = by(key(project, "risk", owner="rita"))
        limits = {**client.get("/api/v1/limits", headers=risk).json(), "order_value_max": 1234.0}
        for _ in range(2):
            changed = client.post("/api/v1/limits", headers=risk, json={"limits": limits, "reason": "less"})
            assert changed.json()["order_value_max"] == 1234.0
        assert client.post("/api/v1/size", headers=risk, json={"share": 0.5, "reason": "half"}).status_code == 200
        wrong = client.post("/api/v1/size", headers=risk, json={"share": 2, "reason": "double"})
        assert wrong.status_code == 400
        broken = {"limits": {"order_value_max": -1}, "reason": "x"}
        assert client.post("/api/v1/limits", headers=risk, json=broken).status_code == 400
    mine = [entry for entry in project.ledger.facts(facts.LimitsChanged) if entry.actor == "rita"]
    assert [entry.fact.limits for entry in mine] == [Limits(**limits)]
    assert project.ledger.facts(facts.SizeChanged)[-1].actor == "rita"


def test_reports_are_given_as_files(tmp_path):
    """The run's report and the monitoring report are whole HTML files; another kind is 404 with what there is."""
    project = at("traded", tmp_path)
    with visiting(project) as client:
        caller = by(key(project, "risk"))
        for kind in ("run", "monitoring"):
            answer = client.get(f"/api/v1/reports/{kind}", headers=caller)
            assert answer.headers["content-type"].startswith("text/html")
            assert answer.text.startswith("<!doctype html>")
        missing = client.get("/api/v1/reports/runs", headers=caller)
    assert missing.status_code == 404
    assert "run, monitoring" in missing.json()["error"]


def test_a_person_with_a_session_may_do_the_same(tmp_path):
    """The page's people use the new routes as well, with their token."""
    project = at("promoted", tmp_path)
    with visiting(project, "adam") as client:
        assert ask(client, "/api/v1/keys", owner="x", scopes=["infer"], reason="x").status_code == 201
    assert project.ledger.facts(facts.KeyIssued)[-1].actor == "adam"
    assert project.ledger.facts(facts.KeyIssued)[-1].reason == "x"
    assert set(EVERYBODY["adam"]) == set(ACTIONS["keys"])


def test_many_callers_at_once_are_let_in(project):
    """Handlers run in threads; each caller is judged by its own key."""
    secrets = {owner: key(project, "risk", owner=owner) for owner in ("a", "b", "c", "d")}
    seen = {}
    with visiting(project) as client:

        def call(owner) -> None:
            body = {"share": 1, "reason": "x"}
            answers = [client.post("/api/v1/size", headers=by(secrets[owner]), json=body) for _ in range(5)]
            seen[owner] = {answer.json()["actor"] for answer in answers}

        threads = [threading.Thread(target=call, args=(owner,)) for owner in secrets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert seen == {owner: {owner} for owner in secrets}
