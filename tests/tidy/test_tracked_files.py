"""What is tracked says nothing about the machine it was written on."""

import re
import subprocess

import pytest
from source_tree import ROOT

MACHINE_PATH = re.compile(r"(?<![\w.<>-])/(?:work|root|home|Users|farm|mnt)/[\w.-]+")
PACKAGE_INDEX = re.compile(
    r"(?:index-url|index_url|trusted-host|find-links)\s*[= ]\s*\S|_INDEX_URL\b|https?://\S+/simple\b"
)
ADDRESS = re.compile(r"https?://([^/\s\"'`)>\]}:]+)")
KNOWN_HOSTS = {
    "www.apache.org",
    "www.w3.org",
    "keepachangelog.com",
    "semver.org",
    "docs.python.org",
    "doi.org",
    "arxiv.org",
    "github.com",
    "localhost",
    "127.0.0.1",
    "[",
    "api.binance.com",  # where a live feed asks for whole books and bars of the past, unless told otherwise
    "api.coinbase.com",
}
RESERVED = (".example", "example.com", "example.org", ".test", ".invalid")


def tracked_texts():
    """Return the path and text of every tracked text file."""
    command = ["git", "ls-files", "-z"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip("not a git work tree: nothing is tracked")
    paths = [ROOT / name for name in listing.stdout.split("\0") if name]
    return [(path, text) for path in paths if path.is_file() and (text := read(path)) is not None]


def read(path):
    """Return a file's text, or nothing for a binary file."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def places(pattern):
    """Return every match of a pattern in the tracked files."""
    here = {path: text for path, text in tracked_texts() if path.name != "test_tracked_files.py"}
    return [f"{path.relative_to(ROOT)}: {m[0]}" for path, text in here.items() for m in pattern.finditer(text)]


def test_no_tracked_file_names_a_machine_path():
    """A path of one machine means nothing on another."""
    assert places(MACHINE_PATH) == []


def test_no_tracked_file_names_a_package_index():
    """Where packages come from is the machine's business, not the project's."""
    assert places(PACKAGE_INDEX) == []


def test_every_address_is_a_known_public_reference():
    """Addresses point to licences, standards, papers and reserved examples only."""
    hosts = {
        (path.relative_to(ROOT).as_posix(), m[1]) for path, text in tracked_texts() for m in ADDRESS.finditer(text)
    }
    unknown = {(path, host) for path, host in hosts if host not in KNOWN_HOSTS and not host.endswith(RESERVED)}
    assert unknown == set()


@pytest.mark.parametrize("text", ["see /home/ann/x", '"/root/.cache"', "cd /Users/ann"])
def test_machine_paths_are_recognised(text):
    """Home folders and work folders are machine paths."""
    assert MACHINE_PATH.search(text)


@pytest.mark.parametrize("text", ["src/work/x", "tests/home/x", "https://example.com/home/x", "<root>/home/x"])
def test_relative_paths_are_no_machine_paths(text):
    """A folder of the project that is called work or home is fine."""
    assert not MACHINE_PATH.search(text)
