"""The archive: a question over ten million decisions, and what one of them costs on disk."""

import importlib.util

from harness import Aim, Report, Setting

AIMS = {
    "archive_query_s": Aim("s", "lower", 0.6),
    "archive_bytes_per_decision": Aim("bytes", "lower", 64.0),
}


def run(_: Setting, report: Report) -> None:
    """Measure the family, where the archive is there."""
    built = importlib.util.find_spec("tradeworthy.record.archive") is not None
    why = "no measurement yet of the archive that is there" if built else "record/archive is not built yet"
    for name in AIMS:
        report.add(name, None, note=why)
