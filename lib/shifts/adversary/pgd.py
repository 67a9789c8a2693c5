"""Attacks by gradient ascent with a fixed step, for evaluation and for training.

`loss(adversarial)` is what an attack raises: images (N, 3, H, W) in, one number an image (N,) out, or one scalar for
all of them where a loss compares images of the batch. Any differentiable target will do: a probe's cross-entropy, a
self-supervised loss, the distance of features.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from lib.errors import BadInput, one_of
from lib.held import held
from lib.inputs import whole
from lib.precision import own_precision, with_gradients
from lib.shifts.adversary.ball import epsilon_of, pixels_of, random_in_ball, seeds_of, steepest, within

Loss = Callable[[Tensor], Tensor]


@own_precision
@with_gradients
def pgd(
    images: Tensor,
    loss: Loss,
    epsilon: float | str,
    step: float | str,
    steps: int,
    norm: str = "linf",
    *,
    modules: nn.Module | Iterable[nn.Module],
    mode: str = "eval",
    start: str | Tensor = "random",
    restarts: int = 1,
    keep: str = "best",
    samples: int = 1,
    generator: torch.Generator | None = None,
    check: bool = True,
) -> Tensor:
    r"""Projected gradient descent: adversarial copies of `images` (N, 3, H, W), float32 in [0, 1].

    .. math:: \delta \leftarrow \Pi\left(\delta + \alpha \, \mathrm{steepest}(\nabla_\delta L(x + \delta))\right)

    with :math:`\Pi` the projection onto the ball and the images (Madry et al. 2018, arXiv 1706.06083). `modules` are
    those that `loss` uses; what `held` says of them and of `mode` holds. The perturbation starts at a "random" point of
    the ball, at "zero" or at the one given; further restarts start at random. `keep` "best" returns for each image the
    point of highest loss over all steps and restarts, for evaluation; "last" the point after the last step, for
    training, and saves a forward. A loss that draws random numbers is averaged over `samples` draws (expectation over
    transformations). `generator`, on the CPU, gives each image its seed; none means a new one with seed 0.

    The device is waited for once, when the range of float images is checked; without `check`, in training, never.
    Raises BadInput for what is not as said here.

    >>> grey = torch.full((1, 3, 16, 16), 0.5)
    >>> brighter = pgd(grey, lambda images: images.mean((1, 2, 3)), "8/255", "2/255", 10, modules=nn.Identity())
    >>> round(255 * float((brighter - grey).max()), 3), round(255 * float((brighter - grey).min()), 3)
    (8.0, 8.0)
    """
    images, seeds = pixels_of(images, check), seeds_of(images, generator)
    epsilon, step = epsilon_of(epsilon, norm), epsilon_of(step, norm, "step")
    steps, restarts, samples = whole(steps, "steps"), whole(restarts, "restarts"), whole(samples, "samples")
    if one_of(keep, ("best", "last"), "keep") == "last" and restarts > 1:
        raise BadInput("of several restarts the best is kept, not the last")

    best, highest = torch.zeros_like(images), images.new_full((len(images),), -torch.inf)
    with held(modules, mode):
        for restart in range(restarts):
            perturbation = _start("random" if restart else start, images, seeds, epsilon, norm, restart)
            for _ in range(steps):
                height, gradient = _climb(loss, images + perturbation, samples)
                if keep == "best":
                    best, highest = _higher(best, highest, perturbation, height)
                perturbation = within(images, perturbation + step * steepest(gradient, norm), epsilon, norm)
            if keep == "best":
                height = _height(loss, images + perturbation, samples)
                best, highest = _higher(best, highest, perturbation, height)
    return images + (best if keep == "best" else perturbation)


def fgsm(
    images: Tensor,
    loss: Loss,
    epsilon: float | str,
    step: float | str | None = None,
    norm: str = "linf",
    *,
    modules: nn.Module | Iterable[nn.Module],
    mode: str = "eval",
    start: str = "zero",
    generator: torch.Generator | None = None,
) -> Tensor:
    """One step, of length `epsilon` unless said otherwise (Goodfellow et al. 2015, arXiv 1412.6572).

    With start="random" and a step of 1.25 epsilon it is the one of "fast" adversarial training (Wong et al. 2020,
    arXiv 2001.03994).
    """
    step = epsilon if step is None else step
    return pgd(
        images, loss, epsilon, step, 1, norm,
        modules=modules, mode=mode, start=start, keep="last", generator=generator,
    )  # fmt: skip


class FreePerturbation:
    """The perturbation of free adversarial training (Shafahi et al. 2019, arXiv 1904.12843, algorithm 1).

    It is carried from replay to replay of a batch and on to the next batch, and one backward serves the weights and
    the perturbation alike::

        free = FreePerturbation("8/255")
        for _ in range(replays):  # of each batch
            adversarial = free.added_to(images)
            loss(adversarial).backward()
            optimiser.step()
            free.ascend(images, adversarial.grad)

    `step` is `epsilon` unless said otherwise, as in the paper. `delta` (N, 3, H, W) is all that a checkpoint needs.
    """

    def __init__(self, epsilon: float | str, step: float | str | None = None, norm: str = "linf") -> None:
        self.epsilon, self.norm = epsilon_of(epsilon, norm), norm
        self.step = self.epsilon if step is None else epsilon_of(step, norm, "step")
        self.delta: Tensor | None = None

    @with_gradients
    def added_to(self, images: Tensor) -> Tensor:
        """float `images` (N, 3, H, W) in [0, 1] with the perturbation: such images, which ask for their gradient.

        A smaller batch gets the first of the carried perturbations, a larger one zeros for what is new, and images of
        another size start anew.
        """
        if self.delta is None or self.delta.shape[1:] != images.shape[1:]:
            self.delta = torch.zeros_like(images, dtype=torch.float32)
        if len(images) > len(self.delta):
            new = self.delta.new_zeros(len(images) - len(self.delta), *images.shape[1:])
            self.delta = torch.cat((self.delta, new))
        count = len(images)
        # What was right for the images of the last batch may leave [0, 1] on these.
        self.delta[:count] = within(images, self.delta[:count], self.epsilon, self.norm)
        return (images + self.delta[:count]).detach().requires_grad_()

    def ascend(self, images: Tensor, gradient: Tensor) -> None:
        """One step up the `gradient` (N, 3, H, W) of the loss at `added_to(images)`."""
        count = len(images)
        moved = self.delta[:count] + self.step * steepest(gradient, self.norm)
        self.delta[:count] = within(images, moved, self.epsilon, self.norm)


@own_precision
def deterministic(loss: Loss, images: Tensor, modules: nn.Module | Iterable[nn.Module], mode: str = "eval") -> bool:
    """Whether two forwards of `loss` agree; warns if not, as an attack then climbs the gradient of one draw alone."""
    images = pixels_of(images)
    with held(modules, mode):
        first, second = _height(loss, images, 1), _height(loss, images, 1)
    alike = torch.allclose(first, second, rtol=1e-4, atol=1e-6)
    if not alike:
        warnings.warn(
            "two forwards of the same images differ: an attack on something random has to climb the mean of many draws "
            "(expectation over transformations: `samples` of pgd), or it makes the model look robust",
            UserWarning,
            stacklevel=2,
        )
    return alike


def _start(start: str | Tensor, images: Tensor, seeds: Tensor, epsilon: float, norm: str, stream: int) -> Tensor:
    if isinstance(start, Tensor):
        if start.shape != images.shape:
            raise BadInput(f"a start has the shape of the images, {tuple(images.shape)}, not {tuple(start.shape)}")
        perturbation = start.detach().to(images)
    elif one_of(start, ("random", "zero"), "start") == "zero":
        return torch.zeros_like(images)
    else:
        perturbation = random_in_ball(seeds, tuple(images.shape[1:]), epsilon, norm, stream)
    return within(images, perturbation, epsilon, norm)


def _climb(loss: Loss, adversarial: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """The loss of each image (N,) and its gradient (N, 3, H, W), both means over `samples` draws."""
    adversarial = adversarial.detach().requires_grad_()
    height, gradient = 0, 0
    for _ in range(samples):
        with torch.enable_grad():
            values = _per_image(loss(adversarial), adversarial)
            if not values.requires_grad:
                raise BadInput("the loss of an attack depends on the images by a gradient; this one has none")
        gradient = gradient + torch.autograd.grad(values.sum(), adversarial)[0]
        height = height + values.detach()
    return height / samples, gradient / samples  # type: ignore[return-value]


@torch.no_grad()
def _height(loss: Loss, adversarial: Tensor, samples: int) -> Tensor:
    return torch.stack([_per_image(loss(adversarial), adversarial) for _ in range(samples)]).mean(dim=0)


def _per_image(values: Tensor, images: Tensor) -> Tensor:
    if not isinstance(values, Tensor) or values.shape not in ((), images.shape[:1]):
        given = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise BadInput(f"the loss of an attack gives ({len(images)},) values, one an image, or one scalar, not {given}")
    return values.float().expand(len(images))


def _higher(best: Tensor, highest: Tensor, perturbation: Tensor, height: Tensor) -> tuple[Tensor, Tensor]:
    """For each image the better of two perturbations, and its loss; a loss of NaN is never better."""
    better = height > highest
    return torch.where(better[:, None, None, None], perturbation, best), torch.where(better, height, highest)
