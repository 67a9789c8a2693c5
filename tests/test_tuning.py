"""The grid of recipes: which points it has, that it goes on where it stopped, and what the page says of it."""

import dataclasses
import sys

import numpy as np
import pandas as pd
import pytest

from benchmarks import tuning as command
from lib import paths
from lib.chapters.methods import tuning_table, tuning_words
from lib.errors import BadInput
from lib.methods import METHODS
from lib.runs import PRESETS, RunConfig, store
from lib.runs.plan import grid as grid_of
from lib.runs.recipes import RECIPES, recipe_of
from lib.runs.tuning import TUNED, Point, config_of, first_points, found, points, recipe_point
from lib.training import OutOfTime

SCALE = dataclasses.replace(
    PRESETS["small"], encoder="resnet10_narrow", train_images=5_000, epochs=4, batch_size=128
)  # as the command has it


def line(method, point, accuracy, seed=0, **changes):
    config = config_of(method, point, SCALE, seed)
    return {
        "method": method, **dataclasses.asdict(point), "seed": seed, "dataset": "cifar10",
        "encoder": "resnet10_narrow", "images": 5_000, "batch_size": 128, "epochs": config.training.epochs,
        "accuracy": accuracy, "validation_images": 4_992, "protocol": METHODS[method].protocol, "seconds": 40.0,
        "device": "CPU, 1 threads", "precision": "fp32", "commit": "0123456789ab",
    } | changes  # fmt: skip


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    return tmp_path / "methods" / "small"


def put(home, lines):
    for one in lines:
        store.append_tuning(home, one)


def test_every_method_that_is_trained_has_the_same_grid():
    assert set(TUNED) == {name for name, method in METHODS.items() if method.trained and not method.attacked}
    for method in TUNED:
        first = first_points(method)
        assert first[0] == recipe_point(method) and len(set(first)) == len(first) in (9, 10)
        assert {(one.optimiser, one.rate) for one in first} >= {
            (name, rate)
            for name, rates in (("sgd", (0.06, 0.2, 0.6)), ("lars", (0.6, 2, 6)), ("adamw", (0.0012, 0.004, 0.012)))
            for rate in rates
        }
        assert {one.temperature for one in first} == {first[0].temperature}


def test_temperatures_come_at_the_best_rate():
    first = first_points("simclr")
    accuracies = {point: 40.0 for point in first}
    assert points("simclr", dict(list(accuracies.items())[:-1])) == first
    best = Point("lars", 6.0, 1e-5, 0.2)
    accuracies |= {best: 45.0, first[1]: np.nan}
    assert points("simclr", accuracies)[len(first):] == [
        dataclasses.replace(best, temperature=0.1), dataclasses.replace(best, temperature=0.4)
    ]  # fmt: skip
    accuracies[dataclasses.replace(best, temperature=0.4)] = 60.0  # moves no rate
    assert len(points("simclr", accuracies)) == len(first) + 2
    byol = first_points("byol")
    assert byol[0].temperature is None and points("byol", dict.fromkeys(byol, 1.0)) == byol


@pytest.mark.parametrize("method", TUNED)
def test_the_recipe_s_point_is_the_study_s_run(method):
    """At the scale of a preset; the rate is for 256 images a batch, and EMP-SSL trains for a quarter of the epochs."""
    config = config_of(method, recipe_point(method), SCALE, 1)
    recipe = recipe_of(method)
    assert config.training.learning_rate == pytest.approx(recipe.learning_rate / 2)
    assert (config.training.optimiser, config.training.weight_decay) == (recipe.optimiser, recipe.weight_decay)
    assert config.settings == METHODS[method].settings() and config.seed == 1
    assert config.training.epochs == (1 if method == "emp_ssl" else 4)
    assert config.training.warmup_epochs == pytest.approx(config.training.epochs / 10)
    assert (config.dataset, config.encoder, config.train_images) == ("cifar10", "resnet10_narrow", 5_000)


def test_a_temperature_reaches_the_settings():
    half = dataclasses.replace(recipe_point("dino"), temperature=0.05)
    assert config_of("dino", half, SCALE, 0).settings.student_temperature == 0.05
    assert config_of("supcon", dataclasses.replace(half), SCALE, 0).settings.temperature == 0.05


def test_lines_come_back_as_they_went(home):
    lines = [line("simclr", recipe_point("simclr"), 38.782051282051285), line("byol", recipe_point("byol"), np.nan)]
    put(home, lines)
    back = store.read_tuning(home)
    pd.testing.assert_frame_equal(back, pd.DataFrame(lines)[list(store.TUNING_COLUMNS)], check_dtype=False)
    assert found(back[back["method"] == "simclr"]) == {recipe_point("simclr"): 38.782051282051285}
    assert list(found(back[back["method"] == "byol"])) == [recipe_point("byol")]
    assert store.read_tuning(home / "elsewhere").empty
    path = home / "tuning.csv"
    whole = path.read_text()
    path.write_text(whole[:-1])
    with pytest.raises(BadInput, match="tuning.csv is half-written; mend or delete its last line"):
        store.read_tuning(home)
    path.write_text(whole.replace("optimiser", "optimizer", 1))
    with pytest.raises(BadInput, match="tuning.csv has the columns method, optimizer"):
        store.read_tuning(home)


