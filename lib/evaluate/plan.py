"""What fits a budget: how many images of each split, and how far up its rungs each axis goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from lib.errors import BadInput
from lib.evaluate.axes import AXES, HEAD, PROBE, Case, Offer, Rung, Task
from lib.evaluate.check import NormalisationCheck
from lib.evaluate.data import Data, most_pixels
from lib.evaluate.subject import Sizes
from lib.measures import Accuracy
from lib.measures.head_accuracy import HeadAccuracy
from lib.measures.knn import NEIGHBOURS

TRAIN = (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)
TESTS = (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 50_000)
CHECKED = (40, 100, 250, 500)  # images to train on, of the check of the normalisation
CLEAN_SHARE = 0.35  # of a budget, at most, for features of untouched images and the probe
STEPS = 7 * 900  # of a fit of the probe, over all decays
STEP_SECONDS, STEP_FLOPS = 3e-4, 6  # of a step whatever it is of; and for each training image, feature and class
FLOPS = 2e10  # a second, of a slow core
ALTERNATIVES = 4  # normalisations that the source's own is compared with
CLEAN, CHECK = "clean", "check"
CORRUPTION, CALIBRATION = "corruption", "calibration"


@dataclass(frozen=True)
class Costs:
    """Seconds of one image's forward pass, and the width of the features: of each encoder."""

    seconds: tuple[float, ...]
    widths: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """What is measured: `sizes` of the splits, the rung of each axis, and why axes were left out, in words."""

    sizes: Sizes
    checked: int
    rungs: Mapping[str, int]
    left_out: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0  # that it was estimated to take
    probe: str = ""  # why there is none

    def to_dict(self) -> dict:
        return asdict(self)

    @staticmethod
    def from_dict(values: dict) -> Plan:
        return Plan(**(values | {"sizes": Sizes(**values["sizes"])}))


def make_plan(case: Case, axes: Sequence[str], seconds: float, costs: Costs) -> Plan:
    """The plan that fits `seconds`. Raises BadInput where not even one axis does.

    Each axis begins on its lowest rung; what does not fit even so is left out, the dearest first. What remains of the
    budget takes axes up in turn, the lowest first.
    """
    alone = [axis for axis in axes if axis != CALIBRATION or CORRUPTION not in axes]  # both are the same measure
    offers = {axis: AXES[axis].offer(case) for axis in alone}
    left_out = {axis: offer.reason for axis, offer in offers.items() if not offer.rungs}
    if len(left_out) == len(offers):
        raise BadInput(f"nothing can be measured on {case.data.name}: {'; '.join(dict.fromkeys(left_out.values()))}")
    sizes, checked = smallest(case)
    base, least = clean_seconds(case, sizes, checked, costs), _lowest(offers, costs)
    cheapest = base + min(least.values())
    if cheapest > seconds:
        raise BadInput(
            f"a budget of {seconds / 60:.3g} minutes is too small: the untouched images and one axis take about "
            f"{cheapest / 60:.2g} minutes with {_named(costs)}; give more, or a smaller encoder"
        )
    rungs = dict.fromkeys(least, 0)
    while base + _total(offers, rungs, costs) > seconds:
        dearest = max(rungs, key=lambda axis: least[axis])
        del rungs[dearest]
        left_out[dearest] = (
            f"its smallest form takes about {least[dearest] / 60:.2g} minutes, for which the budget of "
            f"{seconds / 60:.3g} has no room"
        )
    sizes, checked = _grown(case, seconds, _total(offers, rungs, costs), costs)
    base = clean_seconds(case, sizes, checked, costs)
    rungs = _climbed(offers, rungs, seconds - base, costs)
    total = base + _total(offers, rungs, costs)
    if CALIBRATION in axes and CALIBRATION not in alone:
        for found in (rungs, left_out):
            found |= {CALIBRATION: found[CORRUPTION]} if CORRUPTION in found else {}
    return Plan(sizes, checked, rungs, left_out, total, case.probe)


def affordable(case: Case, seconds: float, costs: Costs) -> Case:
    """The case without a probe, where a head reads the features and a probe would take the budget of everything else.

    A fit takes as long as its images, features and classes are many: minutes for a thousand classes.
    """
    if case.probe or HEAD not in case.readers:
        return case
    taken = clean_seconds(case, *smallest(case), costs)
    if taken <= CLEAN_SHARE * seconds:
        return case
    words = (
        f"the smallest takes about {taken / 60:.2g} minutes for {len(case.data.classes):,} classes, too much of a "
        f"budget of {seconds / 60:.3g}; the head is asked alone"
    )
    return replace(case, readers=(HEAD,), probe=words)


