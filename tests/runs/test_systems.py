"""Systems: what each is, what it may cost, and the runs that a preset makes of them."""

import dataclasses
import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shorthand import unfolded

from lib import paths
from lib.chapters import PLANS
from lib.chapters.negatives.systems import QUEUE
from lib.chapters.negatives.systems import SYSTEMS as NEGATIVES
from lib.chapters.relicv2.plan import CROPPED, SWEPT
from lib.chapters.relicv2.plan import IN_SHORT as RELICV2_IN_SHORT
from lib.chapters.relicv2.plan import SYSTEMS as RELICV2
from lib.chapters.tradeoff.plan import SYSTEMS as ATTACKED
from lib.errors import BadInput
from lib.figures import scope, standing_words
from lib.methods import METHODS, views_of
from lib.runs import PRESETS, Study, publish, published, store, study
from lib.runs.campaign import ROLES
from lib.runs.plan import all_systems, configs_of, configs_of_systems, datasets_of, measures_of, systems_of
from lib.runs.systems import epochs_of, settings_of
from lib.training import needs_attack, passes
from lib.views import cost

NAME = "accuracy_robustness_tradeoff"
PLAN, RELICV2_PLAN = PLANS[NAME], PLANS["relicv2_ood"]
IN_CLASS = ("random", "simclr", "simclr free", "cf-amc-ssl", "supervised free")
# System: epochs with 8 views and 48 passes an image, and with 16 views and 480. By hand: an epoch costs a pass a view,
# three times as many in free(3) and six times under pgd(5); ACL 14, DeACL and TRADES, which see both, 7. Those of other
# systems are told in the tests of their methods.
EPOCHS = {
    "random": (1, 1),
    "simclr": (24, 240),
    "simclr pgd": (4, 40),
    "simclr free": (8, 80),
    "emp crops": (6, 30),
    "emp patches pgd": (1, 5),
    "emp crops pgd": (1, 5),
    "emp patches free": (2, 10),
    "cf-amc-ssl": (2, 10),
    "acl": (3, 34),
    "deacl": (7, 69),
    "supervised": (48, 480),
    "supervised pgd": (8, 80),
    "supervised free": (16, 160),
    "supervised fgsm": (24, 240),
    "trades": (7, 69),
    "emp crops pgd batch": (6, 30),
    "emp crops pgd summed": (6, 30),
    "cf-amc-ssl cyclic": (2, 10),
    "simclr pgd same view": (24, 240),
    "cf-amc-ssl 2 views": (8, 80),
    "cf-amc-ssl 4 views": (4, 40),
    "cf-amc-ssl 16 views": (1, 10),
    "cf-amc-ssl 32 views": (1, 5),
    "emp patches free 2 views": (8, 80),
    "emp patches free 4 views": (4, 40),
    "emp patches free 16 views": (1, 10),
    "emp patches free 32 views": (1, 5),
    "emp crops pgd long": (6, 30),
    "simclr pgd long": (24, 240),
}

TAUGHT = [name for name, system in ATTACKED.items() if hasattr(METHODS[system.method].build, "teacher")]


def all_configs(preset, **options):
    return configs_of_systems(PLAN, preset, tuple(ATTACKED), **options)


def twin_of(name):
    """The system of as many views as the preset says."""
    return name.rsplit(" ", 2)[0]


def own_passes(name, views):
    """What an epoch costs an image."""
    system = ATTACKED[name]
    method = METHODS[system.method]
    count = (system.crops or views) if system.method == "emp_ssl" else len(views_of(system.method, method.settings()))
    return passes(count, system.attack, needs_attack(method.build))


