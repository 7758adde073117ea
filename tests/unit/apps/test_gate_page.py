"""The gate for CI and for readers: four formats in a folder, a page that says what stops a version, a hook."""

from datetime import UTC, datetime, timedelta

import msgspec
import typer
from command_words import tell
from page_visitors import visiting
from small_project import ADA, at

from tradeworthy.apps.cli.main import app
from tradeworthy.apps.commands.starting import init_project
from tradeworthy.apps.reports.gate_report import gate_page, why
from tradeworthy.judge.validate.check import CheckResult
from tradeworthy.judge.validate.evidence import Table
from tradeworthy.judge.validate.gate import GateReport

FAILED = CheckResult(
    name="after_costs",
    requirement="a Sharpe ratio above 0",
    measured="<b>-0.3</b>",
    verdict="fail",
    tables=[
        Table(
            title="Return by period",
            columns=["period", "return", "note"],
            rows=[["2018-Q1", 0.5, "x"], ["2018-Q2", -0.25, None]],
            chart="bars",
        ),
        Table(title="Nothing", columns=["a"], rows=[]),
    ],
)
PASSED = CheckResult(name="latency", requirement="fast", measured="5 us", verdict="pass", interval=(1.0, 9.0))


def report(*results: CheckResult):
    """Return a report of these results."""
    passed = not any(result.stops for result in results)
    return GateReport(version="ab" * 32, profile="full", passed=passed, results=list(results), created_ns=10**18)


def test_what_stops_a_version_comes_first():
    """A refused version's page opens with the checks that stop it; a passed one's has no such part."""
    page = gate_page(report(PASSED, FAILED), "small")
    assert "Gate: small refused" in page
    assert page.index("What stops it") < page.index("All checks")
    assert "What stops it" not in gate_page(report(PASSED), "small")


def test_figures_behind_a_check_are_drawn_and_nothing_from_outside_is_run():
    """A bar for each known number, below zero in another colour; no inline style; text is shown, never markup."""
    page = gate_page(report(FAILED), "<script>alert(1)</script>")
    assert page.count('class="bar up"') == 1
    assert page.count('class="bar down"') == 1
    assert "style=" not in page
    assert "<b>-0.3</b>" not in page
    assert "<script>" not in page
    assert "Nothing: nothing." in page


def test_why_it_was_refused_is_one_sentence_at_the_top():
    """The first check that stops it with what was required and found; the others by name; a passed one says so."""
    missing = CheckResult(name="poisoning", requirement="no poison", measured="not gathered", verdict="missing")
    sentence = "Refused by after costs. Required: a Sharpe ratio above 0. Found: &lt;b&gt;-0.3&lt;/b&gt;. It also fails"
    page = gate_page(report(PASSED, FAILED, missing), "small")
    assert f"{sentence} poisoning." in page
    assert page.index(sentence) < page.index('id="stops"')
    aside = msgspec.structs.replace(missing, verdict="overridden")
    assert why(report(PASSED, aside)).startswith("Passed with overrides: two people have set aside poisoning")
    assert why(report(PASSED)) == "Passed: nothing of 1 check of the profile full stops it."


def test_the_view_of_the_desk_shows_the_same_drawings(tmp_path):
    """The page's own view: one heading, the sentence, walk-forward folds, reliability, latency, no inline style."""
    with visiting(at("gated", tmp_path), "tom") as client:
        text = client.get("/versions/newest/gate").text
    for words in (
        "Passed: nothing of",
        "AUC by fold of the walk-forward",
        "Reliability: what scores foretold and what came",
        "How long one decision takes",
        "Sharpe ratio a year, after costs",
    ):
        assert words in text, words
    assert text.count("<h1>") == 1
    assert "style=" not in text
    assert 'class="mark"' in text


def test_ci_gets_every_format_and_its_summary(tmp_path, monkeypatch, capsys):
    """`gate --ci` writes four files that say the same, and appends the Markdown to the job's summary."""
    project = at("registered", tmp_path)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    code, _, _ = tell(capsys, "gate", "newest", "--ci", tmp_path / "out", "--project", project.folder, "--actor", ADA)
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "gate.html",
        "gate.json",
        "gate.md",
        "gate.xml",
    ]
    assert GateReport.from_json((tmp_path / "out" / "gate.json").read_bytes()).passed
    assert (tmp_path / "summary.md").read_text("utf-8") == (tmp_path / "out" / "gate.md").read_text("utf-8")


