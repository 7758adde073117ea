"""A form that was refused: what it sent and what is wrong with it comes back with the view it belongs to, once."""

from html.parser import HTMLParser

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


class Form(HTMLParser):
    """Reads the form that a page has put its reader's focus into, as a browser without scripts shows it."""

    def __init__(self, text) -> None:
        super().__init__()
        self.action, self.fields, self.wrong, self.folded = "", {}, {}, 0
        self._form, self._fold, self._said, self._ids, self._select = None, [], None, {}, None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        """Take note of forms, folds, fields and what is said of them."""
        given = dict(attributes)
        if tag == "details":
            self._fold.append("open" in given)
        elif tag == "form":
            self._form = {"action": given["action"], "fields": {}, "described": {}, "here": False}
        elif tag == "option" and self._select:
            if "selected" in given:
                self._form["fields"][self._select] = given["value"]
        elif self._form is not None and tag in ("input", "select", "textarea", "button"):
            self._field(tag, given)
        elif tag == "small" and "wrong" in given.get("class", ""):
            self._said = given["id"]

    def _field(self, tag, given) -> None:
        name, kind = given.get("name"), given.get("type")
        self._select = name if tag == "select" else None
        self._form["here"] |= "autofocus" in given
        self._form["described"] |= {given["aria-describedby"]: name} if "aria-describedby" in given else {}
        if kind == "hidden" or tag == "button":
            return
        assert ("aria-invalid" in given) == ("aria-describedby" in given)
        if kind == "checkbox":
            self._form["fields"].setdefault(name, []).extend([given["value"]] if "checked" in given else [])
        elif tag == "textarea":
            self._form["fields"][name], self._text = "", name
        elif tag == "input":
            self._form["fields"][name] = given.get("value", "")

    _text = None

    def handle_data(self, data):
        """Collect what is said of fields, and what stands in a large one."""
        if self._said:
            self._ids[self._said] = self._ids.get(self._said, "") + data
        elif self._text:
            self._form["fields"][self._text] += data

    def handle_endtag(self, tag):
        """Keep the form that has the focus."""
        if tag == "details":
            self._fold.pop()
        self._said = None if tag == "small" else self._said
        self._text = None if tag == "textarea" else self._text
        if tag == "form":
            if self._form["here"]:
                assert not self.action, "one form has the focus"
                self.action, self.fields, self.folded = (
                    self._form["action"],
                    self._form["fields"],
                    self._fold.count(False),
                )
                self.wrong = {name or "": self._ids[told] for told, name in self._form["described"].items()}
            self._form = None


def put_back(client, path):
    """Return the form that a view has put back; nothing where no form was refused."""
    found = Form(client.get(path).text)
    return found if found.action else None


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
        assert typed.action == "/do/settings/policy/review"
        assert (typed.fields["budget"], typed.fields["gate_tries"]) == ("2.5", "7")
        assert typed.fields["rollback_on"] == fields()["rollback_on"]
        assert set(typed.wrong) == {"budget"}
        assert put_back(client, "/settings") is None
    assert policies(project) == []


def test_a_form_that_is_refused_as_a_whole_says_so_of_all(project):
    """Where no single field is at fault, the fault has no field's name."""
    with visiting(project, "rita") as client:
        do(client, "/do/resize", share="ten", reason="less")
        typed = put_back(client, "/versions/champion")
    assert typed.wrong == {"": "share is 'ten', allowed is a number of percent, as 10"}
    assert typed.fields == {"share": "ten", "reason": "less"}


def test_neither_password_nor_token_is_ever_shown_again(project):
    """What is kept of a refused form has no secret in it."""
    with visiting(project, "adam") as client:
        do(client, "/do/settings/people/add", name="nina", password=WRONG, roles="risk", reason="joins")
        page = client.get("/settings").text
    typed = Form(page)
    assert (typed.fields["name"], typed.fields["password"], typed.fields["reason"]) == ("nina", "", "joins")
    assert WRONG not in page


def test_words_of_a_form_stay_words(project):
    """A script that somebody typed into a field comes back as text within an attribute."""
    with visiting(project, "rita") as client:
        do(client, "/do/resize", share='"><script>alert(1)</script>', reason="x")
        page = client.get("/settings").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


def test_a_fold_that_a_refused_form_stands_in_is_open(project):
    """Nobody has to look for the form again: everything around it is unfolded, with or without scripts."""
    with visiting(project, "rita") as client:
        do(client, "/do/resize", share="250", reason="more")
        assert put_back(client, "/versions/champion").folded == 0
        assert "data-typed" not in client.get("/versions/champion").text


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
