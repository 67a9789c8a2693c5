"""Outcomes from the measure to the contrast: kept beside rows, published, thinned, missing, damaged."""

import dataclasses
import shutil
import statistics

import numpy as np
import pandas as pd
import pytest
import torch

from lib import images, paths
from lib.contrasts import difference
from lib.errors import BadInput
from lib.measures import (
    Accuracy,
    AttentionShift,
    BackgroundReliance,
    CorruptionError,
    CueAccuracy,
    NaturalShift,
    RobustAccuracy,
    Segmentation,
    SeverityCurve,
    ShapeBias,
    Subject,
    SyntheticInvariance,
)
from lib.measures.outcomes import collected
from lib.measures.rows import CLEAN, Level, as_rows, cell_of, number, row
from lib.measures.shape_bias import decision_rows
from lib.models import build_encoder
from lib.runs import PRESETS, Plan, Study, engine, outcomes, publish, published, store

COUNT = 60
SEEN = []  # what the toy measure made, a dict of lists a run in the order of the runs


@dataclasses.dataclass(frozen=True)
class Toy:
    """Right or wrong and a share, by what images ask of a method and by an encoder's features; a number.

    Images ask something of SimCLR, whose two runs come first, and something else of random weights.
    """

    identity: str = "toy()#1"

    def rows(self, subject):
        features = subject.features("test").double().numpy()
        asked = np.random.default_rng(len(SEEN) // 2).normal(size=(2, COUNT))
        right, value = asked + (features[:, :2].T - features[:, :2].mean()) / features[:, :2].std() / 2
        right, value = right > 0, 1 / (1 + np.exp(-value))
        SEEN.append({"clean": right.astype(float).tolist(), "fog": value.tolist()})
        return as_rows(
            [
                row(CLEAN, "accuracy", right),
                row("fog", "accuracy", value, Level(2.5, "severity")),
                row(CLEAN, "accuracy", right[:20], subset="few"),
                number(CLEAN, "chance", 12.5, COUNT),
            ]
        )


PLAN = Plan("toys", ("simclr", "random"), ("simclr", "random"), lambda preset: [Toy()])
CELLS = {
    "clean": {"shift": CLEAN, "subset": "", "metric": "accuracy"},
    "fog": {"shift": "fog", "subset": "", "metric": "accuracy"},
}


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path, tmp_path_factory):
    """A preset of seconds, and nothing published. Scenes are rendered once for all of these tests."""
    monkeypatch.setenv("WITHSTAND_CACHE", str(tmp_path_factory.getbasetemp() / "outcomes-scenes"))
    monkeypatch.setattr(images, "SCENES_BLOCK", 64)
    monkeypatch.setattr("lib.shifts.textures.CACHED", 8)
    monkeypatch.setattr(images, "SCENES_SIZE", {"train": 64, "validation": COUNT, "test": COUNT})
    quick = dataclasses.replace(PRESETS["quick"], train_images=64, epochs=1, batch_size=32, seeds=(0, 1))
    monkeypatch.setitem(PRESETS, "quick", quick)
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    images._whole.cache_clear()
    published.forget()
    SEEN.clear()
    yield
    published.forget()
    images._whole.cache_clear()


def computed():
    return Study(PLAN, "quick", recompute=True).results()


def from_the_repository():
    """What somebody has who never ran anything: published rows and outcomes alone."""
    shutil.rmtree(paths.runs())
    published.forget()
    return Study(PLAN, "quick").results()


def by_loops(results, name):
    """The variance over images of SimCLR less random weights, in squared points, from the arrays as they were made.

    Of the images' mean differences, less what an image and one of two seeds make together.
    """
    arrays = {"simclr": [], "random": []}
    for record, cells in zip(results.records, SEEN, strict=True):
        arrays[record["config"]["method"]].append(cells[name])
    gaps = [
        (arrays["simclr"][0][n] + arrays["simclr"][1][n] - arrays["random"][0][n] - arrays["random"][1][n]) / 2
        for n in range(COUNT)
    ]
    found = statistics.variance(gaps) / COUNT
    for one, other in arrays.values():
        found -= 2 * statistics.variance([(one[n] - other[n]) / 2 for n in range(COUNT)]) / COUNT / 2
    return 100**2 * max(found, 0)


def apart(rows, name="clean"):
    return difference(rows, {"method": "simclr"} | CELLS[name], {"method": "random"} | CELLS[name])


def plain(rows):
    """Rows that do not tell where they are from."""
    return rows.drop(columns="run")


def over_seeds(rows, name):
    """The part of the squared standard error that is no error over images."""
    return apart(plain(rows).assign(standard_error=0.0), name).standard_error ** 2


