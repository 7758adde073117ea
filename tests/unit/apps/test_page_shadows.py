"""Shadows on the page: each figure drawn with its bounds, and what is decided so far in the policy's own words."""

from xml.etree import ElementTree as ET

import numpy as np
import pytest
from page_visitors import visiting
from shadows_sample import compared, left
from small_project import at

from tradeworthy.apps.dashboard.shadowing import decided_so_far, figures_of, shadows_of
from tradeworthy.apps.reports.xy import bounded_chart
from tradeworthy.change.release.policy import PolicySettings
from tradeworthy.change.release.standing import Standing

POLICY = PolicySettings(loss_margin=0.01)


@pytest.mark.parametrize(
    ("found", "env", "word", "why"),
    [
        (compared(loss=-0.02), "paper", "good enough", "within the allowed +0.0100"),
        (compared(loss=-0.02), "live", "good enough", "a person promotes here"),
        (compared(loss=0.05), "paper", "not good enough", "allowed is at most +0.0100"),
        (compared(loss=-0.02, pnl_bps=-1.0), "paper", "not good enough", "it would earn less"),
        (compared(loss=0.01, spread=0.1), "paper", "undecided", "on either side of the allowed +0.0100 after 400"),
        (compared(n=80), "paper", "undecided", "too few for bounds after 80 of at most 2,000"),
        (compared(loss=0.01, spread=0.1, most=400), "paper", "not good enough", "on 400 of at most 400"),
        (compared(n=80, most=80), "paper", "not good enough", "80 decisions are too few"),
    ],
)
def test_what_is_decided_is_the_policys_word(found, env, word, why):
    """Promotion, retirement and neither are told as the policy would take them, with the reason."""
    said = decided_so_far(found, POLICY, Standing(), env)
    assert said.startswith(f"{word}: ")
    assert why in said


def test_a_figure_that_is_not_known_is_left_out():
    """Reasons are compared between tree ensembles only; elsewhere there are three figures."""
    assert [figure.name for figure in figures_of(compared())] == ["loss", "profit", "disagreement", "reasons"]


def test_the_pair_is_drawn_whichever_way_round_it_is_asked_for(tmp_path):
    """Four figures with a band each, the allowed loss as a line, and the word on them; the list leads there."""
    project = at("promoted", tmp_path)
    champion = project.resolve("champion")
    found = left(project, compared(version=champion, champion=champion, loss=-0.02))
    with visiting(project, "tom") as client:
        listed = client.get("/versions").text
        text = client.get(f"/versions/compare?one=champion&other={champion[:16]}").text
    assert f'href="/versions/compare?one={champion[:16]}&amp;other={champion[:16]}"' in listed
    assert ">good enough<" in listed
    assert "400 of 2,000" in listed
    assert text.count('class="curve band s1"') == 4
    assert text.count("bounds that hold at all times") == 4
    assert ">allowed<" in text
    assert "95% at all times" in text
    assert f"{found.loss.n} decisions" in text


def test_versions_that_never_met_have_no_such_part(tmp_path):
    """A comparison of other versions is not shown for these; without any, the list says how to get one."""
    project = at("promoted", tmp_path)
    with visiting(project, "tom") as client:
        assert "No shadow has been compared yet" in client.get("/versions").text
        left(project, compared())
        text = client.get("/versions/compare?one=champion&other=champion").text
        assert "aaaaaaaaaaaaaaaa" in client.get("/versions").text
    assert "As its shadow" not in text
    assert shadows_of(project).shadows[0].role == "none"


def test_too_few_decisions_are_said_and_not_drawn(tmp_path):
    """Without bounds there is no band; without a single block there is no drawing either."""
    project = at("promoted", tmp_path)
    champion = project.resolve("champion")
    with visiting(project, "tom") as client:
        for n, said in ((80, "too few decisions for bounds yet"), (5, "Loss: too few decisions yet.")):
            left(project, compared(n=n, version=champion, champion=champion))
            text = client.get(f"/versions/compare?one=champion&other={champion[:16]}").text
            assert said in text
            assert "curve band" not in text
            assert "too few for bounds" in text


def rows(n, *, undefined=0):
    """Return a mean that stays at 1 between bounds that close in; the first bounds may be undefined."""
    at_n = np.arange(1.0, n + 1)
    bounds = np.stack([at_n, np.ones(n), 1 - 1 / at_n, 1 + 1 / at_n], axis=1)
    bounds[:undefined, 2:] = np.nan
    return bounds


def classed(chart, word):
    """Return what of a drawing has a class."""
    tree = ET.fromstring(chart)  # noqa: S314  # our own
    return [each for each in tree.iter() if word in each.get("class", "").split() and each.tag != "i"]


def test_a_band_is_closed_and_lies_around_the_mean():
    """It goes along the lower bounds and back along the upper ones; what is not known is no part of it."""
    (band,) = classed(bounded_chart("Loss", rows(10, undefined=4), over="decisions", unit="nats"), "band")
    assert band.get("d").endswith("Z")
    assert band.get("d").count("L") == 2 * 6 - 1
    assert "nan" not in band.get("d")


def test_one_look_is_a_point_without_a_band():
    """A single look, or none with bounds, is drawn as its mean."""
    for one in (rows(1), rows(3, undefined=3)):
        chart = bounded_chart("Loss", one, over="decisions", unit="nats", levels=[(0.0, "no difference")])
        assert classed(chart, "band") == []
        assert len(classed(chart, "bar")) == len(one)
        assert "no difference" in chart


def test_words_stand_for_the_drawing():
    """Whoever cannot see it is told the mean, on how many values, and the bounds or that there are none."""
    known, unknown = (bounded_chart("Loss", r, over="decisions", unit="nats") for r in (rows(10), rows(3, undefined=3)))
    assert "1 nats after 10 decisions, between 0.9 and 1.1." in known
    assert "1 nats after 3 decisions, without bounds yet." in unknown
