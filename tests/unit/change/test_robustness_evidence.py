"""Attacks on registered versions: the good one holds, the spoofable and the poisoned one are refused."""

from pathlib import Path

import numpy as np
import pytest
from change_desk import EVERY_LIMIT, INSTRUMENTS, SETTINGS, START_NS, STRATEGY, TRAINING, desk, market, write_strategy

from tradeworthy.change.evidence.gather import gather
from tradeworthy.change.evidence.gatherers import GATHERERS
from tradeworthy.change.registry import VersionSettings
from tradeworthy.change.train.candidate import load_candidate, save_candidate
from tradeworthy.change.train.strategy import load_strategy
from tradeworthy.change.train.training import train
from tradeworthy.core.errors import SettingsInvalid
from tradeworthy.core.time import VirtualClock
from tradeworthy.judge.validate.robustness import EventAttacks, FeatureAttacks, Poisoning, RobustnessSettings
from tradeworthy.live.feeds.simulated import Regime, SimulatedSettings, simulate
from tradeworthy.model.manifest import Signal

ROBUSTNESS = [each for each in GATHERERS if each.kind in (FeatureAttacks, EventAttacks, Poisoning)]
EAGER = VersionSettings(
    name="small",
    bounds=EVERY_LIMIT,
    signal=Signal(enter_long=0.52, exit_long=0.5, enter_short=0.48, exit_short=0.5, allow_short=True),
)
SOUND = STRATEGY + '\nmovable = [tw.Movable(features=["volatility_12"], direction="up", cost=5.0)]\n'
SPOOFABLE = STRATEGY.replace(
    '"mean_4": returns.mean(4), "volatility_12": returns.std(12)}', '"lean": tw.imbalance(3), "spread": tw.spread()}'
).replace("returns = tw.log_return(bar.close)", "returns = tw.log_return((tw.book.bid_1 + tw.book.ask_1) / 2)")
SPOOFABLE = SPOOFABLE.replace("tw.forward_direction(bar.close, 3)", "tw.forward_direction(tw.book.bid_1, 1)")
SPOOFABLE += '\ntrigger = tw.Kind.BOOK\nmovable = [tw.Movable(features=["lean"], reach=10.0, cost=0.01)]\n'


@pytest.fixture
def judged(tmp_path):
    """Return a function that trains a strategy on events, registers it, gathers and judges its robustness."""
    home = desk(tmp_path / "desk")

    def judge(text, events, settings=EAGER, gatherers=ROBUSTNESS):  # noqa: ANN202
        path = write_strategy(tmp_path, text)
        found = train(load_strategy(path), events, INSTRUMENTS, TRAINING, clock=VirtualClock(START_NS))
        digest = home.registry.register(found, settings, key=home.key, author="ada", reason="a test")
        evidence = gather(
            home.registry,
            digest,
            instruments=INSTRUMENTS,
            limits=EVERY_LIMIT,
            events=events,
            profile="full",
            strategy=path,
            training=TRAINING,
            gatherers=gatherers,
        )
        return evidence, {check.name: check.judge(evidence) for check in RobustnessSettings().checks("full")}

    yield judge
    home.close()


def only(*kinds: type):
    """Return the gatherers of some parts."""
    return [each for each in ROBUSTNESS if each.kind in kinds]


def books(bars=220):
    """Return a market whose book foretells the next step."""
    settings = SimulatedSettings(
        regimes=(Regime(bars=bars),), quotes=False, book_levels=3, book_signal=0.8, gap_rate=0.0, start_price=20_000.0
    )
    return simulate(settings, INSTRUMENTS, np.random.default_rng(5)).events


