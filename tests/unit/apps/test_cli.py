"""The command line: every command does its work, and every mistake becomes one line and exit code 2."""

import getpass
import json
import shutil
import subprocess
import sys
from typing import Any

import pytest
from small_project import ADA, BOB, at, looked_at

from tradeworthy.apps.cli.main import INTERRUPTED, ROOMS, app, run_command_line
from tradeworthy.apps.commands.project import Project

COMMANDS = [command.name or command.callback.__name__ for command in app.registered_commands]


@pytest.fixture
def call(capsys):
    """Return a function that runs one command: exit code, standard output, error output."""

    def run(*words: object, project: Project | None = None) -> Any:
        given = [*words, *(["--project", project.folder] if project else [])]
        with pytest.raises(SystemExit) as left:
            run_command_line([str(word) for word in given])
        said = capsys.readouterr()
        return left.value.code, said.out, said.err

    return run


@pytest.fixture
def refused(call):
    """Return a function that runs a command which cannot be carried out, and returns its one line."""

    def run(*words: object, project: Project | None = None) -> Any:
        code, out, err = call(*words, project=project)
        assert (code, out) == (2, "")
        lines = [line for line in err.splitlines() if line.strip()]
        assert len(lines) == 1, err
        assert lines[0].startswith("error  ")
        return lines[0]

    return run


def no_constants(name):
    """Refuse NaN and infinity, which are no JSON."""
    raise AssertionError(f"{name} is no JSON")


def strict(text):
    """Read one JSON document, strictly."""
    return json.loads(text, parse_constant=no_constants)


def test_the_whole_story(call, tmp_path):
    """From fresh files to a verified record, every command answers with a JSON document and exit code 0."""
    project = at("fresh", tmp_path)
    story = [
        (["look"], "files"),
        (["train"], "auc"),
        (["register", "--actor", ADA, "--name", "small"], "version"),
        (["gate", "newest", "--actor", ADA], "passed"),
        (["approve", "newest", "--actor", BOB, "--reason", "read"], "version"),
        (["promote", "newest", "--to", "champion", "--reason", "first"], "version"),
        (["run", "--no-watch"], "decisions"),
        (["explain", "largest"], "sum_error"),
        (["replay"], "identical"),
        (["verify"], "ok"),
        (["report"], "path"),
        (["halt", "--reason", "looks wrong"], "done"),
        (["resume", "--reason", "is right"], "done"),
        (["status"], "champion"),
        (["doctor"], "healthy"),
    ]
    for words, key in story:
        code, out, _ = call(*words, "--json", project=project)
        assert code == 0, (words, out)
        assert strict(out)[key] not in (None, False), words


@pytest.mark.parametrize(
    "words",
    [["look"], ["replay"], ["verify"], ["explain", "largest"], ["status"], ["doctor"]],
    ids=lambda words: words[0],
)
def test_people_read_lines_that_fit(words, call, monkeypatch):
    """On 80 columns no line is longer, and no word is cut off."""
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = call(*words, project=looked_at("traded"))
    assert code == 0
    assert max(len(line.rstrip()) for line in out.splitlines()) <= 80
    assert "…" not in out


def test_status_names_versions_by_their_beginning(call):
    """A line of the table of versions has the digest's first sixteen characters, name, author, role and gate."""
    project = looked_at("traded")
    _, out, _ = call("status", project=project)
    version = project.resolve("champion")
    line = next(line for line in out.splitlines() if line.startswith(version[:16]) and ADA in line)
    assert line.split()[:5] == [version[:16], "small", ADA, "champion", "passed"]


def test_status_before_anything(call):
    """A project without versions is told how to get one."""
    code, out, _ = call("status", project=looked_at("fresh"))
    assert code == 0
    assert "run: tradeworthy train" in out


def test_a_gate_that_refuses_leaves_with_one(call, tmp_path):
    """A version that fails a check gives exit code 1, and the line says what was required."""
    project = at("registered", tmp_path)
    path = project.folder / "tradeworthy.toml"
    path.write_text(
        path.read_text("utf-8").replace("[gate.latency]", "[gate.performance]\nauc_low_min = 0.99\n\n[gate.latency]"),
        "utf-8",
    )
    code, out, _ = call("gate", "newest", "--actor", ADA, project=project)
    assert code == 1
    assert "required: lower confidence bound" in out
    assert "refused" in out
    report = next((project.places.root / "reports").glob("*.html"))
    assert f"read {report}, mend what it names, then: tradeworthy train" in out


def test_damage_leaves_with_one(call, tmp_path):
    """A changed byte of the record gives exit code 1, and the stream is named."""
    project = at("traded", tmp_path)
    segment = next((project.places.tape / "streams" / "decisions").glob("*.seg*"))
    data = bytearray(segment.read_bytes())
    data[5_000] ^= 1
    segment.write_bytes(bytes(data))
    code, out, _ = call("verify", "--json", project=project)
    assert code == 1
    assert "decisions" in " ".join(strict(out)["problems"])


