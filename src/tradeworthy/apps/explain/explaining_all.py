"""Every decision explained into one Parquet file, and the catalogue of reasons that a project keeps.

Flow:   rows of each version, segment by segment and in batches -> contributions -> one row group a batch. Nothing is
        held but a batch, so a tape of any length can be explained.
Shape:  one row a scored decision: decision, time, instrument, version, role, target, quantity, verdict, score, margin,
        baseline, sum_error, identical; and for each feature ``value:NAME`` and ``contribution:NAME``, null where the
        version does not have it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tradeworthy.apps.deployment.keeping import recorded
from tradeworthy.apps.explain.explained import Catalogued, InBulk
from tradeworthy.apps.explain.explaining import catalogue_of, chosen
from tradeworthy.core.decisions import DECISIONS, RULED, Role, rows_stream, version_name
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import NotFound
from tradeworthy.core.time import NS_PER_S
from tradeworthy.judge.explain.catalogue import generated_catalogue, to_toml
from tradeworthy.judge.explain.explaining import make_explainer, prior_term
from tradeworthy.model.version import Version
from tradeworthy.record.reader import TapeReader

if TYPE_CHECKING:
    import pyarrow as pa

    from tradeworthy.apps.commands.project import Project
    from tradeworthy.change.train.training import Report

BATCH = 4_096
REASONS_FILE = "reasons.toml"


def explain_all(project: "Project", path: Path, *, report: "Report | None" = None) -> InBulk:
    """Explain every recorded decision that was scored.

    Parameters
    ----------
    project : Project
        The deployment.
    path : Path
        The Parquet file to write; it appears whole or not at all.
    report : callable, optional
        Told what goes on, and the share done.

    Raises
    ------
    NotFound
        Nothing was decided yet, or the packages that write Parquet are not installed.
    """
    try:
        import pyarrow.parquet as pq  # noqa: PLC0415  # an optional package
    except ImportError as error:
        raise NotFound("writing Parquet needs further packages: pip install 'tradeworthy[archive]'") from error
    start_ns = project.clock.now_ns()
    reader = recorded(project)
    made = reader.read(DECISIONS)
    if not made.size:
        raise NotFound("nothing was decided yet; run: tradeworthy run")
    numbers = sorted({int(number) for number in made["version"]})
    versions = [project.registry.load(number) for number in numbers if rows_stream(number) in reader.streams()]
    book = _Book(project, made, versions)
    half = path.with_name(f"{path.name}.part")
    with pq.ParquetWriter(half, book.schema, compression="zstd") as writer:
        for version in versions:
            for rows in batches(reader, version):
                writer.write_batch(book.explain(version, rows))
                if report is not None:
                    report(f"explaining {book.done:,} decisions", min(1.0, book.done / len(made)))
    half.replace(path)
    return InBulk(
        path=str(path),
        decisions=book.done,
        without_score=len(made) - book.done,
        versions=len(versions),
        sum_error_max=book.sum_error_max,
        different=book.different,
        seconds=(project.clock.now_ns() - start_ns) / NS_PER_S,
    )


def batches(reader: TapeReader, version: Version) -> Iterator[npt.NDArray[Any]]:
    """Yield a version's recorded rows, at most 4,096 together."""
    for segment in reader.scan(rows_stream(version.number)):
        for first in range(0, len(segment), BATCH):
            yield segment[first : first + BATCH]


class _Book:
    """Makes record batches of one schema, and counts what went into them."""

    def __init__(self, project: "Project", made: npt.NDArray[Any], versions: list[Version]) -> None:
        import pyarrow as pa  # noqa: PLC0415

        self._pa, self._made = pa, made
        self._symbols = np.array([instrument.symbol for instrument in project.settings.instrument])
        against = chosen(project.settings.explain.against)
        self._explainers = {v.number: make_explainer(v.predictor, v.profile, against=against) for v in versions}
        self._names = list(dict.fromkeys(name for version in versions for name in version.program.names))
        self.schema = pa.schema(
            [
                ("decision", pa.uint64()),
                ("time", pa.timestamp("ns", "UTC")),
                *((name, pa.string()) for name in ("instrument", "version", "role", "verdict")),
                *((name, pa.float64()) for name in ("target", "quantity", "score", "margin")),
                *((name, pa.float64()) for name in ("baseline", "prior", "sum_error")),
                *((name, pa.bool_()) for name in ("identical", "ruled")),
                *((f"{kind}:{name}", pa.float64()) for name in self._names for kind in ("value", "contribution")),
            ]
        )
        self.done = self.different = 0
        self.sum_error_max = 0.0

    def explain(self, version: Version, rows: npt.NDArray[Any]) -> "pa.RecordBatch":
        """Return the explanations of a version's rows."""
        found = self._explainers[version.number].explain(np.ascontiguousarray(rows["row"]))
        decisions = self._made[np.searchsorted(self._made["sequence"], rows["decision"])]
        prior = prior_term(version.predictor, version.manifest.prior, found.baseline)
        off = np.abs(found.baseline + found.contributions.sum(axis=1) - found.explained)
        identical = found.scores == rows["scores"][:, 0]
        self.done += len(rows)
        self.different += int(np.count_nonzero(~identical))
        self.sum_error_max = max(self.sum_error_max, float(off.max(initial=0.0)))
        columns: dict[str, Any] = {
            "decision": rows["decision"],
            "time": decisions["ts_event_ns"],
            "instrument": self._symbols[decisions["instrument"]],
            "version": np.full(len(rows), version_name(version.number)),
            "role": np.array([Role(int(role)).name.lower() for role in decisions["role"]]),
            "verdict": np.array([DenialCode(int(code)).name for code in decisions["verdict"]]),
            "target": decisions["target"],
            "quantity": decisions["quantity"],
            "score": found.scores,
            "margin": found.explained,
            "baseline": np.full(len(rows), found.baseline - prior),
            "prior": np.full(len(rows), prior),
            "sum_error": off,
            "identical": identical,
            "ruled": decisions["flags"] & RULED != 0,
        }
        for place, name in enumerate(version.program.names):
            columns[f"value:{name}"] = rows["row"][:, place]
            columns[f"contribution:{name}"] = found.contributions[:, place]
        pa = self._pa
        arrays = [
            pa.array(np.ascontiguousarray(columns[field.name]), field.type)
            if field.name in columns
            else pa.nulls(len(rows), field.type)
            for field in self.schema
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def check_reasons(project: "Project", version: str) -> Catalogued:
    """Compare the reason catalogue with a version's features; write one to start from where none is configured."""
    loaded = project.registry.load(project.resolve(version))
    named = project.settings.explain.catalogue
    path = project.folder / (named or REASONS_FILE)
    if not named and not path.exists():
        made = generated_catalogue(loaded.program.names, loaded.program.describe)
        path.write_text(to_toml(made), encoding="utf-8")
    catalogue = catalogue_of(project, loaded)
    missing = catalogue.missing(loaded.program.names)
    if not named:
        advice = f'edit {path.name}, then name it in tradeworthy.toml: [explain] catalogue = "{path.name}"'
    else:
        advice = (
            f"give {', '.join(missing)} a code and a text in {path.name}" if missing else "tradeworthy explain largest"
        )
    return Catalogued(
        path=str(path), version=catalogue.version, reasons=len(catalogue.reason), missing=missing, next=advice
    )
