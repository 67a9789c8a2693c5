import pytest
import torch

from lib.errors import BadInput
from lib.precision import autocast, full_precision, precision_on

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
