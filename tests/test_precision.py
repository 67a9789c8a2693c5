import pytest
import torch

from lib.errors import BadInput
from lib.measures import extract
from lib.precision import autocast, exact_float32, full_precision, precision_on, repeatable
from lib.shifts.adversary import pgd

CPU = torch.device("cpu")
PRODUCT = {"bf16": torch.bfloat16, "fp32": torch.float32}


@pytest.mark.parametrize(
    ("parts", "precision"),
    [
        ({"avx2": True, "avx512_f": False}, "fp32"),
        ({"avx2": True, "avx512_f": True, "avx512_bf16": False}, "fp32"),
        ({"avx2": True, "avx512_f": True, "avx512_bf16": True}, "bf16"),
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": True}, "bf16"),
        ({"neon": True, "bf16": True}, "fp32"),
        ({}, "fp32"),
    ],
)
def test_auto_is_bf16_where_the_processor_multiplies_in_it(parts, precision, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: parts)
    assert precision_on(CPU) == precision
    with autocast(CPU, "auto"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == PRODUCT[precision]


@pytest.mark.parametrize("precision", PRODUCT)
def test_a_named_precision_is_kept_and_a_loss_is_in_float32(precision):
    assert precision_on(CPU, precision) == precision
    with autocast(CPU, precision):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
        with full_precision(product):
            loss = product.float() @ product.float()
    assert product.dtype == PRODUCT[precision] and loss.dtype == torch.float32


def test_an_unknown_precision_is_refused():
    with pytest.raises(BadInput, match="allowed: auto, bf16, fp32"):
        precision_on(CPU, "fp16")


SWITCHES = (torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.mkldnn.matmul)


@pytest.fixture
def rounded():
    """What a notebook may have switched on."""
    before = [switch.fp32_precision for switch in SWITCHES]
    for switch in SWITCHES:
        switch.fp32_precision = "tf32" if switch is not SWITCHES[2] else "bf16"
    yield ["tf32", "tf32", "bf16"]
    for switch, value in zip(SWITCHES, before, strict=True):
        switch.fp32_precision = value


def now():
    return [switch.fp32_precision for switch in SWITCHES]


def test_float32_is_exact_in_its_context_and_as_it_was_behind_it(rounded):
    with exact_float32():
        assert now() == ["ieee"] * 3
        with exact_float32():
            pass
        assert now() == ["ieee"] * 3
    assert now() == rounded
    with pytest.raises(ZeroDivisionError), exact_float32():
        1 / 0  # noqa: B018
    assert now() == rounded


def test_attacks_and_features_are_computed_in_exact_float32(rounded):
    seen = []

    class Watching(torch.nn.Module):
        def forward(self, x):
            seen.append(now())
            return x.mean(dim=(2, 3))

    net, images = Watching(), torch.full((2, 3, 4, 4), 0.5)
    pgd(images, lambda x: net(x).sum(dim=1), 0.1, 0.05, 2, modules=net)
    extract(net, images)
    assert len(seen) == 4 and all(switches == ["ieee"] * 3 for switches in seen)
    assert now() == rounded


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_what_is_repeatable_says_so_and_leaves_everything_as_it_was(device, rounded):
    """A GPU's switches can be turned without one."""
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    with repeatable(torch.device(device)) as used:
        assert used == {"tf32": False, "deterministic": True}
        assert torch.are_deterministic_algorithms_enabled() == (device == "cuda" or before[0])
        assert now() == ["ieee"] * 3
    assert (torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark) == before
    assert now() == rounded
