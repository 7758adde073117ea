"""The gate's evidence of explanation, gathered on a real version; and candidates that only its checks refuse."""

import msgspec
import pytest
from change_desk import EVERY_LIMIT, INSTRUMENTS, START_NS, STRATEGY, TRAINING, desk, market
from gate_candidates import PATIENT, candidate, judged, register

from tradeworthy.change.evidence.gather import gather
from tradeworthy.core.time import VirtualClock
from tradeworthy.judge.explain.catalogue import Catalogue, Entry
from tradeworthy.judge.validate.explanation import Explanation, ExplanationSettings, FoldReasons

BY_VOLUME = STRATEGY.replace('"volatility_12"', '"volume": tw.log(bar.volume), "volatility_12"')
HAIR_SPLITTING = STRATEGY.replace('"num_leaves": 4', '"num_leaves": 500, "min_data_in_leaf": 1').replace(
    "num_boost_round=12", "num_boost_round=60"
)


@pytest.fixture
def home(tmp_path):
    """A paper deployment."""
    made = desk(tmp_path / "desk")
    yield made
    made.close()


def evidence(home, **changes: object):
    """Gather on the bars it was trained on."""
    given = {"instruments": INSTRUMENTS, "limits": EVERY_LIMIT, "events": market(), "cost_bps": 8.0}
    given |= {"training": TRAINING, "clock": VirtualClock(START_NS)} | changes
    return gather(home.registry, home.registered(), **given)


def test_what_a_version_goes_by(home):
    """Every feature is ranked, reasons hold under noise, all have a code, and the summary can be drawn."""
    part = evidence(home).part(Explanation)
    names = list(home.registry.load(home.registered()).program.names)
    assert sorted(part.leading) == sorted(names)
    assert part.noise_agreement > 0.8
    assert -1.0 <= part.surrogate_fidelity <= 1.0
    assert (part.catalogue, part.codes_missing) == ("generated", [])
    charts = [table.chart for table in part.tables]
    assert charts[0] == charts[-1] == "bars"
    assert set(charts[1:-1]) == {"line"}
    sizes = [row[1] for row in part.tables[0].rows]
    assert sizes == sorted(sizes, reverse=True)


def explained(home, text, kind, **words: object):
    """Train a strategy on a market and judge its explanation alone; return the results by name."""
    given = {name: words.pop(name) for name in ("profile", "catalogue") if name in words}
    settings = msgspec.structs.replace(PATIENT, explanation=ExplanationSettings(**words))
    only = (Explanation, FoldReasons)
    digest = register(home, candidate(text, kind))
    report = judged(home, digest, text=text, kind=kind, settings=settings, only=only, **given)
    return {result.name: result for result in report.results}


def test_a_bad_candidate_that_goes_by_a_forbidden_feature(home):
    """A model that learned to go by the one column that a policy forbids is refused; a sound one under it is not."""
    bad = explained(home, BY_VOLUME, "leaky", forbidden=["volume"], leading=1)
    assert (bad["reasons_allowed"].verdict, bad["reasons_stable"].verdict) == ("fail", "pass")
    assert bad["reasons_allowed"].measured == "forbidden and leading: volume"
    good = explained(home, BY_VOLUME, "edge", forbidden=["volume"], leading=1)
    assert good["reasons_allowed"].verdict == "pass"


def test_a_bad_candidate_whose_reasons_have_no_words(home):
    """A feature that was added without a code: the catalogue of the model before it lacks it, and it is named."""
    before = Catalogue(
        version="7", reason={name: Entry(code="A", text="t") for name in ("return_1", "mean_4", "volatility_12")}
    )
    assert explained(home, STRATEGY, "edge", catalogue=before)["reason_codes"].verdict == "pass"
    bad = explained(home, BY_VOLUME, "edge", catalogue=before)["reason_codes"]
    assert (bad.verdict, bad.measured) == ("fail", "without a code: volume")


def test_a_bad_candidate_whose_reasons_do_not_hold(home):
    """Trees that tell every row apart: the next row over has other reasons for its score."""
    assert explained(home, HAIR_SPLITTING, "noise")["reasons_stable"].verdict == "fail"
    assert explained(home, STRATEGY, "noise")["reasons_stable"].verdict == "pass"


def test_a_bad_candidate_whose_reasons_change_with_time(home):
    """A market whose ties break half way: models of its first half go by other features than the last one does."""
    bad = explained(home, BY_VOLUME, "breaking", profile="full", fold_agreement_min=0.8)
    assert bad["reasons_across_folds"].verdict == "fail"
    good = explained(home, BY_VOLUME, "edge", profile="full", fold_agreement_min=0.8)
    assert good["reasons_across_folds"].verdict == "pass"


def test_folds_need_a_strategy(home):
    """Without a strategy at hand the folds' models are not known, and the reason is said."""
    found = evidence(home, profile="full")
    assert found.part(FoldReasons) is None
    assert "no strategy file is at hand" in found.why(FoldReasons)
