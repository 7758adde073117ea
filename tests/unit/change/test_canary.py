"""A canary on some instruments: which part it takes, what is refused, and what the facts and the block say of it."""

import math

import pytest
from change_comparisons import compared
from change_desk import desk
from change_facts import raised

from tradeworthy.change.release.answers import Answer, next_answer
from tradeworthy.change.release.canary import part_of, require_part, symbols_in
from tradeworthy.change.release.conditions import check_role
from tradeworthy.change.release.expiry import take_out, what_follows
from tradeworthy.change.release.policy import PolicySettings, StartCanary, conclude
from tradeworthy.change.release.release import Release
from tradeworthy.change.release.standing import Standing
from tradeworthy.core import facts
from tradeworthy.core.decisions import Role, version_number
from tradeworthy.core.errors import ReleaseRefused, SettingsInvalid
from tradeworthy.core.instruments import Instrument
from tradeworthy.live.control import PART_MAX, Part

SYMBOLS = ("ETH", "BTC", "LTC", "XRP")
DESK = (*(Instrument(symbol=symbol) for symbol in SYMBOLS), Instrument(symbol="INDEX", traded=False))
ONE = (Instrument(symbol="ETH"), Instrument(symbol="BTC", traded=False))


@pytest.fixture
def home(tmp_path):
    """A paper deployment that trades four instruments, with a champion and a judged version beside it."""
    made = desk(tmp_path / "desk")
    made.release = Release(made.registry, made.release.control, DESK)
    made.first = made.champion(1)
    made.second = made.judged(made.registered(2))
    yield made
    made.close()


def canary(home, version=None, **part: object):
    """Make a version canary of a part."""
    return home.release.promote(version or home.second, "canary", actor="ada", reason="a test", **part)


@pytest.mark.parametrize("digest", ["3f9a", "0000", "ffff"])
def test_a_share_of_the_instruments_is_drawn_once_for_each_version(digest):
    """The same draw whoever repeats it, at most the share, in the order of the desk, and never one not traded."""
    for share, count in ((0.25, 1), (0.5, 2), (0.6, 2), (0.99, 3)):
        size, symbols = part_of(DESK, digest, "canary", instrument_share=share)
        assert (size, len(symbols)) == (1.0, count)
        assert part_of(DESK, digest, "canary", instrument_share=share)[1] == symbols
        assert symbols == [each.symbol for each in DESK if each.symbol in symbols]
        assert "INDEX" not in symbols


def test_versions_draw_other_instruments():
    """No instrument bears every trial: over many versions each is drawn about as often."""
    drawn = [part_of(DESK, f"{number:064x}", "canary", instrument_share=0.25)[1][0] for number in range(400)]
    counts = [drawn.count(each.symbol) for each in DESK[:-1]]
    assert min(counts) > 60
    assert sum(counts) == 400


def test_a_canary_of_size_is_as_before():
    """It acts on all instruments, at a tenth where nobody says otherwise; nobody but a canary acts on a part."""
    assert part_of(DESK, "d", "canary") == (0.1, [])
    assert part_of(ONE, "d", "canary", share=0.3) == (0.3, [])
    assert part_of(ONE, "d", "champion") == (1.0, [])
    assert symbols_in(" ETH,BTC  LTC, ") == ["ETH", "BTC", "LTC"]
    assert symbols_in(" , ") == []


@pytest.mark.parametrize(
    ("role", "part", "said"),
    [
        ("canary", {"instruments": ["ETHH"]}, r"'ETHH' is not traded here \(near: 'ETH'\); allowed are some of ETH"),
        ("canary", {"instruments": []}, "no instrument is named; allowed are some of ETH, BTC, LTC, XRP"),
        ("canary", {"instruments": ["ETH", "INDEX"]}, "'INDEX' is not traded here"),
        ("canary", {"instruments": ["LTC", "ETH", "XRP", "BTC"]}, "all that this desk trades, which leaves"),
        (
            "canary",
            {"instrument_share": 0.24},
            r"0.24 of the 4 instruments traded here is none; allowed is 0.25 or more",
        ),
        ("canary", {"instrument_share": 1.0}, "instrument share is 1, allowed is above 0 and below 1"),
        ("canary", {"instrument_share": math.nan}, "instrument share is nan"),
        ("canary", {"share": 0.0}, "share is 0, allowed for a canary is above 0 and below 1"),
        ("canary", {"share": 0.5, "instruments": ["ETH"]}, "say one of share, instruments and instrument share"),
        ("champion", {"instruments": ["ETH"]}, "a part is said for the role champion; only a canary"),
        ("shadow", {"share": 0.5}, "a part is said for the role shadow"),
    ],
)
def test_a_part_that_there_is_not_is_refused(home, role, part, said):
    """In words that say what was found and what is allowed; no fact and no word is written."""
    facts_before, view = home.ledger.head()[0], home.release.control.view()
    with pytest.raises(ReleaseRefused, match=said):
        home.release.promote(home.second, role, actor="ada", reason="a test", **part)
    assert home.ledger.head()[0] == facts_before
    assert home.release.control.view() == view


