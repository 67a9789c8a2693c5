"""What the chapters say together, of made-up verdicts; the page itself is built by the book's tests."""

import io
import types

import pandas as pd
import PIL.Image
import PIL.ImageOps
import pytest

from lib import overview
from lib.chapters import FOLDERS, PLANS
from lib.measures import estimate
from lib.overview import Judged
from lib.verdicts import HOLDS, NO_EFFECT, NOT_TESTED, REVERSED, UNDECIDED, Claim, Headline, Verdict

SAID = {HOLDS: "It holds.", REVERSED: "It is the other way.", NO_EFFECT: "It is nothing.", UNDECIDED: "Who knows <?>"}
HEADLINE = Headline("Surfaces", "b", *SAID.values())


def verdict(name, kind, difference=3.0):
    claim = Claim(name, f"Claim {name}.", "abstract" if name in "ab" else "ours", lambda rows: {})
    return Verdict(claim, kind, "mean of 2", None if kind == NOT_TESTED else estimate(difference, 1.0, 20), {})


def chapter(kinds, study="a_study", number=2, elsewhere=None, **changes):
    claims = [verdict(name, kind) for name, kind in kinds.items()]
    own = types.SimpleNamespace(
        HEADLINE=HEADLINE, CLAIMS=[v.claim for v in claims], PAPER=[v.claim for v in claims[:2]]
    )
    records = [
        {"data": {"train_images": images}, "seconds": 300.0, "config": {"method": "simclr", "dataset": "cifar10"}}
        for images in (5_000, 10_000)
    ]
    verdicts = {"cifar10": claims} | ({"scenes": elsewhere} if elsewhere else {})
    return Judged(number, study, own, types.SimpleNamespace(records=records), verdicts)


@pytest.mark.parametrize("kind", SAID)
def test_an_answer_is_the_sentence_of_its_verdict_with_a_badge_and_a_link(kind):
    badge = "open" if kind == UNDECIDED else "shown"
    page = overview.answers([chapter({"a": HOLDS, "b": kind, "c": REVERSED})]).data
    assert SAID[kind].replace("<?>", "&lt;?&gt;") in page and page.count("<li>") == 1  # the others are not said
    assert f'<span class="verdict {kind.replace(" ", "-")}">{badge}</span>' in page
    assert '<a href="notebooks/a_study.html">Chapter 2</a>' in page
    assert overview.sentences([chapter({"a": HOLDS, "b": kind})]) == {"a_study": SAID[kind]}


def test_an_answer_that_rows_cannot_test_says_so():
    page = overview.answers([chapter({"a": HOLDS, "b": NOT_TESTED})]).data
    assert "do not hold what the answer is judged by" in page and ">not tested<" in page


def test_counts_are_of_the_paper_s_claims_that_are_tested_on_the_first_data_set():
    found = [
        chapter({"a": HOLDS, "b": UNDECIDED, "c": REVERSED}, elsewhere=[verdict("a", REVERSED)]),
        chapter({"a": NOT_TESTED, "b": NO_EFFECT}, number=3),
    ]
    expected = pd.DataFrame(
        [[2, "Surfaces", 1, 0, 0, 1], [3, "Surfaces", 0, 1, 0, 0]],
        columns=["chapter", "topic", HOLDS, NO_EFFECT, REVERSED, UNDECIDED],
    )
    pd.testing.assert_frame_equal(overview.counts(found), expected)
    figure = overview.verdict_bars([*found, chapter({"a": NOT_TESTED, "c": HOLDS}, number=4)])  # which has no bar
    assert "What became of 3 claims of 2 papers" in figure.caption
    assert figure.caption.endswith("1 hold, 1 show no effect and 1 are undecided.")
    assert "Surfaces: 1 holds and 1 undecided." in figure.alt and "reversed" not in figure.alt
    (axes,) = figure.drawing.axes
    widths = [[bar.get_width() for bar in bars] for bars in axes.containers]
    assert widths == [[1, 0], [0, 1], [0, 0], [1, 0]]
    assert [bar.get_x() for bar in axes.containers[-1]] == [1, 1]  # behind what is before it
    assert [text.get_text() for text in axes.texts] == ["1", "1", "1"]
    card = PIL.Image.open(io.BytesIO(overview.preview(figure).data))
    left, top, right, bottom = PIL.ImageOps.invert(card.convert("L")).getbbox()
    assert card.size == (1200, 630) and min(left, top) > 20 and right < 1180 and bottom < 610
    assert right - left > 900 or bottom - top > 450  # as large as fits


