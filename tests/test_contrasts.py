"""Arithmetic of intervals and of cells, by hand."""

import pandas as pd
import pytest

from lib.contrasts import combined, difference

Z = 1.959964  # of a normal's 95 %


def cells(**errors):
    """Rows of three seeds in which nothing varies but the images' standard errors, by shift."""
    values = {"a": 10.0, "b": 4.0}
    lines = [(shift, seed, values[shift], error) for shift, error in errors.items() for seed in range(3)]
    return pd.DataFrame(lines, columns=["shift", "seed", "value", "standard_error"])


def test_errors_of_images_are_added_in_squares_with_either_sign():
    found = difference(cells(a=3.0, b=4.0), {"shift": "a"}, {"shift": "b"})
    assert found.mean == pytest.approx(6) and found.high - found.mean == pytest.approx(5 * Z, rel=1e-5)
    assert found.mean - found.low == pytest.approx(5 * Z, rel=1e-5)


def test_a_weight_multiplies_the_error_of_its_cell():
    found = combined(cells(a=3.0, b=4.0), [(0.5, {"shift": "a"}), (-0.5, {"shift": "b"})])
    assert found.mean == pytest.approx(3) and found.high - found.mean == pytest.approx(2.5 * Z, rel=1e-5)
