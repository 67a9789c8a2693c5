"""Which published runs answer a page, in rows made by hand: exact, of an older protocol or recipe, or not at all."""

import dataclasses
import json
from dataclasses import replace

import pandas as pd
import pytest

from lib import paths
from lib.chapters import PLANS
from lib.errors import BadInput
from lib.figures import standing_words
from lib.figures.prose import scope
from lib.methods import METHODS, PLAIN
from lib.runs import PRESETS, RunConfig, Study, grid, published, recipes, store, study
from lib.runs.plan import configs_of, measures_of

NAME = "severity_degradation"
PLAN = PLANS[NAME]
MEASURES = len(measures_of(PLAN, "small"))
PAGE = ["simclr", "byol", "random"]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty folder of published rows of the small preset, which trains one encoder here."""
    monkeypatch.setitem(PRESETS, "small", replace(PRESETS["small"], transformer=None))
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    monkeypatch.setattr(study.engine, "compute", None)
    published.forget()
    yield tmp_path / NAME / "small"
    published.forget()


def made_up(configs, value=50.0, without=(), protocol=None):
    """Records and a row a measure."""
    records, rows = [], []
    for config in configs:
        key = config.key("0" * 64)
        data = {"source": "made up", "checksum": "0" * 64, "train_images": 5}
        own = METHODS[config.method].protocol if protocol is None else protocol
        record = {"key": key, "config": config.to_dict(), "protocol": own, "data": data}
        records.append(json.loads(json.dumps(record)))
        for measure in measures_of(PLAN, "small"):
            if measure.identity.split("(")[0] not in without:
                rows.append((key, measure.identity, "none", "", float("nan"), "", "error", value, 0.5, 100))
    return records, pd.DataFrame(rows, columns=list(store.PUBLISHED_COLUMNS))


def put(home, *tables):
    records, rows = zip(*tables, strict=True)
    store.write_published(home, sum(records, []), pd.concat(rows))
    published.forget()


def older(config, **changes):
    return replace(config, training=replace(config.training, **changes))


def page(**parameters):
    return Study(PLAN, **{"methods": PAGE} | parameters).results()


def test_a_whole_page_says_that_it_is(home):
    put(home, made_up(grid("small", PAGE)))
    found = page()
    assert not found.stale and len(found.records) == 9 and len(found.rows) == 9 * MEASURES
    assert standing_words(found) == (
        "Of the 9 runs of this page none is left out, and none is stale: this code would train and measure them so."
    )
    assert "stale" not in scope(found)


@pytest.mark.parametrize(("changes", "words"), [
    ({"warmup_epochs": 2.4}, "warm-up epochs 2.4, now 0.6"),
    ({"learning_rate": 0.3, "optimiser": "lars"}, "optimiser lars, now sgd and rate 0.3, now 0.1"),
    ({"weight_decay": 0.0}, "weight decay 0, now 0.0005"),
])  # fmt: skip
def test_a_run_of_an_older_recipe_is_handed_out_as_stale(home, changes, words):
    simclr = [older(config, **changes) for config in grid("small", ["simclr"])]
    put(home, made_up(simclr, 7.0), made_up(grid("small", ["byol", "random"])))
    found = page()
    assert found.stale and len(found.records) == 9
    assert set(found.rows.loc[found.rows["method"] == "simclr", "value"]) == {7.0}
    assert standing_words(found) == (
        f"Stale: 3 of 9 runs are trained by an older recipe than this code's: SimCLR ({words})."
    )
    assert scope(found).endswith("seeds, stale in part.")
    assert {record["config"]["training"]["epochs"] for record in found.records} == {1, 6}  # as it was, in the tables
    assert found.provenance is not None and not page(methods=["byol"]).stale
    assert page(preset="small").stale  # a named preset takes it as well


def test_a_temperature_is_of_the_recipe_and_a_queue_is_not(home):
    (config, *_) = grid("small", ["moco_v2"], [0])
    for settings, answered in (({"temperature": 0.5}, True), ({"momentum": 0.5}, True), ({"queue": 512}, False),
                               ({"hidden": 64}, False), ({"negatives": "patch"}, False)):  # fmt: skip
        put(home, made_up([replace(config, settings=METHODS["moco_v2"].settings(**settings))]))
        (found,) = published.find(PLAN, [published.Wanted(config, measures_of(PLAN, "small"))])
        assert (found is not None) is answered, settings
        if answered:
            assert [name for name, _, _ in found.standing.recipe] == list(settings)


@pytest.mark.parametrize("changes", [{"epochs": 7}, {"batch_size": 64}, {"precision": "fp32"}])
def test_another_length_batch_or_precision_is_another_run(home, changes):
    put(home, made_up([older(config, **changes) for config in grid("small", ["simclr"])]))
    with pytest.raises(BadInput, match="none of the 3 runs of this grid is published with all its seeds"):
        page(methods=["simclr"])


def test_an_exact_run_comes_before_an_older_one_wherever_it_is(home):
    now = grid("small", ["simclr"])
    then, longer = ([older(config, **changes) for config in now]
                    for changes in ({"learning_rate": 0.3}, {"learning_rate": 0.3, "weight_decay": 0.1}))  # fmt: skip
    put(home, made_up(then, 1.0), made_up(longer, 3.0))
    assert set(page(methods=["simclr"]).rows["value"]) == {1.0}  # nearer than the other
    put(home.parent.parent / "methods" / "small", made_up(now, 2.0))
    found = page(methods=["simclr"])
    assert set(found.rows["value"]) == {2.0} and not found.stale


def test_a_current_protocol_elsewhere_comes_before_an_older_one_of_its_own(home):
    now = grid("small", ["simclr"])
    put(home, made_up(now, 1.0, protocol=0))
    assert page(methods=["simclr"]).stale
    put(home.parent.parent / "methods" / "small", made_up(now, 2.0))
    assert set(page(methods=["simclr"]).rows["value"]) == {2.0} and not page(methods=["simclr"]).stale


def test_a_control_has_no_recipe(home):
    put(home, made_up([older(config, warmup_epochs=0.6, weight_decay=0.2) for config in grid("small", ["random"])]))
    assert not page(methods=["random"]).stale


def test_a_run_that_its_study_still_wants_is_no_older_recipe(tmp_path, monkeypatch):
    """ReLICv2 at the temperature of 0.05 is a system of its own, and does not stand for that of 0.1."""
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    published.forget()
    other, plain = (
        published.runs_of(PLANS["relicv2_ood"], "small", [name], [0, 1, 2], "scenes")
        for name in ("relicv2 temperature 0.05", "relicv2")
    )
    put(tmp_path / "relicv2_ood" / "small", made_up([config for _, config in other]))
    wanted = [published.Wanted(config, measures_of(PLAN, "small")) for _, config in plain]
    assert published.find(PLANS["relicv2_ood"], wanted) == [None] * 3
    moved = [replace(config, settings=replace(config.settings, temperature=0.07)) for _, config in other]
    put(tmp_path / "relicv2_ood" / "small", made_up(moved))  # no system of today
    assert all(published.find(PLANS["relicv2_ood"], wanted))
    published.forget()


def test_of_another_study_only_a_run_of_the_same_recipe_answers(home):
    """Whether another recipe is older there, or that study's own choice, this plan does not know."""
    now = grid("small", ["simclr"])
    elsewhere = home.parent.parent / "methods" / "small"
    put(elsewhere, made_up([older(config, learning_rate=0.3) for config in now]))
    wanted = [published.Wanted(config, measures_of(PLAN, "small")) for config in now]
    assert published.find(PLAN, wanted) == [None] * 3
    put(elsewhere, made_up(now))
    assert all(published.find(PLAN, wanted))


