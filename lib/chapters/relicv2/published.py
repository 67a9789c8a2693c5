"""The paper's headline numbers on ReLICv2 and those of third parties on CIFAR-10, each with the page it was read on."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lib.papers import damaged, papers, read

IMAGENET, LEAD = (f"ImageNet, linear probe, {what}" for what in ("top-1", "ahead of earlier methods without labels"))
SEGMENTED = "Cityscapes val, mIoU"
TRANSFERRED = "transfer, top-1 (linear or fine-tuned: not stated)"
PROBED, CLUSTERED = "CIFAR-10, linear probe", "CIFAR-10, clusters matched to classes (called kNN there)"
TOMASEV = (  # quantity and model
    *((IMAGENET, f"ReLICv2, {network}")
      for network in ("ResNet-50", "ResNet-101", "ResNet-152", "ResNet-200", "largest network")),
    *((LEAD, f"ReLICv2, {network}") for network in ("ResNet-50", "larger networks, at most")),
    *(("ObjectNet, linear probe, top-1", f"{name}, ResNet-50") for name in ("ReLICv2", "ReLIC", "SimCLR")),
    *((SEGMENTED, name) for name in ("ReLICv2", "BYOL")),
    ("PASCAL VOC 2012 val, mIoU", "ReLICv2"),
    *((f"{name}, {TRANSFERRED}", "ReLICv2") for name in ("CIFAR-100", "Stanford Cars")),
    *((PROBED, f"a third party's ReLIC{which}") for which in (
        ", ResNet-18, 100 epochs", ", ResNet-18, 100 epochs, earlier version",
        " with nested features, ResNet-18, 400 epochs",
    )),
    *((CLUSTERED, f"a third party's {name}") for name in ("BYOL", "ReLIC", "SimCLR", "SwAV", "MoCo", "Barlow Twins")),
)  # fmt: skip


def tomasev2022(folder: Path | None = None) -> pd.DataFrame:
    """What others' pages quote of Tomasev et al. (arXiv 2201.05119), and third parties' numbers on CIFAR-10.

    A line for each of `TOMASEV`, in its order: quantity, model, value, its unit ("%", or "points" where it is a
    difference) and source, the page that was read. None was read in a table of the paper. `folder` None is
    `results/papers`.
    """
    path = (folder or papers()) / "tomasev2022.csv"
    table = read(path, ["quantity", "model"], ["value"], set(TOMASEV), others=["unit", "source"])
    table = table.loc[list(TOMASEV)].reset_index()
    if not table["unit"].isin(("%", "points")).all() or (table["source"] == "").any():
        raise damaged(path, "a unit is neither % nor points, or a source is missing")
    return table


def published_relicv2_table() -> pd.DataFrame:
    """A line a number, with its unit: what was measured, of which model, and where the number stands."""
    return pd.DataFrame(
        {
            "measured": line["quantity"],
            "model": line["model"],
            "published": f"{line['value']:g} %" if line["unit"] == "%" else f"{line['value']:+g} points",
            "read in": line["source"],
        }
        for _, line in tomasev2022().iterrows()
    )


def published_relicv2_words() -> str:
    """What stands behind the table: sources that are not the paper, and numbers that are not what they are called."""
    table = tomasev2022()
    third = table["quantity"].isin((PROBED, CLUSTERED))
    abstract = table["source"].str.startswith("abstract")
    probed = table.loc[table["quantity"] == PROBED, "value"]
    return (
        f"Source: pages that quote the paper, none of them the paper's tables; {abstract.sum()} of {(~third).sum()} "
        f"numbers are in its abstract. The {third.sum()} on CIFAR-10 are third parties', single numbers without "
        f"intervals: linear probes from {probed.min():g} to {probed.max():g} %, and what one of them calls kNN, which "
        "is the share of images in a cluster that was matched to their class."
    )
