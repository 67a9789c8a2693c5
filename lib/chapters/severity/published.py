"""The errors that Chhipa et al. (arXiv 2308.02525) published, and other summaries of them.

They evaluate eight public checkpoints on the 19 corruptions of ImageNet-C and publish every error, which is why another
summary can be computed here at all. Where the numbers come from: `results/papers/README.md`. Frames of errors have
methods as index, corruptions as columns and hold means over the five severities, in percent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lib.measures.corruption_error import ALL, mean_corruption_error, relative_mean_corruption_error
from lib.measures.rows import CLEAN
from lib.papers import papers, read
from lib.shifts.corruptions import CORRUPTIONS, SEVERITIES

RESNETS = ("simclr", "simsiam", "byol", "barlow_twins", "swav", "dino")  # self-supervised, all ResNet-50
MODELS = (*RESNETS, "supervised", "dino_vit")  # a ResNet-50 trained with labels, and DINO's ViT-S/8

# The groups of the paper's figures: all 19, with brightness among the digital ones; the benchmark has it in weather.
GROUPS = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise", "spatter"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "gaussian_blur"),
    "weather": ("snow", "frost", "fog"),
    "digital": ("brightness", "contrast", "saturate", "pixelate", "elastic_transform", "jpeg_compression"),
}
NINETEEN = tuple(name for members in GROUPS.values() for name in members)
MISSPELT = "contrast"  # of the digital group in their plotting notebook, where no error answers to "contrest"

SUMMARIES = ("err_rate", "clean_error", "mce", "rmce")  # the fields of their files
BASELINE_CLEAN = 43.5  # AlexNet's clean error as their code writes it
BASELINE_SUM = 500  # and its errors at five severities: a baseline that is always wrong


@dataclass(frozen=True)
class Published:
    """What the files hold, in percent."""

    errors: pd.DataFrame  # (8, 19)
    clean: pd.Series  # (8,); quoted from model zoos, not measured by the paper
    by_severity: pd.DataFrame  # (8, 5), means over the 19 corruptions
    summaries: pd.DataFrame  # (8, 4), the columns of `SUMMARIES` as stored
    alexnet: pd.Series  # (15,)
    alexnet_clean: float


def chhipa2023(folder: Path | None = None) -> Published:
    """The published numbers, from `folder` (None: `results/papers`). A missing or damaged file raises `BadInput`."""
    folder = folder or papers()
    cells = {
        (method, shift, severity)
        for method in MODELS
        for shift, severity in [(CLEAN, 0), *((name, 0) for name in NINETEEN), *((ALL, level) for level in SEVERITIES)]
    }
    errors = read(folder / "chhipa2023.csv", ["method", "shift", "severity"], ["error"], cells)["error"]
    mean = errors.xs(0, level="severity").unstack("shift")
    summaries = read(folder / "chhipa2023_summaries.csv", ["method"], list(SUMMARIES), set(MODELS))
    alexnet = read(folder / "alexnet_imagenet_c.csv", ["shift"], ["error"], {CLEAN, *CORRUPTIONS})["error"]
    return Published(
        errors=mean.loc[list(MODELS), list(NINETEEN)],
        clean=mean.loc[list(MODELS), CLEAN],
        by_severity=errors.xs(ALL, level="shift").unstack("severity").loc[list(MODELS), list(SEVERITIES)],
        summaries=summaries.loc[list(MODELS)],
        alexnet=alexnet[list(CORRUPTIONS)],
        alexnet_clean=float(alexnet[CLEAN]),
    )


def scores(published: Published) -> pd.DataFrame:
    """A line a model and a column a metric, in percent (degradation: points); the least is the best in each.

    "mean error" and "degradation" (from the clean error) are over the 19 corruptions, "mean error of 15" over those of
    the benchmark, for which alone AlexNet's errors are known: "mCE" and "relative mCE" divide by them (arXiv
    1903.12261, section 4). "RmCE as stored" is the paper's number, "RmCE" its formula on the clean errors.
    """
    errors, clean = published.errors, published.clean
    benchmark = errors[list(CORRUPTIONS)]
    alexnet = published.alexnet.to_frame()  # means over severities stand for sums: the five cancels out
    by_model = {model: benchmark.loc[model].to_frame() for model in benchmark.index}
    return pd.DataFrame(
        {
            "mean error": errors.mean(axis=1),
            "mean error of 15": benchmark.mean(axis=1),
            "RmCE as stored": published.summaries["rmce"],
            "RmCE": paper_rmce(errors, clean),
            "mCE": pd.Series({model: mean_corruption_error(line, alexnet) for model, line in by_model.items()}),
            "relative mCE": pd.Series(
                {
                    model: relative_mean_corruption_error(line, clean[model], alexnet, published.alexnet_clean)
                    for model, line in by_model.items()
                }
            ),
            "degradation": degradation(errors, clean),
        }
    )


def paper_rmce(errors: pd.DataFrame, clean: pd.Series) -> pd.Series:
    r"""RmCE in percent as the paper's `evaluation/metric.py` computes it, (methods,).

    .. math:: \frac{100}{C} \sum_c \frac{\sum_s E_{c,s} - E_{\mathrm{clean}}}{500 - 43.5}

    The clean error is subtracted once from a sum of five errors; `relative_mean_corruption_error` subtracts it from
    each of them. A stand-in that is always wrong takes the place of AlexNet's errors, but not of its clean error.
    """
    sums = len(SEVERITIES) * errors
    return 100 * sums.sub(clean, axis=0).mean(axis=1) / (BASELINE_SUM - BASELINE_CLEAN)


def degradation(errors: pd.DataFrame, clean: pd.Series) -> pd.Series:
    """The mean error less the clean one, in points, (methods,)."""
    return errors.mean(axis=1) - clean


def group_means(errors: pd.DataFrame, groups: Mapping[str, Sequence[str]] = GROUPS) -> pd.DataFrame:
    """Mean error in percent of each group of corruptions, (methods, groups)."""
    return pd.DataFrame({group: errors[list(members)].mean(axis=1) for group, members in groups.items()})


def digital_as_plotted(errors: pd.DataFrame) -> pd.Series:
    """Mean error in percent of the digital group as the paper's notebook plots it, (methods,).

    The name of contrast is misspelt there, so that its error is left out of the sum and stays in the number.
    """
    members = GROUPS["digital"]
    return errors[[name for name in members if name != MISSPELT]].sum(axis=1) / len(members)


def rankings(scores: pd.DataFrame) -> pd.DataFrame:
    """Ranks by each column: 1 is the least; equal scores share the better rank."""
    return scores.rank(method="min").astype(int)