def test_each_published_run_answers_once(home):
    config = grid("small", ["simclr"], [0])[0]
    put(home, made_up([older(config, learning_rate=0.3)]))
    wanted = [published.Wanted(one, measures_of(PLAN, "small")) for one in (config, older(config, learning_rate=0.2))]
    found = published.find(PLAN, wanted)
    assert found[0] is not None and found[1] is None


def test_what_is_not_published_is_left_out_and_said(home):
    put(home, made_up(grid("small", ["simclr", "random"])))
    found = page()
    assert len(found.records) == 6 and set(found.rows["method"]) == {"simclr", "random"} and not found.stale
    assert standing_words(found) == "3 of 9 runs are not published and left out: BYOL."
    store.write_costs(home, pd.DataFrame([(name, 0, 1.5, "CPU", "fp32", "2.x", "2026-01-01") for name in PAGE],
                                         columns=store.COST_COLUMNS))  # fmt: skip
    assert set(page().costs["method"]) == {"simclr", "random"}


def test_a_method_that_lacks_a_seed_is_left_out_with_its_others(home):
    put(home, made_up(grid("small", ["simclr", "random"])), made_up(grid("small", ["byol"], [0, 2])))
    found = page()
    assert set(found.rows["method"]) == {"simclr", "random"}
    assert standing_words(found) == (
        "1 of 9 runs is not published and left out (and with it 2 runs of other seeds): BYOL."
    )
    assert len(page(seeds=[0, 2]).records) == 6


