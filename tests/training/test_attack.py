"""Adversarial training: what it costs, what it leaves alone, and that it is plain training where the attack is none."""

import copy
import dataclasses
import itertools
import time

import lightly.loss
import pytest
import torch
from test_trainer import data, digest, fresh
from torch.nn import functional as F
from toys import Points, small_method

from lib.errors import BadInput
from lib.methods import METHODS, PLAIN, build_method
from lib.methods.queue import Queue
from lib.models import Encoder
from lib.runs import RunConfig
from lib.training import Attack, OutOfTime, Training, cutting, needs_attack, passes, train
from lib.training.attack import Adversary, loss_terms
from lib.training.optimisers import learning_rate
from lib.views import View, render

PLAN = Training(epochs=2, batch_size=16, learning_rate=0.05, warmup_epochs=1, precision="fp32")
WHOLE = View(crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), flip=0, jitter=0, grey=0)  # a view that changes nothing


def run(attack, name="simclr", plan=PLAN, method=None, **options):
    method = method or fresh(name)
    history = train(method, *data(), plan, seed=3, progress=False, attack=attack, **options)
    return method, history


@pytest.mark.parametrize("name", ["simclr", "emp_ssl", "supervised", "byol"])
def test_one_replay_without_a_radius_is_plain_training_bit_by_bit(name, monkeypatch):
    """A blur may leave [0, 1] by a rounding; an adversary's images never do, so that both runs get such views."""
    monkeypatch.setattr(cutting, "render_checked", lambda *arguments: render(*arguments).clamp(0, 1))
    plain, history = run(None, name)
    free, replayed = run(Attack("free(1)", epsilon=0, step=0.01), name)
    assert digest(free) == digest(plain)
    assert [epoch["loss"] for epoch in replayed] == [epoch["loss"] for epoch in history]


@pytest.mark.parametrize("attack", ["fgsm", "pgd(3)"])
def test_an_attack_without_a_radius_is_plain_training_up_to_the_rounding_of_views(attack):
    plain, _ = run(None, "supervised")
    attacked, _ = run(Attack(attack, epsilon=0), "supervised")
    for name, value in plain.state_dict().items():
        assert torch.allclose(value.float(), attacked.state_dict()[name].float(), atol=1e-5), name


@pytest.mark.parametrize("views", ["all", "last"])
def test_attacked_views_stay_in_the_ball_and_raise_the_loss_and_touch_nothing_else(views):
    method = fresh("simclr", network=True).train()
    for parameter in method.parameters():
        parameter.grad = torch.ones_like(parameter)
    before, gradients = digest(method), [parameter.grad.clone() for parameter in method.parameters()]
    generator = torch.Generator().manual_seed(0)
    clean = [torch.rand(16, 3, 32, 32, generator=generator) for _ in range(2)]
    adversary = Adversary(Attack("pgd(5)", "8/255", views=views), method, "fp32")
    attacked = adversary.attacked(clean, torch.zeros(16, dtype=torch.long), seed=0)
    assert digest(method) == before and method.training
    assert all(torch.equal(p.grad, g) for p, g in zip(method.parameters(), gradients, strict=True))
    for view, original in zip(attacked, clean, strict=True):
        assert (view - original).abs().max() <= 8 / 255 + 1e-6 and 0 <= view.min() and view.max() <= 1
    assert torch.equal(attacked[0], clean[0]) == (views == "last")
    assert not torch.equal(attacked[1], clean[1])
    with torch.no_grad():
        copied = copy.deepcopy(method)
        assert copied(attacked)["contrastive"] > copied(clean)["contrastive"] + 0.1


def linear(count=6):
    """A supervised method whose encoder hands its pixels on: a linear model, whose worst perturbation is known."""

    class Pixels(Encoder):
        features = 3 * 8 * 8

        def forward(self, x):
            return x.flatten(1)

    torch.manual_seed(1)
    method = build_method("supervised", Pixels(), METHODS["supervised"].settings(), 2)
    method.views = (View(size=8),)
    return method, torch.rand(count, 3, 8, 8) * 0.5 + 0.25, torch.arange(count) % 2


