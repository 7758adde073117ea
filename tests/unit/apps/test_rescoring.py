"""Recorded requests scored again: the same version gives the same bits, another one says how far it is."""

import numpy as np
import pytest
from served import PATH, served

from tradeworthy.apps.server.rescoring import rescore
from tradeworthy.core.errors import ModelMismatch, NotFound
from tradeworthy.model.features.expressions import bar, log_return
from tradeworthy.model.features.program import compile_program
from tradeworthy.testing.desks import random_trees

ROWS = np.random.default_rng(4).normal(0, 0.01, (700, 5))


@pytest.fixture(scope="module")
def desk():
    """A desk that scored 700 rows, in two requests."""
    with served(versions=2) as made:
        for part in np.split(ROWS, [500]):
            tensor = {"name": "row", "shape": list(part.shape), "datatype": "FP64", "data": part.ravel().tolist()}
            assert made.ask("POST", f"{PATH}/infer", {"inputs": [tensor]})[0] == 200
        made.do(made.write).result(30)
        made.project.resolve = lambda word: word
        yield made


def test_the_version_that_answered_gives_the_same_bits(desk):
    """All rows, no difference."""
    found = rescore(desk.project)
    assert (found.rows, found.identical) == (700, True)
    (line,) = found.versions
    assert line.version == line.against == f"{desk.desk.numbers[0]:016x}"
    assert (line.changed, line.difference_max) == (0, 0.0)


def test_another_version_says_how_far_it_is(desk):
    """Mean and largest difference are those of its scores on the same rows."""
    first, second = (desk.desk.shelf.versions[number] for number in desk.desk.numbers)
    found = rescore(desk.project, against=second.digest)
    wanted = np.abs(second.predictor.many(ROWS) - first.predictor.many(ROWS))[:, 0]
    (line,) = found.versions
    assert (found.identical, line.against) == (False, second.short)
    assert (line.changed, line.difference_max) == (np.count_nonzero(wanted), wanted.max())
    assert line.difference_mean == pytest.approx(wanted.mean())


def test_a_version_of_other_features_is_refused(desk):
    """Rows are only for those who read them."""
    program = compile_program({"only": log_return(bar.close)})
    other = desk.desk.shelf.make(9, program=program, predictor=lambda rows: random_trees(rows, 9))
    with pytest.raises(ModelMismatch, match="same features"):
        rescore(desk.project, against=other.digest)
    with pytest.raises(NotFound):
        rescore(desk.project, against="nothing")
