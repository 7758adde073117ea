"""The measured section of the monitoring page is what the bench's record says."""

import json

import monitoring_docs


def test_the_measured_section_is_up_to_date():
    """`docs/monitoring.md` holds what `tools/monitoring_docs.py` writes from `bench/watch.json`."""
    text = monitoring_docs.PATH.read_text(encoding="utf-8")
    assert text == monitoring_docs.page(), "run: python tools/monitoring_docs.py"


def test_every_line_of_the_record_is_in_the_section():
    """No stream that was measured is left out, whatever it showed."""
    record = json.loads(monitoring_docs.RECORD.read_text(encoding="utf-8"))
    written = monitoring_docs.section(record)
    assert all(f"| {line['stream']} |" in written for line in record["detection"])
    assert all(f"| {line['stream']} | {line['asked_per_10k']:g} |" in written for line in record["curve"])
    assert all(f"`{name}`" in written for name in record["throughput"])


def test_what_half_of_the_runs_do_not_hear_is_said():
    """A missing median is words, not a figure; the operating curve has a row for every asked rate."""
    about = {"taken": "now", "quick": True, "seeds": [1, 2], "reference": 1, "watched": 1, "asked_per_10k": 1.0}
    lines = [
        {"stream": "a", "detector": "ours", "runs": 2, "false_alarms_per_10k": 0.5},
        {"stream": "b", "detector": "ours", "runs": 2, "detected": 0.25, "median_delay": None},
    ]
    heard = {"spread x2": lines[1] | {"runs": 90, "detected": 0.75, "median_delay": 7.0, "interval": [3.0, 9.0]}}
    curve = [{"stream": "c", "asked_per_10k": 0.3, "runs": 2, "false_alarms_per_10k": 0.25, "heard": heard}]
    record = {"about": about | {"window": 5, "peers": None}, "throughput": {}, "detection": lines, "curve": curve}
    written = monitoring_docs.section(record)
    assert "| b | 25%, not by half |" in written
    assert "| stream | asked | found | spread x2 |" in written
    assert "| c | 0.3 | 0.25 | 75%, 7 (3 to 9; 90 runs) |" in written
    assert "no peers in this run" in written
    assert ", quick" in written
