"""The Open Inference Protocol: every route answers as it is specified, every wrong request is refused with a reason."""

import json
import threading

import numpy as np
import pytest
from served import NAME, PATH, served

from tradeworthy.apps.server.scores import scores_stream
from tradeworthy.record.reader import TapeReader

ROW = [0.001, 0.0002, 0.004, 0.5, -0.001]
NAMES = ["last_return", "trend", "volatility", "z", "btc_return"]


@pytest.fixture(scope="module")
def desk():
    """A served desk with two versions, the second a shadow."""
    with served(versions=3) as made:
        made.registry.roles[made.desk.numbers[1]] = "shadow"
        made.desk.control.add_shadow(made.desk.numbers[1])
        made.key(["infer"])  # a new fact, so that the ledger is read
        made.follow()
        made.do(made.look_up).result(30)
        wait_for_shadow(made)
        yield made


def wait_for_shadow(made, looks=1_500):
    """Wait until the shadow, which is staged in another thread, has come in."""
    pause = threading.Event()
    for _ in range(looks):
        if made.desk.numbers[1] in made.desk.engine.desk.shadows:
            return
        pause.wait(0.02)
    pytest.fail("the shadow never came in")


def row_input(rows, **changes: object):
    """Return rows as the one tensor `row`."""
    data = np.asarray(rows, np.float64)
    shaped = {"name": "row", "shape": list(data.shape), "datatype": "FP64", "data": data.ravel().tolist()}
    return shaped | changes


def infer(desk, inputs, path=f"{PATH}/infer", **more: object):
    """Ask for scores."""
    return desk.ask("POST", path, {"inputs": inputs, **more})


def expected(desk, rows, place=0):
    """Return the scores of the desk's version."""
    version = desk.desk.shelf.versions[desk.desk.numbers[place]]
    return version.predictor.many(np.asarray(rows, np.float64))[:, 0].tolist()


def test_health_needs_no_key(desk):
    """Live and ready answer anybody, with the words of the protocol."""
    assert desk.ask("GET", "/v2/health/live", secret=None)[:2] == (200, {"live": True})
    assert desk.ask("GET", "/v2/health/ready", secret=None)[:2] == (200, {"ready": True})


def test_server_metadata(desk):
    """Name, version and the extensions that are there."""
    status, told, _ = desk.ask("GET", "/v2")
    assert status == 200
    assert set(told) == {"name", "version", "extensions"}
    assert told["extensions"] == ["model_repository", "binary_tensor_data"]


@pytest.mark.parametrize("suffix", ["", "/versions/{version}", "/versions/champion"])
def test_model_metadata_has_a_real_signature(desk, suffix):
    """Inputs and outputs with datatypes and shapes, the columns by name and by what each is, every ready version."""
    name = f"{desk.desk.numbers[0]:016x}"
    status, told, _ = desk.ask("GET", PATH + suffix.format(version=name))
    assert status == 200
    assert told["name"] == NAME
    assert told["versions"][0] == name
    [taken] = told["inputs"]
    assert (taken["name"], taken["datatype"], taken["shape"]) == ("row", "FP64", [-1, 5])
    assert taken["parameters"]["columns"] == NAMES
    program = desk.desk.shelf.versions[desk.desk.numbers[0]].program
    assert taken["parameters"]["definitions"] == [program.describe(each) for each in NAMES]
    assert told["outputs"] == [{"name": "score", "datatype": "FP64", "shape": [-1, 1]}]


@pytest.mark.parametrize("suffix", ["/ready", "/versions/champion/ready"])
def test_model_ready(desk, suffix):
    """The champion is ready, with and without its version."""
    assert desk.ask("GET", PATH + suffix)[:2] == (200, {"name": NAME, "ready": True})


@pytest.mark.parametrize("path", ["/v2/models/other", f"{PATH}/versions/{'0' * 16}", f"{PATH}/versions/x/ready"])
def test_what_is_not_there_is_404(desk, path):
    """Another model, another version: with what there is."""
    status, told, _ = desk.ask("GET", path)
    assert status == 404
    assert set(told) == {"error"}


