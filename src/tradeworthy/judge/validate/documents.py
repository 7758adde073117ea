"""Documents: whether people can know what the version is, and how it differs from the one that it is to replace.

Reference: docs of record that supervisors ask for: a summary readable without the code, an owner, a next review
           (FINRA 15-09, SR 26-2), and a review of material changes (RTS 6, article 11).
"""

import msgspec

from tradeworthy.core.allowed import require
from tradeworthy.judge.validate.check import Check, Measured, PartCheck, ProfileName
from tradeworthy.judge.validate.evidence import Part, Table


class ModelCard(Part, frozen=True, kw_only=True):
    """What the card says: entries that are empty, and when the next review is due, in days from now."""

    empty: list[str]
    entries: int
    next_review: str
    days_to_review: float


class ChangeFromChampion(Part, frozen=True, kw_only=True):
    """How the version differs from the champion; figures are those of rows that both have scored.

    `champion` is empty where there is none. `score_distance` is the mean absolute difference of scores; `sides_differ`
    the share of rows on which they want another side; `attribution_distance` half the sum of the differences of the
    features' shares in all contributions, 0 (alike) to 1.
    """

    champion: str
    rows: int
    features_added: list[str]
    features_removed: list[str]
    score_distance: float
    sides_differ: float
    attribution_distance: float
    tables: list[Table]


class DocumentsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must be written down, and how far a version may be from the champion without a further review.

    Attributes
    ----------
    review_within_days : int
        The next review must be due within so many days.
    score_distance_max : float or None
        Mean absolute difference of scores; only shown if left out.
    sides_differ_max : float or None
        Share of rows on which another side is wanted; only shown if left out.
    attribution_distance_max : float or None
        Distance of the features' shares in all contributions, 0 to 1; only shown if left out.
    """

    review_within_days: int = 400
    score_distance_max: float | None = None
    sides_differ_max: float | None = None
    attribution_distance_max: float | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that would ask nothing, or what nothing can be."""
        require(self, "gate.documents", counts=("review_within_days",))

    def checks(self, _profile: ProfileName, /) -> list[Check]:
        """Return the checks, in every profile."""
        filled = f"every entry of the card is filled, its next review lies ahead, within {self.review_within_days} days"
        asked = [f"{name.replace('_', ' ')} at most {bound:g}" for name, bound in self._bounds.items()]
        near = "; ".join(asked) or "nothing; set bounds in [gate.documents]"
        return [
            PartCheck("model_card", ModelCard, filled, self._model_card),
            PartCheck("change", ChangeFromChampion, near, self._change),
        ]

    @property
    def _bounds(self) -> dict[str, float]:
        """The distances that a desk bounds, by the name of the figure."""
        found = {
            "score_distance": self.score_distance_max,
            "sides_differ": self.sides_differ_max,
            "attribution_distance": self.attribution_distance_max,
        }
        return {name: bound for name, bound in found.items() if bound is not None}

    def _model_card(self, part: ModelCard) -> Measured:
        """Judge the empty entries and the day of the next review."""
        if part.empty:
            return Measured(f"empty: {', '.join(part.empty)}; fill them in [card]", holds=False)
        said = f"{part.entries} entries, next review {part.next_review}, in {part.days_to_review:.0f} days"
        return Measured(said, 0 < part.days_to_review <= self.review_within_days, (part.days_to_review,))

    def _change(self, part: ChangeFromChampion) -> Measured:
        """Judge the distances that a desk bounds."""
        if not part.champion:
            return Measured("there is no champion to compare with", None)
        found = {name: getattr(part, name) for name in self._bounds}
        added, removed = len(part.features_added), len(part.features_removed)
        apart = (
            f"scores {part.score_distance:.4f} apart on {part.rows:,} rows, another side on {part.sides_differ:.1%}, "
            f"reasons {part.attribution_distance:.3f} apart"
            if part.rows
            else "no event that both score, so no distance"
        )
        return Measured(
            f"from {part.champion[:16]}: {added} features added, {removed} removed; {apart}",
            all(found[name] <= bound for name, bound in self._bounds.items()) if found else None,
            tuple(found.values()),
            tables=part.tables,
        )
