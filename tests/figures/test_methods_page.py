"""The methods page: diagrams that can be read, words and tables that say what the rows say, a whole notebook."""

import dataclasses
import json
import math
import re

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from shorthand import student, told_share
from worlds.methods import results

from lib import paths
from lib.chapters import PLANS
from lib.chapters.methods import figures as page
from lib.chapters.methods.diagrams import DIAGRAMS, diagram
from lib.contrasts import convolutional
from lib.errors import BadInput
from lib.figures.style import title
from lib.figures.tables import views_in_words
from lib.methods import METHODS, PLAIN
from lib.methods.removal import Removal
from lib.methods.repulsion import Repulsion
from lib.runs import Study
from lib.runs.recipes import RECIPES

NOTEBOOK = paths.ROOT / "notebooks" / "methods.ipynb"
PHONE = 390  # pixels


def test_every_paradigm_without_labels_has_a_diagram():
    paradigms = {method.paradigm for method in METHODS.values() if method.trained and not method.build.uses_labels}
    assert paradigms == set(DIAGRAMS)
    assert len({diagram(paradigm).name for paradigm in DIAGRAMS}) == len(DIAGRAMS)
    with pytest.raises(BadInput, match="allowed: contrastive"):
        diagram("contrastiv")


@pytest.mark.parametrize("paradigm", DIAGRAMS)
def test_a_diagram_can_be_read_on_a_phone(paradigm):
    drawing = diagram(paradigm).drawing
    FigureCanvasAgg(drawing).draw()
    (axes,) = drawing.axes
    width, height = drawing.get_size_inches()
    assert 1.8 < width / height < 2.2
    boxes = [text.get_window_extent() for text in axes.texts]
    for number, box in enumerate(boxes):
        assert axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 and axes.bbox.y0 <= box.y0 and box.y1 <= axes.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:number]), axes.texts[number].get_text()
    assert min(text.get_fontsize() for text in axes.texts) / 72 * PHONE / width >= 11


@pytest.mark.parametrize("paradigm", DIAGRAMS)
def test_a_diagram_s_words_are_in_its_alternative_text(paradigm):
    figure = diagram(paradigm)
    for text in figure.drawing.axes[0].texts:
        assert text.get_text().strip("?") in figure.alt
    assert figure.picture() == diagram(paradigm).picture() and len(figure.data) >= 5


def share_of(seeds, name):
    return told_share({own: np.array(values, dtype=float) for own, values in seeds.items()}, name, 0.0)


def test_the_best_is_told_from_those_below_it():
    found = results(
        {"simclr": [50, 51, 52], "byol": [60, 61, 62], "vicreg": [59, 62, 61.5], "swav": [40, 41, 42],
         "supervised": [70, 71, 72], "random": [30, 31, 32]},
    )  # fmt: skip
    words = page.methods_answer(found)
    seeds = {"simclr": [50, 51, 52], "byol": [60, 61, 62], "vicreg": [59, 62, 61.5], "swav": [40, 41, 42],
             "supervised": [70, 71, 72], "random": [30, 31, 32]}  # fmt: skip
    swav, random, supervised = (share_of(seeds, name) for name in ("swav", "random", "supervised"))
    assert words["answer-accuracy"] == (
        "Of 4 methods without labels, BYOL and VICReg, which are not told apart, have the highest probe accuracy, 60.8 "
        f"to 61.0 %; SwAV has the lowest, {swav} %."
    )
    assert words["answer"] == (
        "By the linear probe 4 methods without labels reach 41.0 to 61.0 % here; beside them stand random weights "
        "31.0 % and training with labels 71.0 %."
    )
    assert words["answer-references"] == (
        f"Random weights reach {random} %; training with labels reaches {supervised} %."
    )
    assert words["answer-costs"] == "What each costs is in the table of results below."
    assert "those of the runs, on CPU, 2 threads (bf16): means over seeds." in words["costs"]


def test_who_is_between_is_in_neither_group():
    """Seeds lie one to either side, so that differences of 3 points are shown and those of 2 are not."""
    means = {"simclr": 54.0, "byol": 53.5, "vicreg": 52.0, "swav": 50.5, "dino": 50.0}
    words = page.methods_answer(results({name: [mean - 1, mean, mean + 1] for name, mean in means.items()}))
    assert words["answer-accuracy"] == (
        "Of 5 methods without labels, SimCLR and BYOL, which are not told apart, have the highest probe accuracy, 53.5 "
        "to 54.0 %; DINO and SwAV, which are not told apart, have the lowest, 50.0 to 50.5 %. VICReg cannot be told "
        "from either."
    )


@pytest.mark.parametrize(
    ("best", "lowest", "expected"),
    [
        (["a", "b"], ["d", "c"], (["a", "b"], ["d", "c"], [])),
        (["a", "b", "c"], ["e", "d", "c"], (["a", "b"], ["e", "d"], ["c"])),
        (["a"], ["c", "b", "a"], (["a"], ["c", "b"], [])),  # which leads alone
        (["a", "b", "c"], ["c"], (["a", "b"], ["c"], [])),
        (["a", "c"], ["c", "a"], (["a", "c"], ["c", "a"], [])),
    ],
)
def test_nobody_is_among_the_highest_and_the_lowest(best, lowest, expected):
    assert page._apart(best, lowest) == expected


