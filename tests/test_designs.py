"""What a design finds: against SciPy's noncentral t, and against studies that are made up and judged."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lib.chapters import PLANS
from lib.chapters import power as chapters_power
from lib.chapters.asked import claims_of
from lib.chapters.power import core_minutes
from lib.contrasts import components, difference, of_two
from lib.designs import CELLS, decided_by, needed, smallest_found
from lib.figures import smallest_differences
from lib.figures.prose import NONE
from lib.paired import PAIRED
from lib.runs import Study
from lib.verdicts import UNDECIDED, Claim, judged


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


def two(seeds, gap=3.0, error=0.0, images=500):
    """Two systems at 10 and 10 + `gap`, whose seeds lie evenly around, with variances of 1."""
    rows = study(np.zeros(2), seeds=seeds, error=error, images=images)
    around = np.linspace(-1, 1, seeds)
    around /= around.std(ddof=1)
    return rows.assign(value=[*(10 + around), *(10 + gap + around)])


def between(rows, every=False, **more):
    def contrasts(rows):
        return {"one less zero": of_two(rows, {"method": "m1"}, {"method": "m0"})}

    return Claim("apart", "", "", contrasts, every=every, **more)


def power_of(gap, error, degrees):
    """By SciPy's noncentral t: how often an interval of 95 % lies above zero."""
    return stats.nct.sf(stats.t.ppf(0.975, degrees), degrees, gap / error)


@pytest.mark.parametrize(("gap", "seeds"), [(3.0, 3), (2.0, 3), (1.0, 3), (0.7, 5)])
def test_seeds_that_decide_are_the_first_with_the_power(gap, seeds):
    """Without an error of images: of two systems with S seeds, variances 1 and 2 S - 2 degrees of freedom."""
    found = needed(components(between(two(seeds, gap)).contrasts(two(seeds, gap))["one less zero"]))
    powers = {count: power_of(gap, np.sqrt(2 / count), 2 * count - 2) for count in range(seeds, 100)}
    assert found.seeds == min(count for count, power in powers.items() if power >= 0.8) and found.images == 500
    assert set(found.more.values()) == ({int(found.seeds) - seeds} if found.seeds > seeds else set())


def test_images_are_as_many_as_leave_half_of_the_error_to_seeds():
    rows = two(3, gap=1.0, error=2.0)
    found = needed(components(between(rows).contrasts(rows)["one less zero"]))
    today = 2 * (PAIRED * 2.0) ** 2  # the variance over 500 images
    allowed = (1.0 / (stats.norm.ppf(0.975) + stats.norm.ppf(0.8))) ** 2
    assert found.images == np.ceil(500 * today / (allowed / 2))
    over_images = today * 500 / found.images

    def power(count):
        over_seeds = 2 / count
        degrees = (2 * count - 2) * ((over_seeds + over_images) / over_seeds) ** 2
        return power_of(1.0, np.sqrt(over_seeds + over_images), degrees)

    assert power(found.seeds - 1) < 0.8 <= power(found.seeds) + 1e-3
    assert power_of(1.0, np.sqrt(2 / 1e5 + today), 1e9) < 0.8  # with today's images no number of seeds would do


def test_components_are_those_of_the_estimate():
    rows = two(3, error=2.0)
    contrast = of_two(rows, {"method": "m1"}, {"method": "m0"})
    own = components(contrast)
    assert own.estimate() == contrast.estimate() and own.tested == 500
    assert own.over_seeds == pytest.approx(2 / 3) and own.over_images == pytest.approx(2 * (PAIRED * 2.0) ** 2)
    more = components(of_two(two(9, error=1.0), {"method": "m1"}, {"method": "m0"}))  # a quarter of the variance
    again = own.estimate(9, 4)
    assert again.standard_error == pytest.approx(more.estimate().standard_error)
    assert again.degrees == pytest.approx(more.estimate().degrees)


def test_what_no_number_decides():
    none = needed(components(of_two(two(3, gap=1e-4), {"method": "m1"}, {"method": "m0"})))
    assert np.isinf([none.seeds, none.images]).all() and not none.more
    once = study(np.zeros(2), seeds=1).assign(value=[1.0, 3.0])
    unknown = needed(components(of_two(once, {"method": "m1"}, {"method": "m0"})))
    assert np.isnan([unknown.seeds, unknown.images]).all()
    line = replace(of_two(two(3, gap=1.0), {"method": "m1"}, {"method": "m0"}), error=0.5)
    assert np.isinf(needed(components(line)).seeds)  # the error of a line that others were compared with stays


def test_the_table_of_claims_has_what_decides_and_what_it_costs():
    rows = two(3, gap=1.0, error=0.2)
    absent = Claim("absent", "", "", lambda rows: {})
    three = Claim(
        "mean", "", "",
        lambda rows: {str(n): of_two(rows, {"method": "m1"}, {"method": "m0"}) + n for n in range(3)}, margin=None,
    )  # fmt: skip
    cost = {"m0": 10.0, "m1": 5.0}
    found = decided_by([between(rows), absent, three], rows, lambda system: cost[system["method"]])
    assert list(found["claim"]) == ["apart", "mean"]
    first, second = (line for _, line in found.iterrows())
    gap = difference(rows, {"method": "m1"}, {"method": "m0"})
    assert first["verdict"] == "undecided" and first["difference"] == pytest.approx(1.0)
    assert first["found"] == pytest.approx(gap.found()) and first["seeds"] == 3
    added = first["seeds needed"] - 3
    assert added > 3 and first["more runs"] == 2 * added and first["minutes"] == pytest.approx(15 * added)
    assert np.hypot(first["over seeds"], first["over images"]) == pytest.approx(gap.standard_error)
    assert second["difference"] == pytest.approx(2.0) and second["seeds needed"] < first["seeds needed"]


def test_core_minutes_are_those_of_all_threads():
    assert core_minutes({"device": "CPU, 2 threads", "seconds": 90.0}) == 3.0
    assert core_minutes({"device": "NVIDIA H200", "seconds": 90.0}) == 1.5
    assert core_minutes({"device": "NVIDIA H200, 8 processes", "seconds": 90.0}) == 12.0
    assert core_minutes({"device": "CPU, 2 threads, 4 processes", "seconds": 90.0}) == 12.0
    assert np.isnan(core_minutes({"device": "CPU, 1 threads"}))


def test_the_power_of_a_chapter_is_that_of_its_verdicts(monkeypatch):
    """On committed rows: the same verdicts and differences as the page's, and costs of runs that are there."""
    study = next(name for name in PLANS if name.startswith("severity"))
    claims = claims_of(study)
    rows = Study(PLANS[study]).results().rows
    claims = [*claims[:3], *(own.claim for own in judged(claims, rows) if own.verdict == UNDECIDED)]
    monkeypatch.setattr(chapters_power, "claims_of", lambda name: claims if name == study else ())
    found = chapters_power.power(list(PLANS))
    told = [verdict for verdict in judged(claims, rows) if verdict.tested]
    assert list(found["claim"]) == [verdict.claim.name for verdict in told] and set(found["study"]) == {study}
    assert list(found["verdict"]) == [verdict.verdict for verdict in told]
    for line, verdict in zip(found.itertuples(), told, strict=True):
        assert line.difference == verdict.difference.mean and line.found == verdict.difference.found()
    costly = found[found["more runs"] > 0]
    assert (costly["minutes"] / costly["more runs"] > 1).all()
    finite = found[np.isfinite(found["seeds needed"])]
    assert (finite["seeds needed"] > finite["seeds"]).sum() == len(costly)
