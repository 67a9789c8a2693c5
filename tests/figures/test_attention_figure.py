"""The grid of heat maps shows, frames and tells what it is given."""

import io

import matplotlib.colors
import matplotlib.image
import numpy as np
import pytest
import torch

from lib.chapters.severity.attention import RIGHT, WRONG, attention_grid
from lib.errors import BadInput

VERDICTS = {"SimCLR": [True, True, False, False, True, False], "Random weights": 6 * [False]}


@pytest.fixture
def grids():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (6, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return {
        title: (images, torch.rand(6, 32, 32, generator=generator), torch.tensor(right))
        for title, right in VERDICTS.items()
    }


def panels(figure):
    """Axes in rows of six; the bar of the scale comes last."""
    return np.array(figure.drawing.axes[:-1]).reshape(-1, 6)


def test_shows_images_maps_and_verdicts(grids):
    figure = attention_grid(grids, "glass_blur")
    grid = panels(figure)
    assert grid.shape == (3, 6)
    for column, axes in enumerate(grid[0]):
        shown = axes.get_images()[0].get_array()
        assert np.array_equal(shown, grids["SimCLR"][0][column].permute(1, 2, 0).numpy())
    for row, (title, (_, maps, _)) in zip(grid[1:], grids.items(), strict=True):
        assert title in [words.get_text() for words in row[0].texts]
        for column, axes in enumerate(row):
            grey, heat = axes.get_images()
            assert np.allclose(heat.get_array(), maps[column]) and grey.get_array().shape == (32, 32)
            assert heat.get_clim() == (0, 1) and grey.get_clim() == (0, 255)
            verdict = RIGHT if VERDICTS[title][column] else WRONG
            assert verdict["mark"] in [words.get_text() for words in axes.texts]
            frame = matplotlib.colors.to_hex(axes.spines["left"].get_edgecolor())
            assert frame == verdict["color"].lower() and axes.spines["left"].get_visible()


def test_right_and_wrong_differ_in_more_than_colour():
    assert all(RIGHT[what] != WRONG[what] for what in ("color", "mark", "linestyle"))


def test_grey_is_the_image_s_luma(grids):
    images = torch.zeros(6, 3, 32, 32, dtype=torch.uint8)
    images[:, 1] = 255  # green
    given = {title: (images, maps, right) for title, (_, maps, right) in grids.items()}
    grey = panels(attention_grid(given, "fog"))[1, 0].get_images()[0].get_array()
    assert np.allclose(grey, 0.587 * 255)


def test_words_and_data(grids):
    figure = attention_grid(grids, "glass_blur", "Scope.")
    assert figure.name == "fig-attention" and figure.pixels
    assert "glass blur" in figure.caption and "\n" not in figure.caption and figure.notes.startswith("Scope. Each map")
    maps = grids["SimCLR"][1].numpy()
    correlations = [100 * np.corrcoef(maps[0].flatten(), heat.flatten())[0, 1] for heat in maps]
    assert "SimCLR: right predictions clean, 1, 4;" in figure.alt
    assert f"correlation of the last map with the clean one {correlations[5]:.0f} percent" in figure.alt
    assert "Random weights: right predictions none;" in figure.alt
    data = figure.data[figure.data["method"] == "SimCLR"]
    assert list(data["severity"]) == list(range(6)) and len(figure.data) == 12
    assert np.allclose(data["similarity to the clean map (%)"], correlations)
    assert list(data["prediction"] == "right") == VERDICTS["SimCLR"]
    assert figure._repr_mimebundle_()["text/markdown"].startswith("```{figure} data:image/png")


def test_image_of_one_method_is_drawn(grids):
    figure = attention_grid({"SimCLR": grids["SimCLR"]}, "fog")
    image = matplotlib.image.imread(io.BytesIO(figure.picture()))
    assert image.shape[1] > 800 and image[..., :3].std() > 0.05
    assert figure.picture() == figure.picture()


def test_bad_input(grids):
    images, maps, right = grids["SimCLR"]
    with pytest.raises(BadInput, match="one method or more"):
        attention_grid({}, "fog")
    with pytest.raises(BadInput, match="those of Random weights are others"):
        attention_grid(grids | {"Random weights": (255 - images, maps, right)}, "fog")
    for wrong in ((images[:5], maps, right), (images, maps[..., :16], right), (images, maps, right[:5])):
        with pytest.raises(BadInput, match=r"images are \(6, 3, H, W\), maps \(6, H, W\) and right \(6,\)"):
            attention_grid({"SimCLR": wrong}, "fog")
