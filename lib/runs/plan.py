"""Plans: what a question compares and measures, and the runs that a preset makes of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module

import pandas as pd

from lib.errors import one_of
from lib.methods import METHODS
from lib.runs.config import RunConfig
from lib.runs.presets import PRESETS, Preset
from lib.runs.recipes import SHORT
from lib.runs.systems import System, epochs_of, plain, settings_of
from lib.training import Training


@dataclass(frozen=True)
class Part:
    """What a page shows beside its question: a measure of every run, made for a preset, and the figure of all rows and
    of words on what they are, for its caption. The page refers to the figure as "fig-" and the function's name."""

    measure: Callable[[Preset], object]
    figure: Callable[[pd.DataFrame, str], object]


def parts(folder: str, *names: str) -> tuple[Part, ...]:
    """The `PART` of each file of a chapter's `folder`, a package in dots, by the names of the files."""
    return tuple(import_module(f"{folder}.{name}").PART for name in names)


@dataclass(frozen=True, eq=False)
class Plan:
    """What a question compares and measures. `name` is its notebook's, and that of its folder under `results/`.

    `in_class` are its methods in the quick preset, where minutes count. `augmentations` are those that a method is
    trained with in a preset and on a data set, a run each; None stands for the method's own views. `transformers`
    are the methods that are also trained with the preset's transformer, `wide` those that are with its wide
    encoder, by the default augmentation, and `on_scenes` those that are on scenes, whose causes are known, where
    the preset has another data set. `beside` are systems, by their names, that stand beside the methods, such as one
    of them with other settings. `also` are further measures, each with its figure. `unread` tells which rows no page
    reads: bool (N,) for N rows with the columns of a study's results. They are not published.

    A plan may compare `systems` by their names instead of methods, and `systems_in_class` in the quick preset.
    `elsewhere` are those that it compares on other data sets than scenes; where they are named, a preset of another
    data set has scenes as well. `scale` is what it makes of a preset, and `less` what it leaves of the measures for a
    system. `further` says of a preset, a data set and a system how many seeds it has, where these are more than the
    preset's: those seeds are published when a campaign has them, and pages do not wait for them.
    """

    name: str
    methods: tuple[str, ...]
    in_class: tuple[str, ...]
    measures: Callable[[Preset], list]
    augmentations: Callable[[str, str, str], tuple[str | None, ...]] = lambda preset, dataset, method: (None,)
    transformers: tuple[str, ...] = ()
    wide: tuple[str, ...] = ()
    on_scenes: tuple[str, ...] = ()
    beside: Mapping[str, System] = field(default_factory=dict)
    systems: Mapping[str, System] = field(default_factory=dict)
    systems_in_class: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    scale: Callable[[Preset], Preset] = lambda preset: preset
    less: Callable[[list, System], list] = lambda measures, system: measures
    unread: Callable[[pd.DataFrame], pd.Series] = lambda rows: rows["metric"].isna()
    also: tuple[Part, ...] = ()
    further: Mapping[tuple[str, str, str], int] = field(default_factory=dict)

    def title(self, system: str) -> str:
        """Of one of its systems. Raises BadInput for a name that is none."""
        return self.systems[one_of(system, self.systems, "system")].title


def methods_of(systems: Mapping[str, System]) -> tuple[str, ...]:
    """The methods of some systems, in their order."""
    return tuple(dict.fromkeys(system.method for system in systems.values()))


def config_of(system: System, scale: Preset, seed: int) -> RunConfig:
    """The run of a system at a scale."""
    return RunConfig(
        dataset=system.dataset or scale.dataset,
        method=system.method,
        encoder=system.encoder or scale.encoder,
        seed=seed,
        train_images=scale.train_images,
        training=_training(system, scale),
        settings=settings_of(system, scale.views, scale.passes),
        least_crop=scale.least_crop,
        augmentation=system.augmentation,
        attack=system.attack,
    )


def _training(system: System, scale: Preset) -> Training:
    recipe = system.recipe
    if not METHODS[system.method].trained:
        epochs = 1  # which fills its statistics
    elif system.budget is None:
        epochs = math.ceil(scale.epochs * recipe.epochs)
    else:
        epochs = epochs_of(system, scale.views, scale.passes)
    updates = epochs * scale.train_images // scale.batch_size if scale.train_images else math.inf
    return Training(
        epochs=epochs,
        batch_size=scale.batch_size,
        optimiser=recipe.optimiser,
        learning_rate=recipe.learning_rate * (recipe.short if updates < SHORT else 1.0) * scale.batch_size / 256,
        weight_decay=recipe.weight_decay,
        warmup_epochs=warm_up(epochs),
    )


def warm_up(epochs: int) -> float:
    """The epochs in which the rate rises: a tenth of every run, whatever its method and its length."""
    return epochs / 10


def grid(
    preset: str | Preset, methods: Sequence[str], seeds: Sequence[int] | None = None, dataset: str | None = None
) -> list[RunConfig]:
    """A list of `RunConfig`: `methods`, as they are, x `seeds` at the scale of `preset`."""
    scale = preset if isinstance(preset, Preset) else PRESETS[one_of(preset, PRESETS, "preset")]
    systems = [plain(one_of(method, METHODS, "method"), dataset=dataset) for method in methods]
    return [config_of(system, scale, seed) for system in systems for seed in (scale.seeds if seeds is None else seeds)]


