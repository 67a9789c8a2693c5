"""Marks of figures: where dots and bars stand."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from lib.figures.marks import apart, dots


@pytest.mark.parametrize("flat", [False, True])
def test_a_bar_reaches_from_the_low_to_the_high_end(flat):
    """Those of a share are not as long below as above."""
    drawing, axes = plt.subplots()
    table = pd.DataFrame({"mean": [2.0, 50.0], "low": [1.5, 40.0], "high": [4.0, 55.0]})
    dots(axes, table, [7, 8], {"color": "black", "marker": "o"}, flat=flat)
    ((line, _, (bars,)),) = axes.containers
    along = line.get_xdata() if flat else line.get_ydata()
    assert list(along) == [2.0, 50.0]
    ends = [[point[0 if flat else 1] for point in bar] for bar in bars.get_segments()]
    assert ends == [[1.5, 4.0], [40.0, 55.0]]
    plt.close(drawing)


def test_marks_beside_each_other_stand_around_their_place():
    assert apart(3, 0.2).tolist() == pytest.approx([-0.2, 0, 0.2]) and apart(1, 0.2).tolist() == [0]
