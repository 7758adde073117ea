"""The paired comparison of a shadow with the champion."""

from typing import Any

import numpy as np
import pytest
from change_desk import INSTRUMENTS, market, trained

import tradeworthy as tw
from tradeworthy import bar
from tradeworthy.change.release.shadow import Reasons, Side, compare, label_inputs
from tradeworthy.core.decisions import DECISION, row_dtype, version_number
from tradeworthy.core.instruments import Instrument
from tradeworthy.judge.explain.treeshap import TreeShap

CHAMPION, SHADOW = "a" * 64, "b" * 64


def decisions(version, scores, inputs, targets=0.0, prices=100.0):
    """Decisions of one version on inputs."""
    made = np.zeros(len(scores), DECISION)
    made["version"], made["score"], made["input_sequence"] = version_number(version), scores, inputs
    made["sequence"], made["target"], made["price"] = np.arange(len(scores)) + 1_000, targets, prices
    return made


def setting(n=600, seed=3):
    """Labels that a good score foresees, and a good and a useless score."""
    rng = np.random.default_rng(seed)
    chance = rng.uniform(0.2, 0.8, n)
    labels = (rng.random(n) < chance).astype(float)
    return np.arange(1, n + 1, dtype=np.uint64), labels, chance, np.full(n, 0.5)


def run(champion, shadow, labelled, n=500, **changes: Any):
    """Compare with the usual settings."""
    given = {"decisions": n, "horizon": 1, "binary": True} | changes
    return compare(Side(CHAMPION, champion), Side(SHADOW, shadow), labelled, **given)


def test_a_better_shadow_has_a_lower_loss():
    """The bounds lie below zero when the shadow knows more, long before the last decision."""
    inputs, labels, good, useless = setting()
    found = run(decisions(CHAMPION, useless, inputs), decisions(SHADOW, good, inputs), (inputs, labels))
    assert found.loss.high < 0
    assert (found.version, found.champion, found.decisions, found.is_over) == (SHADOW, CHAMPION, 500, True)
    assert next(look.n for look in found.loss.path if look.high < 0) < 500


def test_the_same_scores_do_not_differ():
    """A copy of the champion differs by nothing and agrees always."""
    inputs, labels, good, _ = setting()
    found = run(decisions(CHAMPION, good, inputs), decisions(SHADOW, good, inputs), (inputs, labels))
    assert [(each.estimate, each.high) for each in (found.loss, found.pnl_bps, found.disagreement)] == [(0.0, 0.0)] * 3


def test_both_versions_may_stand_in_one_stream():
    """Records of the other version are passed over."""
    inputs, labels, good, useless = setting()
    mixed = np.concatenate([decisions(CHAMPION, useless, inputs), decisions(SHADOW, good, inputs)])
    alone = run(decisions(CHAMPION, useless, inputs), decisions(SHADOW, good, inputs), (inputs, labels))
    assert run(mixed, mixed, (inputs, labels)) == alone


def test_only_inputs_that_both_scored_count():
    """Inputs that one of them did not score, or that have no label, are left out."""
    inputs, labels, good, useless = setting()
    champion, shadow = decisions(CHAMPION, useless, inputs), decisions(SHADOW, good, inputs)
    champion["score"][:60] = np.nan
    found = run(champion, shadow[:580], (inputs, labels), n=521)
    assert (found.decisions, found.is_over) == (520, False)
    found = run(champion, shadow[:580], (inputs[:570], labels[:570]), n=510)
    assert (found.decisions, found.is_over) == (510, True)


def test_without_a_label_there_is_no_loss_but_the_rest():
    """What the versions wanted is known before what came of it."""
    inputs, labels, good, useless = setting()
    found = run(
        decisions(CHAMPION, useless, inputs, 1.0), decisions(SHADOW, good, inputs, -1.0), (inputs[:0], labels[:0])
    )
    assert (found.decisions, found.loss.n) == (0, 0)
    assert found.disagreement.estimate == 1.0


def test_later_decisions_do_not_change_the_answer():
    """The first pairs decide; what comes later is not looked at."""
    inputs, labels, good, useless = setting()
    prices = 100.0 * np.exp(np.cumsum(np.random.default_rng(4).standard_normal(600) * 0.01))
    champion = decisions(CHAMPION, useless, inputs, 1.0, prices)
    shadow = decisions(SHADOW, good, inputs, -1.0, prices)
    turned = labels.copy()
    turned[500:] = 1 - turned[500:]
    before = run(champion, shadow, (inputs, labels))
    champion["price"][500:] *= 2.0
    assert run(champion, shadow, (inputs, turned)) == before


