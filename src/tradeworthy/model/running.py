"""On what a version's scores depend beside its own bytes: the packages that compute them, and the machine."""

from importlib.metadata import version

from tradeworthy.core.kernel_cache import fingerprint

DECIDING = ("llvmlite", "numba", "numpy", "onnxruntime", "tradeworthy")
"""Packages whose release can change the last bits of a score, or more."""


def packages_here() -> dict[str, str]:
    """Return the installed versions of the packages that decide a score."""
    return {name: version(name) for name in DECIDING}


def machine_here() -> str:
    """Name the machine as far as a score's bits depend on it: library versions and processor."""
    return fingerprint()
