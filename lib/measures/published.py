"""Numbers that papers published: the errors of Chhipa et al. (arXiv 2308.02525), scored again, the tables of Ghofrani
and Jamshidi (arXiv 2501.03507) and of Ge et al. (arXiv 2110.14189), and what is known of Tomasev et al. (2201.05119).

Chhipa et al. evaluate eight public checkpoints on the 19 corruptions of ImageNet-C and publish every error, which is
why another summary can be computed here at all. Where the numbers come from: `results/papers/README.md`. Frames of
errors have methods as index, corruptions as columns and hold means over the five severities, in percent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lib import paths
from lib.errors import BadInput
from lib.measures.corruption_error import ALL, mean_corruption_error, relative_mean_corruption_error
from lib.measures.rows import CLEAN
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

GHOFRANI = (
    "Patch-based EMP-SSL", "Crop-based EMP-SSL", "Crop-based SimCLR", "Patch-based SimCLR", "Patch-based EMP-FreeAdv",
    "Crop-based SimCLR-FreeAdv", "Crop-based EMP-FreeAdv (CF-AMC-SSL)",
)  # fmt: skip

GE = (  # model, queue, and alpha where there are negatives; a star: hyper-parameters of later work (IFM)
    ("MoCo", 16_384, ""), ("MoCo + Texture", 16_384, "2"), ("MoCo + Patch", 16_384, "2"), ("MoCo + Patch", 16_384, "3"),
    ("MoCo", 8_192, ""), ("MoCo + Patch", 8_192, "2"),
    ("MoCo*", 65_536, ""), ("MoCo + Patch*", 65_536, "2"), ("MoCo + Patch*", 16_394, "2"),
)  # fmt: skip
GE_SETS = ("clean", "corruption", "sketch", "stylized", "rendition")  # of ImageNet-100, and its 100 classes elsewhere

IMAGENET, LEAD = (f"ImageNet, linear probe, {what}" for what in ("top-1", "ahead of earlier methods without labels"))
TRANSFERRED = "transfer, top-1 (linear or fine-tuned: not stated)"
PROBED, CLUSTERED = "CIFAR-10, linear probe", "CIFAR-10, clusters matched to classes (called kNN there)"
TOMASEV = (  # quantity and model
    *((IMAGENET, f"ReLICv2, {network}")
      for network in ("ResNet-50", "ResNet-101", "ResNet-152", "ResNet-200", "largest network")),
    *((LEAD, f"ReLICv2, {network}") for network in ("ResNet-50", "larger networks, at most")),
    *(("ObjectNet, linear probe, top-1", f"{name}, ResNet-50") for name in ("ReLICv2", "ReLIC", "SimCLR")),
    *(("Cityscapes val, mIoU", name) for name in ("ReLICv2", "BYOL")),
    ("PASCAL VOC 2012 val, mIoU", "ReLICv2"),
    *((f"{name}, {TRANSFERRED}", "ReLICv2") for name in ("CIFAR-100", "Stanford Cars")),
    *((PROBED, f"a third party's ReLIC{which}") for which in (
        ", ResNet-18, 100 epochs", ", ResNet-18, 100 epochs, earlier version",
        " with nested features, ResNet-18, 400 epochs",
    )),
    *((CLUSTERED, f"a third party's {name}") for name in ("BYOL", "ReLIC", "SimCLR", "SwAV", "MoCo", "Barlow Twins")),
)  # fmt: skip

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
    folder = folder or paths.RESULTS / "papers"
    cells = {
        (method, shift, severity)
        for method in MODELS
        for shift, severity in [(CLEAN, 0), *((name, 0) for name in NINETEEN), *((ALL, level) for level in SEVERITIES)]
    }
    errors = _read(folder / "chhipa2023.csv", ["method", "shift", "severity"], ["error"], cells)["error"]
    mean = errors.xs(0, level="severity").unstack("shift")
    summaries = _read(folder / "chhipa2023_summaries.csv", ["method"], list(SUMMARIES), set(MODELS))
    alexnet = _read(folder / "alexnet_imagenet_c.csv", ["shift"], ["error"], {CLEAN, *CORRUPTIONS})["error"]
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


def ghofrani2025(folder: Path | None = None) -> pd.DataFrame:
    """The table of Ghofrani and Jamshidi (arXiv 2501.03507) on CIFAR-10: `GHOFRANI` as index, the columns clean, pgd4
    and pgd8 (PGD within 4/255 and 8/255) in percent, and minutes of training. `folder` as in `chhipa2023`."""
    path = (folder or paths.RESULTS / "papers") / "ghofrani2025.csv"
    table = _read(path, ["system"], ["clean", "pgd4", "pgd8"], set(GHOFRANI), others=["minutes"])
    minutes = pd.to_numeric(table["minutes"], errors="coerce")
    if not minutes.between(0, np.inf, inclusive="neither").all():
        raise _damaged(path, "a number of minutes is missing or out of range")
    return table.assign(minutes=minutes.astype(float)).loc[list(GHOFRANI)]


def ge2021(folder: Path | None = None) -> pd.DataFrame:
    """The table of Ge et al. (arXiv 2110.14189): MoCo v2 on ImageNet-100, a line for each of `GE`, in its order.

    Columns model, queue, alpha (NaN without negatives), for each of `GE_SETS` the accuracy of the linear probe in
    percent and, as "..._std", its standard deviation over three runs, and note: what is odd in a line, or "". Numbers
    are those that were printed. `folder` as in `chhipa2023`.
    """
    path = (folder or paths.RESULTS / "papers") / "ge2021.csv"
    values = [name + end for name in GE_SETS for end in ("", "_std")]
    table = _read(path, ["model", "queue", "alpha"], values, set(GE), others=["note"]).loc[list(GE)].reset_index()
    return table.assign(alpha=pd.to_numeric(table["alpha"]))


def tomasev2022(folder: Path | None = None) -> pd.DataFrame:
    """What others' pages quote of Tomasev et al. (arXiv 2201.05119), and third parties' numbers on CIFAR-10.

    A line for each of `TOMASEV`, in its order: quantity, model, value, its unit ("%", or "points" where it is a
    difference) and source, the page that was read. None was read in a table of the paper. `folder` as in `chhipa2023`.
    """
    path = (folder or paths.RESULTS / "papers") / "tomasev2022.csv"
    table = _read(path, ["quantity", "model"], ["value"], set(TOMASEV), others=["unit", "source"])
    table = table.loc[list(TOMASEV)].reset_index()
    if not table["unit"].isin(("%", "points")).all() or (table["source"] == "").any():
        raise _damaged(path, "a unit is neither % nor points, or a source is missing")
    return table


def _read(path: Path, keys: list[str], values: list[str], cells: set, others: Sequence[str] = ()) -> pd.DataFrame:
    """The table at `path`, indexed by `keys`, with one line for each of `cells` and percentages in `values`.

    The columns `others` follow, unchecked.
    """
    try:
        table = pd.read_csv(path, keep_default_na=False)
    except OSError as error:
        raise BadInput(f"{path} could not be read ({error.strerror}); it is part of the repository") from error
    except ValueError as error:  # pandas' own errors, and bytes that are no text
        raise _damaged(path, "it is not a table") from error
    columns = [*keys, *values, *others]
    if list(table) != columns:
        raise _damaged(path, f"its columns should be {', '.join(columns)}")
    table = table.set_index(keys)
    found = set(table.index)
    if table.index.has_duplicates or found != cells:
        odd = sorted(found ^ cells, key=str) or list(table.index[table.index.duplicated()])
        raise _damaged(path, f"{_name(odd[0])} is missing, unknown or given twice ({len(odd)} such lines)")
    table[values] = table[values].apply(pd.to_numeric, errors="coerce")
    wrong = ~table[values].apply(lambda column: column.between(0, 100)).all(axis=1)
    if wrong.any():
        raise _damaged(path, f"{_name(table.index[wrong][0])} has a value that is no number from 0 to 100")
    return table


def _damaged(path: Path, what: str) -> BadInput:
    return BadInput(f"{path} is damaged: {what}; restore it from the repository")


def _name(line: str | tuple) -> str:
    return line if isinstance(line, str) else ", ".join(map(str, line))
