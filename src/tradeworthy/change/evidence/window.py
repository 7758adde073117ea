"""Gathers which window training chose, from what the version's lineage says of every one that it tried."""

from tradeworthy.change.evidence.context import Context, Work
from tradeworthy.judge.validate.evidence import Table
from tradeworthy.judge.validate.window import TrainingWindow

WINDOW = "window"
FIGURES = ("loss", "folds", "rows", "effective rows")


def gather_window(context: Context, _work: Work) -> TrainingWindow:
    """Read the choice and how the others fared."""
    lineage = context.version.manifest.lineage
    chosen, told = lineage.parameters.get(WINDOW, ""), lineage.fold_metrics
    if not chosen:
        return TrainingWindow()
    names = [name.removeprefix(f"{WINDOW} ").removesuffix(": rows") for name in told if _counts_rows(name)]
    rows = [[name, *(told.get(f"{WINDOW} {name}: {figure}") for figure in FIGURES)] for name in names]
    return TrainingWindow(
        chosen=chosen,
        rows=told.get(f"{WINDOW} {chosen}: rows", 0.0),
        effective_rows=told.get(f"{WINDOW} {chosen}: effective rows", 0.0),
        tables=[Table(title="Windows that were tried", columns=["window", *FIGURES], rows=rows)],
    )


def _counts_rows(name: str) -> bool:
    return name.startswith(f"{WINDOW} ") and name.endswith(": rows")
