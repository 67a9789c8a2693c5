"""Adversaries: the worst that an image can become within a small ball around it.

A threat is a `norm` of `NORMS` and a radius `epsilon`, in the scale of pixels in [0, 1] or as a text like "8/255".
`pgd` and `fgsm` raise any loss, for training and for evaluation; `FreePerturbation` is carried through training; `apgd`
(`apgd_worst`: on two losses) and `square` attack a classifier; `survives` puts attacks one after the other;
`auto_attack` is the field's yardstick, and `zero_gradient` tells where a loss shows no way.

Every attack takes images (N, 3, H, W), uint8 or float in [0, 1], and the `modules` that its loss uses, and leaves
parameters, gradients, batch-norm statistics, flags and the global generators as they were (see `held`). Perturbations
are float32, whatever the precision of the network.
"""

from lib.held import MODES, held
from lib.shifts.adversary.apgd import apgd, apgd_worst, cross_entropy, dlr, margin, targeted_dlr, zero_gradient
from lib.shifts.adversary.ball import NORMS, epsilon_of, project, random_in_ball, steepest, within
from lib.shifts.adversary.evaluation import auto_attack, in_chunks, survives
from lib.shifts.adversary.pgd import FreePerturbation, deterministic, fgsm, pgd
from lib.shifts.adversary.square import square

__all__ = [
    "MODES",
    "NORMS",
    "FreePerturbation",
    "apgd",
    "apgd_worst",
    "auto_attack",
    "cross_entropy",
    "deterministic",
    "dlr",
    "epsilon_of",
    "fgsm",
    "held",
    "in_chunks",
    "margin",
    "pgd",
    "project",
    "random_in_ball",
    "square",
    "steepest",
    "survives",
    "targeted_dlr",
    "within",
    "zero_gradient",
]
