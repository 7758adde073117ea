"""The policy on the page: shown before it is changed, kept as facts with what differs, obeyed by role."""

import html
import re

import pytest
from page_visitors import ask, do, visiting
from small_project import at

from tradeworthy.apps.admin.forms import policy_sent
from tradeworthy.apps.commands.project import Project
from tradeworthy.apps.dashboard.layout import Visit
from tradeworthy.apps.dashboard.policy import NUMBERS, policy_review, policy_section
from tradeworthy.apps.deployment.policy import change_policy, policy_now, record_policy
from tradeworthy.change.access.people import Person
from tradeworthy.change.release.answers import Reaction
from tradeworthy.change.release.policy import PolicySettings
from tradeworthy.core.errors import SettingsInvalid
from tradeworthy.core.facts import FindingRaised, PolicyChanged
from tradeworthy.core.findings import Finding
from tradeworthy.record.ledger import Entry

DRIFT = Finding(
    monitor="drift",
    subject="return_1",
    kind="data_drift",
    sequence=1,
    ts_event_ns=0,
    since_ns=0,
    observed=0.5,
    reference=0.0,
    unit="sd",
    statistic=9.0,
    threshold=5.0,
    false_alarms_per_10k=1.0,
    sentence="The level of return_1 has moved.",
)
HALT_ON_DRIFT = Reaction(on="data_drift", do="halt")
IN_WORDS = "Halt all orders"


def fields(policy=None, **changed: object):
    """Return a policy as the form sends it, with some fields otherwise."""
    policy = policy or PolicySettings()
    numbers = {name: getattr(policy, name) for name in NUMBERS}
    share = numbers["canary_share"]
    sent = {name: "" if value is None else str(value) for name, value in numbers.items()}
    sent |= {"canary_share": "" if share is None else str(100 * share)}
    sent |= {"retrain_on": list(policy.retrain_on), "rollback_on": list(policy.rollback_on)}
    sent |= {name: "yes" for name in ("auto_promote", "dry_run") if getattr(policy, name)}
    for place, rule in enumerate(policy.reaction):
        sent |= {f"on-{place}": rule.on, f"severity-{place}": rule.severity, f"do-{place}": rule.do}
        sent |= {f"share-{place}": str(100 * rule.share), f"to-{place}": rule.to}
    return sent | changed


def policies(project):
    """Return every fact about the policy."""
    return list(project.ledger.facts(PolicyChanged))


def sent_by(page):
    """Return the policy that the page between would send."""
    return html.unescape(re.search(r'name="policy" value="([^"]*)"', page)[1])


@pytest.mark.parametrize(
    "policy",
    [
        PolicySettings(),
        PolicySettings(canary_share=0.1, scheduled_every_decisions=7_000, dry_run=True, auto_promote=False),
        PolicySettings(retrain_on=(), rollback_on=("fairness",), loss_margin=0.0),
        PolicySettings(reaction=[Reaction(on="performance", do="fallback", to="base_rate")]),
        PolicySettings(reaction=[HALT_ON_DRIFT, Reaction(on="trading", do="reduce", share=0.25, severity="critical")]),
    ],
)
def test_what_the_form_shows_is_what_it_sends(policy):
    """A form that is sent as it stands asks for the very same policy."""
    assert policy_sent(fields(policy)) == policy


def test_the_form_has_every_part_of_the_policy():
    """No setting can be changed in the file alone, and every empty rule is a choice of nothing."""
    visit = Visit(person=Person(name="rita", roles=("risk",)), token="", path="/settings")
    text = policy_section(visit, PolicySettings(reaction=[HALT_ON_DRIFT]), "paper")
    named = set(re.findall(r'name="([a-z_]+)(?:-\d+)?"', text))
    assert set(PolicySettings.__struct_fields__) - {"reaction"} <= named
    assert set(Reaction.__struct_fields__) <= named
    assert text.count('value="" selected>nothing<') == 2
    assert IN_WORDS.lower() in text