def test_a_missing_limit_is_a_fault_to_the_doctor(call, tmp_path):
    """The doctor leaves with 1 and names the limit and the section."""
    project = at("fresh", tmp_path)
    path = project.folder / "tradeworthy.toml"
    path.write_text(path.read_text("utf-8").replace("drawdown_value_max = 50_000.0\n", ""), "utf-8")
    code, out, _ = call("doctor", project=project)
    assert code == 1
    assert "drawdown_value_max" in out
    assert "[limits]" in out


def test_speed_slows_the_run(call, tmp_path):
    """A speed in events a second is accepted, and trades all the same."""
    project = at("promoted", tmp_path)
    code, out, _ = call("run", "--no-watch", "--speed", "100000", "--json", project=project)
    assert code == 0
    assert strict(out)["decisions"] == 1_200


@pytest.mark.parametrize(
    "words",
    [
        *([name] for name in ("look", "train", "register", "gate", "run", "replay", "report", "verify", "status")),
        *([name, "--reason", "r"] for name in ("rollback", "halt", "resume")),
        ["approve", "x", "--reason", "r"],
        ["promote", "x", "--to", "champion", "--reason", "r"],
        ["explain", "1"],
    ],
    ids=lambda words: words[0],
)
def test_no_project(words, refused, tmp_path):
    """Every command that needs a project says where it looked and how to make one."""
    line = refused(*words, "--project", tmp_path / "nowhere")
    assert "no tradeworthy.toml in" in line
    assert str(tmp_path / "nowhere") in line
    assert "tradeworthy init" in line


def test_a_file_named_for_its_project(refused, tmp_path):
    """Who names the settings file instead of its folder is told what is asked for."""
    (tmp_path / "tradeworthy.toml").write_text("")
    line = refused("status", "--project", tmp_path / "tradeworthy.toml")
    assert "no tradeworthy.toml in" in line
    assert "name a project with --project" in line


def test_an_order_that_is_none_cannot_be_overridden(refused):
    """A sequence that is no decision's is answered with the nearest that is."""
    line = refused("override-order", "1", "--project", looked_at("traded").folder, "--actor", "ada", "--reason", "r")
    assert "tape sequence 1 is no decision's; the nearest is" in line