def test_one_step_on_a_linear_model_is_the_closed_form():
    """For two classes the loss rises along the difference of the other class's weights and the own one's."""
    method, images, labels = linear()
    adversary = Adversary(Attack("pgd(1)", "8/255", step="8/255", start="zero"), method, "fp32")
    (attacked,) = adversary.attacked([images], labels, seed=0)
    weight = method.head.weight.detach()
    direction = (weight[1 - labels] - weight[labels]).sign().view_as(images)
    assert torch.allclose(attacked, images + 8 / 255 * direction, atol=1e-6)


def test_free_training_is_the_loop_of_its_paper():
    """Algorithm 1 by hand on a linear model: two batches, three replays each, the perturbation carried on."""
    method, images, labels = linear(count=8)
    pixels = (images * 255).round().to(torch.uint8)
    method.views = (View(size=8, crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), flip=0, jitter=0, grey=0),)
    by_hand = copy.deepcopy(method)
    plan = Training(epochs=1, batch_size=4, learning_rate=0.1, weight_decay=0.0, warmup_epochs=0, precision="fp32")
    train(method, pixels, labels, plan, seed=0, progress=False, attack=Attack("free(3)", "8/255", "2/255"))

    from lib.randomness import seed_of

    order = torch.randperm(8, generator=torch.Generator().manual_seed(seed_of(0, 0, 0)))
    optimiser = torch.optim.SGD(by_hand.parameters(), lr=0.1, momentum=0.9)
    delta, update = torch.zeros(4, 3, 8, 8), 0
    for batch in order.split(4):
        x, y = pixels[batch].float() / 255, labels[batch]
        for _ in range(3):
            delta = (x + delta).clamp(0, 1) - x
            optimiser.param_groups[0]["lr"] = learning_rate(update, 6, 0, 0.1)
            adversarial = (x + delta).detach().requires_grad_()
            loss = F.cross_entropy(by_hand.head(adversarial.flatten(1)), y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            delta = (delta + 2 / 255 * adversarial.grad.sign()).clamp(-8 / 255, 8 / 255)
            update += 1
    assert torch.allclose(method.head.weight, by_hand.head.weight, atol=1e-6)
    assert torch.allclose(method.head.bias, by_hand.head.bias, atol=1e-6)


@pytest.mark.parametrize(
    "attack", [Attack("free(2)"), Attack("pgd(2)"), Attack("free(2)", quirk="cyclic schedule"),
               Attack("fgsm", quirk="summed gradients")], ids=str
)  # fmt: skip
def test_a_time_limit_at_every_step_changes_nothing(attack, tmp_path, monkeypatch):
    whole, history = run(attack)
    monkeypatch.setattr(time, "monotonic", itertools.count().__next__)
    checkpoint, calls = tmp_path / "checkpoint.pt", 0
    while True:
        calls += 1
        try:
            method, pieces = run(attack, checkpoint=checkpoint, deadline=time.monotonic() + 3)
            break
        except OutOfTime:
            assert checkpoint.exists() and calls < 100
    assert calls >= PLAN.epochs * (70 // PLAN.batch_size)
    assert digest(method) == digest(whole)
    assert [epoch["loss"] for epoch in pieces] == [epoch["loss"] for epoch in history]


@pytest.mark.parametrize("attack", [None, Attack("pgd(2)"), Attack("fgsm"), Attack("free(3)"),
                                    Attack("pgd(3)", views="last")], ids=str)  # fmt: skip
@pytest.mark.parametrize("name", ["simclr", "emp_ssl", "supervised", "acl"])
def test_passes_are_what_goes_through_the_encoder_with_a_gradient(name, attack):
    if METHODS[name].attacked and (attack is None or attack.kind == "free"):
        pytest.skip("not a way to train this method")
    method, counted = fresh(name), []
    for module in method.modules():
        if isinstance(module, Encoder):
            module.register_forward_pre_hook(
                lambda _, inputs: counted.append(len(inputs[0])) if torch.is_grad_enabled() else None
            )
    plan = Training(epochs=1, batch_size=16, precision="fp32")
    run(attack, plan=plan, method=method)
    images = 70 // 16 * 16
    assert sum(counted) == images * passes(len(method.views), attack, needs_attack(method))


def rates(attack):
    """The learning rate at every step of the optimiser."""
    seen = []

    class Spy(torch.nn.Module):
        views, uses_labels = (WHOLE,), True

        def __init__(self):
            super().__init__()
            self.encoder = Points()
            self.head = torch.nn.Linear(32, 10)

        def forward(self, views, labels):
            return {"cross-entropy": F.cross_entropy(self.head(self.encoder(views[0])), labels)}

        def after_step(self, progress):
            seen.append(progress)

    run(attack, plan=Training(epochs=3, batch_size=64, warmup_epochs=0, precision="fp32"), method=Spy())
    return seen


def test_the_schedule_counts_steps_of_the_optimiser():
    assert rates(Attack("free(4)")) == pytest.approx([(k + 1) / 12 for k in range(12)])
    assert rates(None) == pytest.approx([1 / 3, 2 / 3, 1])
    # What the public code does: with three replays a rate that is counted in batches comes back at two thirds.
    assert learning_rate(200, 100, 0, 0.3) == pytest.approx(0.3)
    assert learning_rate(100, 100, 0, 0.3) == pytest.approx(0) == learning_rate(300, 100, 0, 0.3)


def test_summed_gradients_are_the_sum_over_the_attack_and_the_last_pass():
    method, images, labels = linear()
    method.train()
    adversary = Adversary(Attack("pgd(2)", "8/255", "2/255", start="zero", quirk="summed gradients"), method, "fp32")
    (attacked,) = adversary.attacked([images], labels, seed=0)
    summed = method.head.weight.grad.clone()
    method.zero_grad()
    weight = method.head.weight.detach()
    direction = (weight[1 - labels] - weight[labels]).sign().view_as(images)
    for step in range(2):
        F.cross_entropy(method.head((images + step * 2 / 255 * direction).flatten(1)), labels).backward()
    assert torch.allclose(summed, method.head.weight.grad, atol=1e-6)
    assert torch.allclose(attacked, images + 4 / 255 * direction, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "pgd"}, "'pgd"),
        ({"name": "pgd(0)"}, "'free"),
        ({"name": 5}, "not 5"),
        ({"name": "pgd(5)", "epsilon": 8}, "0 to 255"),
        ({"name": "pgd(5)", "epsilon": "eight"}, "8/255"),
        ({"name": "pgd(5)", "step": 2}, "0 to 255"),
        ({"name": "pgd(5)", "views": "first"}, "all"),
        ({"name": "pgd(5)", "start": "corner"}, "zero"),
        ({"name": "pgd(5)", "quirk": "cyclic schedule"}, "free"),
        ({"name": "free(3)", "quirk": "summed"}, "summed gradients"),
        ({"name": "free(3)", "mode": "eval"}, "'batch' alone"),
        ({"name": "pgd(5)", "mode": "train"}, "eval, batch"),
        ({"name": "pgd(5)", "views": "last", "partner": "itself"}, "other, same"),
        ({"name": "pgd(5)", "partner": "same"}, "'all' has the partner 'other'"),
        ({"name": "free(3)", "views": "last", "partner": "same"}, "'other'"),
    ],
)
def test_bad_attacks_are_refused_in_words(arguments, words):
    with pytest.raises(BadInput, match=words.replace("(", r"\(")):
        Attack(**arguments)


