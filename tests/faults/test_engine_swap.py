"""FAULT 17: swaps, rollbacks and halts at any moment, from another thread: nothing dropped, doubled or mixed."""

import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tradeworthy.core.decisions import Role
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.events import Kind, Word
from tradeworthy.live.engine import EngineSettings
from tradeworthy.live.replay import replay
from tradeworthy.record.tape import TapeReader
from tradeworthy.testing.desks import Shelf, SmallDesk, market

CALM = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    for seed in range(3):
        shelf.make(seed)
    return shelf


def check_record(folder, shelf, asked):
    """Every event asked has one champion decision, by the champion of that moment; replay agrees."""
    reader = TapeReader(folder / "tape")
    inputs, decisions = reader.read("inputs"), reader.read("decisions")
    champion = decisions[decisions["role"] == Role.CHAMPION]
    bars = inputs[(inputs["kind"] == Kind.BAR) & (inputs["instrument"] == 0)]
    assert len(bars) == asked
    assert (champion["input_sequence"] == bars["sequence"]).all()
    crowned = inputs[(inputs["kind"] == Kind.CONTROL) & (inputs["values"][:, 0] == Word.CHAMPION)]
    reigning = crowned["reference"][np.searchsorted(crowned["sequence"], champion["input_sequence"]) - 1]
    assert (champion["version"] == reigning).all()
    steered = inputs[(inputs["kind"] == Kind.CONTROL) & np.isin(inputs["values"][:, 0], [Word.HALT, Word.RESUME])]
    last = np.searchsorted(steered["sequence"], champion["input_sequence"]) - 1
    while_halted = (last >= 0) & (np.append(steered["values"][:, 0], 0)[last] == Word.HALT)
    assert (champion["verdict"][while_halted] == DenialCode.HALTED).all()
    assert not (champion["verdict"][~while_halted] == DenialCode.HALTED).any()
    report = replay(folder / "tape", shelf.load)
    assert report.first_difference is None
    return champion


actions = st.sampled_from(["swap", "roll back", "shadow", "unshadow", "halt", "resume", "nothing"])


@CALM
@given(script=st.lists(st.tuples(actions, st.integers(0, 2), st.integers(1, 25)), max_size=14))
def test_any_steering_between_events(tmp_path_factory, shelf, script):
    """Whatever is asked between any two events, each event is decided once, by exactly one version."""
    folder = tmp_path_factory.mktemp("desk")
    events, place, halted = market(150, seed=12), 0, False
    with SmallDesk(folder, shelf=shelf) as small:
        for action, which, count in script:
            number = small.numbers[which]
            view = small.control.view()
            if action == "swap":
                small.control.set_champion(number)
            elif action == "roll back" and view.previous:
                small.control.roll_back()
            elif action == "shadow" and number != view.champion:
                small.control.add_shadow(number)
            elif action == "unshadow":
                small.control.remove_shadow(number)
            elif action == "halt":
                small.control.halt()
                halted = True
            elif action == "resume" and halted:
                small.control.resume()
                halted = False
            small.run(events[place : place + count], batch_max=7)
            place += count
        asked = int((events["instrument"][:place] == 0).sum())
    if asked:
        check_record(folder, shelf, asked)


def test_swaps_from_another_thread_under_load(tmp_path, shelf):
    """A hundred swaps and halts written while kernels run over long stretches: none lost, none mixed."""
    events = market(3_000, seed=13)
    with SmallDesk(tmp_path, shelf=shelf, settings=EngineSettings(stage_in_background=False)) as small:
        small.control.add_shadow(small.numbers[1])
        small.run(events[:400])
        done = threading.Event()

        def steer() -> None:
            rng = np.random.default_rng(1)
            for _ in range(100):
                small.control.set_champion(small.numbers[int(rng.integers(0, 2))])
                if rng.random() < 0.3:
                    small.control.halt()
                    small.control.resume()
                done.wait(0.001)

        thread = threading.Thread(target=steer)
        thread.start()
        place = 400
        while thread.is_alive() or place < len(events):
            if place >= len(events):
                break
            small.run(events[place : place + 200], batch_max=200)
            place += 200
        thread.join()
        done.set()
        asked = int((events["instrument"][:place] == 0).sum())
    check_record(tmp_path, shelf, asked)


def test_halt_written_while_a_kernel_runs_stops_it(tmp_path, shelf):
    """The word of memory is read before every event, also in the middle of a long run."""
    events = market(20_000, seed=14)
    settings = EngineSettings(run_events_max=40_000, stage_in_background=False, checkpoint_every=10**9)
    with SmallDesk(tmp_path, shelf=shelf, settings=settings) as small:
        small.run(events[:100])
        small.limits = type(small.limits)()  # no limits: nothing is sent, so that one run takes every event
        small.control.limits_changed()
        timer = threading.Timer(0.003, small.control.halt)
        timer.start()
        small.run(events[100:], batch_max=40_000)
        timer.join()
        small.run(market(2, seed=1, first_bar=20_000))
    check_record(tmp_path, shelf, 20_002)
    inputs = TapeReader(tmp_path / "tape").read("inputs")
    halts = np.flatnonzero(inputs["values"][:, 0] == Word.HALT)
    assert len(halts) == 1
