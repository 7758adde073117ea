"""Applicants for a loan: made here, from a seed, so that nothing has to be downloaded and what is true is known.

Shape:  one row an application, in the order of time, twelve a day.
Time:   `bad` (90 days without a payment) is known 90 days, so 1,080 applications, after the application; empty before.
Drift:  from three quarters on, a new partner sends applicants who have drawn more of their credit lines, and who fail
        more often than anything in their application says.
"""

import numpy as np
import polars as pl

NS_PER_HOUR = 3_600_000_000_000
START_NS = 1_546_300_800_000_000_000
"""2019-01-01 UTC."""

EVERY_HOURS = 2
KNOWN_AFTER = 1_080
FIELDS = ("income", "debt_share", "drawn", "late_payments", "months_employed", "group")
REGIONS = ("north", "middle", "south")
NUMBER_FIRST = 700_001


def applications(count: int = 24_000, *, drift: bool = True, seed: int = 1) -> pl.DataFrame:
    """Return applications as a lender's file holds them.

    Parameters
    ----------
    count : int
        How many.
    drift : bool
        Whether the last quarter has the new partner in it.
    seed : int
        Of every draw.

    Returns
    -------
    DataFrame
        ``time``, ``application`` (its number), `FIELDS`, ``bad``: 1, 0, or null where it is not known yet; and
        ``region``, which has no part in anything.
    """
    rng = np.random.default_rng(seed)
    partner = (np.arange(count) >= count * 3 // 4) & (rng.random(count) < 0.6) & drift
    group = (rng.random(count) < 0.3).astype(float)
    income = np.exp(rng.normal(10.3 - 0.05 * group, 0.45))
    debt_share = rng.beta(2.0, 5.0, count)
    drawn = np.clip(rng.beta(2.0, 3.0, count) + 0.25 * partner, 0.0, 1.0)
    late_payments = rng.poisson(0.4 + 0.8 * drawn).astype(float)
    months_employed = np.floor(rng.gamma(1.6, 30.0, count))
    margin = (
        -4.4
        - 0.8 * (np.log(income) - 10.3)
        + 2.2 * debt_share
        + 1.6 * drawn
        + 0.6 * late_payments
        - 0.012 * np.minimum(months_employed, 60.0)
        + 1.2 * partner
    )
    bad = (rng.random(count) < 1.0 / (1.0 + np.exp(-margin))).astype(float)
    return pl.DataFrame(
        {
            "time": pl.Series(START_NS + EVERY_HOURS * NS_PER_HOUR * np.arange(count, dtype=np.int64)).cast(
                pl.Datetime("ns")
            ),
            "application": NUMBER_FIRST + np.arange(count, dtype=np.int64),
            "income": income.round(0),
            "debt_share": debt_share.round(3),
            "drawn": drawn.round(3),
            "late_payments": late_payments,
            "months_employed": months_employed,
            "group": group,
            "bad": pl.Series(bad).set(pl.Series(np.arange(count) >= count - KNOWN_AFTER), None),
            "region": rng.choice(REGIONS, count),
        }
    )
