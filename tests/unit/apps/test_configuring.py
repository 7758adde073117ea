"""Settings from the page: a change is seen before it is made, a secret once, and each step needs its role."""

import re

import pytest
from page_visitors import do, visiting
from small_project import at

from tradeworthy.apps.commands.alerting import try_way, ways_of
from tradeworthy.apps.commands.project import Project
from tradeworthy.apps.dashboard.layout import Visit
from tradeworthy.apps.dashboard.limits import review_view
from tradeworthy.apps.deployment.limits import limits_by_scope, record_limits, scoped_limits
from tradeworthy.change.access.people import Person
from tradeworthy.core.errors import NotFound
from tradeworthy.core.facts import KeyIssued, LimitsChanged
from tradeworthy.core.limits import LIMIT_FIELDS, Limits

FILE_ALERT = '\n[[alert]]\nto = "file"\nname = "log-book"\npath = "told.jsonl"\n'
HOOK_AND_MAIL = """
[[alert]]
to = "webhook"
url = "https://hooks.example/services/T0P-SECRET"
secret_file = "hook.key"
[[alert]]
to = "email"
host = "mail.example"
sender = "desk@example.com"
recipients = ["rita@example.com", "o'neil@example.com"]
"""
NOWHERE = '\n[[alert]]\nto = "file"\nname = "nowhere"\npath = "no/such/folder/told.jsonl"\n'


def fields(limits):
    """Return limits as the form sends them."""
    return {name: str(value) for name in LIMIT_FIELDS if (value := getattr(limits, name)) is not None}


def promoted(tmp_path, more=""):
    """Return a small project with a champion and the settings' limits on its ledger."""
    project = at("promoted", tmp_path)
    path = project.folder / "tradeworthy.toml"
    path.write_text(path.read_text("utf-8") + more, "utf-8")
    project = Project(project.folder)
    record_limits(project)
    return project


def test_a_change_is_shown_before_it_is_made(tmp_path):
    """The page in between lists what differs, says which way, and changes nothing."""
    project = promoted(tmp_path)
    wanted = Limits(
        **{**fields_of(project.settings.limits), "order_value_max": 4_000.0, "orders_per_minute_max": 900.0}
    )
    with visiting(project, "rita") as client:
        text = do(client, "/do/settings/limits/review", scope="desk", **fields(wanted)).text
        assert limits_by_scope(project)["desk"] == project.settings.limits
        assert ">tighter<" in text
        assert ">looser<" in text
        assert "order quantity" not in text
        do(client, "/do/settings/limits", scope="desk", reason="smaller", **fields(wanted))
        said = client.get("/settings").text
        assert limits_by_scope(project)["desk"] == wanted
        assert "order value max 50,000 → 4,000" in said
        assert "order value max 50,000 → 4,000" in client.get("/record?kind=LimitsChanged&actor=rita").text


def fields_of(limits):
    """Return limits that are set, by name."""
    return {name: value for name in LIMIT_FIELDS if (value := getattr(limits, name)) is not None}


def test_an_instrument_has_limits_of_its_own(tmp_path):
    """They tighten the desk's for that instrument alone; an unknown scope is refused with those that there are."""
    project = promoted(tmp_path)
    with visiting(project, "rita") as client:
        do(client, "/do/settings/limits", scope="instrument:ABC", order_value_max="100", reason="thin")
        assert scoped_limits(project).instruments == {0: Limits(order_value_max=100.0)}
        assert scoped_limits(project).desk == project.settings.limits
        do(client, "/do/settings/limits", scope="instrument:XYZ", order_value_max="100", reason="thin")
        assert "instrument:ABC" in client.get("/settings").text
    assert "instrument:XYZ" not in limits_by_scope(project)


def test_the_same_limits_again_are_no_fact(tmp_path):
    """Nothing is written where nothing differs, and the page between says so."""
    project = promoted(tmp_path)
    count = len(list(project.ledger.facts(LimitsChanged)))
    same = fields(project.settings.limits)
    with visiting(project, "rita") as client:
        assert "nothing to change" in do(client, "/do/settings/limits/review", scope="desk", **same).text
        do(client, "/do/settings/limits", scope="desk", reason="again", **same)
        assert "nothing was changed" in client.get("/settings").text
    assert len(list(project.ledger.facts(LimitsChanged))) == count


def test_what_a_person_set_stands_until_the_file_changes(tmp_path):
    """A restart does not bring back looser limits; a new number in the file does count."""
    project = promoted(tmp_path)
    tighter = Limits(order_value_max=1.0)
    project.ledger.append(LimitsChanged(scope="desk", limits=tighter), actor="rita", reason="tight")
    record_limits(project)
    assert limits_by_scope(project)["desk"] == tighter
    path = project.folder / "tradeworthy.toml"
    path.write_text(
        path.read_text("utf-8").replace("order_value_max = 50_000.0", "order_value_max = 40_000.0"), "utf-8"
    )
    changed = Project(project.folder)
    record_limits(changed)
    assert limits_by_scope(changed)["desk"].order_value_max == 40_000.0


@pytest.mark.parametrize(
    ("before", "after", "bound", "said"),
    [
        (5.0, 4.0, None, "tighter"),
        (5.0, 6.0, None, "looser"),
        (5.0, None, None, "no longer set"),
        (None, 5.0, None, "is set"),
        (5.0, 9.0, 7.0, "beyond the champion"),
    ],
)
def test_what_a_change_means(visit_of_risk, before, after, bound, said):
    """Tighter, looser, missing, or beyond what the champion was validated for."""
    limits = [Limits(order_value_max=each) for each in (before, after, bound)]
    assert said in review_view(visit_of_risk, "desk", *limits)