def test_another_encoder_of_a_method_is_named(home, monkeypatch):
    monkeypatch.setitem(PRESETS, "small", replace(PRESETS["small"], transformer="vit_narrow_patch4"))
    put(home, made_up(grid("small", PAGE)))
    assert standing_words(page()) == (
        "6 of 15 runs are not published and left out: SimCLR (vit_narrow_patch4) and Random weights "
        "(vit_narrow_patch4)."
    )


def test_a_measure_that_nobody_published_hides_nothing(home):
    put(home, made_up(grid("small", PAGE), without=["natural_shift"]))
    found = page()
    assert len(found.records) == 9 and len(found.rows) == 9 * (MEASURES - 1) and not found.stale
    assert standing_words(found) == "Not published and left out: rows of natural shift of every run."
    put(home, made_up(grid("small", ["byol", "random"])), made_up(grid("small", ["simclr"]), without=["accuracy"]))
    assert standing_words(page()) == "Not published and left out: rows of accuracy of SimCLR."


def test_what_some_seeds_lack_is_said_of_some_seeds(home):
    """Of SimCLR the accuracy of one seed is left out, and two seeds are shown; of BYOL the recipe of one is older."""
    first, *others = grid("small", ["simclr"])
    old, *newer = grid("small", ["byol"])
    whole = made_up([*others, *newer, *grid("small", ["random"]), older(old, learning_rate=0.002)])
    put(home, whole, made_up([first], without=["accuracy"]))
    assert standing_words(page()).startswith("Not published and left out: rows of accuracy of some seeds of SimCLR. ")
    told = "Stale: 1 of 9 runs is trained by an older recipe than this code's: some seeds of BYOL (rate 0.002, now "
    assert told in standing_words(page())


def test_a_measure_that_is_missing_is_computed_in_a_named_preset(home, monkeypatch):
    put(home, made_up(grid("small", ["byol"]), without=["natural_shift"]))
    asked = []

    def compute(configs, measures, time_limit=None, engine=None):
        asked.extend(configs)
        return made_up(configs, 2.0)

    monkeypatch.setattr(study.engine, "compute", compute)
    found = page(preset="small", methods=["byol"])
    assert len(asked) == 3 and set(found.rows["value"]) == {2.0} and not found.standings


def test_older_protocols_are_told_apart(home):
    records, rows = made_up(grid("small", ["byol", "random"]))
    rows["measure"] = rows["measure"].str.replace(r"^(accuracy\(.*\))#.*", r"\1#0", regex=True)
    put(home, (records, rows), made_up(grid("small", ["simclr"]), protocol=0))
    found = page()
    assert found.stale and standing_words(found) == (
        "Stale: 3 of 9 runs are trained under an older protocol of the method than this code's: SimCLR. "
        "Stale: measured under an older protocol than this code's: accuracy of BYOL and Random weights."
    )
    assert page(methods=["random"]).stale


def test_a_teacher_warms_up_for_the_same_share_and_so_does_every_run():
    """Every preset, study, method, seed, encoder and data set, and every teacher behind one."""
    seen = set()
    for name, plan in PLANS.items():
        for preset in PRESETS:
            for config in configs_of(plan, preset, plan.methods):
                for run in filter(None, (config, config.teacher())):
                    assert run.training.warmup_epochs == pytest.approx(run.training.epochs / 10), (name, preset, run)
                    seen.add(run.method)
    assert set(recipes.RECIPES) <= seen  # what has earned no recipe yet may be in no plan
    for preset in PRESETS:
        for config in grid(preset, [name for name in PLAIN if METHODS[name].trained]):
            assert config.training.warmup_epochs == pytest.approx(config.training.epochs / 10)


