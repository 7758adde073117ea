"""Two hands at once, and hands that write the control block without a fact: the facts win."""

from threading import Thread

import pytest
from change_desk import desk

from tradeworthy.change.registry import Registry
from tradeworthy.change.release.release import Release
from tradeworthy.core import facts
from tradeworthy.core.decisions import Role, version_number
from tradeworthy.core.errors import NotFound, ReleaseRefused
from tradeworthy.live.control import SHADOWS_MAX, ControlBlock


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


class Overtaken(Release):
    """A hand that is overtaken by another one between its fact and its word."""

    meanwhile = staticmethod(lambda: None)

    def _set(self, digest: str, role: str) -> None:
        self.meanwhile()
        super()._set(digest, role)


def overtaken(home, meanwhile):
    """Return such a hand."""
    made = Overtaken(home.registry, home.release.control, home.release.instruments)
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


class Behind:
    """A registry whose second look at the facts is followed by another hand's deed, before this one writes."""

    def __init__(self, registry: Registry, meanwhile) -> None:
        self._registry, self._meanwhile, self._looks = registry, meanwhile, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._registry, name)

    def standing(self):
        standing = self._registry.standing()
        self._looks += 1
        if self._looks == 2:
            self._meanwhile()
        return standing


def late(home, meanwhile):
    """Return a hand that decides on what stood before another one acted."""
    return Release(Behind(home.registry, meanwhile), home.release.control, home.release.instruments)


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
