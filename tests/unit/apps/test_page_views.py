"""The page: every view shows the desk's own data, every step asks for its role, everything from outside is text."""

import shutil

import pytest
from page_visitors import do, sign_in, token, visiting
from small_project import at, looked_at

from tradeworthy.apps.admin.app import HEADERS, make_app
from tradeworthy.apps.admin.live import drawn
from tradeworthy.apps.commands.project import Project
from tradeworthy.core.time import NS_PER_S

VIEWS = [
    "/",
    "/decisions",
    "/watch",
    "/versions",
    "/versions/champion",
    "/versions/champion/gate",
    "/fairness",
    "/record",
    "/settings",
]


@pytest.fixture(scope="module")
def traded(tmp_path_factory):
    """Return a project that has traded, for tests that change nothing but sign-ins."""
    folder = tmp_path_factory.mktemp("page") / "small"
    return Project(shutil.copytree(looked_at("traded").folder, folder))


@pytest.mark.parametrize("path", VIEWS)
def test_a_view_is_a_whole_page(traded, path):
    """Each view renders, has one heading, the stop, and no script or style in the page."""
    with visiting(traded, "tom") as client:
        answer = client.get(path)
    assert answer.status_code == 200
    assert answer.text.count("<h1>") == 1
    assert 'id="halt"' in answer.text
    assert "<style" not in answer.text
    assert "style=" not in answer.text
    assert answer.text.count("<script") == answer.text.count('<script src="/static/')


def test_the_desk_says_what_the_record_says(traded):
    """P&L and decisions are those of the follower that the terminal uses."""
    with visiting(traded, "tom") as client:
        moment = client.get("/api/v1/desk").json()
        text = client.get("/").text
    assert moment["decisions"] > 100
    assert f"{moment['decisions']:,}" in text
    assert moment["champion"][:8] in text


def test_decisions_go_on_without_a_gap_or_a_repeat(traded):
    """Each page of the list begins where the one before ended."""
    seen, before = [], None
    with visiting(traded, "tom") as client:
        while True:
            asked = {"count": 100} | ({"before": before} if before else {})
            page = client.get("/api/v1/decisions", params=asked).json()
            if not page:
                break
            seen += [each["sequence"] for each in page]
            before = seen[-1]
        all_of_them = client.get("/api/v1/desk").json()["decisions"]
    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) == all_of_them


@pytest.mark.parametrize("outcome", ["orders", "refused", "no_order"])
def test_filters_find_what_they_name(traded, outcome):
    """Orders have a quantity, refusals a verdict, and what sent no order has neither."""
    with visiting(traded, "tom") as client:
        found = client.get("/api/v1/decisions", params={"outcome": outcome, "count": 1000}).json()
    assert found
    kinds = {
        ("orders" if each["quantity"] else "refused" if each["verdict"] != "NONE" else "no_order") for each in found
    }
    assert kinds == {outcome}


def test_a_filter_that_is_misspelled_says_so(traded):
    """The page offers the nearest word and shows an empty list."""
    with visiting(traded, "tom") as client:
        assert "near: &#x27;orders&#x27;" in client.get("/decisions?outcome=order").text.replace("'", "&#x27;")
        assert client.get("/api/v1/decisions?outcome=order").status_code == 409


def test_a_decision_is_explained_to_the_last_bit(traded):
    """The page of an order shows the waterfall, the event, and the venue's answer."""
    with visiting(traded, "tom") as client:
        order = client.get("/api/v1/decisions", params={"outcome": "orders", "count": 1}).json()[0]
        around = client.get(f"/api/v1/decisions/{order['sequence']}").json()
        why = client.get(f"/api/v1/decisions/{order['sequence']}/explanation").json()
        text = client.get(f"/decisions/{order['sequence']}").text
    assert why["baseline"] + sum(each["contribution"] for each in why["reasons"]) == pytest.approx(why["margin"])
    assert around["event"]["close"] == around["decision"]["price"]
    assert "From the baseline to the score" in text
    assert f"{order['target']:,.6g}" in text


def test_a_decision_that_does_not_exist_is_not_found(traded):
    """The error names the stream and the number."""
    with visiting(traded, "tom") as client:
        assert client.get("/decisions/999999999").status_code == 404
        assert "999999999" in client.get("/api/v1/decisions/999999999").json()["error"]


