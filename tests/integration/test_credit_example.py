"""The example of a credit model tells its whole story, and docs/rows.md shows what it does."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from source_tree import ROOT

import tradeworthy as tw
from tradeworthy.apps.commands.access import create_key

EXAMPLE = ROOT / "examples" / "credit"
PAGE = (ROOT / "docs" / "rows.md").read_text("utf-8")
PARTNER_FROM = "2023-02-09"


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Run the example once, as a person would; return what it printed and its project."""
    folder = tmp_path_factory.mktemp("example") / "desk"
    words = [sys.executable, str(EXAMPLE / "run.py"), str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    return done.stdout, tw.Project(folder)


def test_every_application_was_scored_and_nothing_ordered(told):
    """A score without a price is a decision like any other: no verdict against it, no order."""
    output, project = told
    assert "gate: passed" in output
    found = {name: verdict for verdict, name in re.findall(r"^  (\w+) +(\w+) ", output, re.MULTILINE)}
    money = {"after_costs", "costs_borne", "deflated_sharpe", "track_record"}
    assert {name for name, verdict in found.items() if verdict == "inapplicable"} == {*money, "event_robustness"}
    assert {found[name] for name in ("worst_group", "fairness", "robustness", "poisoning", "parity_features")} == {
        "pass"
    }
    assert {"fail", "missing"}.isdisjoint(found.values())
    assert "run: 9,600 decisions, 0 fills" in output
    verdicts = project.query("SELECT verdict, count(*), count(score), max(abs(quantity)) FROM decisions GROUP BY 1")
    ((_, decisions, scores, quantity),) = verdicts.rows
    assert (decisions >= 9_600, decisions - scores, quantity) == (True, 0, 0.0)
    assert "replay identical: True; record whole: True" in output


def test_an_applications_decision_is_found_by_its_number(told):
    """The query of the page leads from an entity to its one decision."""
    _, project = told
    query = re.search(r"```sql\n(.*?)```", PAGE, re.DOTALL)[1]
    assert len(project.query(query.replace("700001", str(700_001 + 23_000))).rows) == 1


def test_the_partner_is_found(told):
    """More drawn credit is found within a week of the partner's coming; labels show the harm as soon as they come."""
    _, project = told
    causes = {f"{each.monitor}: {each.subject}": each for each in project.findings().cases}
    (drawn,) = [each for each in causes.values() if any("drawn" in word for word in [each.subject, *each.others])]
    assert PARTNER_FROM <= drawn.first[:10] <= "2023-02-16"
    assert "class_balance: share of class 1 by labels" in drawn.others
    harm = drawn if "performance: brier" in drawn.others else causes["performance: brier"]
    assert PARTNER_FROM <= harm.first[:10] <= "2023-06-09"


def test_labels_came_late_and_all(told):
    """Every decision has its outcome but the last 90 days', which wait for theirs."""
    _, project = told
    assert outcomes_heard(project) >= 9_600 - 1_080
    figures = (project.places.root / "watcher" / "metrics.prom").read_text("utf-8")
    assert re.search(r'monitor="performance",subject="outcomes_waiting",instrument=""} (\d+)', figures)[1] == "1080"


def test_the_group_is_never_a_reason(told):
    """The model cannot use it: its contribution to the explained score is exactly nothing."""
    output, project = told
    decision = project.query("SELECT sequence FROM decisions ORDER BY score DESC LIMIT 1").rows[0][0]
    why = project.explain(str(decision))
    assert [reason.contribution for reason in why.reasons if reason.feature == "group"] in ([], [0.0])
    assert "R00" not in output
    assert "the desk scored LOANS. The score" in why.said
    assert "the version only scores and wants no position" in why.said


def test_the_page_shows_the_examples_own_words(told):
    """Each snippet stands in the example's files; the reason codes are those that were printed."""
    output, _ = told
    files = "\n".join(path.read_text("utf-8") for path in EXAMPLE.iterdir() if path.is_file())
    snippets = re.findall(r"```(?:python|toml)\n(.*?)```", PAGE, re.DOTALL)
    assert len(snippets) == 8
    assert [snippet for snippet in snippets if snippet not in files] == []
    assert re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)[1] in output
    pushed = json.loads(re.search(r"-d '(.*?)'\n```", PAGE, re.DOTALL)[1])
    assert pushed["kind"] == "row"
    assert f"row_fields = ({', '.join(json.dumps(name) for name in pushed['values'])})" in files


def posted(address, secret, path, body):
    """Send a body to the port and return its answer."""
    request = Request(f"{address}{path}", body.encode(), {"Authorization": f"Bearer {secret}"})  # noqa: S310
    with urlopen(request, timeout=60) as reply:  # noqa: S310
        return json.loads(reply.read())


def outcomes_heard(project):
    """Return how many labelled decisions the watcher has told of."""
    figures = (project.places.root / "watcher" / "metrics.prom").read_text("utf-8")
    return int(re.search(r'monitor="performance",subject="outcomes",instrument=""} (\d+)', figures)[1])


def test_a_pushed_row_gets_its_outcome_later(told):
    """The page's own request is decided by the served project; its outcome, reported by id, reaches the watcher."""
    _, project = told
    before = outcomes_heard(project)
    secret = create_key(project, "ann", ["infer", "outcomes"], actor="ops", reason="test").secret
    words = [
        sys.executable,
        "-m",
        "tradeworthy.apps.cli",
        "serve",
        "--project",
        str(project.folder),
        "--port",
        "0",
        "--json",
    ]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            (address,) = json.loads(process.stdout.readline())["listening"]
            made = posted(address, secret, "/v1/decide", re.search(r"-d '(.*?)'\n```", PAGE, re.DOTALL)[1])
            assert (made["verdict"], made["quantity"], made["price"]) == ("NONE", 0.0, None)
            assert 0.0 < made["score"] < 1.0
            told_of = posted(address, secret, "/v1/outcomes", json.dumps({"decision": made["decision"], "label": 1}))
            assert told_of == {"accepted": 1, "repeated": 0}
            until = time.monotonic() + 30.0
            while outcomes_heard(project) == before and time.monotonic() < until:
                time.sleep(0.2)
        finally:
            process.terminate()
    assert outcomes_heard(project) == before + 1
    pushed = "SELECT values_6, values_7 FROM inputs WHERE kind_name = 'row' ORDER BY sequence DESC LIMIT 1"
    assert [str(value) for value in project.query(pushed).rows[0]] == ["nan", "2.0"]  # no outcome; the south


def test_it_is_reported_without_a_market(told):
    """The report of a run has its decisions and findings; where there were no bars it says that there is no result."""
    _, project = told
    page = Path(project.report().path).read_text("utf-8")
    assert "Decisions" in page
    assert "Result after costs" not in page


def test_it_does_not_write_over_a_folder(told):
    """A second run into the same folder is refused in words."""
    _, project = told
    words = [sys.executable, str(EXAMPLE / "run.py"), str(project.folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is there already; name a new folder" in done.stderr
