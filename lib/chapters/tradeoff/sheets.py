"""Sheets of attacked images, and the slider over epsilon."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from torch import Tensor

from lib.chapters.tradeoff.attacks import AMPLIFIED
from lib.chapters.tradeoff.plan import SYSTEMS
from lib.errors import BadInput
from lib.figures.figure import Figure, Slider
from lib.figures.style import use_style
from lib.figures.systems_look import system_look


def perturbation_sheet(
    images: Tensor, adversarials: Mapping[str, Tensor], words: Mapping[str, Sequence[str]], scope: str = ""
) -> Figure:
    """Clean images, then for each title their adversarial ones and below these what was added, amplified.

    `images` and each of `adversarials`, titles -> (k, 3, S, S), are float in [0, 1]; `words` has k short strings for
    some or all titles, and for "clean", which stand under the images. One factor amplifies all perturbations, so that
    the largest change of a pixel reaches black or white and grey is none. Raises BadInput for other shapes or ranges.
    """
    _check_images(images, adversarials, words)
    added = {title: shown - images for title, shown in adversarials.items()}
    most = max(change.abs().max().item() for change in added.values())
    factor = 0.5 / most if most else 1.0
    use_style()
    count = len(images)
    lines = [("clean", images, words.get("clean"))]
    for title, change in added.items():
        lines += [(title, adversarials[title], words.get(title)), ("", 0.5 + factor * change, None)]
    drawing = _draw_lines(lines, count)
    table = pd.DataFrame(
        [
            (title, place + 1, words[title][place] if title in words else "", 255 * own.abs().max().item(),
             255 * own.abs().mean().item())
            for title, change in added.items()
            for place, own in enumerate(change)
        ],
        columns=["title", "image", "words", "largest change (255ths)", "mean change (255ths)"],
    )  # fmt: skip
    furthest = table.groupby("title", sort=False)["largest change (255ths)"].max()
    return Figure(
        drawing,
        name="fig-perturbations",
        caption="Images without an attack, then attacked, and below what was added to them, amplified "
        f"{factor:.0f} times: grey is no change. {'Words: what an image is taken for. ' * bool(words)}{scope}".strip(),
        alt=f"Contact sheet of {count} {'image' if count == 1 else 'images'}, clean and attacked. Largest change "
        "of a pixel in 255ths: " + "; ".join(f"{title} {far:.1f}" for title, far in furthest.items())
        + f". {_taken_for(words)}".rstrip(),
        data=table,
        pixels=True,
    )  # fmt: skip


def _check_images(images: Tensor, adversarials: Mapping[str, Tensor], words: Mapping[str, Sequence[str]]) -> None:
    if not adversarials:
        raise BadInput("a sheet of perturbations needs the adversarial images of one title or more")
    for title, shown in {"clean": images, **adversarials}.items():
        _check_range(shown, title)
        if shown.ndim != 4 or shown.shape[1] != 3 or not len(shown) or shown.shape != images.shape:
            raise BadInput(f"images are (k, 3, S, S), as many for each title, not {tuple(shown.shape)} of {title}")
    for title, own in words.items():
        if title not in ("clean", *adversarials) or len(own) != len(images):
            raise BadInput(f"words are {len(images)} for each of {', '.join(['clean', *adversarials])}, not "
                           f"{len(own)} for {title}")  # fmt: skip


def _check_range(images: Tensor, title: str) -> None:
    if not images.is_floating_point() or not ((images >= 0) & (images <= 1)).all():
        raise BadInput(f"images are float in [0, 1], and those of {title} are not")


def _draw_lines(lines: Sequence[tuple[str, Tensor, Sequence[str] | None]], count: int) -> Drawing:
    """Lines of `count` images with a title above and words below; one without a title is close to the one above."""
    gaps = [0.0, *(0.46 if title else 0.24 for title, *_ in lines[1:])]  # above each line, in sides of an image
    side = 5.2 / count
    drawing = plt.figure(figsize=(5.2, side * (len(lines) + sum(gaps))))
    grid = drawing.add_gridspec(2 * len(lines), count, left=0, right=1, bottom=0, top=1, wspace=0.06, hspace=0,
                                height_ratios=[part for gap in gaps for part in (gap + 1e-9, 1)])  # fmt: skip
    for place, (title, images, words) in enumerate(lines):
        panels = [drawing.add_subplot(grid[2 * place + 1, column]) for column in range(count)]
        panels[0].set_title(title, loc="left", fontsize=10.5, pad=4)
        for axes, image in zip(panels, images, strict=True):
            show(axes, image)
        for axes, word in zip(panels, words or (), strict=False):
            axes.set_xlabel(word, fontsize=9.5, labelpad=2)
    return drawing


def show(axes: Axes, image: Tensor) -> None:
    """An image (3, S, S), float in [0, 1], without a frame."""
    axes.imshow(image.clamp(0, 1).permute(1, 2, 0).cpu().numpy(), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _taken_for(words: Mapping[str, Sequence[str]]) -> str:
    told = "; ".join(f"{title}: {', '.join(own)}" for title, own in words.items())
    return f"Taken for, {told}." if told else ""


def epsilon_slider(image: Tensor, frames: Sequence[tuple[float, Tensor, Mapping[str, tuple[str, float]]]]) -> Slider:
    """A frame for each epsilon: the adversarial image, what was added to it, and what systems make of it.

    `image` (3, S, S) is float in [0, 1]; each of `frames` is epsilon in 255ths, the adversarial image (3, S, S), and
    titles of systems -> (predicted class, probability of the true class in [0, 1]). Raises BadInput for others.
    """
    drawn, lines = {}, []
    for epsilon, adversarial, told in frames:
        for shown, name in ((image, "the image"), (adversarial, f"epsilon {epsilon:g}")):
            _check_range(shown, name)
            if shown.shape != image.shape or shown.ndim != 3 or len(shown) != 3:
                raise BadInput(f"images are (3, S, S), all of one size, not {tuple(shown.shape)} of {name}")
        if list(told) != list(frames[0][2]) or not all(0 <= probability <= 1 for _, probability in told.values()):
            raise BadInput(
                f"every frame needs the same systems with probabilities in [0, 1], and epsilon {epsilon:g} has others"
            )
        alt = f"Image attacked within {epsilon:g}/255. Probability of its true class in percent: " + "; ".join(
            f"{title} {100 * probability:.0f}, taken for {predicted}"
            for title, (predicted, probability) in told.items()
        )
        drawn[f"{epsilon:g}/255"] = _frame(image, adversarial, told), f"{alt}."
        lines += [(epsilon, title, predicted, 100 * probability) for title, (predicted, probability) in told.items()]
    if len(drawn) != len(frames):
        raise BadInput("every frame needs an epsilon of its own")
    columns = ["epsilon (255ths)", "system", "predicted class", "probability of the true class (%)"]
    return Slider(
        label="epsilon",
        frames=drawn,
        caption="Left: the image under attack, and below what was added to it, amplified "
        f"{AMPLIFIED} times, where grey is no change. Right: the probability that each probe gives the true class, and "
        "what it takes the image for.",
        data=pd.DataFrame(lines, columns=columns),
    )


def _frame(image: Tensor, adversarial: Tensor, told: Mapping[str, tuple[str, float]]) -> bytes:
    """A PNG of 440 x 300 pixels, all alike in layout."""
    use_style()
    drawing = plt.figure(figsize=(4.4, 3))
    for bottom, shown in ((0.51, adversarial), (0.01, 0.5 + AMPLIFIED * (adversarial - image))):
        show(drawing.add_axes((0, bottom, 0.33, 0.48)), shown)
    axes = drawing.add_axes((0.38, 0.16, 0.58, 0.82))
    named = {system.title: name for name, system in SYSTEMS.items()}
    for place, (title, (predicted, probability)) in enumerate(told.items()):
        colour = system_look(SYSTEMS[named[title]])["color"] if title in named else "#666666"
        axes.barh(place, 100 * probability, height=0.36, color=colour)
        axes.text(0, place - 0.26, title, va="bottom", fontsize=10)
        axes.text(100, place - 0.26, predicted, va="bottom", ha="right", fontsize=10, weight="bold")
    axes.set(xlim=(0, 100), ylim=(max(len(told), 3) - 0.7, -0.75), yticks=[])
    axes.set_xlabel("probability of the true class (%)", fontsize=10, labelpad=2)
    axes.tick_params(labelsize=9.5, pad=2)
    buffer = io.BytesIO()
    drawing.savefig(buffer, format="png", dpi=100)
    plt.close(drawing)
    return buffer.getvalue()
