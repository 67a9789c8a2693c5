"""Training: one trainer, its optimisers and its schedule, and the adversary that it may train against."""

from lib.training.attack import Attack, needs_attack, passes, unfit
from lib.training.trainer import OutOfTime, Training, train

__all__ = ["Attack", "OutOfTime", "Training", "needs_attack", "passes", "train", "unfit"]
