"""Handles: kernel arguments that stay on the kernel's side.

Why:    handing an array from Python to compiled code costs 60 to 250 ns, and a desk has dozens; passing dozens from one
        kernel to the next makes compilation slow. A handle is one pointer: its arrays were handed over once.
Use:    a handle class has the fields of a NamedTuple; Python code holds the NamedTuple, kernels the handle, and both
        share the arrays. A class of handles is declared where its NamedTuple is (see `state`, `path`).
"""

from typing import Any

from numba.core import types
from numba.experimental import structref


class HandleType(types.StructRef):
    """The compiled type of a handle; each kind of handle derives its own and registers it."""

    def preprocess_fields(self, fields: tuple[tuple[str, Any], ...]) -> tuple[tuple[str, Any], ...]:
        """Forget literal values, so that equal shapes share one type."""
        return tuple((name, types.unliteral(kind)) for name, kind in fields)  # type: ignore[no-untyped-call]


class Handle(structref.StructRefProxy):
    """What Python sees of a handle: nothing but itself."""


def declare(proxy: type[Handle], kind: type[HandleType], fields: tuple[str, ...]) -> None:
    """Make `proxy` callable from kernels with one argument a field."""
    structref.define_proxy(proxy, kind, list(fields))  # type: ignore[no-untyped-call]
