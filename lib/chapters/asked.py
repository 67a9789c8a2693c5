"""What chapters ask: their claims, the rows that these read, and which runs most of them need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from importlib import import_module

import pandas as pd

from lib.chapters import FOLDERS, PLANS
from lib.contrasts import SYSTEM, Contrasts, Kept, convolutional
from lib.errors import BadInput
from lib.runs.campaign import family
from lib.runs.study import Results, Study
from lib.verdicts import Claim


def claims_of(study: str) -> tuple[Claim, ...]:
    """All claims of a chapter, whose errors are controlled together; none of one that asks no paper."""
    return getattr(import_module(f"lib.chapters.{FOLDERS[study]}"), "CLAIMS", ())


def by_data_set(study: str, rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each data set of a study's rows, and its rows as the claims name the systems."""
    named = getattr(import_module(f"lib.chapters.{FOLDERS[study]}"), "with_wide", None)
    for dataset, own in rows.groupby("dataset", sort=False):
        yield str(dataset), named(own) if named else own


def contrasts_of(claim: Claim, rows: pd.DataFrame) -> Contrasts:
    """What a claim compares in the rows of one data set."""
    return claim.contrasts(rows if claim.all_encoders else convolutional(rows))


def uses() -> dict[str, int]:
    """`lib.runs.campaign.family` -> how many claims of all chapters compare its runs, as far as published rows tell."""
    found: Counter[str] = Counter()
    for study, plan in PLANS.items():
        claims = claims_of(study)
        try:
            results = Study(plan).results() if claims else None
        except BadInput:  # nothing is published, or nothing at today's scale
            continue
        if results is not None:
            found.update(_uses(claims, study, results))
    return dict(found)


def _uses(claims: tuple[Claim, ...], study: str, results: Results) -> Iterator[str]:
    """The families of a study's runs, each as often as one of its claims compares it on one data set."""
    pairs = zip(results.records, results.standings, strict=False)  # of what is left out there is no record
    families = {record["key"]: family(standing.config) for record, standing in pairs}
    for _, rows in by_data_set(study, results.rows):
        kept = Kept()
        for claim in claims:
            yield from {families[run] for run in _runs(contrasts_of(claim, rows), kept) if run in families}


def _runs(contrasts: Contrasts, kept: Kept) -> set[str]:
    """The keys of all runs that have a part in some contrasts."""
    asked: dict[tuple, tuple[pd.DataFrame, Mapping[str, object]]] = {}
    for contrast in contrasts.values():
        for _, rows, cell in contrast.parts:
            system = {name: value for name, value in cell.items() if name in SYSTEM and name in rows}
            asked[id(rows), tuple(system.items())] = rows, system
    traced = [(rows, kept.picked(rows, dict(system))) for rows, system in asked.values() if "run" in rows]
    return {run for rows, places in traced for run in kept.column(rows, "run")[places]}
