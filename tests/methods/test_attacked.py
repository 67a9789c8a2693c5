"""Methods that are trained under an attack (ACL, DeACL, TRADES), and the views of EMP-SSL."""

import copy
import dataclasses
import math

import pytest
import scipy.stats
import sklearn.metrics
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from lib.errors import BadInput
from lib.methods import METHODS, PLAIN, acl, build_method, deacl, emp_ssl, trades
from lib.models import build_encoder
from lib.shifts.adversary import held, pgd
from lib.training.optimisers import build_optimiser

ATTACKED = [name for name in METHODS if name not in PLAIN]
COUNT, CLASSES = 6, 4
SEEDS = st.integers(0, 10_000)
EXAMPLES = settings(max_examples=10, deadline=None)


def encoder(seed=0):
    torch.manual_seed(seed)
    return build_encoder("resnet10_narrow")


def fresh(name, **changes):
    chosen = dataclasses.replace(METHODS[name].settings(), **changes)
    return build_method(name, encoder(), chosen, CLASSES, teacher=encoder(1))


def pictures(views, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(COUNT, 3, 32, 32, generator=generator) for _ in range(views)]


def batch(method, seed=0):
    """Adversarial views (random ones will do), clean views, and labels where they are asked for."""
    count = len(method.views)
    labels = (torch.arange(COUNT) % CLASSES,) if method.uses_labels else ()
    return pictures(count, seed + 1), pictures(count, seed), *labels


def norms(module):
    return [part for part in module.modules() if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d)]


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def number(rows):
    """A mean of numbers as Python has them."""
    rows = list(rows)
    return math.fsum(rows) / len(rows)


def cosine(a, b):
    dot = math.fsum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(math.fsum(x * x for x in a) * math.fsum(y * y for y in b))


# All three.


def test_the_table_and_the_classes_agree():
    assert {"acl", "deacl", "trades"} <= set(ATTACKED)
    for method in METHODS.values():
        assert method.attacked == getattr(method.build, "needs_attack", False)
        assert not method.attacked or hasattr(method.build, "weakness")


@pytest.mark.parametrize("name", ATTACKED)
def test_every_trained_part_gets_a_gradient_and_is_optimised_once(name):
    method = fresh(name).train()
    terms = method(*batch(method))
    assert all(term.ndim == 0 and term.isfinite() for term in terms.values())
    sum(terms.values()).backward()
    for words, parameter in method.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, words
        else:
            assert parameter.grad is None and words.startswith("teacher_encoder"), words
    optimised = [
        parameter for group in build_optimiser("sgd", method, 0.0).param_groups for parameter in group["params"]
    ]
    assert len({id(parameter) for parameter in optimised}) == len(optimised)
    assert {id(p) for p in optimised} == {id(p) for p in method.parameters() if p.requires_grad}


@pytest.mark.parametrize("name", ATTACKED)
def test_losses_are_float32_where_the_encoder_is_not(name):
    method = fresh(name).train()
    views, *others = batch(method)
    with torch.autocast("cpu", torch.bfloat16):
        terms, height = method(views, *others), method.weakness(views, *others)
    assert {value.dtype for value in (*terms.values(), height)} == {torch.float32}


@pytest.mark.parametrize("name", ATTACKED)
@pytest.mark.parametrize("mode", ["eval", "batch"])
def test_pgd_raises_the_weakness_and_leaves_the_method_alone(name, mode):
    method = fresh(name).train()
    _, clean, *labels = batch(method)
    before = state(method)

    def loss(adversarial):
        return method.weakness(list(adversarial.split(COUNT)), clean, *labels)

    adversarial = pgd(torch.cat(clean), loss, "8/255", "2/255", 3, modules=method, mode=mode, keep="last")
    assert (adversarial - torch.cat(clean)).abs().max() <= 8 / 255 + 1e-6
    with held(method, mode), torch.no_grad():
        assert loss(adversarial).sum() > loss(torch.cat(clean)).sum()
    assert same(before, state(method)) and all(parameter.grad is None for parameter in method.parameters())
    assert method.training


