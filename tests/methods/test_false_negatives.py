"""Contrast without likely false negatives: what goes, by whom, from when on, and what stays the plain method."""

import copy
import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import Points

from lib.chapters.negatives.systems import SYSTEMS as ON_MOCO
from lib.chapters.tradeoff.plan import SYSTEMS as ON_SIMCLR
from lib.errors import BadInput
from lib.methods import METHODS, build_method
from lib.methods.false_negatives import (
    DROPPED,
    Settings,
    between_images,
    highest,
    info_nce_without,
    nt_xent_without,
)
from lib.methods.moco_v2 import info_nce
from lib.methods.simclr import nt_xent
from lib.runs import RunConfig
from lib.runs.plan import config_of
from lib.runs.presets import PRESETS
from lib.training import Attack, Training, train
from lib.training.attack import Adversary

TEMPERATURE, COUNT = 0.3, 12
SEEDS = st.integers(0, 10_000)
EXAMPLES = settings(max_examples=20, deadline=None)
KINDS = ("simclr", "moco_v2")
LABELS = torch.arange(COUNT) % 3
HEADS = {"hidden": 16, "projection": 8}
MOCO = {"queue": 32, "momentum": 0.9}


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def unit(*shape, seed=0):
    return torch.nn.functional.normalize(normal(*shape, seed=seed), dim=1)


def cosine(a, b):
    return (a @ b) / (a.norm() * b.norm())


def some(rows, columns, seed):
    return torch.rand(rows, columns, generator=torch.Generator().manual_seed(seed)) < 0.4


def fresh(on, dropped="likely", seed=0, **changes):
    torch.manual_seed(seed)
    chosen = Settings(on=on, dropped=dropped, **HEADS | (MOCO if on == "moco_v2" else {}) | changes)
    return build_method("false_negatives", Points(), chosen, 10).train()


def plain(on, seed=0):
    torch.manual_seed(seed)
    kind = METHODS[on].settings
    return build_method(on, Points(), kind(**HEADS | (MOCO if on == "moco_v2" else {})), 10).train()


def views(seed=0):
    return list(torch.rand(2, COUNT, 3, 32, 32, generator=torch.Generator().manual_seed(seed)))


def given_to(method, seed=0):
    return (views(seed), LABELS) if method.uses_labels else (views(seed),)


# Losses


@EXAMPLES
@given(SEEDS)
def test_simclr_s_loss_and_gradient_are_the_formula_term_by_term(seed):
    first, second, gone = normal(5, 4, seed=seed), normal(5, 4, seed=seed + 1), some(5, 5, seed)
    z = torch.cat((first, second)).requires_grad_()
    terms = []
    for i in range(10):
        others = [k for k in range(10) if k != i and (k % 5 == i % 5 or not gone[i % 5, k % 5])]
        total = sum((cosine(z[i], z[k]) / TEMPERATURE).exp() for k in others)
        terms.append(total.log() - cosine(z[i], z[(i + 5) % 10]) / TEMPERATURE)
    expected = sum(terms) / 10
    (slope,) = torch.autograd.grad(expected, z)
    ours = z.detach().clone().requires_grad_()
    found = nt_xent_without(*ours.chunk(2), TEMPERATURE, gone)
    assert found.item() == pytest.approx(expected.item(), rel=1e-9)
    assert torch.allclose(torch.autograd.grad(found, ours)[0], slope, rtol=1e-8, atol=1e-12)


@EXAMPLES
@given(SEEDS)
def test_moco_s_loss_and_gradient_are_the_formula_term_by_term(seed):
    query, key, queue = unit(4, 5, seed=seed), unit(4, 5, seed=seed + 1), unit(9, 5, seed=seed + 2)
    gone = some(4, 9, seed)
    query.requires_grad_()
    terms = []
    for i in range(4):
        positive = (query[i] @ key[i] / TEMPERATURE).exp()
        others = [(query[i] @ queue[j] / TEMPERATURE).exp() for j in range(9) if not gone[i, j]]
        terms.append(-(positive / (positive + sum(others))).log())
    expected = sum(terms) / 4
    (slope,) = torch.autograd.grad(expected, query)
    ours = query.detach().clone().requires_grad_()
    found = info_nce_without(ours, key, queue, TEMPERATURE, gone)
    assert found.item() == pytest.approx(expected.item(), rel=1e-9)
    assert torch.allclose(torch.autograd.grad(found, ours)[0], slope, rtol=1e-8, atol=1e-12)


