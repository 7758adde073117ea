"""Open Inference Protocol tensors: JSON or binary in, one float64 table out; scores back in either form.

Idea:   a model takes rows of named features. A request brings them as one tensor `row` of shape (rows, features), or as
        one tensor a feature; each of any numeric datatype. What does not fit is refused with its name, what was found
        and what is allowed.
Binary: the tensor extension of the protocol: after the JSON, whose length a header tells, come raw little-endian
        values, row by row.
Reference: Open Inference Protocol 2, REST; binary tensor data extension.
"""

from collections.abc import Iterator
from struct import Struct
from struct import error as StructError  # noqa: N812  # as every other error
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.apps.server.replies import RequestRefused
from tradeworthy.apps.server.routes import number_in
from tradeworthy.apps.server.rows import RowLayout
from tradeworthy.core.errors import UNDECODABLE, near

Floats = npt.NDArray[np.float64]

ROW = "row"
DATATYPES: dict[str, str] = {
    "BOOL": "?",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "BF16": "<u2",
    "FP32": "<f4",
    "FP64": "<f8",
}
"""Numeric datatypes, and how binary data holds them."""

TEXT = "BYTES"
"""The datatype of text, which is no feature, but may name a group. Each has its length before it in binary data."""

HEADER = b"inference-header-content-length"
_flat = msgspec.json.Decoder(list[float]).decode
_flags = msgspec.json.Decoder(list[bool]).decode
_nested = msgspec.json.Decoder(list[list[float]]).decode
_strings = msgspec.json.Decoder(list[str]).decode
_LENGTH = Struct("<I")


class Tensor(msgspec.Struct):
    """An input as the protocol writes it."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] = {}
    data: msgspec.Raw = msgspec.Raw()


class Wanted(msgspec.Struct):
    """An output that is asked for."""

    name: str
    parameters: dict[str, Any] = {}


class InferRequest(msgspec.Struct):
    """A request to infer."""

    inputs: list[Tensor]
    id: str | None = None
    parameters: dict[str, Any] = {}
    outputs: list[Wanted] | None = None


class _PlainTensor(msgspec.Struct, forbid_unknown_fields=True):
    """What most callers send: the rows as one flat list."""

    name: str
    shape: list[int]
    datatype: Literal["FP64", "FP32"]
    data: list[float]


class _PlainRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A request that asks for nothing but scores."""

    inputs: tuple[_PlainTensor]
    id: str | None = None


_request = msgspec.json.Decoder(InferRequest).decode
_plain = msgspec.json.Decoder(_PlainRequest).decode


def plain_rows(body: bytes, columns: int, rows_max: int) -> tuple[Floats, str | None] | None:
    """Return the (rows, columns) table and the id of a request of the usual form, read in one pass; None for others.

    What it gives is what `read_request` and `read_rows` give, and it refuses nothing: that is theirs.
    """
    try:
        request = _plain(body)
    except UNDECODABLE:
        return None
    tensor = request.inputs[0]
    shape, data = tensor.shape, tensor.data
    if tensor.name != ROW or len(shape) != 2 or shape[1] != columns or not 0 < shape[0] <= rows_max:
        return None
    return (np.array(data).reshape(shape), request.id) if len(data) == shape[0] * columns else None


def read_request(body: bytes, header_length: bytes | None) -> tuple[InferRequest, memoryview]:
    """Return a request and the binary data behind it.

    Raises
    ------
    RequestRefused
        It is not such a request; the message names the place.
    """
    length = len(body) if header_length is None else number_in(header_length)
    if length is None or length > len(body):
        text = (header_length or b"").decode("latin-1")
        raise RequestRefused(400, f"Inference-Header-Content-Length is {text}, the body has {len(body)} bytes")
    try:
        return _request(body[:length] if length < len(body) else body), memoryview(body)[length:]
    except UNDECODABLE as problem:
        raise RequestRefused(400, f"the request cannot be read: {problem}") from problem


class Sent(NamedTuple):
    """An input as it came: its tensor and, where its values are binary, these."""

    tensor: Tensor
    raw: memoryview | None


