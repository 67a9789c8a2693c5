import numpy as np
import pandas as pd
import pytest
import torch

from lib.measures.corruption_error import (
    corrupted,
    error_rows,
    mean_corruption_error,
    relative_mean_corruption_error,
)
from lib.shifts.corruptions import CORRUPTIONS, GROUPS


@pytest.fixture(scope="module")
def outcomes():
    generator = np.random.default_rng(0)
    return generator.random(50) < 0.3, generator.random((15, 5, 50)) < 0.6


def cell(rows, shift, severity, metric="error"):
    chosen = rows[(rows["shift"] == shift) & (rows["severity"] == severity) & (rows["metric"] == metric)]
    assert len(chosen) == 1
    return chosen.iloc[0]


def test_rows_by_triple_loop(outcomes):
    clean, grid = outcomes
    rows = error_rows(clean, grid)
    assert cell(rows, "none", 0)["value"] == pytest.approx(100 * clean.mean())
    total = relative = 0.0
    for c, name in enumerate(CORRUPTIONS):
        for s in range(5):
            wrong = sum(bool(grid[c, s, n]) for n in range(50))
            assert cell(rows, name, s + 1)["value"] == pytest.approx(2 * wrong)
            total += 2 * wrong
            relative += 2 * wrong - 100 * clean.mean()
    assert cell(rows, "all", 0)["value"] == pytest.approx(total / 75)
    assert cell(rows, "all", 0, "relative error")["value"] == pytest.approx(relative / 75)


def test_groups_partition_the_corruptions(outcomes):
    rows = error_rows(*outcomes)
    assert sorted(name for members in GROUPS.values() for name in members) == sorted(CORRUPTIONS)
    for group, members in GROUPS.items():
        mean = np.mean([cell(rows, name, 3)["value"] for name in members])
        assert cell(rows, group, 3)["value"] == pytest.approx(mean)


def test_standard_errors(outcomes):
    """A proportion's closed form; and for a mean over corruptions, that images are shared between them."""
    clean, grid = outcomes
    rows = error_rows(clean, grid)
    p = clean.mean()
    assert cell(rows, "none", 0)["standard_error"] == pytest.approx(100 * np.sqrt(p * (1 - p) / 49), rel=1e-9)
    alike = error_rows(clean, np.broadcast_to(clean, (15, 5, 50)))
    assert cell(alike, "all", 0)["standard_error"] == pytest.approx(cell(alike, "none", 0)["standard_error"])
    assert cell(alike, "all", 0, "relative error")["standard_error"] == 0


def test_columns(outcomes):
    rows = error_rows(*outcomes)
    assert list(rows) == ["shift", "severity", "metric", "value", "standard_error", "images"]
    assert len(rows) == 1 + 15 * 6 + 5 * 6 * 2 and (rows["images"] == 50).all()


def test_every_run_sees_the_same_noise_and_no_two_conditions_do():
    images = torch.full((2, 3, 32, 32), 128, dtype=torch.uint8)
    first = corrupted(images, "gaussian_noise", 3)
    assert torch.equal(first, corrupted(images, "gaussian_noise", 3))
    other = corrupted(images, "gaussian_noise", 4)
    centred = [(x.float() - x.float().mean()).flatten() for x in (first, other)]
    assert torch.nn.functional.cosine_similarity(*centred, dim=0).abs() < 0.05


def table(values):
    return pd.DataFrame(values, index=["fog", "snow"], columns=[1, 2])


def test_mce_by_hand():
    errors, baseline = table([[10, 20], [30, 50]]), table([[20, 40], [40, 60]])
    assert mean_corruption_error(errors, baseline) == pytest.approx(100 * (30 / 60 + 80 / 100) / 2)
    relative = relative_mean_corruption_error(errors, 5, baseline, 10)
    assert relative == pytest.approx(100 * ((30 - 10) / (60 - 20) + (80 - 10) / (100 - 20)) / 2)


def test_mce_matches_corruptions_by_name():
    errors, baseline = table([[10, 20], [30, 50]]), table([[20, 40], [40, 60]])
    assert mean_corruption_error(errors, baseline.iloc[::-1]) == mean_corruption_error(errors, baseline)


def test_mce_of_the_baseline_is_100():
    baseline = table([[20.0, 40], [40, 60]])
    assert mean_corruption_error(baseline, baseline) == relative_mean_corruption_error(baseline, 3, baseline, 3) == 100
