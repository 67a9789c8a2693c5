"""Every published run of the book once: what was trained, on what, by what, for how long, and how to do it again."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable

import pandas as pd
from IPython.display import HTML

from lib.chapters import PLANS
from lib.errors import BadInput
from lib.figures import table
from lib.runs import Results, Study

SHOWN = ("run", "what", "data", "seed", "seconds", "finished", "commit")  # columns of the page's own tables


def every_run() -> pd.DataFrame:
    """A line for each published run of all studies, by study: `study` is the first that shows it, `studies` are all.

    Columns are those of `Results.provenance` with the name of what was trained as "what", "preset", "stale" and the
    "command" that trains and measures the run. Raises BadInput where no study is published.
    """
    lines = [_of_study(name, results) for name, results in _published()]
    if not lines:
        raise BadInput("no study is published")
    found = pd.concat(lines, ignore_index=True)
    found["studies"] = found.groupby("run")["study"].transform(", ".join)
    return found.drop_duplicates("run").reset_index(drop=True)


def _published() -> Iterable[tuple[str, Results]]:
    for name, plan in PLANS.items():
        try:
            yield name, Study(plan).results()
        except BadInput:  # nothing is published of it
            continue


def _of_study(study: str, results: Results) -> pd.DataFrame:
    lines = results.provenance()
    named = lines["system"] if "system" in lines else lines["method"]
    extra = [lines[name].map(_in_front) for name in ("augmentation", "settings") if name in lines]
    stale = {_key(record): standing.stale for record, standing in zip(results.records, results.standings, strict=False)}
    asked = ("--systems", "system") if "system" in results.records[0] else ("--methods", None)
    words = [record["system"] if asked[1] else record["config"]["method"] for record in results.records]
    return lines.assign(
        study=study,
        what=sum(extra, named),
        preset=results.preset,
        stale=[stale.get(_key(record), False) for record in results.records],
        command=[
            f"python -m lib.chapters {study} --preset {results.preset} --dataset {record['config']['dataset']} "
            f"{asked[0]} '{json.dumps([word])}' --seeds '[{record['config']['seed']}]'"
            for record, word in zip(results.records, words, strict=True)
        ],
    )


def _in_front(word: str) -> str:
    return f", {word}" if word else ""


def _key(record: dict) -> str:
    return record["key"]


def by_study(runs: pd.DataFrame) -> pd.DataFrame:
    """A line a study: the runs that it shows first, what training them took, on what, when, and how many are stale."""
    lines = []
    for study, own in runs.groupby("study", sort=False):
        lines.append(
            {
                "study": study,
                "preset": own["preset"].iloc[0],
                "runs": len(own),
                "hours of training": round(own["seconds"].sum() / 3600, 1),
                "device": ", ".join(own["device"].unique()),
                "precision": ", ".join(own["precision"].unique()),
                "finished": " to ".join(dict.fromkeys((own["finished"].min(), own["finished"].max()))),
                "commits": own["commit"].nunique(),
                "stale": int(own["stale"].sum()),
            }
        )
    return pd.DataFrame(lines)


def told(runs: pd.DataFrame) -> str:
    """The total in a sentence or two."""
    hours, longest = runs["seconds"].sum() / 3600, runs["seconds"].max() / 60
    shared = runs["studies"].str.contains(",").sum()
    return (
        f"{len(runs)} runs stand behind the book. Training them took {hours:.1f} hours, measuring not counted, and "
        f"none took more than {longest:.0f} minutes. {shared} of them serve more than one study."
    )


def listed(runs: pd.DataFrame) -> HTML:
    """The runs of each study in a fold of its own."""
    parts = []
    for study, own in runs.groupby("study", sort=False):
        rows = table(own[list(SHOWN)]).data
        parts.append(f"<details><summary>{html.escape(study)}: {len(own)} runs</summary>{rows}</details>")
    return HTML("\n".join(parts))


def download(runs: pd.DataFrame) -> HTML:
    """A link to all columns of all runs as CSV, which is in the page itself."""
    data = base64.b64encode(runs.to_csv(index=False, lineterminator="\n").encode()).decode()
    words = f"All {len(runs)} runs as CSV, with configurations, memory, versions, checksums and commands"
    return HTML(f'<p><a download="withstand-runs.csv" href="data:text/csv;base64,{data}">{words}</a></p>')