@pytest.mark.parametrize(
    ("stage", "words", "said"),
    [
        ("fresh", ["register"], "train one with: tradeworthy train"),
        ("fresh", ["gate"], "run: tradeworthy train, then tradeworthy register"),
        ("fresh", ["run"], "no version is champion; run: tradeworthy promote"),
        ("fresh", ["replay"], "run: tradeworthy run"),
        ("fresh", ["verify"], "run: tradeworthy run"),
        ("fresh", ["report"], "run: tradeworthy run"),
        ("fresh", ["explain", "largest"], "run: tradeworthy run"),
        ("fresh", ["rollback", "--reason", "r"], "no previous champion"),
        ("fresh", ["run", "--speed", "0"], "speed is 0 events a second, allowed is a positive number"),
        ("fresh", ["run", "--speed", "nan"], "speed is nan"),
        ("fresh", ["halt", "--scope", "moon", "--reason", "r"], "scope is 'moon', allowed are 'all'"),
        ("fresh", ["resume", "--scope", "instrument:XYZ", "--reason", "r"], "['ABC']"),
        ("fresh", ["resume", "--reason", " "], "reason"),
        ("registered", ["promote", "newest", "--to", "champion", "--reason", "r"], "run: tradeworthy gate"),
        ("registered", ["promote", "newst", "--to", "champion", "--reason", "r"], "(near: 'newest')"),
        ("registered", ["promote", "newest", "--to", "chmpion", "--reason", "r"], "(near: 'champion'); allowed are"),
        (
            "gated",
            ["promote", "newest", "--to", "shadow", "--share", "0.5", "--reason", "r"],
            "only a canary acts on a part",
        ),
        (
            "promoted",
            ["promote", "champion", "--to", "canary", "--instruments", "ABC", "--reason", "r"],
            "is champion already",
        ),
        ("registered", ["promote", "deadbeef", "--to", "shadow", "--reason", "r"], "no version 'deadbeef'"),
        ("registered", ["gate", "newest", "--profile", "quik"], "allowed are quick, full"),
        ("gated", ["approve", "newest", "--actor", ADA, "--reason", "r"], "may not approve it; ask somebody else"),
        ("promoted", ["rollback", "--reason", "r"], "no previous champion to roll back to"),
        ("promoted", ["gate", "shadow"], "no version is shadow"),
        ("traded", ["run", "--no-watch"], "was traded already; add data"),
        ("traded", ["explain", "nonsense"], "allowed are a tape sequence, a UTC time"),
        ("traded", ["explain", "999999999"], "the nearest is"),
        ("traded", ["explain", "2011-01-01"], "the first is of 2020-"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_done_is_said_on_one_line(stage, words, said, refused):
    """A refused command says what was found, what is allowed or what to do; nothing is a traceback."""
    assert said in refused(*words, project=looked_at(stage))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["promot"], "No such command 'promot'. Did you mean 'promote'?; see: tradeworthy --help"),
        (["run", "--sped", "3"], "--sped"),
        (["run", "--speed", "fast"], "'--speed'"),
        (["query"], "see: tradeworthy query --help"),
        (["promote", "newest", "--to", "champion"], "--reason"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_wrong_words_are_one_line_too(words, said, refused):
    """Words that the command line does not know end like every other mistake, with a place where help is."""
    line = refused(*words)
    assert line.startswith("error  Usage: ")
    assert said in line
    assert "--help" in line


def test_help_shows_every_command_in_one_room(call):
    """The rooms of the house are the parts of the help, and no command stands outside or in two of them."""
    named = sorted(name for names in ROOMS.values() for name in names)
    assert named == sorted([*COMMANDS, *(group.name for group in app.registered_groups)])
    _, out, _ = call("--help")
    places = [out.index(f"─ {room} ─") for room in ROOMS]
    assert places == sorted(places)


@pytest.mark.parametrize("words", [[], ["people"], ["keys"]], ids=["nothing", "people", "keys"])
def test_a_group_alone_is_its_help(words, call):
    """Without a command of its group the help is printed, and no error beside it that says nothing."""
    code, out, err = call(*words)
    assert code == 2
    assert "Usage: tradeworthy" in out
    assert err.strip() == ""


def test_a_halt_needs_no_reason_to_be_found_first(call, tmp_path):
    """Nobody who is in a hurry is asked why; that it came from the command line is recorded."""
    code, out, _ = call("halt", "--json", project=at("fresh", tmp_path))
    assert code == 0
    assert strict(out)["reason"] == "from the command line"


def test_init_makes_a_project(call, tmp_path):
    """`init` writes a project that opens, and says what to type next."""
    code, out, _ = call("init", tmp_path / "desk", "--json")
    assert code == 0
    assert "strategy.py" in strict(out)["files"]
    assert strict(out)["next"].endswith("tradeworthy train")
    assert Project(tmp_path / "desk").settings.desk.name == "desk"


def test_init_leaves_what_is_there(refused, tmp_path):
    """`init` into a folder that holds something is refused."""
    (tmp_path / "mine.txt").touch()
    assert "is not empty" in refused("init", tmp_path)


def test_the_demo_leaves_what_is_there(refused, tmp_path):
    """`demo` in a folder that is not a demo's is refused, and the folder stays as it is."""
    (tmp_path / "mine.txt").touch()
    assert "--folder" in refused("demo", "--exit", "--folder", tmp_path)
    assert (tmp_path / "mine.txt").exists()


@pytest.mark.parametrize("speed", ["0", "-1", "nan"])
def test_the_demo_needs_a_speed(speed, refused, tmp_path):
    """A speed that is not positive is refused before anything is made."""
    assert "allowed is a positive number" in refused("demo", "--speed", speed, "--folder", tmp_path / "demo")
    assert not (tmp_path / "demo").exists()


def test_the_actor_is_the_user(call, tmp_path):
    """Who does something is the person at the machine, unless named."""
    project = at("fresh", tmp_path)
    _, out, _ = call("halt", "--reason", "looks wrong", "--json", project=project)
    assert strict(out)["actor"] == getpass.getuser()
    assert project.ledger.facts()[-1].actor == getpass.getuser()


def test_a_file_that_cannot_be_written_is_one_line(refused, tmp_path):
    """An error of the operating system names the file, and is no traceback."""
    (tmp_path / "file").touch()
    line = refused("report", "--output", tmp_path / "file" / "report.html", project=looked_at("traded"))
    assert str(tmp_path / "file") in line


def test_an_interrupt_is_no_traceback(call, monkeypatch):
    """Ctrl-C ends with the shell's own code for it."""

    def interrupted(_folder: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tradeworthy.apps.cli.main._project", interrupted)
    code, _, err = call("look")
    assert code == INTERRUPTED
    assert "Traceback" not in err


def test_every_command_has_help_and_json(call):
    """Each command explains itself, and each answers with JSON."""
    for name in COMMANDS:
        code, out, _ = call(name, "--help")
        assert code == 0
        assert "--json" in out, name


def test_help_names_sections_of_settings(call):
    """What stands in brackets is text, not markup."""
    assert "[feed]" in call("run", "--help")[1]


def test_the_module_is_the_same_command(tmp_path):
    """`python -m tradeworthy.apps.cli` works where no script is installed, and keeps standard output clean."""
    shutil.copytree(looked_at("fresh").folder, tmp_path / "small")
    words = [sys.executable, "-m", "tradeworthy.apps.cli", "look", "--json", "-p", str(tmp_path / "small")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert strict(done.stdout)["files"][0]["bars"] == 3_000
