"""Running a command of the command line inside a test."""

import pytest

from tradeworthy.apps.cli.main import run_command_line


def tell(capsys, *words: object):
    """Run a command; return its exit code and what it printed."""
    with pytest.raises(SystemExit) as left:
        run_command_line([str(word) for word in words])
    out = capsys.readouterr()
    return left.value.code, out.out, out.err
