"""The registry: bundles by digest, aliases and states from facts."""

import shutil

import pytest
from change_desk import SETTINGS, desk, trained

from tradeworthy.change.registry import VersionSettings
from tradeworthy.core import facts
from tradeworthy.core.errors import BundleRefused, NotFound, SettingsInvalid
from tradeworthy.judge.validate.gate import GateReport
from tradeworthy.model.trust import SigningKey


@pytest.fixture
def home(tmp_path):
    """A paper deployment."""
    made = desk(tmp_path / "desk")
    yield made
    made.close()


def test_a_registered_version_loads_as_it_was_trained(home):
    """What is loaded is the candidate's program and predictor, under the digest's name."""
    digest = home.registered()
    version = home.registry.load(digest)
    assert version.digest == digest
    assert version.program.digest == trained().program.digest
    assert version.manifest.lineage == trained().lineage
    assert version.manifest.bounds == SETTINGS.bounds
    assert home.registry.load(version.number).digest == digest


def test_registration_is_a_fact_with_author_and_env(home):
    """The ledger says who registered what, where."""
    digest = home.registered(author="bob")
    entry = home.ledger.facts(facts.VersionRegistered)[0]
    assert (entry.fact.version, entry.fact.author, entry.fact.env) == (digest, "bob", "paper")
    assert entry.actor == "bob"


def test_registering_twice_is_one_version(home):
    """The same candidate gives the same digest, one bundle and one fact."""
    assert home.registered() == home.registered()
    assert len(home.ledger.facts(facts.VersionRegistered)) == 1
    assert len(list((home.folder / "versions").iterdir())) == 1


def test_a_registration_cut_off_before_its_fact_is_repeated(home):
    """A bundle without a fact, left by a crash, is registered by doing it again."""
    other = desk(home.folder.parent / "other")
    digest = home.registered()
    shutil.copytree(home.folder / "versions", other.folder / "versions", dirs_exist_ok=True)
    other.registry.trust.add(home.key.public)
    again = other.registry.register(trained(), SETTINGS, key=home.key, author="ada", reason="a test")
    assert again == digest
    assert list(other.registry.standing().registered) == [digest]
    other.close()


def test_a_key_that_is_not_trusted_registers_nothing(home, tmp_path):
    """A version that could not be loaded again is refused, and no fact is written."""
    stranger = SigningKey.create(tmp_path / "stranger.key", "eve")
    with pytest.raises(BundleRefused, match="not trusted"):
        home.registry.register(trained(), SETTINGS, key=stranger, author="eve", reason="a test")
    assert home.ledger.facts() == []


def test_words_resolve_to_versions(home):
    """Aliases, names and the beginnings of digests all name a version."""
    digest = home.champion()
    for word in ("champion", "small", digest, digest[:16], digest[:6]):
        assert home.registry.resolve(word) == digest


def test_a_name_is_its_latest_version(home):
    """Of two versions with one name the later one answers."""
    home.registered(1)
    later = home.registered(2)
    assert home.registry.resolve("small") == later


@pytest.mark.parametrize("word", ["champion", "previous", "shadow", "smal", "", "0123456789abcdef"])
def test_words_that_name_nothing_are_refused(home, word):
    """An alias nobody has, a near miss, nothing, a digest nobody registered."""
    home.registered()
    with pytest.raises(NotFound):
        home.registry.resolve(word)


@pytest.mark.parametrize("name", ["", "  "])
def test_a_version_without_a_name_is_refused(name):
    """Nobody could call it."""
    with pytest.raises(SettingsInvalid, match="no name"):
        VersionSettings(name=name)


def test_near_misses_get_a_hint(home):
    """The message offers the closest name."""
    home.registered()
    with pytest.raises(NotFound, match="near: 'small'"):
        home.registry.resolve("smal")


def test_a_changed_byte_is_not_loaded(home):
    """The signature covers every byte of a bundle."""
    digest = home.registered()
    path = home.folder / "versions" / digest[:16] / "trees.npz"
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(BundleRefused):
        home.registry.load(digest)


def test_a_version_of_another_env_is_not_loaded(home):
    """A paper bundle copied into a live deployment stays out (R3)."""
    digest = home.registered()
    live = desk(home.folder.parent / "live", env="live")
    live.registry.trust.add(home.key.public)
    shutil.copytree(home.folder / "versions", live.folder / "versions", dirs_exist_ok=True)
    with pytest.raises(BundleRefused, match="of env 'paper', this deployment is 'live'"):
        live.registry.load(digest)
    live.close()


def test_the_list_says_role_gate_and_approvals(home):
    """One line a version, the earliest first."""
    first = home.champion(1)
    second = home.judged(home.registered(2), passed=False)
    lines = {line.version: line for line in home.registry.list()}
    assert list(lines) == [first, second]
    assert (lines[first].role, lines[first].gate) == ("champion", "passed")
    assert (lines[second].role, lines[second].gate) == ("registered", "failed")


def test_a_gate_report_is_kept_and_checked(home):
    """The stored report is the one recorded; a changed one is refused."""
    digest = home.judged(home.registered())
    assert GateReport.from_json(home.registry.gate_report(digest)).passed
    path = next((home.folder / "reports").iterdir())
    path.write_bytes(path.read_bytes().replace(b'"passed":true', b'"passed":True'))
    with pytest.raises(BundleRefused, match="not the gate report that was recorded"):
        home.registry.gate_report(digest)


def test_a_version_without_a_report_says_so(home):
    """The message names the command that makes one."""
    digest = home.registered()
    with pytest.raises(NotFound, match="tradeworthy gate"):
        home.registry.gate_report(digest)


def test_the_candidate_stays_beside_its_version(home):
    """How a version was trained can be read later."""
    digest = home.registered()
    assert home.registry.candidate(digest).performance == trained().performance
