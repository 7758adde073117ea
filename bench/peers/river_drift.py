"""river's drift detectors with their defaults: alarms on streams, and rows a second. Reads JSON, writes JSON."""

import json
import sys
import time
from typing import Any

import river
from river import drift


def made() -> dict[str, Any]:
    """Return how each detector is made; those for bits only come last."""
    binary = drift.binary
    return {
        "river ADWIN": drift.ADWIN,
        "river PageHinkley": drift.PageHinkley,
        "river KSWIN": lambda: drift.KSWIN(seed=1),
        "river DDM": binary.DDM,
        "river HDDM-A": binary.HDDMA,
        "river HDDM-W": binary.HDDMW,
    }


OF_BITS = ("river DDM", "river HDDM-A", "river HDDM-W")


def alarms(maker: Any, stream: list[float]) -> list[int]:
    """Return the events at which a detector alarms; it resets itself, or is made anew."""
    detector, places = maker(), []
    for place, value in enumerate(stream):
        detector.update(value)
        if detector.drift_detected:
            places.append(place)
    return places


def main(job: str) -> None:
    """Do the job named on the command line."""
    asked = json.load(sys.stdin)
    if job == "speed":
        detectors = [drift.ADWIN() for _ in range(asked["features"])]
        start = time.process_time_ns()
        for row in range(asked["rows"]):
            for detector in detectors:
                detector.update(float(row % 7))
        print(
            json.dumps(
                {"version": river.__version__, "rows_per_s": 1e9 * asked["rows"] / (time.process_time_ns() - start)}
            )
        )
        return
    bits = all(value in (0.0, 1.0) for value in asked["streams"][0])
    makers = {
        name: maker
        for name, maker in made().items()
        if bits or name not in ("river DDM", "river HDDM-A", "river HDDM-W")
    }
    told = {name: [alarms(maker, stream) for stream in asked["streams"]] for name, maker in makers.items()}
    print(json.dumps({"version": river.__version__, "alarms": told}))


if __name__ == "__main__":
    main(sys.argv[1])