def tasks_of(case: Case, plan: Plan) -> dict[str, Rung]:
    """What is measured of every encoder, by axis, in the order of `AXES`; first the untouched images."""
    clean, probe = [], PROBE in case.readers
    if probe:
        enough = plan.sizes.train >= NEIGHBOURS
        clean.append(Task(PROBE, Accuracy() if enough else Accuracy(neighbours=False)))
    if HEAD in case.readers:
        clean.append(Task(HEAD, HeadAccuracy()))
    images = plan.sizes.train + plan.sizes.validation + plan.sizes.test
    check = NormalisationCheck(plan.checked, HEAD if HEAD in case.readers else PROBE)
    found = {
        CLEAN: Rung(tuple(clean), images, _clean_words(plan.sizes)),
        CHECK: Rung((Task(check.reader, check),), _check_forwards(plan.checked), f"{plan.checked:,} images"),
    }
    for axis in AXES:
        if axis in plan.rungs:
            found[axis] = AXES[axis].offer(case).rungs[plan.rungs[axis]]
    return found


def smallest(case: Case) -> tuple[Sizes, int]:
    data = case.data
    train = 0 if case.probe else min(data.sizes["train"], max(TRAIN[0], 2 * len(data.classes)))
    return _sizes(data, train, TESTS[0]), CHECKED[0]


def clean_seconds(case: Case, sizes: Sizes, checked: int, costs: Costs) -> float:
    """Of the features of untouched images, of the fit of the probe and of the check of the normalisation."""
    images = sizes.train + sizes.validation + sizes.test + _check_forwards(checked)
    found = 0.0
    for own, width in zip(costs.seconds, costs.widths, strict=True):
        found += images * own
        if not case.probe:
            classes, fits = len(case.data.classes), 1 if HEAD in case.readers else ALTERNATIVES + 1
            found += fit_seconds(sizes.train, width, classes) + fits * fit_seconds(checked, width, classes)
    return found


def fit_seconds(images: int, width: int, classes: int) -> float:
    """Of one probe, on a slow core."""
    return STEPS * (STEP_SECONDS + STEP_FLOPS * images * width * classes / FLOPS)


def price(rung: Rung, costs: Costs) -> float:
    """Seconds of a rung, of all encoders."""
    return sum(rung.forwards * own + rung.seconds for own in costs.seconds)


def _grown(case: Case, seconds: float, others: float, costs: Costs) -> tuple[Sizes, int]:
    """As many untouched images as a share of the budget allows, which is more where the axes need less."""
    room = min(max(CLEAN_SHARE * seconds, 0), seconds - others)
    (best, checked), data = smallest(case), case.data
    for step in range(1, len(TRAIN)):
        train = 0 if case.probe else min(data.sizes["train"], max(TRAIN[step], 2 * len(data.classes)))
        sizes = _sizes(data, train, TESTS[min(step, len(TESTS) - 1)])
        more = CHECKED[min(step, len(CHECKED) - 1)]
        if clean_seconds(case, sizes, more, costs) > room:
            break
        best, checked = sizes, more
    return best, checked


def _sizes(data: Data, train: int, tests: int) -> Sizes:
    train = min(train, data.sizes["train"])
    own = data.sizes["validation"]
    validation = 0 if not train else own if own <= train else min(own, max(50, train // 4))
    return Sizes(train, validation, min(tests, data.sizes["test"]))


def _climbed(offers: Mapping[str, Offer], rungs: Mapping[str, int], seconds: float, costs: Costs) -> dict[str, int]:
    found, stuck = dict(rungs), set[str]()
    while len(stuck) < len(found):
        axis = min((axis for axis in found if axis not in stuck), key=lambda axis: found[axis])
        higher = found | {axis: found[axis] + 1}
        if higher[axis] < len(offers[axis].rungs) and _total(offers, higher, costs) <= seconds:
            found = higher
        else:
            stuck.add(axis)
    return found


def _total(offers: Mapping[str, Offer], rungs: Mapping[str, int], costs: Costs) -> float:
    """Seconds of all axes; a measure that two of them share is made once."""
    priced: dict[Task, float] = {}
    for axis, place in rungs.items():
        rung = offers[axis].rungs[place]
        for task in rung.tasks:
            priced.setdefault(task, price(rung, costs) / len(rung.tasks))
    return sum(priced.values())


def _lowest(offers: Mapping[str, Offer], costs: Costs) -> dict[str, float]:
    return {axis: price(offer.rungs[0], costs) for axis, offer in offers.items() if offer.rungs}


def _check_forwards(checked: int) -> float:
    return (ALTERNATIVES + 1) * 2.5 * checked


def _clean_words(sizes: Sizes) -> str:
    learned = f", a probe trained on {sizes.train:,} with {sizes.validation:,} for validation" if sizes.train else ""
    return f"{sizes.test:,} test images{learned}"


def _named(costs: Costs) -> str:
    count = len(costs.seconds)
    return f"{'this encoder' if count == 1 else f'these {count} encoders'} on this machine"


def case_of(
    data: Data, side: int, readers: tuple[str, ...], differentiable: bool, others: tuple[Data, ...] = ()
) -> Case:
    """The case of encoders whose largest images have `side` px."""
    side = data.side or side
    tests = min(data.sizes["test"], most_pixels(data, side))
    return Case(data, side, tests, readers, differentiable, data.unfit, others)
