"""A form that was refused: what it sent and what is wrong with it comes back with the view it belongs to, once."""

import html
import json
import re

import pytest
from page_visitors import do, visiting
from small_project import at
from test_page_policy import fields, policies

from tradeworthy.apps.admin.forms import FieldsInvalid, policy_sent
from tradeworthy.change.release.answers import Reaction
from tradeworthy.change.release.policy import PolicySettings

WRONG = "sesame-7"
HALF = Reaction(on="trading", do="reduce", share=0.5)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return at("promoted", tmp_path_factory.mktemp("forms"))


def put_back(client, path):
    """Return what a view gives its script to put back; nothing where no form was refused."""
    found = re.search(r'data-typed="([^"]*)"', client.get(path).text)
    return json.loads(html.unescape(found[1])) if found else None


def sent_from(client, path, action, **sent: object):
    """Send a form of a page, which the browser names; return where the answer leads."""
    client.headers["referer"] = f"{client.base_url}{path}"
    return do(client, action, **sent).headers["location"]


def test_each_wrong_field_is_told_by_its_name():
    """Numbers, choices and rules: all that is wrong at once, so that nobody corrects one after the other."""
    sent = fields(PolicySettings(reaction=[HALF]), budget="2.5", gate_tries="", retrain_on="moon", **{"share-0": "0"})
    with pytest.raises(FieldsInvalid) as refused:
        policy_sent(sent)
    assert set(refused.value.wrong) == {"budget", "gate_tries", "retrain_on", "on-0"}
    assert refused.value.wrong["budget"] == "budget is '2.5', allowed is a whole number"
    assert "share is 0" in refused.value.wrong["on-0"]
    for said in refused.value.wrong.values():
        assert said in str(refused.value)


def test_a_later_rule_is_told_by_its_own_place():
    """The first rule is right and stays; the second names itself."""
    sent = fields(PolicySettings(reaction=[HALF, HALF]), **{"do-1": "sell"})
    with pytest.raises(FieldsInvalid) as refused:
        policy_sent(sent)
    assert set(refused.value.wrong) == {"on-1"}


def test_what_was_typed_comes_back_once(project):
    """Every field as it was sent, with what is wrong beside its name; nothing is changed; a second look has nothing."""
    with visiting(project, "rita") as client:
        wrong = fields(budget="2.5", gate_tries="7")
        assert sent_from(client, "/settings", "/do/settings/policy/review", **wrong) == "/settings"
        typed = put_back(client, "/settings")
        assert typed["action"] == "/do/settings/policy/review"
        assert (typed["fields"]["budget"], typed["fields"]["gate_tries"]) == ("2.5", "7")
        assert typed["fields"]["rollback_on"] == fields()["rollback_on"]
        assert set(typed["wrong"]) == {"budget"}
        assert put_back(client, "/settings") is None
    assert policies(project) == []


def test_a_form_that_is_refused_as_a_whole_says_so_of_all(project):
    """Where no single field is at fault, the fault has no field's name."""
    with visiting(project, "rita") as client:
        do(client, "/do/resize", share="ten", reason="less")
        typed = put_back(client, "/versions/champion")
    assert typed["wrong"] == {"": "share is 'ten', allowed is a number of percent, as 10"}
    assert typed["fields"] == {"share": "ten", "reason": "less"}


def test_neither_password_nor_token_is_ever_shown_again(project):
    """What is kept of a refused form has no secret in it."""
    with visiting(project, "adam") as client:
        do(client, "/do/settings/people/add", name="nina", password=WRONG, roles="risk", reason="joins")
        typed = put_back(client, "/settings")
        page = client.get("/settings").text
    assert set(typed["fields"]) == {"name", "roles", "reason"}
    assert WRONG not in page


def test_words_of_a_form_stay_words(project):
    """A script that somebody typed into a field comes back as text within an attribute."""
    with visiting(project, "rita") as client:
        do(client, "/do/resize", share='"><script>alert(1)</script>', reason="x")
        page = client.get("/settings").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("page", "back"),
    [
        ("/settings", "/settings"),
        ("/decisions?side=buy", "/decisions?side=buy"),
        ("/do/settings/limits/review", "/settings"),
        ("/do/settings/keys/create", "/settings"),
        ("/do/record/query", "/record"),
        ("//elsewhere.test/", "/"),
    ],
)
def test_a_refusal_leads_to_a_page_that_can_be_looked_at(project, page, back):
    """The page that the form stood on; where that one answered another form, the view which that belongs to."""
    with visiting(project, "rita") as client:
        assert sent_from(client, page, "/do/resize", share="ten", reason="x") == back
        assert client.get(back).status_code == 200
