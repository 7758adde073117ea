"""Reason codes: adverse only, at most four, worded by a catalogue that covers every feature."""

import pytest

from tradeworthy.core.errors import NotFound, SettingsInvalid
from tradeworthy.judge.explain.attribution import Explanation
from tradeworthy.judge.explain.catalogue import (
    Catalogue,
    Entry,
    generated_catalogue,
    read_catalogue,
    reason_codes,
    to_toml,
)

NAMES = ("income", "debt", "age_of_file", "enquiries", "limit_used", "late")
WRITTEN = """
version = "2026-11"
favourable = "high"

[reason.income]
code = "A1"
text = "Income insufficient"

[reason.debt]
code = "A2"
text = "Obligations too high"
"""


def explanation(*contributions: float):
    """Return an explanation with these contributions."""
    names = NAMES[: len(contributions)]
    zeros = (0.0,) * len(names)
    return Explanation(
        method="exact", baseline=0.0, margin=sum(contributions), score=0.3,
        names=names, values=zeros, contributions=contributions, errors=zeros,
    )  # fmt: skip


def full(favourable="high"):
    """Return a catalogue with a code for every feature."""
    return Catalogue(
        version="1",
        favourable=favourable,
        reason={n: Entry(code=f"C{i}", text=n.title()) for i, n in enumerate(NAMES)},
    )


@pytest.mark.parametrize(
    ("favourable", "expected"),
    [("high", ["late", "debt", "enquiries", "age_of_file"]), ("low", ["limit_used", "income"])],
)
def test_only_adverse_contributions_become_reasons(favourable, expected):
    """What spoke for somebody is no reason against them; the largest come first, and there are at most four."""
    found = reason_codes(explanation(0.3, -0.4, -0.1, -0.2, 0.5, -0.9), full(favourable))
    assert [code.feature for code in found.codes] == expected
    five = reason_codes(explanation(-0.3, -0.4, -0.1, -0.2, -0.5, -0.9), full())
    assert [code.feature for code in five.codes] == ["late", "limit_used", "debt", "income"]
    assert len(reason_codes(explanation(-0.3, -0.4, -0.1, -0.2, -0.5, -0.9), full(), count=9).codes) == 4


def test_features_that_share_a_code_are_one_reason():
    """Two features of one code are told once, and make room for another."""
    shared = Catalogue(version="1", reason={n: Entry(code="X" if n != "late" else "Y", text="t") for n in NAMES})
    found = reason_codes(explanation(-0.9, -0.8, -0.7, -0.6, -0.5, -0.1), shared)
    assert [(code.code, code.feature) for code in found.codes] == [("X", "income"), ("Y", "late")]


def test_no_reason_against_somebody():
    """Where everything spoke for them there are no codes."""
    assert reason_codes(explanation(0.3, 0.0, 0.2), full()).codes == []


def test_a_feature_without_a_code_is_refused_when_it_is_needed():
    """An adverse reason that nobody has worded is an error, not a gap in the letter."""
    short = Catalogue(version="1", reason={"debts": Entry(code="A", text="t")})
    with pytest.raises(NotFound, match="no reason for feature 'debt'"):
        reason_codes(explanation(0.3, -0.4), short)


def test_the_catalogue_that_was_used_is_named():
    """Version and digest go with the codes; another text is another digest."""
    found = reason_codes(explanation(-0.3), full())
    assert (found.catalogue, found.digest) == ("1", full().digest)
    other = Catalogue(version="1", reason={**full().reason, "late": Entry(code="C5", text="Other")})
    assert other.digest != full().digest


def test_a_catalogue_is_read_and_checked(tmp_path):
    """A file gives its codes; features without one, or with an empty text, are named."""
    path = tmp_path / "reasons.toml"
    path.write_text(WRITTEN)
    found = read_catalogue(path)
    assert found.reason["debt"] == Entry(code="A2", text="Obligations too high")
    assert found.missing(NAMES[:3]) == ["age_of_file"]
    assert Catalogue(version="1", reason={"a": Entry(code="1", text=" ")}).missing(["a"]) == ["a"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version = 1", "reason catalogue"),
        ("version = ", "reason catalogue"),
        ('version = "1"\nfavorable = "high"', "favorable"),
        (WRITTEN.replace("A2", "A1"), "stands for another text"),
    ],
)
def test_what_is_no_catalogue(text, said, tmp_path):
    """A file that is no catalogue is refused with what is wrong."""
    path = tmp_path / "reasons.toml"
    path.write_text(text)
    with pytest.raises(SettingsInvalid, match=said):
        read_catalogue(path)


def test_a_missing_file_says_how_to_write_one(tmp_path):
    """Without a file, the command that writes one is named."""
    with pytest.raises(NotFound, match="tradeworthy reasons"):
        read_catalogue(tmp_path / "reasons.toml")


def test_a_generated_catalogue_covers_everything_and_survives_its_file(tmp_path):
    """Descriptions make a whole catalogue, odd names and quotes included; written and read it is the same."""
    names = ["a", 'b "quoted"', "c.d", "é\n"]
    made = generated_catalogue(names, lambda name: f"what {name} is")
    assert made.missing(names) == []
    path = tmp_path / "reasons.toml"
    path.write_text(to_toml(made), encoding="utf-8")
    assert read_catalogue(path) == made
