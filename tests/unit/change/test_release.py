"""Promotion, approval, roll back and halts: what is refused, what is written, and in which order."""

import pytest
from change_desk import desk

from tradeworthy.core import facts
from tradeworthy.core.decisions import Rule, version_number
from tradeworthy.core.errors import BundleRefused, NotFound, RecordUnwritable, ReleaseRefused, SettingsInvalid
from tradeworthy.live.control import Scope


@pytest.fixture
def home(tmp_path):
    """A paper deployment."""
    made = desk(tmp_path / "desk")
    yield made
    made.close()


@pytest.fixture
def live(tmp_path):
    """A live deployment."""
    made = desk(tmp_path / "live", env="live")
    yield made
    made.close()


def promote(home, version, role="champion", actor="ada"):
    """Promote with a reason."""
    return home.release.promote(version, role, actor=actor, reason="a test")


def test_promotion_is_a_fact_and_a_word(home):
    """The ledger names actor and reason; the control block names the version."""
    digest = promote(home, home.judged(home.registered()))
    entry = home.ledger.facts(facts.VersionPromoted)[-1]
    assert (entry.fact.version, entry.fact.role, entry.fact.previous) == (digest, "champion", None)
    assert (entry.actor, entry.reason) == ("ada", "a test")
    assert home.release.control.view().champion == version_number(digest)


def test_no_gate_no_promotion(home):
    """A version that was never judged takes no role."""
    digest = home.registered()
    for role in ("champion", "shadow"):
        with pytest.raises(ReleaseRefused, match="never judged"):
            promote(home, digest, role)
    assert home.release.control.view().champion == 0
    assert home.ledger.facts(facts.VersionPromoted) == []


def test_a_failed_gate_refuses(home):
    """A version that the gate did not pass takes no role, even if it passed before."""
    digest = home.judged(home.judged(home.registered()), passed=False)
    with pytest.raises(ReleaseRefused, match="did not pass"):
        promote(home, digest)


def test_a_gate_report_that_was_changed_refuses(home):
    """A verdict whose report is not the recorded one does not count."""
    digest = home.judged(home.registered())
    next((home.folder / "reports").iterdir()).write_bytes(b"{}")
    with pytest.raises(BundleRefused, match="gate report"):
        promote(home, digest)


def test_a_damaged_bundle_is_not_promoted(home):
    """The bytes are verified again before a promotion."""
    digest = home.judged(home.registered())
    (home.folder / "versions" / digest[:16] / "extra").write_text("x")
    with pytest.raises(BundleRefused):
        promote(home, digest)
    assert home.ledger.facts(facts.VersionPromoted) == []


def test_live_needs_an_approver_who_is_not_the_author(live):
    """In live, only another person's approval lets a version act (R1)."""
    digest = live.judged(live.registered(author="ada"))
    with pytest.raises(ReleaseRefused, match="nobody but ada"):
        promote(live, digest)
    with pytest.raises(ReleaseRefused, match="may not approve it"):
        live.release.approve(digest, actor="ada", reason="mine")
    live.release.approve(digest, actor="bob", reason="read the report")
    assert promote(live, digest) == digest


def test_a_shadow_needs_no_approval_in_live(live):
    """A shadow never acts."""
    digest = live.judged(live.registered())
    promote(live, digest, "shadow")
    assert live.release.control.view().shadows == (version_number(digest),)


def test_an_unjudged_version_is_not_approved(home):
    """Approval is of evidence."""
    digest = home.registered()
    with pytest.raises(ReleaseRefused, match="never judged"):
        home.release.approve(digest, actor="bob", reason="looks good")


@pytest.mark.parametrize(("role", "said"), [("champoin", "near: 'champion'"), ("boss", "allowed are")])
def test_unknown_roles_are_refused(home, role, said):
    """The message names the roles there are."""
    digest = home.judged(home.registered())
    with pytest.raises(ReleaseRefused, match=said):
        promote(home, digest, role)


def test_unknown_versions_are_refused(home):
    """Nothing is promoted that was not registered."""
    with pytest.raises(NotFound):
        promote(home, "nobody")


def test_a_role_already_held_is_refused(home):
    """Promoting twice would write a fact that says nothing."""
    first = home.champion(1)
    with pytest.raises(ReleaseRefused, match="champion already"):
        promote(home, first)
    second = promote(home, home.judged(home.registered(2)), "shadow")
    with pytest.raises(ReleaseRefused, match="shadow already"):
        promote(home, second, "shadow")


@pytest.mark.parametrize("words", [{"actor": " ", "reason": "x"}, {"actor": "ada", "reason": ""}])
def test_every_step_has_an_actor_and_a_reason(home, words):
    """An anonymous or unexplained step is refused."""
    digest = home.champion()
    for step in (
        lambda: home.release.promote(digest, "shadow", **words),
        lambda: home.release.rollback(**words),
        lambda: home.release.approve(digest, **words),
        lambda: home.release.resume(**words),
    ):
        with pytest.raises(ReleaseRefused, match="is empty"):
            step()


