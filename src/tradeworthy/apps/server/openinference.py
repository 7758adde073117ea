"""The Open Inference Protocol, version 2, over REST: health, metadata, inference, the repository.

Idea:   the desk is the model, its versions are the deployment's versions. Inference is stateless: rows in, scores out,
        no order; what was asked and answered is recorded. Loading goes through the gate like everything else.
Reference: Open Inference Protocol 2 (REST); its model repository and binary tensor data extensions.
"""

import asyncio
from collections.abc import Sequence
from importlib.metadata import version as installed
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import numpy as np

from tradeworthy.apps.server.replies import RequestRefused, answer, answer_json, error, respond
from tradeworthy.apps.server.routes import OPEN, Answer, Request, Route
from tradeworthy.apps.server.rows import RowColumns, RowLayout
from tradeworthy.apps.server.tensors import (
    HEADER,
    ROW,
    Floats,
    chosen_outputs,
    inputs_of,
    plain_rows,
    read_groups,
    read_request,
    read_rows,
)
from tradeworthy.core.errors import UNDECODABLE
from tradeworthy.model.version import Version

if TYPE_CHECKING:
    from tradeworthy.apps.server.port import Port

EXTENSIONS = ("model_repository", "binary_tensor_data")
Wishes = Sequence[tuple[int, str, bool]] | None
"""The outputs wanted (column, name, as binary); None for all of them as JSON."""
Asked = TypeVar("Asked", bound=msgspec.Struct)
_encode = msgspec.json.Encoder().encode


class _LoadRequest(msgspec.Struct):
    """What a load or unload may say."""

    parameters: dict[str, Any] = {}


class _IndexRequest(msgspec.Struct):
    """What an index may ask."""

    ready: bool = False


class OpenInference:
    """Answers the protocol's routes.

    Parameters
    ----------
    port : Port
    """

    def __init__(self, port: "Port") -> None:
        self._port, self._models = port, port.models
        self._words: dict[int, _Words] = {}

    def routes(self) -> list[Route]:
        """Return the protocol's part of the table."""
        model, version = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
        return [
            Route("GET", "/v2", "infer", self.server),
            Route("GET", "/v2/health/live", OPEN, self.live),
            Route("GET", "/v2/health/ready", OPEN, self.ready),
            Route("GET", model, "infer", self.metadata),
            Route("GET", version, "infer", self.metadata),
            Route("GET", f"{model}/ready", "infer", self.model_ready),
            Route("GET", f"{version}/ready", "infer", self.model_ready),
            Route("POST", f"{model}/infer", "infer", self.infer),
            Route("POST", f"{version}/infer", "infer", self.infer),
            Route("POST", "/v2/repository/index", "infer", self.index),
            Route("POST", "/v2/repository/models/{model}/load", "admin", self.load),
            Route("POST", "/v2/repository/models/{model}/unload", "admin", self.unload),
        ]

    # -- health and metadata -------------------------------------------------------------------------------------

    def live(self, _: Request) -> Answer:
        """Say that the process answers."""
        return answer_json({"live": True})

    def ready(self, _: Request) -> Answer:
        """Say whether a champion serves and its record can be written; 503 where not."""
        reason = self._port.not_ready()
        return answer_json({"ready": True}) if reason is None else error(503, f"not ready: {reason}", 1.0)

    def server(self, _: Request) -> Answer:
        """Say what this server is."""
        return answer_json({"name": "tradeworthy", "version": installed("tradeworthy"), "extensions": EXTENSIONS})

    def metadata(self, request: Request) -> Answer:
        """Say what a version takes and gives."""
        version = self._version(request)
        features, outputs = version.manifest.features, version.manifest.outputs
        told = {
            "columns": features,
            "definitions": [version.program.describe(name) for name in features],
            "groups": sorted(self._words_of(version).groups),
        }
        inputs = [{"name": ROW, "datatype": "FP64", "shape": [-1, len(features)], "parameters": told}]
        return answer_json(
            {
                "name": self._models.name,
                "versions": self._models.versions(),
                "platform": f"tradeworthy_{version.predictor.format}",
                "inputs": inputs,
                "outputs": [{"name": name, "datatype": "FP64", "shape": [-1, 1]} for name in outputs],
                "parameters": {"version": version.short, "name": version.manifest.name, "env": version.manifest.env},
            }
        )

    def model_ready(self, request: Request) -> Answer:
        """Say that a version can be scored; 404 where it cannot."""
        self._version(request)
        return answer_json({"name": self._models.name, "ready": True})

    # -- inference -----------------------------------------------------------------------------------------------

    def infer(self, request: Request) -> Answer:
        """Score rows."""
        version, rows_max = self._version(request), self._port.settings.rows_max
        words = self._words_of(version)
        plain = None if HEADER in request.headers else plain_rows(request.body, words.columns, rows_max)
        wanted: Wishes = None
        groups: Floats | None = None
        if plain is not None:
            rows, name = plain
        else:
            asked, binary = read_request(request.body, request.headers.get(HEADER))
            if asked.outputs or asked.parameters:
                wanted = chosen_outputs(asked, version.manifest.outputs)
            inputs, beside = inputs_of(asked, binary), words.groups
            own = [sent for sent in inputs if sent.tensor.name not in beside]
            rows, name = read_rows(own, version.manifest.features, rows_max), asked.id
            told = [sent for sent in inputs if sent.tensor.name in beside]
            groups = read_groups(told, words.layout, len(rows))
        count = len(rows)
        request.count_rows(count)
        scores = version.predictor.one(rows[0]).reshape(1, -1) if count == 1 else version.predictor.many(rows)
        self._port.keep_scores(request, version, rows, scores, groups)
        head = words.head if name is None else b'%s"id":%s,' % (words.head, _encode(name))
        return _with_binary(head, scores, wanted) if wanted is not None else _scored(head, words.outputs, scores)

    def _words_of(self, version: Version) -> "_Words":
        """Return the words of a version's answers, made the first time."""
        words = self._words.get(version.number)
        if words is None:
            words = self._words[version.number] = _Words(self._models.name, version, self._port.columns)
        return words

    def _version(self, request: Request) -> Version:
        """Return the version that a request's path names."""
        self._models.check_name(request.arguments[0])
        return self._models.find(request.arguments[1]) if len(request.arguments) > 1 else self._models.champion

    # -- the repository ------------------------------------------------------------------------------------------

    def index(self, request: Request) -> Answer:
        """List every version of the deployment, and whether it is ready."""
        asked = _read(request.body, _IndexRequest)
        return answer_json([line for line in self._models.index() if not asked.ready or line.state == "READY"])

    def load(self, request: Request) -> Answer:
        """Make a promoted version ready; without one named, all of them."""
        self._models.check_name(request.arguments[0])
        word = _read(request.body, _LoadRequest).parameters.get("version")
        digests = [self._models.may_load(str(word))] if word is not None else self._models.promoted()
        missing = [digest for digest in digests if digest[:16] not in self._models.versions()]
        return self._port.slowly(request, lambda: self._load(missing)) if missing else answer_json({})

    async def _load(self, digests: list[str]) -> bytes:
        """Load versions off the loop; their gate and signature are checked there."""
        for digest in digests:
            version = await asyncio.to_thread(self._port.load, digest)
            self._models.loaded[version.short] = version
        return answer_json({})

    def unload(self, request: Request) -> Answer:
        """Let a version go that was loaded here; one at work is not."""
        self._models.check_name(request.arguments[0])
        word = _read(request.body, _LoadRequest).parameters.get("version")
        if word is None:
            raise RequestRefused(403, "the desk itself is not unloaded; name a version in parameters.version")
        self._models.unload(str(word))
        return answer_json({})


