"""Streams of a tape read together: every look ends at one sequence, however the writer goes on meanwhile."""

import numpy as np
import pytest

from tradeworthy.record.tape import TapeReader
from tradeworthy.record.together import Together
from tradeworthy.testing.tapes import SAMPLE, open_small, samples, write_small

STREAMS = ("a", "b", "c")


class Busy(Together):
    """One whose tape grows before each of its streams is read."""

    def __init__(self, tape, batch, grow) -> None:
        super().__init__(tape.folder, dict.fromkeys(STREAMS, 0), batch=batch)
        self.grow = grow

    def _read(self, stream) -> int:
        self.grow()
        return super()._read(stream)


def grower(tape, rng, records):
    """Return what appends a few records, each to any stream, until so many were written."""
    streams = [tape.stream(name, SAMPLE) for name in STREAMS]

    def grow() -> None:
        for _ in range(int(rng.integers(0, 4))):
            count = int(min(rng.integers(1, 5), records - tape.next_sequence + 1))
            if count > 0:
                streams[int(rng.integers(0, 3))].append(samples(tape.next_sequence, count))

    return grow


def sequences(looks, stream):
    """Return the sequences that looks gave of one stream."""
    return [int(each) for look in looks if stream in look for each in look[stream]["sequence"]]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("batch", [1, 5, 1_000])
def test_a_look_has_all_of_every_stream_up_to_one_sequence(tmp_path, seed, batch):
    """What the looks so far gave is the tape's beginning, whole, though it grew in the middle of each of them."""
    with open_small(tmp_path) as tape:
        together, looks = Busy(tape, batch, grower(tape, np.random.default_rng(seed), 300)), []
        while tape.next_sequence <= 300 or looks[-1]:
            looks.append(together.look()[0])
            given = sorted(each for stream in STREAMS for each in sequences(looks, stream))
            assert given == list(range(1, len(given) + 1))
            assert all(len(records) <= batch for records in looks[-1].values())
        assert len(given) == 300
        for stream in STREAMS:
            assert sequences(looks, stream) == TapeReader(tape.folder).read(stream)["sequence"].tolist()


def test_a_look_gives_streams_in_the_order_asked_for(tmp_path):
    """Whatever the order of their records; a stream that has nothing new is left out."""
    with open_small(tmp_path) as tape:
        for name, first in (("a", 1), ("b", 4), ("c", 7)):
            tape.stream(name, SAMPLE).append(samples(first, 3))
        look, drained = Together(tape.folder, {"c": 0, "none": 0, "a": 0, "b": 6}, batch=10).look()
        assert (list(look), drained) == (["c", "a"], True)


def test_what_is_full_holds_the_others_back(tmp_path):
    """A stream with more than is read at once bounds the look; what was read beyond is given later, and only once."""
    with open_small(tmp_path) as tape:
        tape.stream("a", SAMPLE).append(samples(1, 6))
        tape.stream("b", SAMPLE).append(samples(7, 2))
        together = Together(tape.folder, {"a": 0, "b": 0}, batch=4)
        looks = [together.look() for _ in range(3)]
    assert [sequences([look], "a") for look, _ in looks] == [[1, 2, 3, 4], [5, 6], []]
    assert [sequences([look], "b") for look, _ in looks] == [[], [7, 8], []]
    assert [drained for _, drained in looks] == [False, True, True]


@pytest.mark.parametrize("until", [0, 3, 7, 99])
def test_a_look_ends_where_it_is_told(tmp_path, until):
    """Nothing above that is given, and nothing of it is lost."""
    given = list(range(1, min(until, 8) + 1))
    with open_small(tmp_path) as tape:
        tape.stream("a", SAMPLE).append(samples(1, 5))
        tape.stream("b", SAMPLE).append(samples(6, 3))
        together = Together(tape.folder, {"a": 0, "b": 0}, batch=100)
        look = together.look(until=until)[0]
        assert sequences([look], "a") + sequences([look], "b") == given
        rest = together.look()[0]
        assert sorted(given + sequences([rest], "a") + sequences([rest], "b")) == list(range(1, 9))


def test_streams_begin_at_places_of_their_own(tmp_path):
    """One that is behind the others catches up; they are given what is new."""
    write_small(tmp_path, (20, 1))
    with open_small(tmp_path) as tape:
        together = Together(tape.folder, {"a": 5, "b": 21}, batch=100)
        tape.stream("b", SAMPLE).append(samples(tape.next_sequence, 2))
        look, _ = together.look()
    assert sequences([look], "a")[0] == 6
    assert len(look["b"]) == 2


def test_a_tape_that_does_not_exist_yet_gives_nothing(tmp_path):
    """Nor is it made; once it is there it is read."""
    together = Together(tmp_path / "tape", {"a": 0}, batch=10)
    assert together.look() == ({}, True)
    with open_small(tmp_path / "tape") as tape:
        tape.stream("a", SAMPLE).append(samples(1, 2))
        assert sequences([together.look()[0]], "a") == [1, 2]
