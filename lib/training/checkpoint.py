"""What a training run's checkpoint says of the run: everything that decides its numbers, by name.

A run goes on only from a checkpoint of its own. Not noted are the versions of the libraries and the number of threads,
which turn the last bits of a number and no more.
"""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lib.errors import BadInput
from lib.precision import precision_on
from lib.streamed import Streamed

NAMED = 3  # differences that a refusal names; the others are counted


def identity(
    method: nn.Module, training: Any, seed: int, attack: Any | None, data: dict[str, Tensor]
) -> dict[str, object]:
    """A name and a plain value for each thing that decides the numbers of a run, those that people choose first.

    The method counts by its class and protocol, its views, the plain attributes of all its modules (temperatures,
    strides, momenta) and the shape and type of every weight; `data` by shape and checksum, and by the kind of device
    that it is on. Of the precision it is what it comes to there.
    """
    device = next(iter(data.values())).device
    noted = {"method": type(method).__qualname__, "seed": int(seed), "attack": attack.name if attack else "none"}
    noted |= dict(_plain("", training)) | {"precision": precision_on(device, training.precision), "device": device.type}
    noted |= {name: value for name, value in _plain("attack", attack) if name != "attack.name"}
    for name, tensor in data.items():
        noted |= {f"{name} shape": tuple(tensor.shape), f"{name} checksum": _checksum(tensor)}
    return noted | _of_method(method) | _of_weights(method)


def _of_method(method: nn.Module) -> dict[str, object]:
    home = type(method).__module__
    noted = {"protocol": getattr(sys.modules[home], "PROTOCOL", 0), "module": home}
    noted |= dict(_plain("views", tuple(method.views)))
    for name, module in method.named_modules():
        noted |= {f"kind of {name}": type(module).__qualname__} if name else {}
        if type(module).get_extra_state is not nn.Module.get_extra_state:
            continue  # its numbers move, and are in the state
        for attribute, value in vars(module).items():
            if not attribute.startswith("_") and attribute not in ("training", "views"):
                noted |= dict(_plain(f"{name}.{attribute}".lstrip("."), value))
    return noted


def _of_weights(method: nn.Module) -> dict[str, str]:
    trained = {name for name, parameter in method.named_parameters() if parameter.requires_grad}
    noted = {}
    for name, tensor in method.state_dict().items():
        if isinstance(tensor, Tensor):
            shape = "x".join(map(str, tensor.shape)) or "scalar"
            noted[f"weight {name}"] = f"{shape} {tensor.dtype}{' trained' if name in trained else ''}"
    return noted


def load(checkpoint: Path, device: torch.device, noted: dict[str, object]) -> dict:
    """The state of the run that `noted` describes. Raises `BadInput` for a damaged file and for another run's."""
    try:
        state = torch.load(checkpoint, map_location=device, weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise BadInput(f"{checkpoint} is damaged; delete it to start this run again") from error
    if not isinstance(state, dict) or not isinstance(state.get("identity"), dict):
        raise BadInput(
            f"{checkpoint} does not say which run it is of, as none of an older version does; delete it to start this "
            "run again, or name another file"
        )
    theirs = state["identity"]
    names = [name for name in (noted | theirs) if noted.get(name) != theirs.get(name)]
    if names:
        pairs = ((name, _said(theirs, name), _said(noted, name)) for name in names[:NAMED])
        said = "; ".join(f"{name} is {there} there and {here} here" for name, there, here in pairs)
        more = f"; and {len(names) - NAMED} more differences" if len(names) > NAMED else ""
        raise BadInput(f"{checkpoint} is of another run: {said}{more}; name another file, or delete it to start anew")
    return state


def _said(noted: dict[str, object], name: str) -> str:
    return repr(noted[name]) if name in noted else "missing"


def _plain(name: str, value: object) -> Iterator[tuple[str, object]]:
    """The name and value of a number or a text, or those inside a dataclass or a tuple; of nothing else."""
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from _plain(f"{name}.{field.name}".lstrip("."), getattr(value, field.name))
    elif isinstance(value, tuple):
        for place, part in enumerate(value):
            yield from _plain(f"{name}.{place}", part)
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            yield name, kind(value)  # NumPy's float64 is a float, too, and nothing that a safe file holds
            return


def _checksum(tensor: Tensor | Streamed) -> str:
    if isinstance(tensor, Streamed):
        return hashlib.sha256(tensor.checksum.encode()).hexdigest()[:16]
    return hashlib.sha256(tensor.detach().cpu().flatten().view(torch.uint8).numpy()).hexdigest()[:16]
