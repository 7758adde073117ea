"""MLServer's own clients talk to the port: its `mlserver infer`, and its types and codecs from Python."""

import json
import subprocess

import numpy as np
import pytest
from served import NAME, PATH, served
from source_tree import ROOT

PROGRAMS = ROOT / "bench" / ".peers" / "mlserver" / "bin"
"""MLServer's pins conflict with ours, so it lives in an environment of its own."""
ROWS = np.random.default_rng(3).normal(0, 0.01, (7, 5))
pytestmark = pytest.mark.skipif(not PROGRAMS.exists(), reason="MLServer is not installed; run `make bench-peers` once")

SCRIPT = """
import json, sys, urllib.request
import numpy as np, pandas as pd
from mlserver.codecs import NumpyCodec, PandasCodec
from mlserver.types import InferenceRequest, InferenceResponse, MetadataModelResponse
address, secret, form = sys.argv[1:]
rows = np.array(json.load(sys.stdin))

def ask(url, body=None):
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
        return answer.read()

told = MetadataModelResponse.model_validate_json(ask(address))
if form == "numpy":
    request = InferenceRequest(id="r7", inputs=[NumpyCodec.encode_input(name="row", payload=rows)])
else:
    columns = told.inputs[0].parameters.model_dump()["columns"]
    request = PandasCodec.encode_request(pd.DataFrame(rows, columns=columns))
answer = InferenceResponse.model_validate_json(ask(f"{address}/infer", request.model_dump_json().encode()))
scores = NumpyCodec.decode_output(answer.outputs[0])
print(json.dumps({"id": answer.id, "model": answer.model_name, "scores": scores.ravel().tolist(),
                  "inputs": [each.name for each in told.inputs]}))
"""


@pytest.fixture(scope="module")
def desk():
    """A served desk."""
    with served() as made:
        yield made


def expected(desk, rows):
    """Return the scores of the champion itself."""
    return desk.desk.shelf.versions[desk.desk.numbers[0]].predictor.many(rows)[:, 0].tolist()


@pytest.mark.parametrize("form", ["numpy", "pandas"])
def test_its_codecs_write_requests_and_read_answers(desk, form):
    """An array as one tensor, a table as one tensor a column: the model's own bits come back."""
    words = [f"http://127.0.0.1:{desk.address[1]}{PATH}", desk.secret, form]
    done = subprocess.run(
        [PROGRAMS / "python", "-c", SCRIPT, *words],
        input=json.dumps(ROWS.tolist()),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["scores"] == expected(desk, ROWS)
    assert (told["model"], told["inputs"]) == (NAME, ["row"])
    assert told["id"] == ("r7" if form == "numpy" else None)


@pytest.mark.parametrize("binary", [(), ("-b",)])
@pytest.mark.parametrize("batch", ["1", "3"])
def test_its_command_infers_a_file(desk, tmp_path, binary, batch):
    """`mlserver infer`, alone and in batches, as JSON and as binary data: the model's bits, line by line."""
    lines = [
        {"id": f"line {place}", "inputs": [{"name": "row", "shape": [1, 5], "datatype": "FP64", "data": row}]}
        for place, row in enumerate(ROWS.tolist())
    ]
    asked, told = tmp_path / "asked.jsonl", tmp_path / "told.jsonl"
    asked.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    address, key = "{}:{}".format(*desk.address), f"Authorization: Bearer {desk.secret}"
    words = ["-u", address, "-m", NAME, "-i", str(asked), "-o", str(told), "-s", batch, "-H", key, *binary]
    done = subprocess.run([PROGRAMS / "mlserver", "infer", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    answers = sorted((json.loads(line) for line in told.read_text().splitlines()), key=lambda answer: answer["id"])
    assert [answer["outputs"][0]["data"][0] for answer in answers] == expected(desk, ROWS)
