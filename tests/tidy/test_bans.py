"""The bans: who may ask for the time, draw at random, or load code from data."""

import pytest
from bans import clocks, modules_of_code_in_data, names_used, randomness
from source_tree import ROOT, SOURCE, SourceFile, python_files

CLOCK_OWNER = SOURCE / "core" / "time.py"
BENCH_CLOCKS = ("time.perf_counter_ns", "time.process_time_ns", "time.sleep")
MAY_USE = {SOURCE / "change" / "evidence": ("time.perf_counter_ns",), ROOT / "bench": BENCH_CLOCKS}
OPENS_PICKLES = SOURCE / "change" / "intake" / "opening.py"
OURS = [*python_files(SOURCE), *python_files(ROOT / "tools"), *python_files(ROOT / "bench")]


def parsed(tmp_path, text):
    """Return a source file with this text."""
    path = tmp_path / "sample.py"
    path.write_text(text, encoding="utf-8")
    return SourceFile(path)


def say(found):
    """Write places as lines that an editor can follow."""
    return "\n".join(f"{file.place}:{line}: {name}" for file, places in found for line, name in places)


def may_use(file, name):
    """Say whether this file may use this clock."""
    measures = any(file.path.is_relative_to(folder) and name in clocks for folder, clocks in MAY_USE.items())
    return file.path == CLOCK_OWNER or measures


def test_only_the_clock_asks_the_machine_for_the_time():
    """Time is a parameter: nobody but `core/time.py` reads it, and measurements only count nanoseconds."""
    found = [(file, [(line, name) for line, name in clocks(file) if not may_use(file, name)]) for file in OURS]
    assert not say(found), f"take a core.time.Clock as a parameter instead of:\n{say(found)}"


def test_nobody_draws_from_hidden_randomness():
    """Randomness is a parameter: a generator that is passed in, or one seeded by an argument."""
    found = [(file, randomness(file)) for file in python_files(SOURCE)]
    assert not say(found), f"take a numpy.random.Generator or a seed as a parameter instead of:\n{say(found)}"


def test_no_source_can_load_code_from_data():
    """A version is data, never code: nothing unpickles."""
    found = [(file, modules_of_code_in_data(file)) for file in OURS if file.path != OPENS_PICKLES]
    assert not say(found), f"save arrays and JSON instead of:\n{say(found)}"


def test_the_one_file_that_opens_pickles_is_only_run_as_a_process():
    """Nobody imports it: what it may do is done in a process that has given up everything else."""
    assert modules_of_code_in_data(SourceFile(OPENS_PICKLES))
    name = "tradeworthy.change.intake.opening"
    users = [file.place for file in OURS if name in [found for _, found in names_used(file.tree)]]
    assert users == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("import time\ntime.sleep(1)", "time.sleep"),
        ("import time as t\nt.time_ns()", "time.time_ns"),
        ("from time import monotonic as m\nm()", "time.monotonic"),
        ("from datetime import datetime\ndatetime.now()", "datetime.datetime.now"),
        ("import datetime as d\nread = d.date.today", "datetime.date.today"),
        ("def f():\n    import time\n    return time.perf_counter()", "time.perf_counter"),
    ],
)
def test_the_clock_ban_sees_through_aliases(tmp_path, text, name):
    """An alias, a late import or a passed-on function does not hide a clock."""
    assert name in [found for _, found in clocks(parsed(tmp_path, text))]


@pytest.mark.parametrize(
    "text", ["def f(time):\n    return time.total", "import datetime\ndatetime.datetime(2020, 1, 1)"]
)
def test_the_clock_ban_leaves_other_words_alone(tmp_path, text):
    """A parameter called time, or a date that was given, is no clock."""
    assert clocks(parsed(tmp_path, text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "import random",
        "import numpy as np\nnp.random.rand(3)",
        "from numpy.random import normal",
        "from numpy import random as r\nr.seed(1)",
        "import numpy as np\nnp.random.default_rng()",
        "import numpy as np\nnp.random.default_rng(0)",
        "import uuid\nuuid.uuid4()",
    ],
)
def test_the_randomness_ban_finds_global_state_and_fixed_seeds(tmp_path, text):
    """Global generators, fresh entropy and a seed nobody can choose are all found."""
    assert randomness(parsed(tmp_path, text))


@pytest.mark.parametrize(
    "text",
    [
        "import numpy as np\ndef f(seed: int):\n    return np.random.default_rng(seed)",
        "import numpy as np\ndef f(rng: np.random.Generator):\n    return rng.normal()",
        "import numpy as np\ndef f(s: int):\n    return np.random.default_rng([s, 1])",
    ],
)
def test_the_randomness_ban_allows_what_is_passed_in(tmp_path, text):
    """A generator or a seed that comes as a parameter is allowed."""
    assert randomness(parsed(tmp_path, text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from joblib import load",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "f(allow_pickle=flag)",
    ],
)
def test_the_pickle_ban_finds_loaders(tmp_path, text):
    """Modules that run code while loading, and a load that might, are found."""
    assert modules_of_code_in_data(parsed(tmp_path, text))


def test_the_pickle_ban_allows_a_refusal(tmp_path):
    """Saying `allow_pickle=False` is the right thing."""
    assert modules_of_code_in_data(parsed(tmp_path, "import numpy as np\nnp.load('x', allow_pickle=False)")) == []
