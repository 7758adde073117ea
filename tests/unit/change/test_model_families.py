"""XGBoost, scikit-learn, saved files and PyTorch go the whole way: trained, registered, judged, promoted."""

import pytest
from change_desk import (
    EVERY_LIMIT,
    INSTRUMENTS,
    REVIEWED,
    SETTINGS,
    START_NS,
    STRATEGY,
    TRAINING,
    desk,
    market,
    write_strategy,
)

from tradeworthy.change.evidence.gather import gather
from tradeworthy.change.train.strategy import load_strategy
from tradeworthy.change.train.training import train
from tradeworthy.core.time import VirtualClock
from tradeworthy.judge.validate.artifact import Artifact
from tradeworthy.judge.validate.gate import GateSettings, judge
from tradeworthy.judge.validate.latency import LatencySettings

FITS = {
    "xgboost": (
        "import xgboost\n    return xgboost.XGBClassifier(n_estimators=10, max_depth=2, n_jobs=1).fit(rows, labels)"
    ),
    "forest": (
        "from sklearn.ensemble import RandomForestClassifier\n"
        "    return RandomForestClassifier(20, max_depth=3, random_state=1).fit(rows, labels)"
    ),
    "pipeline": (
        "from sklearn.linear_model import LogisticRegression\n"
        "    from sklearn.pipeline import make_pipeline\n"
        "    from sklearn.preprocessing import StandardScaler\n"
        "    return make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, labels)"
    ),
    "saved file": (
        "from pathlib import Path\n"
        "    import xgboost\n"
        '    path = Path(__file__).with_name("model.ubj")\n'
        "    xgboost.XGBClassifier(n_estimators=10, max_depth=2, n_jobs=1).fit(rows, labels).save_model(path)\n"
        "    return path"
    ),
    "torch": (
        "import torch\n"
        "    from torch.nn import Linear, Module, Sequential, Sigmoid, Tanh\n"
        "    class Scaled(Module):\n"
        "        def forward(self, given):\n"
        "            return given / SCALE\n"
        "    torch.manual_seed(1)\n"
        "    SCALE = torch.tensor(rows.std(0), dtype=torch.float32)\n"
        "    given, wanted = (torch.tensor(each, dtype=torch.float32) for each in (rows, labels[:, None]))\n"
        "    net = Sequential(Scaled(), Linear(rows.shape[1], 4), Tanh(), Linear(4, 1), Sigmoid())\n"
        "    steps = torch.optim.Adam(net.parameters(), lr=0.05)\n"
        "    for _ in range(60):\n"
        "        steps.zero_grad()\n"
        "        torch.nn.functional.binary_cross_entropy(net(given), wanted).backward()\n"
        "        steps.step()\n"
        "    return net"
    ),
}


@pytest.mark.parametrize(
    ("family", "form"),
    [("xgboost", "trees"), ("forest", "trees"), ("pipeline", "onnx"), ("saved file", "trees"), ("torch", "onnx")],
)
def test_other_models_go_the_whole_way(tmp_path, family, form):
    """The gate's every check passes, and the version becomes champion."""
    if family == "torch":
        pytest.importorskip(
            "torch", reason="PyTorch is not installed; it is no dependency, who has it may bring modules"
        )
    head, _, _ = STRATEGY.partition('    """Fit')
    strategy = load_strategy(write_strategy(tmp_path, f"{head}    {FITS[family]}\n"))
    home = desk(tmp_path / "desk")
    candidate = train(strategy, market(), INSTRUMENTS, TRAINING, clock=VirtualClock(START_NS))
    digest = home.registry.register(candidate, SETTINGS, key=home.key, author="ada", reason="a test")
    given = {"instruments": INSTRUMENTS, "limits": EVERY_LIMIT, "events": market(), "clock": home.clock}
    found = gather(home.registry, digest, training=TRAINING, **given)
    report = judge(found, GateSettings(latency=LatencySettings(us_p99_max=1e9), documents=REVIEWED), clock=home.clock)
    assert report.failed == []
    assert found.part(Artifact).formats == [form]
    home.registry.record_gate(report, actor="ada", reason="a test")
    assert home.release.promote(digest, "champion", actor="ada", reason="a test") == digest
    home.close()
