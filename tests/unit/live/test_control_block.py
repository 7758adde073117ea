"""The control block: what each writer leaves for the engine to read."""

import fcntl

import pytest

from tradeworthy.core.errors import NotFound, ReleaseRefused, SettingsInvalid
from tradeworthy.core.instruments import Instrument
from tradeworthy.live.control import PART_MAX, ControlBlock, Part, Scope, no_control

ETH = (Instrument(symbol="ETH"), Instrument(symbol="BTC"))


@pytest.fixture
def block(tmp_path):
    return ControlBlock(tmp_path / "control")


def test_new_block_asks_for_nothing(block):
    """A block that was just made names no version and halts nothing."""
    view = block.view()
    assert (view.champion, view.previous, view.shadows, view.scopes) == (0, 0, (), frozenset())


def test_block_is_4_kib(block):
    """The file is one page, as every process maps it."""
    assert block.path.stat().st_size == 4096


def test_every_write_raises_the_generation(block):
    """The engine looks at one word only, so every kind of write must change it."""
    steps = [
        block.halt,
        block.resume,
        lambda: block.halt(Scope.instrument(1)),
        lambda: block.resume(Scope.instrument(1)),
        lambda: block.set_champion(5),
        lambda: block.add_shadow(6),
        lambda: block.remove_shadow(6),
        block.limits_changed,
    ]
    for step in steps:
        before = block.view().generation
        step()
        assert block.view().generation == before + 1


def test_two_processes_see_the_same_words(block):
    """What one mapping writes the other reads at once, because both are the same memory."""
    other = ControlBlock(block.path)
    block.halt()
    block.set_champion(2**63 + 5)
    assert other.view().scopes == {Scope.everything()}
    assert other.view().champion == 2**63 + 5


@pytest.mark.parametrize(
    "scope", [Scope.everything(), Scope.instrument(0), Scope.instrument(3), Scope.version(2**64 - 1)]
)
def test_halt_and_resume_are_inverse(block, scope):
    """A scope that was halted is halted once, and resuming lifts exactly it."""
    block.halt(Scope.instrument(7))
    block.halt(scope)
    block.halt(scope)
    assert block.view().scopes == {Scope.instrument(7), scope}
    block.resume(scope)
    assert block.view().scopes == {Scope.instrument(7)}


def test_resume_of_everything_is_counted(block):
    """A resume is an act by itself: it re-enables a strategy even where nothing was halted."""
    before = block.view().resumes
    block.resume()
    assert block.view().resumes == before + 1


def test_new_champion_makes_the_present_one_previous(block):
    """Promotion keeps the name of what to roll back to, and takes the version off the shadows."""
    block.set_champion(1)
    block.add_shadow(2)
    block.set_champion(2)
    view = block.view()
    assert (view.champion, view.previous, view.shadows) == (2, 1, ())


def test_same_champion_again_changes_nothing(block):
    """Promoting the champion once more must not lose the name of its predecessor."""
    block.set_champion(1)
    block.set_champion(2)
    block.set_champion(2)
    assert block.view().previous == 1


def test_roll_back_swaps_champion_and_previous(block):
    """Rolling back twice ends where it began."""
    block.set_champion(1)
    block.set_champion(2)
    assert block.roll_back() == 1
    assert (block.view().champion, block.view().previous) == (1, 2)
    assert block.roll_back() == 2


def test_roll_back_without_previous_is_refused(block):
    """There must be something to go back to."""
    block.set_champion(1)
    with pytest.raises(NotFound, match="no previous champion"):
        block.roll_back()


def test_shadows_have_eight_places(block):
    """A ninth shadow is refused, and a place that was freed can be taken again."""
    for number in range(1, 9):
        block.add_shadow(number)
    with pytest.raises(ReleaseRefused, match="places"):
        block.add_shadow(9)
    block.remove_shadow(4)
    block.add_shadow(9)
    assert set(block.view().shadows) == {1, 2, 3, 5, 6, 7, 8, 9}


def test_halting_works_while_another_writer_is_stuck(block):
    """A process that holds the writers' lock for ever cannot keep anybody from halting."""
    with block.path.open("rb") as stuck:
        fcntl.flock(stuck, fcntl.LOCK_EX)
        block.halt()
    assert block.view().scopes == {Scope.everything()}


def test_foreign_file_is_refused(tmp_path):
    """A file that is no control block is left as it is."""
    path = tmp_path / "control"
    path.write_bytes(b"x" * 4096)
    with pytest.raises(SettingsInvalid, match="not a control block"):
        ControlBlock(path)
    path.write_bytes(b"short")
    with pytest.raises(SettingsInvalid, match="5 bytes"):
        ControlBlock(path)


def test_existing_block_is_kept(block):
    """Opening again finds the words, so a restart of one process does not lift a halt."""
    block.halt()
    assert ControlBlock(block.path).view().scopes == {Scope.everything()}


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("all", Scope.everything()),
        ("instrument:BTC", Scope.instrument(1)),
        ("version:00000000000000ff", Scope.version(255)),
        ("version:00000000000000ffabcdef", Scope.version(255)),
    ],
)
def test_scope_is_read_from_text(text, scope):
    """People name scopes by symbol and by digest."""
    assert Scope.parse(text, ETH) == scope


@pytest.mark.parametrize("text", ["", "ETH", "instrument:DOGE", "version:12", "version:zzzzzzzzzzzzzzzz", "all:ETH"])
def test_unknown_scope_is_refused(text):
    """A halt of something that does not exist must not look like a halt."""
    with pytest.raises(SettingsInvalid, match="scope is"):
        Scope.parse(text, ETH)


def test_no_control_is_a_quiet_block():
    """Replay runs against words that never change."""
    assert no_control().shape == (512,)
    assert not no_control().any()


def test_a_canary_of_some_instruments_comes_back_as_it_was_named(block):
    """Any number of them below the most, together with the version that they are meant for; none is not all."""
    for named in ([0], [3, 63, 64, 127, PART_MAX - 1], range(PART_MAX), []):
        block.set_champion(7, named)
        assert block.view().part == Part(7, frozenset(named))
    block.set_champion(7)
    assert block.view().part == Part()
    block.set_champion(8, [1])
    block.roll_back()
    assert (block.view().champion, block.view().part) == (7, Part())


def test_an_instrument_beyond_the_block_is_refused_before_anything_is_written(block):
    """The version before goes on, on all instruments."""
    block.set_champion(7)
    with pytest.raises(ReleaseRefused, match=f"first {PART_MAX} instruments"):
        block.set_champion(8, [1, PART_MAX])
    assert (block.view().champion, block.view().part) == (7, Part())


def test_a_canarys_instruments_never_touch_a_halt(block):
    """Every bit set, no halt appears; every halt set, no instrument does."""
    block.set_champion(7, range(PART_MAX))
    assert block.view().scopes == frozenset()
    block.set_champion(7)
    for number in range(64):
        block.halt(Scope.instrument(number))
    assert block.view().part == Part()


@pytest.mark.parametrize("text", ["all", "instrument:ETH", "instrument:BTC", "version:00000000000000ff"])
def test_a_scope_is_named_as_it_is_read(text):
    """A name leads back to its scope; an instrument that the desk no longer has is named by its place."""
    instruments = [Instrument(symbol="ETH"), Instrument(symbol="BTC")]
    assert Scope.parse(text, instruments).named(instruments) == text
    assert Scope.instrument(7).named(instruments) == "instrument:7"
