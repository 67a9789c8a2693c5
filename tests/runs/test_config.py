import dataclasses
import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.errors import BadInput
from lib.methods import METHODS, PLAIN, byol, deacl, emp_ssl, moco_v2, simclr
from lib.models import ENCODERS
from lib.runs import RunConfig
from lib.shifts import textures
from lib.training import Attack, Training, masks
from lib.views import AUGMENTATIONS, recipes

CONFIGS = st.builds(
    RunConfig,
    dataset=st.sampled_from(["scenes", "cifar10"]),
    method=st.sampled_from(  # see below
        [name for name in PLAIN if name not in ("swav", "dino", "relicv2") and METHODS[name].trained]
    ),
    encoder=st.sampled_from([name for name in ENCODERS if name not in {method.encoder for method in METHODS.values()}]),
    seed=st.integers(0, 10**6),
    train_images=st.none() | st.integers(1, 10**6),
    least_crop=st.none() | st.floats(0.01, 1),
    augmentation=st.none() | st.sampled_from(list(AUGMENTATIONS)),
    attack=st.none()
    | st.builds(Attack, st.sampled_from(["fgsm", "pgd(5)", "free(3)"]), st.floats(0, 1), views=st.just("last")),
    training=st.builds(Training, epochs=st.integers(1, 1000), learning_rate=st.floats(0, 10)),
)


@given(CONFIGS)
def test_json_and_back(config):
    assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@given(CONFIGS, CONFIGS)
def test_equal_keys_mean_equal_configs(first, second):
    assert (first.key("data") == second.key("data")) == (first == second)


def test_key_changes_with_everything_that_changes_numbers(monkeypatch):
    config = RunConfig("scenes", "simclr")
    changed = [
        dataclasses.replace(config, seed=1),
        dataclasses.replace(config, encoder="resnet10"),
        dataclasses.replace(config, training=Training(epochs=99)),
        dataclasses.replace(config, settings=simclr.Settings(temperature=0.1)),
        dataclasses.replace(config, least_crop=0.5),
        dataclasses.replace(config, augmentation="spatial"),
        dataclasses.replace(config, attack="pgd(5)"),
        dataclasses.replace(config, attack=Attack("pgd(5)", epsilon="4/255")),
    ]
    keys = {config.key("a"), config.key("b"), *(other.key("a") for other in changed)}
    monkeypatch.setitem(METHODS, "simclr", dataclasses.replace(METHODS["simclr"], protocol=2))
    keys.add(config.key("a"))
    assert len(keys) == 11


@pytest.fixture
def float32(monkeypatch):
    """As on a processor without bfloat16, whose runs have keys in which no precision is named."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)


@pytest.mark.usefixtures("float32")
def test_an_augmentation_that_blurs_has_its_blur_s_protocol_in_the_key(monkeypatch):
    """And so has a fusion of encoders of which one looks through blur; no other run changes its key."""
    names = ("default", "appearance", "only blur", "any hue", "fusion", "spatial", "no blur", None)
    runs = [RunConfig("cifar10", "simclr", augmentation=name) for name in names]
    before = [run.key("0" * 64) for run in runs]
    monkeypatch.setitem(recipes._PART_PROTOCOLS, "blur", 3)
    changed = [run.key("0" * 64) != key for run, key in zip(runs, before, strict=True)]
    assert changed == [True] * 5 + [False] * 3
    assert before[5] == "d02fd8b7802bead5"  # as before there was such a protocol


@pytest.mark.usefixtures("float32")
def test_a_field_that_is_younger_than_a_run_leaves_its_key_alone(monkeypatch):
    """Keys of readers' runs, as they were before these fields were there."""
    monkeypatch.setitem(METHODS, "emp_ssl", dataclasses.replace(METHODS["emp_ssl"], protocol=2))  # as it was then
    old = {"dataset": "cifar10", "method": "emp_ssl", "settings": {"invariance": 200.0, "epsilon": 0.2}}
    config = RunConfig.from_dict(old)
    assert config.key("0" * 64) == "67b75438dffab6a7"
    changed = dataclasses.replace(config, settings=emp_ssl.Settings(views=4))
    assert changed.key("0" * 64) != config.key("0" * 64)
    known = {"simclr": "2de0013f100bffa2", "moco_v2": "709d1fc282dba907", "byol": "0be45a8f4b9734a2",
             "supervised": "be5a8664aa64cacd"}  # fmt: skip
    assert {name: RunConfig("cifar10", name).key("0" * 64) for name in known} == known