def inputs_of(request: InferRequest, binary: memoryview) -> list[Sent]:
    """Return a request's inputs, each with its part of the binary data, where they follow in their order.

    Raises
    ------
    RequestRefused
        There is less binary data than an input has.
    """
    found, start = [], 0
    for tensor in request.inputs:
        size = tensor.parameters.get("binary_data_size")
        if size is None:
            found.append(Sent(tensor, None))
            continue
        if not isinstance(size, int) or size < 0 or start + size > len(binary):
            left = len(binary) - start
            raise RequestRefused(400, f"input {tensor.name!r} has binary_data_size {size}, there are {left} bytes left")
        found.append(Sent(tensor, binary[start : start + size]))
        start += size
    return found


def read_rows(inputs: list[Sent], features: list[str], rows_max: int) -> Floats:
    """Return inputs as a (rows, features) table of finite numbers.

    Raises
    ------
    RequestRefused
        An input does not fit the model.
    """
    if len(inputs) == 1 and inputs[0].tensor.name == ROW:
        rows = _values(inputs[0], len(features), rows_max)
    else:
        rows = _columns(inputs, features, rows_max)
    if any(sent.raw is not None for sent in inputs):  # JSON has no other numbers than finite ones
        _check_finite(rows, features)
    return rows


def read_groups(inputs: list[Sent], layout: RowLayout, count: int) -> Floats | None:
    """Return the (count, groups) codes of inputs that are groups, in the project's order; None where there are none.

    Groups that are not told are NaN.

    Raises
    ------
    RequestRefused
        There are not as many as rows, or a word is none of the column's.
    """
    if not inputs:
        return None
    groups, places, told = np.full((count, len(layout.groups)), np.nan), list(layout.groups), set()
    for sent in inputs:
        tensor = sent.tensor
        if tensor.name in told:
            raise RequestRefused(400, f"input {tensor.name!r} is there twice")
        told.add(tensor.name)
        values = _texts(sent) if tensor.datatype == TEXT else _values(sent, 1, count)[:, 0].tolist()
        if len(values) != count:
            raise RequestRefused(400, f"group {tensor.name!r} is told of {len(values)} rows, {count} are to be scored")
        groups[:, places.index(tensor.name)] = [layout.code(tensor.name, value) for value in values]
    return groups


def _texts(sent: Sent) -> list[str]:
    """Return a tensor's texts: a list of strings, or each behind its length in four bytes."""
    try:
        return _strings(sent.tensor.data) if sent.raw is None else list(_spelled(sent.raw))
    except (*UNDECODABLE, ValueError, StructError) as problem:
        raise RequestRefused(400, f"input {sent.tensor.name!r}: its texts cannot be read: {problem}") from problem


def _spelled(raw: memoryview) -> Iterator[str]:
    """Yield the texts of binary data."""
    at = 0
    while at < len(raw):
        (length,) = _LENGTH.unpack_from(raw, at)
        at += _LENGTH.size + length
        if at > len(raw):
            raise ValueError(f"a text of {length} bytes ends behind the data")
        yield str(raw[at - length : at], "utf-8")


def _check_finite(rows: Floats, features: list[str]) -> None:
    """Refuse NaN and infinity, by the feature's name."""
    wrong = np.argwhere(~np.isfinite(rows))
    if wrong.size:
        row, column = (int(place) for place in wrong[0])
        value = rows[row, column]
        raise RequestRefused(400, f"row {row}: feature {features[column]!r} is {value}, allowed is a finite number")


def _columns(inputs: list[Sent], features: list[str], rows_max: int) -> Floats:
    """Return the table of one tensor a feature."""
    found: dict[str, Floats] = {}
    strange = [sent.tensor.name for sent in inputs if sent.tensor.name not in features]
    if strange:
        name = next((name for name in strange if name != ROW), ROW)
        hint, names = near(name, features), ", ".join(features)
        raise RequestRefused(400, f"input {name!r} is unknown{hint}; allowed are {ROW!r} alone, or {names}")
    for sent in inputs:
        name = sent.tensor.name
        if name in found:
            raise RequestRefused(400, f"input {name!r} is there twice")
        found[name] = _values(sent, 1, rows_max)[:, 0]
    missing = [name for name in features if name not in found]
    if missing:
        raise RequestRefused(400, f"inputs {missing} are missing; found {sorted(found)}")
    counts = {name: len(column) for name, column in found.items()}
    if len(set(counts.values())) > 1:
        raise RequestRefused(400, f"inputs have different numbers of rows: {counts}")
    return np.column_stack([found[name] for name in features])


