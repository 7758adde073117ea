"""Features: one live event and a whole history, stepped by the same kernel."""

from harness import Aim, Report, Setting
from jobs import ETH, eth_bars, many_features
from measure import in_turn, median_of, rates

from tradeworthy.core.events import EventBatch
from tradeworthy.model.features.program import compile_program
from tradeworthy.model.features.runtime import FeatureState

AIMS = {
    "features_one_us_p50": Aim("us", "lower", 1.5),
    "features_one_us_p99": Aim("us", "lower", 4.0),
    "features_fold_events_per_s": Aim("events/s", "higher", 1_000_000),
}


def run(setting: Setting, report: Report) -> None:
    """Measure the family."""
    program = compile_program(many_features())
    events = eth_bars(200_000)
    live, history = FeatureState(program, [ETH]), FeatureState(program, [ETH])
    singles = [events[i] for i in range(20_000)]
    taken = in_turn({"one": lambda i: live.one(singles[i])}, count=setting.count(20_000), repeats=setting.repeats(21))
    folded = median_of(rates({"fold": lambda: fold(history, events)}, repeats=setting.repeats(9))["fold"])
    shape = f"{len(program.names)} features from {len(program.layout.instructions)} instructions"
    report.add(
        "features_one_us_p50",
        taken["one"].quantile(0.5),
        floor=1e6 / folded.value,
        note=f"{shape}, `FeatureState.one` called from Python; floor: the same kernel without Python",
    )
    report.add("features_one_us_p99", taken["one"].quantile(0.99))
    report.add("features_fold_events_per_s", folded, note=f"{shape}, `FeatureState.many`, one core")


def fold(state: FeatureState, events: EventBatch) -> int:
    """Step through all events and return how many there were."""
    state.many(events)
    return len(events)
