"""The record of stateless requests: each row, its scores, its key and its time, in the order of asking."""

import threading

import numpy as np
import pytest
from served import CLOCK, PATH, served

from tradeworthy.apps.server.scores import WAITING, scores_stream
from tradeworthy.record.reader import TapeReader


@pytest.fixture
def desk():
    """A served desk."""
    with served() as made:
        yield made


def asked(desk, rows, **more: object):
    """Ask for the scores of rows, and return them."""
    tensor = {"name": "row", "shape": [*rows.shape], "datatype": "FP64", "data": rows.ravel().tolist()}
    status, told, _ = desk.ask("POST", f"{PATH}/infer", {"inputs": [tensor]}, **more)
    assert status == 200
    return np.array(told["outputs"][0]["data"])


def recorded(desk):
    """Return every record of the champion's scores."""
    desk.do(desk.write).result(30)
    stream = scores_stream(desk.desk.engine.desk.acting.version.number)
    return TapeReader(desk.folder / "tape").read(stream, 0, 100_000)


def test_requests_of_many_sizes_are_recorded_as_they_were_asked(desk):
    """One row, several, more than wait together: rows and scores bit for bit, under the key that asked."""
    rng = np.random.default_rng(1)
    sizes, secret = (1, 7, WAITING - 1, 1, WAITING + 300, 2), desk.key(["infer"])
    desk.follow()
    tables = [rng.normal(size=(size, 5)) for size in sizes]
    began_ns = CLOCK.now_ns()
    scores = [asked(desk, table, secret=secret) for table in tables]
    found = recorded(desk)
    assert np.array_equal(found["row"], np.concatenate(tables))
    assert np.array_equal(found["scores"][:, 0], np.concatenate(scores))
    assert set(found["key"].tolist()) == {int(secret.split("_")[1], 16)}
    assert (np.diff(found["ts_ns"]) >= 0).all()
    assert began_ns <= found["ts_ns"][0] <= found["ts_ns"][-1] <= CLOCK.now_ns()
    assert len(set(found["ts_ns"].tolist())) == len(sizes)


def test_a_row_alone_does_not_wait_for_company(desk):
    """The port's own tick writes it, without anybody asking for more."""
    asked(desk, np.full((1, 5), 0.5))
    reader, stream = TapeReader(desk.folder / "tape"), scores_stream(desk.desk.engine.desk.acting.version.number)
    for _ in range(300):
        if stream in reader.streams() and (reader.read(stream, 0, 100_000)["row"] == 0.5).all(axis=1).any():
            return
        threading.Event().wait(0.1)
    pytest.fail("the row is not on the tape after 30 s")