def test_texts_and_numbers_of_a_radius_are_one():
    assert Attack("pgd(5)", "8/255", "2/255") == Attack("pgd(5)", 8 / 255, 2 / 255) == Attack("pgd(5)", 8 / 255)
    assert Attack("fgsm").step == pytest.approx(10 / 255) and Attack("free(3)").step == pytest.approx(8 / 255)
    assert (Attack("free(3)").replays, Attack("free(3)").steps, Attack("pgd(5)").steps) == (3, 0, 5)


def test_free_training_of_a_method_with_an_attack_of_its_own_is_refused():
    with pytest.raises(BadInput, match=r"TRADES attacks by another loss than it learns by: use 'pgd\(k\)'"):
        Adversary(Attack("free(3)"), fresh("trades"), "fp32")


def test_views_of_two_sizes_are_refused():
    adversary = Adversary(Attack("pgd(2)"), fresh("simclr"), "fp32")
    with pytest.raises(BadInput, match="one size"):
        adversary.attacked([torch.rand(4, 3, 32, 32), torch.rand(4, 3, 16, 16)], torch.zeros(4, dtype=torch.long), 0)


# The whole table: each method under each attack on each choice of views, also a method that is added later.

KINDS = {"fgsm": "fgsm", "pgd": "pgd(2)", "free": "free(2)"}
CHOICES = list(itertools.product(KINDS, ["all", "last"]))
REFUSED = {  # what cannot be attacked, or not in this way, and why
    **{(name, *choice): "views of one size" for name in ("swav", "dino", "relicv2") for choice in CHOICES},
    **{(name, *choice): "nothing to attack" for name in PLAIN if not METHODS[name].trained for choice in CHOICES},
    **{(name, "free", views): "another loss" for name in set(METHODS) - set(PLAIN) for views in ("all", "last")},
    **{("moco_v2", kind, "all"): "no gradient through some of its views" for kind in KINDS},
}
GIVEN = {"relicv2": {"small": 0}, "emp_ssl": {"views": 3}}  # settings of the second test below