@pytest.mark.parametrize("name", list(CELLS))
def test_from_the_measure_to_the_contrast(name):
    """Locally as published: a difference has the paired error of the arrays that the measure had."""
    results = computed()
    rows = results.rows
    found = apart(rows, name)
    assert by_loops(results, name) > over_seeds(rows, name) / 10
    assert found.standard_error**2 == pytest.approx(over_seeds(rows, name) + by_loops(results, name), rel=0.01)
    assert found.standard_error != pytest.approx(apart(plain(rows), name).standard_error)
    publish(PLAN, results)
    again = from_the_repository().rows
    assert apart(again, name).standard_error == pytest.approx(found.standard_error, rel=0.01)
    assert apart(again, name).mean == pytest.approx(found.mean, abs=1e-4)
    pd.testing.assert_frame_equal(again, rows, atol=1e-6)


def test_rows_and_keys_are_those_of_before(monkeypatch):
    """With nobody collecting, as runs of before were: the same keys, and the same bytes of rows and records."""
    results = computed()
    publish(PLAN, results)
    home = paths.RESULTS / "toys" / "quick"
    names = {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}
    assert names == {"outcomes.bin", "rows/toy.csv", "runs.jsonl"}
    local = {path: path.read_bytes() for path in paths.runs().glob("*/rows/*.csv")}
    first = {name: (home / name).read_bytes() for name in names}
    for record in results.records:
        store.rows_path(record["key"], Toy().identity).unlink()
    monkeypatch.setattr(outcomes, "save", lambda *_: None)
    for path in paths.runs().glob("*/rows/*.bin"):
        path.unlink()
    SEEN.clear()
    older = computed()
    assert {path: path.read_bytes() for path in paths.runs().glob("*/rows/*")} == local and len(local) == 4
    assert [record["key"] for record in older.records] == [record["key"] for record in results.records]
    (home / "outcomes.bin").unlink()
    outcomes.forget()
    publish(PLAN, older)
    assert {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()} == names - {"outcomes.bin"}
    assert all((home / name).read_bytes() == first[name] for name in names - {"outcomes.bin"})


def test_runs_without_outcomes_are_read_and_have_the_bound():
    results = computed()
    for path in paths.runs().glob("*/rows/*.bin"):
        path.unlink()
    outcomes.forget()
    again = computed()
    pd.testing.assert_frame_equal(again.rows, results.rows, atol=1e-6)
    assert len(SEEN) == 4  # nothing was measured again
    assert apart(again.rows) == apart(plain(again.rows))
    publish(PLAN, again)
    assert apart(from_the_repository().rows).standard_error == pytest.approx(apart(plain(again.rows)).standard_error)


def test_one_run_without_outcomes_leaves_the_bound():
    rows = computed().rows
    paired = apart(rows)
    next(paths.runs().glob("*/rows/*.bin")).unlink()
    outcomes.forget()
    assert apart(rows) == apart(plain(rows)) != paired


def test_other_numbers_than_the_runs_own_have_the_bound():
    """Somebody made errors of accuracies: what is known of single images is of the accuracies."""
    rows = computed().rows
    errors = rows.assign(value=100 - rows["value"])
    assert apart(errors) == apart(plain(errors)) != apart(rows)


def test_publishing_what_is_published_changes_nothing():
    publish(PLAN, computed())
    path = paths.RESULTS / "toys" / "quick" / "outcomes.bin"
    first = path.read_bytes()
    publish(PLAN, from_the_repository())
    assert outcomes.decode(path.read_bytes()).keys() == outcomes.decode(first).keys()
    for owner, cells in outcomes.decode(first).items():
        for cell, own in outcomes.decode(path.read_bytes())[owner].items():
            assert (own.values == cells[cell].values).all() and own.images == cells[cell].images


def test_a_study_s_file_is_short(monkeypatch):
    """Where all images are too many for the file, some stand for all."""
    results = computed()
    publish(PLAN, results)
    path = paths.RESULTS / "toys" / "quick" / "outcomes.bin"
    whole, longest = apart(results.rows, "fog"), len(path.read_bytes()) - 100
    monkeypatch.setattr(outcomes, "LONGEST", longest)
    publish(PLAN, results)
    assert longest - 60 < len(path.read_bytes()) <= longest
    few = from_the_repository().rows
    images = [
        len(own.values)
        for cells in outcomes.decode(path.read_bytes()).values()
        for cell, own in cells.items()
        if cell[0] == "fog"
    ]
    assert len(set(images)) == 1 and 20 < images[0] < COUNT
    error = apart(few, "fog").standard_error
    assert error != whole.standard_error and error == pytest.approx(whole.standard_error, rel=0.4)
    monkeypatch.setattr(outcomes, "LONGEST", 100)  # not even the names of cells
    publish(PLAN, Study(PLAN, "quick").results())
    assert not path.exists()


@pytest.mark.parametrize("place", ["published", "local"])
def test_a_damaged_file_is_told(place):
    results = computed()
    publish(PLAN, results)
    path = paths.RESULTS / "toys" / "quick" / "outcomes.bin"
    if place == "local":
        path.unlink()
        path = next(paths.runs().glob("*/rows/*.bin"))
    path.write_bytes(path.read_bytes()[:-1])
    outcomes.forget()
    with pytest.raises(BadInput) as error:
        apart(results.rows)
    assert str(error.value) == (
        f"{path} is damaged or half-written, its checksum is another's: delete it to do without the paired error of "
        "images, and compute or publish its rows again to have it"
    )


