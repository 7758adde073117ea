"""Two hands at once, and hands that write the control block without a fact: the facts win."""

import multiprocessing
from threading import Barrier, Thread

import pytest
from change_desk import desk

from tradeworthy.change.registry import Registry
from tradeworthy.change.release.release import Release
from tradeworthy.core import facts
from tradeworthy.core.decisions import Role, version_number
from tradeworthy.core.errors import NotFound, Overtaken, ReleaseRefused
from tradeworthy.core.time import SystemClock
from tradeworthy.live.control import SHADOWS_MAX, ControlBlock
from tradeworthy.model.trust import TrustStore
from tradeworthy.record.ledger import Ledger


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


def promote(home, version, role="champion"):
    """Promote with a reason."""
    return home.release.promote(version, role, actor="ada", reason="a test")


def other_hand(home):
    """Return the steps of another process over the same folder."""
    registry = Registry(home.folder, ledger=home.ledger, trust=home.registry.trust, env=home.registry.env)
    return Release(registry, ControlBlock(home.folder / "control"), home.release.instruments)


class Slow(Release):
    """A hand that is overtaken by another one between its fact and its word."""

    meanwhile = staticmethod(lambda: None)

    def _follow_facts(self) -> None:
        self.meanwhile()
        super()._follow_facts()


def overtaken(home, meanwhile):
    """Return such a hand."""
    made = Slow(home.registry, home.release.control, home.release.instruments)
    made.meanwhile = meanwhile
    return made


@pytest.mark.parametrize("role", ["champion", "shadow"])
def test_the_block_ends_as_the_facts_do(home, role):
    """Two promotions at once: the word of the earlier fact, written last, does not stand."""
    first, second = (home.judged(home.registered(seed)) for seed in (1, 2))
    slow = overtaken(home, lambda: other_hand(home).promote(second, "champion", actor="bob", reason="too"))
    slow.promote(first, role, actor="ada", reason="a test")
    standing, view = home.registry.standing(), home.release.control.view()
    assert standing.champion == second
    assert view.champion == version_number(second)
    assert view.shadows == tuple(version_number(digest) for digest in standing.shadows)


def test_a_roll_back_that_overtakes_a_promotion_is_what_the_block_says(home):
    """Whatever the order of words, block and facts agree in the end."""
    first, second = home.champion(1), home.judged(home.registered(2))
    slow = overtaken(home, lambda: other_hand(home).rollback(actor="bob", reason="no"))
    slow.promote(second, "champion", actor="ada", reason="a test")
    assert home.registry.standing().champion == first
    assert home.release.control.view().champion == version_number(first)


class Interrupted:
    """A registry one of whose looks at the facts is followed by something else, before its hand writes."""

    def __init__(self, registry: Registry, meanwhile, *, look: int) -> None:
        self._registry, self._meanwhile, self._look, self._looks = registry, meanwhile, look, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._registry, name)

    def standing(self):
        standing = self._registry.standing()
        self._looks += 1
        if self._looks == self._look:
            self._meanwhile()
        return standing


def late(home, meanwhile):
    """Return a hand that decides on what stood before another one acted."""
    return Release(Interrupted(home.registry, meanwhile, look=2), home.release.control, home.release.instruments)


def test_two_roll_backs_in_the_same_instant_take_out_one_version(home):
    """The ledger lets the first; the second, decided on the same facts, is refused and takes out nobody else."""
    first, second, third = (home.champion(seed) for seed in (1, 2, 3))
    slow = late(home, lambda: other_hand(home).rollback(actor="engine", reason="too"))
    with pytest.raises(ReleaseRefused, match=f"version {third[:16]} acts no more, version {second[:16]} does"):
        slow.rollback(actor="watcher", reason="no")
    standing = home.registry.standing()
    assert (standing.champion, standing.previous) == (second, first)
    assert home.release.control.view().champion == version_number(second)
    assert len(home.ledger.facts(facts.VersionRolledBack)) == 1


