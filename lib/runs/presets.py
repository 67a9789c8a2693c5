"""Presets: how large a study is. Plans: what each study compares and measures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from lib.errors import one_of
from lib.measures import (
    Accuracy,
    AdversarialProbe,
    Aggregation,
    AttentionShift,
    AutoAttackAccuracy,
    BackgroundReliance,
    CorruptionError,
    CueAccuracy,
    Downstream,
    NaturalShift,
    NegativeSimilarity,
    OutOfDistribution,
    OutOfDomain,
    RawInput,
    ReadOut,
    RealInvariance,
    RobustAccuracy,
    Segmentation,
    SeverityCurve,
    ShapeBias,
    SyntheticInvariance,
)
from lib.measures.corruption_error import DEBIASED
from lib.measures.robust_accuracy import ZERO_GRADIENT
from lib.methods import METHODS, PLAIN
from lib.runs.config import RunConfig
from lib.runs.recipes import Recipe, recipe_of
from lib.runs.systems import ATTACKED, NEGATIVES, RELICV2, RELICV2_IN_SHORT, SYSTEMS, System, epochs_of, settings_of
from lib.training import Training
from lib.views import AUGMENTATIONS


@dataclass(frozen=True)
class Preset:
    """The scale of a study. Counts of images are upper limits."""

    name: str
    dataset: str
    encoder: str
    train_images: int | None
    test_images: int | None  # for each of the 95 corrupted test sets
    epochs: int
    batch_size: int
    seeds: tuple[int, ...]
    least_crop: float | None = None  # see `RunConfig`
    transformer: str | None = None  # the encoder that stands for transformers, in studies that ask about them
    wide: str | None = None  # one with as many features as three of `encoder`, in studies that ask about size
    views: int = 16  # of EMP-SSL, in studies of systems
    passes: int = 480  # of a view of each training image, forward and backward: what a system may cost


# From small to large: a notebook shows the last one that has published rows.
PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "quick",
            "scenes",
            "resnet10_narrow",
            2_000,
            300,
            epochs=4,
            batch_size=64,
            seeds=(0, 1, 2),
            least_crop=0.6,
            views=4,
            passes=24,
        ),
        Preset(
            "small",
            "cifar10",
            "resnet10",
            10_000,
            1_000,
            epochs=6,
            batch_size=128,
            seeds=(0, 1, 2),
            transformer="vit_narrow_patch4",
            wide="resnet10_wide",
            views=8,
            passes=48,
        ),
        Preset(
            "full",
            "cifar10",
            "resnet18",
            None,
            None,
            epochs=200,
            batch_size=256,
            seeds=(0, 1, 2),
            transformer="vit_tiny_patch4",
            wide="resnet18_wide",
        ),
    )
}


@dataclass(frozen=True)
class Plan:
    """What a study compares and measures.

    `in_class` are its methods in the quick preset, where minutes count. `augmentations` are those that a method is
    trained with in a preset and on a data set, a run each; None stands for the method's own views. `transformers` are
    the methods that are also trained with the preset's transformer, `wide` those that are with its wide encoder, by
    the default augmentation, and `on_scenes` those that are on scenes, whose causes are known, where the preset has
    another data set. `unread` tells which rows no page reads: bool (N,) for N rows with the columns of a study's
    results. They are not published.

    A study may compare `systems`, names of `SYSTEMS`, instead of methods, and `systems_in_class` in the quick preset.
    `systems_on_scenes` are those that it compares on scenes; where they are named, a preset of another data set has
    scenes as well. `scale` is what it makes of a preset, and `less` what it leaves of the measures for a system.
    """

    methods: tuple[str, ...]
    in_class: tuple[str, ...]
    measures: Callable[[Preset], list]
    augmentations: Callable[[str, str, str], tuple[str | None, ...]] = lambda preset, dataset, method: (None,)
    transformers: tuple[str, ...] = ()
    wide: tuple[str, ...] = ()
    on_scenes: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    systems_in_class: tuple[str, ...] = ()
    systems_on_scenes: tuple[str, ...] = ()
    scale: Callable[[Preset], Preset] = lambda preset: preset
    less: Callable[[list, System], list] = lambda measures, system: measures
    unread: Callable[[pd.DataFrame], pd.Series] = lambda rows: rows["metric"].isna()


def _severity_measures(preset: Preset) -> list:
    """Corruption errors on the preset's test images; what needs more pictures an image, on fewer."""
    half, few = (preset.test_images and preset.test_images // part for part in (2, 4))
    return [
        Accuracy(),
        CorruptionError(preset.test_images),
        SeverityCurve(half),
        RawInput(few),
        NaturalShift(),
        AttentionShift(few or 1_000),
    ]


def _invariance_measures(preset: Preset) -> list:
    """As many pictures and settings of a transform as the paper has, or what minutes allow; in class no other tasks."""
    most = preset.test_images
    images, parameters, scenes = (1_000, 256, 4_000) if most is None else (most // 5, 16, 2 * most)
    measures = [
        Accuracy(),
        SyntheticInvariance(images, parameters),
        RealInvariance(images, 8),
        ReadOut(scenes),
        CorruptionError(most and most // 4),
    ]
    return measures if preset.name == "quick" else [*measures, Downstream()]


def _recipes(preset: str, dataset: str, method: str) -> tuple[str | None, ...]:
    """The paper's three recipes. Its method, MoCo v2, has their fusion as well and a control of its size; on scenes,
    whose causes are known, each augmentation alone and all but one."""
    if METHODS[method].build.uses_labels or not METHODS[method].trained:
        return (None,)
    recipes = ("default", "spatial", "appearance")
    if method != "moco_v2":
        return recipes
    if preset == "quick":
        return (*recipes, "fusion")
    if dataset == "scenes":
        return (*recipes, "fusion", *(name for name in AUGMENTATIONS if name not in recipes))
    return (*recipes, "fusion", "three defaults")


def _unread_of_augmentations(rows: pd.DataFrame) -> pd.Series:
    """Corruption errors but for their means over severities, and curves of encoders that the page draws none of."""
    details = rows["metric"].isin(["relative error", "error step", "calibration error", DEBIASED, "similarity along"])
    by_severity = (rows["metric"] == "error") & (rows["severity"] > 0)
    drawn = rows["method"].isin(["moco_v2", "random"]) & rows["augmentation"].fillna("").isin(
        ["", "default", "spatial", "appearance"]
    )
    return details | by_severity | (rows["metric"] == "whitened similarity along") & ~drawn


def _unread_of_systems(rows: pd.DataFrame) -> pd.Series:
    """All but accuracies, mean corruption errors, how alike features stay under transforms and under attack, and zero
    gradients."""
    means = (rows["severity"] == 0) & rows["metric"].isin(["error", "whitened similarity"])
    moved = (rows["metric"] == "similarity") & (rows["shift"] == "pgd")
    kept = rows["metric"].str.startswith(("accuracy", ZERO_GRADIENT))
    return ~(kept | means | moved | (rows["metric"] == "similarity chance"))


def _unread_of_negatives(rows: pd.DataFrame) -> pd.Series:
    """Corruption errors but for their means over severities."""
    details = rows["metric"].isin(["relative error", "error step", "calibration error", DEBIASED])
    return details | (rows["metric"] == "error") & (rows["severity"] > 0)


def _narrow(preset: Preset) -> Preset:
    """Many systems, or attacks of many passes: a small study has a narrow encoder, more steps and fewer images."""
    if preset.name != "small":
        return preset
    return replace(preset, encoder="resnet10_narrow", train_images=5_000, batch_size=64)


def _narrow_and_short(preset: Preset) -> Preset:
    """Two data sets, and many systems on one of them."""
    return replace(_narrow(preset), passes=32) if preset.name == "small" else preset


def _attack_measures(preset: Preset) -> list:
    """Every measure of robustness on the first test images; in class a short list of strengths."""
    if preset.name == "quick":
        return [RobustAccuracy(100, (2, 8), 10, 1), SyntheticInvariance(100, 4)]
    full = preset.test_images is None
    images, hardest = (1_000, 1_000) if full else (500, 200)
    return [
        RobustAccuracy(images),
        AutoAttackAccuracy(hardest),
        AdversarialProbe(),
        Aggregation(crop="crop"),
        Aggregation(crop="patch"),
        CorruptionError(preset.test_images and preset.test_images // 2),
        SyntheticInvariance(200, 8),
    ]


def _negative_measures(preset: Preset) -> list:
    """One test set after another; in class those that scenes can be, on fewer images."""
    most = preset.test_images or 5_000
    if preset.name == "quick":
        return [Accuracy(), CorruptionError(most // 2), CueAccuracy(most), ShapeBias(500), NegativeSimilarity(most)]
    return [
        Accuracy(),
        CorruptionError(most),
        CueAccuracy(2 * most),
        ShapeBias(),
        OutOfDomain(),
        NaturalShift(),
        NegativeSimilarity(most),
        RobustAccuracy(3 * most // 10, (1, 2, 4, 8), 10, 1),
    ]


def _shift_measures(preset: Preset) -> list:
    """What is left away from the training images, of a decision without its background, and pixel by pixel."""
    if preset.name == "quick":
        return [
            Accuracy(),
            OutOfDistribution(preset.test_images, 50),
            BackgroundReliance(400),
            Segmentation(train=100, validation=50, test=100),
        ]
    return [
        Accuracy(),
        OutOfDistribution(corrupted=preset.test_images),
        BackgroundReliance(),
        Segmentation(),
        OutOfDomain(),
    ]


def _less_of_parts(measures: list, system: System) -> list:
    """A sweep asks how accuracies move; an ablation also what becomes of backgrounds."""
    kinds = {"sweep": (Accuracy, OutOfDistribution), "ablation": (Accuracy, OutOfDistribution, BackgroundReliance)}
    return [measure for measure in measures if isinstance(measure, kinds.get(system.role, object))]


def _less_of_sweeps(measures: list, system: System) -> list:
    """A sweep asks how accuracies move, in and out of domain."""
    left_out = NegativeSimilarity, NaturalShift, RobustAccuracy
    return [measure for measure in measures if not (system.role == "sweep" and isinstance(measure, left_out))]


def _less_of_variants(measures: list, system: System) -> list:
    """Aggregation is EMP-SSL's own; systems that stand in a comparison of one thing are measured by attacks alone."""
    if system.role == "sweep":
        kinds = RobustAccuracy
    elif system.role in ("quirk", "updates"):
        kinds = (RobustAccuracy, AutoAttackAccuracy)
    elif system.method == "emp_ssl":
        return measures
    else:
        return [measure for measure in measures if not isinstance(measure, Aggregation)]
    return [measure for measure in measures if isinstance(measure, kinds)]


STUDIES = {
    "methods": Plan(
        PLAIN,
        ("simclr", "byol", "barlow_twins", "swav", "emp_ssl", "relic", "supervised", "random"),  # one a paradigm
        lambda preset: [Accuracy()],
    ),
    "severity_degradation": Plan(
        ("simclr", "simsiam", "byol", "barlow_twins", "swav", "dino", "supervised", "random"),
        ("simclr", "byol", "barlow_twins", "supervised", "random"),
        _severity_measures,
        transformers=("simclr", "supervised", "random"),
    ),
    "augmentation_invariance": Plan(
        ("moco_v2", "simclr", "byol", "supervised", "random"),
        ("moco_v2", "random"),
        _invariance_measures,
        augmentations=_recipes,
        wide=("moco_v2",),
        on_scenes=("moco_v2", "supervised", "random"),
        unread=_unread_of_augmentations,
    ),
    "accuracy_robustness_tradeoff": Plan(
        tuple(dict.fromkeys(system.method for system in ATTACKED.values())),
        ("simclr", "emp_ssl", "supervised", "random"),
        _attack_measures,
        systems=tuple(ATTACKED),
        systems_in_class=("random", "simclr", "simclr free", "cf-amc-ssl", "supervised free"),
        scale=_narrow,
        less=_less_of_variants,
        unread=_unread_of_systems,
    ),
    "non_semantic_negatives": Plan(
        tuple(dict.fromkeys(system.method for system in NEGATIVES.values())),
        ("moco_v2", "random"),
        _negative_measures,
        systems=tuple(NEGATIVES),
        systems_in_class=("random", "moco", "moco patch", "moco texture"),
        scale=_narrow,
        less=_less_of_sweeps,
        unread=_unread_of_negatives,
    ),
    "relicv2_ood": Plan(
        tuple(dict.fromkeys(system.method for system in RELICV2.values())),
        ("relicv2", "supervised", "random"),
        _shift_measures,
        systems=RELICV2_IN_SHORT,
        systems_in_class=("random", "supervised same crops", "relicv2"),
        systems_on_scenes=tuple(RELICV2),
        scale=_narrow_and_short,
        less=_less_of_parts,
    ),
}


def grid(
    preset: str | Preset,
    methods: Sequence[str],
    seeds: Sequence[int] | None = None,
    dataset: str | None = None,
    augmentations: Callable[[str, str, str], tuple[str | None, ...]] = Plan.augmentations,
) -> list[RunConfig]:
    """A list of `RunConfig`: `methods` x their `augmentations` (see `Plan`) x `seeds` at the scale of `preset`."""
    scale = preset if isinstance(preset, Preset) else PRESETS[one_of(preset, PRESETS, "preset")]
    return [
        RunConfig(
            dataset=dataset or scale.dataset,
            method=method,
            encoder=scale.encoder,
            seed=seed,
            train_images=scale.train_images,
            training=_training(scale, method),
            least_crop=scale.least_crop,
            augmentation=augmentation,
        )
        for method in methods
        for augmentation in augmentations(scale.name, dataset or scale.dataset, one_of(method, METHODS, "method"))
        for seed in (scale.seeds if seeds is None else seeds)
    ]


def _training(scale: Preset, method: str, recipe: Recipe | None = None) -> Training:
    recipe = recipe or recipe_of(method)
    epochs = math.ceil(scale.epochs * recipe.epochs) if METHODS[method].trained else 1  # which fills its statistics
    return Training(
        epochs=epochs,
        batch_size=scale.batch_size,
        optimiser=recipe.optimiser,
        learning_rate=recipe.learning_rate * scale.batch_size / 256,
        weight_decay=recipe.weight_decay,
        warmup_epochs=warm_up(epochs),
    )


def warm_up(epochs: int) -> float:
    """The epochs in which the rate rises: a tenth of every run, whatever its method and its length."""
    return epochs / 10


def plan_of(study: str) -> Plan:
    return STUDIES[one_of(study, STUDIES, "study")]


def configs_of(
    study: str, preset: str, methods: Sequence[str], seeds: Sequence[int] | None = None, dataset: str | None = None
) -> list[RunConfig]:
    """All runs of a study: `grid`, and after it those with other encoders, and on scenes where `dataset` is None."""
    plan, scale = plan_of(study), PRESETS[one_of(preset, PRESETS, "preset")]

    def also(those: Sequence[str]) -> list[str]:
        return [method for method in methods if method in those]

    if plan.systems:
        runs = runs_of_systems(study, preset, systems_of(study, preset, dataset), seeds, dataset)
        return [config for _, config in runs if config.method in methods]
    configs = grid(scale, methods, seeds, dataset, plan.augmentations)
    if scale.transformer:
        configs += grid(replace(scale, encoder=scale.transformer), also(plan.transformers), seeds, dataset)
    if scale.wide:
        wide = replace(scale, encoder=scale.wide)
        configs += grid(wide, also(plan.wide), seeds, dataset, lambda preset, dataset, method: ("default",))
    if dataset is None and scale.dataset != "scenes":
        configs += grid(scale, also(plan.on_scenes), seeds, "scenes", plan.augmentations)
    return configs


def datasets_of(study: str, preset: str, dataset: str | None = None) -> tuple[str, ...]:
    """The data sets of a study of systems: `dataset`, or where it is None the preset's own and what is on scenes."""
    own = PRESETS[one_of(preset, PRESETS, "preset")].dataset
    if dataset is not None or own == "scenes" or not plan_of(study).systems_on_scenes:
        return (dataset or own,)
    return own, "scenes"


def systems_of(study: str, preset: str, dataset: str | None = None) -> tuple[str, ...]:
    """The systems that a study compares in a preset, on a data set or on any of its own; none if it has methods."""
    return plan_of(study).systems_in_class if preset == "quick" else all_systems(study, dataset)


def all_systems(study: str, dataset: str | None = None) -> tuple[str, ...]:
    """The systems that a study may be asked for on a data set, or on any where it is None; none if it has methods."""
    plan = plan_of(study)
    if dataset is None:
        return tuple(dict.fromkeys((*plan.systems, *plan.systems_on_scenes)))
    return plan.systems_on_scenes if dataset == "scenes" and plan.systems_on_scenes else plan.systems


def runs_of_systems(
    study: str, preset: str, systems: Sequence[str], seeds: Sequence[int] | None = None, dataset: str | None = None
) -> list[tuple[str, RunConfig]]:
    """The runs of `systems` on each data set of a study, but for systems that it does not compare there."""
    found = []
    for home in datasets_of(study, preset, dataset):
        chosen = [name for name in systems if name in all_systems(study, home)]
        named = configs_of_systems(study, preset, chosen, seeds, home)
        found += [(system, config) for (system, _), config in named.items()]
    return found


def configs_of_systems(
    study: str, preset: str, systems: Sequence[str], seeds: Sequence[int] | None = None, dataset: str | None = None
) -> dict[tuple[str, int], RunConfig]:
    """The run of each of `systems` and seeds. A system that a preset makes equal to one before it is left out."""
    scale = plan_of(study).scale(PRESETS[one_of(preset, PRESETS, "preset")])
    configs: dict[tuple[str, int], RunConfig] = {}
    for name in systems:
        epochs = epochs_of(name, scale.views, scale.passes)
        for seed in scale.seeds if seeds is None else seeds:
            system = SYSTEMS[name]
            config = RunConfig(
                dataset=dataset or scale.dataset,
                method=system.method,
                encoder=scale.encoder,
                seed=seed,
                train_images=scale.train_images,
                training=replace(
                    _training(scale, system.method, system.recipe), epochs=epochs, warmup_epochs=warm_up(epochs)
                ),
                settings=settings_of(name, scale.views, scale.passes),
                least_crop=scale.least_crop,
                attack=system.attack,
            )
            if config not in configs.values():
                configs[name, seed] = config
    return configs


def measures_of(study: str, preset: str, system: str | None = None) -> list:
    """What is measured of each run of a study, or of those of a system."""
    plan = plan_of(study)
    measures = plan.measures(plan.scale(PRESETS[one_of(preset, PRESETS, "preset")]))
    return plan.less(measures, SYSTEMS[one_of(system, SYSTEMS, "system")]) if system else measures
