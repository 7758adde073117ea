"""Run the measurements: every `bench_*.py` beside this file, each in a fresh process.

Usage:  python bench/run.py [WORD ...]   runs those whose name contains one of the words; none runs all.
Idea:   a process of its own for each, so that no measurement inherits another's caches, threads or garbage.
"""

import subprocess
import sys
from pathlib import Path


def chosen(folder: Path, words: list[str]) -> list[Path]:
    """Return the bench files in `folder` whose name contains any of `words`; all of them for no words."""
    return [path for path in sorted(folder.glob("bench_*.py")) if not words or any(word in path.stem for word in words)]


def main(words: list[str]) -> int:
    """Run the chosen files one after the other; return the number that failed."""
    folder = Path(__file__).parent
    paths = chosen(folder, words)
    if not paths:
        known = ", ".join(path.stem.removeprefix("bench_") for path in chosen(folder, [])) or "none yet"
        print(f"no bench matches {' '.join(words) or 'anything'}; known: {known}")
        return 1
    failed = 0
    for path in paths:
        print(f"\n== {path.stem.removeprefix('bench_')}", flush=True)
        failed += subprocess.run([sys.executable, path], check=False).returncode != 0  # noqa: S603  # our own files
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
