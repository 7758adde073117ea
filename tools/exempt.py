"""What may pass a size aim, and why: numba kernels only, by name.

A kernel that inlines its branches saves a call an event and keeps one machine loop; that is the one good reason.
The tidy tests refuse an entry that is no kernel, or that has become short enough to need none.
"""

from collections.abc import Mapping

LONG_KERNELS: Mapping[str, str] = {
    "src/tradeworthy/model/features/kernel.py::_run": "interprets a program: one branch an operation, in one loop",
}
"""``src/tradeworthy/path.py::function`` to the reason why it is over 60 lines."""