def test_a_change_is_shown_before_it_is_made(tmp_path):
    """The page between says what differs and changes nothing; the next makes one fact, told with what differs."""
    project = at("promoted", tmp_path)
    wanted = PolicySettings(budget=5, canary_share=0.2, reaction=[HALT_ON_DRIFT])
    with visiting(project, "rita") as client:
        between = do(client, "/do/settings/policy/review", **fields(wanted)).text
        assert policies(project) == []
        for said in ("Budget", "Canary share", "Reaction", "halt on data drift from warning"):
            assert said in between
        assert "Loss margin" not in between
        do(client, "/do/settings/policy", policy=sent_by(between), reason="a busy autumn")
        text = client.get("/settings").text
        told = client.get("/record?kind=PolicyChanged&actor=rita").text
    assert policy_now(project) == wanted
    (fact,) = policies(project)
    assert (fact.actor, fact.reason) == ("rita", "a busy autumn")
    for page in (text, told):
        assert "budget 3 → 5, canary share none → 0.2" in html.unescape(page)
    assert "halt all orders" in text


def test_the_next_change_is_told_against_the_last(tmp_path):
    """What differs is the difference to the policy before, not to the defaults."""
    project = at("promoted", tmp_path)
    for budget in (5, 2):
        change_policy(project, PolicySettings(budget=budget, gate_tries=4), actor="rita", reason="again")
    with visiting(project, "tom") as client:
        text = html.unescape(client.get("/record?kind=PolicyChanged").text)
    assert "Policy: budget 5 → 2." in text
    assert "Policy: budget 3 → 5, gate tries 2 → 4." in text


def test_the_same_again_is_no_fact(tmp_path):
    """Nothing is written where nothing differs; the page between says so."""
    project = at("promoted", tmp_path)
    with visiting(project, "rita") as client:
        assert "nothing to change" in do(client, "/do/settings/policy/review", **fields()).text
        do(client, "/do/settings/policy", policy="{}", reason="again")
        assert "nothing was changed" in client.get("/settings").text
    assert policies(project) == []


def test_findings_of_the_past_are_rehearsed(tmp_path):
    """Which of them would have been answered otherwise stands on the page between, with both answers."""
    project = at("promoted", tmp_path)
    with visiting(project, "rita") as client:
        assert "Nothing was found yet" in do(client, "/do/settings/policy/review", **fields(budget=9)).text
        project.ledger.append(FindingRaised(finding=DRIFT), actor="watcher", reason="drift")
        assert "Of 1 findings so far, each" in do(client, "/do/settings/policy/review", **fields(budget=9)).text
        halting = fields(PolicySettings(reaction=[HALT_ON_DRIFT]))
        between = do(client, "/do/settings/policy/review", **halting).text
    assert "1 of 1 findings so far would have been answered differently" in between
    assert re.search(r"<td[^>]*>nothing</td><td[^>]*>halt</td>", between)