def moved(method, attack, count=8):
    """The share of pixels of each view that a gradient moves: not what a random start does, nor clipping."""
    generator = torch.Generator().manual_seed(0)
    clean = [torch.rand(count, 3, 32, 32, generator=generator) * 0.8 + 0.1 for _ in method.views]
    labels = torch.arange(count) % 10
    adversary = Adversary(attack, method, "fp32")
    if attack.kind == "free":
        start = adversary.attacked(clean, labels, seed=0)
        sum(loss_terms(method, start, clean, labels).values()).backward()
        adversary.after_backward()
    else:
        still = Adversary(dataclasses.replace(attack, step=0.0), method, "fp32")
        start = still.attacked(clean, labels, seed=0)
    attacked = adversary.attacked(clean, labels, seed=0)
    return [(old != new).float().mean().item() for old, new in zip(start, attacked, strict=True)]


def check_moves(name, kind, views, settings):
    method = small_method(name, **settings).train()
    shares = moved(method, Attack(KINDS[kind], views=views))
    attacked = set(range(len(shares)))
    if views == "last":  # MoCo v2's keys have no gradient: the last that has one is the query
        attacked = {0} if name == "moco_v2" else {len(shares) - 1}
    assert all((share > 0.5) if place in attacked else (share == 0) for place, share in enumerate(shares)), shares


@pytest.mark.parametrize(("kind", "views"), CHOICES)
@pytest.mark.parametrize("name", METHODS)
def test_every_attacked_view_moves_by_a_gradient_or_the_run_is_refused(name, kind, views):
    attack = Attack(KINDS[kind], views=views)
    if words := REFUSED.get((name, kind, views)):
        with pytest.raises(BadInput, match=words):
            RunConfig("scenes", name, attack=attack)
        if METHODS[name].trained:  # and so is the method that a trainer is handed
            with pytest.raises(BadInput, match=words):
                Adversary(attack, small_method(name), "fp32")
    else:
        RunConfig("scenes", name, attack=attack)
        check_moves(name, kind, views, {})


@pytest.mark.parametrize(("kind", "views"), CHOICES)
@pytest.mark.parametrize("name", GIVEN)
def test_views_of_other_settings_move_too(name, kind, views):
    RunConfig("scenes", name, settings=METHODS[name].settings(**GIVEN[name]), attack=Attack(KINDS[kind], views=views))
    check_moves(name, kind, views, GIVEN[name])


