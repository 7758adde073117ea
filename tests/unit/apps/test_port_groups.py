"""Groups that callers send beside what the version reads: from a request onto the tape and into rates by group."""

import http.client
import json
import math
import signal
import subprocess
import sys
from contextlib import closing
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from served import PATH, served

import tradeworthy as tw
from tradeworthy.apps.commands.access import create_key
from tradeworthy.apps.dashboard.insight import insight_of
from tradeworthy.apps.server.replies import RequestRefused
from tradeworthy.apps.server.rescoring import rescore
from tradeworthy.apps.server.rows import RowColumns, RowLayout
from tradeworthy.apps.server.scores import scores_stream
from tradeworthy.judge.monitor.group_fairness import FairnessSettings
from tradeworthy.judge.monitor.standing import MonitorSettings
from tradeworthy.judge.validate.gate import GateReport
from tradeworthy.record.reader import TapeReader

SETTINGS = """\
[desk]
name = "lender"

[[instrument]]
symbol = "LOANS"

[[rows]]
path = "applications.parquet"
instrument = "LOANS"
entity = "application"
fields = ["skill", "income", "granted", "region", "age"]
categories = {region = ["north", "middle", "south"]}

[training]
folds = 2

[signal]
enter_long = 0.5
exit_long = 0.5
notional = 0.0

[monitor.fairness]
by = ["region", "age"]
cuts = {age = [30.0, 60.0]}
"""
STRATEGY = '''
import lightgbm

import tradeworthy as tw

trigger = tw.Kind.ROW
row_fields = ("skill", "income")
features = {"skill": tw.row("skill"), "income": tw.row("income")}
label = tw.outcome("granted", 5)


def train(rows, labels):
    """Fit a few small trees."""
    settings = {"objective": "binary", "num_leaves": 4, "verbose": -1, "num_threads": 1, "seed": 1}
    return lightgbm.train(settings, lightgbm.Dataset(rows, labels), num_boost_round=10)
'''
COLUMNS = RowColumns(
    ("skill", "income", "granted", "region", "age"), {"region": ("north", "middle", "south"), "income": ("low", "high")}
)


def layout(columns=COLUMNS, kind="outcome"):
    """Return how the rows of a version of two fields stand in an event."""
    program = SimpleNamespace(row_fields=("skill", "income"))
    return RowLayout(SimpleNamespace(program=program, manifest=SimpleNamespace(label={"kind": kind})), columns)


@pytest.mark.parametrize(
    ("values", "groups", "stands"),
    [
        ({"income": 2.0, "skill": 1.0}, {}, [1, 2]),
        ([1.0, 2.0], {}, [1, 2]),
        ([1.0, 2.0], {"region": "south"}, [1, 2, math.nan, 2]),
        ([1.0, 2.0], {"region": 1}, [1, 2, math.nan, 1]),
        ([1.0, 2.0], {"age": 33.5}, [1, 2, math.nan, math.nan, 33.5]),
        ({"skill": 1.0, "income": 2.0}, {"age": 20, "region": "north"}, [1, 2, math.nan, 0, 20]),
    ],
)
def test_groups_stand_behind_the_outcome_where_the_settings_say(values, groups, stands):
    """Words by their place, numbers as they are; the outcome and what is left out are not known."""
    np.testing.assert_array_equal(np.array(layout().values(values, groups)), stands)


def test_without_an_outcome_groups_follow_the_fields():
    """A version whose label is a price to come has no column of outcomes."""
    columns = RowColumns(("skill", "income", "region"))
    assert list(layout(columns, "forward_return").values([1.0, 2.0], {"region": 3.0})) == [1, 2, 3]


