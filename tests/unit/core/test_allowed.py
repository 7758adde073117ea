"""Settings by which nothing is seen, asked or done are refused as soon as they are made."""

import math

import msgspec
import pytest

from tradeworthy.change.train.training import TrainingSettings
from tradeworthy.core.allowed import RATE
from tradeworthy.core.errors import SettingsInvalid
from tradeworthy.judge.monitor.control_charts.calibration import ChartSettings
from tradeworthy.judge.monitor.group_fairness import FairnessSettings
from tradeworthy.judge.monitor.input_quality import InputSettings
from tradeworthy.judge.monitor.latency import LatencySettings
from tradeworthy.judge.monitor.performance import PerformanceSettings
from tradeworthy.judge.monitor.reasons import ReasonSettings
from tradeworthy.judge.monitor.standing import LABELLED, MonitorSettings
from tradeworthy.judge.monitor.trading import TradingSettings
from tradeworthy.judge.validate.gate import GateSettings
from tradeworthy.live.engine import EngineSettings
from tradeworthy.live.state import CheckSettings
from tradeworthy.record.archive import ArchiveSettings
from tradeworthy.record.syncer import SyncerSettings

GATE = {name: type(getattr(GateSettings(), name)) for name in GateSettings.__struct_fields__}
PARTS = {name: type(getattr(MonitorSettings(), name)) for name in MonitorSettings().rates}
OTHERS = (EngineSettings, CheckSettings, SyncerSettings, TrainingSettings)


def numbers(part):
    """Return the names of a section's numbers, its rate apart."""
    values = {name: getattr(part(), name) for name in part.__struct_fields__ if name != RATE}
    return [name for name, value in values.items() if isinstance(value, int | float) and not isinstance(value, bool)]


@pytest.mark.parametrize(
    ("section", "part", "name", "value", "allowed"),
    [
        ("monitor.latency", LatencySettings, "learn", 0, "1 or more"),
        ("monitor.latency", LatencySettings, "learn_orders", 0, "1 or more"),
        ("monitor.latency", LatencySettings, "least_ms", -1.0, "0 or more"),
        ("monitor.reasons", ReasonSettings, "features_max", 0, "1 or more"),
        ("monitor.reasons", ReasonSettings, "block_rows", 0, "1 or more"),
        ("monitor.inputs", InputSettings, "gap", 0.0, "more than 0"),
        ("monitor.inputs", InputSettings, "usual_faults", 1.5, "0 to 1"),
        ("monitor.trading", TradingSettings, "drawdown_value", -5.0, "more than 0"),
        ("monitor.performance", PerformanceSettings, "score_cut", math.inf, "any finite number"),
        ("monitor.fairness", FairnessSettings, "window", 0, "1 or more"),
        ("monitor.*.charts", ChartSettings, "runs", 0, "1 or more"),
        ("gate.window", GATE["window"], "effective_rows_min", -1, "1 or more"),
        ("gate.performance", GATE["performance"], "rows_min", 0, "1 or more"),
        ("gate.performance", GATE["performance"], "auc_low_min", -0.1, "0 to 1"),
        ("gate.leakage", GATE["leakage"], "duplicates_share_max", 2.0, "0 to 1"),
        ("gate.latency", GATE["latency"], "us_p99_max", 0.0, "more than 0"),
        ("gate.overfitting", GATE["overfitting"], "auc_gap_max", -0.1, "0 to 1"),
        ("gate.fairness", GATE["fairness"], "proxy_auc_max", 1.5, "0 to 1"),
        ("gate.trading", GATE["trading"], "sharpe_net_min", math.inf, "any finite number"),
        ("monitor.*.charts", ChartSettings, "decay", 1.1, "0 to 1"),
        ("engine", EngineSettings, "run_events_max", 0, "1 or more"),
        ("engine", EngineSettings, "steer_every_ms", math.inf, "more than 0"),
        ("engine", EngineSettings, "warm_records", -1, "0 or more"),
        ("engine.checks", CheckSettings, "jump_bps_max", 0.0, "more than 0"),
        ("engine.checks", CheckSettings, "input_age_ms_max", -1.0, "more than 0"),
        ("engine.checks", CheckSettings, "limit_price_bps", -1.0, "0 or more"),
        ("engine.checks", CheckSettings, "range_margin", math.inf, "0 or more"),
        ("syncer", SyncerSettings, "sync_every_ms", 0.0, "more than 0"),
        ("training", TrainingSettings, "share", 1.01, "more than 0, up to 1"),
        ("training", TrainingSettings, "folds", 0, "1 or more"),
    ],
)
def test_what_is_refused_says_what_is_allowed(section, part, name, value, allowed):
    """The setting by its full name, what was found, what is allowed."""
    with pytest.raises(SettingsInvalid) as refused:
        part(**{name: value})
    assert str(refused.value) == f"{section}.{name} is {value:g}; allowed is {allowed}"


