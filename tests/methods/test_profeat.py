"""ProFeAT: its four distances and its attack by hand, what learns by which of them, and the teacher's own views."""

import copy
import dataclasses
import math

import pytest
import torch
from torch import nn
from toys import Points, small_method, small_settings

from lib.chapters.tradeoff.plan import SYSTEMS
from lib.errors import BadInput
from lib.methods import METHODS, PLAIN, build_method, deacl, profeat
from lib.models import Encoder
from lib.runs import RunConfig, compute, store
from lib.runs.systems import epochs_of
from lib.shifts.adversary import held, pgd
from lib.training import Attack, Training, train
from lib.training.cutting import cut
from lib.training.optimisers import build_optimiser
from lib.views import render

COUNT, CLASSES = 6, 4


def fresh(seed=0, **changes):
    """In double precision, with a student that has moved from its teacher."""
    method = small_method("profeat", seed, **changes).double()
    with torch.no_grad():
        for parameter in method.encoder.parameters():
            parameter.mul_(1.1)
    return method.train()


@pytest.fixture
def exact(monkeypatch):
    """Double precision is kept where methods ask for float32, so that a formula is met to many digits."""
    monkeypatch.setattr(torch.Tensor, "float", lambda tensor: tensor)


def pictures(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(COUNT, 3, 32, 32, generator=generator, dtype=torch.float64)]


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def cosine(a, b):
    return (a * b).sum() / (a.square().sum() * b.square().sum()).sqrt()


def apart(first, second):
    return [1 - cosine(a, b) for a, b in zip(first, second, strict=True)]


def mean(values):
    return sum(values) / len(values)


def by_hand(method, view, clean, shown, contrasted=True):
    """The loss as the authors' code has it, less its constants, of copies of all parts, and the projector's."""
    student, projector = copy.deepcopy((method.encoder, method.projector))
    teacher = copy.deepcopy(method.teacher_encoder).eval()
    features, attacked, taught = student(clean), student(view), teacher(shown).detach()  # batches of their own

    def project(x):
        weights = [getattr(projector, layer) for layer in ("first", "last")]
        hidden = (x @ weights[0].weight.detach().T + weights[0].bias.detach()).clamp(min=0)
        return hidden @ weights[1].weight.detach().T + weights[1].bias.detach()

    w, beta = method.settings.projected, method.settings.beta
    loss = (1 - w) * mean(apart(features, taught)) + w * mean(apart(project(features), project(taught)))
    loss = loss + beta * (1 - w) * mean(apart(attacked, features))
    loss = loss + beta * w * mean(apart(project(attacked), project(features)))
    if contrasted:
        z = torch.cat((projector(taught), projector(teacher(clean).detach())))
        for i in range(2 * COUNT):
            total = sum((cosine(z[i], z[k]) / method.settings.temperature).exp() for k in range(2 * COUNT) if k != i)
            positive = cosine(z[i], z[(i + COUNT) % (2 * COUNT)]) / method.settings.temperature
            loss = loss + (total.log() - positive) / (2 * COUNT)
    return loss, student, projector


@pytest.mark.parametrize("projector", profeat.PROJECTORS)
@pytest.mark.parametrize(("projected", "beta"), [(0.5, 2.0), (0.25, 8.0), (0.0, 1.0), (1.0, 3.0)])
def test_loss_and_gradient_are_the_authors(exact, projector, projected, beta):
    method = fresh(projector=projector, projected=projected, beta=beta)
    (view,), (clean,), (method.shown,) = pictures(1), pictures(2), pictures(3)
    loss, student, head = by_hand(method, view, clean, method.shown, contrasted=projector == "learnt")
    loss.backward()
    terms = method([view], [clean])
    assert set(terms) == {"distillation", "robustness"} | ({"projector"} if projector == "learnt" else set())
    assert sum(terms.values()).item() == pytest.approx(loss.item(), rel=1e-9)
    sum(terms.values()).backward()
    for ours, expected in ((method.encoder, student), (method.projector, head)):
        for (name, one), other in zip(ours.named_parameters(), expected.parameters(), strict=True):
            if one.requires_grad:
                assert torch.allclose(one.grad, other.grad, rtol=1e-8, atol=1e-11), name
            else:
                assert one.grad is None and projector == "random"
    assert all(parameter.grad is None for parameter in method.teacher_encoder.parameters())