def test_roll_back_puts_the_previous_champion_back(home):
    """One fact and one word; the version taken out stays at hand as the previous one."""
    first, second = home.champion(1), home.champion(2)
    assert home.release.rollback(actor="bob", reason="worse") == first
    fact = home.ledger.facts(facts.VersionRolledBack)[0].fact
    assert (fact.version, fact.to) == (second, first)
    view = home.release.control.view()
    assert (view.champion, view.previous) == (version_number(first), version_number(second))


def test_roll_back_without_a_previous_champion_is_refused(home):
    """There is nowhere to go back to; twice is not back and forth."""
    with pytest.raises(ReleaseRefused, match="no previous champion"):
        home.release.rollback(actor="bob", reason="x")
    home.champion(1)
    home.champion(2)
    home.release.rollback(actor="bob", reason="worse")
    with pytest.raises(ReleaseRefused, match="no previous champion"):
        home.release.rollback(actor="bob", reason="again")


def test_a_shadow_is_retired(home):
    """Retiring takes the shadow out of the control block."""
    home.champion(1)
    shadow = promote(home, home.judged(home.registered(2)), "shadow")
    promote(home, shadow, "retired")
    assert home.release.control.view().shadows == ()
    assert home.registry.standing().retired == [shadow]
    with pytest.raises(ReleaseRefused, match="retired already"):
        promote(home, shadow, "retired")


def test_a_champion_is_not_retired(home):
    """A desk is never left without a champion by retiring one."""
    champion = home.champion()
    with pytest.raises(ReleaseRefused, match="tradeworthy rollback"):
        promote(home, champion, "retired")


def test_halt_and_resume_are_a_word_and_a_fact(home):
    """Both are attributed, and scoped."""
    home.release.halt("instrument:ETH", actor="ada", reason="odd prices")
    assert home.release.control.view().scopes == {Scope.instrument(0)}
    assert home.registry.standing().halted == {"instrument:ETH"}
    home.release.resume("instrument:ETH", actor="bob", reason="explained")
    assert home.release.control.view().scopes == frozenset()
    assert home.registry.standing().halted == set()


class FullDisk:
    """A ledger that can write nothing."""

    def append(self, *_: object, **__: object):
        """Fail as a full disk does."""
        raise RecordUnwritable("the disk is full")


def test_a_halt_needs_no_ledger(home):
    """With the ledger gone the word is written all the same, and the failure is loud."""
    home.registry.ledger = FullDisk()
    with pytest.raises(RecordUnwritable):
        home.release.halt(actor="ada", reason="now")
    assert home.release.control.view().scopes == {Scope.everything()}


def test_a_halt_without_words_still_halts(home):
    """In a hurry nobody is asked for a reason."""
    home.release.halt(actor="", reason="")
    assert home.release.control.view().scopes == {Scope.everything()}
    assert home.ledger.facts(facts.TradingHalted)[0].actor == "unknown"


def test_an_unknown_scope_is_refused(home):
    """The message names the scopes there are."""
    with pytest.raises(SettingsInvalid, match="allowed are 'all'"):
        home.release.halt("ETH", actor="ada", reason="now")


def test_reconcile_writes_what_a_crash_left_out(home):
    """After a crash between fact and word, the block follows the facts."""
    first, second = home.champion(1), home.judged(home.registered(2))
    fact = facts.VersionPromoted(version=second, role="shadow", env="paper", previous=first)
    home.ledger.append(fact, actor="ada", reason="cut off")
    home.release.control.set_champion(12345)
    home.release.control.add_shadow(6789)
    home.release.reconcile()
    view = home.release.control.view()
    assert view.champion == version_number(first)
    assert view.shadows == (version_number(second),)


def test_reconcile_takes_the_more_cautious_halt(home):
    """A halt in the facts is put into the block; one only in the block stays."""
    home.ledger.append(facts.TradingHalted(scope="all"), actor="ada", reason="x")
    home.release.control.halt(Scope.instrument(0))
    home.release.reconcile()
    assert home.release.control.view().scopes == {Scope.everything(), Scope.instrument(0)}


def canary(home, share=0.2):
    """Make the second version canary of the first; return both."""
    first = home.champion(1)
    second = promote(home, home.judged(home.registered(2)), "shadow")
    return first, home.release.promote(second, "canary", actor="ada", reason="a test", share=share)


def test_a_canary_acts_at_a_share_of_its_size(home):
    """Its fact and the control block name the share; it acts, and the champion before it is a roll back away."""
    first, second = canary(home)
    view, standing = home.release.control.view(), home.registry.standing()
    assert (view.champion, view.size) == (version_number(second), pytest.approx(0.2))
    assert (standing.canary, standing.champion, standing.previous) == (second, second, first)
    assert home.ledger.facts(facts.VersionPromoted)[-1].fact.share == 0.2


def test_a_canary_becomes_champion_in_full(home):
    """One more promotion gives it all of its size."""
    _, second = canary(home)
    promote(home, second)
    assert home.registry.standing().roles()[second] == "champion"
    assert home.release.control.view().size == 1.0


