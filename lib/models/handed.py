"""Encoders to take home: published with their weights, in half precision, below `results/encoders/`.

    small:simclr                      as a name in `lib.evaluate` and `open_encoder`
    lib.measures.load_encoder(name)   with the linear probe that was published with it

`cards.json` says of each what it is and the SHA-256 of its file. `python -m lib.chapters handed_out` writes both.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from lib import files, paths
from lib.errors import BadInput, one_of
from lib.models import build_encoder
from lib.models.encoder import Encoder

FOLDER = paths.RESULTS / "encoders"
PROBE = "probe."  # how the names of the probe's tensors begin


def cards() -> dict[str, dict[str, Any]]:
    """The card of each encoder by its name."""
    path = FOLDER / "cards.json"
    return json.loads(path.read_text()) if path.exists() else {}


def read(name: str) -> tuple[Encoder, dict[str, Tensor], dict[str, Any]]:
    """An encoder in evaluation mode, float32; the tensors of its probe; its card.

    Raises BadInput for a name that has no card, and for a file that is missing or another one than its card's.
    """
    known = cards()
    card = known[one_of(name, known, "encoder to take home")]
    path = FOLDER / f"{name}.safetensors"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} is not here ({error.strerror}); check the project out again") from error
    if hashlib.sha256(data).hexdigest() != card["sha256"]:
        raise BadInput(f"{path} is damaged (its checksum is another's); check the project out again")
    tensors = {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in load(data).items()}
    encoder = build_encoder(card["config"]["encoder"])
    encoder.load_state_dict({key: tensor for key, tensor in tensors.items() if not key.startswith(PROBE)})
    probe = {key.removeprefix(PROBE): tensor for key, tensor in tensors.items() if key.startswith(PROBE)}
    return encoder.eval().requires_grad_(False), probe, card


def halved(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """In half precision what are numbers, on the CPU; counts stay as they are."""
    return {
        key: (tensor.half() if tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for key, tensor in tensors.items()
    }


def write(name: str, tensors: dict[str, Tensor], card: dict[str, Any]) -> None:
    """The file first, its card last."""
    data = save(tensors)
    files.write(FOLDER / f"{name}.safetensors", lambda file: file.write(data))
    own = card | {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    text = json.dumps(dict(sorted((cards() | {name: own}).items())), indent=1)
    files.write_text(FOLDER / "cards.json", text + "\n")