def test_a_longer_window_is_tighter(visit_of_risk):
    """Of the duplicate window the longer one allows less."""
    one, two = Limits(duplicate_window_ms=10.0), Limits(duplicate_window_ms=20.0)
    assert "tighter" in review_view(visit_of_risk, "desk", one, two, None)
    assert "looser" in review_view(visit_of_risk, "desk", two, one, None)


@pytest.fixture
def visit_of_risk():
    """Return a visit of somebody who may change limits."""
    return Visit(person=Person(name="rita", roles=("risk",)), token="", path="/settings")


def test_a_secret_is_shown_once(tmp_path):
    """It stands on the page that answers, opens the interface, and is on no later page and in no fact."""
    project = promoted(tmp_path)
    with visiting(project, "adam") as client:
        made = do(
            client, "/do/settings/keys/create", owner="robot", scopes="risk", days="2", reason="for the robot"
        ).text
        secret = re.search(r"tw_\w{8}_[\w-]{43}", made)[0]
        issued = next(entry for entry in project.ledger.facts(KeyIssued))
        assert (issued.actor, issued.reason, issued.fact.scopes) == ("adam", "for the robot", ["risk"])
        later = client.get("/settings").text
        assert issued.fact.key in later
        assert secret not in later
        assert secret not in str(issued)
        do(client, "/do/settings/keys/revoke", key=issued.fact.key, reason="over")
        assert "opens nothing any more" in client.get("/settings").text
        do(client, "/do/settings/keys/revoke", key=issued.fact.key, reason="again")
        assert "is good" in client.get("/settings").text


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"owner": "robot", "reason": "x"}, "scope"),
        ({"owner": "", "scopes": "risk", "reason": "x"}, "owner"),
        ({"owner": "robot", "scopes": "risk", "days": "soon", "reason": "x"}, "allowed is a number"),
        ({"owner": "robot", "scopes": "risk", "days": "-1", "reason": "x"}, "allowed is a positive number"),
        ({"owner": "robot", "scopes": "risk", "days": "4000000", "reason": "x"}, "allowed are 36,500 at most"),
        ({"owner": "robot", "scopes": "risk", "rows": "2.5", "reason": "x"}, "allowed is a whole number"),
        ({"owner": "robot", "scopes": "risk", "rows": "nan", "reason": "x"}, "allowed is a whole number"),
    ],
)
def test_a_key_that_could_not_be_used_is_not_made(tmp_path, sent, said):
    """Each wrong field is named with what is allowed; nothing is recorded."""
    project = promoted(tmp_path)
    with visiting(project, "adam") as client:
        do(client, "/do/settings/keys/create", **sent)
        assert said in client.get("/settings").text
    assert not list(project.ledger.facts(KeyIssued))


def test_those_without_the_role_see_and_cannot_do(tmp_path):
    """A trader sees limits, keys and ways, is offered no form, and every step answers who could."""
    project = promoted(tmp_path, FILE_ALERT)
    steps = {
        "/do/settings/limits/review": {"order_value_max": "1"},
        "/do/settings/limits": {"order_value_max": "1", "reason": "x"},
        "/do/settings/keys/create": {"owner": "x", "scopes": "risk", "reason": "x"},
        "/do/settings/keys/revoke": {"key": "x", "reason": "x"},
        "/do/settings/alerts/test": {"name": "log-book"},
        "/do/settings/people/add": {"name": "eve", "roles": "admin", "password": "long enough password", "reason": "x"},
    }
    before = len(list(project.ledger.facts()))
    with visiting(project, "tom") as client:
        count = len(list(project.ledger.facts()))
        text = client.get("/settings").text
        assert "log-book" in text
        assert 'action="/do/settings' not in text
        for path, sent in steps.items():
            do(client, path, **sent)
            assert "needs the role" in client.get("/settings").text, path
    assert len(list(project.ledger.facts())) == count >= before
    assert not (project.folder / "told.jsonl").exists()


def test_a_way_of_telling_is_tried(tmp_path):
    """The test arrives, says that it is one, and leaves no fact behind."""
    project = promoted(tmp_path, FILE_ALERT)
    with visiting(project, "rita") as client:
        count = len(list(project.ledger.facts()))
        do(client, "/do/settings/alerts/test", name="log-book")
        assert "took the test alert" in client.get("/settings").text
    told = (project.folder / "told.jsonl").read_text("utf-8")
    assert "This is a test by rita" in told
    assert len(list(project.ledger.facts())) == count
    assert [(way.name, way.kind, way.sent) for way in ways_of(project)] == [("log-book", "file", 0)]


def test_where_alerts_go_is_shown_without_what_would_let_a_stranger_send(tmp_path):
    """Of a hook the host alone, since its path is its secret; of mail every address; of a file its path."""
    project = promoted(tmp_path, FILE_ALERT + HOOK_AND_MAIL)
    ways = {way.name: way.where for way in ways_of(project)}
    assert ways == {
        "log-book": str((project.folder / "told.jsonl").resolve()),
        "webhook-2": "hooks.example",
        "email-3": "rita@example.com, o'neil@example.com",
    }
    with visiting(project, "tom") as client:
        text = client.get("/settings").text
    assert "hooks.example" in text
    assert "T0P-SECRET" not in text


def test_a_way_that_leads_nowhere_says_why(tmp_path):
    """A sink that cannot deliver is a failure on the page; an unknown one is named with those that there are."""
    project = promoted(tmp_path, NOWHERE)
    (project.folder / "no").write_text("a file where a folder should be", "utf-8")
    with visiting(project, "rita") as client:
        do(client, "/do/settings/alerts/test", name="nowhere")
        text = client.get("/settings").text
        assert 'role="alert"' in text
        assert "did not take the test alert" in text
    with pytest.raises(NotFound, match="nowhere"):
        try_way(project, "nowere", actor="rita")