QUEUED = [name for name in METHODS if any(isinstance(part, Queue) for part in small_method(name).modules())]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", QUEUED)
def test_no_queue_holds_an_image_of_the_batch_and_each_batch_enters_it_once(name, kind):
    """What every forward of a training finds in the queues, those of the attack among them."""
    views = "all" if (name, kind, "all") not in REFUSED else "last"
    attack, method, found = Attack(KINDS[kind], views=views), small_method(name), []
    forward, queues = method.forward, [part for part in method.modules() if isinstance(part, Queue)]

    def spy(*given):
        found.append([queue.keys.clone() for queue in queues])
        return forward(*given)

    method.forward = spy
    train(method, *data(32), dataclasses.replace(PLAN, epochs=1), seed=0, progress=False, attack=attack)
    first, second = found[: len(found) // 2], found[len(found) // 2 :]  # batches of 16
    assert len(first) == len(second) == attack.replays + attack.steps > 1
    for batch in (first, second):
        assert all(torch.equal(*pair) for later in batch for pair in zip(later, batch[0], strict=True))
    for before, after in zip(first[0], second[0], strict=True):
        assert (before != after).any(dim=1).sum() == 16


def test_a_method_with_a_queue_has_the_hook_that_fills_it():
    assert QUEUED == ["moco_v2", "nnclr"]
    for name, method in METHODS.items():
        held = {"queue": 64} if name == "swav" else {}
        queued = any(isinstance(part, Queue) for part in small_method(name, **held).modules())
        assert not queued or hasattr(method.build, "after_batch"), name


def test_swav_s_queues_take_a_batch_once():
    method = small_method("swav", queue=64).train()
    before = [queue.keys.clone() for queue in method.queues]
    views = [torch.rand(8, 3, view.size, view.size) for view in method.views]
    for _ in range(2):
        method(views)
        method.after_step(0.5)
    assert all(torch.equal(queue.keys, old) for queue, old in zip(method.queues, before, strict=True))
    method.after_batch()
    for queue, old, new in zip(method.queues, before, method.newest, strict=True):
        assert torch.equal(queue.keys[:8], new) and torch.equal(queue.keys[8:], old[8:])


def test_an_attack_without_a_slope_where_it_starts_is_refused():
    """Any other method's loss has one at its clean views; DeACL's has none as long as the student is its teacher."""
    for name in ("fgsm", "pgd(5)"):
        with pytest.raises(BadInput, match="trades attacks by a distance that has no slope at zero"):
            RunConfig("scenes", "trades", attack=Attack(name, start="zero"))
    attack = Attack("fgsm", views="last", start="zero")
    for name, method in METHODS.items():
        if (name, "fgsm", "last") not in REFUSED and name not in ("trades", "deacl"):
            assert not hasattr(method.build, "flat_at_zero")
            assert max(moved(small_method(name).train(), attack, count=4)) > 0.5, name


def test_negatives_and_an_attack_are_refused_by_the_trainer_too():
    method = small_method("simclr", negatives="patch")
    with pytest.raises(BadInput, match="negatives are for training without an attack"):
        train(method, *data(), PLAN, seed=0, progress=False, attack=Attack("fgsm"))


# The attack of the public code of arXiv 2501.03507 on SimCLR.


@pytest.mark.parametrize("mode", ["eval", "batch"])
def test_the_same_view_as_partner_is_the_attack_of_the_paper_s_code(mode):
    """Five steps from zero up the contrast of the second view with itself, in lightly's loss; the first is not used."""
    method = small_method("simclr").train(mode == "batch")
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.rand(8, 3, 32, 32, generator=generator) for _ in range(2))
    attack = Attack("pgd(5)", "8/255", 0.01, views="last", start="zero", partner="same", mode=mode)
    attacked = Adversary(attack, method, "fp32").attacked([first, second], torch.zeros(8, dtype=torch.long), seed=0)
    other = Adversary(dataclasses.replace(attack, partner="other"), method, "fp32")
    contrast, delta = lightly.loss.NTXentLoss(method.temperature), torch.zeros_like(second)
    by_hand = copy.deepcopy(method)
    for _ in range(5):
        delta.requires_grad_()
        projections = by_hand.head(by_hand.encoder(torch.cat((second, second + delta))))
        (slope,) = torch.autograd.grad(contrast(*projections.chunk(2)), delta)
        delta = (delta.detach() + 0.01 * slope.sign()).clamp(-8 / 255, 8 / 255)
        delta = (second + delta).clamp(0, 1) - second
    assert torch.equal(attacked[0], first)
    assert (attacked[1] - second - delta).abs().gt(1e-6).float().mean() < 0.01  # a slope of rounding has any sign
    unlike = other.attacked([first, second], torch.zeros(8, dtype=torch.long), seed=0)[1]
    assert (unlike - second - delta).abs().gt(1e-6).float().mean() > 0.1


