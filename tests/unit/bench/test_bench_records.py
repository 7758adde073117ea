"""The records of `make bench`: their form, their intervals, how runs are merged, and the page made of them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from harness import Aim, Figure, Peer, Report, digits, line, merge, read_records, write_records
from measure import Estimate, Samples, in_turn, median_of, quantile_interval, rates, ratio_of, times_us
from table import page

BENCH = Path(__file__).parents[3] / "bench"

FORM = {"name", "value", "unit", "better", "floor", "peer", "goal", "met", "interval", "note"}
LOWER, HIGHER = Aim("us", "lower", 5.0), Aim("rows/s", "higher", 100.0)


def record(name, value, **more: object):
    """Return a record as a run writes it."""
    figure = Figure(name, LOWER, None if value is None else Estimate.exactly(value))
    return (
        figure.record() | {"machine": "here", "family": "trees", "quick": False, "load": [0.0], "taken": "now"} | more
    )


def test_a_record_has_the_agreed_fields():
    """Every figure is written with the same fields, whatever is known of it."""
    full = Figure("a", LOWER, Estimate(4.0, 3.0, 6.0), 2.0, Peer("other", "1.2", 9.0), "as called").record()
    assert set(full) == FORM == set(Figure("b", HIGHER).record())
    assert (full["met"], full["interval"], full["peer"]) == (
        True,
        [3.0, 6.0],
        {"name": "other", "version": "1.2", "value": 9.0},
    )


@pytest.mark.parametrize(
    ("aim", "value", "met"), [(LOWER, 5.0, True), (LOWER, 5.1, False), (HIGHER, 99.0, False), (HIGHER, 100.0, True)]
)
def test_a_goal_is_met_in_its_own_direction(aim, value, met):
    """At the goal itself it is met; beyond it on the worse side it is not."""
    assert aim.met_by(value) is met


def test_a_figure_without_value_is_not_met_and_says_why():
    """What could not be measured is null, never a pass."""
    report = Report({"a": LOWER, "b": HIGHER})
    report.add("a", 3.0)
    first, second = [figure.record() for figure in report.close("the disk was full")]
    assert (first["value"], first["note"]) == (3.0, "")
    assert (second["value"], second["met"], second["note"]) == (None, False, "the disk was full")
    assert "the disk was full" in line(second)


def test_numbers_are_rounded_to_what_they_mean():
    """Five digits are kept, and nothing stays nothing."""
    assert (digits(123_456.78), digits(0.00012345678), digits(None)) == (123_460.0, 0.00012346, None)


def test_the_median_of_few_repeats_has_all_of_them_as_interval():
    """Five repeats cannot give 95%, so the interval is their whole range."""
    found = median_of([5.0, 1.0, 3.0, 2.0, 4.0])
    assert (found.value, found.low, found.high) == (3.0, 1.0, 5.0)


def test_the_interval_of_a_median_covers_it_as_promised():
    """Over many samples the true median lies inside at least 95 times in a hundred."""
    rng = np.random.default_rng(3)
    for n in (6, 9, 21, 40):
        found = [median_of(rng.exponential(size=n)) for _ in range(600)]
        covered = np.mean([each.low <= np.log(2) <= each.high for each in found])
        assert covered >= 0.93, n


def test_the_interval_of_a_quantile_covers_it_as_promised():
    """The p99 of a long sample comes with order statistics around the true one."""
    rng = np.random.default_rng(4)
    found = [quantile_interval(rng.exponential(size=4_000), 0.99) for _ in range(300)]
    assert np.mean([each.low <= -np.log(0.01) <= each.high for each in found]) >= 0.9


def test_a_quantile_of_repeats_is_the_median_of_theirs():
    """One disturbed repeat does not move the figure."""
    calm = np.tile(np.arange(100.0), (5, 1))
    disturbed = calm.copy()
    disturbed[2] += 1_000.0
    assert Samples(disturbed).quantile(0.5).value == Samples(calm).quantile(0.5).value


def test_ratios_are_taken_turn_by_turn():
    """A machine that slows both contenders in one turn leaves the ratio alone."""
    assert ratio_of([10.0, 40.0, 10.0], [5.0, 20.0, 5.0]) == Estimate(2.0, 2.0, 2.0)


def test_every_call_is_timed_once():
    """A sample has one time for each place, and contenders get the same number."""
    seen = []
    assert times_us(seen.append, 7).shape == (7,)
    assert seen == list(range(7))
    taken = in_turn({"a": seen.append, "b": seen.append}, count=3, repeats=2)
    assert {name: samples.us.shape for name, samples in taken.items()} == {"a": (2, 3), "b": (2, 3)}


def test_rates_count_what_the_call_did():
    """A clock that moves a millisecond a reading gives exact rates."""
    ticks = iter(range(0, 10**12, 10**6))
    assert rates({"a": lambda: 5}, repeats=3, clock=lambda: next(ticks)) == {"a": [5_000.0] * 3}


def test_merging_keeps_other_families_of_this_machine():
    """New records replace their namesakes; what another machine measured is dropped."""
    old = [record("a", 1.0), record("b", 2.0), record("c", 3.0, machine="elsewhere")]
    merged = merge(old, [record("b", 9.0)], ["c", "b", "a"])
    assert [(each["name"], each["value"]) for each in merged] == [("b", 9.0), ("a", 1.0)]


def test_a_quick_run_does_not_wipe_what_it_left_out():
    """A null of a quick run leaves the measured value standing; a null of a full run does not."""
    old = [record("a", 1.0)]
    assert merge(old, [record("a", None, quick=True)], ["a"])[0]["value"] == 1.0
    assert merge(old, [record("a", None)], ["a"])[0]["value"] is None


def test_records_are_read_as_they_were_written(tmp_path):
    """A file of records is plain JSON, one record a line."""
    records = [record("a", 1.0), record("b", None)]
    write_records(tmp_path / "r.json", records)
    assert read_records(tmp_path / "r.json") == records == json.loads((tmp_path / "r.json").read_text("utf-8"))
    assert read_records(tmp_path / "none.json") == []


def test_the_page_names_what_was_missed():
    """A missed goal stands in the table and again at the top, with how far off it is."""
    text = page([record("fast", 2.0), record("slow", 20.0)], {"trees": "Scoring: one row."})
    assert "- `slow`: 20 us, 4x off its goal" in text
    assert "`fast`" not in text.split("## Trees")[0]
    assert "| `slow` | 20 us |" in text


def test_a_quick_run_of_one_family_writes_valid_records(tmp_path):
    """`bench/run.py --quick --only trees` ends well, and writes its records and the page."""
    out, document = tmp_path / "results.json", tmp_path / "benchmarks.md"
    command = [sys.executable, str(BENCH / "run.py"), "--quick", "--only", "trees_one_us_p50"]
    done = subprocess.run(
        [*command, "--output", str(out), "--document", str(document)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    records = {each["name"]: each for each in read_records(out)}
    assert set(records) >= {"trees_one_us_p50", "trees_many_rows_per_s"}
    assert all(set(each) >= FORM for each in records.values())
    assert records["trees_error_max"]["met"]
    assert records["trees_one_us_p50"]["peer"]["value"] > 0
    assert "trees_one_us_p50" in document.read_text("utf-8")


def test_an_unknown_name_is_refused_with_the_known_ones(tmp_path):
    """A typing error does not start a long run of everything."""
    command = [sys.executable, str(BENCH / "run.py"), "--only", "tree", "--output", str(tmp_path / "r.json")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode != 0
    assert "trees" in done.stderr
