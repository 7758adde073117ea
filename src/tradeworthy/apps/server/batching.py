"""Rows of several callers scored in one call, where a model gains from it.

Idea:   what arrives in one turn of the event loop is scored together at its end; nobody waits for company that is not
        there yet. Predictors give the same bits one by one and many at once, so nobody can tell.
Where:  a call into ONNX Runtime costs far more than a row in it; trees cost the row alone, and are scored at once.
"""

import asyncio
from collections.abc import Callable

import numpy as np

from tradeworthy.apps.server.tensors import Floats
from tradeworthy.model.predictors.onnx import Onnx
from tradeworthy.model.version import Version


class Batch:
    """Scores rows now, or at the end of the loop's turn.

    Parameters
    ----------
    callers : callable
        How many connections there are: a single caller has nobody to be scored with.
    """

    def __init__(self, callers: Callable[[], int]) -> None:
        self._callers = callers
        self._waiting: dict[int, list[tuple[Version, Floats, asyncio.Future[Floats]]]] = {}

    def gains(self, version: Version) -> bool:
        """Tell whether a version is better scored with others' rows."""
        return isinstance(version.predictor, Onnx) and self._callers() > 1

    @staticmethod
    def now(version: Version, rows: Floats) -> Floats:
        """Score (m, n) rows at once; (m, k) scores."""
        if len(rows) == 1:
            return version.predictor.one(rows[0]).reshape(1, -1)
        return version.predictor.many(rows)

    def soon(self, version: Version, rows: Floats) -> "asyncio.Future[Floats]":
        """Score rows at the end of this turn of the loop, with all that came in it."""
        loop = asyncio.get_running_loop()
        coming: asyncio.Future[Floats] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._score)
        self._waiting.setdefault(version.number, []).append((version, rows, coming))
        return coming

    def _score(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for asked in waiting.values():
            try:
                scores = self.now(asked[0][0], np.concatenate([rows for _, rows, _ in asked]))
            except Exception as problem:  # noqa: BLE001 - every caller of the batch is told
                for _, _, coming in asked:
                    if not coming.done():
                        coming.set_exception(problem)
                continue
            self._hand_out(asked, scores)

    @staticmethod
    def _hand_out(asked: list[tuple[Version, Floats, "asyncio.Future[Floats]"]], scores: Floats) -> None:
        start = 0
        for _, rows, coming in asked:
            if not coming.done():
                coming.set_result(scores[start : start + len(rows)])
            start += len(rows)