def _values(sent: Sent, columns: int, rows_max: int) -> Floats:
    """Return a tensor as (rows, columns)."""
    tensor = sent.tensor
    rows = _rows_in(tensor, columns)
    if not 0 < rows <= rows_max:
        raise RequestRefused(400, f"input {tensor.name!r} has {rows} rows, allowed are 1 to {rows_max}")
    if tensor.datatype not in DATATYPES:
        hint = near(tensor.datatype, DATATYPES)
        allowed = ", ".join(DATATYPES)
        raise RequestRefused(
            400, f"input {tensor.name!r} has datatype {tensor.datatype!r}{hint}; allowed are {allowed}"
        )
    values = _from_json(tensor) if sent.raw is None else _from_binary(tensor, sent.raw)
    if values.size != rows * columns:
        raise RequestRefused(
            400, f"input {tensor.name!r} holds {values.size} values, its shape {tensor.shape} asks for {rows * columns}"
        )
    return values.reshape(rows, columns)


def _rows_in(tensor: Tensor, columns: int) -> int:
    """Return how many rows a shape has: (rows, columns), or (columns,) for one, or (rows,) of single values."""
    shape = tensor.shape
    if len(shape) == 2 and shape[1] == columns:
        return shape[0]
    if len(shape) == 1 and columns == 1:
        return shape[0]
    if shape == [columns]:
        return 1
    allowed = f"[rows, {columns}]" if columns > 1 else "[rows] or [rows, 1]"
    raise RequestRefused(400, f"input {tensor.name!r} has shape {shape}, allowed is {allowed}")


def _from_json(tensor: Tensor) -> Floats:
    """Return a tensor's values from JSON, flat or nested."""
    data = tensor.data
    try:
        values = np.array(_flags(data), np.float64) if tensor.datatype == "BOOL" else np.array(_flat(data))
    except UNDECODABLE as problem:
        values = _nested_values(tensor, problem)
    if tensor.datatype[0] in "UI" and values.size:
        _check_integers(tensor, values)
    return values


def _nested_values(tensor: Tensor, problem: Exception) -> Floats:
    """Return the values of a tensor written as a list of rows; `problem` is why it was no flat list."""
    try:
        return np.array(_nested(tensor.data)).reshape(-1)
    except (*UNDECODABLE, ValueError) as other:
        told = other if bytes(tensor.data).lstrip()[:2].replace(b" ", b"") == b"[[" else problem
        words = f"input {tensor.name!r}: data of datatype {tensor.datatype} cannot be read: {told}"
        raise RequestRefused(400, words if len(tensor.data) else f"input {tensor.name!r} has no data") from other


def _check_integers(tensor: Tensor, values: Floats) -> None:
    """Refuse what an integer datatype cannot hold."""
    bounds = np.iinfo(DATATYPES[tensor.datatype])
    wrong = (values != np.floor(values)) | (values < bounds.min) | (values > bounds.max)
    if wrong.any():
        value = values[np.argmax(wrong)]
        words = f"allowed are whole numbers from {bounds.min} to {bounds.max}"
        raise RequestRefused(400, f"input {tensor.name!r} of datatype {tensor.datatype} holds {value:g}; {words}")


def _from_binary(tensor: Tensor, data: memoryview) -> Floats:
    """Return a tensor's values from its binary data."""
    kind = np.dtype(DATATYPES[tensor.datatype])
    if len(data) % kind.itemsize:
        size, each = len(data), kind.itemsize
        raise RequestRefused(
            400, f"input {tensor.name!r}: {size} bytes are no whole number of {tensor.datatype} ({each} bytes)"
        )
    raw = np.frombuffer(data, kind)
    if tensor.datatype == "BF16":
        raw = (raw.astype(np.uint32) << 16).view(np.float32)
    return raw.astype(np.float64)


def chosen_outputs(request: InferRequest, outputs: list[str]) -> list[tuple[int, str, bool]]:
    """Return the outputs to give back: column, name, and whether as binary.

    Raises
    ------
    RequestRefused
        One is asked for that the model does not have.
    """
    all_binary = request.parameters.get("binary_data_output") is True
    if not request.outputs:
        return [(place, name, all_binary) for place, name in enumerate(outputs)]
    for wanted in request.outputs:
        if wanted.name not in outputs:
            hint = near(wanted.name, outputs)
            raise RequestRefused(400, f"output {wanted.name!r} is unknown{hint}; allowed are {', '.join(outputs)}")
    return [
        (outputs.index(wanted.name), wanted.name, wanted.parameters.get("binary_data", all_binary) is True)
        for wanted in request.outputs
    ]
