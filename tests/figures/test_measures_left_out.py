"""A page whose rows lack a whole measure goes on: what needs it is left out, and a sentence stands there."""

import ast
import copy
import json
import re
import sys
import types
from dataclasses import replace

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from lib import contrasts, designs, figures, paths, verdicts
from lib.book import DETAILS
from lib.chapters import PLANS
from lib.errors import BadInput
from lib.figures.prose import UNTOLD
from lib.runs import Study

NOTEBOOKS = paths.ROOT / "notebooks"
PAGES = [name for name in (*PLANS, *(f"{plan}{DETAILS}" for plan in PLANS)) if (NOTEBOOKS / f"{name}.ipynb").exists()]
ELSEWHERE = {"lib.training", "lib.images", "lib.shifts.saliency", "lib.measures", "lib.precision"}  # of live cells
IMAGES = ("mask_quality_table", "background_sheet", "swapped_sheet", "saliency_failures", "_sheet(image)", "diagram",
          "provenance", "tuning")  # fmt: skip


def cells(page):
    """The code of a page that asks its rows, cell by cell: not what reads images, trains, or draws diagrams."""
    for cell in json.loads((NOTEBOOKS / f"{page}.ipynb").read_text())["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] != "code" or "parameters" in cell["metadata"].get("tags", ()):
            continue
        tree = ast.parse(source)
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        yield source, tree, imported


def asking(page):
    """Those of `cells` that come before the live ones and need nothing that is made there."""
    for source, tree, imported in cells(page):
        if re.search(r"\b(fit|load_encoder)\(", source):  # the first live one
            return
        if not (imported & ELSEWHERE or "Study" in source or any(word in source for word in IMAGES)):
            yield source, tree


def run(page, results, monkeypatch):
    """What the page's cells show, and the words that it glues, of `results`; figures are asked for and not drawn."""
    glued, shown = {}, []
    glue = types.SimpleNamespace(glue=lambda name, text, display: glued.update({name: text}))
    monkeypatch.setitem(sys.modules, "myst_nb", glue)
    monkeypatch.setattr(figures, "shown", lambda name, make, *arguments: shown.append((name, make)))
    monkeypatch.setattr(
        verdicts, "verdicts", lambda claims, rows, *chapter: pd.DataFrame()
    )  # theirs are tests of their own
    monkeypatch.setattr(verdicts, "answer", lambda *arguments: "It is so.")
    monkeypatch.setattr(figures, "side_by_side", lambda make, titles: None)
    plan = PLANS[page.removesuffix(DETAILS)]
    chapter = sys.modules[plan.measures.__module__.rpartition(".")[0]]
    names = {"chapter": chapter, "study": Study(plan), "results": results,
             "rows": results.rows, "every_row": results.rows}  # fmt: skip
    for source, tree in asking(page):
        *before, last = tree.body
        exec(compile(ast.Module(before, []), source, "exec"), names)
        if isinstance(last, ast.Expr):
            shown.append(eval(compile(ast.Expression(last.value), source, "eval"), names))
        else:
            exec(compile(ast.Module([last], []), source, "exec"), names)
    return glued, shown


def asked_once(module, name, monkeypatch):
    """A function of rows and plain values, which is not asked again about rows of the same values: whichever measure is
    left out, most of the others are asked for the same."""
    function, known = getattr(module, name), {}

    def told(own):
        if isinstance(own, pd.DataFrame):
            return (*own.columns, pd.util.hash_pandas_object(own, index=False).to_numpy().tobytes())
        return repr(own)

    def asked(*arguments):
        key = tuple(map(told, arguments))
        if key not in known:
            known[key] = function(*arguments)
        return copy.copy(known[key])

    monkeypatch.setattr(module, name, asked)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_without_any_one_measure(page, monkeypatch):
    """Its words are said and its tables made, whichever measure nobody's rows hold."""
    asked_once(designs, "_sizes", monkeypatch)
    asked_once(contrasts, "levels", monkeypatch)
    results = Study(PLANS[page.removesuffix(DETAILS)], seeds=[0]).results()
    kinds = results.rows["measure"].str.partition("(")[0]
    whole, _ = run(page, results, monkeypatch)
    for measure in sorted(set(kinds)):
        part = replace(results, rows=results.rows[kinds != measure].reset_index(drop=True))
        glued, shown = run(page, part, monkeypatch)
        assert list(glued) == list(whole) and all(glued.values()), measure
        assert len(shown) > 3


@pytest.mark.parametrize("page", PAGES)
def test_every_figure_of_rows_can_be_left_out(page):
    """No cell calls one itself: it would stop the page, and references to the figure would find nothing."""
    asked = 0
    for _, tree, _ in cells(page):
        last = tree.body[-1]
        called = last.value if isinstance(last, ast.Expr) else None
        called = called.body if isinstance(called, ast.IfExp) else called
        words = ast.unparse(called) if isinstance(called, ast.Call) else ""
        assert not (words.startswith("chapter.") and any(rows in words for rows in ("rows", "every_row", "results, s")))
        asked += words.startswith(("figures.shown(", "drawn("))
    assert asked or page.endswith(DETAILS)


def test_what_cannot_be_drawn_is_an_empty_figure_that_says_why():
    def draw(rows, scope):
        raise BadInput(f"this figure needs {scope}, and these rows hold none")

    figure = figures.shown("fig-some", draw, pd.DataFrame(), "errors")
    assert "this figure needs errors, and these rows hold none." in figure.caption == figure.alt
    assert ":name: fig-some\n" in figure.myst() and figure.data.empty
    assert not plt.get_fignums()
    assert figures.shown("fig-other", lambda rows: rows, 3) == 3


def test_what_cannot_be_tabled_is_a_sentence():
    def refuse(rows):
        raise BadInput("this table needs errors")

    assert figures.tried(lambda rows: rows, 3) == 3
    assert figures.table(figures.tried(refuse, 3)).data == f"<p>{UNTOLD}</p>"


def test_what_was_drawn_before_a_figure_is_left_out_is_not_shown():
    """And what a reader had open stays open."""
    mine = plt.figure()

    def half():
        plt.subplots()
        raise BadInput("this figure needs errors, and these rows hold none")

    assert figures.shown("fig-half", half).name == "fig-half"
    assert plt.get_fignums() == [mine.number]
    plt.close(mine)
