"""The model of intervals: sums of cells, by hand and beside SciPy."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from shorthand import unfolded

from lib.cells import mean_out_of_domain
from lib.contrasts import difference, level, mean_of, of_cell, of_cells, of_two, picked
from lib.errors import BadInput
from lib.paired import PAIRED
from lib.recent import Recent, remembered

Z = 1.959964  # of a normal's 95 %


def cells(**errors):
    """Rows of three seeds of one system in which nothing varies but the images' standard errors, by shift."""
    values = {"a": 10.0, "b": 4.0}
    lines = [(shift, seed, values[shift], error) for shift, error in errors.items() for seed in range(3)]
    return pd.DataFrame(lines, columns=["shift", "seed", "value", "standard_error"])


def study(values, errors=0.0, metric="distance", names=None):
    """Rows of G systems from `values` (G, S)."""
    values = np.asarray(values, dtype=float)
    names = names or [f"s{number}" for number in range(len(values))]
    lines = [
        (name, seed, metric, value, error)
        for name, own, error in zip(names, values, np.broadcast_to(errors, len(values)), strict=True)
        for seed, value in enumerate(own)
    ]
    return pd.DataFrame(lines, columns=["system", "seed", "metric", "value", "standard_error"])


def apart(rows, more="s0", less="s1"):
    return difference(rows, {"system": more}, {"system": less})


# By hand


def test_errors_of_one_system_s_cells_are_added_in_squares_where_signs_differ():
    found = difference(cells(a=3.0, b=4.0), {"shift": "a"}, {"shift": "b"})
    assert found.mean == pytest.approx(6) and found.high - found.mean == pytest.approx(5 * Z, rel=1e-5)
    assert found.mean - found.low == pytest.approx(5 * Z, rel=1e-5)


def test_a_weight_multiplies_the_error_of_its_cell():
    found = of_cells(cells(a=3.0, b=4.0), [(0.5, {"shift": "a"}), (-0.5, {"shift": "b"})]).estimate()
    assert found.mean == pytest.approx(3) and found.high - found.mean == pytest.approx(2.5 * Z, rel=1e-5)


def test_errors_with_one_sign_go_together():
    found = of_cells(cells(a=3.0, b=4.0), [(0.5, {"shift": "a"}), (0.5, {"shift": "b"})]).estimate()
    assert found.high - found.mean == pytest.approx(3.5 * Z, rel=1e-5)


def test_of_two_systems_on_the_same_images_their_own_part_of_the_error_is_left():
    rows = study([[5, 5, 5], [3, 3, 3]], errors=[3.0, 3.0])
    assert apart(rows).standard_error == pytest.approx(PAIRED * np.hypot(3, 3))
    assert level(rows, {"system": "s0"}).standard_error == pytest.approx(3.0)
    unequal = apart(study([[5, 5, 5], [3, 3, 3]], errors=[3.0, 1.0]))
    shared = np.sqrt(1 - PAIRED**2) * 2  # of what they share one feels more
    assert unequal.standard_error == pytest.approx(np.hypot(shared, PAIRED * np.hypot(3, 1)))


def test_the_number_of_a_contrast_is_known_exactly():
    contrast = of_two(study([[5, 6, 7], [1, 3, 2]]), {"system": "s0"}, {"system": "s1"})
    one, two = contrast.estimate(), (-2 * contrast + 10).estimate()
    assert two.mean == pytest.approx(10 - 2 * one.mean) and two.standard_error == pytest.approx(2 * one.standard_error)
    assert two.degrees == pytest.approx(one.degrees)


def test_of_equal_variances_it_is_student_s_test_with_all_degrees_of_freedom():
    values = np.array([[40, 41, 42], [50, 52, 51], [60, 59, 61], [11, 10, 12]])
    found = apart(study(values))
    assert found.degrees == 8  # two of each of four
    assert found.standard_error == pytest.approx(np.sqrt(2 / 3))
    two = stats.ttest_ind(values[0], values[1])  # which knows of two systems only
    assert apart(study(values[:2])).above() * 2 == pytest.approx(2 * stats.t.sf(two.statistic, 4))