def test_a_measure_that_fails_leaves_neither_rows_nor_outcomes(monkeypatch):
    def broken(self, subject):
        row(CLEAN, "accuracy", np.array([True, False]))
        raise BadInput("no more images")

    monkeypatch.setattr(Toy, "rows", broken)
    with pytest.raises(BadInput, match="no more images"):
        computed()
    assert not list(paths.runs().glob("*/rows/*"))


# Measures: what they hand over is what their rows are made of


@pytest.fixture(scope="module")
def subject():
    torch.manual_seed(0)
    return Subject(build_encoder("resnet10_narrow").eval(), "scenes", 64, "fp32", torch.device("cpu"))


@pytest.mark.parametrize(
    ("measure", "without"),
    [
        (Accuracy(), set()),
        (CorruptionError(20), set()),
        (SeverityCurve(20, ("snow",)), set()),
        (NaturalShift(), set()),
        (CueAccuracy(8), set()),
        (BackgroundReliance(40), set()),
        (ShapeBias(40), set()),
        (AttentionShift(6, ("fog",)), set()),
        (RobustAccuracy(6, (8,), 1, 1), {"similarity chance"}),
        (SyntheticInvariance(6, 2), {"whitened similarity", "similarity"}),
        (Segmentation("scenes", 20, 10, 10), set()),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, set) else "",
)
def test_a_measure_hands_over_what_its_rows_are_made_of(subject, monkeypatch, measure, without):
    """Each row of single images has them, with its mean and its error; `without` are numbers of all images together."""
    monkeypatch.setattr("lib.measures.robust_accuracy.QUERIES", 5)
    monkeypatch.setattr("lib.measures.robust_accuracy.APGD_STEPS", 2)
    with collected() as found:
        rows = measure.rows(subject)
    lines = {
        cell_of(*line[:5]): line[5:]
        for line in rows[
            ["shift", "subset", "level", "level_unit", "metric", "value", "standard_error", "images"]
        ].itertuples(index=False)
    }
    assert len(lines) == len(rows) and set(found) <= set(lines)
    assert {cell for cell in set(lines) - set(found) if cell[-1] not in without or cell[0] != CLEAN} == set()
    for cell, own in found.items():
        value, error, count = lines[cell]
        values = own.values.astype(float)
        assert own.mean == pytest.approx(values.mean(), abs=1e-9) and 100 * own.mean == pytest.approx(value, abs=1e-6)
        assert own.images == len(values)
        if cell[-1] == "shape bias":
            assert count <= own.images
        elif "IoU" not in cell[-1]:  # whose errors are by bootstrap
            assert own.images == count
            assert 100 * values.std(ddof=1) / count**0.5 == pytest.approx(error, abs=1e-6)


def test_a_shape_bias_has_outcomes_of_all_images():
    """Which images are decided either way differs; the error of the ratio is the bootstrap's."""
    generator = np.random.default_rng(0)
    shape, texture = generator.integers(5, size=(2, 400))
    decided = np.where(generator.random(400) < 0.4, shape, np.where(generator.random(400) < 0.5, texture, 9))
    differ = shape != texture
    shape, texture, decided = shape[differ], texture[differ], decided[differ]
    with collected() as found:
        rows = as_rows(decision_rows("cue-conflict", decided, shape, texture, np.stack([shape, texture], axis=1)))
    bias = found["cue-conflict", "", None, "", "shape bias"]
    assert bias.images == len(shape) > rows["images"][0] and 100 * bias.mean == pytest.approx(rows["value"][0])
    assert all(own.sources.shape == (len(shape), 2) for own in found.values())
    draws = []
    for _ in range(2000):
        chosen = generator.integers(len(shape), size=len(shape))
        both = (decided == shape)[chosen].sum(), (decided == texture)[chosen].sum()
        draws.append(both[0] / sum(both))
    assert bias.values.std(ddof=1) / len(shape) ** 0.5 == pytest.approx(np.std(draws), rel=0.06)


def test_the_engine_keeps_what_is_handed_over_and_nothing_else():
    """Of a number of all images nothing, and of each row of single images all, with the values that it had."""
    rows = computed().rows
    assert engine.collected is collected
    for run, own in rows.groupby("run"):
        kept = outcomes._local(outcomes._path(run, Toy().identity))
        assert list(kept) == [
            (CLEAN, "", None, "", "accuracy"),
            ("fog", "", 2.5, "severity", "accuracy"),
            (CLEAN, "few", None, "", "accuracy"),
        ]
        for cell, outcome in kept.items():
            line = own[(own["shift"] == cell[0]) & (own["subset"] == cell[1]) & (own["metric"] == cell[4])]
            assert 100 * outcome.mean == pytest.approx(line["value"].item(), abs=1e-3)
            assert len(outcome.values) == line["images"].item()
