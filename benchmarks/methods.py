"""What each method costs, in the same run: seconds an epoch and peak memory, each in a process of its own.

    python -m benchmarks.methods              all methods, with the network and batch of the small preset
    python -m benchmarks.methods simclr swav  some
    python -m benchmarks.methods --publish    writes results/methods/small/cost.csv, which the book shows

Times are the median of three epochs of 2,560 images after one to warm up, scaled to the preset's images; they mean
something on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import subprocess
import sys

import pandas as pd
import torch

from lib import files, paths
from lib.images import load
from lib.methods import METHODS, build_method
from lib.models import build_encoder
from lib.runs import grid
from lib.training import Training, train

PRESET, IMAGES, EPOCHS = "small", 2560, 4
HOME = paths.RESULTS / "methods" / PRESET / "cost.csv"


def measure(name: str) -> dict[str, float | str]:
    """The cost of one method, in this process."""
    config = grid(PRESET, [name], seeds=[0])[0]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    data = load(config.dataset, "train", IMAGES, device)
    method = build_method(name, build_encoder(config.encoder), config.settings, len(data.classes))
    training = Training(epochs=EPOCHS, batch_size=config.training.batch_size, optimiser=config.training.optimiser)
    history = train(method, data.images, data.labels, training, seed=0, progress=False)
    seconds = statistics.median(epoch["seconds"] for epoch in history[1:])
    return {
        "method": name,
        "views": len(method.views),
        "pixels": sum(view.size**2 for view in method.views) / 32**2,  # in views of 32 px
        "seconds_per_epoch": seconds * config.train_images / IMAGES,
        "peak_memory_mib": history[-1]["peak_memory_mib"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("methods", nargs="*", choices=[*METHODS, []], help="all where none is named")
    parser.add_argument("--publish", action="store_true")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)  # in this process, as JSON
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(*arguments.methods)))
        return
    lines = []
    for name in arguments.methods or METHODS:
        command = [sys.executable, "-m", "benchmarks.methods", name, "--one"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        lines.append(json.loads(done.stdout.splitlines()[-1]))
        line = "{method:14} {seconds_per_epoch:8.1f} s an epoch {peak_memory_mib:8.0f} MiB"
        print(line.format(**lines[-1]), flush=True)
    if arguments.publish:
        buffer = io.StringIO()
        pd.DataFrame(lines).to_csv(buffer, index=False, float_format="%.2f", lineterminator="\n")
        files.write_text(HOME, buffer.getvalue())


if __name__ == "__main__":
    main()
