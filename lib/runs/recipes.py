"""Recipes: what each method needs to train well, and where each value comes from.

The literature trains for hundreds of epochs; ours are made for tens. Where a source speaks of short runs, these are six
epochs of 10,000 CIFAR-10 images (ResNet-10, batch 128), compared by the linear probe on validation images with one
seed: differences below two points decide nothing. Runs of fewer than `SHORT` updates, as in class, want higher rates
still: `results/methods/small/tuning.csv` has the grid, of 312 updates each.
"""

from __future__ import annotations

from dataclasses import dataclass

SHORT = 400  # updates


@dataclass(frozen=True)
class Recipe:
    """How a method is optimised; its own settings are in its file, with their sources.

    `learning_rate` is the peak for a batch of 256 and scales with the batch. `epochs` is the share of a preset's
    epochs, rounded up: a method that reads many views of each image may do with fewer. `short` is by what the rate is
    multiplied in runs of fewer than `SHORT` updates: of methods that gained two points or more by it on the grid,
    except EMP-SSL, whose published runs are as short.
    """

    optimiser: str
    learning_rate: float
    weight_decay: float
    source: str  # of the values: what the literature has, what we changed, and why
    epochs: float = 1.0
    short: float = 1.0


RECIPES = {
    "simclr": Recipe(
        "sgd",
        0.2,
        5e-4,
        "lightly's CIFAR benchmark: SGD 0.12, decay 5e-4. A higher rate for short runs, which AdamW did not beat.",
    ),
    "dcl": Recipe("sgd", 0.2, 5e-4, "SimCLR's, from which it differs by the loss alone."),
    "moco_v2": Recipe(
        "adamw",
        0.004,
        0.05,
        "solo-learn: SGD 0.3. Here MoCo v3's AdamW, which was not compared with SGD on CIFAR-10; in twelve epochs of "
        "scenes it was ahead of SGD 0.2. A queue of 512 was 0.8 points ahead of 4,096 by the probe, 2.7 by neighbours.",
    ),
    "moco_v3": Recipe(
        "adamw",
        0.004,
        0.05,
        "The paper: LARS for a ResNet, AdamW for a ViT. In short runs AdamW and LARS 2.0 differed by 1.3 points.",
        short=3.0,
    ),
    "nnclr": Recipe("sgd", 0.2, 5e-4, "solo-learn: LARS 0.4. SimCLR's SGD served at once in short runs.", short=3.0),
    "byol": Recipe(
        "lars",
        2.0,
        1e-5,
        "solo-learn: LARS 1.0, decay 1e-5, for 1,000 epochs. Twice the rate for short runs, in which SGD 0.2 and AdamW "
        "were a point behind.",
        short=3.0,
    ),
    "simsiam": Recipe(
        "lars",
        2.0,
        1e-5,
        "solo-learn: SGD 0.5, decay 1e-5. In short runs BYOL's LARS was two points ahead of SGD 0.25 and not told "
        "apart from AdamW 0.001.",
        short=3.0,
    ),
    "dino": Recipe("adamw", 0.004, 0.05, "The paper: AdamW. solo-learn: LARS 0.3.", short=3.0),
    "barlow_twins": Recipe(
        "adamw",
        0.004,
        0.05,
        "solo-learn: LARS 0.3, decay 1e-4. In short runs AdamW was two points ahead of it, and four or more of SGD.",
        short=3.0,
    ),
    "vicreg": Recipe(
        "adamw", 0.004, 0.05, "solo-learn: LARS 0.3, decay 1e-4. Barlow Twins' AdamW served at once.", short=3.0
    ),
    "swav": Recipe("adamw", 0.004, 0.05, "solo-learn: LARS 0.6, decay 1e-6.", short=3.0),
    "emp_ssl": Recipe(
        "adamw",
        0.004,
        0.05,
        "The paper's point is few epochs. A quarter of them reads as many views, eight an image, as a pair in all.",
        epochs=0.25,
    ),
    "relic": Recipe("adamw", 0.004, 0.05, "No public recipe; MoCo v3's, to which it adds a divergence.", short=3.0),
    "relicv2": Recipe(
        "sgd",
        0.2,
        5e-4,
        "No public recipe. In runs of a narrow ResNet-10 by 5,000 images SimCLR's SGD was four points ahead of ReLIC's "
        "AdamW, and on scenes nine.",
        short=3.0,
    ),
    "supervised": Recipe("adamw", 0.004, 0.05, "In short runs AdamW was four points ahead of SGD 0.2.", short=3.0),
    "supcon": Recipe("sgd", 0.2, 5e-4, "SimCLR's, from which it differs by the labels alone."),
    "acl": Recipe("sgd", 0.2, 5e-4, "SimCLR's, whose loss it has twice. The paper: LARS 5.0 for a batch of 512."),
    "deacl": Recipe("sgd", 0.2, 5e-4, "SimCLR's, which its teacher has. The authors' code: SGD 0.5, decay 5e-4."),
    "trades": Recipe("adamw", 0.004, 0.05, "The supervised reference's.", short=3.0),
    "random": Recipe("sgd", 0.0, 0.0, "Nothing is trained."),
    "kmeans": Recipe("sgd", 0.0, 0.0, "Nothing is trained: the encoder is fitted in closed form."),
}


def recipe_of(method: str, settings: object = None) -> Recipe:
    """A method without a recipe of its own takes that of the method that it stands `on` by its settings, or SimCLR's.

    So beside the method without it, nothing else differs.
    """
    return RECIPES.get(method) or RECIPES.get(getattr(settings, "on", "")) or RECIPES["simclr"]
