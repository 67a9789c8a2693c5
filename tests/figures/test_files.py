"""What a figure becomes in a page: a light drawing that says how small its type is, and the data beside it."""

import base64
import io
import re
from dataclasses import replace

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from PIL import Image

from lib.figures import Figure
from lib.figures.figure import MOST_ROWS


def figure(rows=3, pixels=False):
    drawing, axes = plt.subplots(figsize=(2, 2))
    axes.plot((0, 1 / 3, 1), (1 / 7, 0, 1 / 9))
    axes.set_title("a title", fontsize=14)
    axes.text(0.5, 0.5, "a word", fontsize=6.5)
    axes.tick_params(labelsize=8)
    return Figure(drawing, "fig-a", "A caption.", "A line.", pd.DataFrame({"x": range(rows)}), pixels)


def test_short_data_stand_in_the_page_whole():
    text = figure(MOST_ROWS).myst()
    assert text.count("<tr") == 1 + MOST_ROWS and "CSV" not in text


def test_of_long_data_the_first_rows_stand_there_and_all_are_a_file():
    for text in figure(MOST_ROWS + 1)._repr_mimebundle_().values():
        assert text.count("<tr") == 1 + MOST_ROWS // 2 and f"All {MOST_ROWS + 1} rows as CSV" in text
        (name, rows) = re.search(r'download="([^"]+)" href="data:text/csv;base64,([^"]+)"', text).groups()
        saved = pd.read_csv(io.BytesIO(base64.b64decode(rows)))
        assert name == "fig-a.csv" and list(saved["x"]) == list(range(MOST_ROWS + 1))


def test_captions_and_notes_have_true_minus_signs_and_data_do_not():
    made = replace(figure(), caption="PGD-20 takes -1.5 [-2.0, -1.0].", notes="It is (-3).")
    made = replace(made, data=pd.DataFrame({"x": [-4.5]}))
    for text in made._repr_mimebundle_().values():
        assert "PGD-20 takes −1.5 [−2.0, −1.0]." in text and "It is (−3)." in text and "<td>-4.50</td>" in text


def test_an_image_says_how_small_its_type_is():
    with Image.open(io.BytesIO(figure(pixels=True).picture())) as image:
        assert float(image.text["Smallest type"]) == 6.5


@pytest.mark.parametrize("off", [False, True])
def test_type_that_is_not_drawn_does_not_count(off):
    made = figure(pixels=True)
    (axes,) = made.drawing.axes
    axes.texts[0].set_visible(False)
    if off:
        axes.set_axis_off()  # ticks go, the title stays
    with Image.open(io.BytesIO(made.picture())) as image:
        assert float(image.text["Smallest type"]) == (14 if off else 8)


def test_outlines_have_hundredths_of_a_point():
    text = figure().picture().decode()
    outlines = "".join(re.findall(r'\bd="([^"]*)"', text))
    assert re.search(r"\d\.\d\d\b", outlines) and not re.search(r"\d\.\d{3}", outlines)
    assert re.search(r"scale\(0\.065 -0\.065\)", text)  # what is no outline keeps its digits
