"""Hostile model files: opened only in a confined process, where nothing they try reaches this machine.

Every file is made here. What each tries is a plain Python program, run by its own unpickling.
"""

import pickle
import socket
import sys
import threading
import time
from contextlib import contextmanager

import joblib
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from tradeworthy.change.intake import intake
from tradeworthy.change.intake.confinement import Held, confine
from tradeworthy.change.intake.intake import open_model, save_import
from tradeworthy.change.intake.message import Answer
from tradeworthy.core.errors import BundleRefused, ModelMismatch, NotFound, SettingsInvalid
from tradeworthy.core.time import SystemClock
from tradeworthy.model.predictors.formats import load_predictor

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can confine a process")

CLOCK = SystemClock()
TRIES = """
import os, socket, subprocess, threading
def tried(what):
    try:
        return f"done {what()!r}"
    except BaseException as error:
        return type(error).__name__
def connected():
    socket.create_connection(("127.0.0.1", PORT), timeout=2)
def sent():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", PORT))
def forked():
    if os.fork() == 0:
        os._exit(0)
found = {
    "write": tried(lambda: open(FOLDER + "/written", "w").write("x")),
    "append": tried(lambda: open(FOLDER + "/victim", "a").write("x")),
    "truncate": tried(lambda: os.truncate(FOLDER + "/victim", 0)),
    "delete": tried(lambda: os.unlink(FOLDER + "/victim")),
    "rename": tried(lambda: os.rename(FOLDER + "/victim", FOLDER + "/moved")),
    "link": tried(lambda: os.symlink("/etc/passwd", FOLDER + "/link")),
    "folder": tried(lambda: os.mkdir(FOLDER + "/made")),
    "mode": tried(lambda: os.chmod(FOLDER + "/victim", 0o777)),
    "read": tried(lambda: open(FOLDER + "/secret").read()),
    "list": tried(lambda: os.listdir(FOLDER)),
    "passwd": tried(lambda: open("/etc/passwd").read()),
    "connect": tried(connected),
    "send": tried(sent),
    "fork": tried(forked),
    "spawn": tried(lambda: subprocess.run(["true"])),
    "shell": "done" if os.system("touch " + FOLDER + "/shell") == 0 else "failed",
    "replace": tried(lambda: os.execv("/bin/true", ["true"])),
    "kill": tried(lambda: os.kill(os.getppid(), 15)),
    "secret in environment": tried(lambda: os.environ["TRADEWORTHY_SECRET"]),
}
raise RuntimeError(repr(found))
"""


class Runs:
    """Runs a program when it is unpickled."""

    def __init__(self, program: str) -> None:
        self.program = program

    def __reduce__(self) -> tuple:
        """Call exec."""
        return exec, (self.program, {})  # one namespace for all that it defines


def hostile(folder, program):
    """Write a pickle that runs a program, and return its path."""
    path = folder / "model.pkl"
    path.write_bytes(pickle.dumps(Runs(program)))
    return path


