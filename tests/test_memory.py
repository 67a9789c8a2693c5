"""What is kept of earlier calls is bounded in bytes, and what goes to a device arrives."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from lib import memory


@pytest.fixture(autouse=True)
def empty():
    memory.forget()
    yield
    memory.forget()


def test_the_store_never_holds_more_than_its_bytes_and_what_was_asked_last_stays(monkeypatch):
    monkeypatch.setattr(memory, "KEPT_BYTES", 1000)
    made = []

    @memory.kept
    def square(side: int, _name: str):
        made.append(side)
        return torch.zeros(side, side, dtype=torch.uint8)

    for side in (10, 20, 10, 21, 10, 20):  # 100, 400 and 441 bytes: all three fit
        assert square(side, "a").shape == (side, side)
    assert made == [10, 20, 21] and memory.kept_bytes() == 941
    square(10, "b")  # 1,041: the one not asked for the longest is 21
    assert memory.kept_bytes() == 600
    square(20, "a"), square(10, "a")
    assert made == [10, 20, 21, 10]
    square(40, "a"), square(40, "a")  # larger than the store
    assert made[-2:] == [40, 40] and memory.kept_bytes() == 600
    square.cache_clear()
    assert memory.kept_bytes() == 0


def test_two_functions_share_the_store_and_trees_are_counted():
    @dataclass(frozen=True)
    class Part:
        images: torch.Tensor
        names: np.ndarray

    @memory.kept
    def tree():
        return {"a": (torch.zeros(4), [Part(torch.zeros(3, dtype=torch.uint8), np.zeros(2))]), "b": "text"}

    @memory.kept
    def other():
        return torch.zeros(5)

    assert tree() is tree() and other() is other()
    assert memory.kept_bytes() == 16 + 3 + 16 + 20
    tree.cache_clear()
    assert memory.kept_bytes() == 20


def test_sending_to_the_cpu_is_nothing():
    tensor = torch.arange(3)
    assert memory.sent(tensor, "cpu") is tensor
