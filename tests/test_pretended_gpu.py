"""A GPU that is not there: tensors that compute nothing stand on it, so that what would fail on one, or wait, is seen.

Tensors on the pretended device are torch's fake tensors, which know shape, type and device alone and refuse to mix
devices; those on the CPU are real, so that what is read from them has its value. Reading a value from the device is
counted as a wait, and so is a copy to it from memory that is not pinned: both are where CUDA waits.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import traceback
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lib import paths
from lib.errors import BadInput
from lib.methods import METHODS, build_method, simclr, supervised
from lib.models import Encoder, build_encoder
from lib.runs import RunConfig
from lib.shifts import cues, saliency, textures
from lib.shifts.adversary import apgd, fgsm, pgd, square
from lib.shifts.corruptions import EVERY, corrupt
from lib.shifts.transforms import TRANSFORMS, image_distance, transform
from lib.training import Attack, Training, train
from lib.views import BYOL, SUPERVISED, View, make_view, patch_negatives

aten = torch.ops.aten
GPU = torch.device("cuda", 0)
READS = (aten._local_scalar_dense.default, aten.nonzero.default, aten.equal.default, aten.masked_select.default)


class Waited(AssertionError):
    """The host would have waited for the device."""


class Generator(torch.Generator):
    """One on a pretended device draws on the CPU; what matters is which device it says it is on."""

    def __new__(cls, device="cpu"):
        return super().__new__(cls, "cpu")

    def __init__(self, device="cpu"):
        self.pretended = torch.device(device)

    @property
    def device(self):
        return self.pretended


class Dispatch(TorchDispatchMode):
    """Sends what touches the device to fake tensors, all else to the CPU. A wait raises, except in `waiting`."""

    def __init__(self, fake: FakeTensorMode) -> None:
        super().__init__()
        self.fake, self.pinned, self.waits, self.answer = fake, {}, None, None

    @contextlib.contextmanager
    def waiting(self, answer=0.5):
        """Waits are allowed and listed, each with the line of `lib` that waits; what they read is `answer`."""
        before, self.waits, self.answer = (self.waits, self.answer), [], answer
        try:
            yield self.waits
        finally:
            self.waits, self.answer = before

    def wait(self, what):
        if self.waits is None:
            raise Waited(f"{what} waits for the device")
        lines = [frame for frame in traceback.extract_stack() if frame.filename.startswith(f"{paths.ROOT}/lib/")]
        self.waits.append(f"{what} at {lines[-1].filename.split('/lib/')[-1]}:{lines[-1].name}" if lines else what)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        here = [tensor for tensor in tensors if not isinstance(tensor, FakeTensor)]
        there = len(tensors) > len(here)
        target = kwargs.get("device")
        to_device = target is not None and torch.device(target).type == "cuda"
        if func is aten._pin_memory.default:
            self.pinned[id(args[0])] = args[0]  # kept, so that no other tensor gets its number
            return args[0]
        if func is aten.is_pinned.default:
            return id(args[0]) in self.pinned
        if not there and not to_device:
            with unset_fake_temporarily():
                return func(*args, **kwargs)
        if not there and here and not (func is aten._to_copy.default and self._without_waiting(args[0], kwargs)):
            self.wait(f"a copy to the device of {tuple(here[0].shape)}")
        if func in READS or _selects(func, args):
            self.wait(str(func))
            return self._read(func, args)
        if there and target is not None and not to_device:
            self.wait(f"a copy from the device of {tuple(tensors[0].shape)}")
            with unset_fake_temporarily():
                return torch.full(tensors[0].shape, self.answer, dtype=tensors[0].dtype)
        if func is aten.cudnn_grid_sampler.default:  # has no fake; it is this one, bilinear with black borders
            func, args = aten.grid_sampler_2d.default, (*args, 0, 0, True)
        with self.fake:
            return func(*args, **kwargs)

    def _read(self, func, args):
        """What is read is `answer`; two tensors are equal, and every place of a mask is true."""
        if func is aten._local_scalar_dense.default:
            return self.answer
        if func is aten.equal.default:
            return True
        if func is aten.nonzero.default:
            return torch.zeros(len(args[0]), args[0].ndim, dtype=torch.long, device=GPU)
        raise AssertionError(f"no answer to {func}")

    def _without_waiting(self, tensor, kwargs):
        return kwargs.get("non_blocking", False) and id(tensor) in self.pinned


def _selects(func, args) -> bool:
    """Whether it indexes by a mask, whose number of true entries the host has to know, or by numbers on the CPU."""
    if func not in (aten.index.Tensor, aten.index_put_.default, aten.index_put.default):
        return False
    if func is not aten.index.Tensor and all(i is None or i.dtype == torch.bool for i in args[1]):
        return args[2].ndim > 0  # one number is written to all by a mask without being counted
    return any(i is not None and (i.dtype == torch.bool or not isinstance(i, FakeTensor)) for i in args[1])


class Function(TorchFunctionMode):
    """Checks where generators are before torch sees what they really are, and takes them away."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        generator = kwargs.get("generator")
        if generator is not None and isinstance(generator, Generator):
            own = args and isinstance(args[0], Tensor)
            drawn = args[0].device if own else torch.device(kwargs.get("device", "cpu"))
            assert generator.device.type == drawn.type, f"{func} on {drawn} by a generator on {generator.device}"
            if drawn.type == "cuda":
                del kwargs["generator"]
        return func(*args, **kwargs)


