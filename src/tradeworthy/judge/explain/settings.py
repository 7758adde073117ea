"""How a project wants its decisions explained."""

import msgspec

from tradeworthy.judge.explain.explaining import Against


class ExplainSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``[explain]`` of tradeworthy.toml: against what decisions are explained, and in which words.

    Attributes
    ----------
    against : str
        What "nothing known" means: the average of training, 32 rows of it, or its most ordinary row.
    catalogue : str
        File of reason codes beside the settings, as `tradeworthy reasons` writes one; empty for codes generated from
        the features' descriptions.
    immutable : list of str
        Features that a counterfactual may not change.
    """

    against: Against = "training"
    catalogue: str = ""
    immutable: list[str] = []