def runs_of(
    plan: Plan,
    preset: str,
    chosen: Sequence[str],
    seeds: Sequence[int] | None = None,
    dataset: str | None = None,
    further: bool = False,
) -> list[tuple[str | None, RunConfig]]:
    """The runs of those of a plan's systems, or of methods, that are `chosen`, each with the name of its system.

    On each data set of the plan, except systems that it does not compare there. A system that a preset makes equal to
    one before it is left out. Of the preset's seeds, where none are named, and with `further` the plan's further ones.
    """
    scale = plan.scale(PRESETS[one_of(preset, PRESETS, "preset")])
    if plan.systems:
        systems = [
            (name, replace(plan.systems[one_of(name, plan.systems, "system")], dataset=home))
            for home in datasets_of(plan, preset, dataset)
            for name in chosen
            if name not in plan.systems or name in all_systems(plan, home)
        ]
    else:
        systems = [(None, system) for system in _systems_of_methods(plan, scale, chosen, dataset)]
    found: dict[RunConfig, str | None] = {}
    for name, system in systems:
        most = plan.further.get((preset, system.dataset or scale.dataset, name or ""), 0) if further else 0
        own = (*scale.seeds, *range(len(scale.seeds), most)) if seeds is None else seeds
        for seed in own:
            found.setdefault(config_of(system, scale, seed), name)
    return [(name, config) for config, name in found.items()]


def _systems_of_methods(plan: Plan, scale: Preset, methods: Sequence[str], dataset: str | None) -> list[System]:
    """Methods by their augmentations, after them what stands beside them, those with other encoders, and those on
    scenes where `dataset` is None."""

    def augmented(those: Sequence[str], home: str) -> list[System]:
        return [
            plain(method, augmentation=augmentation, dataset=home)
            for method in those
            for augmentation in plan.augmentations(scale.name, home, one_of(method, METHODS, "method"))
        ]

    def also(those: Sequence[str]) -> list[str]:
        return [method for method in methods if method in those]

    systems = augmented(methods, dataset or scale.dataset)
    systems += [replace(system, dataset=dataset) for system in plan.beside.values() if system.method in methods]
    if scale.transformer:
        systems += [plain(name, encoder=scale.transformer, dataset=dataset) for name in also(plan.transformers)]
    if scale.wide:
        wide = {"augmentation": "default", "encoder": scale.wide, "dataset": dataset}
        systems += [plain(name, **wide) for name in also(plan.wide)]
    if dataset is None and scale.dataset != "scenes":
        systems += augmented(also(plan.on_scenes), "scenes")
    return systems


def configs_of(
    plan: Plan, preset: str, methods: Sequence[str], seeds: Sequence[int] | None = None, dataset: str | None = None
) -> list[RunConfig]:
    """The runs of a plan that are trained by one of `methods`."""
    runs = runs_of(plan, preset, systems_of(plan, preset, dataset) or methods, seeds, dataset)
    return [config for _, config in runs if config.method in methods]


def datasets_of(plan: Plan, preset: str, dataset: str | None = None) -> tuple[str, ...]:
    """The data sets of a plan of systems: `dataset`, or where it is None the preset's own and what is on scenes."""
    own = PRESETS[one_of(preset, PRESETS, "preset")].dataset
    if dataset is not None or own == "scenes" or not plan.elsewhere:
        return (dataset or own,)
    return own, "scenes"


def systems_of(plan: Plan, preset: str, dataset: str | None = None) -> tuple[str, ...]:
    """The systems that a plan compares in a preset, on a data set or on any of its own; none if it has methods."""
    return plan.systems_in_class if preset == "quick" else all_systems(plan, dataset)


def all_systems(plan: Plan, dataset: str | None = None) -> tuple[str, ...]:
    """The systems that a plan may be asked for on a data set, or on any where it is None; none if it has methods."""
    if dataset is None:
        return tuple(dict.fromkeys((*plan.elsewhere, *plan.systems)))
    return plan.elsewhere if dataset != "scenes" and plan.elsewhere else tuple(plan.systems)


def configs_of_systems(
    plan: Plan, preset: str, systems: Sequence[str], seeds: Sequence[int] | None = None, dataset: str | None = None
) -> dict[tuple[str, int], RunConfig]:
    """The run of each of `systems` and seeds, on one data set; see `runs_of`."""
    home = dataset or PRESETS[one_of(preset, PRESETS, "preset")].dataset
    return {(name, config.seed): config for name, config in runs_of(plan, preset, systems, seeds, home)}


def measures_of(plan: Plan, preset: str, system: str | None = None) -> list:
    """What is measured of each run of a plan, or of those of a system."""
    scale = plan.scale(PRESETS[one_of(preset, PRESETS, "preset")])
    measures = plan.measures(scale)
    if system:
        measures = plan.less(measures, plan.systems[one_of(system, plan.systems, "system")])
    return [*measures, *(part.measure(scale) for part in plan.also)]
