"""Every public figure keeps the contract, drawn from made-up worlds; a figure that is new is asked for at once."""

import base64
import functools
import importlib
import inspect
import pkgutil

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import torch
from contract import check_apart, check_words
from worlds import attacks, invariance, methods, negatives, relicv2, severity, shifts, tradeoff, transfer

import lib.chapters
import lib.figures
from lib.chapters.methods.diagrams import DIAGRAMS
from lib.errors import BadInput
from lib.figures.boxes import draw_diagram
from lib.measures import Interval
from lib.runs import Results, Study

WORLDS = {  # rows, or results, of each chapter or part of one
    "severity": severity.made_up,
    "two kinds of encoders": lambda: pd.concat(
        [severity.made_up(), severity.made_up(("simclr", "dino", "random"), "vit_narrow_patch4")], ignore_index=True
    ),
    "shifts": shifts.made_up,
    "methods": lambda: methods.results({"simclr": [50, 51, 52], "byol": [60, 61, 62], "random": [30, 31, 33]}).rows,
    "invariance": invariance.made_up,
    "transfer": transfer.made_up,
    "attacks": attacks.made_up,
    "tradeoff": tradeoff.made_up,
    "negatives": negatives.made_up,
    "relicv2": relicv2.made_up,
}
LESS = {  # what a world may lack: a column and its value
    "severity": ("method", "byol"),
    "two kinds of encoders": ("method", "dino"),
    "shifts": ("method", "byol"),
    "methods": ("method", "byol"),
    "invariance": ("method", "simclr"),
    "transfer": ("method", "simclr"),
    "attacks": ("system", "cf-amc-ssl"),
    "tradeoff": ("system", "cf-amc-ssl"),
    "negatives": ("system", "simclr patch"),
    "relicv2": ("system", "relic"),
}
OF_WORLD = {
    "lib.chapters.severity.errors": "severity",
    "lib.chapters.severity.robustness": "severity",
    "lib.chapters.severity": "shifts",
    "lib.chapters.methods": "methods",
    "lib.chapters.augmentation.transfer": "transfer",
    "lib.chapters.augmentation": "invariance",
    "lib.chapters.tradeoff.attacks": "attacks",
    "lib.chapters.tradeoff": "tradeoff",
    "lib.chapters.negatives": "negatives",
    "lib.chapters.relicv2": "relicv2",
}
ARGUMENTS = {  # of figures of rows that take more than rows and a scope
    "invariance_against_score": {"transform": "hue", "tasks": ("object_hue", "own classes")},
}


