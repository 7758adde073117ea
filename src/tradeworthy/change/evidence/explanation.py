"""Gathers explanation: what the model goes by on its own training rows, and how steady that is.

Units:  contributions in margin units.
"""

import numpy as np

from tradeworthy.change.evidence.context import Context, NotGathered, Work
from tradeworthy.judge.explain.attribution import Floats
from tradeworthy.judge.explain.catalogue import generated_catalogue
from tradeworthy.judge.explain.explaining import make_explainer, width_of
from tradeworthy.judge.explain.summary import agreement, dependence, importance, interaction, surrogate_fidelity
from tradeworthy.judge.validate.evidence import Table
from tradeworthy.judge.validate.explanation import Explanation, FoldReasons
from tradeworthy.model.predictors.trees import Trees

ROWS_TREES, ROWS_OTHER = 1_000, 60
NOISE_WIDTHS = 0.01
SURROGATE_DEPTH = 4
DRAWN, PAIRED = 3, 5


def gather_explanation(context: Context, work: Work) -> Explanation:
    """Explain a spread of training rows, and the same rows after small noise."""
    version, rows = context.version, _sample(context)
    names, widths = list(version.program.names), width_of(version.profile)
    explainer = make_explainer(version.predictor, version.profile)
    found = explainer.explain(rows)
    work.tell(0.4)
    noisy = rows + NOISE_WIDTHS * widths * context.rng("explanation").standard_normal(rows.shape)
    steady = agreement(found.contributions, explainer.explain(noisy).contributions)
    work.tell(0.8)
    sizes = importance(found.contributions)
    order = np.argsort(-sizes, kind="stable").tolist()
    catalogue = context.catalogue or generated_catalogue(names, version.program.describe)
    return Explanation(
        method=found.method,
        rows=len(rows),
        leading=[names[place] for place in order],
        noise_agreement=steady,
        surrogate_fidelity=surrogate_fidelity(rows, found.explained, depth=SURROGATE_DEPTH),
        catalogue=catalogue.version,
        codes_missing=catalogue.missing(names),
        tables=[
            Table(
                title="Importance: mean size of the contribution",
                columns=["feature", "mean size, margin units"],
                rows=[[names[place], float(sizes[place])] for place in order],
                chart="bars",
            ),
            *_dependences(rows, found.contributions, names, order),
            _interactions(rows, found.contributions, names, order),
        ],
    )


def gather_fold_reasons(context: Context, work: Work) -> FoldReasons:
    """Compare what the models of the folds go by with what this one does.

    Raises
    ------
    NotGathered
        The models cannot be fitted again, or there are no folds.
    """
    rows, profile = _sample(context), context.version.profile
    own = importance(make_explainer(context.version.predictor, profile).explain(rows).contributions)
    predictors = context.fold_predictors
    if not predictors:
        raise NotGathered("it was trained without folds")
    alike = []
    for place, predictor in enumerate(predictors, 1):
        theirs = importance(make_explainer(predictor, profile).explain(rows).contributions)
        alike.append(agreement(own[None], theirs[None]))
        work.tell(place / len(predictors))
    return FoldReasons(folds=len(predictors), rows=len(rows), importance_agreement=float(np.mean(alike)))


def _sample(context: Context) -> Floats:
    """Return training rows spread evenly over the profile's sample: fewer where explaining is an estimate."""
    sample = context.version.profile.sample
    wanted = ROWS_TREES if isinstance(context.version.predictor, Trees) else ROWS_OTHER
    return sample[np.linspace(0, len(sample) - 1, min(wanted, len(sample))).astype(np.int64)]


def _dependences(rows: Floats, contributions: Floats, names: list[str], order: list[int]) -> list[Table]:
    """Return how the contributions of the leading features go with their values."""
    return [
        Table(
            title=f"Dependence: contribution of {names[place]} by its value",
            columns=[names[place], "mean contribution, margin units"],
            rows=[[value, mean] for value, mean in dependence(rows[:, place], contributions[:, place])],
            chart="line",
        )
        for place in order[:DRAWN]
    ]


def _interactions(rows: Floats, contributions: Floats, names: list[str], order: list[int]) -> Table:
    """Return, for the leading features, what another's value explains of their contribution at like values."""
    pairs = [
        (interaction(rows[:, one], contributions[:, one], rows[:, other]), names[one], names[other])
        for one in order[:PAIRED]
        for other in order[:PAIRED]
        if one != other
    ]
    return Table(
        title="Interactions: share of a contribution's variance that another feature explains at like values",
        columns=["pair", "share"],
        rows=[[f"{one} with {other}", share] for share, one, other in sorted(pairs, reverse=True)[: 2 * PAIRED]],
        chart="bars",
    )
