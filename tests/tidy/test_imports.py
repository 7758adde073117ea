"""Import direction: who may know whom."""

import subprocess
import sys

import pytest
from importlinter.cli import lint_imports
from source_tree import ROOT, SOURCE

TRAINING = ("lightgbm", "xgboost", "sklearn", "skl2onnx", "pandas", "joblib")
SERVING = ("tradeworthy.live.engine", "tradeworthy.live.replay", "tradeworthy.model.version", "tradeworthy.record.tape")


def loaded_by(module):
    """Return the modules that a fresh interpreter has loaded after importing one."""
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


def test_imports_point_one_way(capsys):
    """The layers of the house hold: apps > testing > change > live | judge > model | record > core."""
    failed = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True, no_logo=True)
    assert failed == 0, capsys.readouterr().out


def test_the_root_loads_nothing_heavy():
    """`import tradeworthy` costs nothing until a name is used."""
    assert not {"numpy", "numba", "polars", "msgspec"} & loaded_by("tradeworthy")


@pytest.mark.parametrize("module", SERVING)
def test_serving_loads_no_training_library(module):
    """A version is served without the libraries that trained it."""
    assert SOURCE.joinpath(*module.split(".")[1:]).with_suffix(".py").exists(), f"{module} has moved: name it here"
    assert not {name for name in loaded_by(module) if name.split(".")[0] in TRAINING}
