"""Recipes and plans: every method has its own, and a preset turns them into runs."""

import pytest

from lib.errors import BadInput
from lib.methods import METHODS
from lib.runs import PRESETS, Study, grid
from lib.runs.presets import STUDIES, plan_of, scale_of
from lib.runs.recipes import RECIPES, recipe_of


def test_every_method_has_a_recipe_with_a_source():
    assert list(RECIPES) == list(METHODS)
    assert all(recipe.source.endswith(".") for recipe in RECIPES.values())


def test_a_recipe_becomes_a_training_plan():
    """By hand: the rate scales with the batch, the epochs of eight views are a quarter, rounded up."""
    simclr, patches = (grid("small", [name], seeds=[0])[0].training for name in ("simclr", "emp_ssl"))
    assert (simclr.epochs, simclr.batch_size, simclr.learning_rate, simclr.weight_decay) == (10, 128, 0.1, 5e-4)
    assert patches.epochs == 3 and grid("full", ["emp_ssl"], seeds=[0])[0].training.epochs == 50
    assert grid("small", ["random"], seeds=[0])[0].training.epochs == 1


def test_the_methods_page_compares_all_and_in_class_one_of_each_paradigm():
    assert Study("methods", preset="small").methods == tuple(METHODS)
    shown = [METHODS[name].paradigm for name in Study("methods", preset="quick").methods]
    assert set(shown) == {method.paradigm for method in METHODS.values()}
    for plan in STUDIES.values():
        assert set(plan.in_class) <= set(plan.methods)


def test_a_study_may_have_a_scale_of_its_own():
    assert scale_of("methods", "small") != PRESETS["small"] == scale_of("severity_degradation", "small")
    assert scale_of("methods", "full") == PRESETS["full"]
    with pytest.raises(BadInput, match="unknown preset 'smal'.*quick, small, full"):
        scale_of("methods", "smal")


def test_an_unknown_study():
    with pytest.raises(BadInput, match="unknown study 'metods'.*allowed: methods, severity"):
        plan_of("metods")


def test_a_method_without_a_recipe_takes_simclr_s():
    assert recipe_of("a toy") == RECIPES["simclr"] and recipe_of("byol") == RECIPES["byol"]