@pytest.mark.parametrize("name", ATTACKED)
def test_weakness_has_a_gradient_while_parameters_have_none(name):
    method = fresh(name).train()
    views, clean, *labels = batch(method)
    views = [view.requires_grad_() for view in views]
    with held(method, "batch"):
        height = method.weakness(views, clean, *labels)
        assert height.shape in ((), (COUNT,))
        assert all(gradient.abs().sum() > 0 for gradient in torch.autograd.grad(height.sum(), views))


# ACL.


def nt_xent_by_hand(first, second, temperature):
    z = [*first.tolist(), *second.tolist()]
    count = len(first)

    def term(i):
        heights = {k: cosine(z[i], z[k]) / temperature for k in range(2 * count) if k != i}
        return math.log(math.fsum(map(math.exp, heights.values()))) - heights[(i + count) % (2 * count)]

    return number(map(term, range(2 * count)))


def test_acl_is_half_of_simclr_s_loss_for_each_pair():
    method = fresh("acl", temperature=0.3).eval()
    views, clean = batch(method)
    with torch.no_grad():
        terms = method(views, clean)
        first, second = (method.clean_head(method.clean_encoder(view)) for view in clean)
        assert terms["clean"].item() == pytest.approx(nt_xent_by_hand(first, second, 0.3) / 2, rel=1e-5)
        first, second = (method.head(method.encoder(view)) for view in views)
        expected = nt_xent_by_hand(first, second, 0.3)
    assert terms["adversarial"].item() == pytest.approx(expected / 2, rel=1e-5)
    assert method.weakness(views, clean).item() == pytest.approx(expected, rel=1e-5)


def test_acl_with_equal_norms_and_no_perturbation_has_two_equal_terms():
    method = fresh("acl").train()
    clean = pictures(2)
    terms = method(clean, clean)
    assert terms["clean"].item() == terms["adversarial"].item()
    terms = method(pictures(2, seed=5), clean)
    assert terms["clean"].item() != terms["adversarial"].item()


def test_acl_s_streams_keep_their_own_statistics():
    method = fresh("acl").train()
    adversarial, clean = (method.encoder, method.head), (method.clean_encoder, method.clean_head)
    for used, others in ((adversarial, clean), (clean, adversarial)):
        before = [copy.deepcopy(dict(part.named_buffers())) for part in (*used, *others)]
        used[1](used[0](torch.cat(pictures(2))))
        after = [dict(part.named_buffers()) for part in (*used, *others)]
        assert not any(same(old, new) for old, new in zip(before[:2], after[:2], strict=True))
        assert all(same(old, new) for old, new in zip(before[2:], after[2:], strict=True))


def tied(method):
    """Whether exactly the parameters of batch norms are two, everything else one."""
    for part, counterpart in ((method.encoder, method.clean_encoder), (method.head, method.clean_head)):
        own = {id(parameter) for norm in norms(part) for parameter in norm.parameters()}
        for one, other in zip(part.parameters(), counterpart.parameters(), strict=True):
            if (one is other) == (id(one) in own) or (one.data_ptr() == other.data_ptr()) == (id(one) in own):
                return False
    return True


DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.mark.parametrize("device", DEVICES)
def test_acl_s_tie_outlives_devices_formats_copies_and_states(device, tmp_path):
    method = fresh("acl").train()
    assert tied(method)
    method.to(device).to(memory_format=torch.channels_last)
    assert tied(method) and tied(copy.deepcopy(method))
    torch.save(method.state_dict(), tmp_path / "state.pt")
    other = fresh("acl").to(device)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
    other.load_state_dict(torch.load(tmp_path / "state.pt", map_location=device, weights_only=True))
    assert tied(other) and same(state(other), state(method))
    optimiser = build_optimiser("sgd", other, 0.0)
    optimiser.param_groups[0]["lr"] = 0.1
    sum(other(*([view.to(device) for view in views] for views in batch(other))).values()).backward()
    optimiser.step()
    assert tied(other) and torch.equal(other.encoder.stem.weight, other.clean_encoder.stem.weight)
    assert not torch.equal(other.encoder.stem.weight, method.encoder.stem.weight)


