"""The smallest example of severity: one image at the five severities of two corruptions, how far each moves it, and
what becomes of a probe's error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import matplotlib.pyplot as plt
import pandas as pd
import torch
from torch import Tensor

from lib.contrasts import present
from lib.figures.figure import Figure
from lib.figures.prose import UNTOLD, listed
from lib.figures.style import spaced, title, use_style
from lib.measures.rows import CLEAN, by_severity
from lib.measures.similarity import ssim
from lib.shifts.corruptions import SEVERITIES, corrupted_alike

EXAMPLE = ("fog", "saturate")  # one that only gets worse, and one that does not


@dataclass(frozen=True)
class Steps:
    """One image under a corruption: uint8 (6, 3, H, W), clean and at severities 1 to 5; and how far each of the five
    is from the clean one, 100 (1 - SSIM)."""

    shift: str
    images: Tensor
    distances: list[float]

    @property
    def nearer(self) -> list[int]:
        """The severities at which the image is nearer to the clean one than a severity below."""
        pairs = zip(SEVERITIES[1:], pairwise(self.distances), strict=True)
        return [level for level, (before, now) in pairs if now < before]


def severity_steps(image: Tensor, shifts: Sequence[str] = EXAMPLE) -> list[Steps]:
    """One uint8 image (3, H, W) under each of `shifts`, with the constants of its size."""
    found = []
    for shift in shifts:
        worse = torch.cat([corrupted_alike(image[None], shift, severity) for severity in SEVERITIES])
        alike = ssim(image.expand_as(worse), worse)
        found.append(Steps(shift, torch.cat([image[None], worse]), (100 * (1 - alike)).tolist()))
    return found


def severity_words(found: Sequence[Steps]) -> str:
    """Distances of the example in a sentence, and where they fall."""

    def told(own: Steps) -> str:
        numbers = listed([f"{distance:.1f}" for distance in own.distances])
        if not own.nearer:
            return f"{spaced(own.shift)} {numbers}, which only grow"
        return f"{spaced(own.shift)} {numbers}, which fall at severity {listed([str(level) for level in own.nearer])}"

    return f"From severity 1 to 5 the distances are: {'; '.join(map(told, found))}."


def severity_sheet(found: Sequence[Steps]) -> Figure:
    """A row a corruption: the clean image and the five severities, with the distance under each."""
    use_style()
    drawing, panels = plt.subplots(
        len(found), 1 + len(SEVERITIES), figsize=(5.4, 0.3 + 1.1 * len(found)), squeeze=False
    )
    for line, own in zip(panels, found, strict=True):
        below = ["distance:", *(f"{distance:.1f}" for distance in own.distances)]
        for axes, image, words in zip(line, own.images, below, strict=True):
            axes.imshow(image.permute(1, 2, 0).cpu().numpy(), interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            axes.set_xlabel(words, fontsize=10.5, labelpad=3)
        line[0].set_ylabel(spaced(own.shift), fontsize=9.5, labelpad=3)
    for axes, words in zip(panels[0], ["clean", *(f"severity {severity}" for severity in SEVERITIES)], strict=True):
        axes.set_title(words, fontsize=10.5, pad=4)
    drawing.subplots_adjust(left=0.035, right=1, bottom=0.1, top=0.9, wspace=0.06, hspace=0.24)
    names = listed([spaced(own.shift) for own in found])
    data = pd.DataFrame(
        [(spaced(own.shift), severity, distance)
         for own in found for severity, distance in zip(SEVERITIES, own.distances, strict=True)],
        columns=["corruption", "severity", "distance"],
    )  # fmt: skip
    return Figure(
        drawing,
        name="fig-severity-example",
        caption=f"One image of the embedded set `scenes` under {names}, and how far each severity moves it from the "
        "clean image: 100 (1 \N{MINUS SIGN} SSIM), 0 for the image itself.",
        alt=f"One small image, clean and at five severities of {names}. {severity_words(found)}",
        data=data,
        pixels=True,
    )


def error_words(rows: pd.DataFrame, shift: str = EXAMPLE[-1]) -> str:
    """The part of `shift` in both summaries of one method's errors, worked out in sentences."""
    errors = by_severity(rows[rows["metric"] == "error"])
    means = errors.groupby(["method", "shift", "severity"])["value"].mean()
    for method in present(errors) or list(errors["method"].unique()):
        clean = means.get((method, CLEAN, 0))
        worse = [means.get((method, shift, severity)) for severity in SEVERITIES]
        if clean is None or None in worse:
            continue
        mean = sum(worse) / len(worse)
        return (
            f"The probe on {title(method)} is wrong on {clean:.1f} % of the clean images, and under {spaced(shift)} "
            f"on {listed([f'{error:.1f}' for error in worse])} %. The part of this corruption in CE is the mean of the "
            f"five, {mean:.1f} %. Its part in rCE is that mean less the clean error, {mean - clean:.1f} points."
        )
    return UNTOLD
