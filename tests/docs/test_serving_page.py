"""The page on serving names the routes, scopes and refusals of the code, and its examples are answered as shown."""

import json
import os
import re
import shutil
import subprocess

import pytest
from served import served
from source_tree import ROOT

from tradeworthy.apps.server.figures import PORT_METRICS
from tradeworthy.apps.server.replies import REASONS
from tradeworthy.apps.server.workers import WORKER_METRICS
from tradeworthy.change.access.keys import SCOPES
from tradeworthy.change.watch.metrics import PREFIX

METRICS = {**PORT_METRICS, **WORKER_METRICS}
PAGE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"^```sh\n(.*?)^```\n\n```json\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def desk():
    """A served desk."""
    with served() as made:
        yield made


def test_the_table_of_routes_is_the_codes(desk):
    """Method, path and scope of every route, in the code's order, and nothing else."""
    rows = re.findall(r"^\| (GET|POST) \| `([^`]+)` \| (\w+) \|$", PAGE, re.MULTILINE)
    assert rows == [(route.method, route.path, route.scope or "none") for route in desk.port.routes.table]


def test_every_scope_is_named():
    """And no other."""
    sentence = re.search(r"Scopes are (.*?)\.", PAGE, re.DOTALL)[1]
    assert tuple(re.findall(r"`(\w+)`", sentence)) == SCOPES


def test_every_refusal_is_explained():
    """Each status with which the port refuses stands in the table; 500 is a mistake of ours."""
    table = PAGE.split("## When it says no")[1].split("## Keys")[0]
    told = {int(status) for line in re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE) for status in line.split(",")}
    assert told | {415, 500} == {status for status in REASONS if status >= 400}


def test_the_table_of_figures_is_the_list_in_the_code():
    """Name, kind, labels and words of each family of the port and its workers, in the code's order."""
    row = re.compile(r"^\| `([a-z_]+)` \| (\w+) \| ([^|]*) \| ([^|]+) \|$", re.MULTILINE)
    assert row.findall(PAGE) == [
        (PREFIX + name, metric.kind, ", ".join(f"`{label}`" for label in metric.labels) or "-", metric.text)
        for name, metric in METRICS.items()
    ]
    named = set(re.findall(rf"`{PREFIX}([a-z_]+)`", PAGE))
    assert named <= set(METRICS)


def test_the_examples_are_answered_as_shown(desk):
    """Each command of the page, run with curl, gives the fields of the answer below it."""
    if shutil.which("curl") is None:
        assert not os.environ.get("CI"), "install curl: the page's examples are tests"
        pytest.skip("curl is not installed")
    told = {"URL": "{}:{}".format(*desk.address), "SECRET": desk.secret, "MODEL": "small%20desk", "DECISION": ""}
    examples = EXAMPLE.findall(PAGE)
    assert len(examples) == 3
    for command, answer in examples:
        words, env = [shutil.which("sh"), "-c", command], {**os.environ, **told}
        done = subprocess.run(words, env=env, capture_output=True, check=True)
        found, shown = json.loads(done.stdout), json.loads(answer)
        assert list(found) == list(shown), done.stdout
        told["DECISION"] = str(found.get("decision", ""))
