"""Our own Python files, parsed: what the style figures and the tidy tests look at.

Units:  a function's size is the lines of its body, from its first statement after the docstring to its last line;
        a body of nothing but a docstring or an ellipsis (a `Protocol`) has no size and is not counted.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "tradeworthy"

AnyFunction = ast.FunctionDef | ast.AsyncFunctionDef
Definition = AnyFunction | ast.ClassDef


@dataclass(frozen=True)
class Function:
    """One function or method with its dotted name inside its file."""

    name: str
    node: AnyFunction

    @property
    def body_lines(self) -> int:
        """Lines of the body after the docstring; 0 for a stub."""
        body = self.node.body[1:] if ast.get_docstring(self.node) is not None else self.node.body
        stub = all(isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant) for s in body)
        return 0 if stub else (body[-1].end_lineno or 0) - body[0].lineno + 1

    @property
    def is_kernel(self) -> bool:
        """Whether it is compiled: decorated with one of `core.kernel`'s words, or numba's own."""
        words = {"kernel", "leaf", "inlined", "njit", "vectorize", "guvectorize"}
        return any(words & set(ast.unparse(d).split("(")[0].split(".")) for d in self.node.decorator_list)

    @property
    def arguments(self) -> list[ast.arg]:
        """Every argument a caller gives: not `self` or `cls`."""
        spec = self.node.args
        args = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs, *filter(None, [spec.vararg, spec.kwarg])]
        return args[1:] if args and args[0].arg in {"self", "cls"} else args


@dataclass(frozen=True)
class SourceFile:
    """One Python file, read and parsed once."""

    path: Path

    @cached_property
    def text(self) -> str:
        """The file's text."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed module."""
        return ast.parse(self.text, str(self.path))

    @property
    def lines(self) -> int:
        """Number of lines."""
        return self.text.count("\n")

    @property
    def place(self) -> str:
        """The path from the root of the project, with forward slashes."""
        return self.path.relative_to(ROOT).as_posix() if self.path.is_relative_to(ROOT) else self.path.name

    @cached_property
    def functions(self) -> list[Function]:
        """Every function, however deeply nested."""
        return [Function(name, n) for name, n, _ in definitions(self.tree) if not isinstance(n, ast.ClassDef)]

    def undocumented(self) -> tuple[list[str], int]:
        """Return the public definitions without a docstring, and how many public definitions there are."""
        public = [(name, node) for name, node, is_public in definitions(self.tree) if is_public]
        return [name for name, node in public if not ast.get_docstring(node)], len(public)

    def untyped(self) -> tuple[list[str], int]:
        """Return the arguments without a type as ``function(argument)``, and how many arguments there are."""
        pairs = [(function.name, arg) for function in self.functions for arg in function.arguments]
        return [f"{name}({arg.arg})" for name, arg in pairs if arg.annotation is None], len(pairs)


def definitions(tree: ast.AST, prefix: str = "", *, public: bool = True) -> Iterator[tuple[str, Definition, bool]]:
    """Yield the dotted name, the node, and whether it is public, of every class and function below `tree`.

    Public is a name without a leading underscore in a public place; nothing inside a function is public, nor is an
    overload or a property's setter, whose first definition carries the docstring.
    """
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, AnyFunction | ast.ClassDef):
            yield from definitions(node, prefix, public=public)
            continue
        name = f"{prefix}{node.name}"
        again = any(ast.unparse(d).split(".")[-1] in {"overload", "setter"} for d in node.decorator_list)
        seen = public and not node.name.startswith("_") and not again
        yield name, node, seen
        yield from definitions(node, f"{name}.", public=seen and isinstance(node, ast.ClassDef))


def python_files(folder: Path) -> list[SourceFile]:
    """Return the Python files below `folder`, in order of their path; hidden folders hold other people's code."""
    paths = (path.relative_to(folder) for path in sorted(folder.rglob("*.py")))
    return [SourceFile(folder / path) for path in paths if not any(part.startswith(".") for part in path.parts)]
