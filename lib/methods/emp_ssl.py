"""EMP-SSL: many patches of an image agree while the batch fills its space (arXiv 2304.03977)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.errors import BadInput, one_of
from lib.methods import heads
from lib.methods.method import Method
from lib.precision import full_precision, own_precision
from lib.views import WHOLE_GAUSSIAN, View
from lib.world import gathered

PROTOCOL = 3  # bump when a run with the same settings gives other numbers

# A patch of a quarter of the image, enlarged (the official code's augmentation; it blurs one view in ten with Pillow's
# Gaussian of 0.1 to 2 pixels, which is not cut off, and so does ours).
PATCH = View(crop_scale=(0.25, 0.25), crop_ratio=(1.0, 1.0), hue=0.2, blur=0.1, blur_reach=WHOLE_GAUSSIAN, solarize=0.1)
# Patches, or crops of all sizes, with which Ghofrani and Jamshidi (arXiv 2501.03507) report more robust encoders.
CROPS = {"patch": PATCH, "crop": replace(PATCH, crop_scale=(0.08, 1.0), crop_ratio=(3 / 4, 4 / 3))}


@dataclass(frozen=True)
class Settings:
    invariance: float = 200.0  # the official code's weight; the coding rate has 1
    epsilon: float = 0.2  # the official code divides by it, the paper by its square
    hidden: int = 1024
    projection: int = 256
    views: int = 8  # of an image, of one kind of `CROPS`
    crop: str = "patch"

    def __post_init__(self) -> None:
        if type(self.views) is not int or self.views < 2:
            raise BadInput(f"views is a whole number of at least 2, not {self.views!r}")
        one_of(self.crop, CROPS, "crop")


class EMPSSL(nn.Module):
    """The network reads all patches as one batch. Its feature for evaluation is the encoder's, like everyone's; the
    paper's 4096 features of the head's first layer, averaged over patches, are another column, not this one."""

    uses_labels = False

    @staticmethod
    def views_of(settings: Settings) -> tuple[View, ...]:
        return (CROPS[settings.crop],) * settings.views

    def __init__(self, encoder: nn.Module, settings: Settings) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = heads.projector("BarlowTwins", encoder.features, settings.hidden, settings.projection)
        self.invariance, self.epsilon = settings.invariance, settings.epsilon
        self.views = self.views_of(settings)

    @property
    def pre_feature(self) -> nn.Module:
        """The head's first layer, (N, encoder.features) -> (N, hidden): the feature that the paper evaluates."""
        return self.head.layers[:3]  # type: ignore[index, return-value]

    def forward(self, views: list[Tensor]) -> dict[str, Tensor]:
        projections = self.head(self.encoder(torch.cat(views)))
        with full_precision(projections):
            patches = F.normalize(projections.float(), dim=1).unflatten(0, (len(views), -1))  # (patches, N, D)
            return {
                "invariance": -self.invariance * agreement(patches),
                "coding rate": -coding_rate(patches, self.epsilon),  # a rate to maximise
            }

    def after_step(self, progress: float) -> None:
        pass


METHOD = Method("EMP-SSL", "coding rate", EMPSSL, Settings, PROTOCOL, look=("#56B4E9", "d", "-."))


@own_precision
def agreement(patches: Tensor) -> Tensor:
    """Mean cosine of each patch with its image's mean patch: (P, N, D) -> scalar in [-1, 1]."""
    return F.cosine_similarity(patches, patches.mean(dim=0, keepdim=True), dim=2).mean()


@own_precision
def coding_rate(patches: Tensor, epsilon: float) -> Tensor:
    r"""Total coding rate (equation 1, in the official code's convention), averaged over patches: (P, N, D) -> scalar.

    .. math:: R(Z) = \tfrac12 \log \det \left( I + \frac{D}{N \epsilon} Z^\top Z \right)

    Zero where all vectors are 0, small where they collapse to one direction, largest where they fill the space.
    """
    patches = gathered(patches, axis=1)
    count, width = patches.shape[1:]
    identity = torch.eye(width, dtype=patches.dtype, device=patches.device)
    gram = patches.transpose(1, 2) @ patches * (width / (count * epsilon))
    # Positive definite: log det is twice the sum of the log diagonal of the Cholesky factor, half the work of LU.
    # `cholesky_ex` does not wait for the device to report success, as `cholesky` does.
    factor, _ = torch.linalg.cholesky_ex(identity + gram)
    return factor.diagonal(dim1=1, dim2=2).log().sum(dim=1).mean()
