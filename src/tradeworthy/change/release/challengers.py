"""Where the work on challengers lies, below the folder of whoever carries out the policy."""

from pathlib import Path

from tradeworthy.change.attempts import Attempt
from tradeworthy.change.evidence.worker import judging
from tradeworthy.change.release.standing import Retrain
from tradeworthy.change.train.worker import training
from tradeworthy.core.decisions import SHORT


def retraining(folder: Path, attempt: Retrain) -> Attempt:
    """Return the attempt at a training below the policy's folder, named by the fact that started it."""
    return training(folder / "trainings" / f"{attempt.number:08d}")


def challenger_judging(folder: Path, version: str, attempt: int) -> Attempt:
    """Return an attempt at a challenger's judgement below the policy's folder; the first is 1."""
    return judging(folder / "gates" / version[:SHORT] / str(attempt))
