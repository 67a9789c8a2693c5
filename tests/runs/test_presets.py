"""Recipes and plans: every method has its own, and a preset turns them into runs."""

from dataclasses import dataclass, replace

import pandas as pd
import pytest
from shorthand import unfolded

from lib import paths
from lib.chapters import PLANS
from lib.chapters.__main__ import main
from lib.errors import BadInput
from lib.methods import METHODS, PLAIN
from lib.models import ENCODERS, build_encoder
from lib.runs import Study, grid
from lib.runs.plan import config_of, configs_of, measures_of
from lib.runs.presets import PRESETS
from lib.runs.recipes import RECIPES, recipe_of
from lib.runs.systems import System
from lib.views import AUGMENTATIONS


def test_every_recipe_is_of_a_method_and_has_a_source():
    assert set(RECIPES) <= set(METHODS)
    assert all(recipe.source.endswith(".") for recipe in RECIPES.values())


def test_a_recipe_becomes_a_training_plan():
    """By hand: the rate scales with the batch, the epochs of eight views are a quarter, rounded up."""
    simclr, patches = (grid("small", [name], seeds=[0])[0].training for name in ("simclr", "emp_ssl"))
    assert (simclr.epochs, simclr.batch_size, simclr.learning_rate, simclr.weight_decay) == (6, 128, 0.1, 5e-4)
    assert patches.epochs == 2 and grid("full", ["emp_ssl"], seeds=[0])[0].training.epochs == 50
    assert grid("small", ["random"], seeds=[0])[0].training.epochs == 1


def test_the_methods_page_compares_all_and_in_class_one_of_each_paradigm():
    assert Study(PLANS["methods"], preset="small").methods == PLAIN
    shown = [METHODS[name].paradigm for name in Study(PLANS["methods"], preset="quick").methods]
    assert set(shown) == {method.paradigm for method in METHODS.values()}
    for plan in PLANS.values():
        assert set(plan.in_class) <= set(plan.methods)


def test_transformers_are_trained_where_a_preset_has_one_and_the_plan_asks():
    methods = ["simclr", "byol", "random"]
    assert configs_of(PLANS["severity_degradation"], "quick", methods) == grid("quick", methods)
    configs = configs_of(PLANS["severity_degradation"], "full", methods, seeds=[0], dataset="mine")
    assert configs[:3] == grid("full", methods, [0], "mine")
    also = [(config.method, config.encoder, config.dataset) for config in configs[3:]]
    assert also == [("simclr", "vit_tiny_patch4", "mine"), ("random", "vit_tiny_patch4", "mine")]
    assert all(config.training == grid("full", [config.method], [0])[0].training for config in configs[3:])
    assert configs_of(PLANS["methods"], "full", methods) == grid("full", methods)
    with pytest.raises(BadInput, match=f"unknown preset 'smal'.*{', '.join(PRESETS)}"):
        configs_of(PLANS["methods"], "smal", methods)


def test_wide_encoders_and_scenes_are_added_where_a_plan_asks():
    """The study of augmentations: by hand, one seed of MoCo v2 in `small`."""
    study = "augmentation_invariance"
    configs = configs_of(PLANS[study], "small", ["moco_v2", "byol"], seeds=[0])
    runs = [(config.dataset, config.method, config.encoder, config.augmentation) for config in configs]
    recipes = ["default", "spatial", "appearance", "fusion"]
    assert runs[:5] == [("cifar10", "moco_v2", "resnet10", name) for name in (*recipes, "three defaults")]
    assert runs[5:8] == [("cifar10", "byol", "resnet10", name) for name in recipes[:3]]
    assert runs[8] == ("cifar10", "moco_v2", "resnet10_wide", "default")
    assert {run[:3] for run in runs[9:]} == {("scenes", "moco_v2", "resnet10")}
    assert [run[3] for run in runs[9:]] == [*recipes, *list(AUGMENTATIONS)[3:]]
    alone = configs_of(PLANS[study], "small", ["moco_v2"], seeds=[0], dataset="cifar10")
    assert alone == configs_of(PLANS[study], "small", ["moco_v2"], seeds=[0])[: len(alone)] and len(alone) == 6
    assert {config.dataset for config in configs_of(PLANS[study], "quick", ["moco_v2"])} == {"scenes"}


