"""Peers of the serving figures, in environments of their own: how each is started, and what it is asked.

Idea:   each serves the same LightGBM model by its own documented means, one worker, its access log off. One whose
        environment is not there is not measured.
"""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clients import post
from desks import engine_model
from harness import HERE, PEERS
from servers import free_port, rows, v2_body

Command = list[str]


@dataclass(frozen=True)
class PeerServer:
    """One peer.

    Attributes
    ----------
    package : str
        What carries its version, and the name of its environment.
    command : callable
        From its folder of programs, a folder of its own and a port to the words that start it.
    ask : callable
        From a row to a request.
    """

    name: str
    package: str
    command: Callable[[Path, Path, int], Command]
    ask: Callable[[list[float]], bytes]

    @property
    def programs(self) -> Path:
        """The folder of its programs."""
        return PEERS / self.package.partition("-")[0] / "bin"

    @property
    def figure(self) -> str:
        """The name of its figure."""
        return f"serve_{self.programs.parent.name}_ratio"

    @property
    def is_there(self) -> bool:
        """Whether it was installed."""
        return (self.programs / "python").exists()

    @property
    def version(self) -> str:
        """The version that is installed."""
        code = f"import importlib.metadata as m; print(m.version({self.package!r}))"
        python = str(self.programs / "python")
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
        return done.stdout.strip()

    def start(self, folder: Path) -> tuple[Command, dict[str, str]]:
        """Return the words that start it on a free port, and its environment."""
        own, port = folder / self.package, free_port()
        own.mkdir()
        path = f"{self.programs}:{os.environ['PATH']}"
        quiet = {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(own), "RAY_USAGE_STATS_ENABLED": "0"}
        env = {"PORT": str(port), "MODEL": str(engine_model()), "FOLDER": str(own), "PATH": path, **quiet}
        return self.command(self.programs, own, port), env


def _app(name: str) -> str:
    return str(HERE / "peers" / f"{name}_app.py")


def _fastapi(programs: Path, _: Path, port: int) -> Command:
    app = ["--app-dir", str(HERE / "peers"), "fastapi_app:app", "--no-access-log", "--log-level", "warning"]
    return [str(programs / "python"), "-m", "uvicorn", *app, "--port", str(port)]


def _mlserver(programs: Path, folder: Path, port: int) -> Command:
    settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": port + 1, "metrics_port": port + 2}
    settings |= {"parallel_workers": 0, "debug": False}
    model = {"name": "m", "implementation": "mlserver_lightgbm.LightGBMModel"}
    model |= {"parameters": {"uri": str(engine_model())}}  # type: ignore[dict-item]
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "model-settings.json").write_text(json.dumps(model), encoding="utf-8")
    return [str(programs / "mlserver"), "start", str(folder)]


def _bentoml(programs: Path, _: Path, port: int) -> Command:
    place = ["--host", "127.0.0.1", "--port", str(port), "--working-dir", str(HERE / "peers")]
    return [str(programs / "bentoml"), "serve", "bentoml_app:Scorer", *place]


def _mlflow(programs: Path, folder: Path, port: int) -> Command:
    made = folder / "model"
    python, env = str(programs / "python"), {**os.environ, "MODEL": str(engine_model()), "FOLDER": str(made)}
    subprocess.run([python, _app("mlflow")], env=env, check=True)  # noqa: S603
    place = ["--env-manager", "local", "-h", "127.0.0.1", "-p", str(port), "-w", "1"]
    return [str(programs / "mlflow"), "models", "serve", "-m", str(made), *place]


def _by_itself(name: str) -> Callable[[Path, Path, int], Command]:
    """Return the command of a peer whose program reads its port from the environment."""
    return lambda programs, _, __: [str(programs / "python"), _app(name)]


SERVER_PEERS = (
    PeerServer("FastAPI", "fastapi", _fastapi, lambda row: post("/predict", {"features": row})),
    PeerServer("MLServer", "mlserver", _mlserver, lambda row: post("/v2/models/m/infer", v2_body(row))),
    PeerServer("BentoML", "bentoml", _bentoml, lambda row: post("/predict", {"features": row})),
    PeerServer("LitServe", "litserve", _by_itself("litserve"), lambda row: post("/predict", {"features": row})),
    PeerServer("MLflow", "mlflow-skinny", _mlflow, lambda row: post("/invocations", {"inputs": [row]})),
    PeerServer("Ray Serve", "ray", _by_itself("ray"), lambda row: post("/predict", {"features": row})),
)


def requests_of(peer: PeerServer) -> list[bytes]:
    """Return what a peer is asked."""
    return [peer.ask(row) for row in rows()]
