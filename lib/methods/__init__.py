"""Objectives: one file each. To add one, write its file, with its `METHOD`, and a line in `_NAMES`.

A method is a module with an `encoder`, a tuple of `views`, `uses_labels`, and

- `forward(views)` (or `forward(views, labels)`) -> a dict of named loss terms, whose sum is minimised;
- `after_step(progress)`, called after every optimiser step with the share of training that is done.

One that keeps something of a batch, such as keys for a queue or a view beside its own, has `after_batch()`, called
after the last step of each batch, of which replays take several (`lib.training.attack`). One whose loss has no gradient
through some of its views names the numbers of the others as `queries`.

One that `needs_attack` compares adversarial `views` with the same views without perturbation: `forward(views, clean)`
(or `forward(views, clean, labels)`), and `weakness` of the same arguments -> a scalar or (N,), which the attack raises;
it is `flat_at_zero` where that has no slope at the clean views. Where what `weakness` compares with is the same in all
attack passes of a batch, `target(clean)` computes it, once, and `weakness` takes it as `target`; where it is
`target_is_fixed`, `forward` takes it as well.
Views are cut from the training images, unless the method has `origins(batch, generator)`: for each view the images,
uint8 (N, 3, H, W), that it is cut from. Here `batch` are by name the "images" of a batch and what else the method
`reads` of each image, a dict of its name to what it is. One that `has_negatives` has `negatives(batch, drawn,
clean, generator)`, further images that it gets behind its views, whose parameters were `drawn` and which are `clean`.
`lib.methods.removal.Removing` and `lib.methods.repulsion.Repelling` are such, for modules to inherit from.

What compares the images of a batch is a function of its module, not a line of `forward`: where processes share a batch,
it gets the vectors of all of them from `lib.world.gathered`, and gives back what it would in one process, or of its own
images. What is a mean over images needs no more. Random numbers for each image are `lib.world.drawn`.
One whose settings decide its views has `views_of(settings)` instead of a tuple. One that learns from images that it
mixes of its views has `mixed_of(settings)`, how many of each image: they cost as much as views do.
One that has a `teacher`, the name of another method, is built with an encoder that it trained.

Settings may say more than their values. Those with `on`, the name of another method, are of one that stands on it, and
has its recipe. `negatives_in_words` is for tables, and `silent` are the names of those that say nothing beside the
others.
"""

from __future__ import annotations

from importlib import import_module

from torch import nn

from lib.errors import BadInput
from lib.inputs import check_batch
from lib.methods.method import Method
from lib.views import View

# A name is that of the file as well.
_NAMES = (
    "simclr",
    "dcl",
    "moco_v2",
    "moco_v3",
    "nnclr",
    "false_negatives",
    "byol",
    "simsiam",
    "dino",
    "barlow_twins",
    "vicreg",
    "swav",
    "emp_ssl",
    "relic",
    "relicv2",
    "dsa",
    "mixing",
    "samix",
    "supervised",
    "supcon",
    "acl",
    "deacl",
    "profeat",
    "trades",
    "random",
    "kmeans",
)
METHODS: dict[str, Method] = {name: import_module(f"{__name__}.{name}").METHOD for name in _NAMES}
# Those that learn from views as they are; an adversary may change the views all the same.
PLAIN: tuple[str, ...] = tuple(name for name, method in METHODS.items() if not method.attacked)


def views_of(name: str, settings: object) -> tuple[View, ...]:
    """What the method `name` reads of an image in a step, by its settings."""
    build = METHODS[name].build
    return build.views_of(settings) if hasattr(build, "views_of") else build.views


def mixed_of(name: str, settings: object) -> int:
    """How many mixed images the method `name` reads of an image in a step, beside its views, by its settings."""
    build = METHODS[name].build
    return build.mixed_of(settings) if hasattr(build, "mixed_of") else 0


def build_method(
    name: str, encoder: nn.Module, settings: object, classes: int, teacher: nn.Module | None = None
) -> nn.Module:
    """The method `name` around `encoder`. Only a method that uses labels learns how many classes there are, and only
    one that has a `teacher` learns from that encoder; it refuses to be built without."""
    build = METHODS[name].build
    if hasattr(build, "teacher"):
        if teacher is None:
            raise BadInput(f"{name} learns from a teacher: give it an encoder that was trained by {build.teacher}")
        method = build(encoder, settings, teacher)
    else:
        method = build(encoder, settings, classes) if build.uses_labels else build(encoder, settings)
    if METHODS[name].trained:
        method.register_forward_pre_hook(_several)
    return method


def _several(method: nn.Module, given: tuple) -> None:
    """Batch norm in training, and each comparison of images, needs two of them."""
    if method.training and given:
        check_batch(given[0][0])