@pytest.fixture
def asked(monkeypatch):
    """What the engine was asked for; it answers with an accuracy that the rate decides."""
    configs: list[RunConfig] = []

    def compute_one(config, measures, time_limit, progress):
        if time_limit < 0:
            raise OutOfTime
        configs.append(config)
        if config.training.optimiser == "lars" and config.training.learning_rate == 3.0:
            raise BadInput("the loss is nan at step 39; use a learning rate below 3")
        value = 50.0 - abs(np.log(config.training.learning_rate)) + getattr(config.settings, "temperature", 0)
        record = {"device": "CPU, 1 threads", "precision": "fp32", "commit": "abc"}
        return record, pd.DataFrame({"value": [value], "images": [4_992]})

    monkeypatch.setattr(command, "compute_one", compute_one)
    return configs


def test_the_command_goes_on_where_it_stopped(home, asked):
    """Nine rates of each, in turns, and two temperatures of SimCLR; a rate that diverges is a point as well."""
    put(home, [line("byol", first_points("byol")[0], 33.0)])
    assert command.tune(["simclr", "byol"], [0], SCALE, home, progress=False) == 11 + 8
    assert [config.method for config in asked[:5]] == ["simclr", "simclr", "byol", "simclr", "byol"]
    lines = store.read_tuning(home)
    assert len(lines) == 20 and lines["accuracy"].isna().sum() == 2
    assert set(lines.loc[lines["accuracy"].isna(), "rate"]) == {6.0}
    assert sorted(lines.loc[lines["method"] == "simclr", "temperature"].unique()) == [0.1, 0.2, 0.4]
    assert command.tune(["simclr", "byol"], [0], SCALE, home, progress=False) == 0 and len(asked) == 19
    assert command.tune(["byol"], [1], SCALE, home, progress=False) == 9  # another seed
    longer = dataclasses.replace(SCALE, epochs=8)
    assert command.tune(["byol"], [0], longer, home, progress=False) == 9  # another scale


def test_an_older_protocol_is_tuned_again(home, asked):
    put(home, [line("byol", point, 33.0, protocol=0) for point in first_points("byol")])
    assert command.tune(["byol"], [0], SCALE, home, progress=False) == 9


def test_other_faults_are_not_taken_for_a_divergence(home, monkeypatch):
    def compute_one(*_):
        raise BadInput("the disk is full")

    monkeypatch.setattr(command, "compute_one", compute_one)
    with pytest.raises(BadInput, match="the disk is full"):
        command.tune(["byol"], [0], SCALE, home)
    assert store.read_tuning(home).empty


