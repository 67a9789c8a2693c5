"""What the chapters say together: every claim judged, verdicts counted and drawn, and each answer in a sentence."""

from __future__ import annotations

import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import PIL.Image
from IPython.display import HTML, Image

from lib.chapters import FOLDERS, PLANS
from lib.chapters.asked import by_data_set, claims_of
from lib.figures import Figure, table
from lib.figures.prose import listed
from lib.figures.style import settle, use_style
from lib.runs import Results, Study
from lib.verdicts import HOLDS, NO_EFFECT, REVERSED, UNDECIDED, Verdict, in_words, judged, published

# Okabe and Ito's, and grey
COLOURS = {HOLDS: "#009E73", NO_EFFECT: "#56B4E9", REVERSED: "#D55E00", UNDECIDED: "#C8C8C8"}
BADGES = {HOLDS: "shown", REVERSED: "shown", NO_EFFECT: "shown", UNDECIDED: "open"}


@dataclass(frozen=True)
class Judged:
    """A chapter of the book, the results that it stands on, and verdicts on all its claims, by data set.

    `number` is the chapter's in the book. `module` is its folder's; beside all `CLAIMS` it may have those of its
    `PAPER` by themselves, and a `HEADLINE`.
    """

    number: int
    study: str
    module: ModuleType
    results: Results
    verdicts: Mapping[str, Sequence[Verdict]]

    @property
    def own(self) -> str:
        """The data set that the chapter is mostly about, its first."""
        return next(iter(self.verdicts))

    @property
    def topic(self) -> str:
        """A word or two on what the chapter asks; "" where it has no headline."""
        return self.module.HEADLINE.topic if hasattr(self.module, "HEADLINE") else ""

    @property
    def headline(self) -> Verdict:
        """On the claim that the chapter's answer in one sentence stands for."""
        name = self.module.HEADLINE.claim
        return next(verdict for verdict in self.verdicts[self.own] if verdict.claim.name == name)

    @property
    def of_paper(self) -> set[str]:
        """The names of the claims that are the paper's own; among them may stand some of ours."""
        claims = getattr(self.module, "PAPER", self.module.CLAIMS)
        return {claim.name for claim in claims if claim.source != "ours"}

    def tested(self) -> list[Verdict]:
        """On those claims of the paper that the chapter's own data set can test."""
        own = self.verdicts[self.own]
        return [verdict for verdict in own if verdict.tested and verdict.claim.name in self.of_paper]


def chapters(parameters: dict[str, object]) -> list[Judged]:
    """Every chapter that makes claims, in the order of the book, each by a study with these `parameters`.

    They are those of `lib.runs.Study.from_notebook`, which every chapter has: preset, dataset, seeds and recompute.
    """
    found: list[Judged] = []
    for study, folder in FOLDERS.items():
        if not claims_of(study):  # a page that asks no paper
            continue
        module = import_module(f"lib.chapters.{folder}")
        results = Study.from_notebook(PLANS[study], parameters).results()
        verdicts = {name: judged(claims_of(study), rows) for name, rows in by_data_set(study, results.rows)}
        found.append(Judged(len(found) + 1, study, module, results, verdicts))
    return found


def answers(found: Sequence[Judged]) -> HTML:
    """The chapters' answers, a plain sentence each with its verdict and a link, for the first page of the book."""
    items = "".join(_answer(chapter) for chapter in found if hasattr(chapter.module, "HEADLINE"))
    return HTML(f'<ol class="answers">{items}</ol>')


def sentences(found: Sequence[Judged]) -> dict[str, str]:
    """The same sentences by the names of their chapters' notebooks, for pages that quote one."""
    return {chapter.study: _told(chapter) for chapter in found if hasattr(chapter.module, "HEADLINE")}


def _told(chapter: Judged) -> str:
    return chapter.module.HEADLINE.told(chapter.headline.verdict)


def _answer(chapter: Judged) -> str:
    headline = chapter.headline
    sentence = html.escape(_told(chapter))
    kind = headline.verdict.replace(" ", "-")
    badge = f'<span class="verdict {kind}">{BADGES.get(headline.verdict, headline.verdict)}</span>'
    return f'<li>{sentence} {badge} <a href="notebooks/{chapter.study}.html">Chapter {chapter.number}</a></li>'


def scale(found: Sequence[Judged]) -> str:
    """How small the encoders are, in a sentence: on what, and for how long most of them were trained."""
    records = [record for chapter in found for record in chapter.results.records]
    images = sorted({record["data"]["train_images"] for record in records})
    minutes = np.median([record["seconds"] for record in records if record["config"]["method"] != "random"]) / 60
    told = f"{images[0]:,}" if len(images) == 1 else f"{images[0]:,} to {images[-1]:,}"
    sets = listed(sorted({_set(record) for record in records}))
    return (
        f"Behind the answers are encoders that were trained on {told} images of {sets}, half of them in at most "
        f"{max(2, int(np.ceil(minutes)))} minutes. What holds at this scale need not hold at a larger one."
    )