def test_where_nothing_is_gone_the_losses_are_the_plain_ones_bit_by_bit():
    first, second, queue = (unit(6, 5, seed=seed).float() for seed in range(3))
    none = torch.zeros(6, 6, dtype=torch.bool)
    assert torch.equal(nt_xent_without(first, second, 0.2, none), nt_xent(first, second, 0.2))
    assert torch.equal(info_nce_without(first, second, queue, 0.2, none), info_nce(first, second, queue, 0.2))


def test_where_all_are_gone_the_positive_is_left_and_the_loss_is_nothing():
    first, second, queue = (unit(6, 5, seed=seed).requires_grad_() for seed in range(3))
    every = torch.ones(6, 6, dtype=torch.bool)
    for loss in (nt_xent_without(first, second, 0.2, every), info_nce_without(first, second, queue, 0.2, every)):
        assert loss.item() == pytest.approx(0, abs=1e-12)
        assert torch.autograd.grad(loss, first)[0].isfinite().all()


# What goes


@EXAMPLES
@given(SEEDS)
def test_similarity_of_images_is_the_mean_over_their_views(seed):
    first, second = normal(4, 3, seed=seed), normal(4, 3, seed=seed + 1)
    found = between_images(first, second)
    for i in range(4):
        for j in range(4):
            pairs = [cosine(a[i], b[j]).item() for a in (first, second) for b in (first, second)]
            expected = -math.inf if i == j else sum(pairs) / 4
            assert found[i, j].item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@EXAMPLES
@given(SEEDS, st.integers(0, 6))
def test_the_highest_of_a_row_are_those_of_a_sorted_list_and_of_ties_as_many(seed, count):
    rows = normal(5, 7, seed=seed)
    marked = highest(rows, count)
    for row, mark in zip(rows.tolist(), marked.tolist(), strict=True):
        assert (
            sorted((value for value, one in zip(row, mark, strict=True) if one), reverse=True)
            == sorted(row, reverse=True)[:count]
        )
    assert highest(torch.zeros(5, 7), count).sum(dim=1).tolist() == [count] * 5


def rows_that_go(method, seed=0):
    """What `_gone` says in a forward: bool (N, M)."""
    told, gone = [], method._gone
    method._gone = lambda *of: told.append(gone(*of)) or told[-1]
    try:
        method(*given_to(method, seed))
    finally:
        del method._gone
    return told[0]


@pytest.mark.parametrize("on", KINDS)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_chance_drops_as_many_as_similarity_and_others(on, share):
    likely, random = (rows_that_go(fresh(on, dropped, share=share, start=0.0)) for dropped in ("likely", "random"))
    negatives = COUNT - 1 if on == "simclr" else MOCO["queue"]
    for gone in (likely, random):
        assert gone.sum(dim=1).tolist() == [round(share * negatives)] * COUNT
        assert on == "moco_v2" or not gone.diagonal().any()
    assert torch.equal(likely, random) == (share == 0)


@pytest.mark.parametrize("on", KINDS)
def test_chance_draws_anew_in_each_step_alike_in_its_passes_and_by_the_run(on):
    method = fresh(on, "random", start=0.0, share=0.3)
    first, again = rows_that_go(method), rows_that_go(method, seed=5)
    assert torch.equal(first, again)
    method.after_step(0.5)
    assert not torch.equal(rows_that_go(method), first)
    assert torch.equal(rows_that_go(fresh(on, "random", start=0.0, share=0.3)), first)
    assert not torch.equal(rows_that_go(fresh(on, "random", seed=1, start=0.0, share=0.3)), first)


def test_similarity_drops_the_images_that_are_most_alike_on_simclr():
    method = fresh("simclr", start=0.0, share=0.3)
    projections = [method.head(method.encoder(torch.cat(views())))[part] for part in (slice(COUNT), slice(COUNT, None))]
    gone = rows_that_go(method)
    for i in range(COUNT):
        alike = {
            j: sum(cosine(a[i], b[j]).item() for a in projections for b in projections) for j in range(COUNT) if j != i
        }
        assert set(gone[i].nonzero()[:, 0].tolist()) == set(sorted(alike, key=alike.get)[-3:])


def test_similarity_is_of_the_key_to_the_queue_on_moco():
    method = fresh("moco_v2", start=0.0, share=0.25)
    with torch.no_grad():
        for parameter in method.key_encoder.parameters():
            parameter.mul_(1.3)
        key = copy.deepcopy(method.key_head)(copy.deepcopy(method.key_encoder)(views()[1]))
    gone = rows_that_go(method)
    for i in range(COUNT):
        alike = [cosine(key[i], other).item() for other in method.queue.keys]
        assert set(gone[i].nonzero()[:, 0].tolist()) == set(sorted(range(32), key=alike.__getitem__)[-8:])


