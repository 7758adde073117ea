"""Streams with known change points, and streams without any, for the detection table.

Idea:   laws that fool drift tests on markets: heavy tails, volatility clustering, persistence, regimes, overlapping
        labels. Tuning used seeds 0 to 39; what is reported uses `REPORTED`, which nothing was tuned on.
Units:  features have mean 0 and deviation 1 before a change; errors are 0 or 1.
"""

import math

import numpy as np
from jobs import Floats

from tradeworthy.core.kernel import kernel

REPORTED = range(100, 130)
BURN = 500


@kernel
def _garch(shocks: Floats, out: Floats) -> None:
    """Turn shocks into a GARCH(1, 1) series of unit variance."""
    variance = 1.0
    for t in range(shocks.shape[0]):
        out[t] = math.sqrt(variance) * shocks[t]
        variance = 0.02 + 0.08 * out[t] ** 2 + 0.90 * variance


@kernel
def _persist(shocks: Floats, phi: float, out: Floats) -> None:
    """Turn shocks into an autoregression of unit variance."""
    level = 0.0
    for t in range(shocks.shape[0]):
        level = phi * level + math.sqrt(1.0 - phi * phi) * shocks[t]
        out[t] = level


def feature(law: str, n: int, seed: int) -> Floats:
    """Return (n,) values of one law without change."""
    rng = np.random.default_rng([sum(map(ord, law)), seed])
    out = np.empty(n + BURN)
    if law == "gauss":
        return rng.standard_normal(n)
    if law == "t3":
        return rng.standard_t(3, n) / math.sqrt(3.0)
    if law == "garch":
        _garch(rng.standard_t(5, n + BURN) / math.sqrt(5.0 / 3.0), out)
    elif law == "ar1":
        _persist(rng.standard_normal(n + BURN), 0.95, out)
    else:
        calm = np.repeat(rng.random(n // 250 + 4) < 0.5, 250)[: n + BURN]
        out = np.where(calm, 0.6, 1.28) * rng.standard_normal(n + BURN)
    return out[BURN:]


def errors(rate: float, horizon: int, n: int, seed: int, *, change: int | None = None, after: float = 0.0) -> Floats:
    """Return (n,) errors: 1 with a chance of `rate`, from `change` on of `after`; labels overlap over `horizon`."""
    rng = np.random.default_rng([horizon, int(1e4 * rate), seed])
    ahead = np.convolve(rng.standard_normal(n + horizon - 1), np.ones(horizon), "valid") / math.sqrt(horizon)
    uniform = 0.5 * (1.0 + np.array([math.erf(x / math.sqrt(2.0)) for x in ahead]))
    rates = np.full(n, rate)
    if change is not None:
        rates[change:] = after
    return (uniform < rates).astype(np.float64)


def labelled(share: float, n: int, seed: int, *, change: int | None = None, after: float = 0.0) -> Floats:
    """Return (n, 2) scores and labels: 1 with a chance of `share`, from `change` on of `after`; the AUC is 0.76.

    A score is what the label looks like before the change: the chance of a 1, were both labels equally frequent.
    """
    rng = np.random.default_rng([79, int(1e4 * share), seed])
    shares = np.full(n, share)
    if change is not None:
        shares[change:] = after
    labels = (rng.random(n) < shares).astype(np.float64)
    seen = rng.standard_normal(n) + np.where(labels > 0.5, 0.5, -0.5)
    return np.column_stack([1.0 / (1.0 + np.exp(-seen)), labels])


def promised(n: int, seed: int, *, change: int | None = None, less: float = 0.0, slope: float = 1.0) -> Floats:
    """Return (n, 2) scores, which are the chances of a 1, and labels.

    From `change` on what they foretell happens less often by `less`, and their log odds are true by `slope` alone.
    """
    rng, sure = np.random.default_rng([80, seed]), np.ones(n)
    odds, lost = rng.standard_normal(n), np.zeros(n)
    if change is not None:
        sure[change:], lost[change:] = slope, less
    chances = 1.0 / (1.0 + np.exp(-sure * odds)) - lost
    return np.column_stack([1.0 / (1.0 + np.exp(-odds)), rng.random(n) < chances])


def correlated(n: int, seed: int, *, flip: int | None = None, turn: int | None = None) -> Floats:
    """Return (n, 6) Gaussian columns of unit variance; two are correlated by 0.8, the next three by a common factor.

    From `flip` on the first correlation has the other sign; from `turn` on the three are rotated among each other.
    """
    rng = np.random.default_rng([77, seed])
    x, common = rng.standard_normal((n, 6)), rng.standard_normal(n)
    sign = np.ones(n)
    if flip is not None:
        sign[flip:] = -1.0
    x[:, 1] = 0.8 * sign * x[:, 0] + 0.6 * x[:, 1]
    loads = np.tile([0.9, 0.7, 0.3], (n, 1))
    if turn is not None:
        loads[turn:] = [0.3, 0.9, -0.7]
    x[:, 2:5] = loads * common[:, None] + np.sqrt(1.0 - loads**2) * x[:, 2:5]
    return x


def with_code(rows: Floats, seed: int, *, change: int | None = None) -> Floats:
    """Return rows with a column of a code of three values, whose frequencies change at an event."""
    n, uniform = len(rows), np.random.default_rng([78, seed]).random(len(rows))
    cuts = np.tile([0.5, 0.8], (n, 1))
    if change is not None:
        cuts[change:] = [0.4, 0.7]
    code = (uniform[:, None] >= cuts).sum(axis=1)
    return np.column_stack([rows, code.astype(np.float64)])