CLEAR = {"dino": [50.0, 51.0, 52.0], "byol": [40.0, 41.0, 42.1]}


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [
        ({"random": [30.0, 31.0]}, "No method that learns without labels"),
        ({"dino": [50.0, 52.0]}, "DINO, the only method without labels here, has a probe accuracy of 51.0 ["),
        ({"dino": [50.0], "byol": [40.0]}, "lie between 40.0 % (BYOL) and 50.0 % (DINO); one seed says nothing"),
        (
            CLEAR,
            f"DINO has the highest probe accuracy, {share_of(CLEAR, 'dino')} %; BYOL has the",
        ),
        (
            {"dino": [50.0, 51.0, 52.0], "byol": [52.0, 50.0, 50.0]},
            "none is told apart from DINO, 51.0 [",
        ),
    ],
)
def test_the_answer_fits_any_rows(accuracies, expected):
    words = page.methods_answer(results(accuracies))
    assert expected in words["answer-accuracy"]
    assert all(text and "nan" not in text for text in words.values())


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(*[st.integers(400, 420)] * 2), min_size=3, max_size=5))
def test_told_apart_by_pooled_variances(pairs):
    first, second = (np.array(values) / 10 for values in zip(*pairs, strict=True))
    if first.mean() < second.mean():
        first, second = second, first
    if min(first.std(), second.std()) == 0 or first.mean() == second.mean():
        return
    error, degrees = student({"simclr": first, "byol": second}, "simclr", "byol", 0.0)
    low = first.mean() - second.mean() - scipy.stats.t.ppf(0.975, degrees) * error
    if abs(low) < 1e-6:
        return
    words = page.methods_answer(results({"simclr": first, "byol": second}))["answer-accuracy"]
    assert ("SimCLR has the highest probe accuracy" in words) == ("none is told apart" not in words) == (low > 0)


def test_the_table_of_results_by_hand():
    table = page.results_table(results({"simclr": [50, 51, 52], "dino": [40]}, seconds={"simclr": [4.0, 5.0, 6.0]}))
    simclr, dino = table.to_dict("records")
    assert simclr == {
        "method": "SimCLR", "paradigm": "contrastive", "kNN accuracy (%)": "46.0 [43.5, 48.5]",
        "probe accuracy (%)": "51.0 [48.5, 53.5]", "views per image": "2", "seconds per epoch": "5.0 [2.5, 7.5]",
        "peak memory (MiB)": "1,300",
    }  # fmt: skip
    assert dino["probe accuracy (%)"] == "40.0" and dino["views per image"] == "2 of 32 px and 4 of 16 px"
    assert views_in_words("emp_ssl", {}) == "8" and views_in_words("supervised", {}) == "1"


def test_a_machine_that_changes_its_speed_does_not_change_the_multiples():
    """Costs measured in turns win over those of the runs; here the second round ran at half speed, the third at 2/3."""
    measured = pd.DataFrame(
        [
            (method, number, slow * seconds, "CPU, 2 threads", "fp32")
            for number, slow in enumerate((1.0, 2.0, 1.5))
            for method, seconds in (("simclr", 4.0), ("byol", 2.0), ("swav", 10.0))
        ],
        columns=["method", "round", "seconds_per_epoch", "device", "precision"],
    )
    found = results({"simclr": [50, 51, 52], "byol": [45, 46, 47], "swav": [40, 41, 42]})
    found = dataclasses.replace(found, costs=measured)
    words = page.methods_answer(found)
    assert words["answer-costs"] == (
        "An epoch of BYOL takes 0.5 [0.5, 0.5] times as long as one of SimCLR, an epoch of SwAV 2.5 [2.5, 2.5] times."
    )
    assert "measured in 3 rounds" in words["costs"] and "on CPU, 2 threads (fp32): means over rounds." in words["costs"]
    table = page.results_table(found).set_index("method")
    assert list(table["times SimCLR's"]) == ["1.0 [1.0, 1.0]", "0.5 [0.5, 0.5]", "2.5 [2.5, 2.5]"]
    half = scipy.stats.t.ppf(0.975, 2) * 2 / math.sqrt(3)  # of 4, 8 and 6 seconds
    assert table.loc["SimCLR", "seconds per epoch"] == f"6.0 [{6 - half:.1f}, {6 + half:.1f}]"


def test_the_dots_are_the_means_of_published_rows():
    rows = convolutional(Study(PLANS["severity_degradation"]).results().rows)
    figure = page.accuracy_by_method(rows, "Scope.")
    probe = rows[rows["metric"] == "probe accuracy"].groupby("method")["value"].mean()
    dots = [line.get_xdata()[0] for line in figure.drawing.axes[0].get_lines() if line.get_markersize() == 7]
    assert sorted(dots) == pytest.approx(sorted(probe))
    for method, value in probe.items():
        assert f"{title(method)} {value:.0f} percent" in figure.alt
    assert figure.name == "fig-accuracy-by-method" and figure.caption.endswith("Scope.")