@pytest.mark.parametrize("mode", ["eval", "batch"])
def test_attack_is_on_features_of_the_student_and_projections_of_the_teacher(exact, mode):
    method = fresh(projected=0.25)  # which weighs the loss alone
    (view,), (clean,), (method.shown,) = pictures(1), pictures(2), pictures(3)
    with held(method, mode), torch.no_grad():
        own, attacked = method.encoder(clean), method.encoder(view)
        taught = method.projector(method.teacher_encoder(method.shown))
        expected = [a + b for a, b in zip(apart(attacked, own), apart(method.projector(attacked), taught), strict=True)]
        found, again = method.weakness([view], [clean]), method.weakness([view], [clean], method.target([clean]))
    assert found.tolist() == pytest.approx([value.item() for value in expected], rel=1e-9)
    assert torch.equal(found, again) and 0 <= found.min() and found.max() <= 4


@pytest.mark.parametrize("mode", ["eval", "batch"])
def test_attack_climbs_and_leaves_the_method_alone(mode):
    method = small_method("profeat").train()
    clean, before = [images.float() for images in pictures()], state(method)
    adversarial = pgd(clean[0], lambda x: method.weakness([x], clean), "8/255", "2/255", 3, modules=method, mode=mode,
                      keep="last")  # fmt: skip
    with held(method, mode), torch.no_grad():
        assert (method.weakness([adversarial], clean) > method.weakness(clean, clean)).all()
    assert same(before, state(method)) and all(parameter.grad is None for parameter in method.parameters())


def test_a_target_that_is_handed_over_changes_no_number():
    method = small_method("profeat").eval()
    views, clean = ([images.float() for images in pictures(seed)] for seed in (1, 2))
    with torch.no_grad():
        target = method.target(clean)
        assert target.shape == (3, COUNT, Points.features)
        assert method(views, clean) == method(views, clean, target=target)
    views[0].requires_grad_(), clean[0].requires_grad_()
    slopes = torch.autograd.grad(method.weakness(views, clean).sum(), (views[0], clean[0]), allow_unused=True)
    assert slopes[0].abs().max() > 0 and slopes[1] is None
    slopes = torch.autograd.grad(method(views, clean)["robustness"], (views[0], clean[0]))
    assert all(slope.abs().max() > 0 for slope in slopes)


def test_losses_of_the_student_do_not_move_the_projector_nor_its_own_the_student(exact):
    method = fresh()
    terms = method(pictures(1), pictures(2))
    projector, student = list(method.projector.parameters()), list(method.encoder.parameters())
    for name in ("distillation", "robustness"):
        slopes = torch.autograd.grad(terms[name], projector, retain_graph=True, allow_unused=True)
        assert slopes == (None,) * len(projector)
    assert torch.autograd.grad(terms["projector"], student, retain_graph=True, allow_unused=True) == (None,) * len(
        student
    )
    assert all(slope.abs().max() > 0 for slope in torch.autograd.grad(terms["projector"], projector))


def test_a_random_projector_is_orthogonal_fixed_and_not_optimised():
    method = small_method("profeat", projector="random")
    for layer in (method.projector.first, method.projector.last):
        rows = layer.weight if layer.weight.shape[0] <= layer.weight.shape[1] else layer.weight.T
        assert torch.allclose(rows @ rows.T, torch.eye(len(rows)), atol=1e-5) and not layer.bias.any()
    optimised = {id(p) for group in build_optimiser("sgd", method, 0.0).param_groups for p in group["params"]}
    assert optimised == {id(parameter) for parameter in method.encoder.parameters()}
    assert not same(state(small_method("profeat", 1, projector="random").projector), state(method.projector))


