"""What training under attack costs, as a ratio to plain training of the same method in the same run.

    python -m benchmarks.attack_cost

Passes predict it: free(m) has m times as many as plain training, PGD(k) k + 1 times. But an attack's passes need no
gradient of the weights, which is a third of the work, so that they count 2/3 here. Trainings take turns, so that a
machine that changes its speed changes it for all; the median of several counts.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch

from benchmarks import report, seconds
from benchmarks.views import smooth_data
from lib.runs import RunConfig, fit
from lib.training import Attack, Training

IMAGES, BATCH, REPEATS = 1024, 128, 7
ATTACK_PASS = 2 / 3
ATTACKS = {name: Attack(name) for name in ("fgsm", "pgd(5)", "free(3)")}


def predicted(attack: Attack) -> float:
    """The time of training under attack in units of plain training."""
    return attack.replays + ATTACK_PASS * attack.steps


def ratios(method: str, encoder: str, device: torch.device, repeats: int = REPEATS) -> dict[str, float]:
    """Of each attack: the measured time of training in units of plain training."""
    data, short = smooth_data(IMAGES, device), Training(epochs=1, batch_size=BATCH)

    def training(attack: Attack | None) -> Callable[[], object]:
        config = RunConfig("smooth colours", method, encoder, training=short, attack=attack)
        return lambda: fit(config, data, progress=False)

    plain = training(None)
    attacked = {name: training(attack) for name, attack in ATTACKS.items()}
    plain()  # warms up
    times: dict[str, list[float]] = {name: [] for name in attacked}
    for _ in range(repeats):
        base = seconds(plain)
        for name, work in attacked.items():
            times[name].append(seconds(work) / base)
    return {name: statistics.median(found) for name, found in times.items()}


def main() -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for method in ("simclr", "supervised"):
        print(f"{method}, resnet10_narrow, {IMAGES} images, batches of {BATCH}, on {device}")
        for name, ratio in ratios(method, "resnet10_narrow", device).items():
            expected = predicted(ATTACKS[name])
            report({"attack": name, "measured": round(ratio, 2), "predicted": round(expected, 2),
                    "off": round(ratio / expected - 1, 3)})  # fmt: skip


if __name__ == "__main__":
    main()