def test_what_stands_beside_a_plan_s_methods_is_there_with_its_method():
    few = System("EMP-SSL, four views", "emp_ssl", None, "", {"views": 4}, budget=None)
    without = PLANS["severity_degradation"]
    plan, settings = replace(without, beside={"few": few}), METHODS["emp_ssl"].settings
    configs = configs_of(plan, "quick", ["simclr", "emp_ssl"], seeds=[0])
    assert [config.settings for config in configs[1:]] == [settings(), settings(views=4)]
    assert configs[1] == replace(configs[2], settings=settings())
    assert [config.differing for config in configs] == ["", "", "views 4"]
    assert configs[:2] == configs_of(without, "quick", ["simclr", "emp_ssl"], seeds=[0])
    for methods in (["simclr"], ["simclr", "byol"]):
        assert configs_of(plan, "quick", methods) == configs_of(without, "quick", methods)


def test_a_wide_encoder_has_as_many_features_as_three():
    for name in ("resnet10", "resnet18"):
        assert build_encoder(f"{name}_wide").features == 3 * build_encoder(name).features
    assert {preset.wide for preset in PRESETS.values()} - {None} <= set(ENCODERS)


def test_rows_that_no_page_reads_by_hand():
    rows = pd.DataFrame(
        [
            ("moco_v2", "spatial", 0.5, "whitened similarity along", False),
            ("random", None, 0.5, "whitened similarity along", False),
            ("moco_v2", "only crop", 0.5, "whitened similarity along", True),
            ("byol", "spatial", 0.5, "whitened similarity along", True),
            ("byol", "spatial", 0, "whitened similarity", False),
            ("moco_v2", "spatial", 0, "error", False),
            ("moco_v2", "spatial", 3, "error", True),
            ("moco_v2", "spatial", 0, "relative error", True),
        ],
        columns=["method", "augmentation", "of", "metric", "unread"],
    )
    rows = unfolded(rows.assign(shift="fog"))
    assert PLANS["augmentation_invariance"].unread(rows).tolist() == rows["unread"].tolist()
    assert not PLANS["severity_degradation"].unread(rows).any()


def test_what_needs_many_images_is_measured_on_fewer():
    identities = [measure.identity.split("#")[0] for measure in measures_of(PLANS["severity_degradation"], "small")]
    assert identities[1] == "corruption_error(images=1000)" and "raw_input(images=250)" in identities
    everything = [measure.identity.split("#")[0] for measure in measures_of(PLANS["severity_degradation"], "full")]
    assert everything[1] == "corruption_error(images=all)" and "raw_input(images=all)" in everything


def test_an_unknown_study_is_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["lib.chapters", "metods", "--preset", "quick"])
    assert main() == 2
    assert capsys.readouterr().err.startswith("unknown study 'metods' (did you mean 'methods'?); allowed: methods, sev")


def test_every_chapter_has_a_plan_of_the_name_of_its_results_and_its_page():
    assert [plan.name for plan in PLANS.values()] == list(PLANS)
    assert {path.stem for path in (paths.ROOT / "notebooks").glob("*.ipynb")} >= set(PLANS)
    assert {path.parent.parent.name for path in paths.RESULTS.glob("*/*/rows.csv")} <= set(PLANS)


def test_a_method_without_a_recipe_takes_simclr_s():
    assert recipe_of("a toy") == RECIPES["simclr"] and recipe_of("byol") == RECIPES["byol"]


def test_what_stands_on_a_method_is_trained_as_that_is():
    """Else a page would compare optimisers. All systems of all pages whose settings say what they stand on."""

    @dataclass(frozen=True)
    class Settings:
        on: str = "byol"

    assert recipe_of("a toy", Settings()) == RECIPES["byol"] and recipe_of("simclr", Settings()) == RECIPES["simclr"]
    assert recipe_of("a toy", Settings("another toy")) == RECIPES["simclr"]
    for system in (system for plan in PLANS.values() for system in plan.systems.values()):
        settings = METHODS[system.method].settings(**system.settings)
        if below := getattr(settings, "on", None):
            alone = replace(system, method=below, settings={})
            own, without = (config_of(one, PRESETS["small"], seed=0).training for one in (system, alone))
            assert own == without, system.title
