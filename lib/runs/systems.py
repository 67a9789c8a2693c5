"""Systems: a method, its settings, the attack that it is trained against, and how long. The third question compares
attacks, the fourth negatives, the fifth what ReLICv2 is made of."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from lib.errors import one_of
from lib.methods import METHODS, views_of
from lib.runs.recipes import Recipe, recipe_of
from lib.training import Attack, needs_attack, passes
from lib.views import cost

# The strengths of arXiv 2501.03507's public code: steps of 0.01 within 8/255. Its attacks see batch norm as in
# training; ours see it as the encoder will be used, as the authors of ACL, DeACL and TRADES have it. With EMP-SSL that
# decides whether PGD training ends in a robust encoder at all: see the quirks.
FREE = Attack("free(3)", "8/255", 0.01)
PGD = Attack("pgd(5)", "8/255", 0.01, mode="eval")


@dataclass(frozen=True)
class System:
    """`settings` change the method's defaults. `crops` is None where the preset says how many views EMP-SSL has, and
    `own` where the method's recipe serves.

    `budget` is what training may cost in the study's unit, passes an image: 1 for what all systems get alike. `role` is
    what a page shows the system for: a "main" comparison, a "yardstick" of the field, an "ablation" of a part, a
    "sweep" over a setting, more "updates", or a "quirk" of public code.
    """

    title: str
    method: str
    attack: Attack | None
    source: str
    settings: dict = field(default_factory=dict)
    crops: int | None = None
    budget: float = 1.0
    role: str = "main"
    own: Recipe | None = None

    @property
    def recipe(self) -> Recipe:
        return self.own or recipe_of(self.method)


EMP = Recipe(
    "lars",
    6.0,
    1e-4,
    "The paper's LARS. Under attack AdamW, which serves EMP-SSL without one, ends in features of a few directions.",
)


def _emp(title: str, attack: Attack | None, crop: str, source: str, **changes) -> System:
    return System(title, "emp_ssl", attack, source, {"crop": crop}, own=EMP, **changes)


RANDOM = System("Random weights", "random", None, "a control")
SIMCLR = System("SimCLR", "simclr", None, "Chen et al., arXiv 2002.05709")
SUPERVISED = System("Supervised", "supervised", None, "a reference with labels", role="yardstick")

_PAPER = "Ghofrani and Jamshidi, arXiv 2501.03507"
# Their SimCLR attacks one of its two views. In their code PGD drives it from its own unperturbed version, where ours
# raises the loss that is learnt from, with the other view as the partner; free training, theirs and ours, does that.
_LAST = {"views": "last"}
_OURS = f"ours, after {_PAPER}"
ATTACKED = {
    "random": RANDOM,
    "simclr": SIMCLR,
    "simclr pgd": System("SimCLR, PGD", "simclr", dataclasses.replace(PGD, **_LAST), _OURS),
    "simclr free": System("SimCLR, free", "simclr", dataclasses.replace(FREE, **_LAST), _PAPER),
    "emp crops": _emp("EMP-SSL, crops", None, "crop", "Tong et al., arXiv 2304.03977, with crops"),
    "emp patches pgd": _emp("EMP-SSL, patches, PGD", PGD, "patch", _PAPER),
    "emp crops pgd": _emp("EMP-SSL, crops, PGD", PGD, "crop", _PAPER),
    "emp patches free": _emp("EMP-SSL, patches, free", FREE, "patch", _PAPER),
    "cf-amc-ssl": _emp("CF-AMC-SSL", FREE, "crop", _PAPER),
    "acl": System("ACL", "acl", PGD, "Jiang et al., arXiv 2010.13650", role="yardstick"),
    "deacl": System("DeACL", "deacl", PGD, "Zhang et al., arXiv 2207.10899", role="yardstick"),
    "supervised": SUPERVISED,
    "supervised pgd": System(
        "Supervised, PGD", "supervised", PGD, "Madry et al., arXiv 1706.06083", role="yardstick"
    ),
    "supervised free": System(
        "Supervised, free", "supervised", FREE, "Shafahi et al., arXiv 1904.12843", role="yardstick"
    ),
    "supervised fgsm": System(
        "Supervised, FGSM", "supervised", Attack("fgsm", "8/255", mode="eval"), "Wong et al., arXiv 2001.03994",
        role="yardstick",
    ),
    "trades": System("TRADES", "trades", PGD, "Zhang et al., arXiv 1901.08573", role="yardstick"),
    "emp crops pgd batch": _emp(
        "EMP-SSL, crops, PGD, attack in training mode", dataclasses.replace(PGD, mode="batch"),
        "crop", "the public code of arXiv 2501.03507", budget=6.0, role="quirk",
    ),
    "emp crops pgd summed": _emp(
        "EMP-SSL, crops, PGD, summed gradients", dataclasses.replace(PGD, mode="batch", quirk="summed gradients"),
        "crop", "the public code of arXiv 2501.03507", budget=6.0, role="quirk",
    ),
    "cf-amc-ssl cyclic": _emp(
        "CF-AMC-SSL, cyclic schedule", dataclasses.replace(FREE, quirk="cyclic schedule"), "crop",
        "the public code of arXiv 2501.03507", role="quirk",
    ),
    "simclr pgd same view": System(
        "SimCLR, PGD against the same view", "simclr", dataclasses.replace(PGD, **_LAST, start="zero", partner="same"),
        "the public code of arXiv 2501.03507", budget=6.0, role="quirk",
    ),
    **{
        f"{name} {count} views": _emp(f"{title}, {count} views", FREE, crop, _PAPER, crops=count, role="sweep")
        for name, title, crop in (
            ("cf-amc-ssl", "CF-AMC-SSL", "crop"), ("emp patches free", "EMP-SSL, patches, free", "patch")
        )
        for count in (2, 4, 16, 32)
    },
    "emp crops pgd long": _emp(
        "EMP-SSL, crops, PGD, equal updates", PGD, "crop", _PAPER, budget=6.0, role="updates"
    ),
    "simclr pgd long": System(
        "SimCLR, PGD, equal updates", "simclr", dataclasses.replace(PGD, **_LAST), _OURS, budget=6.0, role="updates"
    ),
}  # fmt: skip

# The paper's queue holds an eighth of its images, and MoCo's 65,536 half of them; ours a fifth of 5,000.
QUEUE = 1_024
_NEGATIVES = "Ge et al., arXiv 2110.14189"


def _repelled(title: str, method: str, role: str = "main", **settings) -> System:
    if method == "moco_v2":
        settings = {"queue": QUEUE} | settings
    return System(title, method, None, _NEGATIVES if "negatives" in settings else _PLAIN[method], settings, role=role)


_PLAIN = {"moco_v2": "Chen et al., arXiv 2003.04297", "byol": "Grill et al., arXiv 2006.07733"}
# BYOL has no softmax, in which an alpha of 2 is no weight: with 1 a negative pushes as hard as the other view pulls. On
# validation pictures, one seed of `small`, patch negatives cost 7.6 points with 0.5 and 0.4 points with 0.1.
BYOL_ALPHA = 0.1
NEGATIVES = {
    "random": RANDOM,
    "supervised": SUPERVISED,
    "moco": _repelled("MoCo v2", "moco_v2"),
    "moco patch": _repelled("MoCo v2, patches", "moco_v2", negatives="patch"),
    "moco texture": _repelled("MoCo v2, textures", "moco_v2", negatives="texture"),
    "simclr": SIMCLR,
    "simclr patch": _repelled("SimCLR, patches", "simclr", negatives="patch"),
    "simclr texture": _repelled("SimCLR, textures", "simclr", negatives="texture"),
    "byol": _repelled("BYOL", "byol"),
    "byol patch": _repelled("BYOL, patches", "byol", negatives="patch", alpha=BYOL_ALPHA),
    "byol texture": _repelled("BYOL, textures", "byol", negatives="texture", alpha=BYOL_ALPHA),
    **{
        f"moco {kind} alpha {alpha:g}": _repelled(
            f"MoCo v2, {plural}, alpha {alpha:g}", "moco_v2", "sweep", negatives=kind, alpha=alpha
        )
        for kind, plural in (("patch", "patches"), ("texture", "textures"))
        for alpha in (0.5, 1.0, 3.0, 4.0)
    },
    **{
        name: system
        for size in (256, 4_096)
        for name, system in (
            (f"moco queue {size}", _repelled(f"MoCo v2, queue {size:,}", "moco_v2", "sweep", queue=size)),
            (
                f"moco patch queue {size}",
                _repelled(f"MoCo v2, patches, queue {size:,}", "moco_v2", "sweep", negatives="patch", queue=size),
            ),
        )
    },
}

_TOMASEV = "Tomasev et al., arXiv 2201.05119"
_CODE = "a third party's public code"


def _ours(title: str, role: str = "ablation", source: str = "ours", **settings) -> System:
    return System(f"ReLICv2, {title}" if title else "ReLICv2", "relicv2", None, source, settings, role=role)


# What stands beside ReLICv2 is optimised as it is, and SimCLR is so anyway. On validation pictures of scenes they do
# better so than by their own recipes, BYOL and the supervised one by eight points, ReLIC by five; on CIFAR-10 the
# latter two by one and two. DINO is the exception: there its own is three points better.
SAME = recipe_of("relicv2")
# Choices that the sources leave open, each with others beside it, on scenes. `SWEPT` says what a sweep changes; the
# value of "relicv2" itself is among them.
SWEPT: dict[str, dict[str, object]] = {
    "invariance": {"relicv2 no invariance": 0.0} | {f"relicv2 invariance {value:g}": value for value in (0.3, 3.0)},
    "temperature": {f"relicv2 temperature {value:g}": value for value in (0.05, 0.2)},
    "others": {f"relicv2 others {value}": value for value in (7, 21)},
    "removed": {"relicv2 no saliency": 0.0, "relicv2 removed 0.3": 0.3, "relicv2 removed 0.6": 0.6},
    "size": {f"relicv2 size {value}": value for value in (12, 20)},
}
CROPPED = {
    f"relicv2 {large}+{small}": (large, small) for large, small in ((2, 0), (4, 0), (4, 2))
}  # numbers of large and small ones
RELICV2 = {
    "random": RANDOM,
    "supervised": SUPERVISED,
    "supervised same crops": System(
        "Supervised, same crops",
        "supervised",
        None,
        "a reference with labels",
        {"crops": "relicv2", "removed": METHODS["relicv2"].settings().removed},
        own=SAME,
    ),
    "simclr": SIMCLR,
    "byol sgd": System("BYOL by SGD", "byol", None, _PLAIN["byol"], own=SAME),
    "dino": System("DINO", "dino", None, "Caron et al., arXiv 2104.14294"),
    # At the temperature of 0.2: ReLICv2's would cost it five points on CIFAR-10, and nine on scenes.
    "relic": System("ReLIC", "relic", None, "Mitrovic et al., arXiv 2010.07922", own=SAME),
    "relicv2": _ours("", "main", _TOMASEV),
    "relicv2 no invariance": _ours("no invariance loss", invariance=0.0),
    "relicv2 no saliency": _ours("backgrounds kept", removed=0.0),
    "relicv2 shuffled": _ours("masks of other pictures", masks="shuffled"),
    "relicv2 exact": _ours("exact masks", masks="exact"),
    "relicv2 removed 0.6": _ours("removed 0.6", removed=0.6),
    "relicv2 removed 0.6 shuffled": _ours("removed 0.6, masks of other pictures", removed=0.6, masks="shuffled"),
    "relicv2 removed 0.6 exact": _ours("removed 0.6, exact masks", removed=0.6, masks="exact"),
    "relicv2 2+0": _ours("two crops", small=0),
    "relicv2 unstopped": _ours("gradient not stopped", source=_CODE, stopped=False),
    "relicv2 transpose": _ours("rows against columns", against="transpose"),
    "relicv2 transpose unstopped": _ours(
        "rows against columns, gradient not stopped", source=_CODE, against="transpose", stopped=False
    ),
}
for _what, _values in SWEPT.items():
    for _name, _value in _values.items():
        RELICV2.setdefault(_name, _ours(f"{_what} {_value:g}", "sweep", **{_what: _value}))
for _name, (_large, _small) in CROPPED.items():
    RELICV2.setdefault(_name, _ours(f"{_large} large and {_small} small crops", "sweep", large=_large, small=_small))
# On photographs, whose exact masks nobody knows: every method, and each part of ReLICv2 left out once.
RELICV2_IN_SHORT = (
    *(name for name, system in RELICV2.items() if system.role in ("main", "yardstick")),
    "relicv2 no invariance", "relicv2 no saliency", "relicv2 shuffled", "relicv2 2+0",
)  # fmt: skip
SYSTEMS = ATTACKED | NEGATIVES | RELICV2


def settings_of(name: str, views: int, budget: int) -> object:
    """The settings of a system's method: EMP-SSL has `views` unless the system says otherwise, and a student's teacher
    is the system "simclr", trained for its own `budget`."""
    system = SYSTEMS[one_of(name, SYSTEMS, "system")]
    changes = dict(system.settings)
    if system.method == "emp_ssl":
        changes["views"] = system.crops or views
    if system.method == "deacl":
        changes["teacher_epochs"] = epochs_of("simclr", views, budget)
    return METHODS[system.method].settings(**changes)


def epochs_of(name: str, views: int, budget: int) -> int:
    """As many epochs as come nearest to `budget` passes an image times the system's own factor, at least one."""
    system = SYSTEMS[one_of(name, SYSTEMS, "system")]
    build = METHODS[system.method].build
    changes = {"views": system.crops or views} if system.method == "emp_ssl" else {}
    own = views_of(system.method, METHODS[system.method].settings(**system.settings | changes))
    each = passes(cost(own), system.attack, needs_attack(build))
    return max(1, round(budget * system.budget / each)) if METHODS[system.method].trained else 1