def _applied(self, fn, recurse=True):
    """`nn.Module._apply` that puts new parameters in place of old ones; one that two modules share stays one."""
    new = {}
    for module in self.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                if id(parameter) not in new:
                    moved = fn(parameter.detach())
                    new[id(parameter)] = parameter, nn.Parameter(moved, requires_grad=parameter.requires_grad)
                module._parameters[name] = new[id(parameter)][1]
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = fn(buffer)
    return self


def _leaves(root) -> set:
    """The tensors that a backward from the node `root` reaches."""
    seen, found, nodes = set(), [], [root]
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.append(node.variable)
        nodes += [after for after, _ in node.next_functions]
    return found


def _backward(self, *arguments, **options):
    """The engine asks the driver for its streams; here each leaf of the graph gets a gradient of its own shape."""
    assert self.numel() == 1 and self.grad_fn is not None
    for leaf in _leaves(self.grad_fn):
        gradient = torch.zeros_like(leaf)
        leaf.grad = gradient if leaf.grad is None else leaf.grad + gradient


def _grad(outputs, inputs, *arguments, **options):
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    leaves = _leaves(outputs.grad_fn)
    assert all(any(leaf is given for leaf in leaves) for given in inputs)
    return tuple(torch.zeros_like(given) for given in inputs)


@pytest.fixture
def gpu(monkeypatch):
    """The pretended device's `Dispatch`; within it "cuda" is a device."""
    monkeypatch.setattr(torch, "Generator", Generator)
    monkeypatch.setattr(nn.Module, "_apply", _applied)
    monkeypatch.setattr(Tensor, "backward", _backward)
    monkeypatch.setattr(torch.autograd, "grad", _grad)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: True)
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda *_: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda *_: 0)
    monkeypatch.setattr(torch.random, "fork_rng", lambda *_: contextlib.nullcontext())
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    dispatch = Dispatch(fake)
    _clear()
    with fake, dispatch, Function():
        yield dispatch
    _clear()


def _clear() -> None:
    """Empty what `lib` keeps of earlier calls: no tensor of one pretended device is found on the next."""
    for name in [name for name in sys.modules if name.startswith(("lib.views", "lib.shifts"))]:
        for value in list(vars(sys.modules[name]).values()):
            if hasattr(value, "cache_clear"):
                value.cache_clear()


# What the pretended device finds


@pytest.mark.parametrize(
    "fault",
    [
        lambda x: x.sum().item(),
        lambda x: x.tolist(),
        lambda x: bool((x > 0).any()),
        lambda x: x.nonzero(),
        lambda x: x[x > 0],
        lambda x: x.cpu(),
        lambda x: torch.equal(x, x + 1),
        lambda x: torch.tensor([1.0, 2.0], device=x.device),
        lambda x: torch.tensor(1.0, device=x.device),
        lambda x: torch.arange(3).to(x.device),
        lambda x: x[torch.tensor([0, 1])],
    ],
)
def test_a_wait_is_seen(gpu, fault):
    with pytest.raises(Waited):
        fault(torch.ones(3, device=GPU))


