"""What is object and what is background: saliency maps and masks, segmentations, and the parts of a scene.

Images are uint8 (N, 3, S, S), masks bool (N, S, S). `scope` says in words what images are, for captions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure as Drawing
from matplotlib.patches import Patch
from scipy import ndimage
from torch import Tensor

from lib.errors import BadInput
from lib.figures.figure import Figure
from lib.figures.prose import listed
from lib.figures.style import use_style
from lib.images import scenes
from lib.images.segmentation import IGNORED
from lib.measures import bootstrap_interval, proportion_interval
from lib.measures.background import OTHER, scene_parts
from lib.measures.mask_quality import KnownMasks, known_masks, mask_errors
from lib.measures.segmentation import confusion, mean_iou
from lib.shifts.saliency import (
    binary,
    centre_prior,
    colour_contrast,
    fused,
    geodesic,
    iou,
    remove_background,
    spectral_residual,
)

MAPS = {
    "spectral residual": spectral_residual,
    "colour contrast": colour_contrast,
    "geodesic": geodesic,
    "centre prior": centre_prior,
    "fused": fused,
}


# Okabe and Ito's colours, a wine and a grey, on a light grey: told apart with every kind of colour vision.
CLASS_COLOURS = (
    "#E8E8E8", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#000000", "#990033",
    "#666666",
)  # fmt: skip


WITHOUT_CLASS = "#FFFFFF"


POOR = 0.5  # an IoU below says that less than half of what is object, or is taken for it, is both


_WIDTH = 5.2  # inches; a phone shows it 390 pixels wide


# Saliency


def saliency_sheet(sets: Mapping[str, tuple[Tensor, Tensor, Tensor | None]], scope: str = "") -> Figure:
    """A line for each image: its maps, its masks, and what is left without its background.

    `sets` has for a title the images, the masks that a network learned without labels, and the exact ones, or None
    where nobody knows them. White is object. Where exact masks are known, the IoU of the learned one ends the line.
    Raises BadInput for no images at all, or masks of another shape.
    """
    _check_masks(sets)
    known = any(exact is not None for _, _, exact in sets.values())
    headings = ["image", *MAPS, "learned mask", *["exact mask"] * known, "object alone"]
    count = sum(len(images) for images, _, _ in sets.values())
    gap, above, aside, behind = 0.04, 1.06, 0.26, 0.4 * known
    side = (_WIDTH - aside - behind) / len(headings) - gap
    height = above + count * (side + gap) + 0.1 * (len(sets) - 1)
    use_style()
    drawing = plt.figure(figsize=(_WIDTH, height))
    top, lines = above, []
    for title, (images, learned, exact) in sets.items():
        maps = [255 * find(images)[:, None].expand(-1, 3, -1, -1) for find in MAPS.values()]
        shown = [images, *(found.round().byte() for found in maps), _white(learned)]
        if known:
            shown.append(None if exact is None else _white(exact))
        shown.append(remove_background(images, learned))
        agreed = {
            name: [np.nan] * len(images) if exact is None else (100 * iou(found, exact)).tolist()
            for name, found in (("learned", learned), ("fused", binary(fused(images))))
        }
        middle = top + len(images) * (side + gap) / 2
        drawing.text(0.09 / _WIDTH, 1 - middle / height, title, rotation=90, ha="center", va="center", fontsize=10)
        for place in range(len(images)):
            for column, part in enumerate(shown):
                if part is not None:
                    _cell(drawing, aside + column * (side + gap), top, side, part[place])
            if exact is not None:
                drawing.text(1, 1 - (top + side / 2) / height, f"{agreed['learned'][place]:.0f}", ha="right",
                             va="center", fontsize=10)  # fmt: skip
            covers = 100 * learned[place].float().mean().item()
            lines.append((title, place, covers, agreed["learned"][place], agreed["fused"][place]))
            top += side + gap
        top += 0.1
    for column, heading in enumerate([*headings, *["IoU (%)"] * known]):
        left = aside + column * (side + gap) + (side / 2 if column < len(headings) else behind - 0.14)
        drawing.text(left / _WIDTH, 1 - (above - 0.05) / height, heading, rotation=50, ha="left", va="bottom",
                     rotation_mode="anchor", fontsize=10)  # fmt: skip
    table = pd.DataFrame(lines, columns=["images", "place", "taken for object (%)", "IoU of the learned mask (%)",
                                         "IoU of the fused map, cut (%)"])  # fmt: skip
    told = table.dropna().groupby("images", sort=False)[list(table.columns[3:])].mean()
    return Figure(
        drawing,
        name="fig-saliency",
        caption="What stands out in an image, found without labels: four maps, the brighter the more; their mean, "
        "fused; the mask of a small network that learned from fused maps; and the image without what this mask takes "
        f"for background. {'IoU is that of the learned mask with the exact one. ' if known else ''}{scope}".strip(),
        alt=f"Sheet of {count} images, a line each: {listed(headings)}. "
        + " ".join(f"{title}: {len(images)} images." for title, (images, _, _) in sets.items())
        + "".join(_agreement(*line) for line in told.itertuples()),
        data=table if known else table.iloc[:, :3],
        pixels=True,
    )


def _agreement(title: str, learned: float, cut: float) -> str:
    return (
        f" The masks of {title} agree with the exact ones to {learned:.0f} percent on average, fused maps to {cut:.0f}."
    )


def _check_masks(sets: Mapping[str, tuple[Tensor, Tensor, Tensor | None]]) -> None:
    if not sets:
        raise BadInput("a sheet of saliency needs one set of images or more")
    for title, (images, learned, exact) in sets.items():
        for found in (learned,) if exact is None else (learned, exact):
            if found.dtype != torch.bool or found.shape != (len(images), *images.shape[-2:]):
                raise BadInput(f"masks of {title} are bool (N, H, W) like the images, {tuple(images.shape)}, not "
                               f"{found.dtype} {tuple(found.shape)}")  # fmt: skip


def _white(found: Tensor) -> Tensor:
    """Masks (N, S, S) as images, object white."""
    return 255 * found[:, None].expand(-1, 3, -1, -1).byte()


def _cell(drawing: Drawing, left: float, top: float, side: float, image: Tensor) -> None:
    """A square image (3, S, S), its place in inches from the left and from the top."""
    width, height = drawing.get_size_inches()
    axes = drawing.add_axes((left / width, 1 - (top + side) / height, side / width, side / height))
    axes.imshow(image.cpu().permute(1, 2, 0).numpy(), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color="#999999", linewidth=0.5)  # or a white mask would not end


# How good masks are


def mask_quality_table(count: int = 300) -> pd.DataFrame:
    """How well masks agree with the known ones of about `count` images a set: scenes, and what else is here.

    The sets and masks are those of `lib.measures.mask_quality`. Intervals are by bootstrap, over images, and over
    objects where a set shows each several times; where all or none are poor, Wilson's for as many images or objects.
    Raises BadInput for fewer than 20 images.
    """
    lines = []
    for title, known in known_masks(count).items():
        for kind in known.found:
            agreed = 100 * known.agreement(kind)
            poor = bootstrap_interval((agreed < 100 * POOR)[None], lambda part: 100 * np.mean(part))
            lines.append(
                {
                    "images": title,
                    "masks": kind,
                    "number": agreed.size,
                    "mean IoU (%)": str(bootstrap_interval(agreed[None])),
                    "median IoU (%)": str(bootstrap_interval(agreed[None], np.median)),
                    f"IoU below {100 * POOR:.0f} % (% of images)": str(
                        poor if 0 < poor.mean < 100 else proportion_interval(np.full(len(agreed), poor.mean > 0))
                    ),
                }
            )
    return pd.DataFrame(lines)


def saliency_failures(count: int = 300, shown: int = 6) -> Figure:
    """The `shown` images of each set whose learned masks agree least with the known ones, among about `count`.

    Where a set shows objects several times, one image of each. Below it are the IoU, and whether the mask has too
    little (it misses more of the object than of it is background), too much, or is elsewhere (both more than half).
    Raises BadInput as `mask_quality_table`, and for fewer than one image or more than 8.
    """
    if isinstance(shown, bool) or not isinstance(shown, int) or not 1 <= shown <= 8:
        raise BadInput(f"a line shows 1 to 8 images, not {shown!r}")
    sets = known_masks(count)
    gap, above, aside, below = 0.05, 0.28, 0.26, 0.44
    side = (_WIDTH - aside) / shown - gap
    block = above + 3 * (side + gap) + below
    use_style()
    drawing = plt.figure(figsize=(_WIDTH, block * len(sets)))
    height, lines, told = block * len(sets), [], []
    for number, (title, known) in enumerate(sets.items()):
        errors = mask_errors(known)
        ranked = errors.sort_values("IoU (%)", kind="stable").index
        of = ranked // (len(known.images) // known.objects)
        worst = ranked[~of.duplicated()][:shown]
        top = number * block + above
        drawing.text(aside / _WIDTH, 1 - (top - 0.06) / height, title, ha="left", va="bottom", fontsize=10.5)
        parts = {"image": known.images, "known": _white(known.truth), "found": _white(known.found["learned"])}
        for row, (words, images) in enumerate(parts.items()):
            from_top = top + row * (side + gap)
            drawing.text(0.09 / _WIDTH, 1 - (from_top + side / 2) / height, words, rotation=90, ha="center",
                         va="center", fontsize=10)  # fmt: skip
            for column, place in enumerate(worst):
                _cell(drawing, aside + column * (side + gap), from_top, side, images[place])
        for column, place in enumerate(worst):
            left = aside + column * (side + gap) + side / 2
            line = errors.loc[place]
            drawing.text(left / _WIDTH, 1 - (top + 3 * (side + gap)) / height,
                         f"IoU {line['IoU (%)']:.0f} %\n{line['mask']}", ha="center", va="top", fontsize=9.5,
                         linespacing=1.05)  # fmt: skip
        lines.append(errors.loc[worst].rename_axis("place").reset_index().assign(images=title))
        told.append(_why(title, known, errors, worst))
    table = pd.concat(lines, ignore_index=True)
    table.insert(0, "images", table.pop("images"))
    return Figure(
        drawing,
        name="fig-saliency-failures",
        caption=f"Where masks fail: of about {count} images of a set, those {shown} whose learned masks agree least "
        "with the known ones. What is found rests on the assumption that the frame shows background, and on colour: "
        "shadows, holes and objects that fill their image speak against it.",
        notes=" ".join(told),
        alt=f"Sheet of {shown} images for each of {listed(list(sets))}: image, known and found mask. "
        + " ".join(
            f"{title}: IoU from {part['IoU (%)'].min():.0f} to {part['IoU (%)'].max():.0f} percent; "
            + listed([f"{number} {words}" for words, number in part["mask"].value_counts(sort=False).items()])
            + "."
            for title, part in table.groupby("images", sort=False)
        ),
        data=table.dropna(axis="columns", how="all"),
        pixels=True,
    )


def _why(title: str, known: KnownMasks, errors: pd.DataFrame, worst: Sequence[int]) -> str:
    """What the failures of a set have to do with shadows, holes and size, in sentences that are computed."""
    fill, frame = errors["object in the image (%)"], errors["object on the frame (%)"]
    told = [
        f"{title[0].upper()}{title[1:]}: the objects of the images shown fill {fill[worst].mean():.0f} % of their "
        f"image and {frame[worst].mean():.0f} % of its frame, those of all {fill.mean():.0f} % and "
        f"{frame.mean():.0f} %"
    ]
    background, taken = ~known.truth, known.found["learned"] & ~known.truth
    filled = np.stack([ndimage.binary_fill_holes(mask) for mask in known.truth.numpy()])
    for words, part in (("the shadow of an object", known.shadow), ("a hole of an object", torch.from_numpy(filled))):
        if part is not None and (within := part & background).any():
            told.append(
                f"of the {within.sum():,} pixels in {words} {_share(taken & within, within)} are taken for object, of "
                f"all of the background {_share(taken, background)}"
            )
    return "; ".join(told) + "."


def _share(part: Tensor, whole: Tensor) -> str:
    return f"{100 * part.sum().item() / max(1, whole.sum().item()):.0f} %"


# Segmentation


def segmentation_sheet(
    images: Tensor, truth: Tensor, predictions: Mapping[str, Tensor], classes: Sequence[str], scope: str = ""
) -> Figure:
    """A line of images, one of their true classes, and one of those that each of `predictions` found.

    `truth` and each prediction, by its system's title, are whole numbers (N, S, S): indices into `classes`, at most 11
    of them, the first the background; or IGNORED where the truth is not known, which is white.
    Raises BadInput for other shapes, more classes, and no prediction.
    """
    if not predictions or len(classes) > len(CLASS_COLOURS):
        raise BadInput(f"a sheet of segmentations needs a prediction and at most {len(CLASS_COLOURS)} classes, not "
                       f"{len(predictions)} and {len(classes)}")  # fmt: skip
    for title, found in {"truth": truth, **predictions}.items():
        if found.shape != (len(images), *images.shape[-2:]):
            raise BadInput(f"classes of images {tuple(images.shape)} are (N, H, W) like these, not "
                           f"{tuple(found.shape)} ({title})")  # fmt: skip
    lines = {
        "images": images,
        "true classes": _coloured(truth),
        **{title: _coloured(torch.where(truth == IGNORED, IGNORED, found)) for title, found in predictions.items()},
    }
    columns = 3
    drawing = _lines(lines, below=0.12 + 0.19 * -(-len(classes) // columns))
    handles = [Patch(facecolor=colour, edgecolor="#555555", linewidth=0.5, label=name)
               for name, colour in zip(classes, CLASS_COLOURS, strict=False)]  # fmt: skip
    drawing.legend(handles=handles, loc="lower center", ncols=columns, frameon=False, fontsize=10, handlelength=1.2,
                   borderpad=0, borderaxespad=0, labelspacing=0.35)  # fmt: skip
    scores = []
    for title, found in predictions.items():
        counts = confusion(truth, found, len(classes))
        right = 100 * counts.diagonal().sum().item() / max(1, counts.sum().item())
        scores.append((title, 100 * mean_iou(counts), right))
    table = pd.DataFrame(scores, columns=["system", "mIoU on these images (%)", "right pixels (%)"])
    return Figure(
        drawing,
        name="fig-segmented",
        caption="What frozen features say of every pixel: images that no head was fitted on, their true classes, and "
        f"the classes that a head on each encoder's features finds. {scope}".strip(),
        alt=f"Sheet of {len(images)} images, their true classes in colours and those found by "
        f"{listed(list(predictions))}. On these images: "
        + "; ".join(f"{title}, mIoU {score:.0f} percent, {right:.0f} percent of pixels right"
                    for title, score, right in scores)
        + ".",
        data=table,
        pixels=True,
    )  # fmt: skip


def _coloured(labels: Tensor) -> Tensor:
    """Classes (N, S, S) as images in `CLASS_COLOURS`."""
    colours = torch.full((IGNORED + 1, 3), 255, dtype=torch.uint8)
    for label, colour in enumerate(CLASS_COLOURS):
        colours[label] = torch.tensor(list(bytes.fromhex(colour[1:])), dtype=torch.uint8)
    colours[IGNORED] = torch.tensor(list(bytes.fromhex(WITHOUT_CLASS[1:])), dtype=torch.uint8)
    return colours[labels.cpu().long()].permute(0, 3, 1, 2)


def _lines(lines: Mapping[str, Tensor], below: float = 0.0) -> Drawing:
    """A titled line for each of `lines`, with equally many images, and `below` inches free under them."""
    count = len(next(iter(lines.values())))
    gap, above = 0.06, 0.25
    side = (_WIDTH + gap) / count - gap
    use_style()
    height = len(lines) * (above + side) + below
    drawing = plt.figure(figsize=(_WIDTH, height))
    for number, (title, images) in enumerate(lines.items()):
        top = number * (above + side) + above
        drawing.text(0, 1 - (top - 0.05) / height, title, ha="left", va="bottom", fontsize=10.5)
        for column, image in enumerate(images):
            _cell(drawing, column * (side + gap), top, side, image)
    return drawing


# Backgrounds


def swapped_sheet(count: int = 8) -> Figure:
    """Scenes whose walls go with their shapes, the same objects before walls of other shapes, and the walls alone.

    As in `background_sheet`, of which these are three lines: two scenes of each of the first `count` / 2 shapes, and
    BadInput for the same numbers.
    """
    chosen, parts = _asked(count, tied=True)
    lines = {
        "each shape before a wall of its own": parts["original"],
        "the same objects before walls of other shapes": parts[OTHER],
        "walls alone": parts["only background"],
    }
    lines = {words: images[chosen] for words, images in lines.items()}
    whole = next(iter(lines.values()))
    moved = [100 * (images != whole).any(dim=1).float().mean().item() for images in lines.values()]
    return Figure(
        _lines(lines),
        name="fig-swapped-walls",
        caption="Top: scenes in which each shape has a pattern and a hue of its own behind it. An encoder may tell "
        "them apart by the object or by the wall. The lines below set one against the other.",
        alt=f"Sheet of {count} scenes in {len(lines)} lines: "
        + "; ".join(f"{words}, {share:.0f} percent of pixels changed"
                    for words, share in zip(lines, moved, strict=True))
        + ".",
        data=pd.DataFrame({"line": list(lines), "other pixels than the top (%)": moved}),
        pixels=True,
    )  # fmt: skip


def _asked(count: int, tied: bool) -> tuple[Tensor, dict[str, Tensor]]:
    """Places of the first two test scenes of each of the first `count` / 2 shapes, and the parts of all scenes."""
    if isinstance(count, bool) or not isinstance(count, int) or count % 2 or not 2 <= count <= 16:
        raise BadInput(f"a sheet of backgrounds shows an even number of scenes from 2 to 16, not {count!r}")
    parts, labels = scene_parts(_ASKED, tied, torch.device("cpu"))
    return torch.cat([(labels == label).nonzero()[:2, 0] for label in range(count // 2)]), parts


def background_sheet(count: int = 8, scope: str = "") -> Figure:
    """Scenes in the parts of `lib.measures.background.BackgroundReliance`, a line each, in both worlds.

    The first two test scenes of each of the first `count` / 2 shapes: where walls tell the class, the two have one.
    `count` is an even number from 2 to 16; another raises BadInput.
    """
    lines, changes = {}, []
    for world, tied in (("scenes", False), ("tied scenes", True)):
        chosen, parts = _asked(count, tied)
        for part, images in parts.items():
            lines[f"{world}: {part}"] = images[chosen]
            moved = (images[chosen] != parts["original"][chosen]).any(dim=1).float().mean().item()
            changes.append((world, part, 100 * moved))
    table = pd.DataFrame(changes, columns=["world", "part", "other pixels than the original (%)"])
    shapes = list(scenes.SHAPES[: count // 2])
    return Figure(
        _lines(lines),
        name="fig-backgrounds",
        caption=f"What an encoder is asked about: {count} scenes, two of each shape ({listed(shapes)}), whole and in "
        "parts, and their objects on other walls. In scenes walls have nothing to do with the shape; in tied scenes "
        f"each shape has a pattern and a hue of its own. {scope}".strip(),
        alt=f"Sheet of {count} scenes in {len(lines)} lines. "
        + " ".join(
            f"{world.capitalize()}: "
            + "; ".join(f"{line.part}, {line[-1]:.0f} percent of pixels changed" for line in own.itertuples())
            + "."
            for world, own in table.groupby("world", sort=False)
        ),
        data=table,
        pixels=True,
    )


_ASKED = 100  # test scenes among which two of each shape and other walls are looked for
