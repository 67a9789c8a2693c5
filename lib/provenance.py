"""Every published run of the book: what was trained, on what, by what, for how long, and how to do it again."""

from __future__ import annotations

import html
import json

import pandas as pd
from IPython.display import HTML

from lib import paths
from lib.chapters import PLANS
from lib.errors import BadInput
from lib.figures import table
from lib.figures.figure import csv_link
from lib.runs import PRESETS, Results, Study, store

SHOWN = ("run", "what", "data", "seed", "seconds", "finished", "commit")  # columns of the page's own tables
TRAINING = ["run", "commit", "finished", "seconds"]  # columns that tell one training of a run from another


def every_run() -> pd.DataFrame:
    """A line for each training of a published run, of all studies and presets.

    Columns are those of `Results.provenance`, and "study" and "preset", "what" was trained in words, whether a page is
    "shown" of it, whether it is "stale", and the "command" that computes it again. A training that several studies
    publish stands at the first of them; "studies" names all. Raises BadInput where nothing is published.
    """
    lines = [part for study in PLANS for part in _of_study(study)]
    if not lines:
        raise BadInput("no run is published")
    found = pd.concat(lines, ignore_index=True)
    found["studies"] = found.groupby(TRAINING)["study"].transform(", ".join)
    return found.drop_duplicates(TRAINING, ignore_index=True)


def _of_study(study: str) -> list[pd.DataFrame]:
    """What its page shows, and after it what is published of other presets."""
    try:
        shown = Study(PLANS[study]).results()
    except BadInput:  # nothing is published of it
        return []
    stale = [standing.stale for standing in shown.standings if not standing.left_out]
    lines = [_lines(study, shown).assign(shown=True, stale=stale)]
    for preset in PRESETS:
        home = paths.RESULTS / study / preset
        if preset != shown.preset and store.is_published(home):
            results = Results(*store.read_published(home), preset, stale=False)
            lines.append(_lines(study, results).assign(shown=False, stale=False))
    return lines


def _lines(study: str, results: Results) -> pd.DataFrame:
    lines = results.provenance()
    what = lines["system"] if "system" in lines else lines["method"]
    for name in ("augmentation", "settings"):
        if name in lines:
            what = what + lines[name].map(lambda word: f", {word}" if word else "")
    commands = [_command(study, results.preset, record) for record in results.records]
    return lines.assign(study=study, preset=results.preset, what=what, command=commands)


def _command(study: str, preset: str, record: dict) -> str:
    """That of the run's system, or of its method, which may have further runs of this seed."""
    chosen = ("--systems", record["system"]) if "system" in record else ("--methods", record["config"]["method"])
    return (
        f"python -m lib.chapters {study} --preset {preset} --dataset {record['config']['dataset']} "
        f"{chosen[0]} '{json.dumps([chosen[1]])}' --seeds '[{record['config']['seed']}]'"
    )


def by_study(runs: pd.DataFrame) -> pd.DataFrame:
    """A line for each study and preset: its runs, what training them took, when it was, and how many are stale."""
    return pd.DataFrame(
        {
            "study": study,
            "preset": preset,
            "shown": "yes" if own["shown"].all() else "not yet",
            "runs": len(own),
            "hours of training": round(own["seconds"].sum() / 3600, 1),
            "precision": ", ".join(own["precision"].unique()),
            "finished": " to ".join(dict.fromkeys((own["finished"].min(), own["finished"].max()))),
            "stale": own["stale"].sum(),
        }
        for (study, preset), own in runs.groupby(["study", "preset"], sort=False)
    )


def told(runs: pd.DataFrame) -> str:
    """The total in a few sentences."""
    twice = int((runs["run"].value_counts() > 1).sum())
    again = f" {twice} configurations were trained more than once, for different studies." if twice else ""
    return (
        f"{len(runs)} trained and measured encoders are published. Training them took "
        f"{runs['seconds'].sum() / 3600:.1f} hours, measuring not counted, and the longest "
        f"{runs['seconds'].max() / 60:.0f} minutes.{again}"
    )


def listed(runs: pd.DataFrame) -> HTML:
    """The runs of each study in a fold of its own."""
    return HTML(
        "\n".join(
            f"<details><summary>{html.escape(study)}: {len(own)} runs</summary>{table(own[list(SHOWN)]).data}</details>"
            for study, own in runs.groupby("study", sort=False)
        )
    )


def download(runs: pd.DataFrame) -> HTML:
    """A link to all columns of all runs, as a file that is in the page itself."""
    words = f"All {len(runs)} runs as CSV, with configurations, memory, versions, checksums and commands"
    return HTML(f"<p>{csv_link(runs, 'withstand-runs', words)}</p>")
