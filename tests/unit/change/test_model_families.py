"""XGBoost, scikit-learn forests and pipelines go the whole way: trained, registered, judged, promoted."""

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
}


@pytest.mark.parametrize(("family", "form"), [("xgboost", "trees"), ("forest", "trees"), ("pipeline", "onnx")])
def test_other_models_go_the_whole_way(tmp_path, family, form):
    """The gate's every check passes, and the version becomes champion."""
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
