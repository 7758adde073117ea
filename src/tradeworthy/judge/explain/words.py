"""Contributions in plain words: what the feature is, where its value stands, which way it pushed.

Idea:   a reason names the feature as the program describes it, its value, how that value compares with training, and
        what it did to the margin. Nothing is said that cannot be checked against the numbers beside it.
"""

from collections.abc import Callable

import msgspec

from tradeworthy.judge.explain.attribution import Explanation
from tradeworthy.model.profile import Profile

REASONS_MAX = 4


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One feature's part in a score.

    Attributes
    ----------
    feature, meaning : str
        Its name, and what it is in words.
    value, rank : float
        Its value, and the share of training rows below it (0 to 1).
    contribution, error : float
        What it added to the margin, and the standard error of that.
    sentence : str
        All of it in words.
    """

    feature: str
    meaning: str
    value: float
    rank: float
    contribution: float
    error: float
    sentence: str


def reasons(
    explanation: Explanation,
    profile: Profile,
    describe: Callable[[str], str],
    *,
    count: int = REASONS_MAX,
    towards: int = 0,
) -> tuple[Reason, ...]:
    """Return the largest contributions as reasons, the largest first.

    Parameters
    ----------
    explanation : Explanation
        Of one row.
    profile : Profile
        The version's reference profile.
    describe : callable
        `Program.describe`: a feature's name to words.
    count : int
        At most so many; features that did nothing are no reason.
    towards : {-1, 0, 1}
        Only those that raised (1) or lowered (-1) the margin; 0 for both.
    """
    found = []
    for place in explanation.by_size():
        contribution = explanation.contributions[place]
        if contribution == 0.0 or contribution * towards < 0:
            continue
        found.append(_reason(explanation, place, profile, describe))
        if len(found) == count:
            break
    return tuple(found)


def summary(explanation: Explanation, found: tuple[Reason, ...]) -> str:
    """Return the whole explanation in a few sentences."""
    head = f"The score is {explanation.score:.4g}; its margin {explanation.margin:+.4g} stands against a baseline of "
    head += f"{explanation.baseline:+.4g}."
    return " ".join([head, *(reason.sentence for reason in found)])


def _reason(explanation: Explanation, place: int, profile: Profile, describe: Callable[[str], str]) -> Reason:
    name, value = explanation.names[place], explanation.values[place]
    contribution, error = explanation.contributions[place], explanation.errors[place]
    meaning, rank = describe(name), profile.rank(place, value)
    verb = "raised" if contribution > 0 else "lowered"
    surely = f" (± {error:.2g})" if error > 0 else ""
    sentence = (
        f"{meaning[:1].upper()}{meaning[1:]} was {value:.4g}, {standing(profile, place, value)}; "
        f"it {verb} the margin by {abs(contribution):.3g}{surely}."
    )
    return Reason(
        feature=name, meaning=meaning, value=value, rank=rank, contribution=contribution, error=error, sentence=sentence
    )


def standing(profile: Profile, feature: int, value: float) -> str:
    """Say where a value stands among the training rows.

    >>> import numpy as np
    >>> profile = Profile.of(np.arange(101.0)[:, None], np.zeros((101, 1)))
    >>> standing(profile, 0, 97.0)
    'higher than 97% of training'
    """
    low, high = float(profile.minimum[feature]), float(profile.maximum[feature])
    if value != value:  # noqa: PLR0124 - NaN
        return "which is missing"
    if low == high == value:
        return "as always in training"
    if value < low:
        return f"below everything seen in training (lowest {low:.4g})"
    if value > high:
        return f"above everything seen in training (highest {high:.4g})"
    rank = profile.rank(feature, value)
    if 0.25 <= rank <= 0.75:
        return f"ordinary (rank {rank:.0%} of training)"
    return f"higher than {rank:.0%} of training" if rank > 0.5 else f"lower than {1 - rank:.0%} of training"
