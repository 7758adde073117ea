"""Write the measured section of `docs/monitoring.md` from `bench/watch.json`, which `make bench` writes.

Usage:  python tools/monitoring_docs.py
Idea:   figures are never copied by hand: the section between two marks is made from the record alone, a test compares
        both. What stands outside the marks is for people to write.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from source_tree import ROOT

PATH = ROOT / "docs" / "monitoring.md"
RECORD = ROOT / "bench" / "watch.json"
BEGIN, END = "<!-- measured by make bench: begin -->", "<!-- measured by make bench: end -->"

RUNS_FEW, RUNS_MANY = 6, 60
"""So few runs say nothing about where a median lies; that there were more than so many is said."""

CURVE = (
    "The operating curve of spreads where volatility clusters: what hearing growth costs in false alarms per 10,000 of "
    "all charts of the series together, as the asked rate rises."
)

Line = Mapping[str, Any]


def section(record: Mapping[str, Any]) -> str:
    """Return the section, from one mark to the other."""
    about, lines = record["about"], record["detection"]
    nulls = [line for line in lines if "false_alarms_per_10k" in line]
    changes = [line for line in lines if "detected" in line]
    streams, watched = lines[0]["runs"], about["watched"]
    taken = (
        f"Taken {about['taken']}{', quick' if about['quick'] else ''}. Seeds {about['seeds'][0]} to "
        f"{about['seeds'][1]} (errors: 100 to 159), on which nothing was tuned; {about['reference']:,} events of "
        f"reference, then {watched:,} watched; {about['asked_per_10k']:g} false alarm per 10,000 asked of all charts "
        f"together{_peers(about['peers'])}."
    )
    heard = (
        f"Changes at a known event. *Detected*: an alarm within {about['window']:,} events of it. The delay is the "
        "median over all runs, those unheard counting as endless; in brackets stand 95% intervals."
    )
    calm = f"False alarms per 10,000 events on streams **without** change, {streams * watched:,} events a line:"
    parts = [
        [BEGIN],
        [taken],
        [calm],
        _table(nulls, "stream", _rate),
        [heard],
        _table(changes, "change", _heard),
        [CURVE],
        _curve(record["curve"]),
        ["What watching costs, in processor time, and how late alerts are:"],
        ["| figure | value | goal |", "|---|---|---|", *(_cost(*each) for each in record["throughput"].items())],
        [END],
    ]
    return "\n\n".join("\n".join(part) for part in parts)


def _peers(peers: str | None) -> str:
    return f"; beside {peers} with its defaults, on the first runs only" if peers else "; no peers in this run"


def _rate(line: Line) -> str:
    """Write a rate, with its interval where there is one."""
    around = line.get("interval")
    return f"{line['false_alarms_per_10k']:.2f}" + (f" ({around[0]:.2f} to {around[1]:.2f})" if around else "")


def _heard(line: Line) -> str:
    """Write how many were heard and how late; where many runs were made, in which interval the median lies."""
    delay, (low, high) = line["median_delay"], line.get("interval", (None, None))
    if delay is None:
        return f"{line['detected']:.0%}, not by half"
    runs = f"; {line['runs']} runs" if line["runs"] > RUNS_MANY else ""
    around = f" ({low:,.0f} to {high:,.0f}{runs})" if line["runs"] > RUNS_FEW and high is not None else ""
    return f"{line['detected']:.0%}, {delay:,.0f}{around}"


def _table(lines: Sequence[Line], title: str, write: Any) -> list[str]:
    """Return a table with a row a stream and a column a detector; empty where one was not run."""
    detectors = list(dict.fromkeys(line["detector"] for line in lines))
    cells = {(line["stream"], line["detector"]): write(line) for line in lines}
    rows = [
        f"| {stream} | " + " | ".join(cells.get((stream, who), "") for who in detectors) + " |"
        for stream in dict.fromkeys(line["stream"] for line in lines)
    ]
    return [f"| {title} | " + " | ".join(detectors) + " |", "|---" * (1 + len(detectors)) + "|", *rows]


def _curve(lines: Sequence[Line]) -> list[str]:
    """Return a table with a row a stream and an asked rate: the rate found, and how soon growth is heard."""
    harms = list(lines[0]["heard"])
    rows = [
        f"| {line['stream']} | {line['asked_per_10k']:g} | {_rate(line)} | "
        + " | ".join(_heard(line["heard"][harm]) for harm in harms)
        + " |"
        for line in lines
    ]
    return [f"| stream | asked | found | {' | '.join(harms)} |", "|---" * (3 + len(harms)) + "|", *rows]


def _cost(name: str, figure: Mapping[str, Any]) -> str:
    value = f"{figure['value']:.1f}" if figure["value"] < 100.0 else f"{figure['value']:,.0f}"
    return f"| `{name}`: {figure['note']} | {value} {figure['unit']} | {figure['goal']:,.0f} |"


def page() -> str:
    """Return the whole page with the section as it should be."""
    text = PATH.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    return before + section(json.loads(RECORD.read_text(encoding="utf-8"))) + rest.partition(END)[2]


if __name__ == "__main__":
    PATH.write_text(page(), encoding="utf-8")
    print(f"wrote {PATH.relative_to(ROOT)}")
