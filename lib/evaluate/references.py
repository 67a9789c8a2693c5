"""The book's own encoders beside one from outside: where data, protocol and measure are the same, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from lib import paths
from lib.contrasts import levels
from lib.evaluate.axes import PROBE
from lib.evaluate.data import Data
from lib.evaluate.numbers import Headline, cells_of, headlines, mean_of
from lib.evaluate.plan import Plan
from lib.methods import METHODS
from lib.runs import store


@dataclass(frozen=True)
class References:
    """A table a headline: the book's encoders and those asked about, best first; or why there is none."""

    tables: dict[str, pd.DataFrame]
    reason: str = ""


def references(rows: pd.DataFrame, data: Data, plan: Plan) -> References:
    """Published runs on the same data, whose probe learned from as many images, measured by the same measure.

    The same means: equal checksums of the data, equal numbers of training images, equal identities of the measure, with
    its number of test images and its protocol.
    """
    records, others = published()
    same = {
        record["key"]: record
        for record in records
        if record["data"].get("checksum") == data.checksum and record["data"]["train_images"] == plan.sizes.train
    }
    own = rows[rows["reader"] == PROBE]
    found = {}
    for headline in headlines(own) if same else ():
        if headline.reader == PROBE:
            table = _placed(own, headline, others[others["run"].isin(list(same))], same)
            if table is not None:
                found[headline.words] = table
    if found:
        return References(found)
    counts = {record["data"]["train_images"] for record in records if record["data"].get("checksum") == data.checksum}
    if not counts:
        return References({}, f"the book has published no rows on these images ({data.name})")
    words = (
        f"the book's rows on {data.name} were measured otherwise: by probes of {_or(sorted(counts))} training images, "
        f"and here of {plan.sizes.train:,}, or on other numbers of test images"
    )
    return References({}, words)


def _placed(own: pd.DataFrame, headline: Headline, published: pd.DataFrame, records: dict) -> pd.DataFrame | None:
    """The encoders of both in one order; None where the book has not these very cells."""
    encoders = list(own["encoder"].unique())
    cells = cells_of(own, headline, encoders[0])
    keys = ["measure", "shift", "subset", "level", "level_unit", "metric"]
    theirs = published.merge(cells[keys].drop_duplicates(), on=keys)
    whole = theirs.groupby("run").filter(lambda part: len(part) == len(cells))
    if whole.empty:
        return None
    means = whole.groupby("run").agg(
        value=("value", "mean"), standard_error=("standard_error", "mean"), images=("images", "min")
    )
    described = [records[run]["config"] for run in means.index]
    means["metric"], means["seed"] = cells["metric"].iloc[0], [config["seed"] for config in described]
    means["system"] = [json.dumps(config | {"seed": 0}, sort_keys=True) for config in described]
    titles = {
        system: f"{_title(own)}, {own['encoder']} (the book)"
        for system, own in zip(means["system"], described, strict=True)
    }
    lines = [
        {
            "encoder": titles[system],
            "runs": int((means["system"] == system).sum()),
            "number": str(found),
            "value": found.mean,
        }
        for (system,), found in levels(means.reset_index(drop=True), ["system"]).items()
    ]
    for name in encoders:
        interval = mean_of(cells_of(own, headline, name))
        lines.append({"encoder": f"→ {name}", "runs": 1, "number": str(interval), "value": interval.mean})
    table = pd.DataFrame(lines).sort_values("value", ascending=not headline.more_is_better, kind="stable")
    return table.drop(columns="value").rename(columns={"number": f"{headline.words} ({headline.unit})"})


def _title(config: dict) -> str:
    method = config["method"]
    words = METHODS[method].title if method in METHODS else method
    extra = [config.get("augmentation"), "trained against an adversary" if config.get("attack") else None]
    settings = config.get("settings", {})
    if settings.get("negatives"):
        extra.append(f"{settings['negatives']} negatives")
    return ", ".join([words, *filter(None, extra)])


def published() -> tuple[list[dict], pd.DataFrame]:
    """Records and rows of all studies, of whatever preset; what two of them published of a run, once."""
    records, tables = {}, []
    for home in sorted(path.parent for path in paths.RESULTS.glob("*/*/runs.jsonl")):
        of_study, rows = store.read_published(home)
        records |= {record["key"]: record for record in of_study}
        tables.append(rows)
    rows = store.join(tables)
    return list(records.values()), rows.drop_duplicates([name for name in rows if name not in _NUMBERS])


_NUMBERS = ("value", "standard_error", "images")


def _or(counts: Sequence[int]) -> str:
    return " or ".join(f"{count:,}" for count in counts)
