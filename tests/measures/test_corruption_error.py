import numpy as np
import pandas as pd
import pytest
import shorthand
import torch

from lib.measures import COLUMNS
from lib.measures.corruption_error import (
    MEASURED,
    calibration_rows,
    debiased_rows,
    error_rows,
    mean_corruption_error,
    relative_mean_corruption_error,
)
from lib.shifts.corruptions import CORRUPTIONS, GROUPS, corrupted_alike


@pytest.fixture(scope="module")
def outcomes():
    generator = np.random.default_rng(0)
    return generator.random(50) < 0.3, generator.random((len(MEASURED), 5, 50)) < 0.6


def cell(rows, shift, severity, metric="error"):
    """Severity 0 is the mean over severities, or clean images."""
    unit = "severity" if severity else "" if shift == "none" else "mean over severities"
    chosen = shorthand.cell(rows[(rows["metric"] == metric) & (rows["level_unit"] == unit)], shift, severity)
    assert len(chosen) == 1
    return chosen.iloc[0]


def test_rows_by_triple_loop(outcomes):
    clean, grid = outcomes
    rows = error_rows(clean, grid)
    assert cell(rows, "none", 0)["value"] == pytest.approx(100 * clean.mean())
    total = relative = 0.0
    for c, name in enumerate(MEASURED):
        for s in range(5):
            wrong = sum(bool(grid[c, s, n]) for n in range(50))
            assert cell(rows, name, s + 1)["value"] == pytest.approx(2 * wrong)
            if name in CORRUPTIONS:  # the four held back for validation are in no mean
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
    alike = error_rows(clean, np.broadcast_to(clean, (len(MEASURED), 5, 50)))
    assert cell(alike, "all", 0)["standard_error"] == pytest.approx(cell(alike, "none", 0)["standard_error"])
    assert cell(alike, "all", 0, "relative error")["standard_error"] == 0


def test_columns(outcomes):
    rows = error_rows(*outcomes)
    assert list(rows) == list(COLUMNS) and (rows["subset"] == "").all()
    assert len(rows) == 1 + (len(MEASURED) + 5) * (6 + 5) + 5 * 6 and (rows["images"] == 50).all()


def test_steps_are_paired_and_add_up(outcomes):
    clean, grid = outcomes
    rows = error_rows(clean, grid)
    for shift in ("fog", "saturate", "blur", "all"):
        steps = [cell(rows, shift, level, "error step")["value"] for level in range(1, 6)]
        climb = cell(rows, shift, 5)["value"] - cell(rows, "none", 0)["value"]
        assert sum(steps) == pytest.approx(climb)
    fog = MEASURED.index("fog")
    change = [int(grid[fog, 3, n]) - int(grid[fog, 2, n]) for n in range(50)]  # of each image, from severity 3 to 4
    expected = 100 * np.std(change, ddof=1) / np.sqrt(50)
    assert cell(rows, "fog", 4, "error step")["standard_error"] == pytest.approx(expected)


def test_calibration_rows_by_hand():
    clean, grid = np.array([0.1, 0.3]), np.zeros((len(MEASURED), 5, 2))
    grid[MEASURED.index("fog"), 1] = [0.3, 0.6]  # one of 15 corruptions, at severity 2
    grid[MEASURED.index("spatter"), 1] = [9, 9]  # in no mean
    rows = calibration_rows(clean, grid)
    assert cell(rows, "none", 0, "calibration error")["value"] == pytest.approx(20)
    assert cell(rows, "all", 2, "calibration error")["value"] == pytest.approx(45 / 15)
    assert cell(rows, "all", 0, "calibration error")["value"] == pytest.approx(45 / 75)


def test_debiased_rows_are_roots_of_the_means_over_cells():
    clean, grid = np.array([0.01, 0.03]), np.zeros((len(MEASURED), 5, 2))
    grid[MEASURED.index("fog"), 1] = [0.3, 0.6]
    grid[MEASURED.index("snow"), 2] = [-0.3, -0.6]  # chance took more than there was
    grid[MEASURED.index("spatter"), 1] = [9, 9]  # in no mean
    rows = debiased_rows(clean, grid)
    assert cell(rows, "none", 0, "debiased calibration error")["value"] == pytest.approx(100 * 0.02**0.5)
    assert cell(rows, "all", 2, "debiased calibration error")["value"] == pytest.approx(100 * 0.03**0.5)
    assert [cell(rows, "all", s, "debiased calibration error")["value"] for s in (0, 1, 3)] == pytest.approx([0, 0, 0])


def test_every_run_sees_the_same_noise_and_no_two_conditions_do():
    images = torch.full((2, 3, 32, 32), 128, dtype=torch.uint8)
    first = corrupted_alike(images, "gaussian_noise", 3)
    assert torch.equal(first, corrupted_alike(images, "gaussian_noise", 3))
    rest = corrupted_alike(images[1:], "gaussian_noise", 3, first=1)
    assert torch.equal(first[1:], rest)
    other = corrupted_alike(images, "gaussian_noise", 4)
    between = corrupted_alike(images, "gaussian_noise", 3.25)
    assert not torch.equal(corrupted_alike(images, "gaussian_noise", 3.5), between)
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
