"""Networks of other libraries as encoders: their outputs checked, their heads set apart from their features."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lib.errors import BadInput
from lib.inputs import told
from lib.models.encoder import Encoder
from lib.models.preprocessing import Preprocessing

Read = Callable[[object], object]  # a network's output -> its features, or logits


class WrappedEncoder(Encoder):
    """Another library's `network` behind its own normalisation; `read` takes the features out of what it returns.

    In evaluation mode and without gradients of weights from the start. Raises BadInput, in the name of `name`, where
    the network cannot take images of another size than `side`, or gives no finite (N, D).
    """

    def __init__(self, name: str, network: nn.Module, preprocessing: Preprocessing, read: Read | None = None) -> None:
        super().__init__(preprocessing.mean, preprocessing.std)
        self.name, self.network, self.side, self.read = name, network.requires_grad_(False), preprocessing.size, read
        self.features = 0  # until `probed` has seen some
        self.transformer = any(isinstance(module, nn.LayerNorm) for module in network.modules())
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        try:
            out = self.network(self.normalised(x))
            features = out if self.read is None else self.read(out)
        except torch.OutOfMemoryError:
            raise
        except (AssertionError, ValueError, RuntimeError) as error:
            height, width = x.shape[-2:]
            if isinstance(error, BadInput) or (height, width) == (self.side, self.side):
                raise
            raise BadInput(
                f"{self.name} takes images of {self.side} x {self.side} pixels, not {height} x {width}"
            ) from error
        check_output(features, len(x), self.name)
        return features.flatten(1).float()

    def behind(self, preprocessing: Preprocessing) -> WrappedEncoder:
        """The same network, with the same weights, behind another normalisation."""
        other = WrappedEncoder(self.name, self.network, preprocessing, self.read)
        other.features = self.features
        return other.to(self.mean.device)


def check_output(features: object, count: int, name: str) -> None:
    """Refuse what is no float (N, D), or (N, D, 1, 1), of `count` images, and what is not finite.

    Where gradients are asked for, as in each step of an attack, values are not looked at: a GPU would be waited for.
    """
    if not isinstance(features, Tensor):
        what = f"a {type(features).__name__}"
        if isinstance(features, tuple | list):
            what += f" of {len(features)}"
        elif isinstance(features, dict):
            what += f" with {', '.join(map(str, list(features)[:5]))}"
        raise BadInput(f"{name} returns {what}; an encoder returns one tensor of features (N, D)")
    maps = features.ndim > 2 and any(side != 1 for side in features.shape[2:])
    if features.ndim < 2 or maps or not features.is_floating_point():
        hint = "; average its maps over their places, or take the class token" if maps else ""
        raise BadInput(f"{name} returns {told(features)}; an encoder returns float features (N, D){hint}")
    if len(features) != count:
        raise BadInput(f"{name} returns {len(features)} rows for {count} images; an encoder returns one for each")
    if not torch.is_grad_enabled() and features.device.type != "meta" and not features.isfinite().all():
        raise BadInput(f"{name} returns NaN or infinity for images in [0, 1]; its weights or normalisation are wrong")


def trial_images(side: int) -> Tensor:
    """Two images of noise (2, 3, side, side) in [0, 1], always the same, that leave torch's generator alone."""
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))


def probed(encoder: WrappedEncoder) -> tuple[Tensor, bool]:
    """Features of two trial images, and whether images have gradients; `encoder.features` is set.

    Raises BadInput where the network draws its features: those of one image are then not one thing.
    """
    images = trial_images(encoder.side)
    with torch.no_grad(), opening(encoder.name, encoder.side):
        features, again = encoder(images), encoder(images)
    if not torch.allclose(features, again, rtol=1e-3, atol=1e-3 * float(features.abs().max())):
        raise BadInput(f"{encoder.name} returns other features each time it sees an image; switch its randomness off")
    encoder.features = features.shape[1]
    with torch.enable_grad():
        differentiable = encoder(images[:1].requires_grad_()).requires_grad
    return features, differentiable


def separated(encoder: WrappedEncoder) -> nn.Module:
    """The head of a network that returns logits; its features become what its last linear layer reads.

    Where the logits are something else than that layer of its input, the network stays whole: the features are its
    logits and the head passes them on.
    """
    with torch.no_grad(), opening(encoder.name, encoder.side):
        logits = encoder(trial_images(encoder.side))
    linear = [(name, part) for name, part in encoder.network.named_modules() if isinstance(part, nn.Linear)]
    place, head = linear[-1] if linear else ("", None)
    if head is None or not place or head.out_features != logits.shape[1]:
        return nn.Identity()
    encoder.network.set_submodule(place, nn.Identity())
    try:
        with torch.no_grad():
            same = close(head(encoder(trial_images(encoder.side))), logits)
    except (BadInput, RuntimeError):
        same = False
    if same:
        return head
    encoder.network.set_submodule(place, head)
    return nn.Identity()


@contextmanager
def opening(name: str, side: int) -> Iterator[None]:
    """Say in one sentence that a network fails on the first images that it is given, and on which."""
    try:
        yield
    except (BadInput, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # whatever somebody's network raises
        raise BadInput(
            f"{name} fails on images (N, 3, {side}, {side}) ({first_words(error)}); where it takes another size, state "
            "that behind the name by ?size="
        ) from error


def first_words(error: Exception) -> str:
    """The first sentence of an error's message, cut where it is long."""
    return re.split(r"\n|[.] |[.]$", str(error).strip())[0][:300] or type(error).__name__


def close(ours: Tensor, theirs: Tensor) -> bool:
    """Whether two computations of one thing agree to float32's rounding."""
    if ours.shape != theirs.shape:
        return False
    return torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4 * float(theirs.abs().max()))


def counted(network: nn.Module) -> str:
    """How many parameters, in words."""
    return f"{sum(parameter.numel() for parameter in network.parameters()):,} parameters"


@contextmanager
def fetching(name: str) -> Iterator[None]:
    """Say in one sentence why a source's weights cannot be had: no network, no such file, keys that do not fit."""
    try:
        yield
    except BadInput:
        raise
    except Exception as error:  # each library has kinds of its own
        if "trust_remote_code" in str(error):
            raise BadInput(
                f"{name} is built by code in its own repository, which is never run; name a model that the library "
                "itself builds, or build it in a function of yours (package.module:function)"
            ) from error
        raise BadInput(
            f"the weights of {name} cannot be had ({first_words(error)}); the first time they come over the network: "
            "go where there is one, name a file, or ask for random weights by '?weights=random'"
        ) from error
