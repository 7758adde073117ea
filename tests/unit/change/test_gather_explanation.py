"""The gate's evidence of explanation, gathered on a real version; and candidates that only its checks refuse."""

import pytest
from change_desk import EVERY_LIMIT, INSTRUMENTS, REVIEWED, START_NS, TRAINING, desk, market

from tradeworthy.change.evidence.gather import gather
from tradeworthy.core.time import VirtualClock
from tradeworthy.judge.explain.catalogue import Catalogue, Entry
from tradeworthy.judge.validate.explanation import Explanation, ExplanationSettings, FoldReasons
from tradeworthy.judge.validate.gate import GateSettings, judge
from tradeworthy.judge.validate.latency import LatencySettings


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


def refused_by(found, **settings: object):
    """Return the checks that stop the version under these requirements."""
    gate = GateSettings(
        latency=LatencySettings(us_p99_max=1e9), documents=REVIEWED, explanation=ExplanationSettings(**settings)
    )
    return judge(found, gate, clock=VirtualClock(START_NS)).failed


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


def test_a_bad_candidate_that_goes_by_a_forbidden_feature(home):
    """A version whose leading reason is forbidden is refused by that check and no other."""
    found = evidence(home)
    assert refused_by(found) == []
    leading = found.part(Explanation).leading
    assert refused_by(found, forbidden=[leading[0]]) == ["reasons_allowed"]
    assert refused_by(found, forbidden=[leading[-1]], leading=1) == []


def test_a_bad_candidate_whose_reasons_have_no_words(home):
    """A catalogue that lacks a feature refuses the version, and names the feature."""
    short = Catalogue(version="7", reason={"other": Entry(code="A", text="t")})
    found = evidence(home, catalogue=short)
    assert refused_by(found) == ["reason_codes"]
    assert found.part(Explanation).codes_missing


def test_a_bad_candidate_whose_reasons_do_not_hold(home):
    """Where more agreement is required than there is, that check refuses."""
    assert refused_by(evidence(home), noise_agreement_min=1.01) == ["reasons_stable"]


def test_folds_need_a_strategy(home):
    """Without a strategy at hand the folds' models are not known, and the reason is said."""
    found = evidence(home, profile="full")
    assert found.part(FoldReasons) is None
    assert "no strategy file is at hand" in found.why(FoldReasons)
