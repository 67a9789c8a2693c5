"""Invariance to 18 transforms, batched, against one image at a time as the code of arXiv 2111.11398 has it.

`python -m benchmarks.invariance`: whitened similarity of images of 32 px at 16 settings of each transform, with the
encoder of the small preset and one thread. The peer turns a Pillow image by torchvision, encodes it alone and whitens
it. A ratio counts transformed images per second. Deformation is torchvision's own, in place of albumentations'.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import functional as TF
from torchvision.transforms.v2 import ElasticTransform

from benchmarks import compare, report
from benchmarks.corruptions import real_or_smooth
from lib.measures import Subject
from lib.measures.invariance import cosine, fit_whitening
from lib.measures.synthetic_invariance import transformed
from lib.models import build_encoder
from lib.shifts.transforms import TRANSFORMS

OURS, PEERS, SETTINGS = 100, 3, 16

_PEER: dict[str, Callable[[Image.Image, list[float]], Image.Image]] = {
    "rotation": lambda image, p: TF.rotate(image, p[0]),
    "translation": lambda image, p: TF.affine(image, 0, [int(p[0]), int(p[1])], 1.0, [0.0]),
    "scale": lambda image, p: TF.affine(image, 0, [0, 0], p[0], [0.0]),
    "shear": lambda image, p: TF.affine(image, 0, [0, 0], 1.0, p),
    "resized_crop": lambda image, p: TF.resized_crop(image, *(int(x) for x in p), [image.height, image.width]),
    "h_flip": lambda image, p: TF.hflip(image),
    "v_flip": lambda image, p: TF.vflip(image),
    "deform": lambda image, p: ElasticTransform(alpha=30.0, sigma=p[0])(image),
    "grayscale": lambda image, p: TF.rgb_to_grayscale(image, 3),
    "brightness": lambda image, p: TF.adjust_brightness(image, p[0]),
    "contrast": lambda image, p: TF.adjust_contrast(image, p[0]),
    "saturation": lambda image, p: TF.adjust_saturation(image, p[0]),
    "hue": lambda image, p: TF.adjust_hue(image, p[0]),
    "blur": lambda image, p: TF.gaussian_blur(image, 3, p[0]),
    "sharpness": lambda image, p: TF.adjust_sharpness(image, p[0]),
    "invert": lambda image, p: TF.invert(image),
    "equalize": lambda image, p: TF.equalize(image),
    "posterize": lambda image, p: TF.posterize(image, int(p[0])),
}


def main() -> None:
    torch.set_num_threads(1)
    images = real_or_smooth(1_000)
    encoder = build_encoder("resnet10").eval()
    encoder.normalise_by(images)
    subject = Subject(encoder, "scenes", None, "fp32", torch.device("cpu"))
    features = subject.extract(images)
    whitening = fit_whitening(features[:900], features[900:])
    some, singles = images[:OURS], [TF.to_pil_image(image) for image in images[:PEERS]]

    @torch.inference_mode()
    def encoded(image: Image.Image) -> Tensor:
        return whitening(encoder(TF.to_tensor(image)[None]))[0]

    def batched(name: str, grid: Tensor) -> float:
        clean = whitening(subject.extract(some))
        chunks = (whitening(moved) for moved, _ in transformed(subject, some, name, grid))
        return sum(float(cosine(clean.expand_as(moved), moved).sum()) for moved in chunks)

    def one_at_a_time(name: str, grid: list[list[float]]) -> float:
        total = 0.0
        for image in singles:
            clean = encoded(image)
            for settings in grid:
                turned = encoded(_PEER[name](image, settings))
                total += float(torch.nn.functional.cosine_similarity(clean, turned, dim=0))
        return total

    ours_time = peer_time = 0.0
    for name, kind in TRANSFORMS.items():
        grid = kind.grid(images.shape[-1], SETTINGS)
        result = compare(
            lambda name=name, grid=grid: batched(name, grid),
            lambda name=name, grid=grid: one_at_a_time(name, grid.tolist()),
            OURS * len(grid),
            PEERS * len(grid),
            "images/s",
        )
        print(f"{name:14} {result['ours']:8.0f} {result['peer']:6.0f} images/s {result['ratio']:7.2f}x", flush=True)
        ours_time += len(grid) / result["ours"]
        peer_time += len(grid) / result["peer"]
    report(
        {
            "ours": round(1 / ours_time, 2),
            "peer": round(1 / peer_time, 2),
            "ratio": round(peer_time / ours_time, 2),
            "unit": f"images/s through all {len(TRANSFORMS)} transforms, {SETTINGS} settings of each",
        }
    )


if __name__ == "__main__":
    main()
