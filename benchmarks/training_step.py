"""Images per second of SimCLR's training: our trainer against lightly's transform, loss and a plain loop.

    python -m benchmarks.training_step

Both train the same encoder and head on the same images with batches of 256, first with the encoder of the quick preset,
then with that of the small one. The peer is what lightly's users write: a DataLoader with one worker a core, float32, a
loop. On a CPU the convolutions are most of our step, and both have them: the wider the encoder, the smaller the ratio.
"""

from __future__ import annotations

import os

import torch
from lightly.loss import NTXentLoss
from lightly.transforms import SimCLRTransform
from torch.utils.data import DataLoader

from benchmarks import compare, report
from benchmarks.views import Pictures, smooth_data
from lib.runs import PRESETS, RunConfig, fit, untrained
from lib.training import Training

IMAGES, BATCH = 4096, 256


def race(encoder: str, device: torch.device) -> dict[str, float | str]:
    """Images per second with one encoder."""
    data = smooth_data(IMAGES, device)
    config = RunConfig("smooth colours", "simclr", encoder, training=Training(epochs=1, batch_size=BATCH))

    def ours() -> None:
        fit(config, data, progress=False)

    transform = SimCLRTransform(input_size=32, cj_strength=0.5, gaussian_blur=0.0)  # the recipe of our SimCLR
    pictures, workers = Pictures(data.images.cpu(), transform), os.cpu_count() or 1
    loader = DataLoader(pictures, BATCH, shuffle=True, num_workers=workers, persistent_workers=True)
    criterion = NTXentLoss(temperature=0.5)

    def peer() -> None:
        model = untrained(config, data).to(device).train()
        optimiser = torch.optim.SGD(model.parameters(), lr=0.06, momentum=0.9, weight_decay=5e-4)
        for views in loader:
            first, second = (model.head(model.encoder(view.to(device))) for view in views)
            loss = criterion(first, second)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    return compare(ours, peer, IMAGES, IMAGES, "images per second", repeats=3)


def main() -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for preset in ("quick", "small"):
        encoder = PRESETS[preset].encoder
        print(f"{encoder} ({preset}), {IMAGES} images, batches of {BATCH}, on {device}")
        report(race(encoder, device))


if __name__ == "__main__":
    main()
