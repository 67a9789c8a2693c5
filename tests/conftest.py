"""Every test has its own folders: nothing outside is read or written."""

import pytest
import torch


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("WITHSTAND_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("WITHSTAND_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("WITHSTAND_DATA", raising=False)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)