def test_a_fact_of_something_else_holds_no_roll_back_up(home):
    """Where the same version still acts, the hand looks again and goes on."""
    first, _ = home.champion(1), home.champion(2)
    note = facts.TradingHalted(scope="all")
    slow = late(home, lambda: home.ledger.append(note, actor="bob", reason="a drill"))
    assert slow.rollback(actor="ada", reason="no") == first
    assert home.registry.standing().champion == first


@pytest.mark.parametrize("step", [Release.rollback, lambda hand, **by: hand.fall_back("previous", **by)])
def test_whoever_names_the_version_takes_out_no_other(home, step):
    """A step that was decided about one version is refused where another acts by then."""
    first, second = home.champion(1), home.champion(2)
    with pytest.raises(ReleaseRefused, match=f"{first[:16]} acts no more, version {second[:16]} does"):
        step(home.release, actor="ada", reason="old news", acting=first)
    assert home.registry.standing().champion == second


def test_many_hands_leave_block_and_facts_in_agreement(home):
    """Threads that promote and roll back as they like end with one champion, in both places."""
    digests = [home.champion(seed) for seed in (1, 2, 3)]

    def act(hand, turn) -> None:
        for k in range(4):
            try:
                if (turn + k) % 3:
                    hand.promote(digests[(turn + k) % 3], "champion", actor="ada", reason="a test")
                else:
                    hand.rollback(actor="ada", reason="a test")
            except ReleaseRefused:
                continue

    threads = [Thread(target=act, args=(other_hand(home), turn)) for turn in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    champion = home.registry.standing().champion
    assert home.release.control.view().champion == version_number(champion)


def test_a_ninth_shadow_is_refused_before_its_fact(home):
    """A fact that the block has no place for would keep every later engine from starting."""
    digest = home.judged(home.registered())
    for number in range(SHADOWS_MAX):
        fact = facts.VersionPromoted(version=f"{number + 1:064x}", role="shadow", env="paper")
        home.ledger.append(fact, actor="ada", reason="a test")
    with pytest.raises(ReleaseRefused, match="8 versions are shadows"):
        promote(home, digest, "shadow")
    assert len(home.registry.standing().shadows) == SHADOWS_MAX


def test_what_the_facts_let_in_is_permitted(home):
    """A champion may act, and a shadow may watch."""
    champion, shadow = home.champion(1), promote(home, home.judged(home.registered(2)), "shadow")
    home.release.permit(version_number(champion), Role.CHAMPION)
    home.release.permit(version_number(shadow), Role.SHADOW)


@pytest.mark.parametrize("role", [Role.CHAMPION, Role.SHADOW])
def test_a_version_without_a_role_is_not_permitted(home, role):
    """Registered and judged is not promoted, whatever the block says."""
    home.champion(1)
    digest = home.judged(home.registered(2))
    home.release.control.set_champion(version_number(digest))
    with pytest.raises(ReleaseRefused, match="only the control block does"):
        home.release.permit(version_number(digest), role)


def test_a_shadow_may_not_act(home):
    """A shadow that is warm in the engine is still a shadow."""
    home.champion(1)
    shadow = promote(home, home.judged(home.registered(2)), "shadow")
    with pytest.raises(ReleaseRefused, match="champion, only the control block does"):
        home.release.permit(version_number(shadow), Role.CHAMPION)


def test_a_champion_whose_gate_fails_later_is_not_let_in_again(home):
    """The latest judgement counts."""
    digest = home.judged(home.champion(1), passed=False)
    with pytest.raises(ReleaseRefused, match="did not pass"):
        home.release.permit(version_number(digest), Role.CHAMPION)


def test_in_live_the_engine_asks_for_the_approval_too(live):
    """A fact of promotion without another person's approval lets nothing in (R1)."""
    digest = live.judged(live.registered(author="ada"))
    fact = facts.VersionPromoted(version=digest, role="champion", env="live")
    live.ledger.append(fact, actor="ada", reason="past the checks")
    with pytest.raises(ReleaseRefused, match="nobody but ada"):
        live.release.permit(version_number(digest), Role.CHAMPION)
    live.release.approve(digest, actor="bob", reason="read the report")
    live.release.permit(version_number(digest), Role.CHAMPION)


def test_after_a_roll_back_only_the_one_before_may_act(home):
    """The version that was taken out is out for the engine as well."""
    first, second = home.champion(1), home.champion(2)
    home.release.rollback(actor="ada", reason="worse")
    home.release.permit(version_number(first), Role.CHAMPION)
    with pytest.raises(ReleaseRefused, match="only the control block does"):
        home.release.permit(version_number(second), Role.CHAMPION)


@pytest.mark.parametrize(("halted", "resumed"), [(64, 16), (16, 64), (20, 64)])
def test_a_version_may_be_halted_and_resumed_under_names_of_any_length(home, halted, resumed):
    """A halt that was lifted does not come back at the next start because the digest was written longer."""
    digest = home.champion(1)
    home.release.halt(f"version:{digest[:halted]}", actor="ada", reason="a test")
    home.release.resume(f"version:{digest[:resumed]}", actor="ada", reason="a test")
    assert home.registry.standing().halted == set()
    other_hand(home).reconcile()
    assert home.release.control.view().scopes == frozenset()


def test_a_name_that_begins_another_digest_is_refused(home):
    """A word that could mean two versions promotes neither."""
    digest = home.registered(1)
    fact = facts.VersionRegistered(version="f" * 64, name=digest[:3], author="ada", env="paper")
    home.ledger.append(fact, actor="ada", reason="a test")
    with pytest.raises(NotFound, match="is a name, and begins version"):
        home.registry.resolve(digest[:3])
    assert home.registry.resolve(digest[:16]) == digest


def hand_in(folder, env, instruments, meet):
    """Return a hand with a ledger of its own, as in another process; it meets the others at its first look."""
    ledger = Ledger(folder / "ledger.db", clock=SystemClock())
    registry = Registry(folder, ledger=ledger, trust=TrustStore(folder / "trust"), env=env)
    return Release(Interrupted(registry, meet, look=1), ControlBlock(folder / "control"), instruments)


def at_once(home, *steps: object):
    """Let hands take their steps in the same instant; return what refused each, None where nothing did."""
    barrier, refusals = Barrier(len(steps), timeout=60.0), [None] * len(steps)

    def act(number, step) -> None:
        hand = hand_in(home.folder, home.registry.env, home.release.instruments, barrier.wait)
        try:
            step(hand)
        except ReleaseRefused as error:
            refusals[number] = error
        finally:
            hand.registry.ledger.close()

    threads = [Thread(target=act, args=each) for each in enumerate(steps)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return refusals


BY = {"actor": "ada", "reason": "a test"}


def agreed(home):
    """Tell whether block and facts name the same champion, size and rule."""
    standing, view = home.registry.standing(), home.release.control.view()
    return (
        view.champion == version_number(standing.champion)
        and view.size == pytest.approx(standing.size)
        and view.rule.name.lower() == standing.rule
    )


def test_of_two_promotions_in_one_instant_one_wins(home):
    """The other was decided about a champion that acts no more: it is refused, with who acts now."""
    home.champion(1)
    second, third = (home.judged(home.registered(seed)) for seed in (2, 3))
    refusals = at_once(
        home, lambda hand: hand.promote(second, "champion", **BY), lambda hand: hand.promote(third, "champion", **BY)
    )
    (refused,) = [each for each in refusals if each is not None]
    champion = home.registry.standing().champion
    assert isinstance(refused, Overtaken)
    assert f"version {champion[:16]} acts by now" in str(refused)
    assert champion == (third if refusals[0] is refused else second)
    assert agreed(home)


@pytest.mark.parametrize(
    "step",
    [
        lambda hand, version: hand.promote(version, "canary", share=0.25, **BY),
        lambda hand, _: hand.rollback(**BY),
        lambda hand, _: hand.resize(1.0, **BY),
        lambda hand, _: hand.fall_back("hold", **BY),
        lambda hand, _: hand.fall_back("previous", **BY),
    ],
    ids=["canary", "rollback", "resize", "rule", "previous"],
)
def test_a_promotion_and_another_step_in_one_instant_are_never_both_about_the_same_champion(home, step):
    """Either the step came first and holds for the version it was meant for, or it is refused."""
    first, second = home.champion(1), home.champion(2)
    third, fourth = (home.judged(home.registered(seed)) for seed in (3, 4))
    before = home.registry.standing().number
    by_promotion, by_step = at_once(
        home, lambda hand: hand.promote(third, "champion", **BY), lambda hand: step(hand, fourth)
    )
    written = [entry.fact for entry in home.ledger.facts(after=before)]
    assert by_promotion is None or by_step is None
    if by_step is None:  # it was written while the version acted that it was decided about
        assert not isinstance(written[0], facts.VersionPromoted) or written[0].version == fourth
        assert getattr(written[0], "previous", second) == second
    else:
        assert [fact.version for fact in written] == [third]
    assert first in home.registry.standing().champions
    assert agreed(home)


@pytest.mark.parametrize("role", ["shadow", "retired"])
def test_the_same_step_by_two_hands_is_one_fact(home, role):
    """The second is told that it is done already."""
    home.champion(1)
    version = home.judged(home.registered(2))
    before = home.registry.standing().number
    refusals = at_once(home, *[lambda hand: hand.promote(version, role, **BY)] * 2)
    assert sorted(each is None for each in refusals) == [False, True]
    assert "already; nothing to do" in str(next(each for each in refusals if each is not None))
    assert len(home.ledger.facts(after=before)) == 1


def test_a_reduction_in_the_same_instant_as_a_smaller_one_gives_nothing_back(home):
    """Whichever is written first, the size ends as the smaller."""
    home.champion(1)
    refusals = at_once(
        home,
        lambda hand: hand.resize(0.1, **BY),
        lambda hand: hand.resize(0.5, only_less=True, **BY),
    )
    assert refusals == [None, None]
    assert home.registry.standing().size == 0.1
    assert agreed(home)


def test_an_approval_of_what_the_gate_refuses_in_the_same_instant_is_none(home):
    """A judgement that comes between look and fact is decided on too."""
    version = home.judged(home.registered(1, author="bob"))
    slow = late(home, lambda: home.judged(version, passed=False))
    slow.registry.standing()
    with pytest.raises(ReleaseRefused, match="did not pass"):
        slow.approve(version, **BY)
    assert home.ledger.facts(facts.VersionApproved) == []


def promote_in_a_process(folder, instruments, version, barrier, told):
    """Promote from a process of its own, when every other has looked too."""
    hand = hand_in(folder, "paper", instruments, lambda: barrier.wait(120.0))
    try:
        hand.promote(version, "champion", actor="ada", reason="a test")
    except Overtaken:
        told.put("")
    else:
        told.put(version)
    hand.registry.ledger.close()


def test_of_two_processes_that_promote_in_one_instant_one_wins(home):
    """Two ledgers' connections, two maps of the block: one champion, in both places."""
    home.champion(1)
    versions = [home.judged(home.registered(seed)) for seed in (2, 3)]
    processes = multiprocessing.get_context("spawn")
    barrier, told = processes.Barrier(2), processes.Queue()
    words = (home.folder, home.release.instruments)
    hands = [processes.Process(target=promote_in_a_process, args=(*words, each, barrier, told)) for each in versions]
    for hand in hands:
        hand.start()
    said = sorted(told.get(timeout=180.0) for _ in hands)
    for hand in hands:
        hand.join()
    assert said == ["", home.registry.standing().champion]
    assert agreed(home)