def test_infer_gives_the_models_score(desk):
    """One row: the same bits as the predictor's, the request's id, the version that answered."""
    status, told, _ = infer(desk, [row_input([ROW])], id="a1")
    assert status == 200
    assert told["id"] == "a1"
    assert told["model_name"] == NAME
    assert told["model_version"] == f"{desk.desk.numbers[0]:016x}"
    assert told["outputs"] == [{"name": "score", "datatype": "FP64", "shape": [1, 1], "data": expected(desk, [ROW])}]


def test_no_id_is_echoed_where_none_was_given(desk):
    """The answer has the fields that the protocol asks for and no others."""
    assert set(infer(desk, [row_input([ROW])])[1]) == {"model_name", "model_version", "outputs"}


def test_a_versioned_route_is_answered_by_that_version(desk):
    """A shadow can be asked too, and says that it is itself."""
    name = f"{desk.desk.numbers[1]:016x}"
    status, told, _ = infer(desk, [row_input([ROW])], f"{PATH}/versions/{name}/infer")
    assert (status, told["model_version"]) == (200, name)
    assert told["outputs"][0]["data"] == expected(desk, [ROW], 1)
    assert expected(desk, [ROW], 1) != expected(desk, [ROW])


def test_many_rows_and_nested_data(desk):
    """Rows as one flat list or as a list of rows give the same."""
    rows = np.random.default_rng(1).normal(0, 0.01, (7, 5)).tolist()
    flat = infer(desk, [row_input(rows)])[1]["outputs"][0]
    nested = infer(desk, [row_input(rows, data=rows)])[1]["outputs"][0]
    assert flat == nested
    assert flat["shape"] == [7, 1]
    assert flat["data"] == expected(desk, rows)


def test_one_row_may_have_no_axis_of_rows(desk):
    """A shape of features alone is one row."""
    assert infer(desk, [row_input([ROW], shape=[5])])[1]["outputs"][0]["data"] == expected(desk, [ROW])


def test_one_tensor_a_feature(desk):
    """Columns by name, in any order, of different datatypes."""
    inputs = [
        {"name": name, "shape": [2], "datatype": "FP64", "data": [value, 2 * value]}
        for name, value in zip(NAMES, ROW, strict=True)
    ]
    inputs[3] |= {"datatype": "INT64", "shape": [2, 1], "data": [1, 2]}
    rows = [[*ROW[:3], 1.0, ROW[4]], [*(2 * value for value in ROW[:3]), 2.0, 2 * ROW[4]]]
    assert infer(desk, inputs[::-1])[1]["outputs"][0]["data"] == expected(desk, rows)


@pytest.mark.parametrize(
    ("datatype", "data"),
    [
        ("BOOL", [True, False, True, False, True]),
        *[(f"UINT{bits}", [0, 1, 2, 3, 4]) for bits in (8, 16, 32, 64)],
        *[(f"INT{bits}", [0, -1, 2, -3, 4]) for bits in (8, 16, 32, 64)],
        *[(f"FP{bits}", [0.5, -1.0, 2.0, -3.5, 4.0]) for bits in (16, 32, 64)],
    ],
)
def test_every_numeric_datatype(desk, datatype, data):
    """Each is read for what it is."""
    status, told, _ = infer(desk, [row_input([ROW], datatype=datatype, data=data)])
    assert (status, told["outputs"][0]["data"]) == (200, expected(desk, [[float(value) for value in data]]))


def test_requested_outputs(desk):
    """Those that are asked for come back; one that is not there is refused with the nearest that is."""
    assert infer(desk, [row_input([ROW])], outputs=[{"name": "score"}])[1]["outputs"][0]["name"] == "score"
    status, told, _ = infer(desk, [row_input([ROW])], outputs=[{"name": "scroe"}])
    assert status == 400
    assert "near: 'score'" in told["error"]