def test_dots_are_grouped_and_one_seed_has_no_interval():
    figure = page.accuracy_by_method(results({"simclr": [50], "byol": [60], "dcl": [55], "random": [30]}).rows, "")
    labels = [label.get_text() for label in figure.drawing.axes[0].get_yticklabels()]
    assert labels == ["DCL", "SimCLR", "BYOL", "Random weights"]
    assert "nan" not in figure.alt and figure.data["low"].isna().all()


def test_the_table_of_recipes_names_every_setting():
    table = page.recipes_table().set_index("method")
    named = [name for name in PLAIN if name in RECIPES]
    assert list(table.index) == [title(name) for name in named]
    for name in named:
        own = table.loc[title(name), "own settings"]
        kind = METHODS[name].settings
        silent = {"others"} if name == "relicv2" else set()  # None: all of the batch
        if issubclass(kind, Repulsion):  # by default there are no such negatives
            silent = {field.name for field in dataclasses.fields(Repulsion)}
        elif issubclass(kind, Removal) and not kind().removed:
            silent = {field.name for field in dataclasses.fields(Removal)}
        for field in dataclasses.fields(kind):
            found = re.search(rf"\b{field.name.replace('_', ' ')} ([\d.e-]+|patch|yes|pairs|learned|usual)(,|$)", own)
            assert bool(found) == (field.name not in silent), (name, field.name)
    assert table.loc["BYOL", "optimiser"] == "LARS" and table.loc["Random weights", "optimiser"] == "none"


@pytest.fixture(scope="module")
def notebook():
    return json.loads(NOTEBOOK.read_text())


def test_the_notebook_is_stripped_and_takes_a_study_s_parameters(notebook):
    assert NOTEBOOK.read_text() == json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    codes = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in codes)
    (parameters,) = [cell for cell in codes if "parameters" in cell["metadata"].get("tags", [])]
    names = re.findall(r"^(\w+) += ", parameters["source"], re.MULTILINE)
    assert names == [field.name for field in dataclasses.fields(Study) if field.name not in ("plan", "systems")]


def test_every_reference_of_the_page_leads_somewhere(notebook):
    text = "\n".join(cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    bibliography = re.findall(r"^@\w+\{(\w+),", (paths.ROOT / "pages" / "references.bib").read_text(), re.MULTILINE)
    glossary = (paths.ROOT / "pages" / "glossary.md").read_text()
    for keys in re.findall(r"\{cite:\w\}`([^`]+)`", text):
        assert set(keys.split(",")) <= set(bibliography)
    for words in re.findall(r"\{term\}`([^`]+)`", text):
        term = re.sub(r".*<(.*)>", r"\1", words)
        assert f"\n{term}\n" in glossary
    labels = re.findall(r"^\$\$ \(([\w-]+)\)$", text, re.MULTILINE)
    assert len(labels) == len(set(labels)) == 8
    assert set(re.findall(r"\{eq\}`([^`]+)`", text)) <= set(labels)
    assert len(bibliography) == len(set(bibliography))
    sources = "\n".join(cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code")
    assert re.findall(r'chapter\.diagram\("(.+)"\)', sources) == list(DIAGRAMS)


@pytest.fixture(scope="module")
def toy(notebook):
    """The names of the page's own method, from its cell."""
    (cell,) = [cell for cell in notebook["cells"] if "toy" in cell["metadata"].get("tags", [])]
    names = {"__name__": "toy"}
    exec(cell["source"], names)
    return names


def test_the_page_s_own_method_is_its_formula(toy):
    torch.manual_seed(0)
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 8))
    encoder.features = 8
    method = toy["AlignmentUniformity"](encoder, toy["Settings"](uniformity=0.7))
    views = [torch.rand(5, 3, 2, 2) for _ in method.views]
    terms = method(views)
    first, second = ([z / z.norm() for z in method.head(encoder(view))] for view in views)
    alignment = sum(((a - b) ** 2).sum() for a, b in zip(first, second, strict=True)) / 5
    crowding = 0
    for points in (first, second):
        pairs = [torch.exp(-2 * ((points[i] - points[j]) ** 2).sum()) for i in range(5) for j in range(i)]
        crowding += torch.log(sum(pairs) / 10) / 2
    assert torch.allclose(terms["alignment"], alignment, rtol=1e-5)
    assert torch.allclose(terms["uniformity"], 0.7 * crowding, rtol=1e-5)


def test_crowding_is_largest_where_all_points_are_one(toy):
    points = torch.nn.functional.normalize(torch.ones(6, 4), dim=1).requires_grad_()
    assert toy["crowding"](points).item() == 0
    toy["crowding"](points).backward()
    assert points.grad.isfinite().all()
    assert toy["crowding"](torch.eye(4)).item() == pytest.approx(-4)  # all pairs at a squared distance of 2
