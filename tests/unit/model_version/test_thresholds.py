"""Thresholds by group: only with a reason and an owner, only for versions that score rows, and signed."""

import msgspec
import numpy as np
import pytest
from test_manifest import manifest

from tradeworthy.core.errors import ModelMismatch
from tradeworthy.core.events import Kind
from tradeworthy.model.features.expressions import row
from tradeworthy.model.features.program import compile_program
from tradeworthy.model.manifest import Manifest, Signal
from tradeworthy.model.thresholds import COMMON, GROUPS_MAX, GroupThreshold, GroupThresholds
from tradeworthy.model.version import _check_thresholds

SCORES = Signal(enter_long=0.5, exit_long=0.5, notional=0.0)


def by_group(**changes: object):
    """Return thresholds of two groups, with some facts changed."""
    group = [GroupThreshold(value=1.0, enter_long=0.4), GroupThreshold(value=3.0, enter_long=0.6)]
    told = {"column": "region", "lawful": "article 7 allows it", "owner": "the officer", "group": group}
    return GroupThresholds(**{**told, **changes})


def program(trigger=Kind.ROW):
    """Return a program over rows of two fields."""
    return compile_program({"x": row("income")}, trigger=trigger, row_fields=("income", "region"))


@pytest.mark.parametrize("name", ["column", "lawful", "owner"])
def test_nobody_sets_them_in_silence(name):
    """Without a column, a reason or an owner they are refused by the name of what is missing."""
    with pytest.raises(ValueError, match=f"need {name}"):
        by_group(**{name: "  "})


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ([], "allowed are 1 to 60"),
        ([GroupThreshold(value=1.0, enter_long=0.4)] * 2, "each once"),
        ([GroupThreshold(value=float(n), enter_long=0.4) for n in range(GROUPS_MAX + 1)], "allowed are 1 to 60"),
        ([GroupThreshold(value=float("nan"), enter_long=0.4)], "finite"),
        ([GroupThreshold(value=1.0, enter_long=float("inf"))], "finite"),
    ],
)
def test_groups_that_make_no_sense_are_refused(group, words):
    """None, one twice, too many to record, or what is no number."""
    with pytest.raises(ValueError, match=words):
        by_group(group=group)


def test_each_value_has_its_threshold_and_all_others_the_common_one():
    """A value that is not listed, or not known, is held against the common thresholds."""
    found = by_group().numbers(np.array([3.0, 1.0, 2.0, np.nan]))
    assert found.tolist() == [2, 1, COMMON, COMMON]


def test_a_manifest_signs_them_and_gives_each_groups_signal():
    """They come back as they were, change the name, and leave the other thresholds as they are."""
    told = manifest(signal=SCORES, thresholds=by_group())
    assert Manifest.from_bytes(told.to_bytes()) == told
    assert told.to_bytes() != manifest(signal=SCORES).to_bytes()
    assert told.signal_of(COMMON) == SCORES
    assert told.signal_of(1) == msgspec.structs.replace(SCORES, enter_long=0.4, exit_long=0.4)
    assert told.signal_of(2) == msgspec.structs.replace(SCORES, enter_long=0.6)


def test_a_version_without_them_is_named_as_before():
    """A manifest that says nothing of groups has the very bytes that an older release wrote."""
    assert b"thresholds" not in manifest(signal=SCORES).to_bytes()
    assert manifest().signal_of(2) == manifest().signal


def test_who_answers_for_a_threshold_is_said():
    """The sentence names the group, the owner and the reason; that of nobody's group names none."""
    assert by_group().said(2) == (
        "It was held against the threshold of region 3; the officer answers for it: article 7 allows it."
    )
    assert by_group().said(COMMON) == "It was held against the common threshold: region names none of the groups."


@pytest.mark.parametrize(
    ("changes", "trigger", "words"),
    [
        ({"signal": msgspec.structs.replace(SCORES, notional=5.0)}, Kind.ROW, "set \\[signal\\] notional = 0.0"),
        ({"thresholds": by_group(column="regoin")}, Kind.ROW, "near: 'region'"),
        ({}, Kind.BAR, "fields of the rows that ask for a decision"),
        (
            {"signal": Signal(enter_short=0.45, exit_short=0.5, enter_long=0.5, notional=0.0, allow_short=True)},
            Kind.ROW,
            "region 1: signal enter_short 0.45 is not below enter_long 0.4",
        ),
    ],
)
def test_thresholds_that_no_decision_could_be_held_against_are_refused(changes, trigger, words):
    """Of a version that trades, of a column that is not there, of events that are no rows, or against each other."""
    told = manifest(**{"signal": SCORES, "thresholds": by_group(), **changes})
    with pytest.raises(ModelMismatch, match=words):
        _check_thresholds(told, program(trigger))


def test_what_fits_is_not_refused():
    """Two groups of a field of the rows, for a version that only scores; and no thresholds at all."""
    _check_thresholds(manifest(signal=SCORES, thresholds=by_group()), program())
    _check_thresholds(manifest(), program(Kind.BAR))
