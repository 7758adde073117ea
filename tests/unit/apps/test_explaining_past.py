"""Decisions like one before: the nearest of all that are looked among, and no more of the record read than is told."""

from collections.abc import Iterator

import numpy as np
import pytest
from small_project import at, looked_at

from tradeworthy.apps.dashboard.around import decision_around
from tradeworthy.apps.dashboard.decision import decision_view
from tradeworthy.apps.deployment.keeping import recorded
from tradeworthy.apps.explain import past
from tradeworthy.apps.explain.explaining import explain_decision, recorded_row, rows_of
from tradeworthy.apps.reports.explanation_page import render_explanation
from tradeworthy.core.decisions import rows_stream
from tradeworthy.core.errors import NotFound, RecordCorrupt
from tradeworthy.judge.explain.explaining import width_of
from tradeworthy.record import segment
from tradeworthy.record.mapped import Records
from tradeworthy.record.reader import TapeReader


@pytest.fixture(scope="module")
def project():
    """A project that has traded; nobody changes it here."""
    return looked_at("traded")


@pytest.fixture(scope="module")
def version(project):
    """Its champion."""
    return project.registry.load(project.resolve("champion"))


@pytest.fixture(scope="module")
def rows(project, version):
    """What its champion scored, in order."""
    return rows_of(recorded(project), version)


def by_hand(version, rows, own):
    """Return the decisions of these rows, the nearest first, and how far each is."""
    far = (np.abs(rows["row"] - own["row"]) / width_of(version.profile)).mean(axis=1)
    order = np.argsort(far, kind="stable")
    return rows["decision"][order], far[order]


def told(found):
    """Return what an explanation says is nearest."""
    return [each.decision for each in found.nearest], [each.distance for each in found.nearest]


@pytest.mark.parametrize("part", [1, 3, 100, 1 << 20])
def test_those_nearest_are_nearest_of_all(project, version, rows, monkeypatch, part):
    """However the rows are cut into parts, no earlier decision is nearer than those that are told."""
    monkeypatch.setattr(past, "PART", part)
    own = rows[400]
    decisions, far = by_hand(version, rows[:400], own)
    found = told(explain_decision(project, str(own["decision"])))
    assert found[0] == decisions[:5].tolist()
    assert found[1] == pytest.approx(far[:5].tolist(), rel=1e-12)


def test_of_those_as_near_the_earlier_comes_first(project, version, rows, monkeypatch):
    """Rows that are the same distance away, in one part or several, stand in the order in which they were decided."""

    class Tape(TapeReader):
        def __init__(self) -> None:
            super().__init__(project.places.tape)

        def scan(self, stream: str, after: int = 0, upto: int | None = None) -> Iterator[Records]:
            """Yield the rows that are alike."""
            return super().scan(stream, after, upto) if stream == "decisions" else iter([alike[:4], alike[4:]])

    monkeypatch.setattr(past, "PART", 2)
    alike = rows[:9].copy()
    alike["row"] = alike["row"][0]
    alike["row"][2] += 0.1

    found = past.nearest_past(project, Tape(), version, alike[0])
    assert [each.decision for each in found] == alike["decision"][[0, 1, 3, 4, 5]].tolist()


@pytest.mark.parametrize("back", [3, 200])
def test_what_is_too_long_ago_is_not_looked_at(project, version, rows, monkeypatch, back):
    """Only rows among so many records before the decision's own are told, as the page and the report say."""
    monkeypatch.setattr(past, "LOOKED_BACK", back)
    own = rows[400]
    near = rows[(rows["sequence"] < own["sequence"]) & (rows["sequence"] >= int(own["sequence"]) - back)]
    assert near.size < 400
    found = explain_decision(project, str(own["decision"]))
    assert told(found)[0] == by_hand(version, near, own)[0][:5].tolist()
    assert past.AMONG in render_explanation(found, "now")
    assert past.AMONG in decision_view(decision_around(project, found.decision), found, "", None)


def test_the_rest_of_the_record_is_not_read(tmp_path, monkeypatch):
    """A decision is explained where a later part of the record is damaged, and what stands before it is whole."""
    monkeypatch.setattr(segment, "FIRST_BYTES", 1 << 14)
    small = at("promoted", tmp_path)
    small.run(watch=False)
    reader, version = recorded(small), small.registry.load(small.resolve("champion"))
    early = rows_of(reader, version)[5]
    record = reader.find("decisions", int(early["decision"]))
    before = explain_decision(small, str(early["decision"]))
    for stream in ("decisions", rows_stream(version.number)):
        last = max((small.places.tape / "streams" / stream).glob("*.seg"))
        content = bytearray(last.read_bytes())
        content[4096 + 40] ^= 1
        last.write_bytes(content)
    assert explain_decision(small, str(early["decision"])) == before
    assert recorded_row(recorded(small), version, record)["decision"] == early["decision"]
    with pytest.raises(RecordCorrupt):
        recorded(small).read("decisions")


def test_a_desk_that_decided_nothing_says_so(tmp_path):
    """By number, order or time: there is nothing to name yet."""
    small = at("promoted", tmp_path)
    for word in ("7", "order:7", "2020-01-01"):
        with pytest.raises(NotFound, match="run: tradeworthy run"):
            explain_decision(small, word)