def test_a_time_limit_stops_cleanly(home, asked, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmarks.tuning", "--methods", '["byol"]', "--time-limit", "1e-9"])
    assert command.main() == 0 and not asked
    assert "the time limit is reached; nothing is lost" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "sentence"), [
    (["--methods", '["simcrl"]'], "unknown method that is tuned 'simcrl' (did you mean 'simclr'?)"),
    (["--methods", '["trades"]'], "unknown method that is tuned 'trades'"),
    (["--methods", "simclr"], "methods is a list such as"),
    (["--preset", "smal"], "unknown preset 'smal' (did you mean 'small'?)"),
    (["--encoder", "resnet11"], "unknown encoder 'resnet11'"),
    (["--seeds", '["a"]'], "seeds are whole numbers"),
])  # fmt: skip
def test_bad_words_are_one_sentence(home, asked, words, sentence, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmarks.tuning", *words])
    assert command.main() == 2 and capsys.readouterr().err.startswith(sentence) and not asked


def test_the_probe_is_asked_on_validation_images_alone():
    """Features whose first tells the class: of 100 validation labels 20 are wrong, and test images would raise."""
    import torch

    class Made:
        def split(self, name):
            assert name != "test"
            labels = torch.arange(100) % 2
            return type("Split", (), {"labels": 1 - labels if name == "nothing" else labels})

        def features(self, name):
            assert name == "validation"
            return torch.arange(100.0)[:, None]

        probe = type("Probe", (), {"predict": staticmethod(lambda x: torch.where(x[:, 0] < 20, 1 - x[:, 0] % 2,
                                                                                 x[:, 0] % 2).long())})  # fmt: skip

    (found,) = command.ValidationAccuracy().rows(Made()).to_dict("records")
    assert found["value"] == 80.0 and found["images"] == 100 and found["metric"] == "probe accuracy"


def test_the_page_says_what_is_missing(home):
    assert tuning_words("small") == (
        "No recipe has been tuned for the preset small yet: `python -m benchmarks.tuning` does."
    )
    assert tuning_table("small").empty


def test_the_page_by_hand(home):
    """SimCLR's recipe (SGD 0.2) is 3 points behind LARS 6.0 at half the temperature, BYOL's (LARS 2.0) is the best."""
    simclr = first_points("simclr")
    lines = [line("simclr", point, 40.0 + (point.rate == 6.0)) for point in simclr]
    best = Point("lars", 6.0, 1e-5, 0.1)
    lines += [line("simclr", best, 43.0), line("simclr", dataclasses.replace(best, temperature=0.4), 20.0)]
    lines += [line("byol", point, np.nan) for point in first_points("byol")[1:4]]
    lines += [line("byol", recipe_point("byol"), 45.0)]
    lines += [line("dcl", recipe_point("dcl"), 60.0, protocol=0)]
    put(home, lines)
    table = tuning_table("small").set_index("method")
    assert list(table.index) == ["SimCLR", "BYOL"] and "trained as" not in table
    assert table.loc["SimCLR"].to_dict() == {
        "points tried": "11 of 11", "best optimiser": "LARS", "best rate": "6*", "best temperature": "0.1*",
        "accuracy (%)": "43.0", "recipe in use": "SGD, 0.2", "its accuracy (%)": "40.0", "behind (points)": "3.0",
    }  # fmt: skip
    assert table.loc["BYOL"].to_dict() == {
        "points tried": "4 of 9", "best optimiser": "LARS", "best rate": "2", "best temperature": "",
        "accuracy (%)": "45.0", "recipe in use": "LARS, 2", "its accuracy (%)": "45.0", "behind (points)": "0.0",
    }  # fmt: skip
    words = tuning_words("small")
    assert "behind the best point by 1.5 points on average and by 3.0 at most (SimCLR); it is the best one" in words
    assert "it is the best one for BYOL." in words
    assert "uncertain by ±1.9, seeds come on top" in words  # 196 sqrt(2 x 0.44 x 0.56 / 4,992) = 1.95
    assert "one seed, the probe on 4,992 validation images, no test image" in words
    missing = words.split("older protocol of the method: ")[1].split(".")[0]
    assert "DCL" in missing and "SupCon" in missing and "SimCLR," not in missing
    assert words.endswith("Some points of BYOL are still to be tried.") and "A star marks the end" in words


def test_scales_have_lines_of_their_own_and_seeds_one(home):
    point = recipe_point("byol")
    put(home, [line("byol", point, 40.0), line("byol", point, 50.0, seed=1)])
    put(home, [line("byol", point, 70.0, encoder="resnet18")])
    table = tuning_table("small")
    assert list(table["accuracy (%)"]) == ["45.0", "70.0"]
    assert list(table["trained as"]) == ["encoder resnet10_narrow", "encoder resnet18"]
    words = tuning_words("small")
    assert "All points share: data set cifar10, 5,000 training images, 4 epochs, batches of 128." in words
    assert words.endswith("Some points of every method are still to be tried.")


def test_a_recipe_that_was_not_tried_or_diverged_is_not_zero_points_behind(home):
    put(home, [line("byol", first_points("byol")[1], 40.0)])
    assert list(tuning_table("small")["behind (points)"]) == ["not tried"]
    put(home, [line("byol", recipe_point("byol"), np.nan)])
    assert tuning_table("small")["its accuracy (%)"].item() == "–" and "behind the best" not in tuning_words("small")


def test_short_runs_take_the_rate_that_the_grid_shows():
    """Three times the rate where that brought two points; EMP-SSL's published runs are as short, and keep theirs."""
    grid = store.read_tuning(paths.RESULTS / "methods" / "small")
    for method, recipe in RECIPES.items():
        own = grid[(grid["method"] == method) & (grid["optimiser"] == recipe.optimiser)]
        usual = own[np.isclose(own["rate"], recipe.learning_rate)]
        if usual.empty:
            continue
        alike = own["temperature"].fillna(0) == usual["temperature"].fillna(0).iloc[0]
        (higher,) = own[alike & np.isclose(own["rate"], 3 * recipe.learning_rate)]["accuracy"]
        gained = higher - usual["accuracy"].iloc[0]
        assert recipe.short == (3.0 if gained >= 2 and method != "emp_ssl" else 1.0), method


@pytest.mark.parametrize(("epochs", "rate"), [(4, 6.0), (12, 6.0), (13, 2.0)])  # of 31 updates each
def test_a_run_is_short_by_its_updates(epochs, rate):
    (config,) = grid_of(dataclasses.replace(PRESETS["quick"], epochs=epochs), ["byol"], [0])
    assert config.training.learning_rate == pytest.approx(rate * 64 / 256)