@pytest.mark.parametrize(
    ("values", "groups", "said"),
    [
        ([1.0, 2.0], {"regoin": "north"}, r"'regoin' is unknown \(near: 'region'\); allowed are \['region', 'age'\]"),
        ([1.0, 2.0], {"granted": 1.0}, "'granted' is unknown"),
        ([1.0, 2.0], {"skill": 1.0}, "'skill' is unknown"),
        (
            [1.0, 2.0],
            {"region": "nroth"},
            r"'nroth' \(near: 'north'\); allowed is one of \['north', 'middle', 'south'\]",
        ),
        ([1.0, 2.0], {"region": 3}, "group 'region' is 3; allowed is one of"),
        ([1.0, 2.0], {"region": 0.5}, "group 'region' is 0.5; allowed is one of"),
        ([1.0, 2.0], {"region": -1}, "group 'region' is -1; allowed is one of"),
        ([1.0, 2.0], {"age": "old"}, "group 'age' is 'old'; allowed is a number"),
        ({"skill": 1.0, "income": 2.0, "age": 3.0}, {}, "'age' is no field that the version reads; send it in groups"),
        ({"skill": 1.0, "incme": 2.0}, {}, r"row field 'incme' is unknown \(near: 'income'\)"),
        ({"skill": 1.0}, {"age": 3.0}, r"row fields \['income'\] are missing"),
        ([1.0], {"age": 3.0}, "a row of 1 values, the version reads 2"),
        ([1.0, 2.0, 3.0], {}, "a row of 3 values, the version reads 2"),
    ],
)
def test_what_the_project_does_not_name_is_refused(values, groups, said):
    """Unknown groups and words, the outcome, and rows that do not fit; with the nearest and what is allowed."""
    with pytest.raises(RequestRefused, match=said) as raised:
        layout().values(values, groups)
    assert raised.value.status == 400


def test_a_project_without_columns_says_so():
    """There is nothing to be near to."""
    with pytest.raises(RequestRefused, match="'region' is unknown; this project's rows have none"):
        layout(RowColumns()).values([1.0, 2.0], {"region": 1.0})


# -- rows that are only scored ------------------------------------------------------------------------------------

ROWS = np.random.default_rng(6).normal(0, 0.01, (4, 5))
REGION = {"name": "region", "shape": [4], "datatype": "BYTES", "data": ["north", "south", "north", "middle"]}
AGE = {"name": "age", "shape": [4, 1], "datatype": "INT32", "data": [20, 70, 40, 30]}


@pytest.fixture(scope="module")
def desk():
    """A served desk of two versions whose project names a region and an age."""
    words = {"region": ("north", "middle", "south")}
    fairness = FairnessSettings(columns=("region", "age"), words=words, cuts={"age": (30.0,)})
    with served(2, MonitorSettings(fairness=fairness)) as made:
        made.project.resolve = lambda word: word
        yield made


def infer(desk, *beside: dict, rows=ROWS):
    """Ask for the scores of rows with other inputs beside."""
    row = {"name": "row", "shape": [*rows.shape], "datatype": "FP64", "data": rows.ravel().tolist()}
    return desk.ask("POST", f"{PATH}/infer", {"inputs": [row, *beside]})


def recorded(desk):
    """Return what is recorded of rows with groups."""
    desk.do(desk.write).result(30)
    stream = scores_stream(desk.desk.numbers[0], 2)
    reader = TapeReader(desk.folder / "tape")
    return reader.read(stream, 0, 100_000) if stream in reader.streams() else np.empty(0)


def test_groups_of_scored_rows_are_recorded_and_change_no_score(desk):
    """Words and numbers, one of them or both; the score is that of the row alone."""
    status, told, _ = infer(desk, REGION, AGE)
    assert status == 200, told
    plain, before = infer(desk)[1]["outputs"], recorded(desk)
    assert told["outputs"] == plain
    np.testing.assert_array_equal(before["groups"][-4:], [[0, 20], [2, 70], [0, 40], [1, 30]])
    assert np.array_equal(before["row"][-4:], ROWS)
    assert infer(desk, AGE)[0] == 200
    np.testing.assert_array_equal(
        recorded(desk)["groups"][-4:], [[np.nan, 20], [np.nan, 70], [np.nan, 40], [np.nan, 30]]
    )


