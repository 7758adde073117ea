"""Streams without drift that fool ordinary drift tests: heavy tails, clustering, persistence, overlapping labels."""

import math

import numpy as np

from tradeworthy.core.kernel import kernel

OVERLAP = 20


@kernel
def _garch(shocks, out):  # noqa: ANN202
    """Turn shocks into a GARCH(1, 1) series of unit variance."""
    variance = 1.0
    for t in range(shocks.shape[0]):
        out[t] = math.sqrt(variance) * shocks[t]
        variance = 0.02 + 0.08 * out[t] ** 2 + 0.90 * variance


@kernel
def _persist(shocks, phi, out):  # noqa: ANN202
    """Turn shocks into an autoregression of unit variance."""
    level = 0.0
    for t in range(shocks.shape[0]):
        level = phi * level + math.sqrt(1.0 - phi * phi) * shocks[t]
        out[t] = level


def stream(law, n, seed):
    """Return (n,) values without drift, of unit variance (0/1 errors at a rate of 0.45 for overlap)."""
    rng = np.random.default_rng([sum(map(ord, law)), seed])
    burn = 500
    out = np.empty(n + burn)
    if law == "gauss":
        return rng.standard_normal(n)
    if law == "t3":
        return rng.standard_t(3, n) / math.sqrt(3.0)
    if law == "overlap":
        ahead = np.convolve(rng.standard_normal(n + OVERLAP - 1), np.ones(OVERLAP), "valid")
        return (ahead / math.sqrt(OVERLAP) < -0.12566).astype(float)
    if law == "garch":
        _garch(rng.standard_t(3, n + burn) / math.sqrt(3.0), out)
    else:
        _persist(rng.standard_normal(n + burn), 0.95, out)
    return out[burn:]


def streams(law, n, seed, width=2):
    """Return (n, width) independent streams of one law."""
    return np.column_stack([stream(law, n, 1_000 * seed + place) for place in range(width)])


LAWS = ("gauss", "t3", "garch", "ar1", "overlap")