@pytest.mark.usefixtures("float32")
def test_a_younger_field_of_an_attack_leaves_keys_alone():
    """Keys of readers' runs under attack; of one with a queue under replays, whose numbers were others, it moves."""
    pgd, free = Attack("pgd(5)", "8/255", 0.01, mode="eval", views="last"), Attack("free(3)", "8/255", 0.01)
    known = {("simclr", pgd): "da93ad34754263ce", ("simclr", free): "37c8512c8c8b7a0e",
             ("trades", dataclasses.replace(pgd, views="all")): "acd5544e13f883ed",
             ("nnclr", Attack("pgd(2)")): "302f0970873bfc5a", ("nnclr", None): "57efbb2f1039f454"}  # fmt: skip
    assert {(name, attack): RunConfig("cifar10", name, attack=attack).key("0" * 64) for name, attack in known} == known
    assert RunConfig("cifar10", "nnclr", attack=Attack("free(2)")).key("0" * 64) != "c142b2c82ae8e53e"
    same = dataclasses.replace(pgd, partner="same")
    assert RunConfig("cifar10", "simclr", attack=same).key("0" * 64) not in known.values()
    old = RunConfig("cifar10", "simclr", attack=pgd).to_dict()
    del old["attack"]["partner"]
    assert RunConfig.from_dict(old) == RunConfig("cifar10", "simclr", attack=pgd)


def test_a_key_knows_how_masks_are_made_where_they_are_used(monkeypatch):
    runs = [
        RunConfig("scenes", method, settings=METHODS[method].settings(**chosen))
        for method, chosen in (
            ("relicv2", {}), ("relicv2", {"masks": "shuffled"}), ("supervised", {"removed": 0.1}),
            ("relicv2", {"removed": 0.0}), ("supervised", {}),
        )
    ]  # fmt: skip
    assert [run.removal is not None for run in runs] == [True, True, True, False, False]
    before = [run.key("0" * 64) for run in runs]
    assert len(set(before)) == len(runs)
    monkeypatch.setattr(masks, "PROTOCOL", masks.PROTOCOL + 1)
    changed = [run.key("0" * 64) != key for run, key in zip(runs, before, strict=True)]
    assert changed == [True, True, True, False, False]


def test_negatives_change_a_key_and_those_of_textures_have_a_protocol(monkeypatch):
    keys, runs = set(), [{}, {"negatives": "patch"}, {"negatives": "texture"}, {"negatives": "patch", "alpha": 3}]
    for settings in (*runs, {"negatives": "patch", "count": 2}):
        keys.add(RunConfig("scenes", "moco_v2", settings=moco_v2.Settings(**settings)).key("a"))
    assert len(keys) == 5
    monkeypatch.setattr(textures, "PROTOCOL", textures.PROTOCOL + 1)
    after = {RunConfig("scenes", "moco_v2", settings=moco_v2.Settings(**settings)).key("a") for settings in runs}
    assert len(after - keys) == 1


def test_an_attack_is_an_object_or_its_name():
    config = RunConfig("scenes", "simclr", attack="free(3)")
    assert config == RunConfig("scenes", "simclr", attack=Attack("free(3)"))
    assert RunConfig("scenes", "simclr", attack="none") == RunConfig("scenes", "simclr")


def test_a_student_s_teacher_is_a_run_without_an_attack():
    plan = Training(epochs=4, warmup_epochs=0.4)
    config = RunConfig("scenes", "deacl", seed=2, training=plan, attack="pgd(5)", settings=deacl.Settings(1.0, 10))
    teacher = config.teacher()
    assert teacher == RunConfig("scenes", "simclr", seed=2, training=Training(epochs=10, warmup_epochs=1.0))
    assert RunConfig("scenes", "simclr").teacher() is None


def test_a_fusion_is_made_of_runs_that_differ_in_augmentation_or_seed():
    config = RunConfig("scenes", "simclr", seed=2, augmentation="fusion")
    assert [(run.augmentation, run.seed) for run in config.members()] == [
        ("default", 2), ("spatial", 2), ("appearance", 2),
    ]  # fmt: skip
    alike = dataclasses.replace(config, augmentation="three defaults").members()
    assert len({run.key("data") for run in alike}) == 3 and alike[0] == config.members()[0]
    assert not RunConfig("scenes", "simclr").members() and not alike[0].members()


@pytest.mark.usefixtures("float32")
def test_key_is_the_same_in_every_process_and_release():
    """A key that moves orphans every run in every reader's store: move it knowingly."""
    assert RunConfig("scenes", "random", seed=3).key("0" * 64) == "085fae1220d6f648"


