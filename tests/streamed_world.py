"""A run of several processes: `torchrun --nproc-per-node 2 tests/streamed_world.py FOLDER held`, or "streamed".

Writes the key and the weights to `FOLDER/held.pt`. Streamed, no file can be read any more then, by the last process
alone, and what the first one says of it goes to `FOLDER/said.txt`.
"""

import os
import sys
from pathlib import Path

import torch

from lib import on_torchrun, world
from lib.errors import BadInput
from lib.images import sized, sources
from lib.models import build_encoder
from lib.runs import RunConfig, compute, store
from lib.training import Training

PLAN = Training(2, 8, "sgd", learning_rate=0.02, warmup_epochs=0, precision="fp32")


def config(seed):
    return RunConfig("photographs@64", "simclr", "resnet10_narrow", seed, None, PLAN)


def command(folder):
    (record,), _ = compute([config(0)], [], progress=False)
    encoder = build_encoder("resnet10_narrow")
    store.load_weights(record["key"], encoder, torch.device("cpu"))
    told = {"key": record["key"], "device": record["device"], "weights": encoder.state_dict()}
    torch.save(told, folder / f"{HOW}.pt")
    if HOW == "streamed":
        (folder / "broken").touch()
        try:
            compute([config(1)], [], progress=False)
        except BadInput as error:
            (folder / "said.txt").write_text(str(error))
    return 0


def main(folder):
    sized.LARGEST = 0 if HOW == "streamed" else sized.LARGEST
    true = sources.open_image

    def open_image(path):
        if (folder / "broken").exists() and world.rank() == world.size() - 1:
            raise BadInput(f"{path.name} is damaged")
        return true(path)

    sources.open_image = open_image
    return on_torchrun.led(lambda: command(folder))


if __name__ == "__main__":
    HOW = sys.argv[2]
    os.environ["WITHSTAND_RUNS"] = str(Path(sys.argv[1]) / HOW)
    sys.exit(main(Path(sys.argv[1])))