def test_a_partner_needs_a_second_view():
    attack = Attack("pgd(5)", views="last", partner="same")
    for name in ("supervised", "deacl", "trades"):
        with pytest.raises(BadInput, match=f"{name} has one view, which needs no partner"):
            RunConfig("scenes", name, attack=attack)
    for name in ("simclr", "byol", "moco_v2", "moco_v3", "emp_ssl"):
        RunConfig("scenes", name, attack=attack)
    assert [share > 0.5 for share in moved(small_method("moco_v2").train(), attack)] == [True, False]


class Counting(Encoder):
    """Means of colours, counted."""

    features = 3

    def __init__(self):
        super().__init__()
        self.scale, self.calls = torch.nn.Parameter(torch.ones(3)), 0

    def forward(self, x):
        self.calls += 1
        return x.mean(dim=(2, 3)) * self.scale + x.amax(dim=(2, 3)).square()


@pytest.mark.parametrize("name", ["trades", "deacl"])
@pytest.mark.parametrize("attack", ["fgsm", "pgd(4)"])
def test_what_does_not_change_in_a_batch_is_computed_once(name, attack):
    """TRADES' clean answer for all passes of the attack; DeACL's teacher for these and for the loss."""
    torch.manual_seed(0)
    given = Counting() if name == "deacl" else None
    method, attack = build_method(name, Counting(), METHODS[name].settings(), 10, given), Attack(attack)
    plan = Training(epochs=1, batch_size=16, warmup_epochs=0, precision="fp32")
    train(method, *data(32), plan, seed=0, progress=False, attack=attack)
    beside = {"trades": 3, "deacl": 1}[name]  # the target, and clean and adversarial images in the loss; these as one
    assert method.encoder.calls == 2 * (attack.steps + beside)
    if name == "deacl":
        assert method.teacher_encoder.calls == 2


@pytest.mark.parametrize("name", ["trades", "deacl"])
def test_a_target_that_is_handed_over_changes_no_number(name):
    method = small_method(name).eval()
    clean = [torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))]
    views, labels = [(clean[0] + 0.01).clamp(0, 1)], (torch.arange(8),) if name == "trades" else ()
    with torch.no_grad():
        target = method.target(clean)
        assert torch.equal(
            method.weakness(views, clean, *labels), method.weakness(views, clean, *labels, target=target)
        )
        if name == "deacl":
            assert method(views, clean) == method(views, clean, target=target)


class Wrapped(torch.nn.Module):
    """Like a compiled module: another one, which passes on what it does not know."""

    def __init__(self, method):
        super().__init__()
        self.method = method

    def forward(self, *arguments, **options):
        return self.method(*arguments, **options)

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("method"), name)


@pytest.mark.parametrize(("name", "attack", "compiled"), [
    ("simclr", "pgd(3)", 4), ("simclr", "fgsm", 2), ("simclr", "free(2)", 2), ("trades", "pgd(3)", 4),
])  # fmt: skip
def test_what_is_compiled_runs_in_the_passes_of_the_attack_too(name, attack, compiled, monkeypatch):
    """A stand-in for torch.compile that counts: of each step, all forwards of the method or of its weakness."""
    calls = []

    def counted(function):
        if isinstance(function, torch.nn.Module):
            wrapped = Wrapped(function)
            wrapped.register_forward_pre_hook(lambda *_: calls.append("method"))
            return wrapped
        return lambda *arguments, **options: calls.append("weakness") or function(*arguments, **options)

    monkeypatch.setattr(torch, "compile", counted)
    method = build_method(name, Counting(), METHODS[name].settings(), 10)
    plan = Training(epochs=1, batch_size=16, warmup_epochs=0, precision="fp32", compile=True)
    train(method, *data(16), plan, seed=0, progress=False, attack=Attack(attack))
    assert len(calls) == compiled
