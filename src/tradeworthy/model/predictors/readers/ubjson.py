"""Universal Binary JSON, as XGBoost writes it: objects, arrays (typed or not), strings, numbers.

Reference: ubjson.org, draft 12. Numbers are big-endian.
"""

import struct
from typing import Any

import numpy as np

_NUMBERS = {"i": ">i1", "U": ">u1", "I": ">i2", "l": ">i4", "L": ">i8", "d": ">f4", "D": ">f8"}
_WORDS = {"Z": None, "T": True, "F": False}
_DEPTH_MAX = 64


def decode_ubjson(data: bytes) -> Any:
    """Return the value that some UBJSON bytes hold; typed arrays become numpy arrays.

    Raises
    ------
    ValueError
        The bytes are not UBJSON, are cut short, or nest too deep.
    """
    reader = _Reader(data)
    try:
        return reader.value(reader.mark(), 0)
    except (struct.error, IndexError, KeyError, UnicodeDecodeError) as error:
        raise ValueError(f"not UBJSON at byte {reader.place}: {error!r}") from error


class _Reader:
    """A place in the bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        if not 0 <= count <= len(self.data) - self.place:
            raise ValueError(f"not UBJSON: {count} bytes wanted at byte {self.place} of {len(self.data)}")
        self.place += count
        return self.data[self.place - count : self.place]

    def mark(self) -> str:
        """Return the next type mark, past no-ops."""
        mark = "N"
        while mark == "N":
            mark = self.take(1).decode("latin-1")
        return mark

    def whole(self) -> int:
        """Return the next whole number with its own mark."""
        mark = self.mark()
        if mark not in _NUMBERS:
            raise ValueError(f"not UBJSON: mark {mark!r} at byte {self.place} where a length should stand")
        return int(self.value(mark, 0))

    def text(self) -> str:
        """Return the next text, whose mark was already read or is implied."""
        return self.take(self.whole()).decode("utf-8")

    def value(self, mark: str, depth: int) -> Any:
        """Return the value that follows a mark."""
        if depth > _DEPTH_MAX:
            raise ValueError(f"UBJSON nests deeper than {_DEPTH_MAX}")
        if mark in _NUMBERS:
            dtype = np.dtype(_NUMBERS[mark])
            return np.frombuffer(self.take(dtype.itemsize), dtype)[0].item()
        if mark in _WORDS:
            return _WORDS[mark]
        if mark in ("S", "H"):
            return self.text()
        if mark == "C":
            return self.take(1).decode("latin-1")
        if mark == "[":
            return self.array(depth)
        if mark == "{":
            return self.mapping(depth)
        raise ValueError(f"unknown UBJSON mark {mark!r} at byte {self.place}")

    def header(self) -> tuple[str | None, int | None]:
        """Return the element type and count that a container may announce."""
        kind, count = None, None
        if self.data[self.place : self.place + 1] == b"$":
            self.take(1)
            kind = self.mark()
        if self.data[self.place : self.place + 1] == b"#":
            self.take(1)
            count = self.whole()
        return kind, count

    def array(self, depth: int) -> Any:
        """Return a list, or a numpy array where the elements are numbers of one type."""
        kind, count = self.header()
        if kind in _NUMBERS and count is not None:
            dtype = np.dtype(_NUMBERS[str(kind)])
            return np.frombuffer(self.take(count * dtype.itemsize), dtype)
        found: list[Any] = []
        while count is None or len(found) < count:
            mark = kind or self.mark()
            if mark == "]" and count is None:
                break
            found.append(self.value(mark, depth + 1))
        return found

    def mapping(self, depth: int) -> dict[str, Any]:
        """Return an object."""
        kind, count = self.header()
        found: dict[str, Any] = {}
        while count is None or len(found) < count:
            if count is None and self.data[self.place : self.place + 1] == b"}":
                self.take(1)
                break
            name = self.text()
            found[name] = self.value(kind or self.mark(), depth + 1)
        return found