@pytest.mark.parametrize("name", ["resnet10_narrow", "resnet18", "vit_narrow_patch4"])
def test_only_batch_norms_have_a_twin(name):
    module = build_encoder(name)
    other = acl.twin(module)
    apart = {words for words, parameter in module.named_parameters() if parameter is not other.get_parameter(words)}
    expected = {
        f"{place}.{kind}"
        for place, part in module.named_modules()
        if isinstance(part, nn.BatchNorm2d)
        for kind in ("weight", "bias")
    }
    assert apart == expected


def test_gradient_of_acl_s_shared_weights_is_that_of_two_copies_together():
    method = fresh("acl").double().train()
    assert tied(method)
    views, clean = ([view.double() for view in some] for some in batch(method))
    alone = copy.deepcopy((method.encoder, method.head)), copy.deepcopy((method.clean_encoder, method.clean_head))
    sum(method(views, clean).values()).backward()
    for (part, head), pair in zip(alone, (views, clean), strict=True):
        (METHODS["simclr"].build.loss(method, *head(part(torch.cat(pair))).float().chunk(2)) / 2).backward()
    for place in (0, 1):
        ours = (method.encoder, method.head)[place], (method.clean_encoder, method.clean_head)[place]
        copies = [dict(parts[place].named_parameters()) for parts in alone]
        for words, parameter in ours[0].named_parameters():
            gradients = [part[words].grad for part in copies]
            if parameter is ours[1].get_parameter(words):
                assert torch.allclose(parameter.grad, sum(gradients), rtol=1e-4, atol=1e-7), words
            else:
                assert torch.allclose(parameter.grad, gradients[0], rtol=1e-4, atol=1e-7), words
                assert torch.allclose(ours[1].get_parameter(words).grad, gradients[1], rtol=1e-4, atol=1e-7), words


def test_every_encoder_of_a_method_can_be_told_the_mean_of_the_images():
    method = fresh("acl")
    images = torch.randint(256, (50, 3, 32, 32), dtype=torch.uint8)
    for module in (module for module in method.modules() if hasattr(module, "normalise_by")):
        module.normalise_by(images)
    for one in (method.encoder, method.clean_encoder):
        assert torch.allclose(one.mean.flatten(), images.float().mean((0, 2, 3)) / 255, atol=1e-5)


# DeACL.


def test_deacl_by_hand():
    method = fresh("deacl", robustness=3.0).train()
    with torch.no_grad():
        for parameter in method.encoder.parameters():
            parameter.mul_(1.1)
        (view,), (clean,) = batch(method)
        target = method.teacher_encoder(clean).tolist()
        terms = method([view], [clean])
        features = copy.deepcopy(method.encoder)(torch.cat((clean, view))).tolist()  # one batch, one set of statistics
        height = method.eval().weakness([view], [clean]).tolist()
        seen = method.encoder(view).tolist()
    features, attacked = features[:COUNT], features[COUNT:]
    distilled = number(1 - cosine(x, t) for x, t in zip(features, target, strict=True))
    robust = number(1 - cosine(a, x) for a, x in zip(attacked, features, strict=True))
    assert terms["distillation"].item() == pytest.approx(distilled, rel=1e-4)
    assert terms["robustness"].item() == pytest.approx(3 * robust, rel=1e-4)
    assert height == pytest.approx([1 - cosine(a, t) for a, t in zip(seen, target, strict=True)], rel=1e-4, abs=1e-6)