def images(count=6, side=32):
    return torch.randint(256, (count, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def heat_maps():
    maps = torch.rand(6, 32, 32, generator=torch.Generator().manual_seed(1))
    return {"SimCLR": (images(), maps, torch.arange(6) < 3)}


def fog():
    along = [Interval(20.0 + 5 * severity, 18.0 + 5 * severity, 22.0 + 5 * severity) for severity in range(6)]
    return {"before training": along, "after training": along[::-1]}


def squares():
    masks = torch.zeros(2, 32, 32, dtype=torch.bool)
    masks[:, 8:24, 8:24] = True
    return {"scenes": (images(2), masks, masks)}


def core_minutes():
    """Of two trainings, one a length, and the peer's before and on its way."""
    facts = {"batch_size": 128, "error": 1.0, "bank": 5000, "queries": 2000, "device": "a CPU", "commit": "abc"}
    lines = [
        ("narrow, 1 epoch", "resnet10_narrow", 1, 44800, 0.9, 40.0), ("narrow, 4 epochs", "resnet10_narrow", 4, 180000,
        4.0, 46.0), ("lightly", "ResNet-18", 200, 0, 0.0, 30.0), ("lightly", "ResNet-18", 200, 9000, 30.0, 35.0),
    ]  # fmt: skip
    return pd.DataFrame(lines, columns=["arm", "encoder", "epochs", "images", "minutes", "knn"]).assign(**facts)


# What is not drawn from rows: the arguments.
OTHERS = {
    "before_and_after": lambda: (fog(), "fog", "Scope."),
    "attention_grid": lambda: (heat_maps(), "fog", "Scope."),
    "minutes_bought": lambda: (core_minutes(),),
    "rescored_ranks": tuple,
    "diagram": lambda: (next(iter(DIAGRAMS)),),
    "relicv2_diagram": tuple,
    "saliency_sheet": lambda: (squares(), "Scope."),
    "read_before_after": lambda: ({"SimCLR": {"x": Interval(5.0, 4.0, 6.0)}}, "Scope."),
    "nearest_neighbours": lambda: ({"SimCLR": torch.eye(6) + 0.1}, images(), 0, "Scope.", 3),
    "negative_gallery": lambda: ({"images": images(3), "others": images(3).flip(0)}, "Scope."),
    "transform_sheet": lambda: (images()[0],),
    "recipe_views": lambda: (images()[0],),
}
# Drawn in tests of their own: those that are many figures, those that render and learn, and parts of others.
ELSEWHERE = {
    "contact_sheet": "figures/test_figures.py",
    "linear_sheet": "figures/test_linear_adversary.py",
    "severity_sheet": "figures/test_severity_example.py",
    "epsilon_slider": "figures/test_attack_figures.py",
    "perturbation_sheet": "figures/test_attack_figures.py",
    "shown": "figures/test_measures_left_out.py",
    "side_by_side": "figures/test_datasets.py",
    "segmentation_sheet": "figures/test_saliency_figures.py",
    "saliency_failures": "figures/test_saliency_figures.py",
    "swapped_sheet": "figures/test_saliency_figures.py",
    "background_sheet": "figures/test_saliency_figures.py",
    draw_diagram.__name__: "figures/test_methods_page.py",
}


def public_figures():
    """Name -> function, of all that chapters and `lib.figures` offer and that gives a figure."""
    found = {}
    for package in (lib.chapters, lib.figures):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith("__main__"):
                continue
            for name, function in vars(importlib.import_module(module.name)).items():
                if inspect.isfunction(function) and function.__module__ == module.name and name[0] != "_":
                    gives = str(function.__annotations__.get("return"))
                    if any(kind in gives for kind in ("Figure", "Tabs", "Slider")):
                        found[name] = function
    return found


FIGURES = public_figures()
for plan in lib.chapters.PLANS.values():  # whose further parts are drawn of their own measures, in test_parts.py
    for part in plan.also:
        del FIGURES[part.figure.__name__]
OF_ROWS = {name: function for name, function in FIGURES.items() if not {name} & {*OTHERS, *ELSEWHERE}}


def world_of(function):
    """Of a figure of a chapter that has no made-up world: the chapter's folder, for its published rows."""
    if function.__name__ == "cnn_against_transformer":
        return "two kinds of encoders"
    places = (world for place, world in OF_WORLD.items() if function.__module__.startswith(place))
    return next(places, ".".join(function.__module__.split(".")[:3]))


@functools.cache
def world(name):
    if name in WORLDS:
        return WORLDS[name]()
    return Study(importlib.import_module(name).PLAN).results().rows


def less(own, name):
    """The world without one of its methods or systems."""
    column, value = LESS[name] if name in LESS else ("method", own["method"].iloc[0])
    if isinstance(own, Results):
        kept = [record for record in own.records if record["system"] != value]
        return Results(kept, less(own.rows, name), own.preset, own.stale, systems=own.systems)
    assert value in set(own[column])
    return own[own[column] != value]


def drawn(function, own):
    rows = own.rows if isinstance(own, Results) and "rows" in inspect.signature(function).parameters else own
    return function(rows, "Scope.", **ARGUMENTS.get(function.__name__, {}))


def check(figure):
    check_words(figure)
    check_apart(figure)
    assert not figure.data.isna().all().any(), "a column of the data holds nothing"
    bundle = figure._repr_mimebundle_()
    assert bundle["text/markdown"].startswith("```{figure} data:image/") and figure.caption in bundle["text/markdown"]
    fold = f'<details class="data"><summary>{"Notes and data" if figure.notes.strip() else "Data"} behind this figure'
    assert all(fold in text for text in bundle.values())
    assert base64.b64encode(figure.picture()).decode() in bundle["text/html"]  # the same drawing has the same bytes


def test_every_figure_is_asked():
    assert {*OTHERS, *ELSEWHERE} <= set(FIGURES), "of which some are gone"
    assert len(OF_ROWS) >= 40


@pytest.mark.parametrize("name", OF_ROWS)
def test_a_figure_of_rows(name):
    figure = drawn(OF_ROWS[name], world(world_of(OF_ROWS[name])))
    check(figure)
    assert figure.caption.endswith("Scope.")


@pytest.mark.parametrize("name", OTHERS)
def test_another_figure(name):
    check(FIGURES[name](*OTHERS[name]()))


@pytest.mark.parametrize("name", OF_ROWS)
def test_a_figure_without_one_method_or_system(name, unlaid):
    """It is drawn from what is there."""
    place = world_of(OF_ROWS[name])
    check_words(drawn(OF_ROWS[name], less(world(place), place)))


@pytest.mark.parametrize("name", OF_ROWS)
def test_a_figure_without_one_measure(name, unlaid):
    """It is drawn, is left out, or says in one sentence what it needs: each measure, or metric, in turn."""
    own = world(world_of(OF_ROWS[name]))
    rows = own.rows if isinstance(own, Results) else own
    column = "measure" if "measure" in rows else "metric"
    kinds = list(rows[column].unique())
    missing = kinds[list(OF_ROWS).index(name) % len(kinds)]
    rows = rows[rows[column] != missing]
    if isinstance(own, Results):
        rows = Results(own.records, rows, own.preset, own.stale, systems=own.systems)
    try:
        figure = drawn(OF_ROWS[name], rows)
    except BadInput as refusal:
        plt.close("all")  # as `lib.figures.shown` does
        assert "\n" not in str(refusal) and 20 < len(str(refusal)) < 250
    else:
        assert figure is None or not check_words(figure)
