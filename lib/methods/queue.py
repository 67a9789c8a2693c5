"""The last vectors of earlier batches, kept on the device and in checkpoints."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.world import gathered

PROTOCOL = 2  # of methods with a queue under replays; bump when a run with the same settings gives other numbers


class Queue(nn.Module):
    """`keys` (size, width): unit vectors, random at first; `push` puts new ones in the place of the oldest.

    A method pushes in `after_batch`, once for all replays of a batch, so that no image meets its own key.
    """

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.register_buffer("keys", F.normalize(torch.randn(size, width), dim=1))
        self.oldest = 0  # a number of Python's, so that no step waits for the device

    @torch.no_grad()
    def push(self, vectors: Tensor) -> None:
        vectors = gathered(vectors)
        size = len(self.keys)
        places = (self.oldest + torch.arange(len(vectors), device=self.keys.device)) % size
        self.keys[places[-size:]] = vectors[-size:].to(self.keys.dtype)
        self.oldest = (self.oldest + len(vectors)) % size

    def get_extra_state(self) -> int:
        return self.oldest

    def set_extra_state(self, oldest: int) -> None:
        self.oldest = oldest