def test_a_check_is_set_aside_by_two_people_and_every_format_says_so(tmp_path, capsys):
    """Set aside by two and judged again: exit codes, the terminal, Markdown, JUnit and the page name the check."""
    project = at("registered", tmp_path)
    path = project.folder / "tradeworthy.toml"
    path.write_text(path.read_text("utf-8").replace("us_p99_max = 1e9", "us_p99_max = 0.001"), "utf-8")
    gate = ("gate", "newest", "--ci", tmp_path / "out", "--project", project.folder, "--actor", ADA)
    assert tell(capsys, *gate)[0] == 1
    day = (datetime.now(UTC) + timedelta(days=5)).date().isoformat()  # the command line asks the machine's own clock
    words = ("override", "newest", "latency", "--reason", "a slow machine", "--project", project.folder)
    _, _, said = tell(capsys, *words, "--until", "Friday", "--actor", ADA)
    assert "until is 'Friday', allowed is a day such as" in said
    for until in ("9999-12-31", f"{day}T12:00-05:00"):
        code, _, said = tell(capsys, *words, "--until", until, "--actor", ADA)
        assert code == 2
        assert f"until is {until!r}, allowed is a day such as" in said
    _, said, _ = tell(capsys, *words, "--until", day, "--actor", ADA)
    assert "another person runs: tradeworthy override" in said
    _, said, _ = tell(capsys, *words, "--until", day, "--actor", "bob", "--json")
    assert (msgspec.json.decode(said)["in_force"], msgspec.json.decode(said)["given_by"]) == (True, [ADA, "bob"])
    code, said, _ = tell(capsys, *gate)
    assert code == 0
    assert "passed with overrides (latency)" in said
    for suffix in ("md", "xml", "html"):
        assert "a slow machine" in (tmp_path / "out" / f"gate.{suffix}").read_text("utf-8")
    assert "What was set aside" in (tmp_path / "out" / "gate.html").read_text("utf-8")
    code, said, _ = tell(capsys, "status", "--project", project.folder)
    assert "overridden" in said


def test_features_are_tried_before_a_commit(tmp_path, capsys):
    """Sound features pass; one that looks ahead does not compile, and the message says so."""
    project = at("fresh", tmp_path)
    code, said, _ = tell(capsys, "features", "--project", project.folder, "--json")
    found = msgspec.json.decode(said)
    assert (code, found["features"], found["rows_changed_by_the_future"]) == (0, 3, 0)
    assert found["rows"] > 100
    path = project.folder / "strategy.py"
    text = path.read_text("utf-8").replace('"mean_4"', '"ahead": tw.forward_direction(bar.close, 3), "mean_4"')
    path.write_text(text, "utf-8")
    code, _, _ = tell(capsys, "features", "--project", project.folder)
    assert code == 2


def test_features_over_their_budget_are_refused(tmp_path, capsys):
    """A budget that no step keeps: exit code 1."""
    project = at("fresh", tmp_path)
    path = project.folder / "tradeworthy.toml"
    path.write_text(path.read_text("utf-8").replace("us_p99_max = 1e9", "us_p99_max = 0.001"), "utf-8")
    code, _, _ = tell(capsys, "features", "--project", project.folder)
    assert code == 1


def test_a_new_project_brings_its_workflow_and_its_hook(tmp_path):
    """The workflow runs commands that exist, and the hook tries the features."""
    init_project(tmp_path / "desk")
    workflow = (tmp_path / "desk" / ".github" / "workflows" / "gate.yml").read_text("utf-8")
    named = {line.split("tradeworthy ")[1].split()[0] for line in workflow.splitlines() if "run: tradeworthy" in line}
    assert named == {"train", "register", "gate", "promote"}
    assert named <= set(typer.main.get_command(app).commands)
    hook = (tmp_path / "desk" / ".pre-commit-config.yaml").read_text("utf-8")
    assert "entry: tradeworthy features" in hook
