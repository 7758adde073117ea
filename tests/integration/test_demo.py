"""The demo tells its whole story, and its summary keeps what README promises."""

import json
import re
import subprocess
import sys

import pytest

from tradeworthy.change.watch.sight import read_sight
from tradeworthy.judge.monitor.standing import MonitorSettings

KEYS = ["bars", "gaps", "decisions", "orders", "fills", "denied", "findings", "versions", "retrains"]
KEYS += [
    "retrains_by_finding",
    "canaries",
    "promotions",
    "harmed_bars",
    "rollbacks",
    "rollbacks_by_finding",
    "rollback_events_lost",
    "rollback_ms",
    "auc_out_of_fold",
    "auc_live",
    "pnl_after_costs",
]
KEYS += ["explanation_sum_error", "replay_identical", "verify_ok", "wall_s", "steps"]
LIFE = ["drift", "retrained", "gate", "shadow", "canary", "champion"]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Run the demo once, as a person would; return its summary and where it was run."""
    place = tmp_path_factory.mktemp("demo")
    words = ["demo", "--exit", "--json", "demo.json", "--speed", "3"]
    done = subprocess.run(
        [sys.executable, "-m", "tradeworthy.apps.cli", *words], cwd=place, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    return json.loads((place / "demo.json").read_text("utf-8"), parse_constant=pytest.fail), place, done.stdout


def test_the_summary_has_its_keys(told):
    """Exactly the agreed keys, each a number or an answer, and the steps."""
    summary, _, _ = told
    assert list(summary) == KEYS
    assert [key for key, value in summary.items() if not isinstance(value, int | float | bool)] == ["steps"]


def test_the_record_holds(told):
    """The record verifies, replays bit for bit, and explains exactly."""
    summary, _, _ = told
    assert summary["verify_ok"] is True
    assert summary["replay_identical"] is True
    assert summary["explanation_sum_error"] <= 1e-9


def test_the_story_happened(told):
    """Drift led to a challenger that the gate judged; no event was lost; harm enough to be heard was taken back."""
    summary, _, _ = told
    assert summary["retrains_by_finding"] >= 1
    assert summary["versions"] >= 2
    assert summary["promotions"] >= 1
    assert summary["rollback_events_lost"] == 0
    assert summary["harmed_bars"] >= 1
    assert summary["rollbacks"] == summary["rollbacks_by_finding"] >= 1


def test_each_step_follows_the_one_before(told):
    """A challenger goes from drift to champion without leaving out a step, and harm is what takes it back."""
    steps = told[0]["steps"]
    names = [step["step"] for step in steps]
    reached = [names.index(step, 2) for step in LIFE if step in names[2:]]
    assert reached == sorted(reached)
    assert [names[place] for place in reached] == LIFE
    assert names.index("champion", 2) < names.index("harm")
    assert "rolled back" in names[names.index("harm") :]
    assert all(step["by"] and step["said"] for step in steps)


def test_every_bar_was_decided(told):
    """Real data went in, and each bar of the live part has one decision."""
    summary, _, _ = told
    assert (summary["bars"], summary["gaps"]) == (35_011, 13)
    assert summary["decisions"] == 14_005
    assert 0.5 < summary["auc_out_of_fold"] < 0.6
    assert summary["fills"] <= summary["orders"] <= summary["decisions"]


def test_every_monitor_there_is_was_at_work(told):
    """The demo's champion is watched by the full set, and the report on monitoring lists it."""
    desk = told[1] / "demo" / "desk"
    at_work = [each.monitor for each in read_sight(desk / "watcher").monitors]
    assert set(at_work) == set(MonitorSettings().rates)
    page = (desk / "pages" / "monitoring.html").read_text("utf-8")
    assert [name for name in at_work if f"<td>{name}</td>" not in page] == []


def test_one_page_is_left(told):
    """The report is one HTML file that needs nothing from anywhere."""
    _, place, said = told
    page = place / "demo" / "desk" / "pages" / "report.html"
    assert page.name in said
    text = page.read_text("utf-8")
    assert "<svg" in text
    assert re.findall(r'(?:src|href)="https?://', text) == []
