"""The papers' own effects beside claims, from the committed tables by loops, and where claims have one."""

import importlib

import pandas as pd
import pytest

from lib import paths
from lib.verdicts import named

PAPERS = paths.RESULTS / "papers"
RESNETS = ("simclr", "simsiam", "byol", "barlow_twins", "swav", "dino")
SETS = ("corruption", "sketch", "stylized", "rendition")


def effect(chapter, name):
    claims = importlib.import_module(f"lib.chapters.{chapter}").CLAIMS
    return named(claims, name).published()


def test_severities_and_groups():
    table = pd.read_csv(PAPERS / "chhipa2023.csv").set_index(["method", "shift", "severity"])["error"]
    steps = [table[name, "all", level] - table[name, "all", level - 1] for name in RESNETS for level in (2, 3, 4, 5)]
    assert effect("severity", "error-rises") == pytest.approx(min(steps))
    groups = {
        "noise": "gaussian_noise shot_noise impulse_noise speckle_noise spatter",
        "blur": "defocus_blur glass_blur motion_blur zoom_blur gaussian_blur",
        "digital": "brightness contrast saturate pixelate elastic_transform jpeg_compression",
    }

    def mean(name, shifts):
        return sum(table[name, shift, 0] for shift in shifts.split()) / len(shifts.split())

    gaps = [mean(name, "snow frost fog") - mean(name, shifts) for name in RESNETS for shifts in groups.values()]
    assert effect("severity", "weather-is-worst") == pytest.approx(min(gaps))


def test_negatives():
    table = pd.read_csv(PAPERS / "ge2021.csv").fillna({"alpha": 0})
    lines = {(line.model, line.queue, line.alpha): line for line in table.itertuples()}
    plain, texture, patch, three = (
        lines[model, 16384, alpha]
        for model, alpha in (("MoCo", 0), ("MoCo + Texture", 2), ("MoCo + Patch", 2), ("MoCo + Patch", 3))
    )
    for name, more in (("patch", patch), ("texture", texture)):
        gaps = [getattr(more, place) - getattr(plain, place) for place in SETS]
        assert effect("negatives", f"{name}-every-set") == pytest.approx(min(gaps))
        assert effect("negatives", f"{name}-out-of-domain") == pytest.approx(sum(gaps) / 4)
    gained = sum(getattr(three, place) - getattr(patch, place) for place in SETS) / 4
    assert effect("negatives", "alpha-trades") == pytest.approx(min(patch.clean - three.clean, gained))


def test_free_training():
    """With as many updates as free training the paper's PGD training has the numbers of its table as well."""
    assert effect("tradeoff", "ahead-at-equal-updates") == pytest.approx(
        sum(_gaps("Crop-based EMP-SSL") + _gaps("Crop-based SimCLR")) / 4
    )


def _gaps(other):
    table = pd.read_csv(PAPERS / "ghofrani2025.csv")
    table = table.set_index(table.columns[0])
    ours = table.loc["Crop-based EMP-FreeAdv (CF-AMC-SSL)"]
    return [float(ours[column]) - float(table.loc[other, column]) for column in ("clean", "pgd8")]
