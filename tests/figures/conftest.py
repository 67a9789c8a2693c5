"""What tests of figures share."""

import pytest
from matplotlib.figure import Figure as Drawing


@pytest.fixture
def unlaid(monkeypatch):
    """Figures are not laid out, which takes half of their time: for tests of words and data alone."""
    monkeypatch.setattr(Drawing, "draw_without_rendering", lambda self: None)
