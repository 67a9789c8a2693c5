"""The door: any frozen encoder and any images in, one report on its robustness out.

`python -m lib.evaluate ENCODER --data DATA` and `evaluate(ENCODER, DATA)` do the same, by the book's own measures. What
they find is kept in the store, so that a call that was cut off goes on, and a second encoder is compared with the first
image by image.
"""

from lib.evaluate.axes import AXES
from lib.evaluate.data import open_data
from lib.evaluate.door import BUDGET, Evaluation, evaluate, from_notebook
from lib.evaluate.encoders import untrained

__all__ = ["AXES", "BUDGET", "Evaluation", "evaluate", "from_notebook", "open_data", "untrained"]