def test_an_instrument_that_the_block_cannot_name_is_refused_before_it_is_a_fact(home):
    """Else the facts would say what no engine can be told; its neighbour, the last that can be named, is let in."""
    many = [Instrument(symbol=f"S{number}") for number in range(PART_MAX + 1)]
    home.release = Release(home.registry, home.release.control, many)
    facts_before, view = home.ledger.head()[0], home.release.control.view()
    with pytest.raises(ReleaseRefused, match=f"some of the first {PART_MAX} instruments; name others"):
        canary(home, instruments=["S0", f"S{PART_MAX}"])
    assert (home.ledger.head()[0], home.release.control.view()) == (facts_before, view)
    canary(home, instruments=[f"S{PART_MAX - 1}"])
    assert home.release.control.view().part == Part(version_number(home.second), frozenset({PART_MAX - 1}))


def test_a_desk_of_one_instrument_says_what_to_do_instead():
    """There a canary takes a share of its size; a policy that asks for instruments is refused with its settings."""
    for part in ({"instruments": ["ETH"]}, {"instrument_share": 0.5}):
        with pytest.raises(ReleaseRefused, match=r"trades ETH alone.*share of its size instead, such as 0.1"):
            part_of(ONE, "d", "canary", **part)
    require_part(ONE, None)
    require_part(DESK, 0.25)
    with pytest.raises(SettingsInvalid, match=r"policy.canary_instrument_share: this desk trades ETH alone"):
        require_part(ONE, 0.25)


def test_fact_standing_and_block_say_the_same(home):
    """Who acts on what; the smallest number of its draw is written before the version."""
    canary(home, instruments=["XRP", "BTC"])
    standing, view = home.registry.standing(), home.release.control.view()
    assert (standing.canary, standing.canary_on, standing.size) == (home.second, ("BTC", "XRP"), 1.0)
    assert standing.acting == [home.first, home.second]
    assert (standing.roles()[home.first], standing.roles()[home.second]) == ("champion", "canary")
    assert view.part == Part(version_number(home.second), frozenset({1, 3}))
    assert (view.champion, view.previous) == (version_number(home.second), version_number(home.first))
    for version in (home.first, home.second):
        home.release.permit(version_number(version), Role.CHAMPION)


def test_promoted_or_taken_back_nobody_acts_on_a_part(home):
    """The block names no instruments any more, and the one that was canary acts on all or on none."""
    canary(home, instruments=["ETH"])
    home.release.promote(home.second, "champion", actor="ada", reason="good")
    assert home.release.control.view().part == Part()
    assert home.registry.standing().acting == [home.second]
    home.release.rollback(actor="ada", reason="back")
    canary(home, instrument_share=0.5)
    assert len(home.registry.standing().canary_on) == 2
    home.release.rollback(actor="ada", reason="bad")
    standing = home.registry.standing()
    assert (standing.canary_on, standing.acting) == ((), [home.first])
    assert home.release.control.view().part == Part()
    with pytest.raises(ReleaseRefused, match="does not make version"):
        home.release.permit(version_number(home.second), Role.CHAMPION)


def test_whoever_acts_on_the_other_instruments_stays_there(home):
    """Beside a canary of some instruments its champion is neither retired nor made a shadow, nor another let act."""
    third = home.judged(home.registered(3))
    canary(home, instruments=["ETH"])
    for role in ("shadow", "retired", "champion"):
        with pytest.raises(ReleaseRefused, match=r"acts on all instruments but ETH.*tradeworthy rollback"):
            home.release.promote(home.first, role, actor="ada", reason="no")
    for role, part in (("canary", {"instruments": ["BTC"]}), ("canary", {"share": 0.5}), ("champion", {})):
        with pytest.raises(ReleaseRefused, match="acts on ETH beside the champion; make it champion, or take it"):
            home.release.promote(third, role, actor="ada", reason="no", **part)
    home.release.promote(third, "shadow", actor="ada", reason="it may score")
    check_role(home.registry.standing(), home.second, "champion", "paper")