def test_the_table_is_one_of_methods_attacks_and_roles():
    assert len({system.title for system in ATTACKED.values()}) == len(ATTACKED)
    assert all(system.source and system.method in METHODS for system in ATTACKED.values())
    assert {system.role for system in ATTACKED.values()} <= set(ROLES)
    for name, system in ATTACKED.items():
        assert system.budget == 1 or system.role in ("updates", "quirk"), name
        assert (system.crops is not None) == (system.role == "sweep"), name
        if system.attack and system.attack.kind != "free":  # all but a quirk see batch norm as the encoder is used
            quirk = system.attack.mode == "batch" or system.attack.partner == "same"
            assert quirk == (system.role == "quirk"), name
        assert not system.attack or not system.attack.quirk or system.role == "quirk", name
        assert (system.settings.get("crop") in ("crop", "patch")) == (system.method == "emp_ssl"), name
        assert system.attack is None or system.attack.epsilon == 8 / 255, name
    on_simclr = [one for one in ATTACKED.values() if "simclr" in (one.method, one.settings.get("on")) and one.attack]
    assert {system.attack.views for system in on_simclr} == {"last"}


def test_a_variant_differs_from_its_system_by_what_its_name_says():
    def changes(variant, name):
        first, second = ATTACKED[variant], ATTACKED[name]
        return {
            field.name
            for field in dataclasses.fields(first)
            if getattr(first, field.name) != getattr(second, field.name)
        } - {"title", "source", "role"}

    for name in ATTACKED:
        if name.endswith(" views"):
            assert changes(name, twin_of(name)) == {"crops"}
        if name.endswith(" long"):
            assert changes(name, name.removesuffix(" long")) == {"budget"}
    for quirk, name, field in (
        ("emp crops pgd batch", "emp crops pgd long", "mode"),
        ("emp crops pgd summed", "emp crops pgd batch", "quirk"),
        ("cf-amc-ssl cyclic", "cf-amc-ssl", "quirk"),
    ):
        assert changes(quirk, name) == {"attack"}
        own = {field: getattr(ATTACKED[name].attack, field)}
        assert dataclasses.replace(ATTACKED[quirk].attack, **own) == ATTACKED[name].attack
    assert changes("simclr pgd same view", "simclr pgd long") == {"attack"}
    own = {"partner": "other", "start": "random"}
    assert dataclasses.replace(ATTACKED["simclr pgd same view"].attack, **own) == ATTACKED["simclr pgd long"].attack
    assert changes("cf-amc-ssl", "emp patches free") == {"settings"}
    assert changes("cf-amc-ssl", "emp crops pgd") == {"attack"}


@pytest.mark.parametrize("name", EPOCHS)
def test_epochs_by_hand(name):
    assert (epochs_of(ATTACKED[name], 8, 48), epochs_of(ATTACKED[name], 16, 480)) == EPOCHS[name]


@given(st.sampled_from([name for name in ATTACKED if name != "random"]), st.integers(2, 64), st.integers(1, 5_000))
def test_a_system_costs_its_budget_within_half_an_epoch(name, views, budget):
    epochs, each = epochs_of(ATTACKED[name], views, budget), own_passes(name, views)
    assert type(epochs) is int and epochs >= 1
    if epochs > 1:
        assert abs(epochs * each - budget * ATTACKED[name].budget) <= each / 2
    else:
        assert each > budget * ATTACKED[name].budget / 1.5


@pytest.mark.parametrize("preset", ["small", "full"])
def test_equal_updates_are_as_many_as_those_of_free_training(preset):
    """Steps of the optimiser a batch; the other side of it, six times the passes."""
    configs = all_configs(preset, seeds=[0])

    def updates(name):
        config = configs[name, 0]
        return config.training.epochs * (config.attack.replays if config.attack else 1)

    assert updates("emp crops pgd long") == updates("cf-amc-ssl")
    assert updates("simclr pgd long") == updates("simclr free")
    assert updates("cf-amc-ssl") == 6 * updates("emp crops pgd")


def test_settings_by_hand():
    def views(name):
        settings = settings_of(ATTACKED[name], 8, 48)
        return settings.views, settings.crop

    assert views("cf-amc-ssl") == (8, "crop") and views("emp patches pgd") == (8, "patch")
    assert views("cf-amc-ssl 32 views") == (32, "crop") and views("emp patches free 2 views") == (2, "patch")
    assert TAUGHT and {settings_of(ATTACKED[name], 8, 48).teacher_epochs for name in TAUGHT} == {EPOCHS["simclr"][0]}
    assert settings_of(ATTACKED["simclr pgd"], 8, 48) == METHODS["simclr"].settings()