def test_features_alone_and_the_teacher_s_view_not_its_own_is_deacl():
    """In evaluation mode, where batches of their own do not matter."""
    torch.manual_seed(0)
    teacher, student = Points(), Points()
    other = build_method("deacl", student, deacl.Settings(robustness=3.0), CLASSES, teacher).eval()
    chosen = small_settings("profeat", projected=0.0, beta=3.0)
    method = build_method("profeat", Points(), chosen, CLASSES, teacher).eval()
    with torch.no_grad():
        for one in (method, other):
            for parameter in one.encoder.parameters():
                parameter.mul_(1.1)
        views, clean = ([images.float() for images in pictures(seed)] for seed in (1, 2))
        ours, theirs = method(views, clean), other(views, clean)
    for name, term in theirs.items():
        assert ours[name].item() == pytest.approx(term.item(), rel=1e-5)


def test_the_student_begins_at_its_teacher_which_is_a_copy_that_nothing_moves():
    teacher = Points().train()
    teacher(torch.rand(8, 3, 32, 32))  # statistics worth copying
    method = build_method("profeat", Points(), small_settings("profeat"), CLASSES, teacher).train()
    before = state(teacher)
    assert same(state(method.encoder), before) and same(state(method.teacher_encoder), before)
    optimiser = build_optimiser("sgd", method, 0.1)
    for _ in range(2):
        assert method.encoder.training and not any(part.training for part in method.teacher_encoder.modules())
        for group in optimiser.param_groups:
            group["lr"] = 0.1
        optimiser.zero_grad()
        sum(method([pictures(1)[0].float()], [pictures(2)[0].float()]).values()).backward()
        optimiser.step()
        method.after_step(0.5)
    assert same(state(method.teacher_encoder), before) and same(state(teacher), before)
    assert not same(state(method.encoder), before)


# The teacher's views


def images(count=32):
    return torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_the_teacher_sees_a_weak_view_of_its_own_and_the_student_the_same_as_without_one():
    method, batch = small_method("profeat"), {"images": images()}
    (student,) = cut(method, batch, torch.Generator().manual_seed(1))
    assert method.shown.shape == student.shape and not torch.equal(method.shown, student)
    alone = nn.Module()
    alone.views = method.views
    assert torch.equal(cut(alone, batch, torch.Generator().manual_seed(1))[0], student)
    # Of the images, it keeps all colours: a crop and a flip.
    method.origins(batch, torch.Generator().manual_seed(2))
    generator = torch.Generator().manual_seed(2)
    drawn = profeat.draw(profeat.WEAK, 32, (32, 32), generator)
    assert torch.equal(method.shown, render(batch["images"], profeat.WEAK, drawn))
    assert (profeat.WEAK.jitter, profeat.WEAK.grey, profeat.WEAK.solarize) == (0, 0, 0) and profeat.WEAK.flip == 0.5
    assert dataclasses.replace(profeat.STRONG, jitter=0.0, solarize=0.0, hue=profeat.WEAK.hue) == profeat.WEAK


def test_a_view_is_of_one_batch():
    method = small_method("profeat").train()
    cut(method, {"images": images(COUNT)}, torch.Generator())
    with_own = method.taught([pictures()[0].float()])
    method.after_step(0.1)
    assert torch.equal(method.taught([pictures()[0].float()]), with_own)  # a replay has the views of its batch
    method.after_batch()
    assert method.shown is None
    without = method.taught([pictures()[0].float()])
    assert torch.equal(without[0], without[1]) and torch.equal(with_own[1], without[1])
    assert not torch.equal(with_own[0], without[0])


class Counting(Encoder):
    """Means of colours, counted."""

    features = 3

    def __init__(self):
        super().__init__()
        self.scale, self.calls = nn.Parameter(torch.ones(3)), 0

    def forward(self, x):
        self.calls += 1
        return x.mean(dim=(2, 3)) * self.scale + x.amax(dim=(2, 3)).square()