def test_a_shorter_recipe_has_a_shorter_warm_up(monkeypatch):
    """EMP-SSL trains for a quarter of the epochs: 1 of 4, 2 of 6, 3 of 12, 50 of 200; a tenth of that warms up."""
    found = {preset: grid(preset, ["emp_ssl"], [0])[0].training for preset in PRESETS}
    assert {name: (one.epochs, one.warmup_epochs) for name, one in found.items()} == {
        "quick": (1, 0.1), "small": (2, 0.2), "medium": (3, 0.3), "full": (50, 5.0), "imagenet100": (50, 5.0)
    }  # fmt: skip
    monkeypatch.setitem(recipes.RECIPES, "byol", dataclasses.replace(recipes.RECIPES["byol"], epochs=0.5))
    assert grid("full", ["byol"], [0])[0].training.warmup_epochs == 10.0


def test_an_older_protocol_of_what_a_run_is_given_makes_it_stale():
    """Records of before the field `protocols` were trained with the first of textures, masks and augmentations."""
    blurred, sharp = (RunConfig("scenes", "moco_v2", augmentation=name) for name in ("default", "spatial"))
    fused = RunConfig("scenes", "moco_v2", augmentation="fusion")
    record = {"protocol": METHODS["moco_v2"].protocol}
    assert [published.is_older(record, config) for config in (blurred, sharp, fused)] == [True, False, True]
    assert not any(published.is_older({"protocols": config.protocols()}, config) for config in (blurred, sharp, fused))
    textured = RunConfig("scenes", "simclr", settings=METHODS["simclr"].settings(negatives="texture"))
    assert not published.is_older({"protocol": METHODS["simclr"].protocol}, textured)
    assert published.is_older({"protocols": textured.protocols() | {"textures": 0}}, textured)


def test_a_student_is_as_old_as_its_teacher(monkeypatch):
    student = RunConfig("scenes", "deacl", attack="pgd(2)")
    record, key = {"protocol": METHODS["deacl"].protocol}, student.key("0" * 64)
    assert not published.is_older(record, student)
    monkeypatch.setitem(METHODS, "simclr", replace(METHODS["simclr"], protocol=2))
    assert published.is_older(record, student) and student.key("0" * 64) != key
    assert not published.is_older({"protocols": student.protocols()}, student)


def computed_in(config, precision, device="CPU, 1 threads", value=50.0):
    """A made-up run with the key that it has on such a device, whose kind and precision decide it."""
    (record,), rows = made_up([config], value)
    key = f"{precision[0]}{device[0].lower()}{record['key'][2:]}"
    return [record | {"key": key, "precision": precision, "device": device}], rows.assign(run=key)


@pytest.mark.parametrize("turned", [False, True])
def test_a_page_takes_its_runs_from_the_arithmetic_that_has_most_of_them(home, turned):
    """Of runs that differ in nothing else; the order in which they were published does not matter."""
    simclr, byol = grid("small", ["simclr"]), grid("small", ["byol"])
    low = [computed_in(config, "bf16", value=1.0) for config in (*simclr, *byol)]
    full = [computed_in(config, "fp32", value=2.0) for config in (*simclr[1:], *byol)]
    gpu = [computed_in(config, "bf16", "NVIDIA H200", 3.0) for config in simclr[:2]]
    tables = [*low, *full, *gpu]
    put(home, *(tables[::-1] if turned else tables))
    assert set(page(methods=["simclr", "byol"]).rows["value"]) == {1.0}  # six runs, and five in float32
    assert set(page(methods=["byol"]).rows["value"]) == {2.0}  # as many of each: float32
    alone = page(methods=["simclr"], seeds=[0, 1])
    assert set(alone.rows["value"]) == {1.0} and {record["precision"] for record in alone.records} == {"bf16"}
    assert {published.arithmetic(record) for record in alone.records} == {("bf16", "cpu")}


def test_an_arithmetic_that_has_fewer_runs_fills_what_the_other_lacks(home):
    """A page says in its table of runs which these are."""
    simclr = grid("small", ["simclr"])
    put(home, *(computed_in(config, "fp32", value=2.0) for config in simclr[:2]), computed_in(simclr[2], "bf16"))
    found = page(methods=["simclr"])
    assert [record["precision"] for record in found.records] == ["fp32", "fp32", "bf16"]


def test_the_same_key_of_two_studies_is_each_page_s_own(home):
    """Who trained it elsewhere has other numbers: a page takes its own, and a campaign publishes one for both."""
    now = grid("small", ["simclr"])
    put(home, made_up(now, 1.0))
    put(home.parent.parent / "methods" / "small", made_up(now, 2.0))
    assert set(page(methods=["simclr"]).rows["value"]) == {1.0}
