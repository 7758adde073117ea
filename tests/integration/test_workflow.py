"""The workflow that `init` writes, run here command by command: on the project as it comes, and on one that is good.

The prices are real ones. In the good project ETH follows BTC's last six hours a little more than it did, by a drift
that is planted in the file; costs are those that `init` writes.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import polars as pl
import pytest

import tradeworthy as tw
from tradeworthy.apps.commands.starting import init_project

BARS, LEAD, STRENGTH = 9_000, 12, 0.25
SLOW = """features = {
    "btc_return_3": tw.on("BTC", tw.log_return(bar.close, 3)),
    "btc_return_6": tw.on("BTC", tw.log_return(bar.close, 6)),
    "btc_return_12": tw.on("BTC", tw.log_return(bar.close, 12)),
    "btc_volatility_48": tw.on("BTC", btc.std(48)),
    "volatility_48": returns.std(48),
}

"""
MOVABLE = """movable = [  # dear: another, larger market would have to be traded up or down
    tw.Movable(features=["btc_return_3", "btc_return_6", "btc_return_12"], together=True, cost=5.0),
]


"""
QUICK_RECOVERY = {"enter_long": 0.56, "exit_long": 0.53, "enter_short": 0.44, "exit_short": 0.47}
"""A narrow hysteresis: a side that a false print turned is left again soon."""


def shortened(folder: Path, bars: int = BARS) -> dict[str, pl.DataFrame]:
    """Keep the latest bars of the project's files, and return them; have the gate fit fewer times, to save time."""
    with (folder / "tradeworthy.toml").open("a", encoding="utf-8") as settings:
        settings.write("\n[gate.overfitting]\npermutation_draws = 19\n")
    frames = {}
    for symbol in ("ETH", "BTC"):
        path = folder / "data" / f"{symbol}.csv"
        frames[symbol] = pl.read_csv(path).tail(bars)
        frames[symbol].write_csv(path)
    return frames


def plant(folder: Path, frames: dict[str, pl.DataFrame]) -> None:
    """Let ETH drift, within each bar, after BTC's moves of the bars before it."""
    own, other = (np.log(frames[symbol][f"{symbol}.close"].to_numpy()) for symbol in ("ETH", "BTC"))
    lead = np.convolve(np.diff(other, prepend=other[0]), np.ones(LEAD))[:BARS]
    drift = STRENGTH * np.diff(own).std() * np.append(0.0, lead[:-1]) / lead.std()
    after = np.exp(np.cumsum(drift))
    before = np.append(1.0, after[:-1])
    o, h, low, c = (frames["ETH"][f"ETH.{name}"].to_numpy() for name in ("open", "high", "low", "close"))
    o, h, low, c = o * before, h * after, low * after, c * after
    prices = {"open": o, "close": c, "high": np.maximum.reduce([o, h, c]), "low": np.minimum.reduce([o, low, c])}
    changed = [pl.Series(f"ETH.{name}", values) for name, values in prices.items()]
    frames["ETH"].with_columns(*changed).write_csv(folder / "data" / "ETH.csv")


def made_good(folder: Path) -> None:
    """Give the strategy slow features of a dear market, small trees, and a signal that recovers soon."""
    path = folder / "strategy.py"
    text = re.sub(r"features = \{.*?\n\}\n\n", SLOW, path.read_text("utf-8"), flags=re.DOTALL)
    text = re.sub(r"movable = \[.*?\n\]\n\n\n", MOVABLE, text, flags=re.DOTALL)
    path.write_text(text.replace('"num_leaves": 15', '"num_leaves": 4').replace("round=200", "round=100"), "utf-8")
    path = folder / "tradeworthy.toml"
    text = path.read_text("utf-8")
    for name, value in QUICK_RECOVERY.items():
        text = re.sub(rf"^{name} = .*$", f"{name} = {value}", text, flags=re.MULTILINE)
    path.write_text(text.replace("us_p99_max = 1_000.0", "us_p99_max = 1e9"), "utf-8")  # a busy machine is no fault


def steps(folder: Path) -> list[str]:
    """Return the commands of the project's own workflow, in order, as its runner would fill them in."""
    workflow = (folder / ".github" / "workflows" / "gate.yml").read_text("utf-8")
    filled = {"github.event.repository.name": "my-desk", "github.sha": "0a1b2c", "github.actor": "ada"}
    found = re.findall(r"^ *run: (tradeworthy .*)$", workflow, re.MULTILINE)
    return [re.sub(r"\$\{\{ (.*?) \}\}", lambda hit: filled[hit[1]], command) for command in found]


def run(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run one command as a step of the workflow does: by a shell, in the project's folder."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "ACTOR": "ada", "GITHUB_STEP_SUMMARY": str(folder / "summary.md")}
    return subprocess.run(
        ["/bin/bash", "-ec", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="module")
def as_it_comes(tmp_path_factory):
    """Run every step on the project as `init` writes it, with fewer bars; return it and what became of each step."""
    folder = tmp_path_factory.mktemp("workflow") / "my-desk"
    init_project(folder)
    shortened(folder, BARS // 2)
    return folder, {command.split()[1]: run(folder, command) for command in steps(folder)}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Run every step on a project whose prices can be foreseen."""
    folder = tmp_path_factory.mktemp("workflow") / "my-desk"
    init_project(folder)
    plant(folder, shortened(folder))
    made_good(folder)
    return folder, {command.split()[1]: run(folder, command) for command in steps(folder)}


def test_a_good_version_goes_through_to_a_shadow(good):
    """Train, register, the full gate and the promotion end well; nothing is missing, and the version is a shadow."""
    folder, done = good
    assert [*done] == ["train", "register", "gate", "promote"]
    assert [(name, each.stdout[-2_000:], each.stderr) for name, each in done.items() if each.returncode] == []
    cases = ET.fromstring((folder / "gate" / "gate.xml").read_text("utf-8"))  # noqa: S314  # our own text
    verdicts = {case.get("name"): [part.tag for part in case] for case in cases}
    assert {tag for tags in verdicts.values() for tag in tags} == {"system-out", "skipped"}
    passed = {name for name, tags in verdicts.items() if tags == ["system-out"]}
    assert passed > {"after_costs", "costs_borne", "deflated_sharpe", "track_record", "event_robustness", "poisoning"}
    (version,) = tw.Project(folder).status().versions
    assert (version.role, version.gate, version.author) == ("shadow", "passed", "ada")


def test_the_report_of_a_pull_request_says_what_was_measured(good):
    """The comment is the Markdown report; the job's summary is the same text, once."""
    folder, _ = good
    comment = (folder / "gate" / "gate.md").read_text("utf-8")
    assert "version `" in comment
    assert "` passed" in comment.splitlines()[0]
    assert "| after_costs | pass | Sharpe" in comment
    assert (folder / "summary.md").read_text("utf-8") == comment


def test_the_project_as_it_comes_is_refused_and_is_not_promoted(as_it_comes):
    """An edge that costs eat: the gate's step fails, leaves the comment that says why, and nothing becomes a shadow."""
    folder, done = as_it_comes
    assert {name: each.returncode for name, each in done.items()} == {
        "train": 0,
        "register": 0,
        "gate": 1,
        "promote": 2,
    }
    first = (folder / "gate" / "gate.md").read_text("utf-8").splitlines()[0]
    assert "refused (" in first
    assert "deflated_sharpe" in first
    assert "the gate did not pass version" in done["promote"].stderr
    assert tw.Project(folder).status().shadows == []