def test_profits_are_of_a_full_position_after_costs():
    """A long against a short one: twice the move, less what coming to the positions cost."""
    inputs, labels, good, _ = setting()
    prices = 100.0 * 1.001 ** np.arange(600)
    champion = decisions(CHAMPION, good, inputs, -3.0, prices)
    shadow = decisions(SHADOW, good, inputs, np.where(np.arange(600) < 100, 0.0, 7.0), prices)
    found = run(champion, shadow, (inputs, labels), n=600, cost_bps=8.0)
    moves = 20.0 * 500 + 10.0 * 100 - 20.0  # the last has not moved on
    assert found.pnl_bps.estimate == pytest.approx((moves - 8.0 + 8.0) / 600, rel=1e-9)
    assert found.disagreement.estimate == 1.0


def test_instruments_earn_each_by_their_own_prices():
    """Decisions of two instruments in turn do not take each other's price for a move."""
    inputs, labels, good, _ = setting()
    prices = np.where(np.arange(600) % 2, 5.0, 1_000.0)
    champion = decisions(CHAMPION, good, inputs, 0.0, prices)
    shadow = decisions(SHADOW, good, inputs, 1.0, prices)
    champion["instrument"] = shadow["instrument"] = np.arange(600) % 2
    assert run(champion, shadow, (inputs, labels)).pnl_bps.estimate == 0.0


def test_returns_are_compared_by_squared_error():
    """A model of returns has no probabilities."""
    inputs, _, good, _ = setting()
    champion, shadow = decisions(CHAMPION, np.zeros(600), inputs), decisions(SHADOW, good, inputs)
    found = run(champion, shadow, (inputs, good), n=504, binary=False)
    assert found.loss.estimate == pytest.approx(-np.mean(good[:504] ** 2))


def explained(seed, names=("return_1", "mean_4", "volatility_12"), scored=600):
    """How a trained version's scores are split, with rows of so many of its decisions."""
    predictor = trained(seed).predictor
    rows = np.zeros(scored, row_dtype(3, 1))
    rows["row"] = np.random.default_rng(8).standard_normal((scored, 3)) * 0.004
    rows["decision"] = np.arange(scored) + 1_000
    return Reasons(names, rows, TreeShap(predictor))


def reasons(one, other):
    """Compare two versions that did the same by how they are explained."""
    inputs, labels, good, _ = setting()
    sides = Side(CHAMPION, decisions(CHAMPION, good, inputs), one), Side(SHADOW, decisions(SHADOW, good, inputs), other)
    return compare(*sides, (inputs, labels), decisions=600, horizon=1, binary=True).reasons


def test_reasons_of_one_model_are_the_same_and_of_two_are_not():
    """The distance is a share of the contributions' size: 0 for a copy, more for another fit."""
    assert reasons(explained(1), explained(1)).estimate == 0.0
    assert 0.0 < reasons(explained(1), explained(2)).estimate < 1.0


def test_features_are_known_by_their_names():
    """The same contributions under other names are other reasons."""
    renamed = explained(1, names=("a", "b", "c"))
    assert reasons(explained(1), renamed).estimate == pytest.approx(1.0)


def test_rows_that_are_not_there_yet_are_left_out():
    """Rows are read a moment later than decisions; and a version without exact reasons has none."""
    assert reasons(explained(1), explained(2, scored=400)).n == 400
    assert reasons(explained(1), None) is None


def test_inputs_are_labelled_by_what_came_after():
    """Labels of traded instruments come with the sequence of their input."""
    events = market(50)
    events["sequence"] = np.arange(100, 150)
    label = tw.forward_direction(bar.close, 3)
    sequences, labels = label_inputs(events, label, INSTRUMENTS)
    assert sequences.tolist() == list(range(100, 147))
    close = events["values"][:, 3]
    np.testing.assert_array_equal(labels, (close[3:] > close[:-3]).astype(float))
    only_read = [Instrument(symbol="ETH", traded=False)]
    assert len(label_inputs(events, label, only_read)[0]) == 0