@contextmanager
def listener():
    """Count connections to a port of this machine."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.2)
    seen, over = [], threading.Event()

    def listen() -> None:
        while not over.is_set():
            try:
                connection, address = server.accept()
            except TimeoutError:
                continue
            seen.append(address)
            connection.close()

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield server.getsockname()[1], seen
    finally:
        over.set()
        thread.join()
        server.close()


def test_a_hostile_pickle_reaches_nothing(tmp_path, monkeypatch):
    """Files, network, processes, secrets: every attempt is refused, told in one line, and leaves no trace."""
    monkeypatch.setenv("TRADEWORTHY_SECRET", "hunter2")
    for name in ("victim", "secret"):
        (tmp_path / name).write_text("hunter2")
    (tmp_path / "victim").chmod(0o666)
    before = sorted(path.name for path in tmp_path.iterdir())
    with listener() as (port, seen):
        program = TRIES.replace("FOLDER", repr(str(tmp_path))).replace("PORT", str(port))
        with pytest.raises(ModelMismatch, match="holds no model") as refusal:
            open_model(hostile(tmp_path, program), clock=CLOCK, seconds_max=60)
    said = str(refusal.value)
    assert "RuntimeError" in said
    assert "'write': 'PermissionError'" in said
    assert "NameError" not in said, "the attempts themselves are broken, so they prove nothing"
    reads = [name for name in ("'read'", "'list'", "'passwd'") if f"{name}: 'done" in said]
    assert "done" not in said or reads, said
    assert not reads or not landlock(), f"Landlock holds here, and still: {said}"
    assert "hunter2" not in said or not landlock()
    assert seen == []
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, "model.pkl"])
    assert (tmp_path / "victim").read_text() == "hunter2"


def landlock():
    """Say whether this kernel can lock files away."""
    import ctypes  # noqa: PLC0415

    return ctypes.CDLL(None).syscall(444, None, 0, 1) >= 1


@pytest.mark.parametrize(
    "program",
    [
        "x = bytearray(10 * 1024**3)",
        "import os; os._exit(3)",
        "import sys, os; os.write(3, b'garbage' * 100)",
        "import ctypes; ctypes.string_at(0)",
    ],
    ids=["memory", "exit", "garbage", "crash"],
)
def test_a_hostile_pickle_that_breaks_its_process_breaks_nothing_else(tmp_path, program):
    """Too much memory, a sudden end, garbage as an answer, a crash: refused with one sentence."""
    with pytest.raises((BundleRefused, ModelMismatch)) as refusal:
        open_model(hostile(tmp_path, program), clock=CLOCK, seconds_max=60)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("program", ["while True: pass", "import time; time.sleep(3600)"], ids=["busy", "asleep"])
def test_a_hostile_pickle_that_never_ends_is_ended(tmp_path, program):
    """Whether it burns time or sleeps, the process ends after the seconds it was given."""
    begun = time.monotonic()
    with pytest.raises(BundleRefused, match=r"too long|ended its process"):
        open_model(hostile(tmp_path, program), clock=CLOCK, seconds_max=4)
    assert time.monotonic() - begun < 60


def test_a_hostile_answer_is_a_strangers_file(tmp_path):
    """Files of another format, wrong widths and broken trees are refused as in any bundle."""
    with pytest.raises(BundleRefused, match="allowed are those of"):
        intake._checked(Answer(form="trees", files={"../../evil": b""}))
    with pytest.raises(BundleRefused):
        intake._checked(Answer(form="pickle", files={"model.pkl": b""}))
    with pytest.raises(BundleRefused):
        intake._checked(Answer(form="trees", files={"trees.npz": b"not an archive"}))
    assert list(tmp_path.iterdir()) == []


def test_without_a_filter_nothing_is_opened(tmp_path, monkeypatch):
    """Where the system cannot confine a process, the file stays closed and the message says what to do."""
    fake = tmp_path / "opening.py"
    fake.write_text(
        "import sys, msgspec\nsys.stdin.buffer.read()\n"
        "m = msgspec.msgpack.encode(dict(filter=False, landlock=False, network_namespace=False, unprivileged=False))\n"
        "sys.stdout.buffer.write(len(m).to_bytes(8, 'little') + m)\n"
    )
    start = intake.subprocess.Popen
    monkeypatch.setattr(intake.subprocess, "Popen", lambda _command, **more: start([sys.executable, str(fake)], **more))
    with pytest.raises(SettingsInvalid, match="cannot take network and files away"):
        open_model(hostile(tmp_path, "1"), clock=CLOCK)


def test_a_process_of_another_system_holds_nothing(monkeypatch):
    """Elsewhere than on Linux only limits are set, and no layer is claimed."""
    monkeypatch.setattr("tradeworthy.change.intake.confinement.sys.platform", "darwin")
    monkeypatch.setattr("tradeworthy.change.intake.confinement._limit", lambda _seconds: None)
    assert confine(1, readable=[]) == Held(False, False, False, False)


@pytest.mark.parametrize("kind", ["forest", "linear"])
def test_an_honest_model_comes_through(tmp_path, kind):
    """A forest becomes trees, a linear model ONNX; both score as their library did."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(300, 4))
    labels = rows[:, 0] + rng.normal(size=300) > 0
    model = RandomForestClassifier(10, max_depth=4, random_state=1) if kind == "forest" else LogisticRegression()
    joblib.dump(model.fit(rows, labels), tmp_path / "model.joblib")
    found = open_model(tmp_path / "model.joblib", clock=CLOCK, seconds_max=100)
    save_import(found, tmp_path / "safe")
    again = load_predictor(tmp_path / "safe")
    assert again.format == ("trees" if kind == "forest" else "onnx")
    np.testing.assert_allclose(again.many(rows)[:, 0], model.predict_proba(rows)[:, 1], atol=1e-6)
    assert found.layers.filter
    with pytest.raises(SettingsInvalid, match="exists already"):
        save_import(found, tmp_path / "safe")


def test_a_file_that_needs_no_import_or_is_not_there_is_told(tmp_path):
    """Safe formats are named, a missing file is missing."""
    (tmp_path / "model.onnx").write_bytes(b"x")
    with pytest.raises(SettingsInvalid, match="as it is"):
        open_model(tmp_path / "model.onnx", clock=CLOCK)
    with pytest.raises(NotFound, match="no model file"):
        open_model(tmp_path / "model.pkl", clock=CLOCK)