class _Words:
    """What every answer of a version says.

    Attributes
    ----------
    head : bytes
        The answer's beginning.
    columns : int
        Features of a row.
    outputs : tuple of bytes
        The beginning of each output, up to its number of rows.
    layout : RowLayout
        Where groups stand that are told beside a row.
    groups : set of str
        Inputs that are groups.
    """

    __slots__ = ("columns", "groups", "head", "layout", "outputs")

    def __init__(self, model: str, version: Version, columns: RowColumns) -> None:
        self.layout = RowLayout(version, columns)
        self.groups = {*self.layout.groups} - {ROW, *version.manifest.features}
        self.head = _encode({"model_name": model, "model_version": version.short})[:-1] + b","
        self.columns = len(version.manifest.features)
        self.outputs = tuple(_beginning(name) for name in version.manifest.outputs)


def _scored(head: bytes, outputs: Sequence[bytes], scores: Floats) -> bytes:
    """Answer with every output as JSON."""
    parts = [_output(begun, column) for begun, column in zip(outputs, scores.T.tolist(), strict=True)]
    return answer(b'%s"outputs":[%s]}' % (head, b",".join(parts)))


def _with_binary(head: bytes, scores: Floats, wanted: Sequence[tuple[int, str, bool]]) -> bytes:
    """Answer with chosen outputs, some or all of them as binary data."""
    parts, tail = [], []
    for place, name, binary in wanted:
        if not binary:
            parts.append(_output(_beginning(name), scores[:, place].tolist()))
            continue
        raw = np.ascontiguousarray(scores[:, place]).tobytes()
        tail.append(raw)
        described = {"name": name, "datatype": "FP64", "shape": [len(scores), 1]}
        parts.append(_encode(described | {"parameters": {"binary_data_size": len(raw)}}))
    text = b'%s"outputs":[%s]}' % (head, b",".join(parts))
    if not tail:
        return answer(text)
    kind, length = b"application/octet-stream", b"%d" % len(text)
    return respond(200, text + b"".join(tail), {HEADER: length}, kind)


def _beginning(name: str) -> bytes:
    """Return an output as JSON, up to its number of rows."""
    return b'{"name":%s,"datatype":"FP64","shape":[' % _encode(name)


def _output(begun: bytes, column: list[float]) -> bytes:
    """Return one output as JSON."""
    return b'%s%d,1],"data":%s}' % (begun, len(column), _encode(column))


def _read(body: bytes, kind: type[Asked]) -> Asked:
    """Read a small request; an empty body asks for nothing special."""
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except UNDECODABLE as problem:
        raise RequestRefused(400, f"the request cannot be read: {problem}") from problem
