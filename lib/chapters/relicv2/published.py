"""The paper's headline numbers on ReLICv2 and those of third parties on CIFAR-10, each with the page it was read on."""

from __future__ import annotations

import pandas as pd

from lib.measures.published import CLUSTERED, PROBED, tomasev2022


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
        "is the share of pictures in a cluster that was matched to their class."
    )