@pytest.mark.parametrize("call", [
    lambda: PLAN.title("cf-amc"),
    lambda: configs_of_systems(PLAN, "small", ["cf-amc"]),
    lambda: measures_of(PLAN, "small", "cf-amc"),
    lambda: Study(PLAN, preset="small", systems=["cf-amc"]),
])  # fmt: skip
def test_an_unknown_system_is_one_sentence(call):
    with pytest.raises(BadInput) as error:
        call()
    expected = "unknown system 'cf-amc' (did you mean 'cf-amc-ssl'?); allowed: random, simclr, simclr pgd,"
    assert str(error.value).startswith(expected)


def test_a_run_of_every_system_by_hand():
    """The small preset: a narrow encoder, 5,000 images, batches of 64; the rate scales with the batch."""
    configs = all_configs("small")
    assert set(configs) == {(name, seed) for name in ATTACKED for seed in (0, 1, 2)}
    for (name, seed), config in configs.items():
        assert (config.dataset, config.encoder, config.train_images) == ("cifar10", "resnet10_narrow", 5_000)
        assert (config.seed, config.method, config.attack) == (seed, ATTACKED[name].method, ATTACKED[name].attack)
        assert config.training.batch_size == 64 and config.training.epochs == epochs_of(ATTACKED[name], 8, 48)
        assert config.training.warmup_epochs == config.training.epochs / 10
        assert config.settings == settings_of(ATTACKED[name], 8, 48)
    lars = configs["cf-amc-ssl", 0].training
    assert (lars.optimiser, lars.learning_rate, lars.weight_decay) == ("lars", 6.0 * 64 / 256, 1e-4)
    sgd = configs["simclr free", 0].training
    assert (sgd.optimiser, sgd.learning_rate, sgd.weight_decay) == ("sgd", 0.2 * 64 / 256, 5e-4)


def test_seeds_and_data_set_can_be_others():
    configs = configs_of_systems(PLAN, "full", ["simclr", "random"], seeds=[7], dataset="mine")
    assert list(configs) == [("simclr", 7), ("random", 7)]
    config = configs["simclr", 7]
    assert (config.seed, config.dataset, config.encoder, config.train_images) == (7, "mine", "resnet18", None)
    assert {config.dataset for config in all_configs("quick", seeds=[0]).values()} == {"scenes"}


@pytest.mark.parametrize(("preset", "twins"), [
    ("quick", {"cf-amc-ssl 4 views", "emp patches free 4 views"}),
    ("small", set()),
    ("full", {"cf-amc-ssl 16 views", "emp patches free 16 views"}),
])  # fmt: skip
def test_what_a_preset_makes_equal_is_computed_once(preset, twins):
    configs = all_configs(preset)
    assert set(ATTACKED) - {name for name, _ in configs} == twins
    keys = [config.key("0" * 64) for config in configs.values()]
    assert len(set(keys)) == len(keys)
    for twin in twins:
        alone = configs_of_systems(PLAN, preset, [twin], seeds=[0])
        assert alone == {(twin, 0): configs[twin_of(twin), 0]}
    assert list(configs_of_systems(PLAN, preset, ["simclr", "simclr"], seeds=[0])) == [("simclr", 0)]


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", TAUGHT)
def test_a_teacher_is_the_study_s_own_simclr(preset, name):
    configs = all_configs(preset)
    for seed in (0, 1, 2):
        teacher = configs[name, seed].teacher()
        assert teacher == configs["simclr", seed]
        assert teacher.key("0" * 64) == configs["simclr", seed].key("0" * 64) != configs[name, seed].key("0" * 64)


def test_systems_of_a_study():
    assert systems_of(PLAN, "quick") == IN_CLASS
    assert systems_of(PLAN, "small") == systems_of(PLAN, "full") == tuple(ATTACKED)
    assert systems_of(PLANS["non_semantic_negatives"], "quick") == ("random", "moco", "moco patch", "moco texture")
    assert systems_of(PLANS["non_semantic_negatives"], "small") == tuple(NEGATIVES)
    for name, plan in PLANS.items():
        if name not in (NAME, "non_semantic_negatives", "relicv2_ood"):
            assert systems_of(plan, "quick") == systems_of(plan, "full") == () and not plan.systems
    methods = {system.method for system in ATTACKED.values()}
    assert set(PLAN.methods) == methods
    assert {ATTACKED[name].method for name in IN_CLASS} == set(PLAN.in_class)


