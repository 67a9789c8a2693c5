"""What a design finds: against SciPy's noncentral t, and against studies that are made up and judged."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lib.contrasts import difference
from lib.designs import CELLS, smallest_found
from lib.figures import smallest_differences
from lib.figures.prose import NONE
from lib.paired import PAIRED


def study(heights: np.ndarray, systems: int = 8, seeds: int = 3, spread: float = 1.0, error: float = 0.0, **more):
    """Rows of a metric that is no share, one cell for each of `heights` (cells, systems)."""
    generator = np.random.default_rng(more.pop("draw", 0))
    lines = [
        (f"m{system}", seed, f"shift {cell}", height + spread * generator.normal())
        for cell, own in enumerate(np.atleast_2d(heights))
        for system, height in enumerate(own)
        for seed in range(seeds)
    ]
    rows = pd.DataFrame(lines, columns=["method", "seed", "shift", "value"])
    fixed = {
        "dataset": "cifar10", "encoder": "resnet10", "augmentation": "default", "measure": "made_up(n=5)#1",
        "subset": "", "level": np.nan, "level_unit": "", "metric": "distance", "standard_error": error, "images": 500,
    }  # fmt: skip
    return rows.assign(**fixed | more)


def test_what_is_found_is_that_of_the_pooled_variance_and_scipy_s_noncentral_t():
    """Two systems, so one pair, with equal deviations: 4 degrees of freedom, and the error of images."""
    rows = study(np.zeros(2), seeds=3, error=2.0)
    rows["value"] = [9.0, 10.0, 11.0, 19.0, 20.0, 21.0]
    found = smallest_found(rows).iloc[0]
    assert (found["measure"], found["metric"], found["systems"], found["seeds"]) == ("made_up", "distance", 2, 3)
    over_seeds, over_images = 2 * 1.0 / 3, 2 * (PAIRED * 2.0) ** 2
    error = np.sqrt(over_seeds + over_images)
    degrees = 4 * ((over_seeds + over_images) / over_seeds) ** 2
    assert difference(rows, {"method": "m1"}, {"method": "m0"}).degrees == pytest.approx(degrees)
    power = stats.nct.sf(stats.t.ppf(0.975, degrees), degrees, found["found"] / error)
    assert power == pytest.approx(0.8, abs=1e-6)
    assert found["low"] == found["high"] == found["found"]


def test_a_difference_of_that_size_is_found_in_four_studies_of_five():
    """The size is told by some studies and planted in others: eight systems, three seeds."""
    size = smallest_found(study(np.zeros((CELLS, 8))))["found"].iloc[0]
    assert 2.2 < size < 2.8  # the pooled design has 16 degrees of freedom; alone it would need 3.8 at least
    planted = np.array([size, *np.zeros(7)])
    shown = [
        difference(study(planted, draw=100 + draw), {"method": "m0"}, {"method": "m1"}).sign > 0 for draw in range(600)
    ]
    assert np.mean(shown) == pytest.approx(0.8, abs=0.05)


def test_more_seeds_find_less_and_one_finds_nothing():
    three, six = (smallest_found(study(np.zeros(8), seeds=seeds))["found"].iloc[0] for seeds in (3, 6))
    assert six < 0.85 * three
    alone = smallest_found(study(np.zeros(8), seeds=1)).iloc[0]
    assert np.isnan(alone["found"]) and alone["seeds"] == 1 and alone["most"] == 500


def test_what_does_not_depend_on_the_system_has_no_size():
    rows = study(np.zeros((2, 4)), error=1.0)
    rows["value"] = rows["shift"].map({"shift 0": 3.0, "shift 1": 5.0})
    found = smallest_found(rows).iloc[0]
    assert found[["found", "low", "high"]].isna().all() and found["systems"] == 4


def test_quartiles_are_over_cells_of_which_some_are_taken():
    spreads = np.repeat([0.5, 4.0], [3 * CELLS, 2 * CELLS])
    rows = study(np.zeros((len(spreads), 6)))
    rows["value"] *= spreads[rows["shift"].str.split().str[1].astype(int)]
    found = smallest_found(rows).iloc[0]
    small = smallest_found(rows[rows["shift"].isin([f"shift {cell}" for cell in range(3 * CELLS)])]).iloc[0]
    assert found["low"] < found["found"] < 2 * small["found"] and found["high"] > 4 * small["found"]


def test_lines_are_of_one_data_set_encoder_measure_and_metric():
    parts = [
        study(np.zeros(4), measure="a(n=1)#1", images=100), study(np.zeros(4), measure="a(n=2)#1", images=300),
        study(np.zeros(2), encoder="vit"), study(np.zeros(4), metric="error", dataset="scenes"),
    ]  # fmt: skip
    found = smallest_found(pd.concat(parts, ignore_index=True))
    assert list(map(tuple, found[["dataset", "encoder", "measure", "metric", "systems"]].to_numpy())) == [
        ("cifar10", "resnet10", "a", "distance", 4), ("cifar10", "vit", "made_up", "distance", 2),
        ("scenes", "resnet10", "made_up", "error", 4),
    ]  # fmt: skip
    assert (found["fewest"].iloc[0], found["most"].iloc[0]) == (100, 300)


def test_systems_of_a_study_of_systems_are_told_apart_by_their_names():
    rows = study(np.zeros(4)).rename(columns={"method": "system"}).assign(method="simclr")
    assert smallest_found(rows)["found"].iloc[0] == smallest_found(study(np.zeros(4)))["found"].iloc[0]


def test_the_table_of_a_page():
    alone = study(np.zeros(1), encoder="resnet10_wide", images=77)
    cells = study(np.zeros((5, 4)), measure="made_up(n=5)#1", error=0.3)
    more = study(np.zeros(4), measure="of_many(n=9)#1", images=10_000).assign(value=3.0)
    told = smallest_differences(pd.concat([cells, more, alone], ignore_index=True))
    assert list(told.columns) == [
        "measure", "number", "test images", "systems", "seeds", "smallest difference found",
    ]  # fmt: skip
    found = smallest_found(cells).iloc[0]
    assert list(map(tuple, told.to_numpy())) == [
        ("made up", "distance", "500", 4, 3, f"{found['found']:.1f} ({found['low']:.1f} to {found['high']:.1f})"),
        ("of many", "distance", "10,000", 4, 3, NONE),
    ]
    assert list(smallest_differences(alone)["test images"]) == ["77"]  # a page of one encoder alone
    sets = pd.concat([cells, cells.assign(dataset="scenes")], ignore_index=True)
    assert list(smallest_differences(sets)["data"]) == ["cifar10", "scenes"]
    assert smallest_differences(cells.iloc[:0]).empty
