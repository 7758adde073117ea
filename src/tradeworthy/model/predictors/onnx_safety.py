"""Whether an ONNX file is safe to load, decided from its bytes before ONNX Runtime sees them.

Idea:   an ONNX file is a protocol buffer; a walk over its wire format is enough to see where tensors live, which
        operators are called and how deep graphs nest. Nothing is built from it, and no package that parses it is
        needed to serve.
Refused: data outside the file (a path chosen by the author), operators outside the standard domains (they need a
        library that the author chose), functions and training graphs, sizes and depths over the caps.
Reference: onnx.proto (field numbers); Protocol Buffers, Encoding (the wire format).
"""

from collections.abc import Iterator

from tradeworthy.core.errors import BundleRefused

ONNX_BYTES_MAX = 256 * 1024 * 1024
GRAPH_DEPTH_MAX = 8
NODES_MAX = 100_000
DOMAINS = ("", "ai.onnx", "ai.onnx.ml")

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MODEL_GRAPH, _MODEL_OPSET, _MODEL_TRAINING, _MODEL_FUNCTION = 7, 8, 20, 25
_GRAPH_NODE, _GRAPH_TENSOR, _GRAPH_SPARSE = 1, 5, 15
_NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
_TENSOR_EXTERNAL, _TENSOR_LOCATION = 13, 14
_SPARSE_TENSORS = (1, 2)


def check_onnx(data: bytes, what: str = "model.onnx") -> None:
    """Refuse an ONNX file that reaches outside itself or is out of proportion.

    Raises
    ------
    BundleRefused
        With the operator, tensor or size that was found, and what is allowed.
    """
    if len(data) > ONNX_BYTES_MAX:
        raise BundleRefused(f"{what} has {len(data)} bytes, allowed are {ONNX_BYTES_MAX}")
    walk = _Walk(what)
    graphs = 0
    for number, value in walk.fields(memoryview(data)):
        if number == _MODEL_GRAPH:
            graphs += 1
            walk.graph(walk.message(value), 1)
        elif number == _MODEL_OPSET:
            walk.domain(walk.text(walk.message(value), 1), "an operator set")
        elif number in (_MODEL_TRAINING, _MODEL_FUNCTION):
            raise BundleRefused(f"{what} holds functions or training graphs, allowed is one inference graph")
    if graphs != 1:
        raise BundleRefused(f"{what} holds {graphs} graphs, allowed is one; it may not be an ONNX file at all")


class _Walk:
    """One pass over one file."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.nodes = 0

    def fields(self, data: memoryview) -> Iterator[tuple[int, memoryview | int]]:
        """Yield each field's number with its bytes, or with its whole number."""
        place = 0
        while place < len(data):
            tag, place = self.varint(data, place)
            number, wire = tag >> 3, tag & 7
            if wire == _VARINT:
                value, place = self.varint(data, place)
                yield number, value
                continue
            if wire == _BYTES:
                size, place = self.varint(data, place)
            elif wire in (_FIXED64, _FIXED32):
                size = 8 if wire == _FIXED64 else 4
            else:
                raise BundleRefused(f"{self.what} is not an ONNX file: wire type {wire} at byte {place}")
            if size > len(data) - place:
                raise BundleRefused(f"{self.what} is cut short, or is not an ONNX file")
            yield number, data[place : place + size]
            place += size

    def varint(self, data: memoryview, place: int) -> tuple[int, int]:
        """Return the whole number that starts at `place`, and the place after it."""
        value = 0
        for shift in range(0, 70, 7):
            if place >= len(data):
                break
            byte = data[place]
            place += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, place
        raise BundleRefused(f"{self.what} is cut short, or is not an ONNX file")

    def message(self, value: memoryview | int) -> memoryview:
        """Return a field that must be bytes."""
        if isinstance(value, int):
            raise BundleRefused(f"{self.what} is not an ONNX file: a number stands where a message should")
        return value

    def text(self, data: memoryview, wanted: int) -> str:
        """Return the last text field with a number, or nothing."""
        found = ""
        for number, value in self.fields(data):
            if number == wanted:
                found = bytes(self.message(value)).decode("utf-8", "replace")
        return found

    def domain(self, domain: str, where: str) -> None:
        """Refuse operators that need a library of the author's."""
        if domain not in DOMAINS:
            raise BundleRefused(f"{self.what}: {where} is of domain {domain[:80]!r}, allowed are {list(DOMAINS)}")

    def graph(self, data: memoryview, depth: int) -> None:
        """Check a graph and all graphs inside it."""
        if depth > GRAPH_DEPTH_MAX:
            raise BundleRefused(f"{self.what} nests graphs deeper than {GRAPH_DEPTH_MAX}")
        for number, value in self.fields(data):
            if number == _GRAPH_NODE:
                self.node(self.message(value), depth)
            elif number == _GRAPH_TENSOR:
                self.tensor(self.message(value))
            elif number == _GRAPH_SPARSE:
                self.sparse(self.message(value))

    def node(self, data: memoryview, depth: int) -> None:
        """Check one call of an operator."""
        self.nodes += 1
        if self.nodes > NODES_MAX:
            raise BundleRefused(f"{self.what} has more than {NODES_MAX} nodes")
        self.domain(self.text(data, _NODE_DOMAIN), f"operator {self.text(data, _NODE_OPERATOR)[:80]!r}")
        for number, value in self.fields(data):
            if number == _NODE_ATTRIBUTE:
                self.attribute(self.message(value), depth)

    def attribute(self, data: memoryview, depth: int) -> None:
        """Check the tensors and graphs that an attribute may hold."""
        for number, value in self.fields(data):
            if number in _ATTRIBUTE_TENSORS:
                self.tensor(self.message(value))
            elif number in _ATTRIBUTE_GRAPHS:
                self.graph(self.message(value), depth + 1)
            elif number in _ATTRIBUTE_SPARSE:
                self.sparse(self.message(value))

    def sparse(self, data: memoryview) -> None:
        """Check the two tensors of a sparse tensor."""
        for number, value in self.fields(data):
            if number in _SPARSE_TENSORS:
                self.tensor(self.message(value))

    def tensor(self, data: memoryview) -> None:
        """Refuse a tensor whose numbers lie in another file."""
        for number, value in self.fields(data):
            if number == _TENSOR_EXTERNAL or (number == _TENSOR_LOCATION and value != 0):
                raise BundleRefused(f"{self.what} keeps tensor data outside the file; save it as one file")