def test_a_study_of_two_data_sets():
    assert datasets_of(RELICV2_PLAN, "small") == datasets_of(RELICV2_PLAN, "full") == ("cifar10", "scenes")
    assert datasets_of(RELICV2_PLAN, "quick") == datasets_of(RELICV2_PLAN, "small", "scenes") == ("scenes",)
    assert datasets_of(PLAN, "small") == ("cifar10",)
    assert systems_of(RELICV2_PLAN, "small", "cifar10") == RELICV2_IN_SHORT
    assert systems_of(RELICV2_PLAN, "small", "scenes") == tuple(RELICV2)
    assert set(all_systems(RELICV2_PLAN)) == set(RELICV2)
    assert not [name for name in RELICV2_IN_SHORT if RELICV2[name].settings.get("masks") == "exact"]  # known of scenes
    homes = [record.dataset for record in configs_of(RELICV2_PLAN, "small", RELICV2_PLAN.methods, [0])]
    assert homes == ["cifar10"] * len(RELICV2_IN_SHORT) + ["scenes"] * len(RELICV2)
    chosen = Study(RELICV2_PLAN, "small", systems=["relicv2", "relicv2 exact"], seeds=[0])
    assert [(one.system, one.config.dataset) for one in chosen._wanted("small")] == [
        ("relicv2", "cifar10"), ("relicv2", "scenes"), ("relicv2 exact", "scenes")
    ]  # fmt: skip
    with pytest.raises(BadInput, match="unknown system 'relicv3'.*allowed: random, supervised, supervised same crops"):
        Study(RELICV2_PLAN, "small", systems=["relicv3"])


def test_systems_of_relicv2_by_hand():
    """Alike in passes, and each ablation and sweep differs from the whole method by what its name says."""
    configs = configs_of_systems(RELICV2_PLAN, "small", tuple(RELICV2), seeds=[0], dataset="scenes")
    whole = configs["relicv2", 0]
    assert len({config.key("0" * 64) for config in configs.values()}) == len(RELICV2)
    for (name, _), config in configs.items():
        views = views_of(config.method, config.settings)
        spent = config.training.epochs * sum((view.size / 32) ** 2 for view in views)
        assert name == "random" or abs(spent - 32) <= cost(views) / 2
        assert (config.encoder, config.train_images) == ("resnet10_narrow", 5_000)
        if config.method == "relicv2":
            assert config.training == dataclasses.replace(
                whole.training, epochs=config.training.epochs, warmup_epochs=config.training.warmup_epochs
            )
    alike = configs["supervised same crops", 0]  # only the labels and the loss differ
    assert views_of("supervised", alike.settings) == views_of("relicv2", whole.settings)
    assert (alike.settings.removed, alike.settings.masks) == (whole.settings.removed, whole.settings.masks)
    assert alike.training.epochs == whole.training.epochs
    for name, changed in {
        "relicv2 no invariance": {"invariance": 0.0}, "relicv2 no saliency": {"removed": 0.0},
        "relicv2 shuffled": {"masks": "shuffled"}, "relicv2 exact": {"masks": "exact"},
        "relicv2 removed 0.6 exact": {"removed": 0.6, "masks": "exact"}, "relicv2 unstopped": {"stopped": False},
        "relicv2 transpose unstopped": {"against": "transpose", "stopped": False},
        **{name: {what: value} for what, values in SWEPT.items() for name, value in values.items()},
        **{name: {"large": large, "small": small} for name, (large, small) in CROPPED.items()},
    }.items():  # fmt: skip
        assert configs[name, 0].settings == dataclasses.replace(whole.settings, **changed), name