def test_curves_keep_the_extremes_and_the_fills(traded):
    """A narrow drawing has few points, with the highest and lowest price among them."""
    app = make_app(traded)
    whole = drawn(app.state.deployment, 0, (None, None), 4_000)
    narrow = drawn(app.state.deployment, 0, (None, None), 20)
    assert len(narrow.price[0]) <= 80 < len(whole.price[0])
    assert max(narrow.price[1]) == max(whole.price[1])
    assert len(whole.buys[0]) + len(whole.sells[0]) > 10
    counted = [sum(sum(kind) for kind in each.decisions[1:5]) for each in (narrow, whole)]
    assert counted == [app.state.deployment.frame().decisions] * 2
    assert len(narrow.decisions[0]) <= 21 < len(whole.decisions[0])
    middle = whole.price[0][len(whole.price[0]) // 2]
    later = drawn(app.state.deployment, 0, (int(middle * NS_PER_S), None), 4_000)
    assert 0 < len(later.price[0]) < len(whole.price[0])
    assert min(later.price[0]) >= middle


def test_every_answer_carries_the_policy(traded):
    """Pages, refusals and redirects forbid foreign scripts and frames."""
    with visiting(traded) as client:
        for path in ("/signin", "/", "/nothing", "/health", "/static/page.js"):
            headers = client.get(path).headers
            assert {name: headers.get(name) for name in HEADERS} == HEADERS, path


def test_hostile_words_are_shown_as_text(tmp_path):
    """A script in a reason, a name or a scope never becomes an element."""
    project, script = at("traded", tmp_path), "<script>alert(1)</script>"
    project.halt("all", actor=script, reason=f'"><img src=x onerror=alert(1)>{script}')
    project.people.add(f"x{script}", ["trader"], "a long enough password", actor="a", reason=script)
    with visiting(project, "adam") as client:
        for path in ("/", "/record", "/settings"):
            text = client.get(path).text
            assert script not in text, path
            assert "<img" not in text
            assert "&lt;script&gt;" in text


def test_halt_and_resume_from_the_page(tmp_path):
    """A trader halts at once; only risk resumes, with a reason; both are facts with their names."""
    project = at("promoted", tmp_path)
    with visiting(project, "tom") as client:
        assert do(client, "/do/halt", scope="all").headers["location"] == "/"
        assert "Halted" in client.get("/").text
        assert project.control.view().scopes
        do(client, "/do/resume", scope="all", reason="again")
        assert "needs the role risk" in client.get("/").text
        assert project.control.view().scopes
    with visiting(project, "rita") as client:
        do(client, "/do/resume", scope="all", reason="looked at it")
    told = [(entry.actor, type(entry.fact).__name__) for entry in project.ledger.facts()][-2:]
    assert told == [("tom", "TradingHalted"), ("rita", "TradingResumed")]
    assert not project.control.view().scopes


def test_limits_change_with_a_reason_and_a_fact(tmp_path):
    """Risk changes one limit; the others stay; nonsense changes nothing."""
    project = at("promoted", tmp_path)
    with visiting(project, "rita") as client:
        do(client, "/do/settings/limits", order_value_max="12,000", reason="smaller")
        assert "order_value_max" in client.get("/settings").text
        assert client.get("/api/v1/limits").json() == {"order_value_max": 12_000.0}
        do(client, "/do/settings/limits", order_value_max="much", reason="smaller")
        assert "allowed is a number" in client.get("/settings").text
        do(client, "/do/settings/limits", order_value_max="-1", reason="smaller")
        assert client.get("/api/v1/limits").json() == {"order_value_max": 12_000.0}
    with visiting(project, "tom") as client:
        do(client, "/do/settings/limits", order_value_max="99", reason="mine")
        assert client.get("/api/v1/limits").json() == {"order_value_max": 12_000.0}


def test_questions_to_the_record(traded):
    """Those who may ask get rows; a statement that changes something is refused in words."""
    with visiting(traded, "rita") as client:
        assert '<td class="number">' in do(client, "/do/record/query", sql="SELECT count(*) AS n FROM decisions").text
        assert 'role="alert"' in do(client, "/do/record/query", sql="DELETE FROM decisions").text
    with visiting(traded, "paul") as client:
        assert "Ask the record" not in client.get("/record").text
        assert do(client, "/do/record/query", sql="SELECT 1").status_code in (303, 403)


def test_verifying_from_the_page(tmp_path):
    """The button checks every byte; damage is shown as damage."""
    project = at("traded", tmp_path)
    with visiting(project, "tom") as client:
        do(client, "/do/record/verify")
        assert "whole" in client.get("/record").text
        segment = next((project.places.tape / "streams" / "decisions").glob("*.seg"))
        data = bytearray(segment.read_bytes())
        data[5_000] ^= 1
        segment.write_bytes(data)
        do(client, "/do/record/verify")
        assert "damaged" in client.get("/record").text


def test_signing_out_forgets(traded):
    """After signing out the same cookies open nothing."""
    with visiting(traded, "tom") as client:
        do(client, "/signout")
        assert client.get("/").headers["location"] == "/signin"


def test_a_session_number_is_made_at_sign_in_only(traded):
    """A number that somebody brought along is not the one that is signed in."""
    with visiting(traded) as client:
        client.cookies.set("tradeworthy", "a" * 64)
        token(client)
        sign_in(client, "tom")
        signed = [cookie.value for cookie in client.cookies.jar if cookie.name == "tradeworthy"]
        assert "a" * 64 not in signed[-1:]
        assert client.get("/").status_code == 200 or signed[-1] != "a" * 64


def test_who_loses_their_roles_is_out_at_once(tmp_path):
    """The next request of a removed person is sent to the sign-in."""
    project = at("promoted", tmp_path)
    with visiting(project, "tom") as client:
        assert client.get("/").status_code == 200
        project.people.remove("tom", actor="adam", reason="left")
        assert client.get("/").headers["location"] == "/signin"
