"""A run of several processes, twice: `torchrun --nproc-per-node 2 tests/streamed_world.py FOLDER`.

Once all images are held and once they are streamed, each into a store of its own; the key and the weights go to
`FOLDER/held.pt` and `FOLDER/streamed.pt`. Then no file can be read any more, by the last process alone, and what the
first one says of it goes to `FOLDER/said.txt`.
"""

import os
import sys
from pathlib import Path

import torch

from lib import images, on_torchrun, world
from lib.errors import BadInput
from lib.images import sized, sources
from lib.models import build_encoder
from lib.runs import RunConfig, compute, store
from lib.training import Training

PLAN = Training(2, 8, "sgd", learning_rate=0.02, warmup_epochs=0, precision="fp32")


def config(seed):
    return RunConfig("photographs@64", "simclr", "resnet10_narrow", seed, None, PLAN)


def command(folder, how):
    os.environ["WITHSTAND_RUNS"] = str(folder / how)
    (record,), _ = compute([config(0)], [], progress=False)
    encoder = build_encoder("resnet10_narrow")
    store.load_weights(record["key"], encoder, torch.device("cpu"))
    told = {"key": record["key"], "device": record["device"], "weights": encoder.state_dict()}
    torch.save(told, folder / f"{how}.pt")


def as_large():
    """From now on, every set at a size of its own is too large to be held."""
    sized.LARGEST = 0
    images._whole.cache_clear()


def commands(folder):
    command(folder, "held")
    as_large()
    on_torchrun.hand_out(as_large)
    command(folder, "streamed")
    (folder / "broken").touch()
    try:
        compute([config(1)], [], progress=False)
    except BadInput as error:
        (folder / "said.txt").write_text(str(error))
    return 0


def main(folder):
    true = sources.open_image

    def open_image(path):
        if (folder / "broken").exists() and world.rank() == world.size() - 1:
            raise BadInput(f"{path.name} is damaged")
        return true(path)

    sources.open_image = open_image
    return on_torchrun.led(lambda: commands(folder))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