def test_what_is_measured_of_a_part_of_relicv2():
    def names(system, preset="small"):
        return [measure.identity.split("(")[0] for measure in measures_of(RELICV2_PLAN, preset, system)]

    assert names("relicv2 size 12") == ["accuracy", "out_of_distribution"]
    assert names("relicv2 shuffled") == [*names("relicv2 size 12"), "background_reliance"]
    assert names("relicv2") == [*names("relicv2 shuffled"), "segmentation", "out_of_domain"]
    assert names("relicv2", "quick") == [*names("relicv2 shuffled"), "segmentation"]


def measured(preset, system=None):
    return [measure.identity.split("(")[0] for measure in measures_of(PLAN, preset, system)]


def test_what_is_measured_by_role():
    everything = ["robust_accuracy", "auto_attack_accuracy", "auto_attack_curve", "adversarial_probe",
                  "aggregation_of_crops", "aggregation_of_patches", "corruption_error",
                  "synthetic_invariance"]  # fmt: skip
    without = [name for name in everything if not name.startswith("aggregation")]
    attacked = everything[:2]
    for name, system in ATTACKED.items():
        expected = {
            "sweep": attacked[:1],
            "updates": attacked,
            "quirk": attacked,
            "main": everything if system.method == "emp_ssl" else without,
            "ablation": without,
            "yardstick": without,
        }[system.role]
        assert measured("small", name) == measured("full", name) == expected, name
    assert measured("small") == everything
    for name in IN_CLASS:
        assert measured("quick", name) == ["robust_accuracy", "synthetic_invariance"]


def test_sizes_of_what_is_measured_by_hand():
    def identities(preset):
        return [measure.identity.split("#")[0] for measure in measures_of(PLAN, preset)]

    assert identities("quick") == [
        "robust_accuracy(images=60, epsilons=2 8, steps=10, restarts=1)",
        "synthetic_invariance(images=60, parameters=4)",
    ]
    small = identities("small")
    assert small[:2] == [
        "robust_accuracy(images=500, epsilons=1 2 4 8 16 32, steps=20, restarts=2)",
        "auto_attack_accuracy(images=200, epsilon=8)",
    ]
    assert "corruption_error(images=500)" in small  # half of the preset's 1,000
    full = identities("full")
    assert full[0].startswith("robust_accuracy(images=1000,") and "corruption_error(images=all)" in full
    for preset in PRESETS:
        names = [identity.split("(")[0] for identity in identities(preset)]
        assert len(set(names)) == len(names)  # or they could not be published


def test_other_presets_are_as_they_were():
    """What this study makes of a preset is its own: the others keep their encoder and their images."""
    assert PLANS["methods"].scale(PRESETS["small"]) == PRESETS["small"]
    assert PLAN.scale(PRESETS["quick"]) == PRESETS["quick"]
    assert PLAN.scale(PRESETS["full"]) == PRESETS["full"]
    assert (PRESETS["small"].encoder, PRESETS["small"].train_images) == ("resnet10", 10_000)


# A study of systems


@pytest.mark.parametrize("given", [["simclr", "cf-amc-ssl"], ("simclr", "cf-amc-ssl"), '["simclr", "cf-amc-ssl"]'])
def test_systems_as_lists_and_strings(given):
    assert Study(PLAN, preset="quick", systems=given).systems == ("simclr", "cf-amc-ssl")


def test_the_study_s_own_systems_and_those_of_some_methods():
    assert Study(PLAN, preset="quick").systems == IN_CLASS
    assert Study(PLAN, preset="small").systems == tuple(ATTACKED)
    assert Study(PLAN, preset="quick", systems=["acl"]).systems == ("acl",)  # though no method of the class's
    assert Study(PLAN, preset="small", methods=["acl", "trades"]).systems == ("acl", "trades")
    assert Study(PLAN, preset="small", methods=["simclr"], systems=["acl", "simclr pgd"]).systems == ("simclr pgd",)
    assert Study(PLANS["methods"], preset="quick").systems == ()


