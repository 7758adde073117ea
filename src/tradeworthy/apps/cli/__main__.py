"""``python -m tradeworthy.apps.cli``: the same commands, without an installed script."""

from tradeworthy.apps.cli.main import run_command_line

run_command_line()
