"""The scoreboard: every published system and every entry, on boards of equal data and protocol."""

from __future__ import annotations

import json
from collections import Counter

import pandas as pd

from lib.chapters import PLANS
from lib.evaluate.boards import THE_BOOK, Board, Member, boards, of_entries, of_runs
from lib.evaluate.entries import entries
from lib.methods import METHODS
from lib.runs import Results, Study
from lib.runs.config import RunConfig
from lib.runs.plan import all_systems

RANDOM = "random weights"


def of_notebook(parameters: dict[str, object]) -> list[Board]:
    """All boards: of the studies of all chapters with these `parameters` (see `lib.overview.chapters`), and of the
    entries that are committed."""
    results = {name: Study.from_notebook(plan, parameters).results() for name, plan in PLANS.items()}
    return of_results(results)


def of_results(results: dict[str, Results]) -> list[Board]:
    tables, members, names = of_entries(entries())
    if not results:
        return boards([tables], members, names)
    cells, own, known = _of_the_book(results)
    return boards([cells, tables], own | members, known | names)


def _of_the_book(results: dict[str, Results]) -> tuple[pd.DataFrame, dict[str, Member], dict[str, str]]:
    """The cells of all runs, their systems by key, and the names of data by checksum.

    Runs whose configurations differ in nothing but the seed are of one system, whichever study wanted them.
    """
    systems, data, names, titles, counts = {}, {}, {}, {}, Counter[str]()
    methods: dict[str, str] = {}
    for study, found in results.items():
        for record in found.records:
            config = RunConfig.from_dict(record["config"]).to_dict()  # fills in what is younger than the record
            key = json.dumps(config | {"seed": 0}, sort_keys=True)
            if record["key"] not in systems:
                counts[key] += 1
            systems[record["key"]] = key
            data[record["key"]] = record["data"]["checksum"], record["data"]["train_images"]
            names[record["data"]["checksum"]] = config["dataset"]
            titles.setdefault(key, _title(record, study))
            methods[key] = config["method"]
    members = {
        key: Member(title, _family(methods[key]), THE_BOOK, counts[key])
        for key, title in _apart(titles, systems, data).items()
    }
    rows = pd.concat([found.rows for found in results.values()], ignore_index=True)
    return of_runs(rows, systems, data), members, names


def _title(record: dict, study: str) -> str:
    """What a study calls a system, and its encoder."""
    config, plan = record["config"], PLANS[study]
    name = record.get("system")
    if name in all_systems(plan):
        words = plan.title(str(name))
    else:
        words = METHODS[config["method"]].title
    extra = [config["augmentation"]] if config.get("augmentation") and name is None else []
    return ", ".join([words, *extra, config["encoder"]])


def _apart(titles: dict[str, str], systems: dict[str, str], data: dict[str, tuple[str, int]]) -> dict[str, str]:
    """Titles that tell systems of one board apart: where two are alike, with what their training differs in."""
    boards_of = {systems[run]: place for run, place in data.items()}
    same: dict[tuple, list[str]] = {}
    for key, title in titles.items():
        same.setdefault((boards_of[key], title), []).append(key)
    found = dict(titles)
    for keys in same.values():
        if len(keys) > 1:
            flat = {key: _flat(json.loads(key)) for key in keys}
            names = [name for name in flat[keys[0]] if name != "warmup_epochs"]  # which follow from the epochs
            differing = [name for name in names if len({str(own.get(name)) for own in flat.values()}) > 1]
            for key in keys:
                words = [f"{name.replace('_', ' ')} {flat[key].get(name)}" for name in differing[:3]]
                found[key] = ", ".join([titles[key], *words])
    return found


def _flat(config: dict) -> dict[str, object]:
    parts = [config, *(own for own in config.values() if isinstance(own, dict))]
    return {name: value for part in parts for name, value in part.items() if not isinstance(value, dict)}


def _family(method: str) -> str:
    return RANDOM if method == "random" else METHODS[method].paradigm