@pytest.mark.parametrize(("parameters", "words"), [
    ({"systems": "simclr"}, 'systems is a list such as ["random", "simclr", "simclr pgd"], or such a list as a string'),
    ({"systems": "[simclr]"}, "systems is a list such as"),
    ({"systems": []}, "systems is a list such as"),
    ({"systems": {"simclr": 1}}, "systems is a list such as"),
    ({"systems": ["simcrl"]}, "unknown system 'simcrl' (did you mean 'simclr'?); allowed: random, simclr,"),
    ({"systems": [1]}, "unknown system 1; allowed: random, simclr,"),
    ({"systems": ["acl"], "methods": ["simclr", "trades"]},
     "no system is left: none of acl is trained by simclr or trades; all systems are: random, simclr, simclr pgd,"),
    ({"methods": ["byol"]}, "no system is left: none of random, simclr, simclr free, cf-amc-ssl, supervised free is "),
])  # fmt: skip
def test_bad_systems_are_one_sentence(parameters, words):
    with pytest.raises(BadInput) as error:
        Study(PLAN, preset="quick", **parameters)
    assert str(error.value).startswith(words) and "\n" not in str(error.value)


def test_a_study_of_methods_takes_no_systems():
    with pytest.raises(BadInput) as error:
        Study(PLANS["severity_degradation"], preset="quick", systems=["simclr"])
    assert str(error.value) == "severity_degradation compares methods, not systems: its systems are None"


def test_a_copy_of_a_study_is_one():
    for asked in (Study(PLAN, preset="quick", systems=["acl"]), Study(PLANS["methods"], preset="quick")):
        assert dataclasses.replace(asked) == asked
        assert dataclasses.replace(asked, seeds=[1]).systems == asked.systems


def test_systems_come_from_the_notebook_s_names():
    namespace = {"preset": "quick", "systems": '["simclr"]', "seeds": None, "In": [], "__name__": "__main__"}
    assert Study.from_notebook(PLAN, namespace) == Study(PLAN, preset="quick", systems=["simclr"])


@pytest.fixture
def results(tmp_path, monkeypatch):
    """An empty folder of published rows."""
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    published.forget()
    yield tmp_path / "results"
    published.forget()


def made_up(names, preset="quick", seeds=(0, 1)):
    """Records and rows of systems: of each measure one row, whose value says which system it is."""
    records, rows = [], []
    for (name, _), config in configs_of_systems(PLAN, preset, names, seeds).items():
        data = {"source": "made up", "checksum": "0" * 64, "train_images": 5}
        key = config.key("0" * 64)
        record = {"key": key, "config": json.loads(json.dumps(config.to_dict())), "data": data, "seconds": 1.0,
                  "protocol": METHODS[config.method].protocol, "images_per_second": 1.0, "peak_memory_mib": 1,
                  "device": "CPU", "precision": "fp32", "finished": "2026-01-01", "versions": {"torch": "2"},
                  "commit": "0", "updates": 10, "passes": 20}  # fmt: skip
        if config.attack:
            record["monitored"] = [{"epoch": 1, "seconds": 1.0, "accuracy": 50.0}]
        records.append(record)
        value = float(list(ATTACKED).index(name))
        cell = ("none", "", float("nan"), "", "accuracy")
        rows += [(key, one.identity, *cell, value, 0.5, 9) for one in measures_of(PLAN, preset, name)]
    return records, pd.DataFrame(rows, columns=list(store.PUBLISHED_COLUMNS))


def test_published_rows_are_told_apart_by_system(results, monkeypatch):
    monkeypatch.setattr(study.engine, "compute", None)
    store.write_published(results / NAME / "quick", *made_up(IN_CLASS))
    for asked in (Study(PLAN, seeds=[0, 1]), Study(PLAN, preset="quick", seeds=[0, 1])):
        found = asked.results()
        assert found.preset == "quick" and not found.stale and len(found.records) == 10
        assert tuple(found.rows["system"].unique()) == IN_CLASS  # in the order of the table
        assert (found.rows["value"] == found.rows["system"].map(list(ATTACKED).index)).all()
        assert (found.rows["method"] == found.rows["system"].map(lambda name: ATTACKED[name].method)).all()
    assert all(record["monitored"] for record in found.records if record["config"]["attack"])
    told = found.provenance()
    assert list(told["system"]) == [ATTACKED[record["system"]].title for record in found.records]
    assert set(told["method"]) == {"Random weights", "SimCLR", "EMP-SSL", "Supervised"} and "augmentation" not in told
    two = Study(PLAN, systems=["cf-amc-ssl", "simclr"], seeds=[1]).results()
    assert list(two.rows["system"].unique()) == ["simclr", "cf-amc-ssl"] and set(two.rows["seed"]) == {1}