def test_labels_drop_their_own_class_on_simclr():
    gone = rows_that_go(fresh("simclr", "labelled", start=0.0))
    assert torch.equal(gone, LABELS[:, None] == LABELS)
    first, second = normal(COUNT, 4), normal(COUNT, 4, seed=1)
    itself = torch.eye(COUNT, dtype=torch.bool)
    assert torch.equal(
        nt_xent_without(first, second, 0.2, gone), nt_xent_without(first, second, 0.2, gone & ~itself)
    )  # an image stays its own partner


def test_labels_stand_where_their_keys_do_in_moco_s_queue():
    """Also where it wraps, and where a batch is larger than what is left; keys that are no image's have no label."""
    method, by_key = fresh("moco_v2", "labelled", start=0.0, queue=30), {}
    assert not rows_that_go(method).any()
    for step in range(4):
        labels = (LABELS + step) % 5
        method(views(step), labels)
        by_key |= {tuple(key.tolist()): label for key, label in zip(method.newest, labels.tolist(), strict=True)}
        method.after_batch()
        expected = [by_key.get(tuple(key.tolist()), -1) for key in method.queue.keys]
        assert method.queued_labels.tolist() == expected
    assert -1 not in expected
    assert torch.equal(rows_that_go(method), LABELS[:, None] == method.queued_labels)


@pytest.mark.parametrize("on", KINDS)
def test_a_queue_shorter_than_the_batch_keeps_the_last_labels(on):
    method = fresh(on, "labelled", **({"queue": 8} if on == "moco_v2" else {}))
    method(*given_to(method))
    if on == "moco_v2":
        newest = method.newest
        method.after_batch()
        by_key = {tuple(key.tolist()): label for key, label in zip(newest, LABELS.tolist(), strict=True)}
        assert [by_key[tuple(key.tolist())] for key in method.queue.keys] == method.queued_labels.tolist()


# From when on, and what is the plain method


def stepped(method, steps, start=0):
    """Several steps of the optimiser, as the trainer does them."""
    optimiser = torch.optim.SGD([p for p in method.parameters() if p.requires_grad], 0.1, momentum=0.9)
    for step in range(start, start + steps):
        optimiser.zero_grad()
        sum(method(*given_to(method, step)).values()).backward()
        optimiser.step()
        method.after_step((step + 1) / 8)
        getattr(method, "after_batch", lambda: None)()
    return {name: value for name, value in method.state_dict().items() if isinstance(value, torch.Tensor)}


def same(first, second):
    shared = first.keys() & second.keys()
    return len(shared) >= min(len(first), len(second)) and all(
        torch.equal(first[name], second[name]) for name in shared
    )


@pytest.mark.parametrize("on", KINDS)
@pytest.mark.parametrize("off", [{"dropped": None, "start": 0.0}, {"share": 0.0, "start": 0.0}, {"start": 1.0}])
def test_with_its_setting_off_it_is_the_plain_method_bit_by_bit(on, off):
    assert same(stepped(fresh(on, **off), 5), stepped(plain(on), 5))


@pytest.mark.parametrize("on", KINDS)
@pytest.mark.parametrize("dropped", DROPPED)
def test_negatives_go_from_the_share_of_training_on(on, dropped):
    """Half of eight steps: five steps are four plain ones and one that differs."""
    assert same(stepped(fresh(on, dropped, start=0.5, share=0.4), 4), stepped(plain(on), 4))
    if on == "simclr" or dropped != "labelled":
        assert not same(stepped(fresh(on, dropped, start=0.5, share=0.4), 5), stepped(plain(on), 5))
    assert fresh(on, dropped, start=0.0).dropping and not fresh(on, dropped).dropping


@pytest.mark.parametrize("on", KINDS)
@pytest.mark.parametrize("dropped", DROPPED)
def test_a_state_goes_on_where_it_was(on, dropped):
    whole, before = fresh(on, dropped, start=0.25, share=0.4), fresh(on, dropped, start=0.25, share=0.4)
    stepped(whole, 4)
    stepped(before, 4)
    after = fresh(on, dropped, seed=7, start=0.25, share=0.4)
    after.load_state_dict(copy.deepcopy(before.state_dict()))
    assert after.dropping and same(stepped(after, 3, 4), stepped(whole, 3, 4))
    assert copy.deepcopy(after).get_extra_state() == after.get_extra_state() == {"steps": 7, "seed": whole.seed}


