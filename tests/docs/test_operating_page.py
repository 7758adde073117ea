"""The page for operators names what the code has: every figure, every command, every way of telling."""

import re

from source_tree import ROOT

from tradeworthy.apps.cli.main import app
from tradeworthy.change.alerts.delivery import LOG
from tradeworthy.change.alerts.settings import AlertSettings
from tradeworthy.change.alerts.sinks import AGAIN_STATUS, SIGNATURE, TIMESTAMP
from tradeworthy.change.watch.metrics import FILE, METRICS, PREFIX

PAGE = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([a-z_]+)` \| (\w+) \| ([^|]*) \| ([^|]+) \|$", re.MULTILINE)


def test_the_table_of_figures_is_the_list_in_the_code():
    """Name, kind, labels and words of each family stand in the table, in the code's order, and nothing else."""
    documented = [match.groups() for match in ROW.finditer(PAGE)]
    wanted = [
        (PREFIX + name, metric.kind, ", ".join(f"`{label}`" for label in metric.labels) or "-", metric.text)
        for name, metric in METRICS.items()
    ]
    assert documented == wanted


def test_every_figure_named_in_the_text_exists():
    """No sentence speaks of a figure that was renamed."""
    named = set(re.findall(rf"`{PREFIX}([a-z_]+)`", PAGE))
    assert named - {""} <= set(METRICS)


def test_every_command_on_the_page_exists():
    """Each `tradeworthy` word on the page is a command."""
    known = {command.callback.__name__ for command in app.registered_commands} | {g.name for g in app.registered_groups}
    assert set(re.findall(r"^    tradeworthy (\w+)", PAGE, re.MULTILINE)) <= known


def test_files_headers_and_answers_are_the_codes():
    """Names that a receiver or a collector relies on are those that are used."""
    for word in (LOG, FILE, TIMESTAMP, SIGNATURE, *map(str, AGAIN_STATUS)):
        assert word in PAGE


def test_the_sections_on_the_page_can_be_read():
    """The example is a valid settings file as far as it goes."""
    import tomllib  # noqa: PLC0415

    import msgspec  # noqa: PLC0415

    example = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)[1]
    sections = tomllib.loads(example)["alert"]
    assert [type(each).__name__ for each in msgspec.convert(sections, list[AlertSettings])] == [
        "WebhookAlert",
        "EmailAlert",
    ]