def test_a_claim_of_ours_among_the_paper_s_is_ours():
    found = chapter({"c": HOLDS, "b": NO_EFFECT})
    assert overview.counts([found])[[HOLDS, NO_EFFECT]].to_numpy().tolist() == [[0, 1]]
    assert list(overview.claims_table(found)["whose"]) == ["ours", "the paper's (abstract)"]


def test_the_scale_is_said_in_numbers_of_the_records():
    told = overview.scale([chapter({"a": HOLDS, "b": HOLDS})])
    assert "trained on 5,000 to 10,000 images of CIFAR-10" in told and "at most 5 minutes" in told


def test_the_table_has_the_paper_s_claims_and_ours_on_all_data_sets():
    found = chapter({"a": HOLDS, "b": NOT_TESTED, "c": UNDECIDED}, elsewhere=[verdict("a", REVERSED, -3.0)])
    table = overview.claims_table(found)
    assert list(table["claim"]) == ["Claim a.", "Claim c.", "Claim a."]
    assert list(table["whose"]) == ["the paper's (abstract)", "ours", "the paper's (abstract)"]
    assert list(table["data"]) == ["cifar10", "cifar10", "scenes"] and "published" not in table
    assert list(table["verdict"].str.split(" ").str[0]) == ["holds", "undecided", "reversed"]
    assert table["difference (points)"].iloc[2] == "-3.0 [-5.1, -0.9]"  # 20 degrees of freedom: 2.086
    page = overview.claims([found]).data
    assert '<h2><a href="a_study.html">Chapter 2</a>: Surfaces</h2>' in page and page.count("<table") == 1


def test_every_headline_is_of_a_claim_that_its_chapter_judges():
    for folder in FOLDERS.values():
        module = overview.import_module(f"lib.chapters.{folder}")
        if hasattr(module, "HEADLINE"):
            assert module.HEADLINE.claim in {claim.name for claim in module.CLAIMS}
            assert {claim.name for claim in module.PAPER} <= {claim.name for claim in module.CLAIMS}
            sentences = [module.HEADLINE.told(kind) for kind in SAID]
            assert len(set(sentences)) == 4 and all(len(sentence.split()) < 25 for sentence in sentences)


def test_chapters_are_read_with_the_parameters_of_a_notebook(monkeypatch):
    """Each by its own study, in the order of the book; what asks no paper is not among them."""
    asked = []
    rows = pd.DataFrame({"dataset": ["cifar10", "scenes", "cifar10"]})

    def from_notebook(plan, parameters):
        asked.append((plan.name, parameters))
        return types.SimpleNamespace(results=lambda: types.SimpleNamespace(rows=rows, records=[]))

    monkeypatch.setattr(overview.Study, "from_notebook", from_notebook)
    monkeypatch.setattr(overview, "judged", lambda claims, rows: [len(rows)])
    for folder in FOLDERS.values():
        module = overview.import_module(f"lib.chapters.{folder}")
        if hasattr(module, "with_wide"):
            monkeypatch.setattr(module, "with_wide", lambda rows: rows)
    found = overview.chapters({"preset": "quick"})
    assert asked == [(chapter.study, {"preset": "quick"}) for chapter in found]
    assert [chapter.number for chapter in found] == list(range(1, len(found) + 1))
    assert [chapter.study for chapter in found] == [name for name in PLANS if name != "methods"]
    assert all(chapter.verdicts == {"cifar10": [2], "scenes": [1]} and chapter.own == "cifar10" for chapter in found)
