"""Replay: every decision of a tape made again and compared, beside NautilusTrader on the same bars and model."""

import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from desks import BARS, SILENT, TRADING, BenchDesk, desk, engine_model, scores_of, ticks_version, version_of
from harness import HERE, PEERS, Aim, Peer, Report, Setting
from jobs import ETH, eth_bars
from measure import Estimate, median_of, rates, ratio_of

from tradeworthy.core.events import EventBatch
from tradeworthy.core.instruments import Instrument
from tradeworthy.live.feeds.emini import EMINI, read_emini
from tradeworthy.live.replay import replay
from tradeworthy.model.version import Version

AIMS = {
    "replay_decisions_per_s": Aim("decisions/s", "higher", 150_000),
    "replay_trading_decisions_per_s": Aim("decisions/s", "higher", 150_000),
    "record_decisions_per_s": Aim("decisions/s", "higher", 150_000),
    "replay_vs_nautilus_ratio": Aim("times", "higher", 8.0),
    "replay_vs_nautilus_fast_ratio": Aim("times", "higher", 4.0),
    "replay_emini_s": Aim("s", "lower", 4.0),
}
JOB = "16 features, 200 trees x 31 leaves; read from the tape, decided again, compared to the last bit, one core"
ETH_DESK = (ETH,)
PYTHON = PEERS / "nautilus" / "bin" / "python"


def run(setting: Setting, report: Report) -> None:
    """Measure the family."""
    events = eth_bars(BARS // 3 if setting.quick else BARS)
    with tempfile.TemporaryDirectory(dir=setting.folder) as name:
        folder = Path(name)
        silent = version_of(folder / "versions", signal=SILENT, name="silent")
        trading = version_of(folder / "versions", signal=TRADING, name="trading")
        ours = _replays(setting, folder, events, silent, trading)
        report.add("replay_decisions_per_s", median_of(ours["silent"]), note=f"{JOB}; thresholds that send no orders")
        report.add(
            "replay_trading_decisions_per_s",
            median_of(ours["trading"]),
            note=f"{JOB}; with {ours['orders'][0]:,.0f} orders among {len(events):,} bars",
        )
        report.add("record_decisions_per_s", median_of(ours["record"]), note="the live engine over the same bars")
        _nautilus(setting, report, folder, events, ours["processor"])
        _emini(setting, report, folder)


def recorded(folder: Path, version: Version, events: EventBatch, instruments: tuple[Instrument, ...]) -> BenchDesk:
    """Run a history through an engine, so that its tape can be replayed."""
    with desk(folder, [version], instruments=instruments) as made:
        made.feed(events)
    return made


def _replays(
    setting: Setting, folder: Path, events: EventBatch, silent: Version, trading: Version
) -> dict[str, list[float]]:
    orders = [float(recorded(folder / "trading", trading, events, ETH_DESK).engine.counters.orders)]
    recorded(folder / "silent", silent, events, ETH_DESK)
    shelf = {silent.number: silent, trading.number: trading}
    made = 0

    def again(name: str) -> Callable[[], int]:
        def call() -> int:
            found = replay(folder / name / "tape", shelf.__getitem__)
            if not found.identical:
                raise RuntimeError(f"replay differs: {found.first_difference}")
            return found.decisions

        return call

    def record() -> int:
        nonlocal made
        made += 1
        return int(recorded(folder / f"record-{made}", silent, events, ETH_DESK).engine.counters.decisions)

    calls = {"silent": again("silent"), "record": record}
    taken = rates(calls, repeats=setting.repeats(9))
    taken |= rates({"trading": again("trading")}, repeats=3 if setting.quick else 7)
    taken |= {"processor": rates({"us": calls["silent"]}, repeats=5, clock=time.process_time_ns)["us"]}
    return taken | {"orders": orders}


def _nautilus(setting: Setting, report: Report, folder: Path, events: EventBatch, ours: list[float]) -> None:
    """Run the peer on the same core right after; both are measured in processor time, as they cannot take turns."""
    if not (setting.peers and PYTHON.exists()):
        why = (
            "run `make bench-peers` and add --peers" if not setting.peers else f"{PYTHON} is missing: make bench-peers"
        )
        for name in ("replay_vs_nautilus_ratio", "replay_vs_nautilus_fast_ratio"):
            report.add(name, None, note=f"the peer was not run: {why}")
        return
    np.save(folder / "bars.npy", np.column_stack([events["ts_event_ns"].astype(np.float64), events["values"]]))
    for name, kind in (("replay_vs_nautilus_ratio", "booster"), ("replay_vs_nautilus_fast_ratio", "fast")):
        found, error = _peer(folder, kind, repeats=1 if setting.quick else 5, events=events)
        rate = median_of(found["rates"])
        called = {"booster": "Booster.predict", "fast": "single-row-fast"}[kind]
        report.add(
            name,
            _against(ours, rate),
            peer=Peer(f"NautilusTrader + LightGBM {called}, decisions/s", found["version"], rate.value),
            note=f"the same bars, features and model, no orders; processor time; scores differ by {error:.1e} (median)",
        )


def _against(ours: list[float], theirs: Estimate) -> Estimate:
    return ratio_of(ours, np.full(len(ours), theirs.value))


def _peer(folder: Path, kind: str, *, repeats: int, events: EventBatch) -> tuple[dict[str, object], float]:
    """Run NautilusTrader; return what it printed and how far its scores are from ours."""
    out = folder / f"{kind}.npy"
    command = [PYTHON, HERE / "peers" / "nautilus.py", folder / "bars.npy", engine_model(), kind, repeats, out]
    done = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True)  # noqa: S603
    theirs, ours = np.load(out), scores_of(events)
    count = min(len(theirs), len(ours)) - 1_000
    return json.loads(done.stdout.splitlines()[-1]), float(np.median(np.abs(theirs[-count:] - ours[-count:])))


def _emini(setting: Setting, report: Report, folder: Path) -> None:
    """Replay a day and more of real trades, a decision each."""
    if setting.quick:
        report.add("replay_emini_s", None, note="not in a quick run")
        return
    events, _ = read_emini()
    version = ticks_version(folder / "versions", events)
    recorded(folder / "emini", version, events, (EMINI,))
    rate = rates(
        {"ours": lambda: replay(folder / "emini" / "tape", lambda _: version).decisions},
        repeats=1 + 4 * (not setting.quick),
    )["ours"]
    seconds = median_of(len(events) / np.array(rate))
    report.add("replay_emini_s", seconds, note=f"{len(events):,} trades of the E-mini future, a decision on each")