def test_of_many_findings_the_last_are_listed():
    """The page stays readable after a year."""
    visit = Visit(person=Person(name="rita", roles=("risk",)), token="", path="/settings")
    past = [
        Entry(number=n, ts_ns=n, actor="watcher", reason="drift", fact=FindingRaised(finding=DRIFT), hash="")
        for n in range(1, 31)
    ]
    text = policy_review(visit, PolicySettings(), PolicySettings(reaction=[HALT_ON_DRIFT]), "{}", past)
    assert "30 of 30 findings so far would have been answered differently; the last 8." in text
    assert text.count("The level of return_1 has moved.") == 8


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"budget": "many"}, "budget is 'many', allowed is a number"),
        ({"budget": "-1"}, "policy.budget is -1; allowed is zero or more"),
        ({"budget": "2.5"}, "budget is '2.5', allowed is a whole number"),
        ({"budget": ""}, "budget is empty, allowed is a number"),
        ({"loss_margin": "nan"}, "policy.loss_margin is nan; allowed is zero or more"),
        ({"budget_window_hours": "1e300"}, "allowed is at most 87,600"),
        ({"canary_share": "100"}, "policy.canary_share is 1; allowed is above 0 and below 1"),
        ({"gate_tries": "0"}, "must be at least 1"),
        ({"retrain_on": "data_drif"}, "policy.retrain_on holds 'data_drif'"),
        ({"on-0": "data_drift", "severity-0": "warning", "do-0": "sell"}, "Invalid enum value 'sell'"),
        ({"on-0": "data_drif", "severity-0": "warning", "do-0": "halt"}, "(near: 'data_drift')"),
        ({"on-0": "trading", "severity-0": "warning", "do-0": "reduce", "share-0": "0"}, "share is 0"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_allowed(changed, said):
    """Each names the field, what was found, what is allowed, and what to do next."""
    with pytest.raises(SettingsInvalid) as refused:
        policy_sent(fields(**changed))
    assert said in str(refused.value)


def test_a_refused_change_comes_back_as_words_and_changes_nothing(tmp_path):
    """Neither the page between nor the last step lets a wrong policy through; a broken form says to ask again."""
    project = at("promoted", tmp_path)
    with visiting(project, "rita") as client:
        do(client, "/do/settings/policy/review", **fields(gate_tries="0"))
        assert "Nothing was changed: correct it in the form" in client.get("/settings").text
        for sent, said in (('{"budget": -1}', "zero or more"), ("{", "ask again"), ('{"bugdet": 1}', "bugdet")):
            do(client, "/do/settings/policy", policy=sent, reason="x")
            assert said in html.unescape(client.get("/settings").text), sent
    assert policies(project) == []


def test_who_may_not_change_it_sees_it(tmp_path):
    """A trader reads the policy, is offered no form, and both steps answer who could."""
    project = at("promoted", tmp_path)
    with visiting(project, "tom") as client:
        text = client.get("/settings").text
        assert "Retrains without a finding" in text
        assert "/do/settings/policy" not in text
        for path in ("/do/settings/policy/review", "/do/settings/policy"):
            do(client, path, **fields(), policy="{}", reason="x")
            assert "needs the role risk" in client.get("/settings").text
    assert policies(project) == []


def test_programs_read_and_change_it(tmp_path):
    """The answer is the policy in force; an unknown key or a wrong value is refused by name."""
    project = at("promoted", tmp_path)
    with visiting(project, "rita") as client:
        assert client.get("/api/v1/policy").json()["budget"] == 3
        made = ask(client, "/api/v1/policy", policy={"budget": 1}, reason="fewer")
        assert (made.status_code, made.json()["budget"]) == (200, 1)
        for policy, said in (({"bugdet": 1}, "bugdet"), ({"budget": -1}, "zero or more")):
            refused = ask(client, "/api/v1/policy", policy=policy, reason="x")
            assert (refused.status_code, said in refused.json()["error"]) == (409, True)
    assert policy_now(project).budget == 1
    assert len(policies(project)) == 1


def test_what_a_person_set_stands_until_the_file_changes(tmp_path):
    """A default is no fact; a restart does not bring the file back; a new word in the file counts, also the default."""
    project = at("promoted", tmp_path)
    path = project.folder / "tradeworthy.toml"
    text = path.read_text("utf-8")
    assert "[policy]" not in text
    record_policy(project)
    assert policies(project) == []
    path.write_text(f"{text}\n[policy]\nbudget = 7\n", "utf-8")
    project = Project(project.folder)
    record_policy(project)
    change_policy(project, PolicySettings(budget=1), actor="rita", reason="fewer")
    record_policy(project)
    assert policy_now(project).budget == 1
    path.write_text(text, "utf-8")
    project = Project(project.folder)
    record_policy(project)
    assert policy_now(project) == PolicySettings()
    assert [fact.actor for fact in policies(project)] == ["settings", "rita", "settings"]
