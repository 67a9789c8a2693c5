"""How alike two images are, without any network."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from lib.errors import BadInput
from lib.inputs import check_images


def ssim(first: Tensor, second: Tensor, window: int = 7) -> Tensor:
    r"""Structural similarity of pairs of uint8 images (N, 3, H, W): float32 (N,), 1 for equal ones.

    .. math:: \frac{(2 \mu_x \mu_y + c_1)(2 \sigma_{xy} + c_2)}
              {(\mu_x^2 + \mu_y^2 + c_1)(\sigma_x^2 + \sigma_y^2 + c_2)}

    (Wang et al. 2004, equation 13), in square windows of equal weights with sample variances, averaged over all windows
    within the image and over the channels: scikit-image's `structural_similarity` with its defaults.

    >>> import torch
    >>> image = torch.arange(3 * 16 * 16).remainder(256).reshape(1, 3, 16, 16).byte()
    >>> ssim(image, image)
    tensor([1.])
    """
    if check_images(first, "ssim").shape != check_images(second, "ssim").shape:
        raise BadInput(f"ssim takes two sets of one shape, not {tuple(first.shape)} and {tuple(second.shape)}")
    x, y = first.double(), second.double()
    pool = lambda values: F.avg_pool2d(values, window, stride=1)  # noqa: E731
    mean_x, mean_y = pool(x), pool(y)
    unbiased = window**2 / (window**2 - 1)
    var_x, var_y = unbiased * (pool(x * x) - mean_x**2), unbiased * (pool(y * y) - mean_y**2)
    covariance = unbiased * (pool(x * y) - mean_x * mean_y)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    likeness /= (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    return likeness.mean((1, 2, 3)).float()