def test_groups_come_as_binary_data_too(desk):
    """As tritonclient sends texts: each behind its length, after the JSON, in the order of the inputs."""
    texts = b"".join(len(word).to_bytes(4, "little") + word.encode() for word in REGION["data"])
    raw = ROWS.astype("<f8").tobytes()
    inputs = [
        {**{key: REGION[key] for key in ("name", "shape", "datatype")}, "parameters": {"binary_data_size": len(texts)}},
        {"name": "row", "shape": [4, 5], "datatype": "FP64", "parameters": {"binary_data_size": len(raw)}},
    ]
    head = json.dumps({"inputs": inputs}).encode()
    length = {"Inference_Header_Content_Length": str(len(head))}
    status, told, _ = desk.ask("POST", f"{PATH}/infer", head + texts + raw, **length)
    assert status == 200, told
    np.testing.assert_array_equal(recorded(desk)["groups"][-4:, 0], [0, 2, 0, 1])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": ["north", "west", "north", "north"]}, "group 'region' is 'west'; allowed is one of"),
        ({"data": ["north"], "shape": [1]}, "group 'region' is told of 1 rows, 4 are to be scored"),
        ({"data": ["north"] * 5, "shape": [5]}, "group 'region' is told of 5 rows, 4 are to be scored"),
        ({"data": [1, 2, 3, 4]}, "input 'region': its texts cannot be read"),
        ({"datatype": "INT64", "data": [0, 1, 2, 3]}, "group 'region' is 3; allowed is one of"),
        ({"datatype": "INT64", "data": [0, 1], "shape": [2]}, "told of 2 rows, 4 are to be scored"),
        ({"name": "regoin"}, "input 'regoin' is unknown; allowed are 'row' alone"),
        ({"name": "age"}, "group 'age' is 'north'; allowed is a number"),
    ],
)
def test_groups_that_do_not_fit_are_refused(desk, changes, said):
    """With the input's name, what was found and what is allowed; nothing is recorded."""
    before = len(recorded(desk))
    status, told, _ = infer(desk, REGION | changes)
    assert (status, said in told["error"]) == (400, True), told
    assert len(recorded(desk)) == before


@pytest.mark.parametrize("raw", [b"\x05\x00\x00\x00nort", b"\x05\x00", b"\x02\x00\x00\x00\xff\xff"])
def test_binary_texts_that_are_cut_or_no_text_are_refused(desk, raw):
    """A length beyond the data, half a length, bytes that are no UTF-8."""
    row = {"name": "row", "shape": [1, 5], "datatype": "FP64", "data": ROWS[0].tolist()}
    region = {"name": "region", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [row, region]}).encode()
    length = {"Inference_Header_Content_Length": str(len(head))}
    status, told, _ = desk.ask("POST", f"{PATH}/infer", head + raw, **length)
    assert status == 400
    assert "input 'region': its texts cannot be read" in told["error"]


def test_a_group_that_is_told_twice_is_refused(desk):
    """Nobody can know which is meant."""
    status, told, _ = infer(desk, REGION, REGION)
    assert (status, told["error"]) == (400, "input 'region' is there twice")


def test_the_metadata_names_the_groups(desk):
    """Beside the columns of a row."""
    told = desk.ask("GET", PATH)[1]
    assert told["inputs"][0]["parameters"]["groups"] == ["age", "region"]


def test_another_version_is_asked_what_it_would_do_to_each_group(desk):
    """Selected then and now, by group, over both streams of the version; the rows without groups count beside."""
    rows = np.random.default_rng(8).normal(0, 0.01, (60, 5))
    region, age = np.arange(60) % 3, np.where(np.arange(60) < 20, 25.0, 50.0)
    told = [
        {"name": "region", "shape": [60], "datatype": "UINT8", "data": region.tolist()},
        {"name": "age", "shape": [60], "datatype": "FP64", "data": age.tolist()},
    ]
    assert infer(desk, *told, rows=rows)[0] == 200
    made = recorded(desk)
    first, second = (desk.desk.shelf.versions[number] for number in desk.desk.numbers)
    before, after = (version.predictor.many(made["row"])[:, 0] > 0.5 for version in (first, second))
    lines = rescore(desk.project, against=second.digest).versions
    (line,) = [each for each in lines if each.groups]
    assert {(each.by, each.group) for each in line.groups} == {
        *(("region", name) for name in ("north", "middle", "south")),
        *(("age", name) for name in ("age up to 30", "age over 30")),
    }
    for each in line.groups:
        column = made["groups"][:, ("region", "age").index(each.by)]
        places = {"north": 0, "middle": 1, "south": 2}
        mine = column == places[each.group] if each.by == "region" else (column > 30) == (each.group == "age over 30")
        mine &= np.isfinite(column)
        assert (each.rows, each.selected, each.selected_now) == (mine.sum(), before[mine].sum(), after[mine].sum())
    assert rescore(desk.project).identical