@pytest.mark.parametrize("value", [math.nan, -math.inf])
@pytest.mark.parametrize(
    ("part", "name"),
    [(p, n) for p in (*PARTS.values(), *GATE.values(), ChartSettings, *OTHERS) for n in numbers(p)],
)
def test_no_number_of_any_section_is_nonsense(part, name, value):
    """What is no number, or less than all, is refused wherever a number stands."""
    with pytest.raises(SettingsInvalid, match=rf"\.{name} is (nan|-inf); allowed is "):
        part(**{name: value})


def test_what_is_allowed_is_left_alone():
    """The least of each kind, a cut below zero for returns, and a limit that is left out."""
    assert LatencySettings(learn=1, learn_orders=1, quiet=0, least_ms=0.0).learn == 1
    assert InputSettings(usual_faults=0.0).usual_faults == 0.0
    assert PerformanceSettings(score_cut=-0.01).score_cut == -0.01
    assert GATE["performance"](log_loss_gain_min=-0.01).log_loss_gain_min == -0.01
    assert GATE["overfitting"](trials_declared=0, auc_gap_max=None).auc_gap_max is None
    assert TradingSettings(drawdown_value=None).drawdown_value is None
    assert CheckSettings(jump_bps_max=None, range_margin=0.0).jump_bps_max is None
    assert TrainingSettings(share=1.0, folds=1, embargo=0).share == 1.0


def test_it_is_refused_where_settings_are_read():
    """A file with such a number is refused by the same words."""
    with pytest.raises(SettingsInvalid, match=r"monitor\.latency\.learn is 0; allowed is 1 or more"):
        msgspec.toml.decode(b"[latency]\nlearn = 0", type=MonitorSettings)


def test_the_gates_are_refused_there_too():
    """A minimum below nothing would ask nothing."""
    with pytest.raises(SettingsInvalid, match=r"gate\.window\.effective_rows_min is -1; allowed is 1 or more"):
        msgspec.toml.decode(b"[window]\neffective_rows_min = -1", type=GateSettings)


def test_an_archive_keeps_nothing_by_a_number_that_is_none():
    """NaN is neither below a limit nor above it: retention and room on the disk would be of no account."""
    for word in ("after_s = nan", "free_min_gb = nan", "budget_gb = nan", "alarm_at = nan", "keep_days = {rows = nan}"):
        with pytest.raises(msgspec.ValidationError, match="is nan, allowed is"):
            msgspec.toml.decode(word.encode(), type=ArchiveSettings)


def test_a_monitor_that_there_is_not_cannot_be_off():
    """A slip in `off` would leave a monitor on, unnoticed; the nearest name is hinted at."""
    with pytest.raises(SettingsInvalid, match=r"off names 'class_balanse'.*class_balance.*; allowed are drift"):
        MonitorSettings(off=("drift", "class_balanse"))


def test_performance_is_off_only_with_those_that_have_their_labels_from_it():
    """Switched off alone it would leave others on that hear of no label; the message names them."""
    with pytest.raises(SettingsInvalid, match="class_balance, reliability have their labels"):
        MonitorSettings(off=("performance", "estimated", "fairness"))
    assert "performance" not in MonitorSettings(off=("performance", *LABELLED)).rates
