"""The axes along which an encoder is asked: which measures, on how many images, and what each needs.

An axis has rungs, from few images to many. A rung's cost is in forward passes of one image, so that one number of
seconds, measured of each encoder, prices all of them; `seconds` are what a processor does beside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lib.errors import one_of
from lib.evaluate.data import Data
from lib.evaluate.elsewhere import Elsewhere
from lib.evaluate.subject import GRADIENT
from lib.images.sources import CIFAR10_CLASSES
from lib.measures import (
    BackgroundReliance,
    CorruptionError,
    CueAccuracy,
    NaturalShift,
    ReadOut,
    RobustAccuracy,
    ShapeBias,
    SyntheticInvariance,
)
from lib.measures.corruption_error import MEASURED
from lib.measures.robust_accuracy import APGD_STEPS, OTHERS, QUERIES
from lib.shifts.corruptions import SEVERITIES
from lib.shifts.natural import available
from lib.shifts.transforms import TRANSFORMS

PROBE, HEAD = "probe", "head"  # who reads the features
CORRUPTION_SECONDS = 2.5e-7  # of a processor, for each pixel of an image that is corrupted
TEXTURE_SECONDS = 5e-7  # of an image's texture, for each pixel and pixel of its side
READ_SECONDS = 0.01  # of an image's file
LARGE = 64  # px: above, pixels are so many that smaller changes of each suffice to fool
NATURAL_IMAGES = {"cifar10-shift": 4_439, "cifar10.1": 2_000, "stl10": 7_200}


@dataclass(frozen=True)
class Case:
    """What decides what can be measured: of all encoders that are compared, what every one of them can."""

    data: Data
    side: int  # px, of the images that are changed; the largest, where encoders differ
    tests: int  # images that may be asked about at once
    readers: tuple[str, ...]
    differentiable: bool
    probe: str = ""  # why there is no probe
    others: tuple[Data, ...] = ()  # the same classes elsewhere, all for tests


@dataclass(frozen=True)
class Task:
    reader: str
    measure: object


@dataclass(frozen=True)
class Rung:
    """`forwards` of an image by each encoder and `seconds` beside are what `tasks` cost; `words` tell their size."""

    tasks: tuple[Task, ...]
    forwards: float
    words: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Offer:
    """The rungs of an axis, from small to large; or why there is none."""

    rungs: tuple[Rung, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Axis:
    name: str
    title: str
    question: str
    offer: Callable[[Case], Offer]


def corruption(case: Case) -> Offer:
    every, three, one = SEVERITIES, (1, 3, 5), (3,)
    ladder = ((25, one), (50, one), (50, three), (100, three), (100, every), (250, every), (500, every), (1_000, every))
    rungs = []
    for images, severities in _within(ladder, case.tests):
        cells = len(MEASURED) * len(severities)
        measure = CorruptionError(images, severities)
        rungs.append(
            Rung(
                tuple(Task(reader, measure) for reader in case.readers),
                images * (cells + 1),
                f"{images:,} test images, {len(MEASURED)} corruptions, "
                + (f"severities {_listed(severities)}" if len(severities) > 1 else f"severity {severities[0]}"),
                images * cells * case.side**2 * CORRUPTION_SECONDS,
            )
        )
    return Offer(tuple(rungs))


def natural(case: Case) -> Offer:
    if case.others:
        return _elsewhere(case)
    if case.data.classes != CIFAR10_CLASSES:
        words = "no other photographs of these classes are known; name folders of them by --shifts"
        return Offer(reason=words)
    here = tuple(name for name in NATURAL_IMAGES if name in available())
    if not here:
        return Offer(reason=f"none of {', '.join(NATURAL_IMAGES)} is on this machine, and nothing is downloaded")
    measures = (NaturalShift(), *((NaturalShift(here[:1]),) if len(here) > 1 else ()))
    rungs = []
    for measure in measures[::-1]:
        images = sum(NATURAL_IMAGES[name] for name in measure.sets if name in here)
        named = ", ".join(name for name in measure.sets if name in here)
        tasks = tuple(Task(reader, measure) for reader in case.readers)
        rungs.append(Rung(tasks, images * len(tasks), f"{named}: {images:,} images"))
    return Offer(tuple(rungs))


def _elsewhere(case: Case) -> Offer:
    rungs, largest = [], max(own.sizes["test"] for own in case.others)
    for (images,) in _within([(count,) for count in (100, 250, 500, 1_000, 2_000, 5_000, 50_000)], largest):
        measure = Elsewhere(case.others, images)
        shown = sum(min(images, own.sizes["test"]) for own in case.others)
        tasks = tuple(Task(reader, measure) for reader in case.readers)
        words = f"{', '.join(own.name for own in case.others)}: {shown:,} images"
        rungs.append(Rung(tasks, shown * len(tasks), words, shown * READ_SECONDS))
    return Offer(tuple(rungs))


def invariance(case: Case) -> Offer:
    if case.probe:
        return Offer(reason=f"features are whitened by training images, and {case.probe}")
    ladder = ((25, 2), (50, 4), (100, 4), (200, 8), (200, 16), (500, 32))
    rungs = []
    for images, settings in _within(ladder, case.tests):
        shown = sum(len(kind.grid(case.side, settings)) for kind in TRANSFORMS.values())
        measure = SyntheticInvariance(images, settings)
        words = f"{images:,} test images, {len(TRANSFORMS)} transforms, at most {settings} settings each"
        rungs.append(Rung((Task(PROBE, measure),), images * (shown + 1), words, images * shown * case.side**2 * 1e-7))
    return Offer(tuple(rungs))


def read_out(case: Case) -> Offer:
    rungs = []
    for count in (200, 500, 1_000, 2_000):
        words = f"{count:,} scenes to read and as many to learn from"
        rungs.append(Rung((Task(PROBE, ReadOut(count)),), 2 * count + 1_000, words, 2 + 10 * (count / 500) ** 2))
    return Offer(tuple(rungs))


def adversarial(case: Case) -> Offer:
    if not case.differentiable:
        return Offer(reason="attacks climb gradients, and a network of this kind has none")
    radii = (1.0, 2.0, 4.0, 8.0) if case.side <= LARGE else (0.25, 0.5, 1.0, 2.0, 4.0)
    ladder = (
        (20, radii, 5, 1, ("fgsm",)), (50, radii, 10, 1, ("fgsm",)), (100, radii, 10, 1, ("fgsm", "apgd")),
        (300, radii, 10, 1, OTHERS), (500, (*radii, 16.0, 32.0), 20, 2, OTHERS),
    )  # fmt: skip
    rungs = []
    for images, epsilons, steps, restarts, others in _within(ladder, case.tests):
        measure = RobustAccuracy(images, epsilons, steps, restarts, others)
        gradients = len(epsilons) * steps * restarts + steps + 2  # and of "similarity" and of "zero gradient"
        gradients += sum({"fgsm": 1, "pgd-2": 2, "apgd": 2 * APGD_STEPS}.get(name, 0) for name in others)
        each = GRADIENT * gradients + QUERIES * ("square" in others) + 10
        words = f"{images:,} test images, PGD of {steps} steps at ε = {_listed(epsilons)} / 255"
        tasks = tuple(Task(reader, measure) for reader in case.readers)
        rungs.append(Rung(tasks, images * each * len(tasks), words))
    return Offer(tuple(rungs))


def cues(case: Case) -> Offer:
    ladder = ((20, 200), (50, 200), (100, 500), (250, 1_000), (500, 2_000), (2_000, 2_000))
    rungs = []
    for images, scenes in _within(ladder, case.tests):
        tasks = (*(Task(reader, CueAccuracy(images)) for reader in case.readers), Task(PROBE, ShapeBias(scenes)))
        words = f"{images:,} test images in 16 versions, {scenes:,} scenes whose shape and texture disagree"
        forwards = 16 * images * len(case.readers) + 2.5 * scenes
        rungs.append(Rung(tasks, forwards, words, images * case.side**3 * TEXTURE_SECONDS + 2))
    return Offer(tuple(rungs))


def background(case: Case) -> Offer:
    rungs = []
    for count in (200, 500, 1_000, 2_000):
        forwards = count * (8 if case.data.name != "scenes" else 6.5)
        words = f"{count // 2:,} test scenes in five parts, in two worlds"
        rungs.append(Rung((Task(PROBE, BackgroundReliance(count)),), forwards, words, 4 + 0.01 * count))
    return Offer(tuple(rungs))


AXES = {
    axis.name: axis
    for axis in (
        Axis("corruption", "Corruption severity", "How does the error grow as images get worse?", corruption),
        Axis("natural", "Natural shift", "What is left of it on other photographs of the same classes?", natural),
        Axis("invariance", "Invariance", "How little do features move when an image is transformed?", invariance),
        Axis("read-out", "Read-out", "Which causes of an image can be read from its features?", read_out),
        Axis("adversarial", "Adversarial robustness", "What survives an adversary that moves each pixel a little?",
             adversarial),
        Axis("cues", "Shape and texture", "Which cue of an image is a class read from?", cues),
        Axis("background", "Background", "How much of a decision comes from what lies behind the object?", background),
        Axis("calibration", "Calibration", "Do predictions made with 80 % confidence come true 80 times in 100?",
             corruption),
    )
}  # fmt: skip


def chosen_axes(names: Sequence[str] | str | None) -> tuple[str, ...]:
    """The names of axes, in their order; all for None. Raises BadInput for an unknown one."""
    if names is None:
        return tuple(AXES)
    names = [part.strip() for part in names.split(",")] if isinstance(names, str) else list(names)
    wanted = {one_of(name, AXES, "axis") for name in names if name}
    return tuple(name for name in AXES if name in wanted) or tuple(AXES)


def _within(ladder: Sequence[tuple], most: int) -> list[tuple]:
    """The rungs of a ladder, the first number of each at most `most`; each once."""
    return list(dict.fromkeys((min(images, most), *rest) for images, *rest in ladder))


def _listed(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)
