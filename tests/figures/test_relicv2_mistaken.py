"""The worked example of an invariance loss, by scipy and by hand."""

import re

import pytest
import torch
from scipy import special, stats

from lib.chapters.relicv2.mistaken import CROP, OTHER_CROP, divergence, mistaken_words, taken_for
from lib.errors import BadInput


@pytest.mark.parametrize("temperature", [0.05, 0.1, 1.0])
def test_distributions_and_divergences_are_those_of_scipy(temperature):
    expected = [special.softmax([cosine / temperature for cosine in cosines]) for cosines in (CROP, OTHER_CROP)]
    p, q = (taken_for(cosines, temperature) for cosines in (CROP, OTHER_CROP))
    assert torch.allclose(p, torch.tensor(expected[0])) and torch.allclose(q, torch.tensor(expected[1]))
    assert divergence(q, p) == pytest.approx(stats.entropy(expected[1], expected[0]))
    assert divergence(p, p) == 0


def test_two_images_by_hand():
    """A lead of temperature times log 3 is three to one."""
    half = taken_for([0.2, 0.2], 0.1)
    one = taken_for([0.1 * torch.tensor(3.0).log().item(), 0], 0.1)
    assert half.tolist() == [0.5, 0.5] and one.tolist() == pytest.approx([0.75, 0.25])
    assert divergence(half, one) == pytest.approx(0.5 * torch.tensor(4 / 3).log().item())


@pytest.mark.parametrize(("cosines", "temperature"), [([0.5], 0.1), ([], 1.0), ([0.5, 0.1], 0.0)])
def test_what_nobody_is_taken_for(cosines, temperature):
    with pytest.raises(BadInput, match="one of two images or more, at a temperature above zero"):
        taken_for(cosines, temperature)


def test_both_crops_have_the_same_contrast_and_differ_in_what_they_are_mistaken_for():
    """At the method's temperature of 0.1: exp 6, exp 5 and exp 3 over their sum, and the last two swapped."""
    words = mistaken_words()
    numbers = re.findall(r"\d+\.\d+|\d+", words)
    assert numbers == ["0.1", "0.6", "0.5", "0.3", "71", "26", "4", "0.35", "0.6", "0.3", "0.5", "71", "4", "26",
                       "0.35", "0.45"]  # fmt: skip
    assert mistaken_words(CROP, CROP).endswith("The divergence between both is 0.00.")