def _set(record: dict) -> str:
    return {"cifar10": "CIFAR-10", "scenes": "rendered scenes"}.get(name := record["config"]["dataset"], name)


def counts(found: Sequence[Judged]) -> pd.DataFrame:
    """One line a chapter: how many of its paper's claims, on its own data set, have each verdict."""
    return pd.DataFrame(
        {"chapter": chapter.number, "topic": chapter.topic}
        | {kind: sum(verdict.verdict == kind for verdict in chapter.tested()) for kind in COLOURS}
        for chapter in found
    )


def verdict_bars(found: Sequence[Judged]) -> Figure:
    """A bar a chapter: what became of the claims of its paper."""
    kinds = counts(found)
    kinds = kinds[kinds[list(COLOURS)].sum(axis=1) > 0].reset_index(drop=True)  # the others have no bar
    use_style()
    drawing, axes = plt.subplots(figsize=(4.6, 0.6 + 0.42 * len(kinds)), layout="constrained")
    left = np.zeros(len(kinds))
    for kind, colour in COLOURS.items():
        width = kinds[kind].to_numpy()
        axes.barh(kinds.index, width, left=left, color=colour, height=0.66, label=kind)
        for place in np.flatnonzero(width):
            axes.text(left[place] + width[place] / 2, place, str(width[place]), ha="center", va="center", fontsize=10)
        left += width
    labels = [f"{line.topic} ({line.chapter})".lstrip() for line in kinds.itertuples()]
    axes.set(yticks=kinds.index, yticklabels=labels, xticks=[], xlim=(0, left.max()))
    axes.invert_yaxis()
    axes.spines[["bottom", "left"]].set_visible(False)
    axes.tick_params(length=0)
    axes.grid(False)
    drawing.legend(loc="outside upper center", ncols=len(COLOURS), frameon=False, handlelength=1, columnspacing=1)
    settle(drawing)
    totals = {kind: int(kinds[kind].sum()) for kind in COLOURS}
    told = listed([f"{count} {_in_sentence(kind)}" for kind, count in totals.items() if count])
    chapter_by_chapter = " ".join(
        f"{line['topic']}: {listed([f'{line[kind]} {kind}' for kind in COLOURS if line[kind]])}."
        for line in kinds.to_dict("records")
    )
    return Figure(
        drawing,
        name="fig-verdicts",
        caption=f"What became of {sum(totals.values())} claims of {len(kinds)} papers, tested anew, a "
        f"bar for each paper with its chapter in parentheses: {told}.",
        alt=f"Stacked bars of verdicts on the papers' claims. {chapter_by_chapter}",
        data=kinds,
    )


PREVIEW = 1200, 630  # px of an image beside a link, as Open Graph wants it


def preview(figure: Figure) -> Image:
    """A figure as large as fits on a white card of `PREVIEW`, for those who show a link to the book."""
    buffer = io.BytesIO()
    width, height = figure.drawing.get_size_inches()
    dpi = 0.92 * min(PREVIEW[0] / width, PREVIEW[1] / height)
    figure.drawing.savefig(buffer, format="png", dpi=dpi)
    card, drawn = PIL.Image.new("RGB", PREVIEW, "white"), PIL.Image.open(buffer).convert("RGB")
    card.paste(drawn, tuple((own - part) // 2 for own, part in zip(PREVIEW, drawn.size, strict=True)))
    buffer = io.BytesIO()
    card.save(buffer, "png", optimize=True)
    return Image(buffer.getvalue(), format="png")


def _in_sentence(kind: str) -> str:
    return {HOLDS: "hold", REVERSED: "are reversed", NO_EFFECT: "show no effect", UNDECIDED: "are undecided"}[kind]


def claims(found: Sequence[Judged]) -> HTML:
    """The `claims_table` of each chapter under a heading with a link to it."""
    parts = []
    for chapter in found:
        link = f'<a href="{chapter.study}.html">Chapter {chapter.number}</a>'
        heading = ": ".join(filter(None, (link, html.escape(chapter.topic))))
        parts.append(f"<h2>{heading}</h2>{table(claims_table(chapter)).data}")
    return HTML("".join(parts))


def claims_table(chapter: Judged) -> pd.DataFrame:
    """One line a claim and data set that can test it: the paper's own first, then ours."""
    lines = [
        {
            "claim": verdict.claim.statement,
            "whose": f"the paper's ({verdict.claim.source})"
            if verdict.claim.name in chapter.of_paper
            else verdict.claim.source,
            "data": dataset,
            "verdict": in_words(verdict),
            "difference (points)": str(verdict.difference),
            "published": published(verdict),
        }
        for dataset, verdicts in chapter.verdicts.items()
        for verdict in verdicts
        if verdict.tested
    ]
    told = pd.DataFrame(lines)
    silent = [name for name in ("data", "published") if len(told) and told[name].nunique() == 1]
    return told.drop(columns=silent)