def test_variances_that_differ_wildly_are_not_pooled():
    generator = np.random.default_rng(0)
    values = generator.normal(size=(20, 30)) * np.geomspace(0.01, 100, 20)[:, None]
    found = apart(study(values), "s19", "s18")
    alone = np.sqrt(values[18:].var(axis=1, ddof=1).sum() / 30)
    assert found.standard_error == pytest.approx(alone, rel=0.02) and 25 < found.degrees < 40


def test_shares_are_pooled_on_their_logits():
    """Seeds that differ by as much in logits: near the edge the interval is narrower, by the slope p (1 - p)."""
    logits = np.array([-0.1, 0.0, 0.1])
    shares = 100 / (1 + np.exp(-(logits + np.array([[0.0], [0.0], [4.0], [4.0]]))))
    rows = study(shares, metric="accuracy").assign(images=1e6)
    middle, edge = apart(rows), apart(rows, "s2", "s3")
    share = 1 / (1 + np.exp(-4))
    assert edge.standard_error / middle.standard_error == pytest.approx(share * (1 - share) / 0.25, rel=0.01)
    assert middle.degrees == pytest.approx(8)


def test_seeds_of_two_systems_are_not_paired():
    """Which number a seed has does not matter."""
    rows = study([[5, 6, 7], [1, 3, 2]])
    turned = rows.assign(seed=rows["seed"].where(rows["system"] == "s0", 2 - rows["seed"]))
    assert apart(rows) == apart(turned) == apart(rows.sample(frac=1, random_state=1))


def test_cells_of_one_system_are_paired_by_seed():
    """Its seeds differ by 100 points, and two cells by exactly 2 with each."""
    rows = pd.concat([study([[100, 200, 300]]).assign(shift="a"), study([[98, 198, 298]]).assign(shift="b")])
    found = difference(rows, {"system": "s0", "shift": "a"}, {"system": "s0", "shift": "b"})
    assert (found.low, found.mean, found.high) == pytest.approx((2, 2, 2))


def test_a_mean_of_contrasts_knows_who_stands_in_several():
    """(a + b) / 2 - c: the variance of c is counted once and whole."""
    rows = study([[40, 41, 42], [50, 52, 51], [60, 59, 61]])
    pairs = [of_two(rows, {"system": name}, {"system": "s2"}) for name in ("s0", "s1")]
    found = mean_of(pairs).estimate()
    assert found.mean == pytest.approx(-14) and found.standard_error == pytest.approx(np.sqrt((1 + 1 / 4 + 1 / 4) / 3))


def test_a_system_that_is_subtracted_from_itself_leaves_nothing():
    rows = study([[40, 41, 42], [50, 52, 51]])
    found = (of_two(rows, {"system": "s0"}, {"system": "s1"}) + 3).estimate()
    nothing = mean_of([of_cell(rows, {"system": "s0"}), -1 * of_cell(rows, {"system": "s0"})]) + 3
    assert found.mean == pytest.approx(-7) and nothing.estimate().mean == pytest.approx(3)
    assert nothing.estimate().standard_error == 0


def test_one_seed_decides_nothing():
    found = apart(study([[5], [3]]))
    assert found.mean == 2 and np.isnan([found.low, found.high, found.standard_error]).all()
    assert found.above() == found.below() == 1
    mixed = pd.concat([study([[5, 6, 7], [1, 2, 4]]), study([[3]], names=["single"])])
    assert np.isnan(apart(mixed, "s0", "single").low) and not np.isnan(apart(mixed).low)


@pytest.mark.parametrize("cell", [{"system": "s9"}, {"metric": "distance"}, {}])
def test_a_cell_is_of_one_system(cell):
    with pytest.raises(BadInput, match="not one"):
        difference(study([[5, 6, 7], [1, 3, 2]]), cell, {"system": "s1"})