@pytest.mark.parametrize(
    "fault",
    [
        lambda x: x + torch.ones(3),
        lambda x: torch.cat((x, torch.zeros(3))),
        lambda x: x @ torch.ones(3),
        lambda x: x.copy_(torch.rand(3, device=x.device, generator=torch.Generator())),
        lambda x: x.normal_(generator=torch.Generator()),
    ],
)
def test_mixed_devices_are_seen(gpu, fault):
    with pytest.raises((RuntimeError, AssertionError)):
        fault(torch.ones(3, device=GPU))


def test_what_waits_for_nothing_passes(gpu):
    x = torch.ones(3, device=GPU)
    assert x.is_cuda and torch.ones(3).tolist() == [1, 1, 1]
    assert (x + torch.tensor(1.0)).is_cuda  # a single number goes along as an argument
    assert torch.arange(3).pin_memory().to(GPU, non_blocking=True).is_cuda
    assert torch.rand(3, device=GPU, generator=torch.Generator(GPU)).is_cuda
    assert x[torch.arange(2, device=GPU)].is_cuda
    x[x > 0] = 0.0


# Training


class Small(Encoder):
    """A convolution, a batch norm and a mean: what a method needs of an encoder, and no more time than that."""

    features = 16

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, self.features, 3, stride=2), nn.BatchNorm2d(self.features))

    def forward(self, x):
        return self.layers(self.normalised(x)).relu().mean(dim=(2, 3))


def pictures(count=8, side=32):
    return torch.zeros(count, 3, side, side, dtype=torch.uint8, device=GPU)


def built(gpu, name, encoder, settings=None):
    """The method on the device: sending its weights there may wait."""
    teacher = [type(encoder)()] if hasattr(METHODS[name].build, "teacher") else []
    with gpu.waiting():
        return build_method(name, encoder, settings or METHODS[name].settings(), 10, *teacher).to(GPU)


ENTRANCES = ("at inputs.py:check_labels", "at models/encoder.py:normalise_by")  # values are looked at once a call


def inside(waits):
    """What waits behind the entrance of a function."""
    return [wait for wait in waits if not wait.endswith(ENTRANCES)]


def waits_of_training(gpu, method, plan=None, **options):
    """What waits in an epoch of one step, and its entry in the history."""
    images, labels = pictures(8), torch.zeros(8, dtype=torch.long, device=GPU)
    plan = Training(epochs=1, batch_size=8, warmup_epochs=0, precision="bf16", **(plan or {}))
    with gpu.waiting() as waits:
        options |= {"beside": {"removed": images, "textures": images}, "progress": False}
        (entry,) = train(method, images, labels, plan, seed=0, **options)
    encoders = sum(hasattr(module, "normalise_by") for module in method.modules())
    assert len(waits) - len(inside(waits)) <= 2 + encoders  # the least and the most label, and one for each encoder
    return inside(waits), entry


ATTACKS = (None, "pgd(2)", "free(2)")
BESIDE = {"epoch", "loss", "learning_rate", "seconds", "images_per_second", "peak_memory_mib"}


@pytest.mark.parametrize(("name", "attack"), [*itertools.product(METHODS, ATTACKS), ("simclr", "fgsm")])
def test_training_waits_at_the_end_of_an_epoch_alone(gpu, name, attack):
    """There each term of the loss is read, once."""
    attack = Attack(attack) if attack else None
    try:
        RunConfig("scenes", name, attack=attack)
    except BadInput:
        pytest.skip("no such run")
    method = built(gpu, name, Small())
    # Views are tested below; without colours they are drawn and made in the same way, by fewer operations.
    method.views = tuple(replace(view, jitter=0, grey=0, solarize=0) for view in method.views)
    waits, entry = waits_of_training(gpu, method, attack=attack)
    assert waits == ["aten._local_scalar_dense.default at training/trainer.py:<dictcomp>"] * len(entry.keys() - BESIDE)


@pytest.mark.parametrize("negatives", ["patch", "texture"])
def test_negatives_and_removed_backgrounds_wait_for_nothing(gpu, negatives):
    waits, _ = waits_of_training(gpu, built(gpu, "simclr", Small(), simclr.Settings(negatives=negatives)))
    assert len(waits) == 1
    waits, _ = waits_of_training(gpu, built(gpu, "supervised", Small(), supervised.Settings(removed=0.5)))
    assert len(waits) == 1