def test_of_the_study_s_own_systems_those_are_shown_that_are_published_with_all_seeds(results):
    records, rows = made_up(IN_CLASS, seeds=(0, 1, 2))
    of_simclr = configs_of_systems(PLAN, "quick", ["simclr"], [2])["simclr", 2].key("0" * 64)
    kept = [record for record in records if record["key"] != of_simclr]
    store.write_published(results / NAME / "quick", kept, rows[rows["run"] != of_simclr])
    found = Study(PLAN).results()
    assert tuple(found.rows["system"].unique()) == tuple(name for name in IN_CLASS if name != "simclr")
    assert len(found.records) == 4 * 3 and not found.stale
    left_out = [(one.system, one.config.seed, one.published) for one in found.standings if one.left_out]
    assert left_out == [("simclr", 0, True), ("simclr", 1, True), ("simclr", 2, False)]
    assert standing_words(found) == (
        "1 of 15 runs is not published and left out (and with it 2 runs of other seeds): SimCLR."
    )
    assert tuple(Study(PLAN, seeds=[0, 1]).results().rows["system"].unique()) == IN_CLASS
    assert Study(PLAN, preset="quick").systems == IN_CLASS  # what is missing is computed
    for parameters in ({"seeds": [7]}, {"dataset": "cifar10"}):
        with pytest.raises(BadInput) as error:
            Study(PLAN, **parameters).results()
        assert str(error.value) == (
            f"none of the {5 if 'seeds' in parameters else 15} runs of this grid is published with all its seeds; name "
            f"a preset ({', '.join(PRESETS)}) to compute what is missing"
        )


def test_further_seeds_are_shown_where_they_are_and_not_waited_for(results, monkeypatch):
    plan = dataclasses.replace(PLAN, further={("quick", "scenes", "simclr"): 5, ("small", "cifar10", "random"): 9})
    wanted = Study(plan, "quick").wanted()
    assert [(one.system, one.config.seed) for one in wanted if one.further] == [("simclr", 3), ("simclr", 4)]
    (records, rows), (more, their_rows) = made_up(IN_CLASS, seeds=(0, 1, 2)), made_up(["simclr"], seeds=[3])
    both = pd.concat([rows, their_rows], ignore_index=True)
    store.write_published(results / NAME / "quick", records + more, both)
    found = Study(plan).results()
    assert found.rows.groupby("system")["seed"].nunique().to_dict() == {
        name: 3 + (name == "simclr") for name in IN_CLASS
    }
    assert not any(one.left_out for one in found.standings) and "none is left out" in standing_words(found)
    assert scope(found) == "Preset quick: scenes, 3–4 seeds."
    monkeypatch.setattr(study.engine, "compute", None)  # nobody who trains a preset waits for them either
    assert set(Study(plan, preset="quick").results().rows["seed"]) == {0, 1, 2}
    assert set(Study(plan, seeds=[0, 1]).results().rows["seed"]) == {0, 1}
    first = configs_of_systems(PLAN, "quick", ["simclr"], [0])["simclr", 0].key("0" * 64)
    store.write_published(
        results / NAME / "quick", [own for own in records + more if own["key"] != first], both[both["run"] != first]
    )
    published.forget()
    assert "simclr" not in set(Study(plan).results().rows["system"])  # with a seed of the preset its further ones go


def test_a_system_that_is_not_published_is_left_out_by_name(results):
    store.write_published(results / NAME / "quick", *made_up(IN_CLASS))
    found = Study(PLAN, systems=["simclr", "acl"], seeds=[0, 1]).results()
    assert {record["system"] for record in found.records} == {"simclr"}
    assert standing_words(found) == "2 of 4 runs are not published and left out: ACL."