def test_deacl_begins_at_its_teacher_where_nothing_is_lost():
    teacher = encoder(1)
    teacher.train()(torch.rand(8, 3, 32, 32))  # statistics worth copying
    method = build_method("deacl", encoder(), deacl.Settings(), CLASSES, teacher).eval()
    assert same(state(method.encoder), state(teacher))
    clean = pictures(1)
    terms = method(clean, clean)
    assert all(term.item() == pytest.approx(0, abs=1e-6) for term in terms.values())
    assert method.weakness(clean, clean).tolist() == pytest.approx([0] * COUNT, abs=1e-6)
    assert method.weakness(pictures(1, seed=9), clean).min() > 1e-6


def test_deacl_s_teacher_is_a_copy_that_nothing_moves():
    teacher = encoder(1).train()
    method = build_method("deacl", encoder(), deacl.Settings(), CLASSES, teacher)
    before = state(teacher)
    optimiser = build_optimiser("sgd", method, 0.1)
    for _ in range(2):
        method.eval()
        method.train()
        assert method.encoder.training and not any(part.training for part in method.teacher_encoder.modules())
        for group in optimiser.param_groups:
            group["lr"] = 0.1
        optimiser.zero_grad()
        sum(method(*batch(method)).values()).backward()
        optimiser.step()
        method.after_step(0.5)
    assert same(state(method.teacher_encoder), before) and not same(state(method.encoder), before)
    assert same(state(teacher), before) and teacher.training
    assert all(parameter.requires_grad for parameter in teacher.parameters())


def test_deacl_pulls_the_clean_and_the_adversarial_feature_together_from_both_sides():
    method = fresh("deacl").eval()
    (view,), (clean,) = ([images.requires_grad_() for images in some] for some in batch(method))
    terms = method([view], [clean])
    slopes = torch.autograd.grad(terms["robustness"], (view, clean), retain_graph=True)
    assert all(slope.abs().max() > 0 for slope in slopes)
    slopes = torch.autograd.grad(terms["distillation"], (view, clean), allow_unused=True)
    assert slopes[0].abs().max() == 0 < slopes[1].abs().max()


@pytest.mark.parametrize("mode", ["eval", "batch"])
def test_deacl_s_teacher_says_the_same_in_every_mode(mode):
    method = fresh("deacl").train()
    clean = pictures(1)
    expected = copy.deepcopy(method.teacher_encoder).eval()(clean[0])
    assert torch.equal(method.target(clean), expected)
    with held(method, mode):
        assert torch.equal(method.target(clean), expected)


def test_deacl_is_not_built_without_a_teacher():
    with pytest.raises(BadInput, match="deacl learns from a teacher: give it an encoder that was trained by simclr"):
        build_method("deacl", encoder(), deacl.Settings(), CLASSES)
    assert deacl.DeACL.teacher in PLAIN
    for name in PLAIN:
        assert not hasattr(METHODS[name].build, "teacher")
    for epochs in (0, 1.5, True):
        with pytest.raises(BadInput, match="teacher_epochs is a whole number of at least 1, or None"):
            deacl.Settings(teacher_epochs=epochs)


# TRADES.


def chances(method, view):
    return F.softmax(method.head(method.encoder(view)).double(), dim=1).detach().numpy()


def test_trades_is_scikit_learn_s_log_loss_and_scipy_s_relative_entropy():
    method = fresh("trades", beta=2.5).train()
    (view,), (clean,), labels = batch(method)
    terms = method([view], [clean], labels)
    p, q = (chances(copy.deepcopy(method), images) for images in (clean, view))  # batches of their own
    assert terms["cross-entropy"].item() == pytest.approx(
        sklearn.metrics.log_loss(labels, p, labels=range(CLASSES)), rel=1e-5
    )
    entropies = scipy.stats.entropy(p, q, axis=1)
    assert terms["divergence"].item() == pytest.approx(2.5 * entropies.mean(), rel=1e-4)
    assert method.weakness([view], [clean], labels).tolist() == pytest.approx(entropies.tolist(), rel=1e-3, abs=1e-6)


