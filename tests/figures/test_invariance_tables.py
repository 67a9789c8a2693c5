"""Tables beside the maps of invariance, by hand and against SciPy."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from shorthand import unfolded

from lib.chapters.augmentation.tables import OTHER_MEASURES, measures_agree, sensitivity_table
from lib.errors import BadInput
from lib.shifts.transforms import TRANSFORMS

ARMS = [("moco_v2", name) for name in ("default", "spatial", "appearance", "fusion")] + [("random", None)]
METRICS = ("whitened similarity", "sensitivity", "image distance", *OTHER_MEASURES)


def made_up(arms=ARMS, seeds=2):
    generator, lines = np.random.default_rng(1), []
    for (method, augmentation), seed, name, metric in itertools.product(arms, range(seeds), TRANSFORMS, METRICS):
        value = 12.0 if metric == "image distance" else generator.uniform(0, 300)
        lines.append((method, augmentation, seed, name, 0, metric, value, 1.0))
        lines.append((method, augmentation, seed, name, 0.25, f"{metric} along", 1e6, 1.0))
    columns = ["method", "augmentation", "seed", "shift", "of", "metric", "value", "standard_error"]
    return unfolded(pd.DataFrame(lines, columns=columns))


def test_sensitivity_by_hand():
    rows = made_up()
    of_flips = (rows["shift"] == "h_flip") & (rows["metric"] == "sensitivity") & (rows["augmentation"] == "spatial")
    rows.loc[of_flips, "value"] = [410.0, 430.0]
    table = sensitivity_table(rows)
    assert list(table) == [
        "transform", "pixels move (%)", "MoCo v2, default", "MoCo v2, spatial", "MoCo v2, appearance", "Random weights"
    ]  # fmt: skip
    assert list(table["transform"]) == [name.replace("_", " ") for name in TRANSFORMS]
    line = table.set_index("transform").loc["h flip"]
    assert (line["pixels move (%)"], line["MoCo v2, spatial"]) == ("12", "4.2")


def test_agreement_is_the_mean_rank_correlation_of_scipy():
    rows = made_up()
    means = rows[rows["level"].isna()].fillna({"augmentation": ""})
    means = means.groupby(["metric", "shift", "method", "augmentation"])["value"].mean()
    table = measures_agree(rows).set_index("measure")
    assert list(table.index) == list(OTHER_MEASURES)
    for metric, rises in OTHER_MEASURES.items():
        sign = 1 if rises else -1
        rho = {
            name: stats.spearmanr(means["whitened similarity", name], sign * means[metric, name]).statistic
            for name in TRANSFORMS
        }
        line = table.loc[metric]
        lowest = min(rho, key=rho.get)
        assert line["mean ρ over transforms"].replace("\N{MINUS SIGN}", "-") == f"{np.mean(list(rho.values())):.2f}"
        assert line["lowest ρ"].replace("\N{MINUS SIGN}", "-") == f"{rho[lowest]:.2f}"
        assert rho[line["under"].replace(" ", "_")] == pytest.approx(rho[lowest])


def test_a_measure_that_is_whitened_similarity_agrees():
    rows = made_up()
    same = rows["metric"] == "whitened similarity"
    for metric, rises in OTHER_MEASURES.items():
        rows.loc[rows["metric"] == metric, "value"] = rows.loc[same, "value"].to_numpy() * (1 if rises else -1)
    assert set(measures_agree(rows)["mean ρ over transforms"]) == {"1.00"}


def test_where_encoders_score_alike_there_is_no_order():
    """A transform under which all are equal is left out of the mean, and does not count as disagreement."""
    rows = made_up()
    rows.loc[rows["shift"] == "invert", "value"] = 0.0
    assert "invert" not in set(measures_agree(rows)["under"])
    assert (measures_agree(rows)["lowest ρ"] != "nan").all()


def test_rows_that_say_nothing_are_refused():
    rows = made_up()
    with pytest.raises(BadInput, match="four of them or more, and these rows hold 3"):
        measures_agree(made_up(ARMS[:3]))
    with pytest.raises(BadInput, match="the metric 'sensitivity'"):
        sensitivity_table(rows[rows["metric"] != "sensitivity"])
    with pytest.raises(BadInput, match="'image distance'"):
        sensitivity_table(rows[rows["metric"] != "image distance"])
    with pytest.raises(BadInput, match="of byol"):
        sensitivity_table(rows[rows["method"] != "random"], "byol")
