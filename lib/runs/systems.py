"""Systems: a method, its settings, the attack that it is trained against, and how long."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lib.methods import METHODS, mixed_of, views_of
from lib.runs.recipes import Recipe, recipe_of
from lib.training import Attack, needs_attack, passes
from lib.views import cost


@dataclass(frozen=True)
class System:
    """`settings` change the method's defaults. `crops` is None where the preset says how many views EMP-SSL has, and
    `own` where `recipe_of` knows one that serves. `augmentation` is that of `RunConfig`; `encoder` and `dataset` are
    None where they are the preset's.

    `budget` is what training may cost in the study's unit, passes an image: 1 for what all systems get alike, None for
    the preset's epochs and the method's own number of views, whatever they cost. `role` is what a page shows the system
    for: a "main" comparison, a "yardstick" of the field, an "ablation" of a part, a "sweep" over a setting, more
    "updates", or a "quirk" of public code.
    """

    title: str
    method: str
    attack: Attack | None
    source: str
    settings: dict = field(default_factory=dict)
    crops: int | None = None
    budget: float | None = 1.0
    role: str = "main"
    own: Recipe | None = None
    augmentation: str | None = None
    encoder: str | None = None
    dataset: str | None = None

    @property
    def recipe(self) -> Recipe:
        return self.own or recipe_of(self.method, METHODS[self.method].settings(**self.settings))


# What every question may set its own systems beside
RANDOM = System("Random weights", "random", None, "a control")
SIMCLR = System("SimCLR", "simclr", None, "Chen et al., arXiv 2002.05709")
SUPERVISED = System("Supervised", "supervised", None, "a reference with labels", role="yardstick")


def plain(method: str, **changes: Any) -> System:
    """A method as it is, for as many epochs as its recipe has; `changes` are fields of `System`."""
    return System(METHODS[method].title, method, None, "", budget=None, **changes)


def settings_of(system: System, views: int, budget: int) -> object:
    """The settings of a system's method: EMP-SSL has `views` unless the system says otherwise, and a student's teacher
    is its method as it is, trained for its own `budget`."""
    changes = dict(system.settings)
    if system.budget is not None:
        changes |= _crops(system, views)
        if teacher := getattr(METHODS[system.method].build, "teacher", None):
            changes["teacher_epochs"] = epochs_of(System("", teacher, None, ""), views, budget)
    return METHODS[system.method].settings(**changes)


def epochs_of(system: System, views: int, budget: int) -> int:
    """As many epochs as come nearest to `budget` passes an image times the system's own factor, at least one."""
    method = METHODS[system.method]
    settings = method.settings(**system.settings | _crops(system, views))
    own = cost(views_of(system.method, settings)) + mixed_of(system.method, settings)
    each = passes(own, system.attack, needs_attack(method.build))
    return max(1, round(budget * system.budget / each)) if method.trained else 1


def _crops(system: System, views: int) -> dict[str, int]:
    return {"views": system.crops or views} if system.method == "emp_ssl" else {}
