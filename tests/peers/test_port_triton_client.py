"""An unmodified public client of the Open Inference Protocol talks to the port: tritonclient, over HTTP."""

import warnings

import numpy as np
import pytest
from served import NAME, served

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the client's own imports
    from tritonclient import http as triton
    from tritonclient.utils import InferenceServerException

ROWS = np.random.default_rng(3).normal(0, 0.01, (3, 5))


@pytest.fixture(scope="module")
def desk():
    """A served desk."""
    with served() as made:
        yield made


@pytest.fixture
def client(desk):
    """The public client, and the header that it is given."""
    made = triton.InferenceServerClient("{}:{}".format(*desk.address))
    yield made, {"Authorization": f"Bearer {desk.secret}"}
    made.close()


def row_input(rows, datatype="FP64", *, binary=True):
    """Return rows as the client's input."""
    tensor = triton.InferInput("row", list(rows.shape), datatype)
    tensor.set_data_from_numpy(rows, binary_data=binary)
    return tensor


def expected(desk, rows):
    """Return the scores of the champion itself."""
    return desk.desk.shelf.versions[desk.desk.numbers[0]].predictor.many(rows)


def test_it_finds_the_server_alive_and_ready(client):
    """Health, server and model."""
    asked, headers = client
    assert asked.is_server_live()
    assert asked.is_server_ready()
    assert asked.is_model_ready(NAME, headers=headers)
    assert asked.get_server_metadata(headers)["name"] == "tradeworthy"


def test_it_reads_the_models_signature(client):
    """Names, datatypes and shapes that it can build a request from."""
    asked, headers = client
    told = asked.get_model_metadata(NAME, headers=headers)
    assert (told["inputs"][0]["name"], told["inputs"][0]["shape"]) == ("row", [-1, 5])
    assert told["outputs"][0]["datatype"] == "FP64"


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_it_infers(desk, client, binary_in, binary_out):
    """Binary or JSON, in or out: the model's own bits."""
    asked, headers = client
    outputs = [triton.InferRequestedOutput("score", binary_data=binary_out)]
    inputs = [row_input(ROWS, binary=binary_in)]
    result = asked.infer(NAME, inputs, outputs=outputs, headers=headers, request_id="r7")
    assert result.as_numpy("score").tolist() == expected(desk, ROWS).tolist()
    assert result.get_response()["id"] == "r7"


@pytest.mark.parametrize("packing", ["gzip", "deflate"])
def test_it_packs_its_requests(desk, client, packing):
    """With the client's own compression."""
    asked, headers = client
    inputs = [row_input(ROWS.astype(np.float32), "FP32")]
    result = asked.infer(NAME, inputs, headers=headers, request_compression_algorithm=packing)
    assert result.as_numpy("score").tolist() == expected(desk, ROWS.astype(np.float32).astype(np.float64)).tolist()


def test_it_is_told_what_is_wrong(client):
    """Our refusals reach it as its own errors, with their words."""
    asked, headers = client
    with pytest.raises(InferenceServerException, match="allowed is"):
        asked.infer(NAME, [row_input(ROWS[:, :4])], headers=headers)


def test_it_manages_the_repository_as_far_as_the_gate_allows(client):
    """The index is read; a load of what is promoted succeeds, an unload of the desk is refused."""
    asked, headers = client
    assert asked.get_model_repository_index(headers)[0]["state"] == "READY"
    asked.load_model(NAME, headers=headers)
    with pytest.raises(InferenceServerException, match="not unloaded"):
        asked.unload_model(NAME, headers=headers)
