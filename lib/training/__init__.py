"""Training: one trainer, its optimisers and its schedule."""

from lib.training.trainer import OutOfTime, Training, train

__all__ = ["OutOfTime", "Training", "train"]