# -- a served project --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lender(tmp_path_factory):
    """A lender's project whose rows have a region and an age that the model does not see, promoted."""
    folder, n = tmp_path_factory.mktemp("lender"), 600
    rng = np.random.default_rng(3)
    skill = rng.standard_normal(n)
    granted = (rng.random(n) < 1.0 / (1.0 + np.exp(-1.5 * skill))).astype(float)
    stamps = pl.Series(1_546_300_800_000_000_000 + 3_600_000_000_000 * np.arange(n)).cast(pl.Datetime("ns"))
    told = {"skill": skill, "income": rng.random(n), "granted": granted, "region": ["north"] * n, "age": 40.0}
    pl.DataFrame({"time": stamps, "application": np.arange(n), **told}).write_parquet(folder / "applications.parquet")
    (folder / "strategy.py").write_text(STRATEGY)
    (folder / "tradeworthy.toml").write_text(SETTINGS)
    project = tw.Project(folder)
    project.train()
    version = project.register(name="lender", actor="ada").version
    report = GateReport(version=version, profile="quick", passed=True, results=[], created_ns=project.clock.now_ns())
    project.registry.record_gate(report, actor="ada", reason="a test")
    project.promote(version, to="champion", actor="ada", reason="a test")
    return project


@pytest.fixture(scope="module")
def answers(lender):
    """What a served lender answered: rows with and without groups, their outcomes, and what was wrong."""
    secret = create_key(lender, "ann", ["infer", "outcomes"], actor="ops", reason="test").secret
    words = ["serve", "--project", str(lender.folder), "--port", "0", "--json", "--no-watch"]
    process = subprocess.Popen([sys.executable, "-m", "tradeworthy.apps.cli", *words], stdout=subprocess.PIPE)
    try:
        (address,) = json.loads(process.stdout.readline())["listening"]
        status, made = ask(address, secret, "/v1/decide", pushed())
        assert status == 200, made
        wrong = ask(address, secret, "/v1/decide", pushed()[0] | {"groups": {"region": "west"}})
        labels = [{"decision": each["decision"], "label": place % 2} for place, each in enumerate(made)]
        assert ask(address, secret, "/v1/outcomes", labels) == (200, {"accepted": len(made), "repeated": 0})
        process.send_signal(signal.SIGTERM)
        assert process.wait(300) == 0
    finally:
        process.kill()
        process.communicate()
    return made, wrong


def ask(address, secret, path, body):
    """Send one request; return status and body."""
    with closing(http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)) as caller:
        caller.request("POST", path, json.dumps(body).encode(), {"Authorization": f"Bearer {secret}"})
        reply = caller.getresponse()
        return reply.status, json.loads(reply.read())


def pushed():
    """Return rows: 12 of the north, young; 8 of the south, old; 5 whose groups nobody told."""
    kinds = [{"region": "north", "age": 20}] * 12 + [{"region": 2, "age": 70}] * 8 + [{}] * 5
    return [
        {"kind": "row", "instrument": "LOANS", "sequence": 9_000 + place, "values": [place / 10, 0.5], "groups": groups}
        for place, groups in enumerate(kinds)
    ]


def test_what_callers_sent_is_on_the_tape(lender, answers):
    """Each row stands there with its groups behind the outcome, and was scored from its own fields alone."""
    made, _ = answers
    assert [each["verdict"] for each in made] == ["NONE"] * 25
    asked = "SELECT values_2, values_3, values_4 FROM inputs WHERE kind_name = 'row' ORDER BY sequence"
    rows = np.array(lender.query(asked).rows, np.float64)
    assert np.isnan(rows[:, 0]).all()
    np.testing.assert_array_equal(rows[:, 1], [0.0] * 12 + [2.0] * 8 + [np.nan] * 5)
    np.testing.assert_array_equal(rows[:, 2], [20.0] * 12 + [70.0] * 8 + [np.nan] * 5)
    assert lender.replay().identical


def test_a_word_that_the_project_does_not_name_is_answered_400(answers):
    """With the words that it does; nothing of the row is recorded."""
    _, (status, told) = answers
    assert status == 400
    assert told == {
        "error": "group 'region' is 'west'; allowed is one of ['north', 'middle', 'south'], or its place from 0"
    }


def test_fairness_counts_callers_decisions_by_their_groups(lender, answers):
    """Each labelled decision is in the group that its caller told, by word or by cut; one without is in none."""
    found = {each.by: each.whole.groups for each in insight_of(lender).groups}
    counts = {by: {name: rates["selection_rate"].n for name, rates in groups.items()} for by, groups in found.items()}
    assert counts["region"] == {"north": 12, "south": 8}
    assert counts["age"] == {"age up to 30": 12, "age over 60": 8}
    assert insight_of(lender).labelled == len(answers[0])