def test_means_stand_on_the_sets_that_the_compared_have():
    """Others lend their variances where they have them all."""
    lines = [(system, seed, "all", 0, "error", 50.0, 1.0) for system in ("a", "b", "c") for seed in range(3)] + [
        (system, seed, "stylised", 0, "accuracy", 30.0, 1.0) for system in ("a", "b") for seed in range(3)
    ]
    rows = unfolded(pd.DataFrame(lines, columns=["system", "seed", "shift", "of", "metric", "value", "standard_error"]))
    two, one = mean_out_of_domain(rows, ("a", "b")), mean_out_of_domain(rows, ("a", "c"))
    assert set(two["system"]) == {"a", "b"} and set(two["sets"]) == {2} and set(two["value"]) == {40.0}
    assert set(one["system"]) == {"a", "b", "c"} and set(one["sets"]) == {1}
    assert mean_out_of_domain(rows).equals(one)


def test_means_beside_rows_of_runs_have_no_outcomes():
    """A mean over several rows is of no run: it is compared as before there were outcomes."""
    rows = pd.DataFrame(
        {"seed": [0, 1, 2] * 2, "method": ["a"] * 3 + ["b"] * 3, "standard_error": 1.0, "value": range(6)}
    )
    traced = rows.assign(
        run=float("nan"),
        measure=float("nan"),
        shift="mean",
        subset="",
        level=float("nan"),
        level_unit="",
        metric="error",
    )
    cells = {"method": "b"}, {"method": "a"}
    assert difference(traced, *cells) == difference(rows.assign(metric="error"), *cells)


CHANGES = {
    "a value": lambda rows: rows.__setitem__("value", rows["value"].where(rows["method"] != "a", 9.0)),
    "a value, in its place": lambda rows: rows.loc.__setitem__((0, "value"), 90.0),
    "a name, in its place": lambda rows: rows.loc.__setitem__((0, "method"), "b"),
    "a number that was none": lambda rows: rows.iloc.__setitem__((0, list(rows).index("level")), 3.0),
    "another column": lambda rows: rows.insert(0, "shift", "fog"),
    "other rows": lambda rows: rows.__setitem__("seed", rows["seed"][::-1].to_numpy()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_table_that_was_changed_is_asked_anew(change):
    """What was looked up often enough to be kept is what a copy that nobody has asked about says."""
    rows = pd.DataFrame({"method": list("aaabbb"), "seed": [0, 1, 2] * 2, "value": [60.0, 61, 62, 58, 60, 59],
                         "level": [np.nan, 1, 1, 1, 2, 2], "standard_error": 0.5})  # fmt: skip
    asked = [
        {"method": "a"},
        {"method": "b"},
        {"method": "a", "level": None},
        {"method": "a", "level": 1},
        {"level": 3},
    ]

    def told(table):
        return [repr(picked(table, cell).to_dict()) for cell in asked] + [str(level(table, {"seed": 1, "method": "a"}))]

    first = [told(rows) for _ in range(4)]
    assert first[0] == first[3] and "nan" in first[0][2]
    CHANGES[change](rows)
    assert told(rows) == told(rows.copy()) != first[0]


@pytest.mark.parametrize("change", [*CHANGES.values(), lambda rows: rows.pop("level")], ids=[*CHANGES, "no column"])
def test_what_is_remembered_is_of_the_table_as_it_is(change):
    rows = pd.DataFrame({"method": list("ab"), "seed": [0, 1], "value": [60.0, 61], "level": [np.nan, 1]})
    worked_out = []

    @remembered
    def told(table, names):
        worked_out.append(names)
        return table.copy()

    first = told(rows, ["a"])
    assert told(rows, ["a"]) is first is not told(rows, ["b"])
    change(rows)
    assert told(rows, ["a"]).equals(rows) and not first.equals(rows)
    assert worked_out == [["a"], ["b"], ["a"]]


def test_more_tables_than_are_kept_are_each_their_own():
    tables = [pd.DataFrame({"method": ["a"] * 2, "seed": [0, 1], "value": [float(n)] * 2, "standard_error": 0.0})
              for n in range(2 * Recent.MOST)]  # fmt: skip
    for _ in range(3):
        assert [level(table, {"method": "a"}).mean for table in tables] == list(range(len(tables)))