def test_what_is_missing_is_computed_with_the_measures_of_its_system(results, monkeypatch):
    asked_of = {}

    def compute(configs, measures, time_limit=None, engine=None):
        names = {config.key("0" * 64): name for (name, _), config in all_configs("small").items()}
        for config in configs:
            asked_of[names[config.key("0" * 64)]] = [one.identity.split("(")[0] for one in measures(config)]
        return made_up(asked_of, "small", [0])

    monkeypatch.setattr(study.engine, "compute", compute)
    store.write_published(results / NAME / "small", *made_up(["simclr"], "small"))
    systems = ["simclr", "acl", "cf-amc-ssl", "cf-amc-ssl 2 views"]
    found = Study(PLAN, preset="small", systems=systems, seeds=[0]).results()
    assert {name: len(kinds) for name, kinds in asked_of.items()} == {
        "acl": 6, "cf-amc-ssl": 8, "cf-amc-ssl 2 views": 1
    }  # fmt: skip
    assert asked_of["cf-amc-ssl 2 views"] == ["robust_accuracy"]
    assert list(found.rows["system"].unique()) == ["simclr", "cf-amc-ssl", "acl", "cf-amc-ssl 2 views"]
    assert {record["system"] for record in found.records} == set(systems)


def test_what_is_published_names_no_system_and_is_found_again(results):
    """A run is its config: the same one may be another system of another preset."""
    store.write_published(results / NAME / "quick", *made_up(IN_CLASS))
    found = Study(PLAN, seeds=[0, 1]).results()
    publish(PLAN, dataclasses.replace(found, preset="quick"))
    published.forget()
    records, rows = store.read_published(results / NAME / "quick")
    assert not any("system" in record for record in records) and len(rows) == len(found.rows)
    again = Study(PLAN, seeds=[0, 1]).results()
    pd.testing.assert_frame_equal(again.rows, found.rows)


def test_rows_that_no_page_reads_are_not_published():
    cells = [
        ("none", 0, "accuracy", False), ("pgd", 8, "accuracy of the head", False), ("fog", 0, "error", False),
        ("fog", 3, "error", True), ("all", 0, "relative error", True), ("pgd", 8, "similarity", False),
        ("hue", 0, "similarity", True), ("none", 0, "similarity chance", False),
        ("hue", 0, "whitened similarity", False),
        ("hue", 0.5, "whitened similarity along", True), ("hue", 0, "sensitivity", True),
    ]  # fmt: skip
    rows = unfolded(pd.DataFrame(cells, columns=["shift", "of", "metric", "unread"]))
    assert PLANS["accuracy_robustness_tradeoff"].unread(rows).tolist() == rows["unread"].tolist()


def test_systems_of_negatives_by_hand():
    """One look of an image a method, each alone changed; what chapters share is one run."""
    configs = configs_of_systems(PLANS["non_semantic_negatives"], "small", tuple(NEGATIVES), seeds=[0])
    assert len({config.key("0" * 64) for config in configs.values()}) == len(NEGATIVES)
    every = len(ATTACKED) + len(NEGATIVES) - 3 + len(RELICV2) - 3  # what chapters share is one system
    systems = [(name, system.title) for plan in PLANS.values() for name, system in plan.systems.items()]
    assert len(set(systems)) == len(dict(systems)) == len({title for _, title in systems}) == every
    for name in set(ATTACKED) & set(NEGATIVES):
        assert configs[name, 0] == all_configs("small", seeds=[0])[name, 0]
    for (name, _), config in configs.items():
        system, words = NEGATIVES[name], name.split()
        assert (config.encoder, config.train_images, config.attack) == ("resnet10_narrow", 5_000, None)
        assert config.training.epochs == {"random": 1, "supervised": 48}.get(name, 24)
        assert config.negatives == next((kind for kind in ("patch", "texture") if kind in words), None)
        if system.role == "ablation":  # what stands on another method has its name first
            assert config.settings.on.split("_")[0] == words[0] != words[-1]
        if "moco_v2" in (system.method, system.settings.get("on")):
            assert config.settings.queue == (int(words[-1]) if "queue" in words else QUEUE)
        if config.negatives:
            assert config.settings.alpha == (float(words[-1]) if "alpha" in words else {"byol": 0.1}.get(words[0], 2.0))
            assert config.settings.count == 1
        assert (system.role == "sweep") == bool({"alpha", "queue"} & set(words))
