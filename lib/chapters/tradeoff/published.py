"""The table of Ghofrani and Jamshidi (arXiv 2501.03507)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from lib.papers import damaged, papers, read

GHOFRANI = (
    "Patch-based EMP-SSL", "Crop-based EMP-SSL", "Crop-based SimCLR", "Patch-based SimCLR", "Patch-based EMP-FreeAdv",
    "Crop-based SimCLR-FreeAdv", "Crop-based EMP-FreeAdv (CF-AMC-SSL)",
)  # fmt: skip


def ghofrani2025(folder: Path | None = None) -> pd.DataFrame:
    """The table of Ghofrani and Jamshidi (arXiv 2501.03507) on CIFAR-10: `GHOFRANI` as index, the columns clean, pgd4
    and pgd8 (PGD within 4/255 and 8/255) in percent, and minutes of training. `folder` None is `results/papers`."""
    path = (folder or papers()) / "ghofrani2025.csv"
    table = read(path, ["system"], ["clean", "pgd4", "pgd8"], set(GHOFRANI), others=["minutes"])
    minutes = pd.to_numeric(table["minutes"], errors="coerce")
    if not minutes.between(0, np.inf, inclusive="neither").all():
        raise damaged(path, "a number of minutes is missing or out of range")
    return table.assign(minutes=minutes.astype(float)).loc[list(GHOFRANI)]
