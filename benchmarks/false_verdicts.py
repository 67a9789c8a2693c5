"""How often the book would say what is not so: its claims judged on rows without any effect.

    python -m benchmarks.false_verdicts [rounds]        # a minute a round

Of the published rows each cell keeps its mean over all systems, and its systems keep nothing of their own but chance:
seeds that vary as they do, and what images ask of a system. Every claim that compares systems is judged, and whatever
it is shown to be, but without effect, is false. Claims that compare cells of one system, or a level with a number, have
effects in such rows and are left out.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from lib.chapters import PLANS
from lib.chapters.asked import by_data_set, claims_of
from lib.contrasts import SYSTEM, convolutional
from lib.paired import PAIRED
from lib.runs import Study
from lib.verdicts import HOLDS, REVERSED, Claim, judged

CELL = ("measure", "shift", "subset", "level", "level_unit", "metric")


def without_effect(rows: pd.DataFrame, generator: np.random.Generator) -> pd.DataFrame:
    """Rows like these of systems that are all alike: one mean a cell, with chance of seeds and of images."""
    cell = [name for name in CELL if name in rows]
    systems = [name for name in SYSTEM if name in rows]
    keyed = rows[[*cell, *systems]].astype(object).where(rows[[*cell, *systems]].notna(), "")
    cells = keyed[cell].apply(tuple, axis=1).map(hash)
    own = keyed.apply(tuple, axis=1).map(hash)
    spread = rows["value"].groupby(own).var(ddof=1).rename("variance")
    seeds = np.sqrt(own.map(spread).groupby(cells).transform("mean"))
    of_system = pd.Series({name: generator.normal() for name in own.unique()})
    chance = seeds * generator.normal(size=len(rows)) + PAIRED * rows["standard_error"] * own.map(of_system)
    return rows.assign(value=rows["value"].groupby(cells).transform("mean") + chance)


def compares_systems(claim: Claim, rows: pd.DataFrame) -> bool:
    """Whether all that a claim asserts is about systems on the same cells, so that it is false of equal ones."""
    contrasts = claim.contrasts(rows if claim.all_encoders else convolutional(rows))
    for contrast in contrasts.values():
        weights: Counter[tuple] = Counter()
        for weight, table, cell in contrast.parts:
            what = sorted((name, str(value)) for name, value in cell.items() if name not in SYSTEM)
            weights[id(table), tuple(what)] += weight
        if contrast.plus or any(abs(weight) > 1e-9 for weight in weights.values()):
            return False
    return bool(contrasts)


def false_verdicts(claims: Sequence[Claim], rows: pd.DataFrame, generator: np.random.Generator) -> Counter[str]:
    """Verdict -> its number, of those of `claims` that compare systems, on rows like `rows` without an effect."""
    compared = [claim for claim in claims if compares_systems(claim, rows)]
    return Counter(verdict.verdict for verdict in judged(compared, without_effect(rows, generator)))


def main(rounds: int) -> None:
    total: Counter[str] = Counter()
    for number in range(rounds):
        generator = np.random.default_rng(number)
        for study, plan in PLANS.items():
            if claims := claims_of(study):
                for _, rows in by_data_set(study, Study(plan).results().rows):
                    total += false_verdicts(claims, rows, generator)
        count, wrong = sum(total.values()), total[HOLDS] + total[REVERSED]
        told = f"{number + 1} rounds, {count} verdicts: {dict(total)}; false {wrong / count:.2%}"
        print(f"{told}, reversed {139 * total[REVERSED] / count:.2f} in 139", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
