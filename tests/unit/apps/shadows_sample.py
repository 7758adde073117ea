"""Comparisons of a shadow with a champion, as a watcher leaves them."""

import msgspec
import numpy as np

from tradeworthy.change.release.comparing import COMPARISONS
from tradeworthy.change.release.shadow import Comparison
from tradeworthy.judge.sequential import anytime_mean

MEANS = {"loss": 0.0, "pnl_bps": 0.0, "disagreement": 0.2, "reasons": 0.3}


def compared(*, n=400, most=2_000, version="a" * 64, champion="b" * 64, spread=0.01, **means: float) -> Comparison:
    """Return a comparison of so many decisions whose figures scatter around means."""
    rng = np.random.default_rng(1)
    figures = {
        name: anytime_mean(rng.standard_normal(n) * spread + means.get(name, mean), horizon=1, tuned_for=n)
        for name, mean in MEANS.items()
    }
    return Comparison(version=version, champion=champion, decisions=n, decisions_max=most, **figures)


def left(project, found: Comparison) -> Comparison:
    """Leave a comparison where the watcher does."""
    folder = project.places.watcher / COMPARISONS
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{found.version[:16]}.mp").write_bytes(msgspec.msgpack.encode(found))
    return found
