"""Every test has its own folders: nothing outside is read or written."""

import os
from pathlib import Path

import pytest
import torch

from lib import images

DATA = os.environ.get("WITHSTAND_DATA")


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("WITHSTAND_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("WITHSTAND_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("WITHSTAND_DATA", raising=False)


@pytest.fixture
def real_cifar10(monkeypatch):
    """The real CIFAR-10, where WITHSTAND_DATA names a folder that holds it; the small files of the tests go without."""
    if not (DATA and Path(DATA, "cifar10.npz").is_file()):
        pytest.skip("no cifar10.npz under WITHSTAND_DATA")
    monkeypatch.setenv("WITHSTAND_DATA", DATA)
    images._whole.cache_clear()


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)