PLAN = Training(epochs=1, batch_size=16, warmup_epochs=0, precision="fp32")


@pytest.mark.parametrize("attack", ["fgsm", "pgd(4)"])
def test_the_teacher_is_asked_once_a_batch(attack):
    attack = Attack(attack)
    method = build_method("profeat", Counting(), small_settings("profeat"), CLASSES, Counting())
    labels = torch.zeros(32, dtype=torch.long)
    train(method, images(), labels, PLAN, seed=0, progress=False, attack=attack)
    assert method.teacher_encoder.calls == 2
    assert method.encoder.calls == 2 * (attack.steps + 3)  # what the attack moves away from, and both in the loss


def test_a_run_repeats_itself():
    found = []
    for _ in range(2):
        method = small_method("profeat")
        labels = torch.zeros(32, dtype=torch.long)
        history = train(method, images(), labels, PLAN, seed=0, progress=False, attack=Attack("pgd(2)"))
        assert math.isfinite(history[-1]["projector"]) and method.shown is None
        found.append(state(method))
    assert same(*found)


# Settings and the run


@pytest.mark.parametrize(("changes", "words"), [
    ({"projector": "learned"}, "unknown projector 'learned'.*did you mean 'learnt'.*allowed: learnt, random"),
    ({"projected": 1.5}, "projected is a number from 0 to 1, not 1.5"),
    ({"beta": -1}, "beta is a number of at least 0, not -1"),
    ({"hidden": 0}, "hidden is a whole number of at least 1, not 0"),
    ({"projection": 2.5}, "projection is a whole number of at least 1, not 2.5"),
    ({"teacher_epochs": 0}, "teacher_epochs is a whole number of at least 1, or None"),
])  # fmt: skip
def test_settings_that_are_none_are_one_sentence(changes, words):
    with pytest.raises(BadInput, match=words):
        profeat.Settings(**changes)


def test_a_student_needs_a_teacher_and_an_attack_that_is_not_free():
    with pytest.raises(BadInput, match="profeat learns from a teacher: give it an encoder that was trained by simclr"):
        build_method("profeat", Points(), profeat.Settings(), CLASSES)
    with pytest.raises(BadInput, match="profeat is trained under an attack"):
        RunConfig("scenes", "profeat")
    with pytest.raises(BadInput, match="profeat attacks by another loss than it learns by"):
        RunConfig("scenes", "profeat", attack="free(3)")
    assert profeat.ProFeAT.teacher in PLAIN and METHODS["profeat"].attacked


def test_its_teacher_is_the_run_that_deacl_learns_from():
    runs = [RunConfig("scenes", name, attack="pgd(2)") for name in ("profeat", "deacl")]
    assert runs[0].teacher() == runs[1].teacher() == RunConfig("scenes", "simclr")
    chosen = profeat.Settings(teacher_epochs=10)
    assert RunConfig("scenes", "profeat", settings=chosen, attack="pgd(2)").teacher().training.epochs == 10


def test_the_engine_trains_the_teacher_first_and_both_students_cost_the_same():
    plan = Training(epochs=1, batch_size=32, precision="fp32", warmup_epochs=0.5)
    configs = [
        RunConfig("scenes", name, "resnet10_narrow", 0, 64, plan, attack="pgd(1)") for name in ("profeat", "deacl")
    ]
    (own, other), _ = compute(configs, [], progress=False)
    assert own["passes"] == other["passes"] == 64 * 3 and own["key"] != other["key"]
    assert store.load_record(configs[0].teacher().key(own["data"]["checksum"]))["config"]["method"] == "simclr"


def test_its_system_differs_from_deacl_s_by_the_method_alone():
    """An epoch costs seven passes a view: six of the attack and one of the clean view."""
    own, other = SYSTEMS["profeat"], SYSTEMS["deacl"]
    assert dataclasses.replace(own, method="deacl", title=other.title, source=other.source) == other
    assert [epochs_of(own, views, budget) for views, budget in ((8, 48), (16, 480))] == [7, 69]