def test_of_two_canaries_at_once_the_later_counts_alone(home):
    """Two processes may write at once: the first canary is out, and never becomes the champion beside the second."""
    third = home.registered(3)
    for version, symbol in ((home.second, "ETH"), (third, "LTC")):
        fact = facts.VersionPromoted(version=version, role="canary", env="paper", instruments=[symbol])
        home.ledger.append(fact, actor="policy", reason="a race")
    standing = home.registry.standing()
    assert (standing.acting, standing.canary_on) == ([home.first, third], ("LTC",))
    assert standing.roles()[home.second] == "retired"
    home.release.reconcile()
    view = home.release.control.view()
    assert view.part == Part(version_number(third), frozenset({2}))
    assert view.previous == version_number(home.first)


def test_a_crash_between_fact_and_word_is_repaired(home):
    """The next process names champion, canary and instruments as the facts do, from whatever the block says."""
    fact = facts.VersionPromoted(version=home.second, role="canary", env="paper", instruments=["BTC"])
    home.ledger.append(fact, actor="ada", reason="then the process died")
    home.release.control.set_champion(77)
    home.release.reconcile()
    view = home.release.control.view()
    assert (view.champion, view.previous) == (version_number(home.second), version_number(home.first))
    assert view.part == Part(version_number(home.second), frozenset({1}))
    home.release.control.set_champion(version_number(home.second))  # somebody's hand: on everything
    home.release.reconcile()
    assert home.release.control.view().part == view.part


def test_instruments_that_the_desk_no_longer_has_leave_the_canary_nothing(home):
    """A list that has changed never widens what a canary acts on."""
    canary(home, instruments=["BTC"])
    smaller = Release(home.registry, home.release.control, DESK[:1] + DESK[2:])
    smaller.reconcile()
    assert smaller.control.view().part == Part(version_number(home.second), frozenset())


def test_only_what_its_own_monitors_find_takes_it_back(home):
    """The champion's loss on other instruments is not the canary's doing; a finding about no version may be."""
    canary(home, instruments=["ETH"])
    finding = raised(kind="performance").finding
    for version, answered in ((home.first[:16], False), (home.second[:16], True), ("", True)):
        standing = home.registry.standing()
        number = home.ledger.head()[0] + 1
        home.ledger.append(facts.FindingRaised(finding=finding, version=version), actor="watcher", reason="a test")
        found = next_answer([], ["performance"], home.registry.standing())
        assert (found is not None) == answered
        if isinstance(found, Answer):
            assert (found.do, found.finding) == ("rollback", number)
            home.ledger.append(facts.FindingAnswered(finding=number, did="a test"), actor="policy", reason="done")
        assert standing.canary == home.second


def test_a_canary_of_size_answers_for_every_finding(home):
    """It acts on everything, so whoever found something found it under the canary."""
    canary(home, share=0.5)
    home.ledger.append(
        facts.FindingRaised(finding=raised(kind="performance").finding, version=home.first[:16]), actor="w", reason="r"
    )
    assert next_answer([], ["performance"], home.registry.standing()).do == "rollback"


def test_an_override_that_ends_halts_who_cannot_give_way(home):
    """The champion beside a canary has nobody behind it: its orders are refused; the canary gives way to it."""
    canary(home, instruments=["ETH"])
    standing = home.registry.standing()
    assert "its orders are refused" in what_follows(home.release, standing, home.first)
    assert f"the champion before, {home.first[:16]}, takes over" in what_follows(home.release, standing, home.second)
    take_out(home.release, standing, home.first, actor="policy", reason="over")
    assert home.registry.standing().halted == {f"version:{home.first[:16]}"}
    take_out(home.release, standing, home.second, actor="policy", reason="over")
    assert home.registry.standing().acting == [home.first]


def test_the_policy_names_one_part():
    """Of size or of instruments, each above 0 and below 1; not both."""
    with pytest.raises(SettingsInvalid, match="sets both canary_share and canary_instrument_share"):
        PolicySettings(canary_share=0.1, canary_instrument_share=0.5)
    with pytest.raises(SettingsInvalid, match=r"policy.canary_instrument_share is 1; allowed is above 0 and below 1"):
        PolicySettings(canary_instrument_share=1.0)


@pytest.mark.parametrize("share", ["canary_share", "canary_instrument_share"])
def test_the_policy_lets_a_good_challenger_act_on_its_part(share):
    """The step says which part, and no other."""
    policy = PolicySettings(**{share: 0.25}, loss_margin=0.05)
    step, over = conclude(compared("b", loss=(-0.02, 0.0)), policy, Standing(champions=["a"], shadows=["b"]), "paper")
    assert isinstance(step, StartCanary)
    assert not over
    assert {"canary_share": step.share, "canary_instrument_share": step.instrument_share} == {
        **dict.fromkeys(("canary_share", "canary_instrument_share")),
        share: 0.25,
    }