def binary(desk, values, kind, datatype, **more: object):
    """Ask with a row as binary data."""
    raw = np.asarray(values, kind).tobytes()
    tensor = {"name": "row", "shape": [1, 5], "datatype": datatype, "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [tensor], **more}).encode()
    return desk.ask("POST", f"{PATH}/infer", head + raw, Inference_Header_Content_Length=str(len(head)))


@pytest.mark.parametrize(("datatype", "kind"), [("FP64", "<f8"), ("FP32", "<f4"), ("FP16", "<f2"), ("INT8", "<i1")])
def test_binary_data_in(desk, datatype, kind):
    """Raw values behind the JSON are the row."""
    values = np.asarray([1.5, -2.0, 0.25, 3.0, 0.0]).astype(kind)
    status, told, _ = binary(desk, values, kind, datatype)
    assert (status, told["outputs"][0]["data"]) == (200, expected(desk, [values.astype(np.float64)]))


def test_brain_floats(desk):
    """BF16 is the upper half of a float32."""
    values = np.asarray([1.5, -2.0, 0.25, 3.0, 0.0], np.float32)
    upper = (values.view(np.uint32) >> 16).astype(np.uint16)
    assert binary(desk, upper, "<u2", "BF16")[1]["outputs"][0]["data"] == expected(desk, [values.astype(np.float64)])


def test_binary_data_out(desk):
    """Asked for, scores come back raw, behind a JSON text whose length a header tells."""
    status, raw, headers = binary(desk, ROW, "<f8", "FP64", parameters={"binary_data_output": True})
    length = int(headers["inference-header-content-length"])
    told = json.loads(raw[:length])
    assert status == 200
    assert told["outputs"][0]["parameters"] == {"binary_data_size": 8}
    assert np.frombuffer(raw[length:], "<f8").tolist() == expected(desk, [ROW])


WRONG = [
    (row_input([ROW], datatype="FP46"), "near: 'FP64'"),
    (row_input([ROW], datatype="BYTES", data=["a"] * 5), "datatype 'BYTES'"),
    (row_input([ROW], shape=[1, 4]), "shape [1, 4], allowed is [rows, 5]"),
    (row_input([ROW], shape=[2, 5]), "holds 5 values, its shape [2, 5] asks for 10"),
    (row_input([ROW], shape=[0, 5], data=[]), "0 rows, allowed are 1 to 1024"),
    (row_input([ROW], shape=[-1, 5]), "-1 rows"),
    (row_input([ROW], data=["1", 2, 3, 4, 5]), "Expected `float`, got `str`"),
    (row_input([ROW], data=[None, 2, 3, 4, 5]), "got `null`"),
    (row_input([ROW], datatype="UINT8", data=[256, 0, 0, 0, 0]), "from 0 to 255"),
    (row_input([ROW], datatype="INT32", data=[0.5, 0, 0, 0, 0]), "whole numbers"),
    (row_input([ROW], datatype="BOOL", data=[1, 0, 1, 0, 1]), "Expected `bool`"),
    (row_input([ROW], data=[[1, 2, 3], [4, 5]]), "cannot be read"),
    ({"name": "row", "shape": [1, 5], "datatype": "FP64"}, "has no data"),
    ({"name": "vollatility", "shape": [1], "datatype": "FP64", "data": [1]}, "near: 'volatility'"),
    ({"name": "z", "shape": [1], "datatype": "FP64", "data": [1]}, "are missing"),
    (row_input([ROW], parameters={"binary_data_size": 40}), "there are 0 bytes left"),
]


@pytest.mark.parametrize(("tensor", "words"), WRONG, ids=[words for _, words in WRONG])
def test_a_wrong_input_is_refused_by_name(desk, tensor, words):
    """400, with the field, what was found and what is allowed."""
    status, told, _ = infer(desk, [tensor])
    assert status == 400
    assert words in told["error"]


@pytest.mark.parametrize("values", [[np.nan, 0, 0, 0, 0], [0, np.inf, 0, 0, 0], [0, 0, 0, 0, -np.inf]])
def test_numbers_that_are_none_are_refused(desk, values):
    """Binary data can hold NaN and infinity; the feature is named."""
    status, told, _ = binary(desk, values, "<f8", "FP64")
    assert status == 400
    assert "allowed is a finite number" in told["error"]
    assert NAMES[int(np.argmax(~np.isfinite(values)))] in told["error"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"inputs":7}', b'{"inputs":[{}]}', b"\xff\xfe", b'{"inputs":[],"x":1e999}']
)
def test_what_is_no_request_is_refused(desk, body):
    """400 and a reason, whatever came."""
    status, told, _ = desk.ask("POST", f"{PATH}/infer", body)
    assert (status, set(told)) == (400, {"error"})


