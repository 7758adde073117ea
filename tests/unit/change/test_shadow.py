"""The paired comparison of a shadow with the champion."""

from typing import Any

import numpy as np
import pytest
from change_desk import INSTRUMENTS, market

import tradeworthy as tw
from tradeworthy import bar
from tradeworthy.change.release.shadow import compare, label_inputs
from tradeworthy.core.decisions import DECISION, version_number
from tradeworthy.core.instruments import Instrument

CHAMPION, SHADOW = "a" * 64, "b" * 64


def decisions(version, scores, inputs):
    """Decisions of one version on inputs."""
    made = np.zeros(len(scores), DECISION)
    made["version"], made["score"], made["input_sequence"] = version_number(version), scores, inputs
    made["sequence"] = np.arange(len(scores)) + 1_000
    return made


def setting(n=600, seed=3):
    """Labels that a good score foresees, and a good and a useless score."""
    rng = np.random.default_rng(seed)
    chance = rng.uniform(0.2, 0.8, n)
    labels = (rng.random(n) < chance).astype(float)
    return np.arange(1, n + 1, dtype=np.uint64), labels, chance, np.full(n, 0.5)


def run(champion, shadow, labelled, n=500, **changes: Any):
    """Compare with the usual settings."""
    given = {"decisions": n, "horizon": 1, "binary": True, "rng": np.random.default_rng(0)} | changes
    return compare((CHAMPION, champion), (SHADOW, shadow), labelled, **given)


def test_a_better_shadow_has_a_lower_loss():
    """The whole interval lies below zero when the shadow knows more."""
    inputs, labels, good, useless = setting()
    found = run(decisions(CHAMPION, useless, inputs), decisions(SHADOW, good, inputs), (inputs, labels))
    assert found.loss_high < 0
    assert (found.version, found.champion, found.decisions) == (SHADOW, CHAMPION, 500)


def test_the_same_scores_do_not_differ():
    """A copy of the champion differs by nothing and agrees always."""
    inputs, labels, good, _ = setting()
    found = run(decisions(CHAMPION, good, inputs), decisions(SHADOW, good, inputs), (inputs, labels))
    assert (found.loss_difference, found.agreement) == (0.0, 1.0)


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
    assert run(champion, shadow[:580], (inputs, labels), n=521) is None
    assert run(champion, shadow[:580], (inputs[:570], labels[:570]), n=511) is None
    assert run(champion, shadow[:580], (inputs[:570], labels[:570]), n=510).decisions == 510


def test_later_decisions_do_not_change_the_answer():
    """The first pairs decide; what comes later is not looked at."""
    inputs, labels, good, useless = setting()
    champion, shadow = decisions(CHAMPION, useless, inputs), decisions(SHADOW, good, inputs)
    turned = labels.copy()
    turned[500:] = 1 - turned[500:]
    assert run(champion, shadow, (inputs, turned)) == run(champion, shadow, (inputs, labels))


def test_returns_are_compared_by_squared_error():
    """A model of returns has no probabilities."""
    inputs, _, good, _ = setting()
    found = run(
        decisions(CHAMPION, np.zeros(600), inputs), decisions(SHADOW, good, inputs), (inputs, good), binary=False
    )
    assert found.loss_difference == pytest.approx(-np.mean(good[:500] ** 2))


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
