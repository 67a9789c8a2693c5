"""What negatives cost: making patch negatives, and training with them, in units of plain training in the same run.

    python -m benchmarks.negatives

A negative goes forward through MoCo's slow copy alone, as the key does: plain training has a pass, there and back, for
the query and a forward for the key, four thirds of a pass in all; a negative adds a third. Trainings take turns, so
that a machine that changes its speed changes it for all; the median of several counts.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch

from benchmarks import report, seconds
from benchmarks.views import smooth_data
from lib.methods.moco_v2 import Settings
from lib.runs import RunConfig, fit
from lib.training import Training
from lib.views import patch_negatives

IMAGES, BATCH, REPEATS = 2048, 128, 7
PREDICTED = 1 + 1 / 4  # (1 + 1 / 3 + 1 / 3) / (1 + 1 / 3)


def ratios(encoder: str, device: torch.device, repeats: int = REPEATS) -> dict[str, float]:
    """The time of making an epoch's patch negatives, and of training with them, in units of plain training."""
    data, short = smooth_data(IMAGES, device), Training(epochs=1, batch_size=BATCH)
    queries = (data.images / 255).split(BATCH)
    generator = torch.Generator(device).manual_seed(0)

    def training(negatives: str | None) -> Callable[[], object]:
        settings = Settings(negatives=negatives)
        config = RunConfig("smooth colours", "moco_v2", encoder, training=short, settings=settings)
        return lambda: fit(config, data, progress=False)

    def making() -> None:
        for query in queries:
            patch_negatives(query, generator)

    plain, works = training(None), {"made": making, "trained with": training("patch")}
    plain()  # warms up
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        base = seconds(plain)
        for name, work in works.items():
            times[name].append(seconds(work) / base)
    return {name: statistics.median(found) for name, found in times.items()}


def main() -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for encoder in ("resnet10_narrow", "resnet10"):
        print(f"MoCo v2, {encoder}, {IMAGES} images, batches of {BATCH}, on {device}")
        found = ratios(encoder, device)
        report({"making patch negatives": f"{100 * found['made']:.1f} % of a step",
                "training with them": round(found["trained with"], 2), "predicted": PREDICTED})  # fmt: skip


if __name__ == "__main__":
    main()