def poisoned_market(n=8_000):
    """Return bars of which one eighth was manipulated: what followed a rise elsewhere follows a fall there."""
    events = market(n)
    close = events["values"][:, 3]
    returns = np.diff(np.log(close), prepend=np.log(300.0))
    noise = returns.copy()
    noise[1:] -= 0.4 * returns[:-1]
    turned = np.zeros(n)
    for i in range(1, n):
        turned[i] = (-0.4 if n // 2 <= i < n // 2 + n // 8 else 0.4) * turned[i - 1] + noise[i]
    events["values"][:, :4] *= (300.0 * np.exp(np.cumsum(turned)) / close)[:, None]
    return events


def test_a_sound_candidate_holds(judged):
    """Bars that cost much to move, honest labels: attacked in every way, refused in none."""
    evidence, found = judged(SOUND, market(8_000))
    assert {name: each.verdict for name, each in found.items()} == dict.fromkeys(found, "pass"), found
    features = evidence.part(FeatureAttacks)
    assert features.movable == ["volatility_12"]
    for each in features.found:
        assert each.broken + each.certified + each.undecided == pytest.approx(1.0)
    assert {each.name.split()[0] for each in evidence.part(EventAttacks).attacks} == {"wash", "prints", "stale"}
    assert all(each.decisions > 3_000 for each in evidence.part(EventAttacks).attacks)


def test_bad_candidate_spoofable_is_refused(judged):
    """A model that follows the book's balance is turned by orders that nobody means, as features and as events."""
    evidence, found = judged(SPOOFABLE, books(), gatherers=only(FeatureAttacks, EventAttacks))
    assert found["robustness"].verdict == "fail", found["robustness"].measured
    assert found["event_robustness"].verdict == "fail", found["event_robustness"].measured
    spoofed = next(each for each in evidence.part(EventAttacks).attacks if each.name == "spoofed orders")
    assert spoofed.hits > 0.75 * spoofed.events
    assert spoofed.loss_bps > 0


def test_bad_candidate_with_poisoned_labels_is_refused(judged):
    """One eighth of the training span teaches the contrary of the rest: the others foretell it the wrong way round."""
    evidence, found = judged(SOUND, poisoned_market(), gatherers=only(Poisoning))
    assert found["poisoning"].verdict == "fail", found["poisoning"].measured
    assert evidence.part(Poisoning).worst_block == 4


def test_label_flips_cost_and_triggers_turn(judged):
    """The outsider's side is measured too: turned labels cost AUC, a planted trigger is learned."""
    evidence, _ = judged(SOUND, market(3_000), gatherers=only(Poisoning))
    part = evidence.part(Poisoning)
    assert [share for share, _ in part.label_flip_auc] == [0.05, 0.1]
    assert all(-0.02 < lost < 0.2 for _, lost in part.label_flip_auc)
    assert 0.0 <= part.backdoor_success <= 1.0
    assert 0.0 < part.influence_flips < 1.0


def test_a_strategy_that_does_not_say_is_missing_and_one_that_says_none_passes(judged):
    """Silence about what can be moved is missing evidence; an empty list is an answer."""
    features = only(FeatureAttacks)
    _, silent = judged(STRATEGY, market(), gatherers=features)
    assert silent["robustness"].verdict == "missing"
    assert "movable = [" in silent["robustness"].measured
    _, told = judged(STRATEGY + "\nmovable = []\n", market(), gatherers=features)
    assert told["robustness"].verdict == "pass"


def test_marks_are_kept_with_the_candidate(tmp_path):
    """What the strategy declares comes back from disk as it was."""
    path = write_strategy(tmp_path, SOUND + "\nmovable_budget = 3\n")
    found = train(load_strategy(path), market(600), INSTRUMENTS, TRAINING, clock=VirtualClock(START_NS))
    save_candidate(found, tmp_path / "kept")
    again = load_candidate(tmp_path / "kept")
    assert (again.movable, again.movable_budget) == (found.movable, 3.0)
    assert again.movable[0].direction == "up"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('movable = "return_1"', "movable is a str"),
        ('movable = [tw.Movable(features=["volatility"])]', "near: 'volatility_12'"),
        ('movable = [tw.Movable(features=["return_1"], direction="left")]', "direction"),
        ("movable = []\nmovable_budget = 0", "movable_budget is 0"),
    ],
)
def test_marks_that_fit_nothing_are_refused_with_the_file(tmp_path, line, said):
    """A wrong mark is told when the strategy is loaded, not when the gate runs."""
    path = write_strategy(Path(tmp_path), f"{STRATEGY}\n{line}\n")
    with pytest.raises(SettingsInvalid, match=said):
        load_strategy(path)


def test_only_the_full_profile_asks_for_attacks():
    """The quick profile asks for none of the three, and gathers none."""
    assert RobustnessSettings().checks("quick") == []
    assert not any(each.quick for each in ROBUSTNESS)
    assert SETTINGS.name == "small"
