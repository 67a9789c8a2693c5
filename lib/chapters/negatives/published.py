"""The table of Ge et al. (arXiv 2110.14189)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from lib.figures.prose import NONE
from lib.measures.rows import Rows
from lib.papers import papers, read

GE = (  # model, queue, and alpha where there are negatives; a star: hyper-parameters of later work (IFM)
    ("MoCo", 16_384, ""), ("MoCo + Texture", 16_384, "2"), ("MoCo + Patch", 16_384, "2"), ("MoCo + Patch", 16_384, "3"),
    ("MoCo", 8_192, ""), ("MoCo + Patch", 8_192, "2"),
    ("MoCo*", 65_536, ""), ("MoCo + Patch*", 65_536, "2"), ("MoCo + Patch*", 16_394, "2"),
)  # fmt: skip
GE_SETS = ("clean", "corruption", "sketch", "stylized", "rendition")  # of ImageNet-100, and its 100 classes elsewhere


def ge2021(folder: Path | None = None) -> pd.DataFrame:
    """The table of Ge et al. (arXiv 2110.14189): MoCo v2 on ImageNet-100, a line for each of `GE`, in its order.

    Columns model, queue, alpha (NaN without negatives), for each of `GE_SETS` the accuracy of the linear probe in
    percent and, as "..._std", its standard deviation over three runs, and note: what is odd in a line, or "". Numbers
    are those that were printed. `folder` None is `results/papers`.
    """
    path = (folder or papers()) / "ge2021.csv"
    values = [name + end for name in GE_SETS for end in ("", "_std")]
    table = read(path, ["model", "queue", "alpha"], values, set(GE), others=["note"]).loc[list(GE)].reset_index()
    return table.assign(alpha=pd.to_numeric(table["alpha"]))


def published_negatives_table() -> Rows:
    """The paper's table: accuracies in percent on ImageNet-100 and four sets out of domain, and what is odd in it."""
    table, names = ge2021(), ("ImageNet-100", "Corruption", "Sketch", "Stylized", "Rendition")
    return pd.DataFrame(
        {"model": line["model"], "queue": f"{line['queue']:,}"}
        | {"alpha": NONE if np.isnan(line["alpha"]) else f"{line['alpha']:g}"}
        | {
            f"{name} (%)": f"{line[column]:.2f} ± {line[f'{column}_std']:.2f}"
            for name, column in zip(names, GE_SETS, strict=True)
        }
        | {"note": line["note"]}
        for _, line in table.iterrows()
    )