def test_too_many_rows(desk):
    """The limit is named."""
    status, told, _ = infer(desk, [row_input(np.zeros((1_025, 5)))])
    assert status == 400
    assert "1 to 1024" in told["error"]


def test_the_index_lists_every_version(desk):
    """Those at work are ready, others are not; asked so, only the ready ones are listed."""
    _, listed, _ = desk.ask("POST", "/v2/repository/index")
    assert [(line["state"], line["reason"]) for line in listed] == [
        ("READY", "champion"), ("READY", "shadow"), ("UNAVAILABLE", "registered, not loaded"),
    ]  # fmt: skip
    _, ready, _ = desk.ask("POST", "/v2/repository/index", {"ready": True})
    assert [line["version"] for line in ready] == [line["version"] for line in listed[:2]]


def test_nothing_goes_around_the_gate(desk):
    """A version that was never promoted is not loaded; one at work is not unloaded; nor is the desk."""
    versions = [desk.desk.shelf.versions[number] for number in desk.desk.numbers]
    load, unload = (f"/v2/repository/models/small%20desk/{verb}" for verb in ("load", "unload"))
    for path, word in ((load, versions[2].digest), (unload, versions[0].short), (unload, None)):
        status, told, _ = desk.ask("POST", path, {"parameters": {"version": word} if word else {}})
        assert (status, set(told)) == (403, {"error"})
    assert desk.ask("POST", load, {"parameters": {"version": "none"}})[0] == 404


def test_a_promoted_version_is_loaded_and_let_go(desk):
    """Promoted, but not kept by the engine: it is scored after a load, and no longer after an unload."""
    version = desk.desk.shelf.versions[desk.desk.numbers[2]]
    desk.port.models.roles = {**desk.port.models.roles, version.digest: "previous"}
    path = f"{PATH}/versions/{version.short}/infer"
    load, unload = (f"/v2/repository/models/small%20desk/{verb}" for verb in ("load", "unload"))
    assert infer(desk, [row_input([ROW])], path)[0] == 404
    assert desk.ask("POST", load, b"")[:2] == (200, {})
    assert desk.ask("POST", load, {"parameters": {"version": version.digest}})[:2] == (200, {})
    assert infer(desk, [row_input([ROW])], path)[1]["outputs"][0]["data"] == expected(desk, [ROW], 2)
    assert desk.ask("POST", unload, {"parameters": {"version": version.short}})[0] == 200
    assert infer(desk, [row_input([ROW])], path)[0] == 404
    desk.port.models.roles = {**desk.port.models.roles, version.digest: "registered"}


def test_what_was_asked_is_on_the_tape():
    """Row, scores, key and time of every stateless request, in order, after the port was closed."""
    rows = np.random.default_rng(2).normal(0, 0.01, (600, 5))
    with served() as desk:
        for part in np.split(rows, [1, 2, 300]):
            assert infer(desk, [row_input(part)])[0] == 200
        number, wanted = desk.desk.numbers[0], expected(desk, rows)
        desk.do(desk.write).result(30)
        found = TapeReader(desk.folder / "tape").read(scores_stream(number))
    assert found["row"].tolist() == rows.tolist()
    assert found["scores"][:, 0].tolist() == wanted
    assert set(found["key"]) == {int(desk.secret.split("_")[1], 16)}
    assert np.all(np.diff(found["ts_ns"]) >= 0)