@pytest.mark.parametrize(("values", "words"), [
    ({"dataset": "scenes", "method": "simclear"}, "unknown method 'simclear' (did you mean 'simclr'?); allowed: "),
    ({"dataset": "scenes", "method": "simclr", "sede": 1}, "unknown parameter of a run 'sede' (did you mean 'seed'?)"),
    ({"dataset": "scenes", "method": "simclr", "training": {"epoch": 1}}, "unknown parameter in the training 'epoch'"),
    ({"dataset": "scenes", "method": "simclr", "settings": {"tau": 1}}, "unknown parameter in the settings of simclr"),
    ({"dataset": "scenes", "method": ["simclr", "byol"]}, "unknown method ['simclr', 'byol']"),
    ({"dataset": ["scenes"], "method": "simclr"}, "dataset is one name, not ['scenes']; a list of names makes a grid"),
    ({"dataset": "scenes", "method": "simclr", "encoder": "resnet101"}, "allowed: resnet10_narrow, resnet10, "),
    ({"dataset": "scenes", "method": "simclr", "seed": "0"}, "seed is a whole number, not '0'"),
    ({"dataset": "scenes", "method": "simclr", "train_images": 0}, "at least 1 or None (all), not 0"),
    ({"dataset": "scenes", "method": "simclr", "least_crop": 2.0}, "a share above 0.0 and up to 1.0, or None, not 2.0"),
    ({"dataset": "scenes", "method": "simclr", "augmentation": "dorsal"}, "allowed: default, spatial, appearance"),
    ({"dataset": "scenes", "method": "swav", "augmentation": "spatial"}, "swav needs its own large and small crops"),
    ({"dataset": "scenes", "method": "swav", "attack": "pgd(5)"}, "swav has large and small crops"),
    ({"dataset": "scenes", "method": "simclr", "attack": "pgd"}, "attack is None, 'fgsm', 'pgd(5)' or 'free(3)'"),
    ({"dataset": "scenes", "method": "simclr", "attack": 5}, "attack is None, a name such as 'pgd(5)' or a lib.trai"),
    ({"dataset": "scenes", "method": "simclr", "attack": {"nam": 1}}, "unknown parameter in the attack 'nam'"),
    ({"dataset": "scenes", "method": "acl"}, "acl is trained under an attack: give one, such as 'pgd(5)'"),
    ({"dataset": "scenes", "method": "trades", "attack": "free(3)"}, "use 'pgd(k)' or 'fgsm', not free"),
    ({"dataset": "scenes", "method": "moco_v2", "attack": "pgd(5)"},
     "moco_v2 has no gradient through some of its views: attack its views 'last', the last that has one"),
    ({"dataset": "scenes", "method": "trades", "attack": {"name": "fgsm", "start": "zero"}}, "use the start 'random'"),
    ({"dataset": "scenes", "method": "dcl", "settings": {"negatives": "patch"}},
     "dcl takes no negatives: its negatives are None; use simclr or moco_v2 or byol"),
    ({"dataset": "scenes", "method": "simclr", "settings": {"negatives": "patch"}, "attack": "fgsm"},
     "negatives are for training without an attack: one of the two is None"),
    ({"dataset": "scenes", "method": "byol", "settings": {"negatives": "noise"}}, "allowed: patch, texture"),
    ({"dataset": "scenes", "method": "random", "attack": "fgsm"}, "there is nothing to attack: its attack is None"),
])  # fmt: skip
def test_bad_config_is_one_sentence(values, words):
    with pytest.raises(BadInput) as error:
        RunConfig.from_dict(values)
    assert words in str(error.value)


def test_settings_of_another_method_are_refused():
    with pytest.raises(BadInput, match="the settings of simclr are"):
        RunConfig("scenes", "simclr", settings=byol.Settings())


def test_one_key_is_one_set_of_numbers_on_every_device_and_in_every_precision(monkeypatch):
    """Of a config that leaves its precision to the device; named, it is in the key already."""
    auto = RunConfig("scenes", "random", seed=3)
    plain = dataclasses.replace(auto, training=Training(precision="fp32"))
    parts = {"avx512_bf16": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: parts)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: parts["avx512_bf16"])
    keys = [run.key("0" * 64, device) for run in (auto, plain) for device in ("cpu", "cuda", torch.device("cuda", 1))]
    assert keys[0] == auto.key("0" * 64) == "085fae1220d6f648"
    assert keys[1] == keys[2] and keys[4] == keys[5]
    parts["avx512_bf16"] = True
    rounded = [run.key("0" * 64, device) for run in (auto, plain) for device in ("cpu", "cuda")]
    assert rounded[2:] == keys[3:5]
    assert len({*keys, *rounded}) == 6
