"""The paper's table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lib.figures.prose import NONE
from lib.measures.published import GE_SETS, ge2021

Rows = pd.DataFrame


# The paper's table


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
