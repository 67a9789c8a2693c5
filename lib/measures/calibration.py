"""Calibration: does a prediction made with 80 % confidence come true 80 times in 100?"""

from __future__ import annotations

import numpy as np

BINS = 15


def calibration_gaps(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> np.ndarray:
    r"""What each prediction adds to the expected calibration error: (N,), whose mean is the error.

    .. math:: \mathrm{ECE} = \sum_b \frac{|B_b|}{N} \left| \mathrm{acc}(B_b) - \mathrm{conf}(B_b) \right|

    (Guo et al., arXiv 1706.04599, equation 3), with `bins` bins of equal width over (0, 1]. A prediction counts with
    its confidence less its outcome, in a bin that is too confident, and the other way round in one that is not. So
    the standard error of the mean holds for signs of the bins that are sure; with few predictions ECE is biased
    upwards. `confidence` (N,) is in 0..1, `right` (N,) is bool.
    """
    surplus = np.asarray(confidence, dtype=float) - np.asarray(right)
    bin_of = np.clip(np.ceil(np.asarray(confidence) * bins).astype(int) - 1, 0, bins - 1)
    return surplus * np.sign(np.bincount(bin_of, surplus, minlength=bins))[bin_of]