def test_a_canary_is_taken_back_to_the_champion_in_full(home):
    """A roll back gives the champion before it its whole size again."""
    first, second = canary(home)
    assert home.release.rollback(actor="ada", reason="harm") == first
    view = home.release.control.view()
    assert (view.champion, view.size) == (version_number(first), 1.0)
    assert second in home.registry.standing().retired


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 2.0])
def test_a_canary_takes_a_part_of_its_size(home, share):
    """Neither none nor all of it; nothing is written down."""
    home.champion(1)
    second = promote(home, home.judged(home.registered(2)), "shadow")
    before = home.ledger.head()
    with pytest.raises(ReleaseRefused, match="above 0 and below 1"):
        home.release.promote(second, "canary", actor="ada", reason="a test", share=share)
    assert home.ledger.head() == before


def test_without_a_champion_there_is_no_canary(home):
    """A canary needs somebody to go back to."""
    with pytest.raises(ReleaseRefused, match="no champion to go back to"):
        promote(home, home.judged(home.registered()), "canary")


def test_a_canary_on_a_live_desk_needs_an_approval(live):
    """It acts, so another person must have approved it."""
    first = live.judged(live.registered(1))
    live.release.approve(first, actor="bob", reason="read the report")
    promote(live, first)
    with pytest.raises(ReleaseRefused, match="approved version"):
        promote(live, live.judged(live.registered(2)), "canary")


def test_a_resize_is_a_fact_and_a_word(home):
    """Less size needs a reason and no gate; a part of a crash is put right by `reconcile`."""
    home.champion(1)
    home.release.resize(0.5, actor="rita", reason="too large")
    assert (home.registry.standing().size, home.release.control.view().size) == (0.5, 0.5)
    home.ledger.append(facts.SizeChanged(share=0.25), actor="rita", reason="died after the fact")
    home.release.reconcile()
    assert home.release.control.view().size == 0.25
    with pytest.raises(ReleaseRefused, match="full size"):
        home.release.resize(1.5, actor="rita", reason="more")


def test_nobody_to_resize(home):
    """Without a champion there is no size."""
    with pytest.raises(ReleaseRefused, match="nothing to resize"):
        home.release.resize(0.5, actor="rita", reason="less")


def test_a_rule_is_a_fact_and_a_word(home):
    """It decides until a person ends it; a part of a crash is put right by `reconcile`."""
    champion = home.champion(1)
    assert home.release.fall_back("hold", actor="rita", reason="it says nothing") == champion
    assert (home.registry.standing().rule, home.release.control.view().rule) == ("hold", Rule.HOLD)
    home.ledger.append(facts.RuleSet(rule="flat"), actor="rita", reason="died after the fact")
    home.release.reconcile()
    assert home.release.control.view().rule == Rule.FLAT
    home.release.fall_back("none", actor="rita", reason="well again")
    assert (home.registry.standing().rule, home.release.control.view().rule) == ("none", Rule.NONE)


def test_the_base_rate_is_that_of_the_training_rows(home):
    """A version that was taught knows it, and may be put under the rule that acts on it."""
    champion = home.champion(1)
    assert 0.0 < home.registry.load(champion).profile.base_rate < 1.0
    home.release.fall_back("base_rate", actor="rita", reason="a test")
    assert home.release.control.view().rule == Rule.BASE_RATE


def test_another_champion_comes_without_the_rule(home):
    """A rule was set because of the version that acted; the next one decides itself, in the block too."""
    home.champion(1)
    home.release.fall_back("flat", actor="rita", reason="broken")
    promote(home, home.judged(home.registered(2)))
    assert home.release.control.view().rule == Rule.NONE


def test_the_version_before_takes_over_and_the_other_goes_on_scoring(home):
    """A fallback to the previous version is a roll back whose version stays a shadow, in the block as well."""
    first = home.champion(1)
    second = home.judged(home.registered(2))
    promote(home, second)
    home.release.fall_back("previous", actor="rita", reason="slow")
    view = home.release.control.view()
    assert (view.champion, view.shadows) == (version_number(first), (version_number(second),))
    assert home.registry.standing().roles() == {first: "champion", second: "shadow"}
    with pytest.raises(ReleaseRefused, match="no previous champion"):
        home.release.fall_back("previous", actor="rita", reason="again")


def test_a_fallback_that_is_none_is_refused(home):
    """Without a champion, without a reason, or to something that is not there: the message says what there is."""
    with pytest.raises(ReleaseRefused, match="nothing to fall back from"):
        home.release.fall_back("flat", actor="rita", reason="a test")
    home.champion(1)
    with pytest.raises(ReleaseRefused, match=r"near: 'hold'.*previous, none, flat, hold, base_rate"):
        home.release.fall_back("holt", actor="rita", reason="a test")
    with pytest.raises(ReleaseRefused, match="reason is empty"):
        home.release.fall_back("flat", actor="rita", reason=" ")
    assert home.registry.standing().rule == "none"