def test_trades_without_perturbation_is_supervised():
    method = fresh("trades").eval()
    _, clean, labels = batch(method)
    terms = method(clean, clean, labels)
    assert terms["divergence"].item() == pytest.approx(0, abs=1e-6)
    supervised = build_method("supervised", method.encoder, METHODS["supervised"].settings(), CLASSES).eval()
    supervised.head = method.head
    assert terms["cross-entropy"].item() == supervised(clean, labels)["cross-entropy"].item()


@EXAMPLES
@given(SEEDS, st.floats(0.1, 20))
def test_divergence_is_never_negative_and_nothing_for_equal_answers(seed, scale):
    clean, attacked = scale * torch.randn(2, COUNT, CLASSES, generator=torch.Generator().manual_seed(seed)).double()
    value = trades.divergence(clean, attacked)
    expected = scipy.stats.entropy(F.softmax(clean, dim=1), F.softmax(attacked, dim=1), axis=1)
    assert value.min() >= 0 and value.tolist() == pytest.approx(expected.tolist(), rel=1e-7, abs=1e-12)
    assert trades.divergence(clean, clean).abs().max() < 1e-12
    assert trades.divergence(clean, attacked + 3.0).tolist() == pytest.approx(value.tolist(), rel=1e-7, abs=1e-10)


def test_trades_weakness_has_no_slope_at_the_clean_image_and_does_not_see_labels():
    method = fresh("trades").eval()
    views, clean, labels = batch(method)
    here = [clean[0].clone().requires_grad_()]
    height = method.weakness(here, clean, labels)
    assert height.abs().max() < 1e-6
    flat = torch.autograd.grad(height.sum(), here)[0].abs().max()
    there = [views[0].requires_grad_()]
    steep = torch.autograd.grad(method.weakness(there, clean, labels).sum(), there)[0].abs().max()
    assert flat < 1e-3 * steep
    assert torch.equal(method.weakness(views, clean, labels), method.weakness(views, clean, labels.flip(0)))


def test_trades_attack_holds_the_clean_answer_fixed_and_its_training_does_not():
    method = fresh("trades").eval()
    views, clean, labels = batch(method)
    clean[0].requires_grad_(), views[0].requires_grad_()
    given = torch.autograd.grad(method.weakness(views, clean, labels).sum(), clean, allow_unused=True)
    assert given == (None,)
    slope = torch.autograd.grad(method(views, clean, labels)["divergence"], clean)[0]
    assert slope.abs().max() > 0


# EMP-SSL's views.


def test_emp_ssl_as_it_was_is_its_default():
    method = fresh("emp_ssl")
    assert method.views == (emp_ssl.PATCH,) * 8
    assert emp_ssl.PROTOCOL == 3


@pytest.mark.parametrize("count", [2, 16])
def test_emp_ssl_has_as_many_views_as_it_is_asked_for(count):
    method = fresh("emp_ssl", views=count, crop="crop").train()
    assert len(method.views) == count and len(set(method.views)) == 1
    view = method.views[0]
    assert view.crop_scale == (0.08, 1.0) and view.crop_ratio == (3 / 4, 4 / 3)
    assert dataclasses.replace(view, crop_scale=(0.25, 0.25), crop_ratio=(1.0, 1.0)) == emp_ssl.PATCH
    terms = method(pictures(count))
    assert all(term.isfinite() for term in terms.values())


def test_emp_ssl_refuses_other_views_in_a_sentence():
    with pytest.raises(BadInput, match=r"unknown crop 'crops' \(did you mean 'crop'\?\); allowed: patch, crop"):
        emp_ssl.Settings(crop="crops")
    for count in (1, 0, 8.0, True, "8"):
        with pytest.raises(BadInput, match="views is a whole number of at least 2, not"):
            emp_ssl.Settings(views=count)