@pytest.mark.parametrize("on", KINDS)
@pytest.mark.parametrize("dropped", DROPPED)
def test_the_trainer_trains_it_also_under_an_attack(on, dropped):
    images = torch.randint(256, (32, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    plan = Training(epochs=2, batch_size=16, warmup_epochs=0, precision="fp32")
    for attack in (None, Attack("pgd(2)", views="last"), Attack("free(2)", views="last")):
        method = fresh(on, dropped)
        history = train(method, images, torch.arange(32) % 4, plan, seed=0, progress=False, attack=attack)
        assert math.isfinite(history[-1]["loss"]) and method.dropping
        assert method.steps == 4 * (2 if attack and attack.kind == "free" else 1)


@pytest.mark.parametrize("on", KINDS)
def test_who_sees_labels(on):
    for dropped in (*DROPPED, None):
        method = fresh(on, dropped)
        assert method.uses_labels == (dropped == "labelled")
        wrong = (views(),) if method.uses_labels else (views(), LABELS)
        with pytest.raises(TypeError, match="labels are for 'labelled' negatives alone"):
            method(*wrong)
    assert not METHODS["false_negatives"].build.uses_labels


def test_on_what_it_stands():
    for on in KINDS:
        method = fresh(on)
        assert isinstance(method, METHODS[on].build) and isinstance(method, METHODS["false_negatives"].build)
        assert method.queries == METHODS[on].build.queries and not method.has_negatives
        assert {name for name, _ in method.named_parameters()} == {name for name, _ in plain(on).named_parameters()}
    with pytest.raises(BadInput, match="OnMoCoV2 has no gradient through some of its views: attack its views 'last'"):
        Adversary(Attack("fgsm"), fresh("moco_v2"), "fp32")
    assert type(copy.deepcopy(fresh("moco_v2"))) is type(fresh("moco_v2"))


@pytest.mark.parametrize(("changes", "words"), [
    ({"on": "byol"}, "unknown method to drop negatives of 'byol'.*allowed: simclr, moco_v2"),
    ({"dropped": "liekly"}, "unknown kind of dropped negatives 'liekly'.*did you mean 'likely'"),
    ({"share": 1.0}, "share is a number from 0 to 0.9, not 1.0"),
    ({"share": -0.1}, "share is a number from 0 to 0.9, not -0.1"),
    ({"start": 1.5}, "start is a number from 0 to 1, not 1.5"),
    ({"start": "0"}, "start is a number from 0 to 1, not '0'"),
    ({"queue": 512}, "queue is a setting on moco_v2: on simclr it is 4096, not 512"),
    ({"momentum": 0.9}, "momentum is a setting on moco_v2: on simclr it is 0.99, not 0.9"),
])  # fmt: skip
def test_settings_that_are_none_are_one_sentence(changes, words):
    with pytest.raises(BadInput, match=words):
        Settings(**changes)


def test_a_run_is_told_apart_by_what_is_dropped():
    runs = [RunConfig("scenes", "false_negatives", settings=Settings(dropped=dropped)) for dropped in (*DROPPED, None)]
    assert len({run.key("0" * 64) for run in runs}) == 4
    assert all(RunConfig.from_dict(run.to_dict()) == run for run in runs)
    assert Settings(share=1e-1) == dataclasses.replace(Settings(), share=0.1)


@pytest.mark.parametrize(("systems", "name", "plain", "dropped"), [
    (ON_SIMCLR, "simclr dropped", "simclr", "likely"), (ON_SIMCLR, "simclr dropped pgd", "simclr pgd", "likely"),
    (ON_SIMCLR, "simclr dropped labelled", "simclr", "labelled"),
    (ON_SIMCLR, "simclr dropped random", "simclr", "random"),
    (ON_SIMCLR, "simclr dropped random pgd", "simclr pgd", "random"), (ON_MOCO, "moco dropped", "moco", "likely"),
    (ON_MOCO, "moco dropped labelled", "moco", "labelled"), (ON_MOCO, "moco dropped random", "moco", "random"),
])  # fmt: skip
def test_a_system_differs_from_the_plain_one_by_what_is_dropped(systems, name, plain, dropped):
    """Not by its optimiser: MoCo v2 has AdamW, SimCLR SGD, and neither more epochs for it."""
    own, without = (config_of(systems[one], PRESETS["small"], seed=0) for one in (name, plain))
    assert own.settings == Settings(on=without.method, dropped=dropped, queue=getattr(without.settings, "queue", 4096))
    assert dataclasses.replace(own, method=without.method, settings=without.settings) == without
    assert own.training.optimiser == {"simclr": "sgd", "moco_v2": "adamw"}[without.method]


def test_what_tables_say():
    words = {dropped: Settings(dropped=dropped).negatives_in_words for dropped in (*DROPPED, None)}
    assert words["labelled"] == "same class dropped" and words[None] == ""
    assert Settings().silent == ("queue", "momentum") and Settings(on="moco_v2").silent == ()
