"""The control that no gradient has touched, as a claim."""

from lib.controls import beats_control
from lib.verdicts import Claim

# What linear algebra gives on the same images (`lib.methods.kmeans`): below it, gradients have not paid yet.
CLOSED_FORM = Claim(
    "probe-beats-closed-form",
    "Every trained method beats k-means over whitened patches by the linear probe.",
    "ours",
    beats_control("probe accuracy", "kmeans"),
    every=True,
)
