"""Bars are there or not for all that is done within, and what is said around the work counts."""

import pytest

from lib.progress import bar, bars


@pytest.mark.parametrize(("around", "within", "own"), [(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)])
def test_a_bar_is_shown_where_all_around_it_allow_it(around, within, own, capsys):
    with bars(bool(around)):
        with bars(bool(within)), bar(bool(own), total=1) as shown:
            shown.update()
        assert bool(capsys.readouterr().err) == bool(around and within and own)
        with bar(total=1):
            pass
        assert bool(capsys.readouterr().err) == bool(around)  # what was within is over


def test_an_error_ends_the_silence(capsys):
    with pytest.raises(KeyError), bars(False):
        raise KeyError
    with bar(total=1):
        pass
    assert capsys.readouterr().err