@pytest.mark.parametrize("optimiser", ["sgd", "lars", "adamw"])
@pytest.mark.parametrize("encoder", ["resnet10_narrow", "vit_narrow_patch4"])
def test_encoders_and_optimisers_wait_for_nothing(gpu, encoder, optimiser):
    method = built(gpu, "supervised", build_encoder(encoder))
    waits, _ = waits_of_training(gpu, method, plan={"optimiser": optimiser}, attack=Attack("pgd(1)"))
    assert len(waits) == 1


def test_arithmetic_is_exact_and_repeatable_inside_a_step_and_as_it_was_behind_it(gpu):
    """The switches are read where the loss is computed; a user's own are found again."""
    seen, switches = [], torch.backends.cudnn.conv
    before, switches.fp32_precision = switches.fp32_precision, "tf32"

    class Watching(Small):
        def forward(self, x):
            seen.append((switches.fp32_precision, torch.are_deterministic_algorithms_enabled()))
            return super().forward(x)

    waits_of_training(gpu, built(gpu, "supervised", Watching()), attack=Attack("fgsm"))
    assert len(seen) == 2 and set(seen) == {("ieee", True)}
    assert switches.fp32_precision == "tf32" and not torch.are_deterministic_algorithms_enabled()
    switches.fp32_precision = before


# Shifts


def test_images_on_the_device_are_corrupted_there_without_waiting(gpu):
    """All 29; the exceptions are a codec of the CPU, and edges that grow until nothing changes."""
    allowed = {"jpeg_compression": 2, "spatter": 1}
    for name in EVERY:
        with gpu.waiting() as waits:
            corrupted = corrupt(pictures(2), name, 3)
        assert corrupted.is_cuda and corrupted.dtype == torch.uint8
        assert len(waits) == allowed.get(name, 0), (name, waits)


def test_images_on_the_device_are_transformed_there_without_waiting(gpu):
    for name, kind in TRANSFORMS.items():
        parameters = kind.grid(32)[:2]
        moved = transform(pictures(len(parameters)), name, parameters)
        assert moved.is_cuda and image_distance(moved.mul(255).byte(), pictures(len(moved))).is_cuda, name


def test_views_on_the_device_wait_for_nothing(gpu):
    generator = torch.Generator(GPU)
    for view in (*BYOL, *SUPERVISED, View(blur=0.5, solarize=0.5)):
        assert make_view(pictures(), view, generator).is_cuda
    assert patch_negatives(pictures(), generator).is_cuda


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_attacks_wait_only_where_they_say_so(gpu, norm):
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10))
    with gpu.waiting():
        net = net.to(GPU)
    images, labels = pictures(4), torch.zeros(4, dtype=torch.long, device=GPU)

    def loss(adversarial):
        return nn.functional.cross_entropy(net(adversarial), labels, reduction="none")

    assert fgsm(images, loss, 0.1, norm=norm, modules=net).is_cuda
    assert pgd(images, loss, 0.1, 0.02, 2, norm, modules=net, restarts=2, samples=2).is_cuda
    assert pgd(images.float(), loss, 0.1, 0.02, 1, norm, modules=net, check=False).is_cuda
    with gpu.waiting() as waits:
        pgd(images.float(), loss, 0.1, 0.02, 1, norm, modules=net)
    assert len(waits) == 2  # the least and the most of its values, which come together
    for kind in ("ce", "dlr", "dlr-targeted"):
        with gpu.waiting() as waits:
            apgd(images, net, labels, 0.1, 3, norm, modules=net, loss=kind, targets=2)
        assert inside(waits) and all("nonzero" in wait for wait in inside(waits))  # which are left, once a restart
    if norm == "linf":
        with gpu.waiting() as waits:
            square(images, net, labels, 0.1, 3, modules=net)
        assert len(inside(waits)) == 1


def test_textures_cues_and_saliency_mix_no_devices(gpu):
    """They are made once for a set, and may wait: for a threshold, and while something grows."""
    images, seeds = pictures(2), torch.arange(2, device=GPU)
    with gpu.waiting(answer=255) as waits:
        made = [
            cues.patch_shuffle(images, 4, seeds.clone()), cues.low_pass(images, 4), cues.high_pass(images, 4),
            cues.edges(images), cues.silhouette(images), cues.recolour(images, images),
            cues.stylise(images, images, images), textures.synthesise(images, seeds, 14),
            saliency.binary(saliency.fused(images)),
        ]  # fmt: skip
    assert all(part.is_cuda for part in made)
    assert not [wait for wait in waits if "copy" in wait]
