"""A kernel's machine code is kept under the digest of what it was made from."""

import os
import subprocess
import sys
from pathlib import Path

from tradeworthy.core import kernel_cache
from tradeworthy.core.kernel_cache import PACKAGE, digest_of, imported_files

KERNEL = "from tradeworthy.core.kernel import kernel\n\n\n@kernel\ndef twice(x):\n    return {factor} * x\n"


def test_imports_are_found_whatever_their_form():
    """A module, a package's module, a list over several lines and a plain import all count; the rest does not."""
    text = (
        "import os\nimport tradeworthy.core.time\nfrom tradeworthy.core import limits\n"
        "from tradeworthy.core.events import (\n    Kind,  # a comment\n    Word,\n)\nfrom numpy import array\n"
    )
    found = imported_files(text)
    assert {PACKAGE / "core" / f"{name}.py" for name in ("time", "limits", "events")} <= found
    assert all(path.is_relative_to(PACKAGE) for path in found)


def test_a_constant_that_kernels_use_is_part_of_their_digest(monkeypatch):
    """A denial code changed in `core` changes the digest of the risk kernels that have it compiled in."""
    source = PACKAGE / "live" / "risk" / "judge.py"
    before, read = digest_of(source), kernel_cache._read

    def changed(path: Path) -> tuple[bytes, frozenset[Path]]:
        text, imports = read(path)
        return (text + b"#", imports) if path.name == "denials.py" else (text, imports)

    monkeypatch.setattr(kernel_cache, "_read", changed)
    assert digest_of.__wrapped__(source) != before


def test_what_a_kernel_does_not_use_leaves_its_digest_alone():
    """The checksum kernel does not depend on trees."""
    known = {PACKAGE / "record" / "checksum.py"}
    while more := set().union(*(imported_files(path.read_text("utf-8")) for path in known)) - known:
        known |= more
    assert not any("predictors" in path.parts for path in known)


def _run(folder: Path, cache: Path) -> str:
    env = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    code = "import sizes; print(sizes.twice(21), len(sizes.twice.stats.cache_hits))"
    made = subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True, check=True)
    return made.stdout.strip()


def test_the_same_source_elsewhere_finds_its_code_and_a_changed_one_does_not(tmp_path):
    """A second checkout starts warm; a changed kernel is compiled anew."""
    cache = tmp_path / "cache"
    for name, factor in (("one", 2), ("two", 2), ("other", 3)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "sizes.py").write_text(KERNEL.format(factor=factor))
    assert _run(tmp_path / "one", cache) == "42 0"
    # the folder's name is part of a module's label; equal names share
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "one").rename(tmp_path / "elsewhere" / "one")
    assert _run(tmp_path / "elsewhere" / "one", cache) == "42 1"
    assert _run(tmp_path / "other", cache) == "63 0"
