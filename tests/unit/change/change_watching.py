"""A watcher's job over the small deployment of these tests, with calibrations that take little time."""

from change_desk import EVERY_LIMIT, INSTRUMENTS, SETTINGS

from tradeworthy.change.release.conduct import ConductSettings
from tradeworthy.change.release.policy import PolicySettings
from tradeworthy.change.watch.watcher import WatchJob
from tradeworthy.judge.monitor.control_charts.calibration import ChartSettings
from tradeworthy.judge.monitor.drift import DriftSettings
from tradeworthy.judge.monitor.performance import PerformanceSettings
from tradeworthy.judge.monitor.standing import MonitorSettings

CHARTS = ChartSettings(runs=20, run_length=2_000)


def watch_job(home, state="watcher"):
    """Return a watcher's job that finds and does nothing else."""
    folder = home.folder
    conduct = ConductSettings(
        strategy="none", history=[], limits=EVERY_LIMIT, version=SETTINGS, policy=PolicySettings(retrain_on=())
    )
    return WatchJob(
        env="paper",
        tape=str(folder / "tape"),
        ledger=str(folder / "ledger.db"),
        state=str(folder / state),
        versions=str(folder),
        trust=str(folder / "trust"),
        control=str(folder / "control"),
        key=str(folder / "author.key"),
        instruments=list(INSTRUMENTS),
        conduct=conduct,
        monitors=MonitorSettings(
            drift=DriftSettings(quiet_rows=100, charts=CHARTS), performance=PerformanceSettings(charts=CHARTS)
        ),
    )
